//! Label and field selectors.

use std::collections::BTreeMap;

use super::{resources::Resource, status::ApiError};
use crate::store::Stored;

/// What a list, watch or deletion of a collection is restricted to.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    labels: Vec<Requirement>,
    fields: Vec<FieldTerm>,
}

/// A label selector in its text form, as the scale subresource gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelTerms(Vec<Requirement>);

impl LabelTerms {
    /// Reads the text; an empty one matches everything.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_labels(text).map(Self)
    }

    /// The requirements, each with its label.
    pub fn terms(&self) -> impl Iterator<Item = (&str, &Operator)> {
        self.0.iter().map(|requirement| (requirement.key.as_str(), &requirement.operator))
    }

    /// True if the labels match.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| requirement.matches(labels.get(&requirement.key)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

/// What a requirement asks of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// One of the values.
    In(Vec<String>),
    /// None of the values.
    NotIn(Vec<String>),
    /// The label is there.
    Exists,
    /// The label is not there.
    Absent,
    /// A whole number above the bound, as `replicas>2`.
    Greater(i64),
    /// A whole number below the bound.
    Less(i64),
}

#[derive(Debug, Clone)]
struct FieldTerm {
    field: Field,
    equal: bool,
    value: String,
}

#[derive(Debug, Clone, Copy)]
enum Field {
    Name,
    Namespace,
    /// Index into the resource's selectable fields.
    Extracted(usize),
}

impl Selection {
    /// Reads both selectors; 400 with the real server's message if one is wrong.
    pub fn parse(resource: &Resource, labels: Option<&str>, fields: Option<&str>) -> Result<Self, ApiError> {
        Ok(Self {
            labels: labels.map(parse_labels).transpose().map_err(ApiError::bad_request)?.unwrap_or_default(),
            fields: fields.map(|text| parse_fields(resource, text)).transpose()?.unwrap_or_default(),
        })
    }

    /// True if everything matches.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// True if the object matches.
    pub fn matches(&self, object: &Stored) -> bool {
        self.labels.iter().all(|requirement| requirement.matches(object.labels.get(&requirement.key)))
            && self.fields.iter().all(|term| {
                let value = match term.field {
                    Field::Name => &object.key.name,
                    Field::Namespace => &object.key.namespace,
                    Field::Extracted(index) => &object.fields[index],
                };
                // Booleans that are absent count as false.
                let equal = *value == term.value || (value.is_empty() && term.value == "false");
                equal == term.equal
            })
    }
}

