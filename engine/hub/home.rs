//! The hub's own home: configuration, key, where everything lies.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::access::Key;
use crate::access::key::KeyError;
use crate::base::allow::Allow;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::make_private_dir;

/// Folder of a hub.
#[derive(Debug, Clone)]
pub struct HubHome(PathBuf);

/// What `hub.toml` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// Who runs the service, for statements.
    pub name: String,
    /// Address and port to serve on; port 0 takes a free one.
    pub listen: String,
    /// How owners and providers name it, when that differs from `listen`: `https://hub.example`.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Its certificate.
    #[serde(default)]
    pub tls: Tls,
    /// Part of each fee that the service keeps where a provider has no other share, 0 to 100.
    #[serde(default = "twenty")]
    pub service_percent: u8,
    /// Largest encrypted copies of all owners together, in bytes.
    #[serde(default = "ten_gib")]
    pub staged_bytes_max: u64,
    /// Providers in private networks, or without TLS, who are told of things all the same.
    #[serde(default)]
    pub allow: Allow,
    /// Requests a minute from one address that has not shown whose it is.
    #[serde(default = "usual_strangers")]
    pub strangers_per_minute: u32,
    /// Address and port for `/metrics` and `/health`, not for the public; absent: none.
    #[serde(default)]
    pub metrics: Option<String>,
}

/// Which certificate a hub shows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the chain; absent: the hub makes a certificate and agents pin it.
    pub certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub key: Option<PathBuf>,
    /// No TLS at all: something in front of the hub has it. Only on loopback.
    #[serde(default)]
    pub off: bool,
}

const fn twenty() -> u8 {
    20
}

const fn usual_strangers() -> u32 {
    120
}

const fn ten_gib() -> u64 {
    10 << 30
}

/// Why a hub cannot run.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// There is no hub here yet.
    #[error("`{}` is no hub yet: run `signet hub init` there", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("`{}` cannot be used", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `hub.toml` is not well-formed, or not possible.
    #[error("`{}`: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error("`{}`", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: crate::store::StoreError,
    },
    /// The certificate.
    #[error("the certificate of the hub cannot be used: {0}")]
    Certificate(String),
    /// The system gives no threads or connections.
    #[error("the hub could not go on")]
    System(#[from] std::io::Error),
}

impl HubHome {
    /// Names a hub's home without touching the disk.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// `hub.toml`
    pub fn config_path(&self) -> PathBuf {
        self.0.join("hub.toml")
    }

    /// `hub.sqlite`
    pub fn store_path(&self) -> PathBuf {
        self.0.join("hub.sqlite")
    }

    /// Keys and the certificate that the hub made itself.
    pub fn keys_dir(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Encrypted copies that wait, named by their digest.
    pub fn staged_dir(&self) -> PathBuf {
        self.0.join("staged")
    }

    /// Homes of agents that run here.
    pub fn hosted_dir(&self) -> PathBuf {
        self.0.join("hosted")
    }

    /// The hub's secret key.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn key(&self) -> Result<Key, KeyError> {
        Key::load_or_create(&self.keys_dir().join("hub.key"))
    }

