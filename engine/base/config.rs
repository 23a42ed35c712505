//! `signet.toml` and the environment: read once at the start, passed on as values.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::allow::{Allow, Place};
use super::files::{Readers, write_atomic};
use super::home::{Home, HomeError};
use super::mail::{MailAddress, MailServer};

/// What `signet.toml` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose photos these are.
    pub owner: Owner,
    /// Folders that are watched.
    #[serde(default, rename = "collection")]
    pub collections: Vec<Collection>,
    /// How closely they are watched.
    #[serde(default)]
    pub watch: Watch,
    /// How a card finds the photos that it is for.
    #[serde(default)]
    pub roll: Roll,
    /// How long a photo waits for what belongs to it.
    #[serde(default)]
    pub group: Group,
    /// How photos are looked at.
    #[serde(default)]
    pub detection: Detection,
    /// Which icons may order by themselves.
    #[serde(default)]
    pub icons: Icons,
    /// How alike a face has to be.
    #[serde(default)]
    pub faces: Faces,
    /// Where providers reach this computer.
    #[serde(default)]
    pub serve: Serve,
    /// Mail to the owner about orders that wait for a word; absent: none.
    #[serde(default)]
    pub mail: Option<Mail>,
    /// How the owner is told of what was fetched.
    #[serde(default)]
    pub report: Reporting,
    /// Whom this computer calls.
    #[serde(default)]
    pub outward: OutwardCalls,
    /// Who runs the service, and what it keeps of a fee.
    #[serde(default)]
    pub service: Service,
}

/// Whose photos these are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Shown to providers.
    pub name: String,
    /// Electronic address written into every preview: `mailto:…` or `https://…`.
    pub address: String,
}

/// One watched folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// Short name that rules and reports use.
    pub name: String,
    /// The folder; relative paths start at the home.
    pub path: PathBuf,
    /// Where its files come from, if the folder is a copy: `s3://bucket/prefix`, `file:///folder`.
    #[serde(default)]
    pub store: Option<String>,
    /// Address of a store that speaks S3 and is not Amazon's.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Region of the bucket.
    #[serde(default)]
    pub region: Option<String>,
    /// File with `access_key_id` and `secret_access_key`; relative paths start at the home.
    #[serde(default)]
    pub keys: Option<PathBuf>,
    /// Minutes until the store is looked at again.
    #[serde(default = "five")]
    pub look_minutes: u32,
}

const fn five() -> u32 {
    5
}

impl Collection {
    /// A folder of this computer.
    pub fn folder(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            store: None,
            endpoint: None,
            region: None,
            keys: None,
            look_minutes: five(),
        }
    }
}

/// How closely folders are watched.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// A file whose writer did not say that it is done is taken after this much quiet.
    pub quiet_ms: u64,
    /// Everything is compared with the disk again after this long.
    pub rescan_minutes: u64,
}

/// How a card finds the photos that it is for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roll {
    /// A longer time between two photos of a camera ends a card, in minutes.
    pub pause_minutes: u32,
    /// Before something of a photo leaves, its collection is to be quiet for so long, so
    /// that cards and photos may arrive in any order.
    pub settle_ms: u64,
}

/// How long a photo waits for what belongs to it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    /// Before something of a photo leaves, companions that it says exist, or that are being
    /// written beside it, are waited for so long, in seconds. Then it goes without them.
    pub grace_s: u32,
}

/// How photos are looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detection {
    /// The ONNX Runtime shared library, when it lies in an unusual place.
    pub onnxruntime: Option<PathBuf>,
    /// Photos looked at at once; 0 is one per core.
    pub workers: usize,
}

/// Which icons may order by themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Icons {
    /// An icon without the owner's readable seal is at most asked about (`docs/seal.md`).
    pub require_seal: bool,
}

