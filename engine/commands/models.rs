//! `signet models list|verify|pull`: the networks inside this program, and those that are pulled.

use std::path::{Path, PathBuf};

use super::{CommandError, Context, Outcome, failed, output};
use crate::base::allow::Allow;
use crate::base::causes::one_line;
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
    #[command(hide = true)]
    Pull(Pull),
}

#[derive(Debug, clap::Args)]
struct Pull {
    /// Which
    #[arg(value_enum)]
    what: What,
    /// Take them from this folder instead of their pinned addresses
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
        let digest = ContentHash::of(bytes);
        let listed = ICONS.contains(&digest.to_string());
        tell(&Row { name, bytes_count: bytes.len() as u64, digest, listed }, verify, context);
        if verify && !listed {
            tracing::error!("`{name}` is not the network that model.toml lists: install again");
            outcome = Outcome::SomeFailed;
        }
    }
    let folder = Home::at(&context.home).face_models_dir();
    match FaceFiles::read(&folder) {
        Ok(None) => {}
        Ok(Some(found)) => {
            let Manifest { detector, recogniser, .. } = found.manifest;
            for source in [detector.source, recogniser.source] {
                let (name, bytes_count) = (source.file.as_str(), source.bytes);
                let row = Row { name, bytes_count, digest: source.sha256, listed: true };
                tell(&row, verify, context);
            }
        }
        Err(error) => {
            tracing::error!("{}", one_line(&error));
            outcome = Outcome::SomeFailed;
        }
    }
    outcome
}

struct Row<'a> {
    name: &'a str,
    bytes_count: u64,
    digest: ContentHash,
    listed: bool,
}

fn tell(row: &Row<'_>, verify: bool, context: &Context) {
    let Row { name, bytes_count, digest, listed } = row;
    if context.json {
        output::json(&serde_json::json!({
            "name": name, "bytes_count": bytes_count, "sha256": digest, "listed": listed,
        }));
        return;
    }
    let note = match (verify, listed) {
        (true, true) => "  as listed",
        (true, false) => "  NOT AS LISTED",
        (false, _) => "",
    };
    output::line(format_args!("{name:<22} {bytes_count:>9} bytes  {digest}{note}"));
}

/// Fetches the face networks into the home, each checked before it is kept.
fn pull(from: Option<&Path>, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let folder = home.face_models_dir();
    let text = match from.map(|from| from.join(MANIFEST)).filter(|path| path.exists()) {
        // A pair of one's own comes with its manifest.
        Some(path) => std::fs::read_to_string(&path)
            .map_err(|error| CommandError::failed(format!("`{}`: {error}", path.display())))?,
        None => manifest::SHIPPED.to_owned(),
    };
    let manifest = Manifest::parse(&text).map_err(failed)?;
    make_private_dir(&folder).map_err(|error| unwritten(&folder, &error))?;
    for source in [&manifest.detector.source, &manifest.recogniser.source] {
        let is_here = files::network(&folder, source).is_ok();
        if !is_here {
            let bytes = match from {
                Some(from) => files::network(from, source).map_err(failed)?,
                None => download(source)?,
            };
            let path = folder.join(&source.file);
            write_atomic(&path, &bytes, Readers::Usual)
                .map_err(|error| unwritten(&path, &error))?;
        }
        let how = if is_here { "was here" } else { "fetched" };
        if context.json {
            output::json(&serde_json::json!({
                "name": source.file, "bytes_count": source.bytes, "sha256": source.sha256,
                "licence": source.licence, "trained_on": source.trained_on, "fetched": !is_here,
            }));
        } else {
            output::line(format_args!("{how}  {} ({})", source.file, source.licence));
            output::line(format_args!("         learned from {}", source.trained_on));
        }
    }
    // Last: until it is there, there are no networks.
    let path = folder.join(MANIFEST);
    write_atomic(&path, text.as_bytes(), Readers::Usual)
        .map_err(|error| unwritten(&path, &error))?;
    if !context.json {
        output::line("a running agent looks for faces in photos that arrive from now on");
    }
    Ok(Outcome::Done)
}

fn download(source: &Source) -> Result<Vec<u8>, CommandError> {
    if source.url.is_empty() {
        return Err(CommandError::failed(format!(
            "the manifest names no address for `{}`: give its folder with --from",
            source.file
        )));
    }
    let progress = output::Progress::of_many(&format!("bytes of {}", source.file));
    let whole = usize::try_from(source.bytes).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let fetched = Outward::new(Allow::default()).download(&source.url, source.bytes, |part| {
        bytes.extend_from_slice(part);
        progress.show(bytes.len(), whole);
        Ok(())
    });
    progress.finish();
    fetched.and_then(|()| files::check(source, &bytes)).map_err(|cause| {
        CommandError::failed(format!(
            "{cause}\nWithout the network: fetch the files that `models/faces/model.toml` names \
             elsewhere, and run `signet models pull faces --from DIR`"
        ))
    })?;
    Ok(bytes)
}

fn unwritten(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::failed(format!("`{}` cannot be written: {error}", path.display()))
}
