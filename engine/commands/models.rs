//! `signet models list|verify|pull`: the networks inside this program, and those that are pulled.
//!
//! What is pulled is gathered in a folder beside the one in use and checked there; then it takes its
//! place, the manifest last. What was whole when a pull broke off is not fetched again.

use std::path::{Path, PathBuf};

use super::{CommandError, Context, Outcome, failed, output};
use crate::base::allow::Allow;
use crate::base::causes::one_line;
use crate::base::config::{Config, environment};
use crate::base::files::{Readers, write_atomic};
use crate::base::home::{Home, make_private_dir};
use crate::base::ids::ContentHash;
use crate::detection::detector::{ALIGNER, EMBEDDER, LOCALISER};
use crate::detection::faces::files::{self, MANIFEST};
use crate::detection::faces::manifest::{self, Source};
use crate::detection::faces::{FaceFiles, Manifest};
use crate::orders::outward::Outward;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the networks with size and digest
    List,
    /// Compare them with the digests of their manifests
    Verify,
    /// Fetch networks that are not part of this program
    Pull(Pull),
}

#[derive(Debug, clap::Args)]
struct Pull {
    /// Which
    #[arg(value_enum)]
    what: What,
    /// Take them from this folder instead of their pinned addresses; with a `model.toml` of its own
    /// in it, what that one says is fetched
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum What {
    /// Two public networks that find and tell apart faces
    Faces,
}

const SHIPPED: [(&str, &[u8]); 3] =
    [("localiser.onnx", LOCALISER), ("aligner.onnx", ALIGNER), ("embedder.onnx", EMBEDDER)];

const ICONS: &str = include_str!("../../models/icons/model.toml");

/// Runs it.
///
/// # Errors
/// What keeps networks from being pulled; a network that differs gives exit code 1.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    match &args.command {
        Command::List => Ok(show(false, context)),
        Command::Verify => Ok(show(true, context)),
        Command::Pull(Pull { what: What::Faces, from }) => pull(from.as_deref(), context),
    }
}

fn show(verify: bool, context: &Context) -> Outcome {
    let mut outcome = Outcome::Done;
    for (name, bytes) in SHIPPED {
        let sha256 = ContentHash::of(bytes);
        let listed = ICONS.contains(&sha256.to_string());
        let bytes_count = bytes.len() as u64;
        tell(&Row { name, bytes_count, sha256, listed, from: None, here: true }, verify, context);
        if verify && !listed {
            tracing::error!("`{name}` is not the network that model.toml lists: install again");
            outcome = Outcome::SomeFailed;
        }
    }
    let (manifest, here) = match FaceFiles::read(&Home::at(&context.home).face_models_dir()) {
        Ok(Some(found)) => (found.manifest, true),
        // There is nothing to verify, and what could be fetched to be told.
        Ok(None) if verify => return outcome,
        Ok(None) => match Manifest::parse(manifest::SHIPPED) {
            Ok(manifest) => (manifest, false),
            Err(_never) => return Outcome::SomeFailed,
        },
        Err(error) => {
            tracing::error!("{}", one_line(&error));
            return Outcome::SomeFailed;
        }
    };
    let Manifest { detector, recogniser, .. } = &manifest;
    for source in [&detector.source, &recogniser.source] {
        let Source { file, bytes, sha256, .. } = source;
        let (bytes_count, from) = (*bytes, Some(source));
        let row = Row { name: file, bytes_count, sha256: *sha256, listed: true, from, here };
        tell(&row, verify, context);
    }
    if !here && !context.json {
        output::line("`signet models pull faces` fetches those that are not here");
    }
    outcome
}

/// One network.
struct Row<'a> {
    name: &'a str,
    bytes_count: u64,
    sha256: ContentHash,
    /// Whether a manifest names these very bytes.
    listed: bool,
    /// Where it comes from; `None` for a part of this program.
    from: Option<&'a Source>,
    here: bool,
}

fn tell(row: &Row<'_>, verify: bool, context: &Context) {
    let Row { name, bytes_count, sha256, listed, from, here } = row;
    if context.json {
        output::json(&serde_json::json!({
            "name": name, "bytes_count": bytes_count, "sha256": sha256, "listed": listed,
            "here": here, "licence": from.map(|from| &from.licence),
            "trained_on": from.map(|from| &from.trained_on), "url": from.map(|from| &from.url),
        }));
        return;
    }
    let note = match (verify, listed, here) {
        (_, _, false) => "  not here",
        (true, true, _) => "  as listed",
        (true, false, _) => "  NOT AS LISTED",
        (false, ..) => "",
    };
    output::line(format_args!("{name:<22} {bytes_count:>9} bytes  {sha256}{note}"));
    if let (Some(from), false) = (from, verify) {
        tell_source(from);
    }
}

/// Under which terms a network may be used, and what it learned from.
fn tell_source(source: &Source) {
    let Source { licence, trained_on, url, .. } = source;
    output::line(format_args!("  licence {licence}; learned from {trained_on}"));
    if !url.is_empty() {
        output::line(format_args!("  {url}"));
    }
}

