//! Where pictures are kept: an object store, a directory by default.
//!
//! A picture is one object `pictures/ID`; `owners/OWNER/ID` is a small JSON description beside it, by which the
//! pictures of an owner are found. The description is written last: what is listed is complete.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::{
    GetResult, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, local::LocalFileSystem, path::Path,
};
use reqwest::Url;
use tokio::time::timeout;

use super::{
    model::{ImageId, StoredImage},
    sniff::{self, Picture, Sniffed},
};
use crate::{
    body::BodyError,
    config::{ConfigError, Env},
};

/// Longest time for a small operation.
const LIMIT: Duration = Duration::from_millis(1000);
/// Longest time for storing a picture, its transfer included.
const STORE_LIMIT: Duration = Duration::from_secs(30);
/// Bytes written at a time to a directory.
const FILE_PART: usize = 256 * 1024;
/// Bytes uploaded at a time to a cloud store; S3 takes no smaller parts.
#[cfg(feature = "cloud")]
const CLOUD_PART: usize = 5 << 20;
/// Where pictures are.
const PICTURES: &str = "pictures";
/// The object that the readiness check writes; replicas that share a store share it, too.
const PROBE: &str = "health/probe";
/// Age at which an incomplete file cannot belong to a running upload any more.
const ABANDONED: Duration = Duration::from_secs(3600);
/// Parts that may be on their way at the same time.
const PARTS_IN_FLIGHT: usize = 2;
/// Most pictures in one listing.
const MAX_LISTED: usize = 100;
/// Descriptions read at the same time.
const READS_IN_FLIGHT: usize = 8;

