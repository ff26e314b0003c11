//! The cells of each kind.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{duration::since, pod, policy};
use crate::{
    api::resources::{Resource, collection},
    store::text_at,
};

/// Addresses and ports shown before `+ N more...`.
const SHOWN: usize = 3;
const NONE: &str = "<none>";

/// Cells of an object in its stored form, in the order of its kind's columns.
pub fn of(resource: &Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = object["metadata"]["name"].clone();
    let age = json!(since(&object["metadata"]["creationTimestamp"], now));
    match resource.collection {
        collection::PODS => pod_cells(object, name, age, now),
        collection::NODES => node(object, name, age),
        collection::DEPLOYMENTS => {
            let status = &object["status"];
            let wanted = count(&object["spec"]["replicas"]);
            let ready = json!(format!("{}/{wanted}", count(&status["readyReplicas"])));
            let mut cells = vec![
                name,
                ready,
                json!(count(&status["updatedReplicas"])),
                json!(count(&status["availableReplicas"])),
                age,
            ];
            cells.extend(template(object));
            cells
        }
        collection::REPLICA_SETS => {
            let status = &object["status"];
            let mut cells = vec![
                name,
                json!(count(&object["spec"]["replicas"])),
                json!(count(&status["replicas"])),
                json!(count(&status["readyReplicas"])),
                age,
            ];
            cells.extend(template(object));
            cells
        }
        collection::SERVICES => service(object, name, age),
        collection::EVENTS => event(object, name, now),
        collection::CLAIMS => claim(object, name, age),
        collection::VOLUMES => volume(object, name, age),
        collection::ENDPOINT_SLICES => slice(object, name, age),
        collection::NAMESPACES => vec![name, json!(text_at(object, "/status/phase")), age],
        collection::ENDPOINTS => vec![name, json!(endpoints(object)), age],
        collection::SECRETS => vec![name, object["type"].clone(), json!(size(&object["data"])), age],
        collection::SERVICE_ACCOUNTS => {
            vec![name, json!(object["secrets"].as_array().map_or(0, Vec::len)), age]
        }
        collection::LEASES => vec![name, json!(text_at(object, "/spec/holderIdentity")), age],
        collection::AUTOSCALERS => policy::autoscaler(object, name, age),
        collection::DISRUPTION_BUDGETS => policy::disruption_budget(object, name, age),
        _ => vec![name, json!(size(&object["data"]) + size(&object["binaryData"])), age],
    }
}

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

fn or_none(text: &str) -> Value {
    json!(if text.is_empty() { NONE } else { text })
}

fn strings<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().into_iter().flatten().filter_map(|item| item[field].as_str()).collect()
}

/// `a=b,c=d`.
fn labels(labels: &Value) -> Value {
    let terms: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    or_none(&terms.join(","))
}

fn template(object: &Value) -> [Value; 3] {
    let containers = &object["spec"]["template"]["spec"]["containers"];
    let mut selector = labels(&object["spec"]["selector"]["matchLabels"]);
    if size(&object["spec"]["selector"]["matchLabels"]) == 0
        && !object["spec"]["selector"]["matchExpressions"].is_null()
    {
        selector = json!("<expressions>");
    }
    [json!(strings(containers, "name").join(",")), json!(strings(containers, "image").join(",")), selector]
}

fn pod_cells(object: &Value, name: Value, age: Value, now: Timestamp) -> Vec<Value> {
    let summary = pod::summary(object, now);
    vec![
        name,
        json!(summary.ready),
        json!(summary.status),
        json!(summary.restarts),
        age,
        or_none(text_at(object, "/status/podIP")),
        or_none(text_at(object, "/spec/nodeName")),
        or_none(text_at(object, "/status/nominatedNodeName")),
        json!(NONE),
    ]
}

