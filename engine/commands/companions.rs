//! `signet companions PHOTO`: what travels with a photo; saves it as files of its own.
//!
//! Parts inside the photo are cut out, files beside it are copied, both byte for byte. The
//! photo is not decoded: what travels with one that cannot be decoded is there all the same.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::Serialize;

use crate::base::causes::one_line;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::collection::group::{Kind, candidates, is_raw, kind_of, tie};
use crate::media::companion::{InspectError, belongs, inspect};
use crate::media::read::BYTES_MAX;
use crate::media::{Evidence, Extras, read_original};

use super::{CommandError, Context, Outcome, failed, output};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The photo
    photo: PathBuf,
    /// Write each companion into this folder, as a file of its own
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

/// One companion of a photo, as `--json` shows it.
#[derive(Debug, Serialize)]
pub(super) struct Companion {
    role: Member,
    /// The file it is in: the photo's own for a part of it.
    pub(super) path: PathBuf,
    media_type: String,
    bytes_count: u64,
    sha256: ContentHash,
    /// Where it begins in the photo's file; absent for a file of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    evidence: Evidence,
}

/// What was found in the folder of a photo.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) companions: Vec<Companion>,
    /// Files that should be companions by their names, and why they are none.
    pub(super) refused: Vec<(PathBuf, InspectError)>,
}

/// Runs it.
///
/// # Errors
/// When the photo cannot be read, or the folder to save to cannot be made.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let photo = &args.photo;
    let original = read_original(photo, BYTES_MAX).map_err(|error| {
        CommandError::failed(format!("`{}`: {}", photo.display(), one_line(&error)))
    })?;
    let extras = Extras::read(&original.bytes);
    let mut companions = inside(photo, &original.bytes, &extras);
    let beside = beside(photo, &extras, &names_in(folder_of(photo)));
    companions.extend(beside.companions);
    for (path, error) in &beside.refused {
        tracing::warn!("`{}`: {}", path.display(), one_line(error));
    }
    if let Some(target) = &args.save {
        std::fs::create_dir_all(target).map_err(failed)?;
    }
    let mut outcome = Outcome::Done;
    for companion in &companions {
        let saved = args.save.as_deref().map(|target| companion.save(target, &original.bytes));
        if context.json {
            output::json(companion);
        } else {
            output::line(companion.words(photo));
        }
        if let Some(Err(error)) = saved {
            tracing::error!("{}", one_line(&*error));
            outcome = Outcome::SomeFailed;
        }
    }
    if companions.is_empty() && !context.json {
        output::line("nothing travels with it");
    }
    Ok(outcome)
}

/// The parts of a photo's file that are companions.
pub(super) fn inside(photo: &Path, bytes: &[u8], extras: &Extras) -> Vec<Companion> {
    let companion = |part: &crate::media::Embedded| {
        let begin = usize::try_from(part.offset).ok()?;
        let end = begin.checked_add(usize::try_from(part.bytes_count).ok()?)?;
        Some(Companion {
            role: part.member,
            path: photo.to_path_buf(),
            media_type: part.media_type.clone(),
            bytes_count: part.bytes_count,
            sha256: ContentHash::of(bytes.get(begin..end)?),
            offset: Some(part.offset),
            evidence: part.evidence,
        })
    };
    extras.embedded.iter().filter_map(companion).collect()
}

/// The files beside a photo that belong to it.
///
/// - `names`: what else is known to be in the folder; usual names and those that the photo
///   promises are looked for anyway
pub(super) fn beside(photo: &Path, extras: &Extras, names: &[OsString]) -> Beside {
    let mut beside = Beside::default();
    let Some(photo_name) = photo.file_name() else { return beside };
    let promised = extras.promised.iter().filter_map(|promise| promise.name.as_deref());
    let promised = promised.filter_map(|name| Path::new(name).file_name().map(OsStr::to_owned));
    // A disk that does not tell upper from lower case gives one file under two names.
    let mut seen = HashSet::new();
    for name in candidates(photo_name).into_iter().chain(promised).chain(names.iter().cloned()) {
        let path = folder_of(photo).join(&name);
        let Some((mut file, metadata)) = open(&path) else { continue };
        if !seen.insert(file_key(&metadata)) {
            continue;
        }
        let facts = match inspect(&name, &mut file) {
            Ok(facts) => facts,
            Err(error) => {
                // Any program may leave a JSON; only what names this photo is missed.
                let is_foreign = kind_of(&name) == Kind::Companion(Member::Takeout)
                    && matches!(error, InspectError::OtherContent { .. });
                if tie(photo_name, &name).is_some() && !is_foreign {
                    beside.refused.push((path, error));
                }
                continue;
            }
        };
        let Some(evidence) = belongs(photo_name, extras, &name, &facts) else { continue };
        match hash(&mut file) {
            Ok(sha256) => beside.companions.push(Companion {
                role: facts.member,
                path,
                media_type: facts.media_type,
                bytes_count: metadata.len(),
                sha256,
                offset: None,
                evidence,
            }),
            Err(error) => beside.refused.push((path, InspectError::Read(error))),
        }
    }
    beside
}

