//! Rules for dashboard files that need no running system.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::PathBuf,
};

use serde::Serialize;
use serde_json::Value;

use super::{
    layout,
    model::{Annotation, Dashboard, Panel, Target, Variable},
    queries, variables,
};
use crate::expected_error::ExpectedError;

/// `schemaVersion` of the JSON model that the rules and Grafana's types (`dashboards/check`) are about.
pub const SCHEMA_VERSION: u32 = 42;
/// Longest uid that Grafana takes.
const UID_LENGTH: usize = 40;

/// Where in a dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Place {
    /// The dashboard as a whole.
    Dashboard,
    /// A variable.
    Variable(String),
    /// An annotation query.
    Annotation(String),
    /// A panel, by title and id.
    Panel(String),
}

impl Place {
    /// The place of a panel.
    pub fn panel(panel: &Panel) -> Self {
        let id = panel.id.map_or_else(|| "no id".to_owned(), |id| format!("id {id}"));
        Self::Panel(format!("{:?} ({id})", panel.title))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dashboard => out.write_str("dashboard"),
            Self::Variable(name) => write!(out, "variable {name}"),
            Self::Annotation(name) => write!(out, "annotation {name:?}"),
            Self::Panel(name) => write!(out, "panel {name}"),
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// Name of the query (`refId`), if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What.
    pub message: String,
    /// The query's text, as it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
}

impl Problem {
    /// A problem of a place.
    pub fn new(file: &str, place: Place, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place, query: None, message: message.into(), expr: None }
    }

    /// A problem of a query.
    pub fn of(asked: &Asked<'_>, message: impl Into<String>) -> Self {
        Self {
            file: asked.file.to_owned(),
            place: asked.place.clone(),
            query: asked.query.map(str::to_owned),
            message: message.into(),
            expr: None,
        }
    }

    /// With the text of the query.
    #[must_use]
    pub fn with(mut self, expr: &str) -> Self {
        self.expr = Some(expr.split_whitespace().collect::<Vec<_>>().join(" "));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.place)?;
        if let Some(query) = &self.query {
            write!(out, ", query {query}")?;
        }
        write!(out, ": {}", self.message)
    }
}

/// One query with where it stands.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The file.
    pub file: &'a str,
    /// Where in it.
    pub place: Place,
    /// `refId`; annotations have none.
    pub query: Option<&'a str>,
    /// The text with its variables.
    pub expr: &'a str,
    /// Asks for one point in time only.
    pub instant: bool,
    /// Why no answer is no problem, if it is none.
    pub may_be_empty: Option<&'a str>,
}

/// Dashboard files, read.
#[derive(Debug, Default)]
pub struct Dashboards {
    /// Those that are JSON of the right shape, with the file's name.
    pub read: Vec<(String, Dashboard)>,
    /// The same as they are in the files.
    pub json: Vec<Value>,
    /// What was found so far.
    pub problems: Vec<Problem>,
}

impl Dashboards {
    /// Reads the files and checks each and all of them. Directories stand for the `*.json` in them.
    ///
    /// # Errors
    /// If a file cannot be read. One that is no dashboard is a problem, not an error.
    pub fn read(paths: &[PathBuf]) -> Result<Self, ExpectedError> {
        let mut found = Self::default();
        for path in files(paths)? {
            let text = fs::read_to_string(&path).map_err(|source| ExpectedError::File {
                verb: "read",
                path: path.clone(),
                source,
            })?;
            found.add(&path.display().to_string(), &text);
        }
        found.unique();
        Ok(found)
    }