/// How alike a face has to be to that of an enrolled person, where the owner says otherwise than
/// the networks' manifest; cosines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faces {
    /// To order: at least this, and never less than the manifest says.
    pub order_min: Option<f32>,
    /// To order: and so much more than to anybody else.
    pub lead_min: Option<f32>,
    /// To be asked about.
    pub ask_min: Option<f32>,
}

/// Where providers reach this computer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serve {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// How providers name it, when that differs from `listen` (behind a proxy, say).
    pub public_url: Option<String>,
}

/// Mail to the owner about orders that ask or are held, with links to decide.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Who gets it.
    pub to: MailAddress,
    /// Who it is from.
    pub from: MailAddress,
    /// Who takes it; its password is in `keys/mail.password`.
    pub server: MailServer,
    /// Orders wait so long for others, so that one mail tells of all of them, in seconds.
    #[serde(default = "minute")]
    pub gather_s: u32,
}

const fn minute() -> u32 {
    60
}

/// How the owner is told of what was fetched, by whom, for which order, and what it paid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reporting {
    /// How often by mail; absent: monthly where there is a [`Mail`].
    pub mail: Option<Often>,
    /// Address that is told of each access and of each span; its secret is in
    /// `keys/report.webhook`.
    pub webhook: Option<String>,
    /// Whether there is a feed for feed readers.
    pub feed: bool,
}

/// How often the owner is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Often {
    /// After each access.
    Each,
    /// When the day is over.
    Daily,
    /// When the week is over.
    Weekly,
    /// When the month is over.
    Monthly,
    /// Not at all.
    Never,
}

/// Whom this computer calls: what is public, with TLS, and what is named here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutwardCalls {
    /// Places of private networks, and others that have no TLS or an unusual port.
    pub allow: Allow,
}

/// Who runs the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Name of its account in the ledger.
    pub name: String,
    /// Its part of each access fee; the owner gets the rest. 0 to 100.
    pub share_percent: u8,
}

impl Default for Watch {
    fn default() -> Self {
        Self { quiet_ms: 2000, rescan_minutes: 60 }
    }
}

impl Default for Roll {
    fn default() -> Self {
        Self { pause_minutes: 10, settle_ms: 1000 }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self { grace_s: 30 }
    }
}

impl Default for Serve {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8710".into(), public_url: None }
    }
}

impl Serve {
    /// Where this computer is reached, without a slash at the end; `None` when only a running agent
    /// knows, which took a free port.
    pub fn reached_at(&self) -> Option<String> {
        if let Some(url) = &self.public_url {
            return Some(url.trim_end_matches('/').to_owned());
        }
        (!self.listen.ends_with(":0")).then(|| format!("http://{}", self.listen))
    }
}

impl Default for Service {
    fn default() -> Self {
        Self { name: "signet".into(), share_percent: 20 }
    }
}

