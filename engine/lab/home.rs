//! The lab's own home: configuration, key, invited owners, and the card it gives them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::access::card::VERSION;
use crate::access::key::KeyError;
use crate::access::{Card, Key};
use crate::base::allow::Allow;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::make_private_dir;
use crate::base::ids::{derived, is_derived};
use crate::base::money::Currency;
use crate::orders::catalogue::Product;
use crate::orders::target::{TargetSpec, lab};
use crate::orders::terms::Fees;
use crate::preview::PreviewWish;

/// Folder of a lab.
#[derive(Debug, Clone)]
pub struct LabHome(PathBuf);

/// What `lab.toml` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabConfig {
    /// Name that owners' rule files use.
    pub name: String,
    /// Address and port to listen on.
    pub listen: String,
    /// How owners reach it, when that differs from `listen`.
    pub public_url: Option<String>,
    /// Where orders are filed.
    pub out: PathBuf,
    /// Owners in private networks, or without TLS, from whom it fetches all the same: addresses,
    /// networks, names of its own network, with or without a port.
    #[serde(default)]
    pub allow: Allow,
    /// PEM file of a hub that made its certificate itself, which is believed at that hub's names
    /// alone; below the lab's home unless absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<PathBuf>,
    /// Currency of prices and fees.
    pub currency: Currency,
    /// What the lab pays for an access, minor units.
    pub fees: Fees,
    /// What it makes: the price of one copy in minor units, or a table with size and floor.
    pub products: BTreeMap<String, Product>,
    /// How it wants previews, where the owner's rule does not say.
    #[serde(default)]
    pub preview: PreviewWish,
    /// Whether the lab tells with `signet lab tell` when it makes an order and ships it.
    #[serde(default)]
    pub tells: bool,
}

/// An owner who was invited.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvitedOwner {
    /// Name the lab knows them by.
    pub name: String,
    /// Shared secret, `whsec_…`.
    pub secret: String,
    /// Secrets that it takes the place of; good until they are retired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<String>,
    /// Public key of the owner's agent, as their first order said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What becomes of an owner's secret when they are invited again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// It stays.
    Keep,
    /// A new one takes its place; the old one is good for what is still on its way.
    Rotate,
    /// Only the newest is good from now on.
    Retire,
}

/// Why a lab cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file or folder could not be read or written.
    #[error("`{}` cannot be used", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `lab.toml` is not well-formed.
    #[error("`{}`: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The address cannot be listened on.
    #[error("the lab cannot listen at its address")]
    Listen {
        /// What the system said.
        source: std::io::Error,
    },
}

impl LabHome {
    /// Names a lab's home without touching the disk.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// The lab's secret key.
    pub fn key_path(&self) -> PathBuf {
        self.0.join("keys/lab.key")
    }

    /// `lab.toml`
    pub fn config_path(&self) -> PathBuf {
        self.0.join("lab.toml")
    }

    /// Reads `lab.toml`, writing the given one first where there is none.
    ///
    /// # Errors
    /// Files that cannot be used, or a mistake in `lab.toml`.
    pub fn open(&self, new: &LabConfig) -> Result<LabConfig, LabError> {
        let path = self.config_path();
        for folder in [self.0.clone(), self.0.join("keys"), self.0.join("owners")] {
            make_private_dir(&folder).map_err(|source| LabError::File { path: folder, source })?;
        }
        if !path.is_file() {
            let text = toml::to_string_pretty(new).map_err(|error| LabError::Syntax {
                path: path.clone(),
                message: error.to_string(),
            })?;
            let text =
                format!("# A lab that takes Signet orders. Money is in minor units.\n\n{text}");
            write_atomic(&path, text.as_bytes(), Readers::OwnerOnly)
                .map_err(|source| LabError::File { path: path.clone(), source })?;
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|source| LabError::File { path: path.clone(), source })?;
        let mut config: LabConfig = toml::from_str(&text).map_err(|error| LabError::Syntax {
            path: path.clone(),
            message: error.to_string().replace('\n', ", "),
        })?;
        config.out = self.0.join(config.out);
        config.trust = config.trust.map(|path| self.0.join(path));
        Ok(config)
    }

