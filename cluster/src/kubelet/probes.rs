//! Probes: the thresholds (pure) and the checks (HTTP, TCP).

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, Probe, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::probe_tls;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProbeKind {
    /// Holds the other two back until it succeeded once.
    Startup,
    /// Restarts the container.
    Liveness,
    /// Decides about traffic.
    Readiness,
}

impl ProbeKind {
    /// The name in events: `Readiness probe failed: …`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    /// The probe of this kind in a container.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// Times and thresholds with Kubernetes' defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeTiming {
    /// Wait after the start of the container.
    pub initial_delay: Duration,
    /// Time between two checks.
    pub period: Duration,
    /// Longest time one check may take.
    pub timeout: Duration,
    /// Successes in a row that count.
    pub success_threshold: u32,
    /// Failures in a row that count.
    pub failure_threshold: u32,
}

impl ProbeTiming {
    /// Reads a probe's fields.
    pub fn of(probe: &Probe) -> Self {
        let seconds = |value: Option<i32>, default: u64| {
            Duration::from_secs(
                value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0).unwrap_or(default),
            )
        };
        let count = |value: Option<i32>, default: u32| {
            value.and_then(|v| u32::try_from(v).ok()).filter(|v| *v > 0).unwrap_or(default)
        };
        Self {
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            success_threshold: count(probe.success_threshold, 1),
            failure_threshold: count(probe.failure_threshold, 3),
        }
    }
}

/// What a probe has decided about its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Enough successes in a row.
    Success,
    /// Enough failures in a row.
    Failure,
}

/// Counts results of one probe of one container attempt.
#[derive(Clone, Copy, Debug)]
pub struct ProbeTracker {
    success_threshold: u32,
    failure_threshold: u32,
    last: Option<bool>,
    run: u32,
    verdict: Option<Verdict>,
}

impl ProbeTracker {
    /// A tracker that has seen nothing yet.
    pub fn new(timing: &ProbeTiming) -> Self {
        Self {
            success_threshold: timing.success_threshold,
            failure_threshold: timing.failure_threshold,
            last: None,
            run: 0,
            verdict: None,
        }
    }

    /// Takes one result; returns the verdict if this result changed it.
    pub fn observe(&mut self, success: bool) -> Option<Verdict> {
        self.run = if self.last == Some(success) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(success);
        let (threshold, verdict) = if success {
            (self.success_threshold, Verdict::Success)
        } else {
            (self.failure_threshold, Verdict::Failure)
        };
        if self.run < threshold || self.verdict == Some(verdict) {
            return None;
        }
        self.verdict = Some(verdict);
        Some(verdict)
    }
}

/// A port given as number or by name.
pub fn resolve_port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => match name.parse() {
            Ok(number) => Some(number),
            Err(_) => container
                .ports
                .iter()
                .flatten()
                .find(|port| port.name.as_deref() == Some(name))
                .map(|port| port.container_port),
        },
    };
    match number.map(u16::try_from) {
        Some(Ok(number)) if number > 0 => Ok(number),
        Some(_) => Err(format!("invalid port number: {port:?}")),
        None => Err(format!("couldn't find port: {port:?} in container {}", container.name)),
    }
}

/// Checks `httpGet`: any status from 200 to 399 is a success. The error is the text of the event.
pub async fn http_get(
    action: &HTTPGetAction,
    container: &Container,
    pod_ip: std::net::Ipv4Addr,
    timeout: Duration,
) -> Result<(), String> {
    let port = resolve_port(&action.port, container)?;
    let scheme = action.scheme.as_deref().unwrap_or("HTTP").to_ascii_lowercase();
    let host = action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| pod_ip.to_string());
    let path = action.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let url = format!("{scheme}://{host}:{port}{slash}{path}");
    let work = async {
        let stream = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(|error| dial_error(&host, port, &error))?;
        let stream: Box<dyn Stream> = if scheme == "https" {
            Box::new(probe_tls::connect(stream, &host).await?)
        } else {
            Box::new(stream)
        };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
        let connection = AbortOnDrop(tokio::spawn(connection));
        let mut request = http::Request::get(format!("{slash}{path}"));
        let mut host_header = format!("{host}:{port}");
        let (mut agent, mut accept) = (true, true);
        for header in action.http_headers.iter().flatten() {
            if header.name.eq_ignore_ascii_case("host") {
                host_header.clone_from(&header.value);
                continue;
            }
            agent &= !header.name.eq_ignore_ascii_case("user-agent");
            accept &= !header.name.eq_ignore_ascii_case("accept");
            request = request.header(&header.name, &header.value);
        }
        request = request.header(http::header::HOST, host_header).header(http::header::CONNECTION, "close");
        if agent {
            request = request.header(http::header::USER_AGENT, "kube-probe/1.36");
        }
        if accept {
            request = request.header(http::header::ACCEPT, "*/*");
        }
        let request = request.body(Empty::<bytes::Bytes>::new()).map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| go_error(&error))?;
        let status = response.status().as_u16();
        // The body is read as far as the kubelet reads it, so that the server does not see a broken connection.
        let _ = Limited::new(response.into_body(), 10 * 1024).collect().await;
        drop(connection);
        Ok::<u16, String>(status)
    };
    match tokio::time::timeout(timeout, work).await {
        Ok(Ok(200..=399)) => Ok(()),
        Ok(Ok(status)) => Err(format!("HTTP probe failed with statuscode: {status}")),
        Ok(Err(error)) => Err(format!("Get \"{url}\": {error}")),
        Err(_) => Err(format!(
            "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

/// A plain or an encrypted connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Checks `tcpSocket`: a connection can be opened.
pub async fn tcp_socket(
    action: &TCPSocketAction,
    container: &Container,
    pod_ip: std::net::Ipv4Addr,
    timeout: Duration,
) -> Result<(), String> {
    let port = resolve_port(&action.port, container)?;
    let host = action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| pod_ip.to_string());
    match tokio::time::timeout(timeout, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(dial_error(&host, port, &error)),
        Err(_) => Err(format!("dial tcp {host}:{port}: i/o timeout")),
    }
}

fn dial_error(host: &str, port: u16, error: &std::io::Error) -> String {
    let address = match host.parse() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    };
    let text = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "read: connection reset by peer".to_owned(),
        _ => error.to_string(),
    };
    format!("dial tcp {address}: {text}")
}

