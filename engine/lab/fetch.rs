//! Fetches what an order is about, resumes after a break, checks digests, acknowledges.
//!
//! What came through a hub is opened as it comes, so that what breaks off is resumed as anything
//! else: by the plain bytes that are here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::home::{LabConfig, LabError};
use super::{Absent, CANCELLED, Done};
use crate::access::Key;
use crate::access::proof::{self, ProvenRequest};
use crate::access::sealed::{Opened, SEAL_HEADER, SEALED_TYPE, Subject};
use crate::base::clock::Timestamp;
use crate::base::files::{Readers, sync_folder, write_atomic};
use crate::base::ids::ContentHash;
use crate::orders::outward::{Fetching, refusal, words};
use crate::orders::webhook::{CloudEvent, MemberMessage, OrderMessage};
use crate::web::{Receipt, Stage, Status};

/// Waiting times after each failed try, in seconds; the last repeats.
const WAITS_S: [u64; 8] = [1, 2, 5, 15, 60, 300, 900, 3600];

/// Largest member that is fetched, in bytes.
const MEMBER_BYTES_MAX: u64 = 4 << 30;

/// How work on an order ended.
pub(super) enum Outcome {
    /// Everything is there and was acknowledged.
    Filed { done: Done, millis: u64 },
    /// Try again after a while.
    Waiting { reason: String, wait: Duration },
    /// Its owner took it back.
    Cancelled,
    /// It will not work any more; the reason is in `failed.json`.
    Failed(String),
}

/// Why one try did not work.
enum Trouble {
    /// Another try may.
    Later(String),
    /// Asked to come back after a while.
    After(String, Duration),
    /// None will.
    Never(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<ureq::Error> for Trouble {
    fn from(error: ureq::Error) -> Self {
        let why = format!("the owner's computer cannot be reached: {}", words(&error));
        match refusal(&error) {
            Some(refusal) if refusal.is_final() => Self::Never(why),
            _ => Self::Later(why),
        }
    }
}

pub(super) struct Fetcher {
    key: Key,
    out: PathBuf,
    clients: Fetching,
}

impl Fetcher {
    /// # Errors
    /// A certificate to be trusted that cannot be read.
    pub(super) fn new(key: Key, config: &LabConfig) -> Result<Self, LabError> {
        let settings = || {
            ureq::Agent::config_builder()
                .timeout_connect(Some(Duration::from_secs(10)))
                .timeout_recv_response(Some(Duration::from_secs(30)))
                .timeout_per_read(Some(Duration::from_secs(30)))
                .user_agent(concat!("signet-lab/", env!("CARGO_PKG_VERSION")))
        };
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| LabError::File { path: path.clone(), source })
        };
        let trust = config.trust.as_ref().map(read).transpose()?;
        let clients = Fetching::new(&config.allow, settings, trust.as_deref());
        let clients = clients.map_err(|message| LabError::Syntax {
            path: config.trust.clone().unwrap_or_default(),
            message,
        })?;
        Ok(Self { key, out: config.out.clone(), clients })
    }

    /// One try to finish an order.
    pub(super) fn work(&self, order_key: &str, attempt: usize) -> Outcome {
        let folder = self.out.join(order_key);
        let begun = Instant::now();
        if folder.join(CANCELLED).exists() {
            return Outcome::Cancelled;
        }
        let trouble = match self.try_once(&folder) {
            Ok(done) => {
                let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Outcome::Filed { done, millis };
            }
            Err(trouble) => trouble,
        };
        // What is taken back meanwhile can be had no longer.
        if folder.join(CANCELLED).exists() {
            return Outcome::Cancelled;
        }
        let wait = Duration::from_secs(WAITS_S[attempt.min(WAITS_S.len() - 1)]);
        match trouble {
            Trouble::Later(reason) => Outcome::Waiting { reason, wait },
            Trouble::After(reason, asked) => Outcome::Waiting { reason, wait: wait.max(asked) },
            Trouble::Never(reason) => {
                let note = serde_json::json!({ "reason": reason }).to_string();
                let path = folder.join("failed.json");
                match write_atomic(&path, note.as_bytes(), Readers::Usual) {
                    Ok(()) => Outcome::Failed(reason),
                    Err(error) => Outcome::Waiting { reason: error.to_string(), wait },
                }
            }
        }
    }

