//! Which store an address means: `s3://bucket/prefix`, or `file:///folder`.
//!
//! Keys for S3 come from a file named in `signet.toml`, or from the variables that every tool for S3
//! reads (`AWS_ACCESS_KEY_ID` and so on). Stores that speak S3 without being Amazon's are named by
//! `endpoint`; they are called with the bucket in the path.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, RetryConfig};
use serde::Deserialize;

use super::wire::Wire;
use crate::base::causes::one_line;
use crate::base::config::Collection;
use crate::base::home::Home;

/// Where there is no region, Amazon's first one is meant, and others do not care.
const REGION: &str = "us-east-1";

/// A store, and where in it the files begin.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) address: String,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Key,
}

/// Why it is not known where a collection comes from.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The address.
    #[error("`{address}` is no store: write s3://BUCKET/PREFIX or file:///FOLDER{why}")]
    Address {
        /// As it was written.
        address: String,
        /// More about it.
        why: String,
    },
    /// A file or folder.
    #[error("`{}` cannot be used", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file with the keys is for others to read, or says something else.
    #[error("`{}`: {why}", path.display())]
    Keys {
        /// Which one.
        path: PathBuf,
        /// What is wrong, and what mends it.
        why: String,
    },
}

/// What stands in a file with keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl Place {
    /// Where the files of a collection come from; `None` when it is a folder like any other.
    pub(super) fn of(home: &Home, collection: &Collection) -> Result<Option<Self>, PlaceError> {
        let Some(address) = &collection.store else { return Ok(None) };
        let wrong = |why: String| PlaceError::Address { address: address.clone(), why };
        let (store, prefix): (Arc<dyn ObjectStore>, _) = match address.split_once("://") {
            Some(("file", folder)) if folder.starts_with('/') => {
                let path = PathBuf::from(folder);
                let file = |source| PlaceError::File { path: path.clone(), source };
                std::fs::metadata(&path).map_err(file)?;
                let store = LocalFileSystem::new_with_prefix(&path)
                    .map_err(|error| file(std::io::Error::other(error)))?;
                (Arc::new(store), "")
            }
            Some(("s3", rest)) if !rest.is_empty() && !rest.starts_with('/') => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                (
                    Arc::new(s3(home, collection, bucket).map_err(|error| match error {
                        PlaceError::Address { why, .. } => wrong(why),
                        other => other,
                    })?),
                    prefix,
                )
            }
            _ => return Err(wrong(String::new())),
        };
        let prefix = Key::parse(prefix).map_err(|error| wrong(format!(": {error}")))?;
        Ok(Some(Self { address: address.clone(), store, prefix }))
    }
}

fn s3(home: &Home, collection: &Collection, bucket: &str) -> Result<impl ObjectStore, PlaceError> {
    let retry = RetryConfig {
        max_retries: 3,
        retry_timeout: Duration::from_secs(60),
        ..RetryConfig::default()
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(retry)
        .with_http_connector(Wire::default());
    if let Some(region) = &collection.region {
        builder = builder.with_region(region);
    } else if builder.get_config_value(&object_store::aws::AmazonS3ConfigKey::Region).is_none() {
        builder = builder.with_region(REGION);
    }
    if let Some(endpoint) = &collection.endpoint {
        builder = builder
            .with_endpoint(endpoint)
            .with_virtual_hosted_style_request(false)
            .with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(path) = &collection.keys {
        let keys = keys(home.root().join(path))?;
        builder = builder
            .with_access_key_id(keys.access_key_id)
            .with_secret_access_key(keys.secret_access_key);
        if let Some(token) = keys.session_token {
            builder = builder.with_token(token);
        }
    }
    builder.build().map_err(|error| PlaceError::Address {
        address: String::new(),
        why: format!(": {}", one_line(&error)),
    })
}

fn keys(path: PathBuf) -> Result<Keys, PlaceError> {
    let text = std::fs::read_to_string(&path)
        .and_then(|text| Ok((text, std::fs::metadata(&path)?)))
        .map_err(|source| PlaceError::File { path: path.clone(), source });
    let (text, metadata) = text?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            let why = format!("others may read these keys: chmod 600 {}", path.display());
            return Err(PlaceError::Keys { path, why });
        }
    }
    #[cfg(not(unix))]
    drop(metadata);
    // What the parser says of a mistake shows the line, and with it a key.
    toml::from_str(&text).map_err(|_shows_keys| PlaceError::Keys {
        path,
        why: "it should have the lines access_key_id = \"…\" and secret_access_key = \"…\"".into(),
    })
}

/// What went wrong at a store, in words for the operator.
pub(super) fn words(error: &Error) -> String {
    let whole = one_line(error);
    let says = |what: &str| whole.contains(what);
    if says("RequestTimeTooSkewed") {
        return "the clock of this computer is wrong by more than the store accepts: set it".into();
    }
    if says("NoSuchBucket") {
        return "there is no such bucket".into();
    }
    match error {
        _ if says("InvalidAccessKeyId")
            || says("SignatureDoesNotMatch")
            || says("InvalidToken") =>
        {
            "the store does not know these keys: check access_key_id and secret_access_key".into()
        }
        Error::Unauthenticated { .. } => "the store asks for keys: name a file with `keys`".into(),
        Error::PermissionDenied { .. } => {
            "these keys may not list and read it (s3:ListBucket, s3:GetObject)".into()
        }
        Error::Precondition { .. } | Error::NotFound { .. } => {
            "it was replaced or removed meanwhile".into()
        }
        _ => whole,
    }
}
