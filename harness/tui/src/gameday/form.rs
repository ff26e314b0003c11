//! A form that is being filled in.

use crossterm::event::{KeyCode, KeyEvent};

use crate::{CatalogueEntry, CatalogueField, FaultForm, FieldInput, view::dialog::TextField};

/// The fields of one kind of fault, and what was typed into them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Form {
    pub(super) entry: CatalogueEntry,
    pub(super) fields: Vec<TextField>,
    /// The field that gets the keys.
    pub(super) focus: usize,
    /// The choice that Enter takes.
    pub(super) choice: usize,
    /// What the host found wrong with it.
    pub(super) problems: Vec<String>,
}

/// What a key in a form leads to.
pub(super) enum FormStep {
    /// It is still being filled in.
    Stays,
    /// What would it do?
    Plan,
    /// Back to the kinds.
    Leaves,
}

impl Form {
    pub(super) fn new(entry: CatalogueEntry) -> Self {
        let fields = entry.fields.iter().map(|field| TextField::with(field.preset.clone())).collect();
        Self { entry, fields, focus: 0, choice: 0, problems: Vec::new() }
    }

    /// As it is asked of the host: what was typed, without what is empty.
    pub(super) fn filled(&self) -> FaultForm {
        let typed = self.entry.fields.iter().zip(&self.fields);
        let values = typed
            .map(|(field, text)| (field.key.clone(), text.text().trim().to_owned()))
            .filter(|(_, text)| !text.is_empty());
        FaultForm { kind: self.entry.kind.clone(), values: values.collect() }
    }

    pub(super) fn focused(&self) -> Option<(&CatalogueField, &TextField)> {
        self.entry.fields.get(self.focus).zip(self.fields.get(self.focus))
    }

    /// Choices of the focused field that hold what was typed; none where it is one of them already.
    pub(super) fn choices(&self) -> Vec<&str> {
        let Some((field, typed)) = self.focused() else { return Vec::new() };
        let FieldInput::Choice(all) = &field.input else { return Vec::new() };
        let text = typed.text().trim().to_lowercase();
        if all.iter().any(|one| one.to_lowercase() == text) {
            return Vec::new();
        }
        all.iter().filter(|one| one.to_lowercase().contains(&text)).map(String::as_str).collect()
    }

    /// The first field that must be filled in and is not.
    pub(super) fn missing(&self) -> Option<usize> {
        let empty =
            |(field, typed): (&CatalogueField, &TextField)| field.required && typed.text().trim().is_empty();
        self.entry.fields.iter().zip(&self.fields).position(empty)
    }

    pub(super) fn key(&mut self, key: &KeyEvent) -> FormStep {
        let choices = self.choices().len();
        match key.code {
            KeyCode::Esc => return FormStep::Leaves,
            KeyCode::Tab => self.go(1),
            KeyCode::BackTab => self.go(-1),
            KeyCode::Down if choices > 0 => self.choice = (self.choice + 1).min(choices - 1),
            KeyCode::Up if choices > 0 && self.choice > 0 => self.choice -= 1,
            KeyCode::Down => self.go(1),
            KeyCode::Up => self.go(-1),
            KeyCode::Enter => return self.enter(),
            _ => {
                if let Some(field) = self.fields.get_mut(self.focus)
                    && field.key(key)
                {
                    self.choice = 0;
                    self.problems.clear();
                }
            }
        }
        FormStep::Stays
    }

    /// Takes the marked choice; else goes to what is missing; else the form is full.
    fn enter(&mut self) -> FormStep {
        let chosen = self.choices().get(self.choice).map(|choice| (*choice).to_owned());
        if let (Some(chosen), Some(field)) = (chosen, self.fields.get_mut(self.focus)) {
            *field = TextField::with(chosen);
            self.problems.clear();
            match self.missing() {
                Some(missing) => self.focus_on(missing),
                None => self.go(1),
            }
            return FormStep::Stays;
        }
        match self.missing() {
            Some(missing) => {
                self.focus_on(missing);
                FormStep::Stays
            }
            None => FormStep::Plan,
        }
    }

    fn go(&mut self, by: isize) {
        let fields = self.fields.len().max(1);
        let by = if by < 0 { fields - 1 } else { 1 };
        self.focus_on((self.focus + by) % fields);
    }

    fn focus_on(&mut self, field: usize) {
        self.focus = field;
        self.choice = 0;
    }
}