    fn try_once(&self, folder: &Path) -> Result<Done, Trouble> {
        let text = fs::read_to_string(folder.join("order.json"))?;
        let event: CloudEvent = serde_json::from_str(&text)
            .map_err(|error| Trouble::Never(format!("order.json is damaged: {error}")))?;
        let order = event.data;
        let mut done = Done { files: Vec::new(), bytes_count: 0, missing: Vec::new() };
        for (member, name) in order.members.iter().zip(file_names(&order.members)) {
            let filed =
                self.fetch(folder, &name, member).and_then(|()| self.acknowledge(&order, member));
            match filed {
                Ok(()) => {
                    done.bytes_count += member.bytes_count;
                    done.files.push(name);
                }
                // A companion that is gone does not keep the photo from being printed.
                Err(Trouble::Never(reason)) if member.role.is_companion() => {
                    let (role, name) = (member.role, member.name.clone());
                    done.missing.push(Absent { role, name, reason });
                }
                Err(trouble) => return Err(trouble),
            }
        }
        let note = serde_json::to_string_pretty(&done)
            .map_err(|error| Trouble::Later(error.to_string()))?;
        write_atomic(&folder.join("done.json"), note.as_bytes(), Readers::Usual)?;
        Ok(done)
    }

    /// Brings one member into the folder, whole and with the right digest.
    fn fetch(&self, folder: &Path, name: &Path, member: &MemberMessage) -> Result<(), Trouble> {
        let whole = folder.join(name);
        if whole.is_file() && digest_of(&whole)? == member.sha256 {
            return Ok(());
        }
        if member.bytes_count > MEMBER_BYTES_MAX {
            return Err(Trouble::Never(format!("{} bytes are too many", member.bytes_count)));
        }
        let part = folder.join(format!(".{}.part", name.display()));
        let mut have = fs::metadata(&part).map_or(0, |metadata| metadata.len());
        if have < member.bytes_count {
            have = self.download(&part, have, member)?;
        }
        if have != member.bytes_count || digest_of(&part)? != member.sha256 {
            fs::remove_file(&part)?;
            return Err(Trouble::Later("the bytes that came are not those promised".into()));
        }
        File::open(&part)?.sync_all()?;
        fs::rename(&part, &whole)?;
        sync_folder(folder)?;
        Ok(())
    }

    /// Fetches what is missing behind `have` bytes; returns how many there are then.
    fn download(&self, part: &Path, have: u64, member: &MemberMessage) -> Result<u64, Trouble> {
        let mut request = self
            .clients
            .client(&member.url)
            .get(&member.url)
            .header("authorization", format!("DPoP {}", member.grant))
            .header("dpop", self.proof("GET", &member.url, &member.grant)?);
        if have > 0 {
            request = request
                .header("range", format!("bytes={have}-"))
                .header("if-range", format!("\"{}\"", member.sha256));
        }
        let mut answer = request.call()?;
        let resumed = match answer.status().as_u16() {
            200 => false,
            206 if have > 0 => true,
            _ => return Err(refused(&mut answer)),
        };
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(resumed)
            .truncate(!resumed)
            .open(part)?;
        let mut have = if resumed { have } else { 0 };
        let mut body = self.plain(answer, have, member)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let count = body.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            have += count as u64;
            if have > member.bytes_count {
                break;
            }
            file.write_all(&buffer[..count])?;
        }
        if have < member.bytes_count {
            return Err(Trouble::Later(format!(
                "only {have} of {} bytes came",
                member.bytes_count
            )));
        }
        Ok(have)
    }

    /// The plain bytes of an answer: what came through a hub is sealed to the lab's key.
    ///
    /// - `start`: which byte of the member it begins with
    fn plain(
        &self,
        answer: ureq::http::Response<ureq::Body>,
        start: u64,
        member: &MemberMessage,
    ) -> Result<Box<dyn Read>, Trouble> {
        let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let is_sealed = text("content-type") == Some(SEALED_TYPE);
        let header = text(SEAL_HEADER).unwrap_or_default().to_owned();
        let body = answer.into_body().into_reader();
        if !is_sealed {
            return Ok(Box::new(body));
        }
        let (grant_id, digest, end) = (grant_id(member), &member.sha256, member.bytes_count);
        let subject = Subject { grant_id, digest, start, end };
        let opened = Opened::of_member(body, &self.key, &header, subject, end);
        let opened = opened.map_err(|error| Trouble::Later(error.to_string()))?;
        Ok(Box::new(opened))
    }

    /// Tells the owner that a member lies here with the right digest.
    fn acknowledge(&self, order: &OrderMessage, member: &MemberMessage) -> Result<(), Trouble> {
        let grant_id = grant_id(member).to_owned();
        let receipt = Receipt { grant_id, sha256: member.sha256 };
        let body =
            serde_json::to_string(&receipt).map_err(|error| Trouble::Never(error.to_string()))?;
        let mut answer = self
            .clients
            .client(&order.receipt_url)
            .post(&order.receipt_url)
            .header("authorization", format!("DPoP {}", member.grant))
            .header("dpop", self.proof("POST", &order.receipt_url, &member.grant)?)
            .header("content-type", "application/json")
            .send(body.as_bytes())?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            _ => Err(refused(&mut answer)),
        }
    }

    /// Tells the owner what becomes of an order.
    ///
    /// # Errors
    /// Why it could not be told, in words.
    pub(super) fn tell(&self, order_key: &str, state: Stage, note: &str) -> Result<(), String> {
        let text = fs::read_to_string(self.out.join(order_key).join("order.json"))
            .map_err(|error| format!("there is no order `{order_key}`: {error}"))?;
        let event: CloudEvent = serde_json::from_str(&text)
            .map_err(|error| format!("order.json of `{order_key}` is damaged: {error}"))?;
        let order = event.data;
        let photo = order.members.first().ok_or("the order has no members")?;
        if order.status_url.is_empty() {
            return Err("its owner has a Signet that is not told such things".into());
        }
        let grant_id = grant_id(photo).to_owned();
        let status = Status { grant_id, state, note: note.to_owned() };
        let body = serde_json::to_string(&status).map_err(|error| error.to_string())?;
        let sent = || -> Result<(), Trouble> {
            let mut answer = self
                .clients
                .client(&order.status_url)
                .post(&order.status_url)
                .header("authorization", format!("DPoP {}", photo.grant))
                .header("dpop", self.proof("POST", &order.status_url, &photo.grant)?)
                .header("content-type", "application/json")
                .send(body.as_bytes())?;
            match answer.status().as_u16() {
                200..=299 => Ok(()),
                _ => Err(refused(&mut answer)),
            }
        };
        sent().map_err(|trouble| match trouble {
            Trouble::Later(why) | Trouble::After(why, _) => format!("{why}; try again later"),
            Trouble::Never(why) => why,
        })
    }

    fn proof(&self, method: &str, url: &str, grant: &str) -> Result<String, Trouble> {
        proof::make(&self.key, ProvenRequest { method, url, grant }, Timestamp::now())
            .map_err(|error| Trouble::Later(error.to_string()))
    }
}

