//! Alertmanager's configuration.

use serde_json::Value;

use super::{
    Length, Ratio, Report,
    prometheus::{default_field, list, scale_field},
};

/// What the root route has if the file does not say it, in production time.
pub(super) const ROUTE_DEFAULTS: [(&str, Length); 3] = [
    ("group_wait", Length::from_millis(30_000)),
    ("group_interval", Length::from_millis(300_000)),
    ("repeat_interval", Length::from_millis(4 * 3_600_000)),
];
/// The same of `global`.
const RESOLVE_TIMEOUT: Length = Length::from_millis(300_000);

/// Scales an `alertmanager.yml`: the waits of all routes and `resolve_timeout`. Those that are not given are Alertmanager's own,
/// which are production time: they are written down, divided by `factor`. Time intervals follow the clock on the wall and are
/// reported; timeouts of receivers are left alone.
pub fn scale_alertmanager(config: &mut Value, ratio: Ratio, factor: u32, place: &str, report: &mut Report) {
    if !config["global"].is_object() {
        config["global"] = serde_json::json!({});
    }
    let global = &mut config["global"];
    scale_field(global, "resolve_timeout", ratio, place, report);
    default_field(global, "resolve_timeout", RESOLVE_TIMEOUT, factor);
    scale_route(&mut config["route"], ratio, place, report);
    for (key, default) in ROUTE_DEFAULTS {
        default_field(&mut config["route"], key, default, factor);
    }
    if ratio.is_one() {
        return;
    }
    for key in ["time_intervals", "mute_time_intervals"] {
        for interval in config[key].as_array().into_iter().flatten() {
            let name = interval["name"].as_str().unwrap_or_default();
            report.unscaled(place, format_args!("time interval {name} follows the clock on the wall"));
        }
    }
}

fn scale_route(route: &mut Value, ratio: Ratio, place: &str, report: &mut Report) {
    for (key, _) in ROUTE_DEFAULTS {
        scale_field(route, key, ratio, place, report);
    }
    for child in list(route, "routes") {
        scale_route(child, ratio, place, report);
    }
}
