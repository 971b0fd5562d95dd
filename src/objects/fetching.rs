//! Objects, range by range.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as ObjectPath;
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig,
};
use tempfile::{Builder, NamedTempFile};
use tokio::runtime::Runtime;
use url::Url;

use super::{Fetched, GET_ACCESS, KEEP_COPY, RANGE_BYTES, REACH_STORE, fault_of};
use crate::error::{Error, Result};
use crate::store::recordings::FileStamp;

/// Attempts for a range, and the time after which there is no other one.
const RETRIES: usize = 5;
const RETRY_FOR: Duration = Duration::from_mins(1);

/// Within this time a fetch notices that it is no longer wanted.
const NOTICES_AFTER: Duration = Duration::from_millis(200);

/// Bytes of a name's ending that a copy has too.
const LONGEST_EXTENSION: usize = 16;

/// Stores by their addresses, and what waits for them.
#[derive(Debug)]
pub struct Objects {
    runtime: Runtime,
    /// By scheme and bucket, or host.
    stores: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Objects {
    /// Something to fetch with; who may see what, the environment says, in the variables that each
    /// store's own tools read (`AWS_*`, `GOOGLE_*`, `AZURE_*`).
    ///
    /// # Errors
    /// [`Error::Io`] when a thread cannot be started.
    pub fn new() -> Result<Self> {
        // The one that the rest of the program uses. Where another was chosen, that one holds.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("objects")
            .enable_all()
            .build()
            .map_err(|source| Error::Io {
                action: "start what fetches",
                path: "addresses".into(),
                source,
            })?;
        Ok(Self { runtime, stores: Mutex::default() })
    }

    /// Fetches the object at `address` into a file in `folder`, unless `is_stopped` meanwhile. May be
    /// called by several threads at once.
    ///
    /// # Errors
    /// [`Error::Io`], also when the object changes meanwhile or this is stopped; with the actions
    /// [`KEEP_COPY`], [`GET_ACCESS`] and [`REACH_STORE`] where the next object would fare no better.
    pub fn fetch(
        &self,
        address: &Path,
        folder: &Path,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Fetched> {
        let failed = |source| Error::Io { action: FETCH, path: address.to_owned(), source };
        let text = address.to_str().ok_or_else(|| failed(other("the address is not UTF-8")))?;
        if let Some(fault) = fault_of(address) {
            return Err(failed(other(fault)));
        }
        let url = Url::parse(text).map_err(|error| failed(other(error)))?;
        let store = self.store_of(&url).map_err(failed)?;
        let path = object_path(&url).map_err(failed)?;
        // What is longer tells no kind of sound, and could be longer than a file's name may be.
        let extension = Path::new(url.path())
            .extension()
            .filter(|extension| extension.len() <= LONGEST_EXTENSION)
            .unwrap_or_default()
            .to_string_lossy();
        let mut file = Builder::new()
            // What a run that was killed leaves of these, the next one in its folder removes.
            .prefix(".tmp-object-")
            .suffix(&format!(".{extension}"))
            .tempfile_in(folder)
            .map_err(|source| on_disk(folder, source))?;
        let copying = unless_stopped(copy(&*store, &path, &mut file), is_stopped);
        let copied = self.runtime.block_on(copying);
        let fetched = copied.map_err(|trouble| match trouble {
            Trouble::Disk(source) => on_disk(folder, source),
            Trouble::Store(error) => {
                let action = action_of(&error, url.scheme());
                Error::Io { action, path: address.to_owned(), source: store_error(error) }
            }
            Trouble::Range(source) => failed(source),
            Trouble::Stopped => failed(io::ErrorKind::Interrupted.into()),
        })?;
        let modified_ns = fetched.last_modified.timestamp_nanos_opt().unwrap_or(0);
        let stamp = FileStamp { size_bytes: fetched.size, modified_ns };
        Ok(Fetched { file: file.into_temp_path(), stamp })
    }

    /// The store of an address, which is made once.
    fn store_of(&self, url: &Url) -> io::Result<Arc<dyn ObjectStore>> {
        let place = &url[..url::Position::BeforePath];
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(place) {
            return Ok(Arc::clone(store));
        }
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY_FOR,
            ..RetryConfig::default()
        };
        let store: Arc<dyn ObjectStore> = match url.scheme() {
            "s3" | "s3a" => Arc::new(
                AmazonS3Builder::from_env()
                    .with_url(place)
                    .with_retry(retry)
                    .build()
                    .map_err(other)?,
            ),
            "gs" => Arc::new(
                GoogleCloudStorageBuilder::from_env()
                    .with_url(place)
                    .with_retry(retry)
                    .build()
                    .map_err(other)?,
            ),
            "az" | "azure" | "abfs" | "abfss" | "adl" => Arc::new(
                MicrosoftAzureBuilder::from_env()
                    .with_url(place)
                    .with_retry(retry)
                    .build()
                    .map_err(other)?,
            ),
            scheme @ ("http" | "https") => {
                let options = ClientOptions::new().with_allow_http(scheme == "http");
                let builder = HttpBuilder::new().with_url(place).with_retry(retry);
                Arc::new(builder.with_client_options(options).build().map_err(other)?)
            }
            scheme => {
                let expected = "expected s3, gs, az, http, https or file";
                return Err(other(format!("`{scheme}` is no store that is known: {expected}")));
            }
        };
        stores.insert(place.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

/// What failed when an object could not be had.
const FETCH: &str = "fetch";

const CHANGED: &str = "the object was changed while it was being fetched";

/// The object's name in its store.
fn object_path(url: &Url) -> io::Result<ObjectPath> {
    let path = url.path().trim_start_matches('/');
    if path.is_empty() {
        return Err(other("the address names no object"));
    }
    ObjectPath::from_url_path(path).map_err(other)
}

/// Why an object was not copied.
enum Trouble {
    Store(object_store::Error),
    Disk(io::Error),
    /// Of another length than was asked for, or of another version.
    Range(io::Error),
    /// By whoever wanted it.
    Stopped,
}

impl From<object_store::Error> for Trouble {
    fn from(error: object_store::Error) -> Self {
        Self::Store(error)
    }
}

fn on_disk(folder: &Path, source: io::Error) -> Error {
    Error::Io { action: KEEP_COPY, path: folder.to_owned(), source }
}

/// What `copying` comes to, which ends early when `is_stopped`.
async fn unless_stopped<T>(
    copying: impl Future<Output = std::result::Result<T, Trouble>>,
    is_stopped: impl Fn() -> bool,
) -> std::result::Result<T, Trouble> {
    let mut copying = std::pin::pin!(copying);
    loop {
        match tokio::time::timeout(NOTICES_AFTER, &mut copying).await {
            Ok(copied) => return copied,
            Err(_) if is_stopped() => return Err(Trouble::Stopped),
            Err(_) => {}
        }
    }
}

/// Copies an object, of one version throughout.
async fn copy(
    store: &dyn ObjectStore,
    path: &ObjectPath,
    file: &mut NamedTempFile,
) -> std::result::Result<ObjectMeta, Trouble> {
    let meta = match store.head(path).await {
        Ok(meta) => meta,
        // An answer to what asks for no content has none: a byte's says why.
        Err(error) if is_refusal(&error) => {
            let range = Some(GetRange::Bounded(0..1));
            let options = GetOptions { range, ..GetOptions::default() };
            return Err(store.get_opts(path, options).await.err().unwrap_or(error).into());
        }
        Err(error) => return Err(error.into()),
    };
    let mut start = 0;
    while start < meta.size {
        let end = meta.size.min(start + RANGE_BYTES);
        let bytes = range_of(store, path, &meta, start..end).await?;
        if bytes.len() as u64 != end - start {
            let found = bytes.len();
            let what = format!("{found} bytes came of the range {start} to {end}");
            return Err(Trouble::Range(other(what)));
        }
        file.write_all(&bytes).map_err(Trouble::Disk)?;
        start = end;
    }
    file.flush().map_err(Trouble::Disk)?;
    Ok(meta)
}

/// A range of the version that `meta` is of. What breaks off is asked for again: the store's client
/// does so itself only where versions have tags.
async fn range_of(
    store: &dyn ObjectStore,
    path: &ObjectPath,
    meta: &ObjectMeta,
    range: Range<u64>,
) -> std::result::Result<Bytes, Trouble> {
    let mut attempt = 1;
    loop {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            // A weak tag is no version of bytes, and servers refuse it here.
            if_match: meta.e_tag.clone().filter(|tag| !tag.starts_with("W/")),
            version: meta.version.clone(),
            ..GetOptions::default()
        };
        let answer = store.get_opts(path, options).await?;
        // Not every server compares tags, and some have none.
        if !is_same(&answer.meta, meta) {
            return Err(Trouble::Range(other(CHANGED)));
        }
        match answer.bytes().await {
            Ok(bytes) => return Ok(bytes),
            Err(_) if attempt < RETRIES => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether both are of one version, as far as a server tells.
fn is_same(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    one.size == other.size
        && one.last_modified == other.last_modified
        && one.e_tag == other.e_tag
        && one.version == other.version
}

/// Whether a store answered that it will not, be it for the object or for who asks.
fn is_refusal(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::PermissionDenied { .. })
        || error.to_string().contains("400 Bad Request")
}

/// What S3 and Azure say of credentials that hold for no object.
const BAD_CREDENTIALS: [&str; 7] = [
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "RequestTimeTooSkewed",
    "AuthenticationFailed",
];

/// What failed. Servers of the web are many, and what one refuses is that file's failure; a store
/// that knows nobody any more, or is away, is not the object's fault. An object that is denied is
/// its own: stores say so of those that are not there.
fn action_of(error: &object_store::Error, scheme: &str) -> &'static str {
    if matches!(scheme, "http" | "https") {
        return FETCH;
    }
    let said = error.to_string();
    let is_expired = |code: &&str| said.contains(&format!("<Code>{code}</Code>"));
    if matches!(error, object_store::Error::Unauthenticated { .. })
        || BAD_CREDENTIALS.iter().any(is_expired)
    {
        return GET_ACCESS;
    }
    let mut causes =
        std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
            error.source()
        });
    let is_away = causes.any(|cause| {
        let kind = cause.downcast_ref::<HttpError>().map(HttpError::kind);
        matches!(kind, Some(HttpErrorKind::Connect | HttpErrorKind::Timeout))
    });
    if is_away { REACH_STORE } else { FETCH }
}

fn store_error(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        object_store::Error::Precondition { .. } => {
            return other(CHANGED);
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

fn other(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_hold_for_no_object_end_the_run() {
        let generic =
            |said: &str| object_store::Error::Generic { store: "S3", source: said.into() };
        let expired = generic("status code: 400: <Error><Code>ExpiredToken</Code></Error>");
        assert_eq!(action_of(&expired, "s3"), GET_ACCESS);
        assert_eq!(action_of(&expired, "https"), FETCH, "a server of the web knows none");
        let named = generic("could not get s3://bucket/ExpiredToken.wav");
        assert_eq!(action_of(&named, "s3"), FETCH);
        let denied = object_store::Error::PermissionDenied {
            path: "a.wav".to_owned(),
            source: "<Code>AccessDenied</Code>".into(),
        };
        assert_eq!(action_of(&denied, "s3"), FETCH);
        let away = object_store::Error::Generic {
            store: "S3",
            source: Box::new(HttpError::new(HttpErrorKind::Connect, io::Error::other("refused"))),
        };
        assert_eq!(action_of(&away, "s3"), REACH_STORE);
        assert_eq!(action_of(&away, "http"), FETCH);
    }
}
