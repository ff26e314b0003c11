//! Lines of a log file in the CRI format: `<time> <stream> <F|P> <text>`.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;

use super::options::LogOptions;

/// Chooses and formats lines.
#[derive(Debug)]
pub struct Filter {
    since: Option<Timestamp>,
    timestamps: bool,
    stream: Option<&'static str>,
    remaining: Option<u64>,
    /// The last line was a partial one: what follows continues it and gets no time of its own.
    continued: bool,
}

impl Filter {
    /// A filter for the options.
    pub fn new(options: &LogOptions) -> Self {
        Self {
            since: options.since,
            timestamps: options.timestamps,
            stream: options.stream,
            remaining: options.limit,
            continued: false,
        }
    }

    /// True when the byte limit is used up.
    pub fn is_full(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Formats whole lines.
    pub fn format(&mut self, lines: &[u8], out: &mut BytesMut) {
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if self.is_full() {
                return;
            }
            let start = out.len();
            self.line(line, out);
            if let Some(remaining) = &mut self.remaining {
                let written = (out.len() - start) as u64;
                if written > *remaining {
                    out.truncate(start + *remaining as usize);
                }
                *remaining = remaining.saturating_sub(written);
            }
        }
    }

    fn line(&mut self, line: &[u8], out: &mut BytesMut) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut words = line.splitn(4, |byte| *byte == b' ');
        let (Some(time), Some(stream), Some(tag)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let text = words.next().unwrap_or_default();
        if self.stream.is_some_and(|wanted| wanted.as_bytes() != stream) {
            return;
        }
        if let Some(since) = self.since {
            let written = std::str::from_utf8(time).ok().and_then(|time| time.parse::<Timestamp>().ok());
            if written.is_some_and(|written| written < since) {
                return;
            }
        }
        if self.timestamps && !self.continued {
            out.put_slice(time);
            out.put_u8(b' ');
        }
        out.put_slice(text);
        self.continued = tag.starts_with(b"P");
        if !self.continued {
            out.put_u8(b'\n');
        }
    }
}

/// Where the last `count` lines of a log begin. Partial lines count with the line that they begin.
pub fn tail_start(file: &mut (impl Read + Seek), count: u64) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let end = file.seek(SeekFrom::End(0))?;
    let mut size = STEP;
    loop {
        let start = end.saturating_sub(size);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        file.by_ref().take(end - start).read_to_end(&mut block)?;
        if let Some(offset) = tail_in(&block, count, start == 0) {
            return Ok(start + offset as u64);
        }
        size *= 4;
    }
}

/// Offset of the last `count` lines in a block; none if it does not hold that many. `whole` says that the block starts the
/// file.
fn tail_in(block: &[u8], count: u64, whole: bool) -> Option<usize> {
    let mut starts = Vec::new();
    let mut offset = 0;
    let mut continued = !whole;
    for line in block.split_inclusive(|byte| *byte == b'\n') {
        if !continued {
            starts.push(offset);
        }
        let tag = line.splitn(4, |byte| *byte == b' ').nth(2).unwrap_or_default();
        // The first line of a block that starts in the middle may be cut: nothing before its end counts.
        continued = if offset == 0 && !whole { false } else { tag.starts_with(b"P") };
        offset += line.len();
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    match starts.len().checked_sub(count) {
        Some(at) => Some(starts.get(at).copied().unwrap_or(block.len())),
        None if whole => Some(0),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const LOG: &str = "2026-11-21T10:00:00.000000001Z stdout F one\n\
        2026-11-21T10:00:01.000000001Z stderr F two\n\
        2026-11-21T10:00:02.000000001Z stdout P thr\n\
        2026-11-21T10:00:02.000000002Z stdout F ee\n";

    fn read(options: LogOptions) -> String {
        let start =
            options.tail.map_or(0, |count| tail_start(&mut Cursor::new(LOG), count).unwrap() as usize);
        let mut out = BytesMut::new();
        Filter::new(&options).format(&LOG.as_bytes()[start..], &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn lines_are_chosen_by_count_time_stream_and_bytes() {
        let all = LogOptions::default;
        assert_eq!(read(all()), "one\ntwo\nthree\n");
        assert_eq!(read(LogOptions { tail: Some(2), ..all() }), "two\nthree\n");
        assert_eq!(read(LogOptions { tail: Some(0), ..all() }), "");
        assert_eq!(read(LogOptions { tail: Some(9), ..all() }), "one\ntwo\nthree\n");
        assert_eq!(read(LogOptions { limit: Some(6), ..all() }), "one\ntw");
        assert_eq!(read(LogOptions { stream: Some("stderr"), ..all() }), "two\n");
        let since = "2026-11-21T10:00:01Z".parse().ok();
        assert_eq!(
            read(LogOptions { since, timestamps: true, tail: Some(1), ..all() }),
            "2026-11-21T10:00:02.000000001Z three\n"
        );
    }

    #[test]
    fn the_tail_of_a_long_log_is_found_from_its_end() {
        let log: String = (0..20_000).map(|n| format!("2026-11-21T10:00:00Z stdout F line {n}\n")).collect();
        let start = tail_start(&mut Cursor::new(&log), 2).unwrap() as usize;
        assert_eq!(
            &log[start..],
            "2026-11-21T10:00:00Z stdout F line 19998\n2026-11-21T10:00:00Z stdout F line 19999\n"
        );
    }
}
