//! The requests of a load, made as far as they can be before it starts.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use harness_event::{LoadSpec, LoadStep, Millis};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{CONTENT_TYPE, HOST, USER_AGENT},
    uri::PathAndQuery,
};
use http_body_util::Full;
use thiserror::Error;

use super::{
    body::{Body, BodyError, Files},
    extract::Extract,
    template::{Fill, Known, Missing, Names, Template, TemplateError},
};

/// A server, as a user's connections are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// With TLS.
    pub(super) tls: bool,
    /// Name or address, without brackets.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
}

/// A request that can be sent.
pub(super) struct Outgoing {
    /// Where to.
    pub(super) place: Arc<Place>,
    /// The request, with a path only, as HTTP/1.1 wants it.
    pub(super) request: Request<Full<Bytes>>,
}

/// One step, ready to be carried out.
#[derive(Debug)]
pub(super) struct Step {
    method: Method,
    target: Target,
    headers: HeaderMap,
    changing: Vec<(HeaderName, Template)>,
    body: Option<Body>,
    /// Status that counts as success.
    pub(super) status: u16,
    /// Share among the steps.
    pub(super) weight: u32,
    /// Time limit of the whole request.
    pub(super) timeout: Duration,
    /// Bounds of the pause after the answer.
    pub(super) think: Option<(Duration, Duration)>,
    /// What to take from the answer.
    pub(super) extract: Vec<Extract>,
    /// Whether the answer's body has to be kept for that.
    pub(super) keep_body: bool,
}

#[derive(Debug)]
enum Target {
    Fixed(Arc<Place>, Uri),
    Template(Template),
}

/// All requests of a load.
#[derive(Debug)]
pub(super) struct Requests {
    /// Before it.
    pub(super) setup: Vec<Step>,
    /// In it.
    pub(super) steps: Vec<Step>,
    /// How many values users have.
    pub(super) values: usize,
    /// True if a server may want TLS.
    pub(super) tls: bool,
}

/// A step that cannot be carried out.
#[derive(Debug, Error)]
#[error("step {step:?}")]
pub(crate) struct StepError {
    /// Its name.
    step: String,
    /// Why.
    source: Defect,
}

