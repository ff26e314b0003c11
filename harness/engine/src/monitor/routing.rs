//! Alertmanager's routing tree and inhibition rules, from the loaded configuration: which receiver an alert reaches, and how
//! long grouping may hold it back.

use std::collections::BTreeMap;

use harness_event::{LabelMatcher, Labels, MatchOp, Millis};
use serde::{Deserialize, Deserializer};

use super::duration::parse_duration;

/// A configuration that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    /// Not the YAML of an Alertmanager configuration.
    #[error("the Alertmanager configuration could not be read: {0}")]
    Yaml(String),
    /// A matcher that is none.
    #[error("{0:?} is not a matcher")]
    Matcher(String),
    /// A duration that is none.
    #[error("{0:?} is not a duration")]
    Duration(String),
    /// No root route.
    #[error("the Alertmanager configuration has no route")]
    NoRoute,
}

/// Routes, receivers and inhibition rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Routing {
    root: Route,
    inhibitions: Vec<Inhibition>,
    /// Webhook URLs by receiver.
    receivers: BTreeMap<String, Vec<String>>,
}

/// A route that an alert takes.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchedRoute {
    /// Receiver.
    pub receiver: String,
    /// Labels that alerts are grouped by; `...` stands for all.
    pub group_by: Vec<String>,
    /// Wait before the first notification of a new group.
    pub group_wait: Millis,
    /// Time between notifications of a group that changed.
    pub group_interval: Millis,
    /// Time between notifications of a group that did not change.
    pub repeat_interval: Millis,
    /// Time intervals in which the route is muted.
    pub mute_time_intervals: Vec<String>,
    /// Time intervals outside of which the route is muted.
    pub active_time_intervals: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Route {
    matchers: Vec<LabelMatcher>,
    matched: MatchedRoute,
    continues: bool,
    routes: Vec<Route>,
}

/// An inhibition rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Inhibition {
    /// Alerts that inhibit.
    pub source: Vec<LabelMatcher>,
    /// Alerts that are inhibited.
    pub target: Vec<LabelMatcher>,
    /// Labels that both must have in common.
    pub equal: Vec<String>,
}

impl Routing {
    /// Reads the YAML that `/api/v2/status` gives as `config.original`.
    ///
    /// # Errors
    /// See [`RoutingError`].
    pub fn parse(yaml: &str) -> Result<Self, RoutingError> {
        let config: ConfigYaml =
            serde_saphyr::from_str(yaml).map_err(|error| RoutingError::Yaml(error.to_string()))?;
        let defaults = MatchedRoute {
            receiver: String::new(),
            group_by: Vec::new(),
            group_wait: Millis::from_secs(30),
            group_interval: Millis::from_secs(300),
            repeat_interval: Millis::from_secs(4 * 3600),
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
        };
        let root = route(config.route.ok_or(RoutingError::NoRoute)?, &defaults)?;
        let inhibition = |rule: InhibitYaml| {
            Ok(Inhibition {
                source: matchers(rule.source_match, rule.source_match_re, &rule.source_matchers)?,
                target: matchers(rule.target_match, rule.target_match_re, &rule.target_matchers)?,
                equal: rule.equal,
            })
        };
        let url = |webhook: WebhookYaml| webhook.url.unwrap_or_else(|| "from a file".to_owned());
        let receiver = |one: ReceiverYaml| (one.name, one.webhook_configs.into_iter().map(url).collect());
        Ok(Self {
            root,
            inhibitions: config.inhibit_rules.into_iter().map(inhibition).collect::<Result<_, _>>()?,
            receivers: config.receivers.into_iter().map(receiver).collect(),
        })
    }

    /// The routes that an alert with these labels takes, in order.
    pub fn route_for(&self, labels: &Labels) -> Vec<MatchedRoute> {
        let (mut found, _) = self.root.matching(labels, &|_| false);
        // The root takes what nothing else does, even if it has matchers (Alertmanager allows none there).
        if found.is_empty() {
            found.push(&self.root);
        }
        found.into_iter().map(|route| route.matched.clone()).collect()
    }

