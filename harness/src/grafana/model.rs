//! The parts of Grafana's dashboard JSON that the checks read. Everything else is for Grafana's own types to judge
//! (`dashboards/check`).

use serde::Deserialize;
use serde_json::Value;

/// A dashboard.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Dashboard {
    /// What links and updates refer to.
    pub uid: Option<String>,
    /// Name for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Number in one Grafana's database.
    pub id: Option<Value>,
    /// Placeholders of an export "for sharing externally"; provisioning does not fill them in.
    #[serde(rename = "__inputs")]
    pub inputs: Option<Value>,
    /// Version of the JSON model.
    pub schema_version: Option<u32>,
    /// Tags.
    pub tags: Vec<String>,
    /// Variables.
    pub templating: List<Variable>,
    /// Annotation queries.
    pub annotations: List<Annotation>,
    /// Panels and rows.
    pub panels: Vec<Panel>,
}

/// `{"list": [...]}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct List<T> {
    /// Its elements.
    pub list: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

/// A variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Variable {
    /// Name, without dollar.
    pub name: String,
    /// `query`, `datasource`, `custom`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Where a query variable asks.
    pub datasource: Option<Value>,
    /// The query: a text, or an object with the text in it.
    pub query: Option<Value>,
    /// Filter over the answer.
    pub regex: Option<String>,
    /// What is selected when the dashboard is opened.
    pub current: Current,
    /// What stands for "All" in queries.
    pub all_value: Option<String>,
    /// "All" can be selected.
    pub include_all: bool,
    /// Several values can be selected.
    pub multi: bool,
}

impl Variable {
    /// The text of the query.
    pub fn query_text(&self) -> &str {
        let query = self.query.as_ref();
        query.and_then(|query| query.as_str().or_else(|| query.get("query")?.as_str())).unwrap_or_default()
    }

    /// True if its value is a regular expression in queries.
    pub fn is_pattern(&self) -> bool {
        self.multi || self.include_all
    }
}

/// The selection of a variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Current {
    /// A text or a list of texts; `$__all` stands for all.
    pub value: Value,
}

impl Current {
    /// The selected values.
    pub fn values(&self) -> Vec<&str> {
        match &self.value {
            Value::String(value) => vec![value],
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// An annotation query.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Annotation {
    /// Name for people.
    pub name: String,
    /// Where it asks.
    pub datasource: Option<Value>,
    /// PromQL, as the Prometheus data source reads it.
    pub expr: Option<String>,
    /// The same, as newer versions of it do.
    pub target: Option<Target>,
}

/// A panel or a row.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Panel {
    /// Number within the dashboard.
    pub id: Option<u64>,
    /// Name for people.
    pub title: String,
    /// Kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it shows, in the panel's corner.
    pub description: Option<String>,
    /// Where it asks.
    pub datasource: Option<Value>,
    /// Place.
    pub grid_pos: Option<GridPos>,
    /// Units, thresholds.
    pub field_config: Value,
    /// Queries.
    pub targets: Vec<Target>,
    /// Panels of a collapsed row.
    pub panels: Vec<Panel>,
    /// Variable that it is repeated for.
    pub repeat: Option<String>,
}

impl Panel {
    /// Kinds that ask for nothing.
    pub fn is_silent(&self) -> bool {
        ["row", "text", "news", "dashlist", "welcome"].contains(&self.kind.as_str())
    }

    /// The unit of its numbers.
    pub fn unit(&self) -> Option<&str> {
        self.field_config.pointer("/defaults/unit").and_then(Value::as_str).filter(|unit| !unit.is_empty())
    }

    /// Why it may be empty, if the description says so: the sentence that begins with [`NO_DATA`].
    pub fn may_be_empty(&self) -> Option<&str> {
        let (_, reason) = self.description.as_deref()?.split_once(NO_DATA)?;
        Some(reason.trim()).filter(|reason| !reason.is_empty())
    }
}

/// What a description says before the reason why a panel may be empty. For who looks at the empty panel, and for the checks.
pub const NO_DATA: &str = "No data:";

/// Where a panel is: 24 columns, rows of 30 pixels.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct GridPos {
    /// Left column.
    pub x: u32,
    /// Top row.
    pub y: u32,
    /// Columns.
    pub w: u32,
    /// Rows.
    pub h: u32,
}

/// A query of a panel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Target {
    /// Name within the panel.
    pub ref_id: String,
    /// Where it asks; the panel's data source without it.
    pub datasource: Option<Value>,
    /// PromQL.
    pub expr: String,
    /// Asks for one point in time only.
    pub instant: bool,
    /// Asks for the range.
    pub range: Option<bool>,
    /// Not asked, not shown.
    pub hide: bool,
}
