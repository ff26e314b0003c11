//! Everything that the harness asks Prometheus, Alertmanager and its alert receiver, and how their answers are to be read.
//!
//! The rules C1 to C26 that the comments name are those of `docs/design/verification.md`.

pub mod alertmanager;
mod bounds;
mod canary;
mod clock;
mod duration;
mod error;
mod exposition;
mod expression;
mod health;
pub mod inputs;
mod intervals;
mod loaded;
mod preflight;
mod prometheus;
mod protobuf;
mod readiness;
pub mod receiver;
mod relay;
pub mod remote_read;
pub mod routing;
pub mod rules;
mod text;
pub mod upstream;
mod watch;

pub use alertmanager::Alertmanager;
pub use bounds::bounds;
pub use canary::{CANARY_ALERT, CANARY_LABEL, canary_labels, is_canary};
pub use clock::{ClockOffset, clock_offset};
pub use duration::{parse_duration, promql_duration};
pub use error::{Error, chain};
pub use exposition::{MetricSample, Metrics};
pub use health::{MonitoringHealth, alertmanager_health, monitoring_health, prometheus_health, sick_rules};
pub use inputs::{Inputs, check_inputs};
pub use intervals::alert_series;
pub use loaded::Loaded;
pub use preflight::{Preflight, preflight};
pub use prometheus::{InstantSample, Prometheus, Target};
pub use protobuf::{RawSample, RawSeries, STALE_MARKER, WireError};
pub use readiness::{NotReady, ReadinessOptions, prove_ready};
pub use receiver::{Position, ReceiverClient, ReceiverEvent};
pub use remote_read::{AlertHistory, alert_history, raw_series};
pub use routing::{MatchedRoute, Routing};
pub(crate) use text::{nearest, suggestion};
pub use upstream::{REQUEST_TIMEOUT, Upstream, Upstreams};
pub use watch::{ALERT_WATCH, watch_alerts};
