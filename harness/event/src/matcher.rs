//! Label sets and matchers, with the meaning that Alertmanager and Prometheus give them.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A label set, sorted by name.
pub type Labels = BTreeMap<String, String>;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum MatchOp {
    /// `=`
    #[serde(rename = "=")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
    /// `=~`, anchored at both ends
    #[serde(rename = "=~")]
    Regex,
    /// `!~`, anchored at both ends
    #[serde(rename = "!~")]
    NotRegex,
}

/// One label matcher. A label that is absent has the empty value, as in Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LabelMatcher {
    /// Label name.
    pub name: String,
    /// Comparison.
    pub op: MatchOp,
    /// Value or regular expression.
    pub value: String,
}

impl LabelMatcher {
    /// `name="value"`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into() }
    }

    /// True if the label set satisfies this matcher. A regular expression that does not compile matches nothing; scenario
    /// files are checked for that before a run.
    pub fn matches(&self, labels: &Labels) -> bool {
        let actual = labels.get(&self.name).map_or("", String::as_str);
        let regex = || regex_lite::Regex::new(&format!("^(?:{})$", self.value)).ok();
        match self.op {
            MatchOp::Equal => actual == self.value,
            MatchOp::NotEqual => actual != self.value,
            MatchOp::Regex => regex().is_some_and(|regex| regex.is_match(actual)),
            MatchOp::NotRegex => regex().is_some_and(|regex| !regex.is_match(actual)),
        }
    }

    /// True if all matchers are satisfied.
    pub fn all(matchers: &[Self], labels: &Labels) -> bool {
        matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

impl fmt::Display for LabelMatcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(out, "{}{op}{:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_follow_prometheus() {
        let labels = Labels::from([("severity".to_owned(), "page".to_owned())]);
        let matcher =
            |name: &str, op, value: &str| LabelMatcher { name: name.into(), op, value: value.into() };
        assert!(matcher("severity", MatchOp::Equal, "page").matches(&labels));
        assert!(matcher("severity", MatchOp::Regex, "pa.*").matches(&labels));
        assert!(!matcher("severity", MatchOp::Regex, "pa").matches(&labels), "anchored");
        assert!(matcher("absent", MatchOp::Equal, "").matches(&labels), "absent is empty");
        assert!(matcher("absent", MatchOp::NotEqual, "x").matches(&labels));
        assert!(!matcher("severity", MatchOp::Regex, "(").matches(&labels), "never by mistake");
        assert!(!matcher("severity", MatchOp::NotRegex, "(").matches(&labels), "never by mistake");
    }
}
