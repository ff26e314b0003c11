//! The Prometheus text format, as far as the servers' own metrics need it.

use harness_event::Labels;

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSample {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Value.
    pub value: f64,
}

/// Samples of a scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<MetricSample>);

impl Metrics {
    /// Reads the text format. Comments and lines that are no samples are left out.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(|line| sample(line.trim())).collect())
    }

    /// Samples of a metric.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a MetricSample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// Sum over all series of a metric; none if there are none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.of(name).map(|sample| sample.value).reduce(|a, b| a + b)
    }

    /// Sum over the series of a metric with this label; none if there are none.
    pub fn sum_with(&self, name: &str, label: &str, value: &str) -> Option<f64> {
        let with_label =
            |sample: &&MetricSample| sample.labels.get(label).is_some_and(|found| found == value);
        self.of(name).filter(with_label).map(|sample| sample.value).reduce(|a, b| a + b)
    }
}

fn sample(line: &str) -> Option<MetricSample> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let name_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Labels::new(), rest),
    };
    // A time stamp may follow.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    (!name.is_empty()).then(|| MetricSample { name: name.to_owned(), labels, value })
}

/// `a="b",c="d"}` and what follows it.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let quoted = after.trim_start().strip_prefix('"')?;
        let (mut value, mut end, mut escaped) = (String::new(), None, false);
        for (at, c) in quoted.char_indices() {
            match c {
                'n' if escaped => value.push('\n'),
                _ if escaped => value.push(c),
                '\\' => {}
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                _ => value.push(c),
            }
            escaped = c == '\\' && !escaped;
        }
        labels.insert(name.trim().to_owned(), value);
        rest = &quoted[end?..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_text_format() {
        let metrics = Metrics::parse(
            "# HELP a b\n# TYPE a counter\na 1\nb{x=\"1\",} 2.5e3 1700000000000\nb{x=\"q\\\"u\\\\o\\nte}, y\",z=\"\"} +Inf\n\nbroken{x=\"\nno value\nc{} NaN\n",
        );
        assert_eq!(metrics.sum("a"), Some(1.0));
        assert_eq!(metrics.sum_with("b", "x", "1"), Some(2500.0));
        assert_eq!(metrics.sum_with("b", "x", "q\"u\\o\nte}, y"), Some(f64::INFINITY));
        assert!(metrics.sum("c").unwrap().is_nan());
        assert_eq!(metrics.sum("absent"), None);
        assert_eq!(metrics.0.len(), 4);
    }

    proptest! {
        #[test]
        fn never_panics(text: String) {
            let _ = Metrics::parse(&text);
        }

        #[test]
        fn label_values_survive(value in ".*") {
            let escaped = value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
            prop_assume!(!escaped.contains(['\r', '\u{2028}']));
            let metrics = Metrics::parse(&format!("m{{v=\"{escaped}\"}} 1"));
            prop_assert_eq!(metrics.sum_with("m", "v", &value), Some(1.0));
        }
    }
}
