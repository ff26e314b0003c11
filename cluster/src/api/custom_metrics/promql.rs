//! Queries from the templates of rules.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::api::selectors::LabelTerms;

/// `<<.Name>>`; anything else between the signs is refused.
static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"<<\s*\.(\w+)\s*>>").ok());

/// What a query is made of.
#[derive(Debug, Default)]
pub struct Parts {
    /// Name of the series.
    pub series: String,
    /// Label matchers.
    pub matchers: Vec<String>,
    /// Labels to group by.
    pub group_by: String,
}

fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut unknown = None;
    let filled = match &*PLACEHOLDER {
        Some(placeholder) => placeholder.replace_all(template, |found: &Captures<'_>| {
            value(&found[1]).unwrap_or_else(|| {
                unknown = Some(found[0].to_owned());
                String::new()
            })
        }),
        None => template.into(),
    };
    match unknown {
        Some(unknown) => Err(format!("{unknown} is not supported")),
        None if filled.contains("<<") => Err(format!("{template:?} has a template that is not supported")),
        None => Ok(filled.into_owned()),
    }
}

/// The query for some parts.
pub fn query(template: &str, parts: &Parts) -> Result<String, String> {
    fill(template, |name| match name {
        "Series" => Some(parts.series.clone()),
        "LabelMatchers" => Some(parts.matchers.join(",")),
        "GroupBy" => Some(parts.group_by.clone()),
        _ => None,
    })
}

/// Whether a template can be filled.
pub fn check(template: &str) -> Result<(), String> {
    if template.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    query(template, &Parts::default()).map(drop)
}

/// The label of a resource by a template: group and singular name, dots become underscores.
pub fn label(template: &str, group: &str, resource: &str) -> Result<String, String> {
    fill(template, |name| match name {
        "Group" => Some(group.replace('.', "_")),
        "Resource" => Some(resource.to_owned()),
        _ => None,
    })
}

/// `label="value"`, or a choice of several values.
pub fn matcher(label: &str, values: &[String]) -> String {
    match values {
        [one] => format!("{label}={}", quoted(one)),
        many => format!("{label}=~{}", quoted(&many.join("|"))),
    }
}

/// A label selector as matchers.
pub fn matchers(selector: &LabelTerms) -> Result<Vec<String>, String> {
    use crate::api::selectors::Operator::{Absent, Exists, Greater, In, Less, NotIn};
    let matcher = |key: &str, operator: &_| match operator {
        In(values) => Ok(matcher(key, values)),
        NotIn(values) => Ok(match values.as_slice() {
            [one] => format!("{key}!={}", quoted(one)),
            many => format!("{key}!~{}", quoted(&many.join("|"))),
        }),
        Exists => Ok(format!("{key}!=\"\"")),
        Absent => Ok(format!("{key}=\"\"")),
        Greater(_) | Less(_) => Err(format!("{key}: labels of series cannot be compared as numbers")),
    };
    selector.terms().map(|(key, operator)| matcher(key, operator)).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        let parts = Parts {
            series: "http_requests_total".into(),
            matchers: vec![
                matcher("namespace", &["gallery".into()]),
                matcher("pod", &["a".into(), "b".into()]),
            ],
            group_by: "pod".into(),
        };
        let template = "sum(rate(<<.Series>>{<< .LabelMatchers >>}[2m])) by (<<.GroupBy>>)";
        let expected = r#"sum(rate(http_requests_total{namespace="gallery",pod=~"a|b"}[2m])) by (pod)"#;
        assert_eq!(query(template, &parts).unwrap(), expected);
        assert!(check("<<index .LabelValuesByName \"x\">>").is_err());
        assert!(check("<<.GroupBySlice>>").is_err());
    }

    #[test]
    fn selectors_become_matchers() {
        let selector =
            LabelTerms::parse("queue=votes,tier in (a,b),zone!=x,old notin (y,z),set,!unset").unwrap();
        let expected =
            ["queue=\"votes\"", "tier=~\"a|b\"", "zone!=\"x\"", "old!~\"y|z\"", "set!=\"\"", "unset=\"\""];
        assert_eq!(matchers(&selector).unwrap(), expected);
        assert!(matchers(&LabelTerms::parse("a>1").unwrap()).is_err());
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
    }
}
