//! The dialogs, drawn.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{form::Form, keys::running, state::Step};
use crate::{
    FaultPreview,
    paint::{self, Pen},
    theme::Role,
    view::Cx,
};

/// Widest dialog, in columns of text.
const COLUMNS: u16 = 88;
/// Choices that are shown at once.
const CHOICES: usize = 6;

/// Draws the open dialog over the view.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    match &cx.ui.gameday.step {
        Step::Kinds => kinds(cx, area, buf),
        Step::Form(form) => form_dialog(cx, form, area, buf),
        Step::Plan(form, preview) => plan(cx, form, preview.as_ref(), area, buf),
        Step::Loads => loads(cx, area, buf),
    }
}

/// Lines of a dialog; the hint stays in sight whatever else is cut.
struct Page<'t> {
    lines: Vec<Vec<(String, Role)>>,
    marked: Option<usize>,
    hint: &'t [(&'t str, &'t str)],
}

impl<'t> Page<'t> {
    fn new(hint: &'t [(&'t str, &'t str)]) -> Self {
        Self { lines: Vec::new(), marked: None, hint }
    }

    fn line(&mut self, parts: Vec<(String, Role)>) {
        self.lines.push(parts);
    }

    fn text(&mut self, text: &str, role: Role, columns: u16) {
        for line in paint::wrap(text, usize::from(columns)) {
            self.lines.push(vec![(line, role)]);
        }
    }

    fn gap(&mut self) {
        self.lines.push(Vec::new());
    }

    /// Draws it; gives the area of the lines and the number of the first that is shown.
    fn draw(&self, cx: &Cx<'_>, area: Rect, buf: &mut Buffer, columns: u16, title: &str) -> (Rect, usize) {
        let rows = u16::try_from(self.lines.len() + 2).unwrap_or(u16::MAX);
        let inner = paint::dialog(buf, cx.theme, area, columns, rows, title);
        let shown = Rect { height: inner.height.saturating_sub(2), ..inner };
        // The marked line is in sight.
        let first = paint::first_row(self.lines.len(), usize::from(shown.height), self.marked.unwrap_or(0));
        for (row, line) in self.lines.iter().skip(first).take(usize::from(shown.height)).enumerate() {
            let mut pen = Pen::new(buf, cx.theme, shown, row as u16);
            for (text, role) in line {
                pen.put(text, *role);
            }
        }
        let hint = Rect { y: inner.bottom().saturating_sub(1), height: inner.height.min(1), ..inner };
        let mut pen = Pen::new(buf, cx.theme, hint, 0);
        for (key, what) in self.hint {
            pen.put(key, Role::Accent).put(" ", Role::Plain).put(what, Role::Plain).put("  ", Role::Plain);
        }
        (shown, first)
    }
}

fn columns(area: Rect) -> u16 {
    area.width.saturating_sub(6).clamp(1, COLUMNS)
}

fn mark(cx: &Cx<'_>, marked: bool) -> (String, Role) {
    (format!("{} ", if marked { cx.theme.symbols().selected } else { " " }), Role::Accent)
}

fn kinds(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let (gameday, columns) = (&cx.ui.gameday, columns(area));
    let mut page = Page::new(&[("Enter", "choose"), ("j k", "move"), ("Esc", "close")]);
    match &gameday.catalogue {
        None => page.text("asking what can be broken here", Role::Dim, columns),
        Some(catalogue) if catalogue.faults.is_empty() => {
            page.text("no kind of fault is known", Role::Warn, columns)
        }
        Some(catalogue) => {
            for (row, entry) in catalogue.faults.iter().enumerate() {
                let marked = row == gameday.cursor;
                if marked {
                    page.marked = Some(page.lines.len());
                }
                page.line(vec![
                    mark(cx, marked),
                    (entry.kind.clone(), if marked { Role::Strong } else { Role::Plain }),
                ]);
                for line in paint::wrap(&entry.summary, usize::from(columns.saturating_sub(4))) {
                    page.line(vec![(format!("    {line}"), Role::Dim)]);
                }
            }
        }
    }
    page.draw(cx, area, buf, columns, "inject: which kind of fault?");
}