/// Why `signet.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The home itself is the trouble.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Not TOML, or a key that does not belong there.
    #[error("`{path}` line {line}, column {column}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong, on one line.
        message: String,
    },
    /// Well-formed, but not possible.
    #[error("`{path}`: {message}")]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl Config {
    /// Reads and checks the home's `signet.toml`; relative collection paths become absolute.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn load(home: &Home) -> Result<Self, ConfigError> {
        let path = home.config_path();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| HomeError::Read { path: path.clone(), source })?;
        let mut config = Self::parse(&text, &path)?;
        for collection in &mut config.collections {
            collection.path = home.root().join(&collection.path);
        }
        Ok(config)
    }

    /// Adds a place to `[outward] allow` of the home's `signet.toml`; comments stay.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is written in a way that only its author can
    /// change; nothing was changed then.
    pub fn allow(home: &Home, place: &Place) -> Result<(), ConfigError> {
        let path = home.config_path();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| HomeError::Read { path: path.clone(), source })?;
        let by_hand = || ConfigError::Value {
            path: path.clone(),
            message: format!("add \"{place}\" to `allow` of [outward] by hand"),
        };
        let changed = allowing(&text, place).ok_or_else(by_hand)?;
        let parsed = Self::parse(&changed, &path).map_err(|_error| by_hand())?;
        if !parsed.outward.allow.has(place) {
            return Err(by_hand());
        }
        write_atomic(&path, changed.as_bytes(), Readers::Usual).map_err(|source| {
            ConfigError::Value {
                path: path.clone(),
                message: format!("cannot be written: {source}"),
            }
        })
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start).min(text.len());
            let before = text.as_bytes().get(..offset).unwrap_or_default();
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
            let message = error.message().replace('\n', ", ");
            ConfigError::Syntax { path: path.into(), line, column, message }
        })?;
        let value_error = |message: String| ConfigError::Value { path: path.into(), message };
        let address = &config.owner.address;
        if !["mailto:", "https://", "http://"].iter().any(|scheme| address.starts_with(scheme)) {
            return Err(value_error(format!(
                "owner.address `{address}` should begin with mailto: or https://"
            )));
        }
        if config.service.share_percent > 100 {
            return Err(value_error("service.share_percent is more than 100".into()));
        }
        if config.mail.is_some() && config.serve.public_url.is_none() {
            return Err(value_error(
                "[mail] needs public_url in [serve]: the links in mails point there".into(),
            ));
        }
        let Faces { order_min, lead_min, ask_min } = config.faces;
        for (key, value) in [("order_min", order_min), ("lead_min", lead_min), ("ask_min", ask_min)]
        {
            if let Some(value) = value.filter(|value| !(*value > 0.0 && *value <= 1.0)) {
                return Err(value_error(format!(
                    "`{key}` in [faces] is {value}; it is above 0 and at most 1"
                )));
            }
        }
        if let (Some(ask_min), Some(order_min)) = (ask_min, order_min)
            && ask_min > order_min
        {
            return Err(value_error(format!(
                "`ask_min` in [faces] is {ask_min}, above order_min = {order_min}: lower it"
            )));
        }
        let by_mail = config.report.mail.is_some_and(|often| often != Often::Never);
        if by_mail && config.mail.is_none() {
            return Err(value_error(
                "`mail` of [report] needs [mail], which says where mail goes".into(),
            ));
        }
        let mut names = BTreeSet::new();
        for collection in &config.collections {
            if collection.name.is_empty() || !names.insert(&collection.name) {
                return Err(value_error(format!(
                    "collection name `{}` is empty or used twice",
                    collection.name
                )));
            }
            let is_of_s3 = collection.store.as_ref().is_some_and(|store| store.starts_with("s3:"));
            let names_s3 =
                [&collection.endpoint, &collection.region].iter().any(|name| name.is_some());
            if !is_of_s3 && (names_s3 || collection.keys.is_some()) {
                return Err(value_error(format!(
                    "collection `{}`: endpoint, region and keys go with store = \"s3://…\"",
                    collection.name
                )));
            }
        }
        Ok(config)
    }
}

/// `signet.toml` with a place more in `[outward] allow`; `None` when there is no simple way.
fn allowing(text: &str, place: &Place) -> Option<String> {
    #[derive(Deserialize)]
    struct Only {
        outward: Option<Section>,
    }
    #[derive(Deserialize)]
    struct Section {
        allow: Option<toml::Spanned<Allow>>,
    }
    let only: Only = toml::from_str(text).ok()?;
    let Some(section) = only.outward else {
        return Some(format!(
            "{text}{}[outward]\nallow = [\"{place}\"]\n",
            if text.ends_with('\n') { "" } else { "\n" }
        ));
    };
    let allow = section.allow?;
    if allow.get_ref().has(place) {
        return Some(text.to_owned());
    }
    // In front of the others, where neither their comments nor a comma at the end matter.
    let (before, list) = text.split_at_checked(allow.span().start)?;
    let others = list.strip_prefix('[')?;
    let comma = if allow.get_ref().is_empty() { "" } else { ", " };
    Some(format!("{before}[\"{place}\"{comma}{others}"))
}

