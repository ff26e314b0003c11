//! An API server that grants what the roles of `deploy/rbac` grant, and nothing else.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, Response, StatusCode},
    middleware::{Next, from_fn_with_state},
};
use k8s_openapi::serde_json::Value;

/// What may be done.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    rules: Vec<Value>,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Rights {
    /// Those of the first role in each of these files.
    pub fn of(files: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/rbac");
        let mut rules = Vec::new();
        for file in files {
            let text = fs::read_to_string(root.join(file)).unwrap();
            let first = text.split("\n---").next().unwrap();
            let role: Value = serde_saphyr::from_str(first).unwrap();
            assert_eq!(role["kind"], "ClusterRole", "{file}");
            rules.extend(role["rules"].as_array().unwrap().iter().cloned());
        }
        Self { rules, refused: Arc::default() }
    }

    /// The same server, with these rights only.
    pub fn over(&self, router: Router) -> Router {
        Router::new().fallback_service(router).layer(from_fn_with_state(self.clone(), check))
    }

    /// What was refused so far: `watch apps/deployments`.
    pub fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }

    /// The verbs that are granted for anything.
    pub fn verbs(&self) -> Vec<&str> {
        self.rules.iter().flat_map(|rule| words(&rule["verbs"])).collect()
    }

    fn grant(&self, wanted: &Wanted) -> bool {
        self.rules.iter().any(|rule| {
            let has = |field: &str, value: &str| words(&rule[field]).contains(&value);
            let names = words(&rule["resourceNames"]);
            has("apiGroups", &wanted.group)
                && has("resources", &wanted.resource)
                && has("verbs", &wanted.verb)
                && (names.is_empty() || wanted.name.as_deref().is_some_and(|name| names.contains(&name)))
        })
    }
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A request as RBAC sees it.
struct Wanted {
    group: String,
    resource: String,
    name: Option<String>,
    verb: String,
}

/// None of what everybody may ask: discovery and the version.
fn wanted(request: &Request) -> Option<Wanted> {
    let parts: Vec<&str> = request.uri().path().split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let rest = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let (resource, name, sub) = match rest {
        [] => return None,
        [resource] => (*resource, None, None),
        [resource, name] => (*resource, Some(*name), None),
        [resource, name, sub, ..] => (*resource, Some(*name), Some(*sub)),
    };
    let watch = request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
    let verb = match (request.method(), name) {
        (&Method::GET, _) if watch => "watch",
        (&Method::GET, None) => "list",
        (&Method::GET, Some(_)) => "get",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, None) => "deletecollection",
        (&Method::DELETE, Some(_)) => "delete",
        (method, _) => method.as_str(),
    };
    let resource = sub.map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}"));
    let name = name.map(str::to_owned);
    Some(Wanted { group: group.to_owned(), resource, name, verb: verb.to_owned() })
}

async fn check(State(rights): State<Rights>, request: Request, next: Next) -> Response<Body> {
    let Some(wanted) = wanted(&request) else { return next.run(request).await };
    if rights.grant(&wanted) {
        return next.run(request).await;
    }
    let what = format!("{} {}/{}", wanted.verb, wanted.group, wanted.resource);
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"{what} is forbidden","code":403}}"#
    );
    rights.refused.lock().unwrap().push(what);
    let answer = Response::builder().status(StatusCode::FORBIDDEN).header("content-type", "application/json");
    answer.body(Body::from(body)).unwrap()
}