fn node(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|ready| &ready["status"]) {
        Some(status) if status == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if object["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    let all = object["metadata"]["labels"].as_object();
    let roles: Vec<&str> = all
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    let address = |kind: &str| {
        let addresses = object["status"]["addresses"].as_array();
        let found = addresses.into_iter().flatten().find(|address| address["type"] == kind);
        or_none(found.and_then(|address| address["address"].as_str()).unwrap_or_default())
    };
    let info = |field: &str| text_at(object, &format!("/status/nodeInfo/{field}")).to_owned();
    let kernel = match info("architecture") {
        architecture if architecture.is_empty() => info("kernelVersion"),
        architecture => format!("{} ({architecture})", info("kernelVersion")),
    };
    let known = |text: String| json!(if text.is_empty() { "<unknown>".to_owned() } else { text });
    vec![
        name,
        json!(status),
        or_none(&roles.join(",")),
        age,
        json!(info("kubeletVersion")),
        address("InternalIP"),
        address("ExternalIP"),
        known(info("osImage")),
        known(kernel),
        known(info("containerRuntimeVersion")),
    ]
}

fn service(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let spec = &object["spec"];
    let ports: Vec<String> = spec["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            match count(&port["nodePort"]) {
                0 => format!("{}/{protocol}", count(&port["port"])),
                node => format!("{}:{node}/{protocol}", count(&port["port"])),
            }
        })
        .collect();
    let external = match spec["type"].as_str() {
        Some("LoadBalancer") => json!("<pending>"),
        Some("ExternalName") => json!(text_at(object, "/spec/externalName")),
        _ => json!(NONE),
    };
    vec![
        name,
        json!(spec["type"].as_str().unwrap_or_default()),
        or_none(spec["clusterIP"].as_str().unwrap_or_default()),
        external,
        or_none(&ports.join(",")),
        age,
        labels(&spec["selector"]),
    ]
}

fn event(object: &Value, name: Value, now: Timestamp) -> Vec<Value> {
    let time = |fields: [&str; 2]| {
        let found = fields.into_iter().map(|field| &object[field]).find(|time| !time.is_null());
        json!(found.map_or_else(|| "<unknown>".to_owned(), |time| since(time, now)))
    };
    let series = &object["series"];
    let mut last = time(["lastTimestamp", "eventTime"]);
    if !series["lastObservedTime"].is_null() {
        last = json!(since(&series["lastObservedTime"], now));
    }
    let times = count(&object["count"]).max(count(&series["count"])).max(1);
    let pick = |one: &str, other: &str| {
        let text = text_at(object, one);
        if text.is_empty() { text_at(object, other).to_owned() } else { text.to_owned() }
    };
    let component = pick("/source/component", "/reportingComponent");
    let instance = pick("/source/host", "/reportingInstance");
    let source = if instance.is_empty() { component } else { format!("{component}, {instance}") };
    let involved = &object["involvedObject"];
    let kind = involved["kind"].as_str().unwrap_or_default().to_lowercase();
    vec![
        last,
        object["type"].clone(),
        object["reason"].clone(),
        json!(format!("{kind}/{}", involved["name"].as_str().unwrap_or_default())),
        json!(involved["fieldPath"].as_str().unwrap_or_default()),
        json!(source),
        json!(text_at(object, "/message").trim()),
        time(["firstTimestamp", "eventTime"]),
        json!(times),
        name,
    ]
}

fn access_modes(modes: &Value) -> String {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    };
    modes.as_array().into_iter().flatten().map(short).collect::<Vec<_>>().join(",")
}

fn phase(object: &Value) -> Value {
    if object["metadata"]["deletionTimestamp"].is_null() {
        json!(text_at(object, "/status/phase"))
    } else {
        json!("Terminating")
    }
}

fn claim(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let bound = !text_at(object, "/spec/volumeName").is_empty();
    let modes = if bound { access_modes(&object["status"]["accessModes"]) } else { String::new() };
    vec![
        name,
        phase(object),
        json!(text_at(object, "/spec/volumeName")),
        json!(if bound { text_at(object, "/status/capacity/storage") } else { "" }),
        json!(modes),
        json!(text_at(object, "/spec/storageClassName")),
        json!("<unset>"),
        age,
        json!(text_at(object, "/spec/volumeMode")),
    ]
}

