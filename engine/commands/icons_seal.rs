//! `signet icons seal`: which of the owner's seals are valid, and a new one. Printing it is
//! `signet icons sheet --seal`, `export --seal` and `stamp --seal`.

use super::{CommandError, Context, failed, output};
use crate::access::seals::OldCards;
use crate::access::{Seals, seal_words};
use crate::base::home::Home;
use crate::detection::SealWord;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Seal {
    /// Begin a new seal; cards with the old one stop working
    #[arg(long)]
    renew: bool,
    /// With --renew: cards with the old seals stay valid
    #[arg(long, requires = "renew")]
    keep_old: bool,
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub(super) fn run(seal: &Seal, context: &Context) -> Result<(), CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let mut seals = Seals::load(&home).map_err(failed)?;
    if seal.renew {
        if !seal.keep_old && !context.yes {
            return Err(CommandError::Usage(
                "every card printed with your seal so far would stop working: add --yes if you \
                 want that, or --keep-old"
                    .into(),
            ));
        }
        let old = if seal.keep_old { OldCards::Keep } else { OldCards::Stop };
        seals.renew(old, &home).map_err(failed)?;
    }
    if context.json {
        output::json(&seals);
        return Ok(());
    }
    let others: Vec<String> = seals.valid.iter().skip(1).map(ToString::to_string).collect();
    let others = match others.as_slice() {
        [] => "cards with older ones do not count".to_owned(),
        _ => format!("cards with {} count as well", others.join(" and ")),
    };
    output::line(format_args!("your seal is number {}; {others}", seals.generation));
    if seal.renew {
        output::line("next: restart `signet run`          (it reads the seal when it starts)");
        output::line("next: signet icons sheet --seal    (print new cards)");
    }
    Ok(())
}

/// The word to print.
///
/// # Errors
/// Without a home: seals are made from the owner's key.
pub(super) fn word(context: &Context) -> Result<SealWord, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let words = seal_words(&home).map_err(failed)?;
    words.first().copied().ok_or_else(|| {
        CommandError::failed(format!(
            "`{}` has no key to make a seal from: restore keys/agent.key, or run `signet init`",
            home.root().display()
        ))
    })
}