    /// Invites an owner: makes a secret for them and the card that carries it. Inviting the
    /// same name again gives the same secret, unless a new one is asked for.
    ///
    /// # Errors
    /// Files that cannot be written, or no random numbers.
    pub fn invite(
        &self,
        config: &LabConfig,
        name: &str,
        secrets: Secrets,
    ) -> Result<Card, LabError> {
        let key = Key::load_or_create(&self.key_path())?;
        let reference = derived("owner", &[name]);
        let (known, new) = (self.owner(&reference), || {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(KeyError::from)?;
            Ok::<_, LabError>(format!("whsec_{}", STANDARD.encode(secret)))
        });
        let owner = match (known, secrets) {
            (Some(owner), Secrets::Keep) => owner,
            (Some(mut owner), Secrets::Rotate) => {
                owner.former.insert(0, std::mem::replace(&mut owner.secret, new()?));
                owner
            }
            (Some(owner), Secrets::Retire) => InvitedOwner { former: Vec::new(), ..owner },
            (None, _) => InvitedOwner {
                name: name.to_owned(),
                secret: new()?,
                former: Vec::new(),
                key: None,
            },
        };
        self.keep_owner(&reference, &owner)?;
        let base = config.public_url.clone().unwrap_or_else(|| format!("http://{}", config.listen));
        Ok(Card {
            signet: VERSION.into(),
            name: config.name.clone(),
            orders_url: format!("{}/orders/{reference}", base.trim_end_matches('/')),
            target: TargetSpec::Lab(lab::Spec { tells: config.tells }),
            key: Some(key.public().jwk()),
            secret: owner.secret,
            currency: config.currency.clone(),
            products: config.products.clone(),
            delivery: Default::default(),
            batch_minutes: 0,
            fees: config.fees,
            preview: config.preview,
        })
    }

    /// An invited owner by the last part of the address they post to.
    pub fn owner(&self, reference: &str) -> Option<InvitedOwner> {
        if !is_derived(reference) {
            return None;
        }
        let text = std::fs::read_to_string(self.owner_path(reference)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Remembers the key of an owner's agent, the first time that it is told.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn remember_key(&self, reference: &str, key: &str) -> Result<(), LabError> {
        match self.owner(reference) {
            Some(owner) if owner.key.is_none() => {
                self.keep_owner(reference, &InvitedOwner { key: Some(key.to_owned()), ..owner })
            }
            _ => Ok(()),
        }
    }

    fn keep_owner(&self, reference: &str, owner: &InvitedOwner) -> Result<(), LabError> {
        let path = self.owner_path(reference);
        let text = serde_json::to_string_pretty(owner)
            .map_err(|error| LabError::Syntax { path: path.clone(), message: error.to_string() })?;
        write_atomic(&path, text.as_bytes(), Readers::OwnerOnly)
            .map_err(|source| LabError::File { path, source })
    }

    fn owner_path(&self, reference: &str) -> PathBuf {
        self.0.join("owners").join(format!("{reference}.json"))
    }
}

/// A new lab's configuration: prices in euro cents, as an example to be edited.
pub fn example(name: &str, listen: &str, out: &Path, allow: Allow) -> LabConfig {
    let products = [
        ("print-10x15", 29),
        ("print-13x18", 49),
        ("print-20x30", 299),
        ("square", 39),
        ("panorama", 199),
        ("canvas", 3990),
        ("poster", 1490),
        ("postcard", 199),
        ("photobook", 2490),
        ("calendar", 1990),
        ("mug", 1290),
        ("puzzle", 2290),
    ];
    LabConfig {
        name: name.to_owned(),
        listen: listen.to_owned(),
        public_url: None,
        out: out.to_owned(),
        allow,
        trust: None,
        currency: Currency::try_from("EUR".to_owned()).unwrap_or_else(|_| unreachable!()),
        fees: Fees { original_minor: 25, preview_minor: 0, companion_minor: 0 },
        products: products.map(|(name, price)| (name.to_owned(), Product::priced(price))).into(),
        preview: PreviewWish::default(),
        tells: false,
    }
}