/// A failed operation of the store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Not within its time limit.
    #[error("the storage did not answer in time")]
    Timeout,
    /// The store refused or failed.
    #[error("the storage failed")]
    Store(#[from] object_store::Error),
    /// A description could not be read or written.
    #[error("the description of a picture is not readable")]
    Description(#[from] serde_json::Error),
    /// The upload was no acceptable picture.
    #[error("{1}")]
    Refused(StatusCode, &'static str),
    /// The upload was longer than allowed, or broke off.
    #[error("the upload failed")]
    Upload(#[source] BodyError),
}

/// The pictures. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    part: usize,
    /// The directory behind the store, if it is one.
    directory: Option<PathBuf>,
}

impl Storage {
    /// The store that `STORAGE_URL` names.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        const NAME: &str = "STORAGE_URL";
        let text = env.required(NAME, "a directory as file:///PATH, s3://BUCKET or gs://BUCKET")?;
        let url = Url::parse(&text)
            .map_err(|error| ConfigError::new(NAME, format!("{text:?} is not a URL ({error})")))?;
        let wrong = |problem| ConfigError::new(NAME, problem);
        let (store, part, directory) = match url.scheme() {
            "file" => {
                let (store, directory) = directory(&url).map_err(wrong)?;
                (store, FILE_PART, Some(directory))
            }
            "s3" | "gs" => {
                let (store, part) = cloud(env, &url).map_err(wrong)?;
                (store, part, None)
            }
            scheme => {
                return Err(ConfigError::new(NAME, format!("{scheme:?} is not one of file, s3 and gs")));
            }
        };
        Ok(Self { store, part, directory })
    }

    /// Stores a picture that arrives as a stream. Nothing is left behind if it turns out not to be one, to be
    /// too long, or to break off.
    pub async fn store<S>(&self, owner: i64, body: S) -> Result<StoredImage, StorageError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        timeout(STORE_LIMIT, self.store_picture(owner, body)).await.map_err(|_| StorageError::Timeout)?
    }

    async fn store_picture<S>(&self, owner: i64, mut body: S) -> Result<StoredImage, StorageError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let (picture, head) = recognise(&mut body).await?;
        let id = ImageId::random(picture.format);
        let path = picture_path(&id);
        let upload = self.store.put_multipart(&path).await?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, self.part);
        let bytes = match copy(&mut writer, head, body).await {
            Ok(bytes) => bytes,
            Err(error) => {
                writer.abort().await?;
                return Err(error);
            }
        };
        writer.finish().await?;
        let image = StoredImage {
            id: id.as_str().to_owned(),
            format: picture.format,
            width: picture.width,
            height: picture.height,
            bytes,
            uploaded_at: jiff::Timestamp::now().to_string(),
        };
        let description = PutPayload::from(serde_json::to_vec(&image)?);
        if let Err(error) = self.store.put(&owner_path(owner).join(id.as_str()), description).await {
            // Without its description nobody would find the picture again.
            self.store.delete(&path).await?;
            return Err(error.into());
        }
        Ok(image)
    }

    /// The newest pictures of an owner, newest first.
    pub async fn list(&self, owner: i64) -> Result<Vec<StoredImage>, StorageError> {
        let list = async {
            let prefix = owner_path(owner);
            let mut found: Vec<_> = self.store.list(Some(&prefix)).try_collect().await?;
            found.sort_by_key(|object| std::cmp::Reverse(object.last_modified));
            found.truncate(MAX_LISTED);
            let reads = futures::stream::iter(found).map(|object| async move {
                let bytes = self.store.get(&object.location).await?.bytes().await?;
                Ok::<StoredImage, StorageError>(serde_json::from_slice(&bytes)?)
            });
            let mut images: Vec<_> = reads.buffered(READS_IN_FLIGHT).try_collect().await?;
            images.sort_by(|a, b| b.uploaded_at.cmp(&a.uploaded_at));
            Ok(images)
        };
        timeout(LIMIT, list).await.map_err(|_| StorageError::Timeout)?
    }

    /// A picture for streaming; `None` if there is none of that name.
    pub async fn get(&self, id: &ImageId) -> Result<Option<GetResult>, StorageError> {
        match timeout(LIMIT, self.store.get(&picture_path(id))).await {
            Err(_) => Err(StorageError::Timeout),
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(object_store::Error::NotFound { .. })) => Ok(None),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    /// Whether the store can be written.
    pub async fn check(&self) -> Result<(), String> {
        let probe = Path::from(PROBE);
        self.store.put(&probe, PutPayload::from_static(b"ok")).await.map(drop).map_err(|e| e.to_string())
    }

    /// Removes what uploads left behind that were cut off by the end of the process. A cloud store does that by
    /// its own rules for incomplete uploads.
    pub fn remove_abandoned(&self) -> std::io::Result<usize> {
        let Some(directory) = &self.directory else { return Ok(0) };
        let mut removed = 0;
        for entry in std::fs::read_dir(directory.join(PICTURES))? {
            let entry = entry?;
            // `object_store` writes to `NAME#NUMBER` until the object is complete.
            let partial = entry.file_name().to_string_lossy().contains('#');
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if partial && age > ABANDONED {
                std::fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes the object that [`Storage::check`] writes.
    pub async fn remove_probe(&self) {
        let _ = timeout(LIMIT, self.store.delete(&Path::from(PROBE))).await;
    }
}

/// Reads until the format and size of the picture are known; returns what was read as well.
async fn recognise<S>(body: &mut S) -> Result<(Picture, Bytes), StorageError>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
{
    let mut head = BytesMut::new();
    loop {
        let chunk = body.next().await.transpose().map_err(StorageError::Upload)?;
        let complete = chunk.is_none();
        head.extend_from_slice(&chunk.unwrap_or_default());
        if complete && head.is_empty() {
            return Err(StorageError::Refused(StatusCode::BAD_REQUEST, "The upload is empty"));
        }
        match sniff::sniff(&head, complete) {
            Sniffed::Picture(picture) => return Ok((picture, head.freeze())),
            Sniffed::No(reason) => {
                return Err(StorageError::Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
            }
            Sniffed::NeedMore => {}
        }
    }
}

async fn copy<S>(writer: &mut WriteMultipart, head: Bytes, mut body: S) -> Result<u64, StorageError>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
{
    let mut bytes = head.len() as u64;
    writer.put(head);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(StorageError::Upload)?;
        bytes += chunk.len() as u64;
        writer.wait_for_capacity(PARTS_IN_FLIGHT).await?;
        writer.put(chunk);
    }
    Ok(bytes)
}

fn picture_path(id: &ImageId) -> Path {
    Path::from_iter([PICTURES, id.as_str()])
}

fn owner_path(owner: i64) -> Path {
    Path::from_iter(["owners".to_owned(), owner.to_string()])
}

fn directory(url: &Url) -> Result<(Arc<dyn ObjectStore>, PathBuf), String> {
    let path: PathBuf =
        url.to_file_path().map_err(|()| format!("{url} is not of the form file:///ABSOLUTE/PATH"))?;
    std::fs::create_dir_all(path.join(PICTURES))
        .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
    let store = LocalFileSystem::new_with_prefix(&path)
        .map_err(|error| format!("cannot use {}: {error}", path.display()))?;
    Ok((Arc::new(store), path))
}

#[cfg(feature = "cloud")]
fn cloud(env: &Env, url: &Url) -> Result<(Arc<dyn ObjectStore>, usize), String> {
    // Credentials and endpoints come from the variables that the stores' own tools use.
    let settings = env.with_prefixes(&["AWS_", "GOOGLE_"]);
    let (store, prefix) = object_store::parse_url_opts(url, settings).map_err(|error| error.to_string())?;
    let store: Arc<dyn ObjectStore> = match prefix.parts_count() {
        0 => Arc::from(store),
        _ => Arc::new(object_store::prefix::PrefixStore::new(store, prefix)),
    };
    Ok((store, CLOUD_PART))
}

#[cfg(not(feature = "cloud"))]
fn cloud(_: &Env, url: &Url) -> Result<(Arc<dyn ObjectStore>, usize), String> {
    Err(format!("{}: this program was built without cloud storage (cargo feature `cloud`)", url.scheme()))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::SystemTime};

    use super::*;

    #[test]
    fn only_old_incomplete_files_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let env = Env::from_pairs([("STORAGE_URL", format!("file://{}", directory.path().display()))]);
        let storage = Storage::from_env(&env).unwrap();
        let long_ago = SystemTime::now() - 2 * ABANDONED;
        for (name, old) in [("a.png", true), ("a.png#1", true), ("b.png#1", false)] {
            let file = File::create(directory.path().join(PICTURES).join(name)).unwrap();
            if old {
                file.set_modified(long_ago).unwrap();
            }
        }
        assert_eq!(storage.remove_abandoned().unwrap(), 1);
        let left = std::fs::read_dir(directory.path().join(PICTURES)).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["a.png", "b.png#1"]);
    }

    #[cfg(feature = "cloud")]
    #[tokio::test]
    async fn cloud_stores_are_configured_by_their_own_variables() {
        let s3 = [
            ("STORAGE_URL", "s3://bucket/prefix"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ENDPOINT", "http://127.0.0.1:9"),
        ];
        let storage = Storage::from_env(&Env::from_pairs(s3)).unwrap();
        assert_eq!(storage.part, CLOUD_PART);
        // Nothing listens there; the store's own retries must not outlast our limit.
        let id = ImageId::random(super::super::model::Format::Png);
        assert!(matches!(storage.get(&id).await, Err(StorageError::Timeout | StorageError::Store(_))));
        let error =
            Storage::from_env(&Env::from_pairs([("STORAGE_URL", "s3://bucket"), ("AWS_ALLOW_HTTP", "?")]));
        assert!(error.unwrap_err().to_string().starts_with("STORAGE_URL: "));
        let env = Env::from_pairs([("STORAGE_URL", "gs://bucket"), ("GOOGLE_SKIP_SIGNATURE", "true")]);
        assert!(Storage::from_env(&env).is_ok());
    }

    #[cfg(not(feature = "cloud"))]
    #[test]
    fn a_build_without_cloud_stores_says_so() {
        let error = Storage::from_env(&Env::from_pairs([("STORAGE_URL", "s3://bucket")])).unwrap_err();
        let expected =
            "STORAGE_URL: s3: this program was built without cloud storage (cargo feature `cloud`)";
        assert_eq!(error.to_string(), expected);
    }
}
