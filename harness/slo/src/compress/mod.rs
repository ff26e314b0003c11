//! Compressed time: alert rules and everything that times them, with all durations divided alike.
//!
//! A *time scale* says how many seconds of production time one second of a configuration stands for. What is written for
//! production has scale 1. A configuration that was written for short test runs, one scrape a second in place of one in 30, has
//! scale 30 and says so ([`TIME_SCALE`]). Compressing by 30 brings everything to scale 30: production rules become 30 times
//! faster, those that are already stay as they are.
//!
//! Dividing keeps the meaning of a rule only if its threshold does not depend on the length of time: a rate does not, an
//! increase does. Rules with such thresholds are found and named in the [`Report`], and rules whose ranges would hold too
//! few samples are refused.

mod alertmanager;
mod duration;
mod loaded;
mod manifests;
mod prometheus;
mod report;
mod rules;
mod thresholds;

pub use alertmanager::scale_alertmanager;
pub use duration::{Length, Ratio};
pub use loaded::{Loaded, LoadedRule};
pub use manifests::{COMPRESSED, FIXED, TIME_SCALE, compress, rule_files, runs};
pub use prometheus::{SHORTEST_INTERVAL, scale_prometheus};
pub use report::{CompressError, Report};
pub use rules::{Group, Rule, RuleFile, Sampling, scale_rules};

#[cfg(test)]
mod tests;