    fn add(&mut self, file: &str, text: &str) {
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                self.problems.push(Problem::new(file, Place::Dashboard, format!("it is no JSON: {error}")));
                return;
            }
        };
        match serde_json::from_value::<Dashboard>(value.clone()) {
            Ok(dashboard) => {
                let mut rules = Rules { file, dashboard: &dashboard, problems: &mut self.problems };
                rules.check(&value);
                self.read.push((file.to_owned(), dashboard));
                self.json.push(value);
            }
            Err(error) => {
                let text = format!("it is no dashboard: {error}");
                self.problems.push(Problem::new(file, Place::Dashboard, text));
            }
        }
    }

    /// Two dashboards of one uid or title overwrite each other, or cannot be told apart.
    fn unique(&mut self) {
        let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        let mut problems = Vec::new();
        for (file, dashboard) in &self.read {
            let fields = [("uid", dashboard.uid.as_deref()), ("title", dashboard.title.as_deref())];
            for (field, value) in fields.into_iter().filter_map(|(field, value)| Some((field, value?))) {
                if let Some(other) = seen.insert((field, value), file) {
                    let text = format!("its {field} {value:?} is that of {other}, too");
                    problems.push(Problem::new(file, Place::Dashboard, text));
                }
            }
        }
        self.problems.extend(problems);
    }

    /// All queries that are asked.
    pub fn queries(&self) -> impl Iterator<Item = Asked<'_>> {
        self.read.iter().flat_map(|(file, dashboard)| {
            let panels = panels(&dashboard.panels).into_iter();
            panels.flat_map(move |panel| asked_by_panel(file, panel)).chain(
                dashboard.annotations.list.iter().filter_map(move |one| asked_by_annotation(file, one)),
            )
        })
    }
}

/// Files, with directories replaced by the dashboards in them.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ExpectedError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = |source| ExpectedError::File { verb: "read", path: path.clone(), source };
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            if entry.extension().is_some_and(|extension| extension == "json") {
                inside.push(entry);
            }
        }
        if inside.is_empty() {
            let message = format!("no dashboard (*.json) in {}", path.display());
            return Err(ExpectedError::Usage { message, hint: None });
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// Panels, also those of collapsed rows.
pub fn panels(panels: &[Panel]) -> Vec<&Panel> {
    panels.iter().flat_map(|panel| std::iter::once(panel).chain(&panel.panels)).collect()
}

fn asked_by_panel<'a>(file: &'a str, panel: &'a Panel) -> impl Iterator<Item = Asked<'a>> {
    let asked = move |target: &'a Target| Asked {
        file,
        place: Place::panel(panel),
        query: Some(&target.ref_id),
        expr: &target.expr,
        instant: target.instant && target.range != Some(true),
        may_be_empty: panel.may_be_empty(),
    };
    panel.targets.iter().filter(|target| !target.hide && !target.expr.trim().is_empty()).map(asked)
}

/// That nothing happened is no problem of an annotation.
fn asked_by_annotation<'a>(file: &'a str, annotation: &'a Annotation) -> Option<Asked<'a>> {
    let target = annotation.target.as_ref().map(|target| target.expr.as_str());
    let expr = annotation.expr.as_deref().or(target).filter(|expr| !expr.trim().is_empty())?;
    let place = Place::Annotation(annotation.name.clone());
    Some(Asked { file, place, query: None, expr, instant: false, may_be_empty: Some("nothing happened") })
}

/// The rules for one file.
struct Rules<'a> {
    file: &'a str,
    dashboard: &'a Dashboard,
    problems: &'a mut Vec<Problem>,
}