    /// Makes the folders and a commented `hub.toml`; one that is there stays.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn create(&self, template: &str) -> Result<(), HubError> {
        for folder in [self.0.clone(), self.keys_dir(), self.staged_dir(), self.hosted_dir()] {
            make_private_dir(&folder)
                .map_err(|source| HubError::File { path: folder.clone(), source })?;
        }
        let path = self.config_path();
        if path.exists() {
            return Ok(());
        }
        write_atomic(&path, template.as_bytes(), Readers::Usual)
            .map_err(|source| HubError::File { path, source })
    }

    /// Reads and checks `hub.toml`; relative files become absolute.
    ///
    /// # Errors
    /// `Missing` when there is none, `Config` with the first mistake.
    pub fn config(&self) -> Result<HubConfig, HubError> {
        let path = self.config_path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(HubError::Missing { path: self.0.clone() });
            }
            Err(source) => return Err(HubError::File { path, source }),
        };
        let wrong = |message: String| HubError::Config { path: path.clone(), message };
        let mut config: HubConfig = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(0, |span| {
                text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
            });
            wrong(format!("line {}: {}", line + 1, error.message().replace('\n', ", ")))
        })?;
        if config.service_percent > 100 {
            return Err(wrong("service_percent is more than 100".into()));
        }
        if config.tls.certificate.is_some() != config.tls.key.is_some() {
            return Err(wrong("[tls] needs both `certificate` and `key`, or neither".into()));
        }
        if let Some(url) = &config.public_url
            && !url.starts_with("https://")
            && !config.tls.off
        {
            return Err(wrong(format!("public_url `{url}` should begin with https://")));
        }
        for file in [&mut config.tls.certificate, &mut config.tls.key].into_iter().flatten() {
            *file = self.0.join(&*file);
        }
        Ok(config)
    }
}

/// A commented `hub.toml`.
pub fn template(name: &str, listen: &str, public_url: Option<&str>) -> String {
    let quoted = |text: &str| toml::Value::String(text.into()).to_string();
    let public_url = match public_url {
        Some(url) => format!("public_url = {}", quoted(url)),
        None => "# public_url = \"https://hub.example.org\"".to_owned(),
    };
    format!(
        "# The configuration of a Signet hub. Owners, providers and prices are in hub.sqlite:\n\
         # `signet hub agents`, `signet hub providers`.\n\n\
         # Who runs the service, for statements.\n\
         name = {name}\n\
         # Address and port to serve on, and how owners and providers name it if that differs.\n\
         listen = {listen}\n\
         {public_url}\n\
         # Part of each fee that the service keeps, in percent.\n\
         service_percent = 20\n\
         # Room for encrypted copies that owners leave here while their computers sleep, in bytes.\n\
         staged_bytes_max = 10_737_418_240\n\
         # Providers are told of things at public addresses, with TLS; who is elsewhere is named.\n\
         allow = []\n\
         # Requests a minute from one address that has not shown whose it is.\n\
         strangers_per_minute = 120\n\
         # Prometheus metrics and health, at an address that only you reach.\n\
         # metrics = \"127.0.0.1:9150\"\n\n\
         [tls]\n\
         # PEM files, from Let's Encrypt say. Without them the hub makes a certificate of its own,\n\
         # which agents pin when they join; providers need keys/tls.pem then.\n\
         # certificate = \"/etc/letsencrypt/live/hub.example.org/fullchain.pem\"\n\
         # key = \"/etc/letsencrypt/live/hub.example.org/privkey.pem\"\n",
        name = quoted(name),
        listen = quoted(listen),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_is_read_back_as_it_was_meant() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = HubHome::at(folder.path().join("hub"));
        assert!(matches!(home.config(), Err(HubError::Missing { .. })));
        let text = template("Ada's \"hub\"", "127.0.0.1:0", Some("https://hub.example"));
        home.create(&text).expect("made");
        let config = home.config().expect("read");
        assert_eq!(config.name, "Ada's \"hub\"");
        assert_eq!(config.public_url.as_deref(), Some("https://hub.example"));
        assert_eq!((config.service_percent, config.staged_bytes_max), (20, 10 << 30));
        home.create("nonsense").expect("what is there stays");
        assert!(home.config().is_ok());
    }

    #[test]
    fn mistake_is_named_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = HubHome::at(folder.path());
        let good = template("a", "127.0.0.1:0", None);
        for (text, expected) in [
            (good.replace("service_percent = 20", "service_percent = 101"), "more than 100"),
            (good.replace("allow = []", "alow = []"), "line 14"),
            (format!("{good}key = \"k.pem\"\n"), "both"),
            (format!("public_url = \"http://a\"\n{good}"), "https://"),
        ] {
            std::fs::write(home.config_path(), text).expect("written");
            let error = home.config().expect_err("a mistake").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
