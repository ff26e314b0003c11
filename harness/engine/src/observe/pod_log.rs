//! The end of a container's log.

use std::{collections::VecDeque, time::Duration};

use futures::{AsyncBufRead, AsyncReadExt};
use harness_event::{LogLine, PodLog, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::LogParams};

use super::redact::{Redactor, plain};
use crate::monitor::chain;

/// How much of a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    /// Lines.
    pub lines: usize,
    /// Bytes of text, all lines together.
    pub bytes: usize,
}

impl Tail {
    /// What is kept with a run.
    pub const EXCERPT: Self = Self { lines: 50, bytes: 64 << 10 };
    /// What somebody sees who asks.
    pub const SCREEN: Self = Self { lines: 500, bytes: 256 << 10 };
}

/// A line that is longer is cut off.
const LONGEST_LINE: usize = 4 << 10;
/// Time limit of reading a log.
const LIMIT: Duration = Duration::from_secs(5);

/// Which log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogOf {
    /// Namespace.
    pub namespace: String,
    /// Pod.
    pub pod: String,
    /// Container; the pod's first if absent.
    pub container: Option<String>,
    /// Of the container's instance before its last restart.
    pub previous: bool,
}

/// Reads the end of a log, with what looks like a secret replaced. What goes wrong is in [`PodLog::error`].
pub async fn read_pod_log(client: &Client, of: &LogOf, tail: Tail, why: &str) -> PodLog {
    let mut kept = Kept::new(tail);
    let read = async {
        let of = with_container(client, of).await?;
        let container = of.container.clone().unwrap_or_default();
        follow(client, &of, &mut kept, false).await.map(|()| container).map_err(|error| error.to_string())
    };
    let result = match tokio::time::timeout(LIMIT, read).await {
        Ok(result) => result,
        Err(_) => Err(format!("no complete answer within {} s", LIMIT.as_secs())),
    };
    let (container, error) = match result {
        Ok(container) => (container, None),
        Err(error) => (of.container.clone().unwrap_or_default(), Some(error)),
    };
    kept.into_log(LogOf { container: Some(container), ..of.clone() }, why, error)
}

/// With the name of the first container where none is given: what the API server does for pods of one container only.
async fn with_container(client: &Client, of: &LogOf) -> Result<LogOf, String> {
    if of.container.is_some() {
        return Ok(of.clone());
    }
    let api: Api<Pod> = Api::namespaced(client.clone(), &of.namespace);
    let pod = api.get(&of.pod).await.map_err(|error| said(&error))?;
    let first = pod.spec.as_ref().and_then(|spec| spec.containers.first()).map(|one| one.name.clone());
    Ok(LogOf { container: first, ..of.clone() })
}

/// Reads a log into `kept`; with `follow` until the container ends.
pub(super) async fn follow(client: &Client, of: &LogOf, kept: &mut Kept, follow: bool) -> Result<(), String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &of.namespace);
    // One more than is kept, to know whether there was more.
    let lines = i64::try_from(kept.tail.lines + 1).unwrap_or(i64::MAX);
    let params = LogParams {
        container: of.container.clone(),
        follow,
        previous: of.previous,
        tail_lines: Some(lines),
        timestamps: true,
        ..LogParams::default()
    };
    let stream = api.log_stream(&of.pod, &params).await.map_err(|error| said(&error))?;
    read_lines(std::pin::pin!(stream), kept).await.map_err(|error| format!("the log broke off: {error}"))
}

/// What the API server says, for people.
pub(super) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => format!("answered {}", status.code),
        kube::Error::Api(status) => status.message.clone(),
        error => chain(error),
    }
}

async fn read_lines(
    mut stream: std::pin::Pin<&mut impl AsyncBufRead>,
    kept: &mut Kept,
) -> std::io::Result<()> {
    let (mut line, mut part) = (Vec::new(), [0; 8192]);
    loop {
        let length = stream.read(&mut part).await?;
        for byte in &part[..length] {
            match byte {
                b'\n' => kept.add(&std::mem::take(&mut line)),
                // A program that writes no end of line must not fill the memory.
                _ if line.len() < LONGEST_LINE * 2 => line.push(*byte),
                _ => {}
            }
        }
        if length == 0 {
            if !line.is_empty() {
                kept.add(&line);
            }
            return Ok(());
        }
    }
}

