//! Container logs in the CRI format, one file per container attempt.
//!
//! `<data_dir>/logs/<namespace>_<pod>_<uid>/<container>/<restartCount>.log`, each line
//! `<RFC 3339 time with nanoseconds> stdout|stderr F|P <text>`; a line over 16 KiB is cut into partial (`P`) lines and a full
//! (`F`) one. A file that grew over its limit becomes `<restartCount>.log.1`, replacing the one before.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest text in one log line, as in containerd.
pub const MAX_LINE: usize = 16 * 1024;
/// Size at which a file is rotated, the kubelet's default `containerLogMaxSize`.
pub const MAX_FILE: u64 = 10 * 1024 * 1024;

/// Directory with the logs of a pod.
pub fn pod_directory(data_dir: &Path, namespace: &str, pod: &str, uid: &str) -> PathBuf {
    data_dir.join("logs").join(format!("{namespace}_{pod}_{uid}"))
}

/// Which of the two output streams a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Writes the log of one container attempt.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl LogWriter {
    /// Opens (creates, appends to) the log of attempt `restart_count` below the pod's log directory and removes the files of
    /// attempts older than the previous one.
    pub fn open(pod_directory: &Path, container: &str, restart_count: i32) -> io::Result<Self> {
        let directory = pod_directory.join(container);
        fs::create_dir_all(&directory)?;
        prune(&directory, restart_count);
        Self::at(directory.join(format!("{restart_count}.log")), MAX_FILE)
    }

    fn at(path: PathBuf, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, limit })
    }

    /// Writes formatted lines, rotating before a batch that finds the file full.
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + batch.len() as u64 > self.limit {
            let mut previous = self.path.clone().into_os_string();
            previous.push(".1");
            fs::rename(&self.path, previous)?;
            self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            self.size = 0;
        }
        self.file.write_all(batch)?;
        self.size += batch.len() as u64;
        Ok(())
    }

    /// Copies both streams into the log until both ended. Lines are written as soon as they are complete.
    pub async fn pump(mut self, stdout: impl AsyncRead + Unpin, stderr: impl AsyncRead + Unpin) {
        let (mut stdout, mut stderr) =
            (Source::new(stdout, Stream::Stdout), Source::new(stderr, Stream::Stderr));
        while stdout.open || stderr.open {
            let batch = tokio::select! {
                batch = stdout.read(), if stdout.open => batch,
                batch = stderr.read(), if stderr.open => batch,
            };
            if let Err(error) = self.write(&batch) {
                // The container must not block on a full disk: go on reading, drop the lines, say so once a batch.
                tracing::warn!(path = %self.path.display(), %error, "log lines were lost");
            }
        }
    }
}

/// Keeps the previous attempt's log (for `kubectl logs --previous`) and removes older ones.
fn prune(directory: &Path, restart_count: i32) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let attempt =
            name.to_str().and_then(|name| name.split('.').next()).and_then(|n| n.parse::<i32>().ok());
        if attempt.is_some_and(|attempt| attempt < restart_count - 1) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

struct Source<R> {
    reader: R,
    stream: Stream,
    line: LineCutter,
    buffer: Box<[u8]>,
    open: bool,
}

impl<R: AsyncRead + Unpin> Source<R> {
    fn new(reader: R, stream: Stream) -> Self {
        Self { reader, stream, line: LineCutter::default(), buffer: vec![0; 4096].into(), open: true }
    }

    /// The next lines, formatted. Safe to cancel: nothing is waited for after bytes were read.
    async fn read(&mut self) -> Vec<u8> {
        let count = self.reader.read(&mut self.buffer).await.unwrap_or(0);
        let now = Timestamp::now();
        let mut batch = Vec::new();
        if count == 0 {
            self.open = false;
            self.line.finish(now, self.stream, &mut batch);
        } else {
            self.line.push(&self.buffer[..count], now, self.stream, &mut batch);
        }
        batch
    }
}

/// Cuts a byte stream into CRI log lines.
#[derive(Debug, Default)]
struct LineCutter {
    pending: Vec<u8>,
}