impl Rules<'_> {
    fn say(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem::new(self.file, place, message));
    }

    fn check(&mut self, whole: &Value) {
        self.identity();
        self.variables(whole);
        let all = panels(&self.dashboard.panels);
        let mut ids = BTreeSet::new();
        for panel in &all {
            match panel.id {
                Some(id) if !ids.insert(id) => self.say(Place::panel(panel), "another panel has this id"),
                Some(_) => {}
                None => self.say(Place::panel(panel), "it has no id"),
            }
            self.panel(panel);
        }
        if all.iter().all(|panel| panel.is_silent()) {
            self.say(Place::Dashboard, "it has no panel that shows data");
        }
        layout::check(&self.dashboard.panels, self.file, self.problems);
        for annotation in &self.dashboard.annotations.list {
            let place = Place::Annotation(annotation.name.clone());
            self.source(&place, annotation.datasource.as_ref());
            if let Some(asked) = asked_by_annotation(self.file, annotation) {
                self.query(&asked);
            }
        }
    }

    fn identity(&mut self) {
        let dashboard = self.dashboard;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match dashboard.uid.as_deref() {
            None | Some("") => {
                self.say(Place::Dashboard, "it has no uid: each import would make another one")
            }
            Some(uid) if uid.len() > UID_LENGTH || !uid.chars().all(plain) => {
                let text = format!("its uid {uid:?} is not 1 to {UID_LENGTH} letters, digits, - and _");
                self.say(Place::Dashboard, text);
            }
            Some(_) => {}
        }
        for (field, value) in [("title", &dashboard.title), ("description", &dashboard.description)] {
            if value.as_deref().is_none_or(|value| value.trim().is_empty()) {
                self.say(Place::Dashboard, format!("it has no {field}"));
            }
        }
        if dashboard.id.as_ref().is_some_and(|id| !id.is_null()) {
            self.say(Place::Dashboard, "it has an id, which is a number of one Grafana's database");
        }
        if dashboard.inputs.is_some() {
            self.say(
                Place::Dashboard,
                "it has __inputs, which provisioning does not fill in: use a variable",
            );
        }
        if dashboard.tags.is_empty() {
            self.say(Place::Dashboard, "it has no tag");
        }
        if dashboard.schema_version != Some(SCHEMA_VERSION) {
            let version = dashboard.schema_version.map_or_else(|| "missing".to_owned(), |it| it.to_string());
            let text = format!("its schemaVersion is {version}, the current one is {SCHEMA_VERSION}");
            self.say(Place::Dashboard, text);
        }
    }

    /// Each variable is used, and each that is used is there.
    fn variables(&mut self, whole: &Value) {
        let mut used = BTreeSet::new();
        texts(whole, &mut |text| used.extend(variables::used(text).map(str::to_owned)));
        let repeats = panels(&self.dashboard.panels).into_iter().filter_map(|panel| panel.repeat.clone());
        used.extend(repeats.filter(|name| !name.is_empty()));
        let mut known = BTreeSet::new();
        for variable in &self.dashboard.templating.list {
            let place = Place::Variable(variable.name.clone());
            if !known.insert(variable.name.as_str()) {
                self.say(place.clone(), "there are two of this name");
            }
            if !used.contains(&variable.name) {
                self.say(place.clone(), "nothing uses it");
            }
            self.variable(variable, &place);
        }
        for name in used.iter().filter(|name| !known.contains(name.as_str())) {
            if !variables::is_built_in(name) {
                self.say(Place::Dashboard, format!("${name} is used, and there is no such variable"));
            }
        }
    }

    fn variable(&mut self, variable: &Variable, place: &Place) {
        match variable.kind.as_str() {
            "query" => {
                self.source(place, variable.datasource.as_ref());
                if variable.query_text().trim().is_empty() {
                    self.say(place.clone(), "it has no query");
                }
                if variable.regex.as_deref().is_some_and(|regex| !regex.is_empty()) {
                    // What is not checked must not look checked.
                    self.say(place.clone(), "it has a regex: filter in the query, where it can be checked");
                }
                if variable.current.values().is_empty() {
                    self.say(place.clone(), "it has no current value: the first one of any system is shown");
                }
            }
            "datasource" => {
                if variable.query_text() != "prometheus" {
                    self.say(place.clone(), "it is not of data sources of type prometheus");
                }
                if variable.current.values().iter().any(|value| !["", "default"].contains(value)) {
                    self.say(place.clone(), "its current value is the data source of one Grafana");
                }
            }
            "custom" | "constant" | "interval" | "textbox" => {
                if variable.current.values().is_empty() {
                    self.say(place.clone(), "it has no current value");
                }
            }
            other => self.say(place.clone(), format!("variables of type {other:?} are not checked here")),
        }
        if variable.include_all && variable.all_value.as_deref().is_none_or(str::is_empty) {
            self.say(place.clone(), "All is a list of all values: give allValue, it does not grow");
        }
    }

    /// A data source is a variable of type `datasource`, or one that every Grafana has.
    fn source(&mut self, place: &Place, source: Option<&Value>) {
        let of_variable = |uid: &str| {
            let mut names = variables::used(uid);
            let (name, rest) = (names.next(), names.next());
            let plain = name.is_some_and(|name| uid == format!("${name}") || uid == format!("${{{name}}}"));
            let mut all = self.dashboard.templating.list.iter();
            plain
                && rest.is_none()
                && all.any(|one| Some(one.name.as_str()) == name && one.kind == "datasource")
        };
        let message = match source {
            None | Some(Value::Null) => {
                "it has no data source, which means the default one of each Grafana".to_owned()
            }
            Some(Value::Object(source)) => match source.get("uid").and_then(Value::as_str) {
                Some(uid) if uid.starts_with("-- ") || uid == "grafana" => return,
                Some(uid) if of_variable(uid) => match source.get("type").and_then(Value::as_str) {
                    Some("prometheus") => return,
                    other => format!("its data source is of type {other:?}, not prometheus"),
                },
                Some(uid) => {
                    format!("its data source {uid:?} is hard-coded: use a variable of type datasource")
                }
                None => "its data source has no uid".to_owned(),
            },
            Some(other) => format!("its data source {other} is not of the form {{type, uid}}"),
        };
        self.say(place.clone(), message);
    }

    fn panel(&mut self, panel: &Panel) {
        let place = Place::panel(panel);
        if panel.title.trim().is_empty() {
            self.say(place.clone(), "it has no title");
        }
        if panel.kind == "row" {
            return;
        }
        if panel.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
            self.say(place.clone(), "it has no description");
        }
        if panel.is_silent() {
            return;
        }
        if panel.unit().is_none() {
            self.say(place.clone(), "it has no unit (fieldConfig.defaults.unit)");
        }
        self.source(&place, panel.datasource.as_ref());
        if panel.targets.iter().all(|target| target.hide) {
            self.say(place.clone(), "it has no query");
        }
        let mut names = BTreeSet::new();
        for target in &panel.targets {
            if target.ref_id.is_empty() {
                self.say(place.clone(), "it has a query without refId");
            } else if !names.insert(&target.ref_id) {
                self.say(place.clone(), format!("two queries have the refId {}", target.ref_id));
            }
            if target.expr.trim().is_empty() {
                self.say(place.clone(), format!("query {} is empty", target.ref_id));
            }
            if target.datasource.is_some() {
                self.source(&place, target.datasource.as_ref());
            }
        }
        let asked: Vec<_> = asked_by_panel(self.file, panel).collect();
        for asked in &asked {
            self.query(asked);
        }
    }

    /// A query is PromQL, and a variable of several values is matched as the pattern that it is.
    fn query(&mut self, asked: &Asked<'_>) {
        let mut values = time_variables("1m", 60_000);
        let patterns: Vec<&Variable> =
            self.dashboard.templating.list.iter().filter(|variable| variable.is_pattern()).collect();
        for variable in &self.dashboard.templating.list {
            values.insert(variable.name.clone(), stand_in(variable));
        }
        let expr = variables::expand(asked.expr, &values);
        match queries::parse(&expr) {
            Ok(parsed) => {
                for (label, value) in &parsed.equalities {
                    if let Some(variable) = patterns.iter().find(|one| value.contains(&stand_in(one))) {
                        let text = format!(
                            "${} can be several values: {label} must be matched by =~ or !~",
                            variable.name
                        );
                        self.problems.push(Problem::of(asked, text).with(asked.expr));
                    }
                }
            }
            Err(error) => {
                let problem = Problem::of(asked, format!("it is no PromQL: {error}"));
                self.problems.push(problem.with(asked.expr));
            }
        }
    }
}

/// A text that stands for the value of a variable and occurs nowhere else.
fn stand_in(variable: &Variable) -> String {
    match variable.kind.as_str() {
        "interval" => "1m".to_owned(),
        _ => format!("grafana_variable_{}", variable.name),
    }
}

/// Values of Grafana's variables about time.
pub fn time_variables(rate_interval: &str, range_ms: u64) -> BTreeMap<String, String> {
    let range_s = range_ms.div_ceil(1000);
    let pairs = [
        ("__rate_interval", rate_interval.to_owned()),
        ("__interval", rate_interval.to_owned()),
        ("__range", format!("{range_s}s")),
        ("__range_s", range_s.to_string()),
        ("__range_ms", range_ms.to_string()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// All texts in a value.
fn texts(value: &Value, take: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(values) => values.iter().for_each(|value| texts(value, take)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, take)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