/// The last lines so far.
#[derive(Debug)]
pub(super) struct Kept {
    tail: Tail,
    lines: VecDeque<LogLine>,
    bytes: usize,
    cut: bool,
    redactor: Redactor,
}

impl Kept {
    pub(super) fn new(tail: Tail) -> Self {
        Self { tail, lines: VecDeque::new(), bytes: 0, cut: false, redactor: Redactor::default() }
    }

    /// A line as it comes with `timestamps=true`: `2026-11-21T10:00:00.123456789Z text`.
    pub(super) fn add(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        let (written_at, text) = match line.split_once(' ') {
            Some((time, text)) => match Timestamp::parse(time) {
                Some(at) => (Some(at), text),
                None => (None, line),
            },
            // A time and an empty line.
            None => match Timestamp::parse(line) {
                Some(at) => (Some(at), ""),
                None => (None, line),
            },
        };
        // Redacted before it is cut off: half a secret is one, too.
        let mut text = self.redactor.line(&plain(text));
        if text.len() > LONGEST_LINE {
            let end = (0..=LONGEST_LINE).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
            self.cut = true;
        }
        self.bytes += text.len();
        self.lines.push_back(LogLine { written_at, text });
        while self.lines.len() > self.tail.lines || self.bytes > self.tail.bytes {
            let Some(first) = self.lines.pop_front() else { break };
            self.bytes -= first.text.len();
            self.cut = true;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn into_log(self, of: LogOf, why: &str, error: Option<String>) -> PodLog {
        PodLog {
            namespace: of.namespace,
            pod: of.pod,
            container: of.container.unwrap_or_default(),
            previous: of.previous,
            why: why.to_owned(),
            read_at: Timestamp::now(),
            lines: self.lines.into(),
            cut: self.cut,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(tail: Tail, lines: &[&str]) -> PodLog {
        let mut kept = Kept::new(tail);
        lines.iter().for_each(|line| kept.add(line.as_bytes()));
        let of = LogOf { namespace: "shop".into(), pod: "web".into(), container: None, previous: false };
        kept.into_log(of, "asked for", None)
    }

    fn texts(log: &PodLog) -> Vec<&str> {
        log.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lines_have_their_times() {
        let log = kept(
            Tail::EXCERPT,
            &["2026-11-21T10:00:00.123456789Z it began", "2026-11-21T10:00:01Z", "no time here", "word"],
        );
        assert_eq!(texts(&log), ["it began", "", "no time here", "word"]);
        assert_eq!(log.lines[0].written_at, Timestamp::parse("2026-11-21T10:00:00.123Z"));
        assert_eq!(log.lines[2].written_at, None);
        assert!(!log.cut);
    }

    #[test]
    fn the_last_lines_are_kept() {
        let log = kept(Tail { lines: 2, bytes: 100 }, &["a", "b", "c"]);
        assert_eq!((texts(&log), log.cut), (vec!["b", "c"], true));
        let log = kept(Tail { lines: 10, bytes: 5 }, &["aaa", "bbb", "cc"]);
        assert_eq!((texts(&log), log.cut), (vec!["bbb", "cc"], true));
        let long = "x".repeat(LONGEST_LINE + 1);
        let log = kept(Tail::EXCERPT, &[&long]);
        assert_eq!((log.lines[0].text.chars().count(), log.cut), (LONGEST_LINE + 1, true));
    }

    #[test]
    fn secrets_and_escape_sequences_do_not_get_through() {
        let log = kept(
            Tail::EXCERPT,
            &["\u{1b}[31mpassword=\u{1b}[0mhunter2\u{1b}[2J", "bell \u{7} and tab\t", "\u{1b}"],
        );
        assert_eq!(texts(&log), ["password=[redacted]", "bell \u{fffd} and tab\t", ""]);
    }

    #[tokio::test]
    async fn a_log_without_end_of_line_is_bounded() {
        let endless = vec![b'x'; LONGEST_LINE * 10];
        let mut kept = Kept::new(Tail::EXCERPT);
        read_lines(std::pin::pin!(futures::io::Cursor::new(endless)), &mut kept).await.unwrap();
        assert_eq!(kept.lines.len(), 1);
        assert!(kept.lines[0].text.len() <= LONGEST_LINE + 3);
    }
}
