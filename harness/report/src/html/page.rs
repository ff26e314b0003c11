//! The page.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use harness_event::{Event, Verdict};
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::Link;

use super::{
    alerts::Alerts,
    checks::{self, CheckView},
    figures::Figures,
    head::Head,
    log::Log,
    pods::Pods,
    run::{self, RunView},
    story::Story,
    text::{self, Anchors},
    timeline::{self, Timeline},
};

/// What the log does not know, or only the caller can say.
#[derive(Clone, Debug, Default)]
pub struct HtmlOptions {
    /// Text of the scenario file: each expectation then shows its lines. Left out unless its SHA-256 is the log's.
    pub scenario: Option<String>,
    /// Directory of runs and ledgers, where it is not the usual one: for the commands that the page names.
    pub state_dir: Option<String>,
    /// Where else the run is to be seen: dashboards with its time range. Only `http` and `https`.
    pub links: Vec<Link>,
    /// The log's last line was incomplete and was left out.
    pub torn: bool,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum HtmlError {
    /// The log does not begin with `run_started`.
    #[error("the event log does not begin with a run_started event")]
    NoStart,
    /// A template could not be written: a defect of this program.
    #[error("could not write the report's page")]
    Template(#[from] minijinja::Error),
}

const STYLE: &str = include_str!("templates/style.css");
const SCRIPT: &str = include_str!("templates/script.js");

/// Templates by name. `.html` switches autoescape on.
const TEMPLATES: [(&str, &str); 11] = [
    ("page.html", include_str!("templates/page.html")),
    ("macros.html", include_str!("templates/macros.html")),
    ("head.html", include_str!("templates/head.html")),
    ("timeline.html", include_str!("templates/timeline.html")),
    ("checks.html", include_str!("templates/checks.html")),
    ("faults.html", include_str!("templates/faults.html")),
    ("alerts.html", include_str!("templates/alerts.html")),
    ("figures.html", include_str!("templates/figures.html")),
    ("pods.html", include_str!("templates/pods.html")),
    ("story.html", include_str!("templates/story.html")),
    ("run.html", include_str!("templates/run.html")),
];

#[derive(Serialize)]
struct Page<'a> {
    style: Value,
    script: Value,
    script_hash: String,
    run: &'a str,
    harness: &'a str,
    torn: bool,
    judged: bool,
    head: Head,
    timeline: Timeline,
    checks: Vec<CheckView>,
    alerts: Alerts,
    figures: Figures,
    pods: Pods,
    story: Story,
    environment: RunView,
}

/// The run on one page: HTML without any reference to the outside. A pure function of log and options.
///
/// `verdict` is the log's own, [`Verdict::of`].
///
/// # Errors
/// [`HtmlError::NoStart`] if the events are not those of a run.
pub fn html(events: &[Event], verdict: &Verdict, options: &HtmlOptions) -> Result<String, HtmlError> {
    let log = Log::of(events, verdict).ok_or(HtmlError::NoStart)?;
    let mut anchors = Anchors::default();
    // The page's own come first.
    for own in
        ["verdict", "timeline", "expectations", "alerts", "figures", "pods", "story", "environment", "faults"]
    {
        anchors.new_for("", own);
    }
    let scenario =
        options.scenario.as_deref().filter(|text| hex(&Sha256::digest(text.as_bytes())) == log.sha256);
    let axis = timeline::axis(&log);
    let checks = if log.has_verdict() { checks::views(&log, scenario, &mut anchors) } else { Vec::new() };
    let recover = run::command(&log, options, "recover");
    let anchor = |id: &str| {
        checks.iter().find(|check| check.id == id).map(|check| check.anchor.clone()).unwrap_or_default()
    };
    let page = Page {
        style: Value::from_safe_string(STYLE.to_owned()),
        script: Value::from_safe_string(SCRIPT.to_owned()),
        script_hash: BASE64_STANDARD.encode(Sha256::digest(SCRIPT.as_bytes())),
        run: log.run,
        harness: log.harness,
        torn: options.torn,
        judged: log.was_judged(),
        head: Head::of(&log, recover, anchor),
        timeline: Timeline::of(&log, &axis),
        alerts: Alerts::of(&log),
        figures: Figures::of(&log),
        pods: Pods::of(&log, &mut anchors),
        story: Story::of(&log),
        environment: RunView::of(&log, options),
        checks,
    };
    Ok(environment()?.get_template("page.html")?.render(page)?)
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(text::write);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_template_calls_anything_safe() {
        for (name, source) in TEMPLATES {
            for word in ["|safe", "| safe", "autoescape", "<style", "onclick", "javascript:"] {
                let own = name == "page.html" && word == "<style";
                assert!(own || !source.contains(word), "{name} contains {word}");
            }
        }
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
        for word in ["innerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "http"] {
            assert!(!SCRIPT.contains(word), "the script contains {word}");
        }
        assert!(!STYLE.contains("url(http") && !STYLE.contains("@import"));
    }
}
