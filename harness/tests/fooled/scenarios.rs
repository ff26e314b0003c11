//! Scenarios that bite and heal within a second or two.

/// The portal is scaled to zero: nothing depends on it and no alert is about it. For what is proven around a fault, whatever
/// the fault is.
pub fn portal_lost(duration: &str) -> String {
    format!(
        r#"
title = "The portal is lost"
namespace = "gallery"
[steady_state]
for = "500ms"
[[steady_state.http]]
name = "portal-page"
url = "service://gallery/portal:18080/"
[[fault]]
name = "portal-lost"
duration = "{duration}"
scale = {{ workload = "deployment/portal", replicas = 0 }}
[expect]
recovery_within = "30s"
# TargetDown: Prometheus still looks for the pods that are gone; it never gets as far as firing.
allow_alerts = [{{ alert = "Watchdog" }}, {{ alert = "TargetDown" }}]
[[expect.workload]]
workload = "deployment/portal"
ready = 2
within = "30s"
"#
    )
}

/// The authentication service is scaled to zero, and APIServiceDown follows. `expect` are the keys of `[[expect.alert]]`.
pub fn auth_lost(duration: &str, expect: &str) -> String {
    faulted(
        &format!(
            r#"
name = "auth-lost"
duration = "{duration}"
scale = {{ workload = "deployment/auth", replicas = 0 }}
"#
        ),
        expect,
    )
}

/// A fault (its keys) and an expected alert (its keys) in the gallery.
pub fn faulted(fault: &str, expect: &str) -> String {
    format!(
        r#"
title = "Something is lost"
namespace = "gallery"
[steady_state]
for = "500ms"
[[steady_state.http]]
name = "portal-page"
url = "service://gallery/portal:18080/"
[[fault]]
{fault}
[expect]
allow_alerts = [{{ alert = "Watchdog" }}, {{ alert = "TargetDown" }}, {{ alert = "PostgresDown" }}, {{ alert = "APIServiceDown" }}]
[[expect.alert]]
{expect}
"#
    )
}
