//! Proving that Prometheus and Alertmanager have loaded what was applied.
//!
//! A pod that is ready says nothing about its configuration: a rollout may have been missed, a file may not be mounted. So both are
//! asked what they have loaded.

use std::{collections::BTreeMap, time::Duration};

use harness_slo::compress::{Length, Loaded, LoadedRule, runs};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};
use serde_json::Value;

use super::progress::Progress;
use crate::expected_error::chain;

/// How long it may take after the pods are ready: Prometheus loads its rules before, but a pod that is going away may still answer.
const LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);
const REQUEST: Duration = Duration::from_secs(5);

/// Prometheus or Alertmanager has not loaded what was applied.
#[derive(Debug, thiserror::Error)]
#[error("after {} s {program} has not loaded the configuration: {reason}", LIMIT.as_secs())]
pub struct NotLoaded {
    program: &'static str,
    reason: String,
}

/// Waits until every Prometheus and Alertmanager among the objects has loaded what they say.
pub async fn wait(
    client: &Client,
    objects: &[Value],
    expected: &Loaded,
    progress: &dyn Progress,
) -> Result<(), NotLoaded> {
    let http = reqwest::Client::builder().no_proxy().timeout(REQUEST).build();
    let http = http.map_err(|error| NotLoaded { program: "the harness", reason: chain(&error) })?;
    for program in ["prometheus", "alertmanager"] {
        for object in objects.iter().filter(|object| runs(object, program)) {
            progress.now(&format!("waiting for {program} to load the configuration"));
            let deadline = tokio::time::Instant::now() + LIMIT;
            while let Err(reason) = look(client, &http, object, program, expected).await {
                if tokio::time::Instant::now() >= deadline {
                    return Err(NotLoaded { program, reason });
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    Ok(())
}

async fn look(
    client: &Client,
    http: &reqwest::Client,
    object: &Value,
    program: &str,
    expected: &Loaded,
) -> Result<(), String> {
    let address = address(client, object).await?;
    match program {
        "prometheus" => prometheus(http, &address, expected).await,
        _ => alertmanager(http, &address, expected).await,
    }
}

/// Address of the workload's one pod that is not going away.
async fn address(client: &Client, object: &Value) -> Result<String, String> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let port = object
        .pointer("/spec/template/spec/containers/0/ports/0/containerPort")
        .ok_or("its container has no port")?;
    let list = Api::<Pod>::namespaced(client.clone(), namespace)
        .list(&ListParams::default().labels(&selector.join(",")))
        .await
        .map_err(|error| chain(&error))?;
    let living: Vec<&Pod> = list.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    let [pod] = living.as_slice() else { return Err(format!("it has {} pods", living.len())) };
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    address
        .map(|address| format!("http://{address}:{port}"))
        .ok_or_else(|| format!("pod {} has no address", pod.name_any()))
}

async fn get(http: &reqwest::Client, url: String) -> Result<Value, String> {
    let answer = http.get(&url).send().await.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(|error| chain(&error))?;
    answer.json().await.map_err(|error| chain(&error))
}

async fn prometheus(http: &reqwest::Client, address: &str, expected: &Loaded) -> Result<(), String> {
    let flags = get(http, format!("{address}/api/v1/status/flags")).await?;
    compare("flag", &flags["data"], &expected.flags)?;
    let config = get(http, format!("{address}/api/v1/status/config")).await?;
    let yaml: Value = serde_saphyr::from_str(config["data"]["yaml"].as_str().unwrap_or_default())
        .map_err(|error| chain(&error))?;
    compare("global", &yaml["global"], &expected.global)?;
    let rules = get(http, format!("{address}/api/v1/rules")).await?;
    let (mut missing, mut surplus) = (expected.rules.clone(), Vec::new());
    for rule in loaded_rules(&rules) {
        match missing.iter().position(|one| *one == rule) {
            Some(at) => drop(missing.remove(at)),
            None => surplus.push(rule),
        }
    }
    match (missing.first(), surplus.first()) {
        (None, None) => Ok(()),
        (Some(missing), _) => {
            let other = surplus.iter().find(|one| one.group == missing.group && one.name == missing.name);
            let seen = other
                .map_or_else(|| "it is not there".to_owned(), |other| format!("it has {}", shown(other)));
            Err(format!(
                "rule {} of group {} should have {}, and {seen}",
                missing.name,
                missing.group,
                shown(missing)
            ))
        }
        (None, Some(surplus)) => {
            Err(format!("rule {} of group {} should not be there", surplus.name, surplus.group))
        }
    }
}

fn loaded_rules(answer: &Value) -> Vec<LoadedRule> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut rules = Vec::new();
    for group in list(&answer["data"]["groups"]) {
        for rule in list(&group["rules"]) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            // Seconds, with fractions.
            let hold =
                Duration::try_from_secs_f64(rule["duration"].as_f64().unwrap_or(0.0)).unwrap_or_default();
            let hold = Length::from_millis(u64::try_from(hold.as_millis()).unwrap_or(u64::MAX));
            rules.extend(LoadedRule::new(
                &text(&group["name"]),
                &text(&rule["name"]),
                hold,
                &text(&rule["query"]),
            ));
        }
    }
    rules
}

fn shown(rule: &LoadedRule) -> String {
    let durations: Vec<String> = rule.durations.iter().map(ToString::to_string).collect();
    format!("for {} and durations [{}]", rule.hold, durations.join(", "))
}

async fn alertmanager(http: &reqwest::Client, address: &str, expected: &Loaded) -> Result<(), String> {
    let status = get(http, format!("{address}/api/v2/status")).await?;
    let original = status["config"]["original"].as_str().unwrap_or_default();
    let yaml: Value = serde_saphyr::from_str(original).map_err(|error| chain(&error))?;
    compare("route", &yaml["route"], &expected.route)
}

fn compare(what: &str, seen: &Value, expected: &[(String, Length)]) -> Result<(), String> {
    let expected: BTreeMap<&str, Length> =
        expected.iter().map(|(key, length)| (key.as_str(), *length)).collect();
    for (key, length) in expected {
        let text = seen[key].as_str().unwrap_or_default();
        if Length::parse(text) != Some(length) {
            return Err(format!("{what} {key} is {text:?} and should be {length}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_loaded_is_compared_as_durations() {
        let expected = [("scrape_interval".to_owned(), Length::from_millis(500))];
        assert_eq!(compare("global", &json!({ "scrape_interval": "500ms", "x": 1 }), &expected), Ok(()));
        for seen in [json!({ "scrape_interval": "1s" }), json!({}), json!(null)] {
            let error = compare("global", &seen, &expected).unwrap_err();
            assert!(error.ends_with("and should be 500ms"), "{error}");
        }
    }

    #[test]
    fn rules_are_read_as_prometheus_prints_them() {
        let answer = json!({ "data": { "groups": [{ "name": "g", "rules": [
            { "type": "alerting", "name": "A", "duration": 2.5, "query": "sum by(job) (rate(x[10s])) > 1" },
            { "type": "recording", "name": "r", "query": "x offset 2s" },
        ] }] } });
        let rule = |name: &str, hold, expression: &str| {
            LoadedRule::new("g", name, Length::from_millis(hold), expression).unwrap()
        };
        let expected = [rule("A", 2500, "sum(rate(x[10s])) by (job) > 1"), rule("r", 0, "x offset 2s")];
        assert_eq!(loaded_rules(&answer), expected);
    }
}