fn form_dialog(cx: &Cx<'_>, form: &Form, area: Rect, buf: &mut Buffer) {
    let columns = columns(area);
    let hint: &[_] = if form.choices().is_empty() {
        &[("Enter", "see the plan"), ("Tab", "next"), ("Esc", "back")]
    } else {
        &[("Enter", "take it"), ("Up Down", "choose"), ("Tab", "next"), ("Esc", "back")]
    };
    let mut page = Page::new(hint);
    let label = form.entry.fields.iter().map(|field| paint::width(&field.key)).max().unwrap_or(0) + 2;
    let mut at = Vec::new();
    for (row, (field, typed)) in form.entry.fields.iter().zip(&form.fields).enumerate() {
        let focused = row == form.focus;
        let role = if focused { Role::Strong } else { Role::Plain };
        let sign = if field.required { "*" } else { " " };
        at.push(page.lines.len());
        if focused {
            page.marked = Some(page.lines.len());
        }
        let mut line = vec![mark(cx, focused), (format!("{:<label$}", format!("{}{sign}", field.key)), role)];
        if !focused {
            line.push((typed.text().to_owned(), Role::Plain));
        }
        page.line(line);
    }
    page.gap();
    if let Some((field, _)) = form.focused() {
        page.text(&field.summary, Role::Dim, columns);
        let choices = form.choices();
        let first = paint::first_row(choices.len(), CHOICES, form.choice);
        for (row, choice) in choices.iter().enumerate().skip(first).take(CHOICES) {
            let role = if row == form.choice { Role::Selected } else { Role::Plain };
            page.line(vec![("    ".to_owned(), Role::Plain), ((*choice).to_owned(), role)]);
        }
        if choices.len() > CHOICES {
            page.line(vec![(format!("    {} in all: type to narrow them down", choices.len()), Role::Dim)]);
        }
    }
    for problem in &form.problems {
        page.text(problem, Role::Bad, columns);
    }
    let title = format!("inject: {} (* must be filled in)", form.entry.kind);
    let (shown, first) = page.draw(cx, area, buf, columns, &title);
    // The focused field is typed into where it stands.
    if let (Some(field), Some(row)) = (form.fields.get(form.focus), at.get(form.focus))
        && let Some(row) = row.checked_sub(first).and_then(|row| u16::try_from(row).ok())
        && row < shown.height
    {
        let skip = u16::try_from(label + 2).unwrap_or(u16::MAX).min(shown.width);
        let place = Rect { x: shown.x + skip, y: shown.y + row, width: shown.width - skip, height: 1 };
        field.render(cx, place, buf);
    }
}

fn plan(cx: &Cx<'_>, form: &Form, preview: Option<&FaultPreview>, area: Rect, buf: &mut Buffer) {
    let columns = columns(area);
    let title = format!("inject: {}", form.entry.kind);
    let Some(preview) = preview else {
        let mut page = Page::new(&[("Esc", "back")]);
        page.text("asking the cluster what it would do", Role::Dim, columns);
        page.draw(cx, area, buf, columns, &title);
        return;
    };
    let mut page = Page::new(&[("y", "inject it"), ("n", "back to the form")]);
    page.text(&preview.effect, Role::Strong, columns);
    page.gap();
    let head = |text: &str| (format!("{text:<10}"), Role::Dim);
    for (row, target) in preview.targets.iter().enumerate() {
        page.line(vec![head(if row == 0 { "touches" } else { "" }), (target.clone(), Role::Plain)]);
    }
    let room = usize::from(columns.saturating_sub(10));
    for (row, line) in paint::wrap(&preview.inverse, room).into_iter().enumerate() {
        page.line(vec![head(if row == 0 { "undone by" } else { "" }), (line, Role::Plain)]);
    }
    let sign = cx.theme.symbols().unsure;
    for warning in &preview.warnings {
        page.text(&format!("{sign} {warning}"), Role::Warn, columns);
    }
    page.draw(cx, area, buf, columns, &title);
}

fn loads(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let (gameday, columns) = (&cx.ui.gameday, columns(area));
    let mut page = Page::new(&[("Enter", "start or stop"), ("j k", "move"), ("Esc", "close")]);
    match &gameday.catalogue {
        None => page.text("asking which loads there are", Role::Dim, columns),
        Some(catalogue) if catalogue.loads.is_empty() => page.text(
            "No load is offered: begin the game day with a scenario that has loads, or with --loads FILE.",
            Role::Warn,
            columns,
        ),
        Some(catalogue) => {
            for (row, choice) in catalogue.loads.iter().enumerate() {
                let marked = row == gameday.cursor;
                if marked {
                    page.marked = Some(page.lines.len());
                }
                let mut line = vec![
                    mark(cx, marked),
                    (choice.load.clone(), if marked { Role::Strong } else { Role::Plain }),
                ];
                if let Some(name) = running(cx.state, &choice.load) {
                    let name = if name == choice.load { String::new() } else { format!(" as {name}") };
                    line.push((format!("  {} running{name}", cx.theme.symbols().load), Role::Load));
                }
                page.line(line);
                for line in paint::wrap(&choice.summary, usize::from(columns.saturating_sub(4))) {
                    page.line(vec![(format!("    {line}"), Role::Dim)]);
                }
            }
        }
    }
    page.draw(cx, area, buf, columns, "loads");
}
