//! `signet models list|verify`: the networks inside this program.

use super::{CommandError, Context, Outcome, output};
use crate::base::ids::ContentHash;
use crate::detection::detector::{ALIGNER, EMBEDDER, LOCALISER};

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
    /// Compare them with the digests of model.toml
    Verify,
}

const SHIPPED: [(&str, &[u8]); 3] =
    [("localiser.onnx", LOCALISER), ("aligner.onnx", ALIGNER), ("embedder.onnx", EMBEDDER)];

const MANIFEST: &str = include_str!("../../models/icons/model.toml");

/// Runs it.
///
/// # Errors
/// Never; a network that differs gives exit code 1.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let verify = matches!(args.command, Command::Verify);
    let mut outcome = Outcome::Done;
    for (name, bytes) in SHIPPED {
        let digest = ContentHash::of(bytes).to_string();
        let listed = MANIFEST.contains(&digest);
        if context.json {
            output::json(&serde_json::json!({
                "name": name, "bytes_count": bytes.len(), "sha256": digest, "listed": listed,
            }));
        } else {
            let note = match (verify, listed) {
                (true, true) => "  as listed",
                (true, false) => "  NOT AS LISTED",
                (false, _) => "",
            };
            output::line(format_args!("{name:<16} {:>9} bytes  {digest}{note}", bytes.len()));
        }
        if verify && !listed {
            tracing::error!("`{name}` is not the network that model.toml lists: install again");
            outcome = Outcome::SomeFailed;
        }
    }
    Ok(outcome)
}
