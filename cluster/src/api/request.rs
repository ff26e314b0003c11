//! Reading a request: path, query and headers.

use http::{HeaderMap, Method, Uri, header};

use super::{
    resources::{self, Resource},
    status::ApiError,
};

/// Query parameters in their order; the first of a name wins.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a URI.
    pub fn of(uri: &Uri) -> Self {
        let parsed = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        Self(parsed.map(|query| query.0).unwrap_or_default())
    }

    /// First value of a parameter; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// True for `1`, `true` and the like, as Go reads booleans.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// A non-negative whole number; 400 in Go's words if it is none.
    pub fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let parsed: i64 = text.parse().map_err(|_| {
            ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        })?;
        Ok(Some(u64::try_from(parsed).unwrap_or(0)))
    }
}

/// What a path points at inside a group version.
#[derive(Debug, Clone)]
pub struct Target {
    /// The resource.
    pub resource: &'static Resource,
    /// Namespace in the path.
    pub namespace: Option<String>,
    /// Object name in the path.
    pub name: Option<String>,
    /// Subresource in the path.
    pub subresource: Option<String>,
    /// What follows the subresource, undecoded, with its leading slash (for the proxy).
    pub rest: String,
    /// The deprecated `/watch/` prefix.
    pub watch: bool,
}

/// A path, understood.
#[derive(Debug, Clone)]
pub enum Route {
    /// `/api`
    LegacyVersions,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(&'static str),
    /// `/api/v1`, `/apis/GROUP/VERSION`
    Resources(&'static str, &'static str),
    /// Objects.
    Target(Box<Target>),
    /// Anything else; served by its own handlers or not at all.
    Other,
}

impl Route {
    /// Reads a path.
    pub fn parse(path: &str) -> Result<Self, ApiError> {
        let raw: Vec<&str> = path.split('/').skip(1).collect();
        let used = if raw.last() == Some(&"") { &raw[..raw.len() - 1] } else { &raw[..] };
        let (group, after) = match used {
            ["api"] => return Ok(Self::LegacyVersions),
            ["apis"] => return Ok(Self::Groups),
            ["api", after @ ..] => ("", after),
            ["apis", group, after @ ..] => (*group, after),
            _ => return Ok(Self::Other),
        };
        let Some(&(group, versions)) = resources::GROUPS.iter().find(|(known, _)| *known == group) else {
            return Err(ApiError::no_such_path());
        };
        let Some(wanted) = after.first() else { return Ok(Self::Group(group)) };
        let Some(&version) = versions.iter().find(|version| *version == wanted) else {
            return Err(ApiError::no_such_resource());
        };
        if after.len() == 1 {
            return Ok(Self::Resources(group, version));
        }
        let mut rest = &after[1..];
        let watch = rest.first() == Some(&"watch");
        if watch {
            rest = &rest[1..];
        }
        let mut namespace = None;
        if let ["namespaces", of, resource, ..] = rest
            && !matches!(*resource, "status" | "finalize")
        {
            namespace = Some(decode(of)?);
            rest = &rest[2..];
        }
        let [plural, rest @ ..] = rest else { return Err(ApiError::no_such_resource()) };
        let resource = resources::find(group, version, plural).ok_or_else(ApiError::no_such_resource)?;
        if namespace.is_some() && !resource.namespaced {
            return Err(ApiError::no_such_resource());
        }
        let name = rest.first().map(|name| decode(name)).transpose()?;
        if name.is_some() && resource.namespaced && namespace.is_none() {
            return Err(ApiError::no_such_resource());
        }
        let subresource = rest.get(1).map(|sub| decode(sub)).transpose()?;
        let consumed = path.split('/').count() - raw.len() + (used.len() - rest.len()) + 2;
        let tail: Vec<&str> = path.split('/').skip(consumed).collect();
        let tail = if tail.is_empty() { String::new() } else { format!("/{}", tail.join("/")) };
        if rest.len() > 2 && subresource.as_deref() != Some("proxy") {
            return Err(ApiError::no_such_resource());
        }
        Ok(Self::Target(Box::new(Target { resource, namespace, name, subresource, rest: tail, watch })))
    }
}

/// A segment of a path without its escapes; 400 if they are wrong.
pub fn decode(segment: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = [rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
        let text = std::str::from_utf8(&hex).unwrap_or_default();
        bytes.push(
            u8::from_str_radix(text, 16)
                .map_err(|_| ApiError::bad_request("invalid URL escape in the path"))?,
        );
    }
    String::from_utf8(bytes).map_err(|_| ApiError::bad_request("the path is not UTF-8"))
}

/// A request for objects: its target with query and headers.
#[derive(Debug, Clone)]
pub struct Call {
    /// HTTP method.
    pub method: Method,
    /// The whole URI.
    pub uri: Uri,
    /// What the path points at.
    pub target: Target,
    /// Query parameters.
    pub query: Query,
    /// Request headers.
    pub headers: HeaderMap,
}

impl Call {
    /// The object's name; 405 on a collection.
    pub fn name(&self) -> Result<&str, ApiError> {
        self.target.name.as_deref().ok_or_else(ApiError::method_not_allowed)
    }

    /// Namespace, empty for cluster-scoped resources.
    pub fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    /// Who writes, for `managedFields`: `fieldManager`, else the program name in the User-Agent.
    pub fn manager(&self) -> String {
        if let Some(manager) = self.query.get("fieldManager") {
            return manager.to_owned();
        }
        let agent =
            self.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let program: String = agent.split('/').next().unwrap_or_default().chars().take(128).collect();
        if program.is_empty() { "unknown".to_owned() } else { program }
    }

    /// Media type of the body without parameters, in lower case.
    pub fn content_type(&self) -> String {
        let value =
            self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        match Route::parse(path) {
            Ok(Route::Target(target)) => *target,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn paths_are_read_as_the_real_server_reads_them() {
        let pod = target("/api/v1/namespaces/gallery/pods/web-1/log");
        assert_eq!(
            (pod.resource.kind, pod.namespace.as_deref(), pod.name.as_deref()),
            ("Pod", Some("gallery"), Some("web-1"))
        );
        assert_eq!(pod.subresource.as_deref(), Some("log"));
        let status = target("/api/v1/namespaces/gallery/status");
        assert_eq!((status.resource.kind, status.name.as_deref()), ("Namespace", Some("gallery")));
        assert_eq!(target("/apis/apps/v1/deployments").resource.kind, "Deployment");
        assert!(target("/api/v1/watch/pods").watch);
        assert_eq!(target("/api/v1/namespaces/a/services/http:x%3Ay:p/proxy/q/r/").rest, "/q/r/");
        assert_eq!(target("/api/v1/namespaces/a/services/x/proxy").rest, "");
    }

    #[test]
    fn unknown_groups_are_plain_text_and_unknown_versions_a_status() {
        assert_eq!(
            Route::parse("/apis/nosuch.io/v1/things").unwrap_err().to_string(),
            "404 page not found\n"
        );
        let version = Route::parse("/apis/apps/v9/deployments").unwrap_err().to_string();
        assert_eq!(version, "the server could not find the requested resource");
    }
}