/// Fetches the face networks into the home, each checked before it is kept.
fn pull(from: Option<&Path>, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let config = Config::load(&home).map_err(failed)?;
    if let Some(from) = from.filter(|from| !from.is_dir()) {
        return Err(CommandError::Usage(format!("there is no folder `{}`", from.display())));
    }
    let text = match from.map(|from| from.join(MANIFEST)).filter(|path| path.exists()) {
        // A pair of one's own comes with its manifest.
        Some(path) => std::fs::read_to_string(&path)
            .map_err(|error| CommandError::failed(format!("`{}`: {error}", path.display())))?,
        None => manifest::SHIPPED.to_owned(),
    };
    let is_own = from.is_some_and(|from| from.join(MANIFEST).exists());
    let manifest = Manifest::parse(&text).map_err(failed)?;
    let sources = [&manifest.detector.source, &manifest.recogniser.source];
    let folder = home.face_models_dir();
    let gathered = folder.with_extension("part");
    for dir in [&folder, &gathered] {
        make_private_dir(dir).map_err(|error| unwritten(dir, &error))?;
    }
    let mut fetched = Vec::new();
    for source in sources {
        if !context.json {
            // Before anything of it is used.
            output::line(&source.file);
            tell_source(source);
        }
        let was_here = [&folder, &gathered].map(|dir| files::network(dir, source).is_ok());
        if was_here == [false, false] {
            let bytes = match from {
                // What is not beside a manifest of one's own is where that says.
                Some(from) if !is_own || from.join(&source.file).exists() => {
                    files::network(from, source).map_err(failed)?
                }
                _ => download(source, &config.outward.allow)?,
            };
            let path = gathered.join(&source.file);
            write_atomic(&path, &bytes, Readers::Usual)
                .map_err(|error| unwritten(&path, &error))?;
        }
        fetched.push(was_here == [false, false]);
    }
    for source in sources {
        let (whole, path) = (gathered.join(&source.file), folder.join(&source.file));
        if whole.exists() {
            std::fs::rename(&whole, &path).map_err(|error| unwritten(&path, &error))?;
        }
    }
    // Last: until it is there, there are no networks.
    let path = folder.join(MANIFEST);
    write_atomic(&path, text.as_bytes(), Readers::Usual)
        .map_err(|error| unwritten(&path, &error))?;
    std::fs::remove_dir_all(&gathered).map_err(|error| unwritten(&gathered, &error))?;
    for (source, fetched) in sources.into_iter().zip(fetched) {
        if context.json {
            output::json(&serde_json::json!({
                "name": source.file, "bytes_count": source.bytes, "sha256": source.sha256,
                "licence": source.licence, "trained_on": source.trained_on, "fetched": fetched,
            }));
        } else {
            let how = if fetched { "fetched and as listed" } else { "was here, as listed" };
            output::line(format_args!("{}: {how}", source.file));
        }
    }
    if !context.json {
        output::line("a running agent looks for faces in photos that arrive from now on");
    }
    Ok(Outcome::Done)
}

/// Fetches a network from its address; one that breaks off is begun anew once.
fn download(source: &Source, allow: &Allow) -> Result<Vec<u8>, CommandError> {
    if source.url.is_empty() {
        return Err(CommandError::failed(format!(
            "the manifest names no address for `{}`: put the file beside it",
            source.file
        )));
    }
    let outward = Outward::new(allow.clone());
    let (first, has_begun) = match try_download(source, &outward) {
        Ok(bytes) => return Ok(bytes),
        Err(broken) => broken,
    };
    let again = has_begun.then(|| try_download(source, &outward));
    let cause = match again {
        Some(Ok(bytes)) => return Ok(bytes),
        Some(Err((cause, _))) => cause,
        None => first,
    };
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let note = match proxies.iter().any(|name| environment(name).is_some()) {
        true => " (a proxy is set, and signet goes through none)",
        false => "",
    };
    let file = &source.file;
    Err(CommandError::failed(format!(
        "{cause}{note}: fetch `{file}` elsewhere, from where `signet models list` says, and run \
         `signet models pull faces --from DIR` with its folder"
    )))
}

/// The network as it should be; or why it was not had, and whether any of it came.
fn try_download(source: &Source, outward: &Outward) -> Result<Vec<u8>, (String, bool)> {
    let progress = output::Progress::of_many(&format!("bytes of {}", source.file));
    let whole = usize::try_from(source.bytes).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let fetched = outward.download(&source.url, source.bytes, |part| {
        bytes.extend_from_slice(part);
        progress.show(bytes.len(), whole);
        Ok(())
    });
    progress.finish();
    let checked = fetched.and_then(|()| {
        let Source { url, file, .. } = source;
        files::check(source, &bytes).map_err(|how| format!("`{file}` from `{url}` is {how}"))
    });
    match checked {
        Ok(()) => Ok(bytes),
        Err(cause) => Err((cause, !bytes.is_empty())),
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::failed(format!("`{}` cannot be written: {error}", path.display()))
}