/// What Go says when the server closes the connection instead of answering.
fn go_error(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        "EOF".to_owned()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn timing(value: serde_json::Value) -> ProbeTiming {
        ProbeTiming::of(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn defaults_are_those_of_kubernetes() {
        let expected = ProbeTiming {
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
        };
        assert_eq!(timing(json!({})), expected);
        assert_eq!(timing(json!({"periodSeconds": 0, "failureThreshold": 0})), expected);
    }

    #[test]
    fn verdicts_change_only_at_the_thresholds() {
        use Verdict::{Failure, Success};
        let mut tracker = ProbeTracker::new(&timing(json!({"successThreshold": 2, "failureThreshold": 3})));
        let steps = [
            (true, None),
            (true, Some(Success)),
            (true, None),
            (false, None),
            (false, None),
            (true, None),
            (false, None),
            (false, None),
            (false, Some(Failure)),
            (false, None),
            (true, None),
            (true, Some(Success)),
        ];
        for (index, (result, expected)) in steps.into_iter().enumerate() {
            assert_eq!(tracker.observe(result), expected, "step {index}");
        }
    }

    #[test]
    fn ports_may_be_named() {
        let container: Container =
            serde_json::from_value(json!({"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}))
                .unwrap();
        let port =
            |value: serde_json::Value| resolve_port(&serde_json::from_value(value).unwrap(), &container);
        assert_eq!(port(json!("http")), Ok(8080));
        assert_eq!(port(json!(81)), Ok(81));
        assert_eq!(port(json!("82")), Ok(82));
        assert!(port(json!("grpc")).is_err());
        assert!(port(json!(70000)).is_err());
    }

    /// Answers one request with the given bytes and returns what it read.
    async fn serve(answer: &'static [u8]) -> (u16, tokio::task::JoinHandle<String>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 2048];
            let count = stream.read(&mut buffer).await.unwrap();
            stream.write_all(answer).await.unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        });
        (port, task)
    }

    async fn get(port: u16, timeout: Duration) -> Result<(), String> {
        let action = serde_json::from_value(json!({
            "port": port, "path": "/healthz", "httpHeaders": [{"name": "X-Probe", "value": "1"}],
        }))
        .unwrap();
        http_get(&action, &Container::default(), std::net::Ipv4Addr::LOCALHOST, timeout).await
    }

    #[tokio::test]
    async fn http_statuses_from_200_to_399_succeed() {
        let second = Duration::from_secs(5);
        let (port, request) = serve(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(get(port, second).await, Ok(()));
        let request = request.await.unwrap().to_ascii_lowercase();
        assert!(request.starts_with("get /healthz http/1.1\r\n"), "{request}");
        assert!(
            request.contains("x-probe: 1\r\n") && request.contains("user-agent: kube-probe/1.36\r\n"),
            "{request}"
        );
        let (port, _) = serve(b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(get(port, second).await, Ok(()));
        let (port, _) = serve(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(get(port, second).await.unwrap_err(), "HTTP probe failed with statuscode: 503");
    }

    #[tokio::test]
    async fn refused_and_silent_servers_fail_with_gos_words() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = get(port, Duration::from_millis(50)).await.unwrap_err();
        assert!(
            silent.ends_with("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
            "{silent}"
        );
        drop(listener);
        let refused = get(port, Duration::from_secs(5)).await.unwrap_err();
        let expected = format!(
            "Get \"http://127.0.0.1:{port}/healthz\": dial tcp 127.0.0.1:{port}: connect: connection refused"
        );
        assert_eq!(refused, expected);
    }

    #[tokio::test]
    async fn https_is_probed_without_checking_the_certificate() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let own = rcgen::generate_simple_self_signed(vec!["elsewhere.test".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
            let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            let _ = stream.read(&mut [0; 2048]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let action = serde_json::from_value(json!({"port": port, "scheme": "HTTPS"})).unwrap();
        let ip = std::net::Ipv4Addr::LOCALHOST;
        assert_eq!(http_get(&action, &Container::default(), ip, Duration::from_secs(5)).await, Ok(()));
    }
}
