//! Keys of dialogs.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};

use super::{App, Dialog, Effect, Hook};
use crate::{Request, gameday, view};

impl App {
    pub(super) fn dialog_key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        let Some(dialog) = self.ui.dialog.take() else { return };
        match dialog {
            Dialog::Help { scroll } => {
                let lines = view::dialog::help_lines(self.ui.mode, self.ui.size.0).len();
                if let Some(scroll) = self.scrolled(key.code, scroll, lines) {
                    self.ui.dialog = Some(Dialog::Help { scroll });
                }
            }
            Dialog::Text { title, text, scroll } => {
                if let Some(scroll) = self.scrolled(key.code, scroll, text.len()) {
                    self.ui.dialog = Some(Dialog::Text { title, text, scroll });
                }
            }
            Dialog::Confirm(confirm) => match key.code {
                // A held key does not confirm.
                KeyCode::Char('y' | 'Y') if key.kind == KeyEventKind::Press => {
                    self.ui.finishing |= confirm.request == Request::Finish;
                    effects.push(Effect::Request(confirm.request));
                }
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {}
                _ => self.ui.dialog = Some(Dialog::Confirm(confirm)),
            },
            Dialog::Note(mut field) => match key.code {
                KeyCode::Esc => {}
                KeyCode::Enter => {
                    let text = field.text().trim().to_owned();
                    if !text.is_empty() {
                        effects.push(Effect::Request(Request::WriteNote { text }));
                    }
                }
                _ => {
                    field.key(&key);
                    self.ui.dialog = Some(Dialog::Note(field));
                }
            },
            Dialog::Filter { list, before, mut field } => match key.code {
                KeyCode::Esc => self.set_filter(list, before),
                KeyCode::Enter => {
                    let filter = field.text().to_owned();
                    if !filter.is_empty() {
                        self.ui.lists[list].last_filter.clone_from(&filter);
                    }
                    self.set_filter(list, filter);
                }
                _ => {
                    field.key(&key);
                    self.set_filter(list, field.text().to_owned());
                    self.ui.dialog = Some(Dialog::Filter { list, before, field });
                }
            },
            Dialog::GameDay => {
                self.ui.dialog = Some(Dialog::GameDay);
                let mut hook = Hook { ui: &mut self.ui, state: &self.state, index: &self.index, effects };
                gameday::key(&mut hook, &key);
            }
        }
    }

    /// Where a text of so many lines is shown from after a key; none: it is closed.
    fn scrolled(&self, code: KeyCode, scroll: usize, lines: usize) -> Option<usize> {
        let most = lines.saturating_sub(1);
        let scroll = match code {
            KeyCode::Down | KeyCode::Char('j') => scroll + 1,
            KeyCode::Up | KeyCode::Char('k') => scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => scroll.saturating_add_signed(self.page()),
            KeyCode::PageUp => scroll.saturating_add_signed(-self.page()),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => most,
            KeyCode::Esc | KeyCode::Char('?' | 'q') | KeyCode::Enter => return None,
            _ => scroll,
        };
        Some(scroll.min(most))
    }
}