/// Id of the grant that a member's address names.
fn grant_id(member: &MemberMessage) -> &str {
    member.url.rsplit('/').nth(1).unwrap_or_default()
}

/// What an answer other than success means.
fn refused(answer: &mut ureq::http::Response<ureq::Body>) -> Trouble {
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(4096).read_to_string().unwrap_or_default();
    let detail = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|problem| problem.get("detail")?.as_str().map(str::to_owned))
        .unwrap_or_default();
    let reason = format!("the owner's computer answered {status}: {detail}");
    let retry_after = answer
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .map(|seconds| Duration::from_secs(seconds.min(86_400)));
    match (status, retry_after) {
        (403 | 404 | 410, _) => Trouble::Never(reason),
        (_, Some(wait)) => Trouble::After(reason, wait),
        _ => Trouble::Later(reason),
    }
}

fn digest_of(path: &Path) -> io::Result<ContentHash> {
    ContentHash::of_reader(File::open(path)?)
}

/// What members are filed as: safe names, no two alike, also where upper and lower case are
/// the same.
fn file_names(members: &[MemberMessage]) -> Vec<PathBuf> {
    let mut taken: Vec<String> = Vec::new();
    let names = members.iter().enumerate().map(|(index, member)| {
        let mut name = file_name(&member.name, index);
        if taken.contains(&name.to_lowercase()) {
            name = format!("{index}-{name}");
        }
        taken.push(name.to_lowercase());
        name.into()
    });
    names.collect()
}

/// A name from outside made safe: no folders, nothing hidden, none of our own files.
fn file_name(name: &str, index: usize) -> String {
    let safe =
        |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ') { c } else { '_' };
    let name: String = name.chars().map(safe).take(100).collect();
    let name = name.trim_matches(['.', ' ']);
    if name.is_empty() || OWN_FILES.contains(&name.to_lowercase().as_str()) {
        return format!("member-{index}");
    }
    name.to_owned()
}

/// Names that the lab gives to files of its own.
const OWN_FILES: [&str; 6] =
    ["order.json", "manifest.json", "manifest.jws", "done.json", "failed.json", CANCELLED];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::member::Member;

    #[test]
    fn name_from_outside_stays_in_its_folder() {
        for (name, expected) in [
            ("IMG_1.JPG", "IMG_1.JPG"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("done.json", "member-0"),
            ("Manifest.JSON", "member-0"),
            ("..", "member-0"),
            (".hidden", "hidden"),
            ("a\0b", "a_b"),
        ] {
            assert_eq!(file_name(name, 0), expected, "{name}");
        }
    }

    #[test]
    fn members_of_one_name_are_filed_side_by_side() {
        let member = |name: &str| MemberMessage {
            role: Member::Auxiliary,
            name: name.to_owned(),
            media_type: String::new(),
            bytes_count: 1,
            sha256: ContentHash::of(b""),
            url: String::new(),
            grant: String::new(),
        };
        let members = ["a.jpg", "A.JPG", "a.jpg", "order.json", "../a.jpg"].map(member);
        let expected = ["a.jpg", "1-A.JPG", "2-a.jpg", "member-3", "_a.jpg"].map(PathBuf::from);
        assert_eq!(file_names(&members), expected);
    }
}
