//! Alertmanager's webhook payload, version 4.

use harness_event::{Labels, Notification, NotifiedAlert, Timestamp};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    receiver: String,
    status: String,
    alerts: Vec<WebhookAlert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookAlert {
    status: String,
    labels: Labels,
    starts_at: Timestamp,
    #[serde(default)]
    ends_at: Option<String>,
    #[serde(default)]
    fingerprint: String,
}

/// Reads the payload that arrived at this time.
///
/// # Errors
/// If it is not JSON of that form.
pub fn read_webhook(body: &[u8], received_at: Timestamp) -> Result<Notification, serde_json::Error> {
    let webhook: Webhook = serde_json::from_slice(body)?;
    let alert = |alert: WebhookAlert| NotifiedAlert {
        // Alertmanager writes an end for firing alerts only as Go's zero time; a firing alert has none.
        ends_at: alert
            .ends_at
            .filter(|_| alert.status == "resolved")
            .and_then(|text| Timestamp::parse(&text)),
        status: alert.status,
        labels: alert.labels,
        starts_at: alert.starts_at,
        fingerprint: alert.fingerprint,
    };
    Ok(Notification {
        receiver: unquote(&webhook.receiver),
        received_at,
        status: webhook.status,
        alerts: webhook.alerts.into_iter().map(alert).collect(),
    })
}

/// Alertmanager writes the receiver's name quoted as a regular expression: `team\.a`.
fn unquote(name: &str) -> String {
    let (mut plain, mut escaped) = (String::new(), false);
    for c in name.chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Alertmanager 0.25 sent it.
    const BODY: &str = r#"{"receiver":"team\\.a","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Up"},
        "annotations":{},"startsAt":"2026-11-21T10:00:00.639Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"f1"},
        {"status":"resolved","labels":{"alertname":"Up"},"annotations":{},"startsAt":"2026-11-21T10:00:00.639Z",
        "endsAt":"2026-11-21T10:00:05.639Z","generatorURL":"","fingerprint":"f2"}],"groupLabels":{},"commonLabels":{},
        "commonAnnotations":{},"externalURL":"http://a","version":"4","groupKey":"{}:{}","truncatedAlerts":0}"#;

    #[test]
    fn a_payload_is_read() {
        let read = read_webhook(BODY.as_bytes(), Timestamp(7)).unwrap();
        assert_eq!(
            (read.receiver.as_str(), read.status.as_str(), read.received_at),
            ("team.a", "firing", Timestamp(7))
        );
        assert_eq!(read.alerts[0].ends_at, None);
        assert_eq!(read.alerts[1].ends_at, Timestamp::parse("2026-11-21T10:00:05.639Z"));
        assert_eq!(read.alerts[1].starts_at, Timestamp::parse("2026-11-21T10:00:00.639Z").unwrap());
        assert!(read_webhook(b"{}", Timestamp(7)).is_err());
    }

    #[test]
    fn names_are_unquoted() {
        for (quoted, plain) in [("a", "a"), (r"a\.b", "a.b"), (r"a\\b", r"a\b"), (r"\[x\]\-y", "[x]-y")] {
            assert_eq!(unquote(quoted), plain);
        }
    }
}
