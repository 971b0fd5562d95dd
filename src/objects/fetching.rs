//! Objects, range by range.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as ObjectPath;
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig,
};
use tempfile::{Builder, NamedTempFile};
use tokio::runtime::Runtime;
use url::Url;

use super::{Fetched, RANGE_BYTES, fault_of};
use crate::error::{Error, Result};
use crate::store::recordings::FileStamp;

/// Attempts for a range, and the time after which there is no other one.
const RETRIES: usize = 5;
const RETRY_FOR: Duration = Duration::from_mins(1);

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

    /// Fetches the object at `address` into a file in `folder`. May be called by several threads at
    /// once.
    ///
    /// # Errors
    /// [`Error::Io`], also when the object changes meanwhile.
    pub fn fetch(&self, address: &Path, folder: &Path) -> Result<Fetched> {
        let failed = |source| Error::Io { action: FETCH, path: address.to_owned(), source };
        let text = address.to_str().ok_or_else(|| failed(other("the address is not UTF-8")))?;
        if let Some(fault) = fault_of(address) {
            return Err(failed(other(fault)));
        }
        let url = Url::parse(text).map_err(|error| failed(other(error)))?;
        let store = self.store_of(&url).map_err(failed)?;
        let path = object_path(&url).map_err(failed)?;
        let extension = Path::new(url.path()).extension().unwrap_or_default().to_string_lossy();
        let mut file = Builder::new()
            // What a run that was killed leaves of these, the next one in its folder removes.
            .prefix(".tmp-object-")
            .suffix(&format!(".{extension}"))
            .tempfile_in(folder)
            .map_err(|source| Error::Io { action: "write", path: folder.to_owned(), source })?;
        let fetched = self.runtime.block_on(copy(&*store, &path, &mut file)).map_err(failed)?;
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

/// The object's name in its store.
fn object_path(url: &Url) -> io::Result<ObjectPath> {
    let path = url.path().trim_start_matches('/');
    if path.is_empty() {
        return Err(other("the address names no object"));
    }
    ObjectPath::from_url_path(path).map_err(other)
}

/// Copies an object, of one version throughout.
async fn copy(
    store: &dyn ObjectStore,
    path: &ObjectPath,
    file: &mut NamedTempFile,
) -> io::Result<ObjectMeta> {
    let meta = store.head(path).await.map_err(store_error)?;
    let mut start = 0;
    while start < meta.size {
        let end = meta.size.min(start + RANGE_BYTES);
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..end)),
            // A weak tag is no version of bytes, and servers refuse it here.
            if_match: meta.e_tag.clone().filter(|tag| !tag.starts_with("W/")),
            version: meta.version.clone(),
            ..GetOptions::default()
        };
        let got = store.get_opts(path, options).await.map_err(store_error)?;
        let bytes = got.bytes().await.map_err(store_error)?;
        if bytes.len() as u64 != end - start {
            let found = bytes.len();
            return Err(other(format!("{found} bytes came of the range {start} to {end}")));
        }
        file.write_all(&bytes)?;
        start = end;
    }
    file.flush()?;
    Ok(meta)
}

fn store_error(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        object_store::Error::Precondition { .. } => {
            return other("the object was changed while it was being fetched");
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

fn other(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}