impl LineCutter {
    fn push(&mut self, mut bytes: &[u8], now: Timestamp, stream: Stream, out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let room = MAX_LINE - self.pending.len();
            let end = bytes.iter().take(room + 1).position(|byte| *byte == b'\n');
            match end {
                Some(end) => {
                    self.pending.extend_from_slice(&bytes[..end]);
                    line(out, now, stream, 'F', &self.pending);
                    self.pending.clear();
                    bytes = &bytes[end + 1..];
                }
                None if bytes.len() > room => {
                    self.pending.extend_from_slice(&bytes[..room]);
                    line(out, now, stream, 'P', &self.pending);
                    self.pending.clear();
                    bytes = &bytes[room..];
                }
                None => {
                    self.pending.extend_from_slice(bytes);
                    return;
                }
            }
        }
    }

    /// The last line of a program may lack its newline.
    fn finish(&mut self, now: Timestamp, stream: Stream, out: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            line(out, now, stream, 'F', &self.pending);
            self.pending.clear();
        }
    }
}

fn line(out: &mut Vec<u8>, now: Timestamp, stream: Stream, tag: char, text: &[u8]) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{now:.9} {} {tag} ", stream.name());
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// The last bytes of the texts in a log file, without times: the termination message of `FallbackToLogsOnError` (at most 80
/// lines or 2 KiB, as in the kubelet).
pub fn tail_text(path: &Path) -> String {
    let Ok(content) = fs::read(path) else { return String::new() };
    let content = String::from_utf8_lossy(&content);
    let mut lines: Vec<&str> =
        content.lines().rev().take(80).filter_map(|line| line.splitn(4, ' ').nth(3)).collect();
    lines.reverse();
    let text = lines.join("\n");
    let from = text.len().saturating_sub(2048);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let mut cutter = LineCutter::default();
        let mut out = Vec::new();
        let now = "2026-01-02T03:04:05.000000006Z".parse().unwrap();
        for chunk in chunks {
            cutter.push(chunk, now, Stream::Stdout, &mut out);
        }
        cutter.finish(now, Stream::Stdout, &mut out);
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_carry_time_stream_and_tag() {
        let expected =
            ["2026-01-02T03:04:05.000000006Z stdout F one", "2026-01-02T03:04:05.000000006Z stdout F two"];
        assert_eq!(cut(&[b"on", b"e\ntw", b"o"]), expected);
        assert_eq!(cut(&[b"\n"]), ["2026-01-02T03:04:05.000000006Z stdout F "]);
    }

    #[test]
    fn a_long_line_is_cut_into_partial_lines() {
        for size in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE] {
            let mut text = vec![b'x'; size];
            text.push(b'\n');
            let lines = cut(&[&text]);
            let tags: Vec<&str> = lines.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
            let length: usize = lines.iter().map(|line| line.split(' ').nth(3).unwrap().len()).sum();
            assert_eq!(length, size);
            assert_eq!(tags.iter().filter(|tag| **tag == "F").count(), 1, "{size}: {tags:?}");
            assert_eq!(*tags.last().unwrap(), "F");
        }
    }

    #[test]
    fn a_full_file_is_rotated_and_only_one_old_one_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        let mut writer = LogWriter::at(path.clone(), 100).unwrap();
        for index in 0..5_u8 {
            writer.write(&[b'a' + index; 60]).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), [b'e'; 60]);
        assert_eq!(fs::read(directory.path().join("0.log.1")).unwrap(), [b'd'; 60]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn logs_of_the_current_and_the_previous_attempt_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        for attempt in 0..4 {
            LogWriter::open(directory.path(), "main", attempt).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(directory.path().join("main")).unwrap().flatten().collect();
        names.sort_by_key(|entry| entry.file_name());
        let names: Vec<_> = names.iter().map(|entry| entry.file_name().into_string().unwrap()).collect();
        assert_eq!(names, ["2.log", "3.log"]);
    }

    #[test]
    fn the_tail_leaves_out_times() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        fs::write(&path, "t stdout F first line\nt stderr F second\n").unwrap();
        assert_eq!(tail_text(&path), "first line\nsecond");
    }
}
