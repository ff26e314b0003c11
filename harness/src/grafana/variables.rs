//! Variables in texts: `$name`, `${name}`, `${name:format}`, `[[name]]`.

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use regex::{Captures, Regex};

/// As Grafana's `variableRegex`.
#[expect(clippy::expect_used, reason = "a constant, compiled by every test of this module")]
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$(\w+)|\[\[(\w+?)(?::\w+)?\]\]|\$\{(\w+)(?:\.[^:}]+)?(?::([^}]+))?\}").expect("it compiles")
});

/// Variables that Grafana itself fills in. They begin with two underscores, so that no other can have their name.
const BUILT_IN: [&str; 21] = [
    "__all",
    "__all_variables",
    "__cell",
    "__dashboard",
    "__data",
    "__field",
    "__from",
    "__interval",
    "__interval_ms",
    "__name",
    "__org",
    "__range",
    "__range_ms",
    "__range_s",
    "__rate_interval",
    "__rate_interval_ms",
    "__series",
    "__timezone",
    "__to",
    "__url_time_range",
    "__value",
];

/// Names of the variables in a text, in order.
pub fn used(text: &str) -> impl Iterator<Item = &str> {
    REFERENCE.captures_iter(text).filter_map(|found| name(&found)).filter(|name| !is_group(name))
}

/// True if Grafana fills it in.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

/// The text with variables replaced; those without a value stay as they are, as in Grafana.
pub fn expand<'a>(text: &'a str, values: &BTreeMap<String, String>) -> Cow<'a, str> {
    REFERENCE.replace_all(text, |found: &Captures<'_>| {
        let value = name(found).and_then(|name| values.get(name));
        value.map_or_else(|| found[0].to_owned(), Clone::clone)
    })
}

fn name<'t>(found: &Captures<'t>) -> Option<&'t str> {
    [1, 2, 3].into_iter().find_map(|group| found.get(group)).map(|found| found.as_str())
}

/// `$1` in `label_replace` is a group of the regular expression.
fn is_group(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// A value as the Prometheus data source writes it into a query: a pattern where several can be selected.
pub fn as_pattern(values: &[String]) -> String {
    let escaped: Vec<String> = values.iter().map(|value| escape(value)).collect();
    match escaped.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join("|")),
    }
}

/// Grafana's `prometheusSpecialRegexEscape`: the backslash is doubled because it stands in a PromQL string.
fn escape(value: &str) -> String {
    let mut text = String::new();
    for c in value.chars() {
        match c {
            '\\' => text.push_str(r"\\\\"),
            c if r"$^*{}[]'+?.()|".contains(c) => text.extend([r"\\", c.encode_utf8(&mut [0; 4])]),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_as_grafana_finds_them() {
        let text = r#"rate(x{a="$one",b=~"${two:regex}",c="[[three]]"}[$__rate_interval]) label_replace($1) ${__field.name} 5..$""#;
        let names: Vec<_> = used(text).collect();
        assert_eq!(names, ["one", "two", "three", "__rate_interval", "__field"]);
        assert!(is_built_in("__field") && !is_built_in("__fields"));
    }

    #[test]
    fn values_are_filled_in_and_unknown_ones_stay() {
        let values = BTreeMap::from([("a".to_owned(), "x.y".to_owned())]);
        assert_eq!(expand("$a ${a} ${a:raw} [[a]] $b $1", &values), "x.y x.y x.y x.y $b $1");
    }

    #[test]
    fn patterns_are_escaped() {
        assert_eq!(as_pattern(&["api".to_owned()]), "api");
        assert_eq!(as_pattern(&["a.b".to_owned(), "c".to_owned()]), r"(a\\.b|c)");
    }
}