/// Values that `signet init` writes into a new `signet.toml`.
#[derive(Debug, Clone)]
pub struct NewConfig<'a> {
    /// Shown to providers.
    pub owner_name: &'a str,
    /// `mailto:…` or `https://…`.
    pub owner_address: &'a str,
    /// Folders to watch.
    pub collections: &'a [Collection],
    /// Address and port to serve on.
    pub listen: &'a str,
    /// Places of private networks that may be called.
    pub allow: &'a [Place],
}

/// Writes a commented `signet.toml`.
pub fn template(new: &NewConfig<'_>) -> String {
    let quoted = |text: &str| toml::Value::String(text.into()).to_string();
    let mut collections = String::new();
    for collection in new.collections {
        collections.push_str(&format!(
            "[[collection]]\nname = {}\npath = {}\n\n",
            quoted(&collection.name),
            quoted(&collection.path.to_string_lossy()),
        ));
    }
    if collections.is_empty() {
        collections
            .push_str("# [[collection]]\n# name = \"photos\"\n# path = \"/home/me/Pictures\"\n\n");
    }
    let allow: Vec<String> = new.allow.iter().map(|place| quoted(&place.to_string())).collect();
    format!(
        "# Signet's configuration. Rules are in rules/, what providers may do is in the\n\
         # signed consent (`signet consent show`).\n\n\
         [owner]\n\
         name = {name}\n\
         # Written into every low-resolution copy, so that whoever holds one can tell\n\
         # whose photo it is. mailto: or https://\n\
         address = {address}\n\n\
         # Folders to watch. Nothing in them is ever changed, moved or deleted.\n\
         {collections}\
         [watch]\n\
         # A file whose writer did not close it is taken after this much quiet.\n\
         quiet_ms = 2000\n\
         # Everything is compared with the disk again after this long.\n\
         rescan_minutes = 60\n\n\
         [roll]\n\
         # A card applies until another card, the icon `end`, or a pause longer than this.\n\
         pause_minutes = 10\n\
         # Nothing is sent before the collection was quiet for so long (30 s at most):\n\
         # cards and the photos behind them may arrive in any order.\n\
         settle_ms = 1000\n\n\
         [group]\n\
         # A voice memo or film that a photo says exists is waited for so long; then the\n\
         # photo goes without it.\n\
         grace_s = 30\n\n\
         [detection]\n\
         # Photos looked at at once; 0 is one per core.\n\
         workers = 0\n\
         # onnxruntime = \"/usr/lib/libonnxruntime.so\"\n\n\
         [icons]\n\
         # true: an icon orders by itself only with your own seal around it (`signet icons\n\
         # sheet --seal`); others are asked about. do-not-share is obeyed in any case.\n\
         require_seal = false\n\n\
         [faces]\n\
         # How alike a face has to be to that of an enrolled person (`signet people check` shows what\n\
         # is in force, and what it gives with your people), in photos that arrive from then on.\n\
         # Ordering can only be made harder.\n\
         # order_min = 0.53\n\
         # lead_min = 0.08\n\
         # ask_min = 0.42\n\n\
         [serve]\n\
         # Where providers reach this computer, and how they name it if that differs.\n\
         listen = {listen}\n\
         # public_url = \"https://photos.example.org\"\n\n\
         # Mail about orders that ask or are held, with links by which you decide from your\n\
         # phone: whoever has such a link can. Needs public_url above; the password of the mail\n\
         # server goes to keys/mail.password, readable by you only (chmod 600).\n\
         # [mail]\n\
         # to = \"you@example.org\"\n\
         # from = \"signet@example.org\"\n\
         # server = {{ host = \"smtp.example.org\", port = 465, user = \"signet\" }}\n\n\
         [report]\n\
         # You are told what was fetched, by whom, for which order and what it paid, also that\n\
         # nothing was. By mail: \"each\" (after each access), \"daily\", \"weekly\", \"monthly\" (as\n\
         # it is where [mail] is set up), \"never\".\n\
         # mail = \"monthly\"\n\
         # Programs are told at an address, signed with the secret in keys/report.webhook.\n\
         # webhook = \"https://hooks.example.org/signet\"\n\
         # Feed readers find it at an address that nobody can guess: `signet report --feed`.\n\
         # feed = true\n\n\
         [outward]\n\
         # Providers are called at public addresses, with TLS. Who is elsewhere is named here: an\n\
         # address, a network or a name of your own network, with or without a port, such as\n\
         # \"192.168.1.20:8720\", \"printer.local:631\" or \"10.0.0.0/8\".\n\
         allow = [{allow}]\n\n\
         [service]\n\
         # Who runs the service and what part of each access fee it keeps, in percent.\n\
         name = \"signet\"\n\
         share_percent = 20\n",
        name = quoted(new.owner_name),
        address = quoted(new.owner_address),
        listen = quoted(new.listen),
        allow = allow.join(", "),
    )
}

