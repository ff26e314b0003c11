//! Points and lengths of time, in whole milliseconds: the resolution of Prometheus' samples.

use std::{fmt, ops, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in wall-clock time, in milliseconds since the Unix epoch. Written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A length of time, or the difference of two [`Timestamp`]s, in milliseconds. May be negative. Written as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Timestamp {
    /// The system's wall clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// From Unix seconds, as Prometheus' metrics give them (`process_start_time_seconds`).
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1000.0).round() as i64)
    }

    /// Unix seconds, as Prometheus' HTTP API takes them.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Reads RFC 3339, as Alertmanager writes `startsAt`.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }

    /// The time of day in UTC, `14:03:07.250`, for people.
    pub fn clock(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => at.strftime("%H:%M:%S%.3f").to_string(),
            Err(_) => self.0.to_string(),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(out, "{at:.3}"),
            Err(_) => write!(out, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("not an RFC 3339 time: {text:?}")))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A point in wall-clock time, RFC 3339 in UTC with milliseconds.",
            "type": "string",
            "format": "date-time",
        })
    }
}

impl ops::Sub for Timestamp {
    type Output = Millis;
    fn sub(self, earlier: Self) -> Millis {
        Millis(self.0 - earlier.0)
    }
}

impl ops::Add<Millis> for Timestamp {
    type Output = Self;
    fn add(self, length: Millis) -> Self {
        Self(self.0 + length.0)
    }
}

impl ops::Sub<Millis> for Timestamp {
    type Output = Self;
    fn sub(self, length: Millis) -> Self {
        Self(self.0 - length.0)
    }
}

impl Millis {
    /// From whole seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    /// From fractional seconds, as Prometheus' API gives intervals.
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1000.0).round() as i64)
    }

    /// As a [`Duration`]; a negative length is zero.
    pub fn to_duration(self) -> Duration {
        Duration::from_millis(self.0.max(0) as u64)
    }

    /// In seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl From<Duration> for Millis {
    fn from(length: Duration) -> Self {
        Self(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
    }
}

impl ops::Add for Millis {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl ops::Sub for Millis {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Millis {
    fn sum<I: Iterator<Item = Self>>(lengths: I) -> Self {
        lengths.fold(Self(0), |sum, length| sum + length)
    }
}

impl fmt::Display for Millis {
    /// Three significant places for people: `250ms`, `4.12s`, `2m05s`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0.unsigned_abs() {
            0 => "0s".to_owned(),
            ms if ms < 1000 => format!("{ms}ms"),
            ms if ms < 60_000 && ms % 1000 == 0 => format!("{}s", ms / 1000),
            ms if ms < 60_000 => format!("{:.2}s", ms as f64 / 1000.0),
            ms => format!("{}m{:02}s", ms / 60_000, ms % 60_000 / 1000),
        };
        out.pad(&format!("{}{text}", if self.0 < 0 { "-" } else { "" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_back_what_it_wrote() {
        let at = Timestamp(1_763_700_000_123);
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        assert_eq!(at.clock(), "04:40:00.123");
    }

    #[test]
    fn lengths_are_written_for_people() {
        for (ms, text) in
            [(0, "0s"), (999, "999ms"), (4120, "4.12s"), (5000, "5s"), (125_000, "2m05s"), (-40, "-40ms")]
        {
            assert_eq!(Millis(ms).to_string(), text);
        }
    }
}