    /// The routes that an alert may take of which only some labels are known. `open` says which labels it may have beside
    /// them, with any value.
    pub fn possible_routes(&self, labels: &Labels, open: impl Fn(&str) -> bool) -> Vec<MatchedRoute> {
        let (found, _) = self.root.matching(labels, &open);
        found.into_iter().map(|route| route.matched.clone()).collect()
    }

    /// The inhibition rules that may hold an alert back of which only some labels are known.
    pub fn possible_inhibitions(&self, labels: &Labels, open: impl Fn(&str) -> bool) -> Vec<&Inhibition> {
        let may_be_target = |rule: &&Inhibition| decide(&rule.target, labels, &open) != Decision::No;
        self.inhibitions.iter().filter(may_be_target).collect()
    }

    /// All receivers, sorted by name.
    pub fn receivers(&self) -> impl Iterator<Item = &str> {
        self.receivers.keys().map(String::as_str)
    }

    /// Webhook URLs of a receiver as far as the API shows them.
    pub fn webhooks(&self, receiver: &str) -> &[String] {
        self.receivers.get(receiver).map_or(&[], Vec::as_slice)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    No,
    Maybe,
    Yes,
}

fn decide(matchers: &[LabelMatcher], labels: &Labels, open: &dyn Fn(&str) -> bool) -> Decision {
    let one = |matcher: &LabelMatcher| match labels.contains_key(&matcher.name) {
        false if open(&matcher.name) => Decision::Maybe,
        _ if matcher.matches(labels) => Decision::Yes,
        _ => Decision::No,
    };
    matchers.iter().map(one).fold(Decision::Yes, |all, one| match (all, one) {
        (Decision::No, _) | (_, Decision::No) => Decision::No,
        (Decision::Maybe, _) | (_, Decision::Maybe) => Decision::Maybe,
        _ => Decision::Yes,
    })
}

impl Route {
    /// As `dispatch.Route.Match`: the deepest routes that match; a match ends the search among its siblings unless it says
    /// `continue`. An uncertain match counts, but ends nothing.
    fn matching(&self, labels: &Labels, open: &dyn Fn(&str) -> bool) -> (Vec<&Self>, Decision) {
        let decision = decide(&self.matchers, labels, open);
        if decision == Decision::No {
            return (Vec::new(), decision);
        }
        let (mut found, mut taken) = (Vec::new(), false);
        for child in &self.routes {
            let (below, certain) = child.matching(labels, open);
            found.extend(below);
            taken |= certain == Decision::Yes;
            if certain == Decision::Yes && !child.continues {
                break;
            }
        }
        if !taken {
            found.push(self);
        }
        (found, decision)
    }
}

#[derive(Deserialize)]
struct ConfigYaml {
    route: Option<RouteYaml>,
    #[serde(default, deserialize_with = "null_is_empty")]
    inhibit_rules: Vec<InhibitYaml>,
    #[serde(default, deserialize_with = "null_is_empty")]
    receivers: Vec<ReceiverYaml>,
}

#[derive(Deserialize)]
struct ReceiverYaml {
    name: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    webhook_configs: Vec<WebhookYaml>,
}

#[derive(Deserialize)]
struct WebhookYaml {
    url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RouteYaml {
    receiver: Option<String>,
    group_by: Option<Vec<String>>,
    group_wait: Option<String>,
    group_interval: Option<String>,
    repeat_interval: Option<String>,
    #[serde(rename = "match", deserialize_with = "null_is_empty")]
    equal: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    match_re: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    matchers: Vec<String>,
    #[serde(rename = "continue")]
    continues: bool,
    #[serde(deserialize_with = "null_is_empty")]
    mute_time_intervals: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    active_time_intervals: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    routes: Vec<RouteYaml>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InhibitYaml {
    #[serde(deserialize_with = "null_is_empty")]
    source_match: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    source_match_re: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    source_matchers: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    target_match: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    target_match_re: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    target_matchers: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    equal: Vec<String>,
}

/// A key without a value: `routes:`.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Receiver, grouping and times are inherited, time intervals are not.
fn route(yaml: RouteYaml, parent: &MatchedRoute) -> Result<Route, RoutingError> {
    let time = |text: Option<String>, inherited: Millis| match text {
        Some(text) => parse_duration(&text).ok_or(RoutingError::Duration(text)),
        None => Ok(inherited),
    };
    let matched = MatchedRoute {
        receiver: yaml.receiver.filter(|name| !name.is_empty()).unwrap_or_else(|| parent.receiver.clone()),
        group_by: yaml.group_by.unwrap_or_else(|| parent.group_by.clone()),
        group_wait: time(yaml.group_wait, parent.group_wait)?,
        group_interval: time(yaml.group_interval, parent.group_interval)?,
        repeat_interval: time(yaml.repeat_interval, parent.repeat_interval)?,
        mute_time_intervals: yaml.mute_time_intervals,
        active_time_intervals: yaml.active_time_intervals,
    };
    Ok(Route {
        matchers: matchers(yaml.equal, yaml.match_re, &yaml.matchers)?,
        routes: yaml.routes.into_iter().map(|child| route(child, &matched)).collect::<Result<_, _>>()?,
        matched,
        continues: yaml.continues,
    })
}

fn matchers(equal: Labels, regex: Labels, texts: &[String]) -> Result<Vec<LabelMatcher>, RoutingError> {
    let mut all: Vec<LabelMatcher> =
        equal.into_iter().map(|(name, value)| LabelMatcher::equal(name, value)).collect();
    all.extend(regex.into_iter().map(|(name, value)| LabelMatcher { name, op: MatchOp::Regex, value }));
    for text in texts {
        all.extend(parse_matchers(text)?);
    }
    Ok(all)
}

/// `a="b"`, `a=~b`, or several in braces, as Alertmanager's `labels.ParseMatchers` reads them.
fn parse_matchers(text: &str) -> Result<Vec<LabelMatcher>, RoutingError> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut tokens, mut token, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        match c {
            ',' if !quoted => {
                tokens.push(std::mem::take(&mut token));
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        token.push(c);
    }
    if !token.trim().is_empty() {
        tokens.push(token);
    }
    tokens
        .iter()
        .map(|token| parse_matcher(token).ok_or_else(|| RoutingError::Matcher(token.clone())))
        .collect()
}

fn parse_matcher(text: &str) -> Option<LabelMatcher> {
    let text = text.trim();
    let (name, rest) = match text.strip_prefix('"') {
        // Quoted names came with UTF-8 matchers in 0.27.
        Some(quoted) => {
            let end = closing_quote(quoted)?;
            (unescape(&quoted[..end]), &quoted[end + 1..])
        }
        None => {
            let end = text.find(|c: char| c.is_whitespace() || "=!~".contains(c))?;
            (text[..end].to_owned(), &text[end..])
        }
    };
    let rest = rest.trim_start();
    let operators =
        [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let (op, value) = operators.into_iter().find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)))?;
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(inside) => unescape(inside.strip_suffix('"')?),
        None => unescape(value),
    };
    (!name.is_empty()).then_some(LabelMatcher { name, op, value })
}

/// Position of the first quote that is not escaped.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == '"' && !escaped {
            return Some(at);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

fn unescape(text: &str) -> String {
    let (mut plain, mut escaped) = (String::new(), false);
    for c in text.chars() {
        match c {
            'n' if escaped => plain.push('\n'),
            '"' | '\\' if escaped => plain.push(c),
            // An escape that means nothing stays as it is: `\d` in a regular expression.
            _ if escaped => plain.extend(['\\', c]),
            '\\' => {}
            _ => plain.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    if escaped {
        plain.push('\\');
    }
    plain
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