/// Reads one variable of the environment; `None` when absent or not text.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The home folder when none is named: `SIGNET_HOME`, else the platform's data folder.
pub fn default_home() -> PathBuf {
    if let Some(home) = environment("SIGNET_HOME") {
        return home.into();
    }
    let user = environment("HOME").or_else(|| environment("USERPROFILE")).unwrap_or_default();
    if cfg!(target_os = "macos") {
        return Path::new(&user).join("Library/Application Support/signet");
    }
    environment("XDG_DATA_HOME")
        .map_or_else(|| Path::new(&user).join(".local/share"), PathBuf::from)
        .join("signet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_is_read_back_as_it_was_meant() {
        let collections = [Collection::folder("a \"b\"", "/photos/ü")];
        let text = template(&NewConfig {
            owner_name: "Ada \\ \"L\"",
            owner_address: "mailto:ada@example.org",
            collections: &collections,
            listen: "127.0.0.1:0",
            allow: &["printer.local:631".parse().expect("a place")],
        });
        let config = Config::parse(&text, Path::new("signet.toml")).expect("the template parses");
        assert_eq!(config.owner.name, "Ada \\ \"L\"");
        assert_eq!(config.collections[0].name, "a \"b\"");
        assert_eq!(config.serve.listen, "127.0.0.1:0");
        assert!(!config.icons.require_seal);
        assert_eq!(config.outward.allow, Allow::named(&["printer.local:631"]).expect("a place"));
    }

    #[test]
    fn place_is_added_and_everything_else_stays() {
        let place: Place = "127.0.0.1:8720".parse().expect("a place");
        for (text, expected) in [
            ("a = 1 # why\n", "a = 1 # why\n[outward]\nallow = [\"127.0.0.1:8720\"]\n"),
            ("[outward]\nallow = [] # none\n", "[outward]\nallow = [\"127.0.0.1:8720\"] # none\n"),
            (
                "[outward]\nallow = [\n  # at home\n  \"nas\", # old\n]\n[serve]\n",
                "[outward]\nallow = [\"127.0.0.1:8720\", \n  # at home\n  \"nas\", # old\n]\n[serve]\n",
            ),
            ("outward.allow = ['nas']\n", "outward.allow = [\"127.0.0.1:8720\", 'nas']\n"),
            (
                "[outward]\nallow = [\"127.0.0.1:8720\"]\n",
                "[outward]\nallow = [\"127.0.0.1:8720\"]\n",
            ),
        ] {
            assert_eq!(allowing(text, &place).as_deref(), Some(expected));
            toml::from_str::<toml::Table>(expected).expect("TOML");
        }
        for text in ["[outward]\n", "[outward]\nallow = [1]\n", "allow = [\n"] {
            assert_eq!(allowing(text, &place), None, "{text}");
        }
    }

    #[test]
    fn place_that_is_none_is_reported_with_its_line() {
        let text = "[owner]\nname = \"a\"\naddress = \"mailto:a@b\"\n[outward]\nallow = [\"nas\", \"0x7f.1\"]\n";
        let error = Config::parse(text, Path::new("signet.toml")).expect_err("a number");
        let message = error.to_string();
        assert!(message.contains("line 5") && message.contains("looks like a number"), "{message}");
    }

    #[test]
    fn seal_is_required_only_when_said_so_in_the_right_words() {
        let text = "[owner]\nname = \"a\"\naddress = \"mailto:a@b\"\n";
        let parse = |rest: &str| Config::parse(&format!("{text}{rest}"), Path::new("signet.toml"));
        assert!(!parse("").expect("no word of it").icons.require_seal);
        assert!(parse("[icons]\nrequire_seal = true\n").expect("required").icons.require_seal);
        for wrong in ["[icons]\nrequire_seals = true\n", "[icons]\nrequire_seal = \"yes\"\n"] {
            assert!(parse(wrong).is_err_and(|e| e.to_string().contains("line 5")), "{wrong}");
        }
    }

    #[test]
    fn reports_by_mail_need_somewhere_to_go() {
        let text = "[owner]\nname = \"a\"\naddress = \"mailto:a@b\"\n[report]\n";
        let parse = |rest: &str| Config::parse(&format!("{text}{rest}"), Path::new("signet.toml"));
        let error = parse("mail = \"daily\"\n").expect_err("nowhere to go").to_string();
        assert!(error.contains("needs [mail]"), "{error}");
        assert!(parse("mail = \"hourly\"\n").is_err());
        let report = parse("mail = \"never\"\nfeed = true\n").expect("a config").report;
        assert_eq!((report.mail, report.feed, report.webhook), (Some(Often::Never), true, None));
        assert_eq!(parse("").expect("a config").report, Reporting::default());
    }

    #[test]
    fn thresholds_of_faces_lie_between_nothing_and_the_same() {
        let parse = |faces: &str| {
            let text =
                format!("[owner]\nname = \"a\"\naddress = \"mailto:a@b\"\n[faces]\n{faces}\n");
            Config::parse(&text, Path::new("signet.toml"))
        };
        let faces = parse("order_min = 0.6\nask_min = 0.6").expect("a config").faces;
        assert_eq!(faces, Faces { order_min: Some(0.6), lead_min: None, ask_min: Some(0.6) });
        for (text, named) in [
            ("order_min = 0.0", "order_min"),
            ("lead_min = 1.5", "lead_min"),
            ("ask_min = nan", "ask_min"),
            ("order_min = 0.55\nask_min = 0.6", "above order_min"),
            ("order = 0.6", "order"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(named) && error.contains("signet.toml"), "{error}");
        }
    }

    #[test]
    fn mail_needs_an_address_for_its_links() {
        let text = "[owner]\nname = \"a\"\naddress = \"mailto:a@b\"\n[mail]\nto = \"a@b\"\n\
                    from = \"c@d\"\nserver = { host = \"smtp.d\" }\n";
        let parse = |text: &str| Config::parse(text, Path::new("signet.toml"));
        let error = parse(text).expect_err("nowhere to point to").to_string();
        assert!(error.contains("public_url"), "{error}");
        let there = format!("{text}[serve]\npublic_url = \"https://a.example\"\n");
        let mail = parse(&there).expect("a config").mail.expect("mail");
        assert_eq!((mail.server.port, mail.gather_s), (465, 60));
        assert!(parse(&there.replace("a@b", "a b")).is_err(), "no address");
    }

    #[test]
    fn mistake_is_reported_with_line_and_column() {
        let text = "[owner]\nname = \"a\"\naddress = \"mailto:a@b\"\n[watch]\nquite_ms = 1\n";
        let error = Config::parse(text, Path::new("signet.toml")).expect_err("unknown key");
        let message = error.to_string();
        assert!(message.contains("line 5, column 1") && message.contains("quite_ms"), "{message}");
    }
}
