//! `pods/log`: which container's log, which lines of it, and following it.

mod choose;
mod lines;
mod options;

use std::{convert::Infallible, io, path::PathBuf, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::{HeaderValue, header};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, SeekFrom},
};
use tokio_util::sync::CancellationToken;

use self::{choose::Chosen, lines::Filter, options::LogOptions};
use super::{request::Call, router::ApiServer, status::ApiError, verbs};
use crate::store::{Key, Stored};

/// How often a followed file is looked at, beside the moments when its pod changes.
const POLL: Duration = Duration::from_millis(100);
/// Bytes read from a log file at once.
const BLOCK: usize = 64 * 1024;

/// `GET pods/NAME/log`.
pub async fn logs(server: &ApiServer, call: &Call) -> Result<Response, ApiError> {
    let options = LogOptions::parse(call)?;
    let pod = verbs::get::find(server, call)?;
    let Some(chosen) = choose::choose(&pod, &options)? else {
        // The pod is not on a node yet: there is no log, and that is no error.
        return Ok(text(Body::empty()));
    };
    let path = chosen.path(server.logs(), &pod);
    let opened = match File::open(&path).await {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(ApiError::internal(format!("failed to open log file {path:?}: {error}"))),
    };
    let mut position = 0;
    if let (Some(_), Some(count)) = (&opened, options.tail) {
        let path = path.clone();
        let start =
            tokio::task::spawn_blocking(move || lines::tail_start(&mut std::fs::File::open(path)?, count))
                .await;
        let start = start.unwrap_or_else(|error| Err(io::Error::other(error)));
        position = start.map_err(|error| ApiError::internal(format!("failed to read the log: {error}")))?;
    }
    let reader = Reader {
        server: server.clone(),
        pod: pod.key.clone(),
        uid: pod.uid.clone(),
        chosen,
        path,
        file: opened,
        position,
        pending: BytesMut::new(),
        filter: Filter::new(&options),
        follow: options.follow,
        shutdown: server.shutdown_token(),
        ended: false,
    };
    let body = Body::from_stream(stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next_chunk().await?;
        Some((Ok::<_, Infallible>(chunk), reader))
    }));
    Ok(text(body))
}

fn text(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Reads a log file, and waits for more of it when following.
struct Reader {
    server: ApiServer,
    pod: Key,
    uid: String,
    chosen: Chosen,
    path: PathBuf,
    file: Option<File>,
    position: u64,
    /// The beginning of a line whose end is not written yet.
    pending: BytesMut,
    filter: Filter,
    follow: bool,
    shutdown: CancellationToken,
    ended: bool,
}

impl Reader {
    async fn next_chunk(&mut self) -> Option<Bytes> {
        let mut changed = self.server.store().subscribe(super::resources::collection::PODS);
        loop {
            if self.ended {
                return None;
            }
            // Asked before reading: what the container wrote before it ended is in the file by then.
            let over = !self.follow || self.is_over();
            let (out, read) = self.read_block().await;
            if self.filter.is_full() || (read == 0 && over && !self.rotated().await) {
                self.ended = true;
            }
            if !out.is_empty() {
                return Some(out);
            }
            if read > 0 || self.ended {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = changed.changed() => {}
                () = self.shutdown.cancelled() => return None,
            }
        }
    }

    /// True when the container that writes this file has ended.
    fn is_over(&self) -> bool {
        let pod = self.server.store().get(super::resources::collection::PODS, &self.pod);
        pod.filter(|pod| pod.uid == self.uid)
            .is_none_or(|pod: Arc<Stored>| self.chosen.has_ended(&pod.value()))
    }

    /// Reads and formats the next block; says how many bytes the file had.
    async fn read_block(&mut self) -> (Bytes, usize) {
        if self.file.is_none() {
            self.file = File::open(&self.path).await.ok();
        }
        let Some(file) = &mut self.file else { return (Bytes::new(), 0) };
        let mut block = vec![0; BLOCK];
        let read = match file.seek(SeekFrom::Start(self.position)).await {
            Ok(_) => file.read(&mut block).await.unwrap_or(0),
            Err(_) => 0,
        };
        self.position += read as u64;
        self.pending.extend_from_slice(&block[..read]);
        let mut out = BytesMut::new();
        if let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') {
            let lines = self.pending.split_to(end + 1);
            self.filter.format(&lines, &mut out);
        }
        (out.freeze(), read)
    }

    /// Goes over to the new file if this one has been rotated away and is read to its end.
    async fn rotated(&mut self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Some(file) = &self.file else { return false };
        let (Ok(old), Ok(new)) = (file.metadata().await, tokio::fs::metadata(&self.path).await) else {
            return false;
        };
        if old.ino() == new.ino() {
            return false;
        }
        self.file = None;
        self.position = 0;
        true
    }
}