/// What is wrong with a step.
#[derive(Debug, Error)]
pub(crate) enum Defect {
    /// No such method.
    #[error("{0:?} is no method")]
    Method(String),
    /// The URL is no absolute HTTP URL.
    #[error("{0:?} is no http:// or https:// URL with a host and without a password")]
    Url(String),
    /// The name of a header is no name.
    #[error("{0:?} is no name of a header")]
    HeaderName(String),
    /// The value of a header has characters that it cannot have.
    #[error("the value of header {0:?} can't be sent")]
    HeaderValue(String),
    /// A placeholder is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The body cannot be made.
    #[error("body")]
    Body(#[source] BodyError),
}

impl Requests {
    /// Prepares all steps of the load.
    pub(super) fn new(load: &LoadSpec, run: &str, files: &Files) -> Result<Self, StepError> {
        // All names first: a step may use what a later one extracts, from its second round on.
        let mut names = Names::default();
        let all = || load.setup.iter().chain(&load.steps);
        let mut extracts = Vec::new();
        for step in all() {
            let of_step = step.extract.iter().map(|extraction| {
                Extract::new(extraction, &mut names).ok_or_else(|| StepError {
                    step: step.name.clone(),
                    source: Defect::HeaderName(format!("{:?}", extraction.from)),
                })
            });
            extracts.push(of_step.collect::<Result<Vec<_>, _>>()?);
        }
        let known = Known { run, values: &names };
        let mut steps = all()
            .zip(extracts)
            .map(|(step, extract)| {
                Step::new(step, extract, files, known)
                    .map_err(|source| StepError { step: step.name.clone(), source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let tls = steps.iter().any(|step| match &step.target {
            Target::Fixed(place, _) => place.tls,
            Target::Template(_) => true,
        });
        let of_load = steps.split_off(load.setup.len());
        Ok(Self { setup: steps, steps: of_load, values: names.len(), tls })
    }
}

impl Step {
    fn new(step: &LoadStep, extract: Vec<Extract>, files: &Files, known: Known<'_>) -> Result<Self, Defect> {
        let method = step.method.parse().map_err(|_| Defect::Method(step.method.clone()))?;
        let url = Template::url(&step.url, known)?;
        let target = match url.constant() {
            Some(url) => {
                let (place, uri) = split(&url).ok_or_else(|| Defect::Url(step.url.clone()))?;
                Target::Fixed(Arc::new(place), uri)
            }
            None => Target::Template(url),
        };
        let mut headers = HeaderMap::new();
        if let Target::Fixed(place, _) = &target {
            headers.insert(HOST, place.host_header().ok_or_else(|| Defect::Url(step.url.clone()))?);
        }
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("sre-harness/", env!("CARGO_PKG_VERSION"))));
        let body = match &step.body {
            Some(body) => {
                let (body, media_type) = Body::new(body, files, known).map_err(Defect::Body)?;
                let media_type = HeaderValue::try_from(media_type)
                    .map_err(|_| Defect::HeaderValue(CONTENT_TYPE.to_string()))?;
                headers.insert(CONTENT_TYPE, media_type);
                Some(body)
            }
            None => None,
        };
        let mut changing = Vec::new();
        for (name, value) in &step.headers {
            let parsed: HeaderName = name.parse().map_err(|_| Defect::HeaderName(name.clone()))?;
            let template = Template::plain(value, known)?;
            match template.constant() {
                Some(value) => {
                    let value = HeaderValue::from_maybe_shared(value)
                        .map_err(|_| Defect::HeaderValue(name.clone()))?;
                    headers.insert(parsed, value);
                }
                None => {
                    headers.remove(&parsed);
                    changing.push((parsed, template));
                }
            }
        }
        Ok(Self {
            method,
            target,
            headers,
            changing,
            body,
            status: step.status,
            weight: step.weight,
            timeout: step.timeout.to_duration(),
            think: step.think.map(|(from, to)| (Millis::to_duration(from), to.to_duration())),
            keep_body: extract.iter().any(Extract::needs_body),
            extract,
        })
    }

    /// The request with everything put in.
    pub(super) fn render(&self, fill: Fill<'_>) -> Result<Outgoing, Missing> {
        let mut headers = self.headers.clone();
        let (place, uri) = match &self.target {
            Target::Fixed(place, uri) => (Arc::clone(place), uri.clone()),
            Target::Template(template) => {
                let mut url = Vec::new();
                template.render(fill, &mut url)?;
                // A value that makes no URL is as good as none.
                let (place, uri) = split(&url).ok_or(Missing)?;
                headers.entry(HOST).or_insert(place.host_header().ok_or(Missing)?);
                (Arc::new(place), uri)
            }
        };
        for (name, template) in &self.changing {
            let mut value = Vec::new();
            template.render(fill, &mut value)?;
            headers.insert(name, HeaderValue::from_maybe_shared(Bytes::from(value)).map_err(|_| Missing)?);
        }
        let body = match &self.body {
            Some(body) => body.render(fill)?,
            None => Bytes::new(),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(Outgoing { place, request })
    }
}

impl Place {
    fn host_header(&self) -> Option<HeaderValue> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let text = match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        };
        text.parse().ok()
    }
}

/// The server and what is asked of it.
fn split(url: &[u8]) -> Option<(Place, Uri)> {
    let uri = Uri::try_from(url).ok()?;
    let tls = match uri.scheme_str()? {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let authority = uri.authority()?;
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return None;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = match authority.port() {
        Some(port) => port.as_u16(),
        // `Uri` takes what is no port for none.
        None if authority.as_str().len() > authority.host().len() => return None,
        None if tls => 443,
        None => 80,
    };
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Some((Place { tls, host, port }, Uri::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Option<(bool, String, u16, String)> {
        split(url.as_bytes()).map(|(place, uri)| (place.tls, place.host, place.port, uri.to_string()))
    }

    #[test]
    fn urls_are_split() {
        assert_eq!(place("http://h/p?q=1"), Some((false, "h".to_owned(), 80, "/p?q=1".to_owned())));
        assert_eq!(place("https://h"), Some((true, "h".to_owned(), 443, "/".to_owned())));
        assert_eq!(place("http://[::1]:8080/"), Some((false, "::1".to_owned(), 8080, "/".to_owned())));
        for bad in
            ["h/p", "/p", "service://ns/name:80/", "ftp://h/", "http://", "http://u:p@h/", "http://h:x/"]
        {
            assert_eq!(place(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_host_header_names_a_port_that_is_not_the_usual_one() {
        let header =
            |tls, host: &str, port| Place { tls, host: host.to_owned(), port }.host_header().unwrap();
        assert_eq!(header(false, "h", 80), "h");
        assert_eq!(header(true, "h", 80), "h:80");
        assert_eq!(header(false, "::1", 8080), "[::1]:8080");
    }
}