impl Requirement {
    fn matches(&self, value: Option<&String>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.operator {
            Operator::In(wanted) => value.is_some_and(|value| wanted.contains(value)),
            Operator::NotIn(unwanted) => value.is_none_or(|value| !unwanted.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::Greater(bound) => number().is_some_and(|number| number > *bound),
            Operator::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<FieldTerm>, ApiError> {
    let mut terms = Vec::new();
    for term in text.split(',').filter(|term| !term.is_empty()) {
        let (key, equal, value) = if let Some((key, value)) = term.split_once("!=") {
            (key, false, value)
        } else if let Some((key, value)) = term.split_once("==") {
            (key, true, value)
        } else if let Some((key, value)) = term.split_once('=') {
            (key, true, value)
        } else {
            return Err(ApiError::bad_request(format!(
                "invalid selector: '{term}'; can't understand '{term}'"
            )));
        };
        let field = match key {
            "metadata.name" => Field::Name,
            "metadata.namespace" if resource.namespaced => Field::Namespace,
            _ => match resource.fields.iter().position(|(label, _)| *label == key) {
                Some(index) => Field::Extracted(index),
                None if ["v1", "apps/v1"].contains(&resource.api_version().as_str())
                    && resource.fields.is_empty() =>
                {
                    let message = format!(
                        "\"{key}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    );
                    return Err(ApiError::bad_request(message));
                }
                None => return Err(ApiError::bad_request(format!("field label not supported: {key}"))),
            },
        };
        terms.push(FieldTerm { field, equal, value: value.to_owned() });
    }
    Ok(terms)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
}

fn tokens(text: &str) -> Vec<Token> {
    const SIGNS: [&str; 9] = ["!=", "==", "=", "!", ",", "(", ")", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "!=,()<>".contains(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    tokens
}

/// The grammar of `k8s.io/apimachinery/pkg/labels`: equality and set-based requirements.
fn parse_labels(text: &str) -> Result<Vec<Requirement>, String> {
    let mut tokens = tokens(text).into_iter().peekable();
    let mut requirements = Vec::new();
    while tokens.peek().is_some() {
        let requirement = match tokens.next() {
            Some(Token::Sign("!")) => {
                Requirement { key: word(tokens.next(), "identifier")?, operator: Operator::Absent }
            }
            Some(Token::Word(key)) => {
                let operator = match tokens.peek() {
                    None | Some(Token::Sign(",")) => Operator::Exists,
                    _ => parse_operator(&mut tokens)?,
                };
                Requirement { key, operator }
            }
            other => {
                return Err(format!(
                    "unable to parse requirement: found '{}', expected: !, identifier, or ','",
                    show(other.as_ref())
                ));
            }
        };
        validate_key(&requirement.key)?;
        requirements.push(requirement);
        match tokens.next() {
            None => break,
            Some(Token::Sign(",")) if tokens.peek().is_some() => {}
            Some(Token::Sign(",")) => return Err("found '', expected: identifier after ','".to_owned()),
            other => {
                return Err(format!("found '{}', expected: ',' or 'end of string'", show(other.as_ref())));
            }
        }
    }
    Ok(requirements)
}

fn parse_operator(tokens: &mut std::iter::Peekable<std::vec::IntoIter<Token>>) -> Result<Operator, String> {
    match tokens.next() {
        Some(Token::Sign("=" | "==")) => Ok(Operator::In(vec![value(tokens)?])),
        Some(Token::Sign("!=")) => Ok(Operator::NotIn(vec![value(tokens)?])),
        Some(Token::Sign(sign @ (">" | "<"))) => {
            let text = value(tokens)?;
            let bound = text.parse().map_err(|_| {
                format!("unable to parse requirement: values[0][]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer")
            })?;
            Ok(if sign == ">" { Operator::Greater(bound) } else { Operator::Less(bound) })
        }
        Some(Token::Word(word)) if word == "in" => Ok(Operator::In(values(tokens)?)),
        Some(Token::Word(word)) if word == "notin" => Ok(Operator::NotIn(values(tokens)?)),
        other => Err(format!(
            "unable to parse requirement: found '{}', expected: in, notin, =, ==, !=, gt, lt",
            show(other.as_ref())
        )),
    }
}

/// A value may be missing (`app=`).
fn value(tokens: &mut std::iter::Peekable<std::vec::IntoIter<Token>>) -> Result<String, String> {
    match tokens.peek() {
        None | Some(Token::Sign(",")) => Ok(String::new()),
        _ => {
            word(tokens.next(), "identifier").map_err(|error| format!("unable to parse requirement: {error}"))
        }
    }
}

fn values(tokens: &mut std::iter::Peekable<std::vec::IntoIter<Token>>) -> Result<Vec<String>, String> {
    match tokens.next() {
        Some(Token::Sign("(")) => {}
        other => {
            return Err(format!(
                "unable to parse requirement: found '{}' expected: '('",
                show(other.as_ref())
            ));
        }
    }
    let mut values = Vec::new();
    loop {
        match tokens.next() {
            Some(Token::Word(word)) => values.push(word),
            Some(Token::Sign(",")) => {}
            Some(Token::Sign(")")) => return Ok(values),
            other => {
                return Err(format!(
                    "unable to parse requirement: found '{}', expected: ',', or ')'",
                    show(other.as_ref())
                ));
            }
        }
    }
}

fn word(token: Option<Token>, expected: &str) -> Result<String, String> {
    match token {
        Some(Token::Word(word)) => Ok(word),
        other => Err(format!("found '{}', expected: {expected}", show(other.as_ref()))),
    }
}

fn show(token: Option<&Token>) -> &str {
    match token {
        None => "",
        Some(Token::Word(word)) => word,
        Some(Token::Sign(sign)) => sign,
    }
}

fn validate_key(key: &str) -> Result<(), String> {
    match super::schema::names::qualified_name_problem(key) {
        None => Ok(()),
        Some(problem) => Err(format!("unable to parse requirement: key: Invalid value: {key:?}: {problem}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let map: std::collections::BTreeMap<String, String> =
            labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        parse_labels(selector).unwrap().iter().all(|r| r.matches(map.get(&r.key)))
    }

    #[test]
    fn equality_and_set_based_selectors() {
        let web = [("app", "web"), ("tier", "front"), ("weight", "7")];
        for (selector, expected) in [
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app in (api, web),tier", true),
            ("app notin (api,web)", false),
            ("missing notin (x)", true),
            ("!missing", true),
            ("!app", false),
            ("weight>6,weight<8", true),
            ("app=", false),
        ] {
            assert_eq!(matches(selector, &web), expected, "{selector}");
        }
    }

    #[test]
    fn a_wrong_selector_is_refused_in_the_real_servers_words() {
        assert_eq!(
            parse_labels("a===b").unwrap_err(),
            "unable to parse requirement: found '=', expected: identifier"
        );
    }
}