fn volume(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let claim = &object["spec"]["claimRef"];
    let claim = match (claim["namespace"].as_str(), claim["name"].as_str()) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        _ => String::new(),
    };
    vec![
        name,
        json!(text_at(object, "/spec/capacity/storage")),
        json!(access_modes(&object["spec"]["accessModes"])),
        json!(text_at(object, "/spec/persistentVolumeReclaimPolicy")),
        phase(object),
        json!(claim),
        json!(text_at(object, "/spec/storageClassName")),
        json!("<unset>"),
        json!(text_at(object, "/status/reason")),
        age,
        json!(text_at(object, "/spec/volumeMode")),
    ]
}

fn shortened(all: &[String], empty: &str) -> String {
    match all.len().checked_sub(SHOWN) {
        _ if all.is_empty() => empty.to_owned(),
        Some(more) if more > 0 => format!("{} + {more} more...", all[..SHOWN].join(",")),
        _ => all.join(","),
    }
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in object["subsets"].as_array().into_iter().flatten() {
        let ips = strings(&subset["addresses"], "ip");
        let ports = subset["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
        if ports.is_empty() {
            all.extend(ips.iter().map(|ip| (*ip).to_owned()));
        }
        for port in ports {
            all.extend(ips.iter().map(|ip| format!("{ip}:{}", count(&port["port"]))));
        }
    }
    shortened(&all, NONE)
}

fn slice(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let ports = object["ports"].as_array().into_iter().flatten();
    let ports: Vec<String> = ports
        .map(|port| port["port"].as_i64().map_or_else(|| "*".to_owned(), |port| port.to_string()))
        .collect();
    let addresses = object["endpoints"].as_array().into_iter().flatten();
    let addresses = addresses.flat_map(|endpoint| endpoint["addresses"].as_array().into_iter().flatten());
    let addresses: Vec<String> = addresses.filter_map(|address| Some(address.as_str()?.to_owned())).collect();
    vec![
        name,
        object["addressType"].clone(),
        json!(shortened(&ports, "<unset>")),
        json!(shortened(&addresses, "<unset>")),
        age,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::resources;

    fn cells(group: &str, plural: &str, object: Value) -> Vec<Value> {
        of(resources::find(group, "v1", plural).unwrap(), &object, Timestamp::now())
    }

    #[test]
    fn rows_look_as_recorded_from_a_real_server() {
        let created = (Timestamp::now() - jiff::SignedDuration::from_secs(9)).to_string();
        let meta = json!({"name": "web", "creationTimestamp": created});
        let deployment = json!({"metadata": meta, "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [{"name": "main", "image": "localhost/busybox:1.35"}]}}},
            "status": {"readyReplicas": 3, "updatedReplicas": 3, "availableReplicas": 3}});
        let expected = json!(["web", "3/3", 3, 3, "9s", "main", "localhost/busybox:1.35", "app=web"]);
        assert_eq!(Value::Array(cells("apps", "deployments", deployment)), expected);

        let service = json!({"metadata": meta, "spec": {"type": "ClusterIP", "clusterIP": "10.96.186.38",
            "ports": [{"port": 80, "protocol": "TCP"}], "selector": {"app": "web"}}});
        let expected = json!(["web", "ClusterIP", "10.96.186.38", "<none>", "80/TCP", "9s", "app=web"]);
        assert_eq!(Value::Array(cells("", "services", service)), expected);

        let addresses: Vec<Value> = (1..=5).map(|n| json!({"ip": format!("10.0.0.{n}")})).collect();
        let object =
            json!({"metadata": meta, "subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]});
        assert_eq!(cells("", "endpoints", object)[1], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...");

        let event = json!({"metadata": {"name": "crash.18ea"}, "type": "Normal", "reason": "Scheduled", "message": "m",
            "eventTime": created, "reportingComponent": "default-scheduler", "reportingInstance": "host-1",
            "involvedObject": {"kind": "Pod", "name": "crash"}});
        let expected = json!([
            "9s",
            "Normal",
            "Scheduled",
            "pod/crash",
            "",
            "default-scheduler, host-1",
            "m",
            "9s",
            1,
            "crash.18ea"
        ]);
        assert_eq!(Value::Array(cells("", "events", event)), expected);
    }
}