/// Why a companion that no photo claimed is one; as a sentence.
pub(super) fn lone(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    let inspected = open(path).map(|(mut file, _)| inspect(name, &mut file));
    match inspected {
        Some(Err(error)) => one_line(&error),
        _ => "it belongs to no photo here".to_owned(),
    }
}

impl Companion {
    /// Such as `motion video/mp4, 2193658 bytes at 1455411`.
    fn words(&self, photo: &Path) -> String {
        let Self { role, media_type, bytes_count, sha256, evidence, .. } = self;
        let place = match self.offset {
            Some(offset) => format!("{}, from byte {offset}", photo.display()),
            None => self.path.display().to_string(),
        };
        let evidence = serde_json::to_value(evidence).ok();
        let evidence = evidence.as_ref().and_then(|word| word.as_str()).unwrap_or_default();
        format!("{role} {media_type} {bytes_count} bytes, by {evidence}: {place} (sha256 {sha256})")
    }

    /// A word or two for a line about the photo.
    pub(super) fn short(&self) -> String {
        match self.offset {
            Some(_) => format!("{} inside", self.role),
            None => {
                let name = self.path.file_name().unwrap_or_default();
                format!("{} {}", self.role, name.display())
            }
        }
    }

    /// Writes it into a folder, whole or not at all and over nothing.
    fn save(
        &self,
        folder: &Path,
        photo: &[u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let target = folder.join(self.file_name());
        let mut temporary = folder.join(".");
        temporary.set_file_name(format!(".signet-{}.part", self.sha256));
        let mut part = File::create(&temporary)?;
        let copied = match self.offset {
            Some(offset) => {
                let begin = usize::try_from(offset)?;
                let bytes = photo.get(begin..).unwrap_or_default();
                io::copy(&mut bytes.take(self.bytes_count), &mut part)
            }
            None => io::copy(&mut File::open(&self.path)?, &mut part),
        };
        let written = copied.and_then(|_| part.sync_all()).and_then(|()| {
            // What was written is what was listed, and the name is free.
            let hash = ContentHash::of_reader(File::open(&temporary)?)?;
            if hash != self.sha256 {
                return Err(io::Error::other("it changed while it was copied"));
            }
            std::fs::hard_link(&temporary, &target)
        });
        let removed = std::fs::remove_file(&temporary);
        written
            .and(removed)
            .map_err(|error| format!("`{}` was not written: {error}", target.display()).into())
    }

    /// Its own name; for a part of a photo the photo's, what it is and where it began.
    fn file_name(&self) -> OsString {
        let Some(offset) = self.offset else {
            return self.path.file_name().unwrap_or_default().to_owned();
        };
        let extension = match self.media_type.as_str() {
            "video/mp4" => "mp4",
            "video/quicktime" => "mov",
            "video/3gpp" => "3gp",
            "audio/wav" => "wav",
            "audio/mp4" => "m4a",
            "audio/amr" => "amr",
            "audio/aac" => "aac",
            "image/jpeg" => "jpg",
            _ => "bin",
        };
        let mut name = self.path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{}-{offset}.{extension}", self.role));
        name
    }
}

fn folder_of(photo: &Path) -> &Path {
    photo.parent().unwrap_or_else(|| Path::new(""))
}

/// Names in a folder that may be companions.
fn names_in(folder: &Path) -> Vec<OsString> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    names
        .map(|entry| entry.file_name())
        .filter(|name| matches!(kind_of(name), Kind::Companion(_)) || is_raw(name))
        .collect()
}

/// A regular file, opened without waiting for anybody and without following a link.
fn open(path: &Path) -> Option<(File, std::fs::Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some((file, metadata))
}

fn file_key(metadata: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

fn hash(file: &mut File) -> io::Result<ContentHash> {
    file.seek(SeekFrom::Start(0))?;
    ContentHash::of_reader(file)
}
