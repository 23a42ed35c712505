//! `signet doctor`: what works here, what does not, and the command that mends it.

use crate::access::{Consent, Key};
use crate::agent::analyse::{Analyst, Eyes};
use crate::agent::books::RuleBook;
use crate::base::causes::one_line;
use crate::base::config::{Config, Faces};
use crate::base::home::Home;
use crate::detection::faces::manifest::FaceThresholds;
use crate::media::Decoders;
use crate::media::sandbox::Layer;
use crate::rules::Known;
use crate::store::{OrderState, State};

use super::{CommandError, Context, Outcome, output};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// One line of the answer.
struct Finding {
    part: &'static str,
    good: bool,
    text: String,
}

/// Runs it: exit code 1 when something does not work.
///
/// # Errors
/// Never.
pub fn run(_args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::at(&context.home);
    let mut findings = Vec::new();
    let mut add = |part, found: Result<String, String>| {
        let good = found.is_ok();
        findings.push(Finding { part, good, text: found.unwrap_or_else(|text| text) });
    };
    let opened = Home::open(&context.home);
    add(
        "home",
        opened.as_ref().map(|home| home.root().display().to_string()).map_err(|e| one_line(e)),
    );
    let config = opened.is_ok().then(|| Config::load(&home));
    let library = match &config {
        Some(Ok(config)) => config.detection.onnxruntime.clone(),
        _ => None,
    };
    let eyes = Eyes::open(library.as_deref(), opened.as_ref().ok());
    add(
        "onnxruntime",
        eyes.as_ref().map(|eyes| eyes.library().display().to_string()).map_err(|e| one_line(e)),
    );
    if let Ok(eyes) = &eyes {
        let icons_count = eyes.icon_names().len();
        add(
            "networks",
            Analyst::new(eyes)
                .map(|_| format!("loaded, {icons_count} icons enrolled"))
                .map_err(|e| one_line(&e)),
        );
    }
    if let (Ok(eyes), Some(Ok(config))) = (&eyes, &config)
        && let Some(thresholds) = eyes.own_face_thresholds(config.faces)
    {
        let whose = if config.faces == Faces::default() { "the networks'" } else { "your own" };
        let text = |found: FaceThresholds| {
            format!(
                "{whose}: a face orders from {:.2} on, is asked about from {:.2} on",
                found.order_min, found.ask_min
            )
        };
        add("thresholds", thresholds.map(text).map_err(|error| one_line(&error)));
    }
    match Decoders::sandboxed().decoder().posture() {
        Err(error) => add("sandbox", Err(one_line(&error))),
        Ok(posture) => {
            for Layer { name, holds, text } in posture.libraries {
                // Nobody needs it who has no such photos.
                let missing = format!("{name} is not here: HEIC and AVIF are not read; {text}");
                add("pictures", Ok(if holds { format!("{name} {text}") } else { missing }));
            }
            for Layer { name, holds, text } in posture.layers {
                let text = format!("{name}: {text}");
                // Nothing mends a system that has no such thing.
                let good = holds || !cfg!(target_os = "linux");
                add("sandbox", if good { Ok(text) } else { Err(text) });
            }
        }
    }
    match config {
        None => {}
        Some(Err(error)) => add("config", Err(one_line(&error))),
        Some(Ok(config)) => {
            let count = config.collections.len();
            add("config", Ok(format!("{count} collections")));
            for collection in &config.collections {
                let path = collection.path.display();
                add(
                    "collection",
                    if collection.path.is_dir() {
                        Ok(format!("`{}` at {path}", collection.name))
                    } else {
                        Err(format!("`{}` is offline: {path} is not there", collection.name))
                    },
                );
            }
            look_inside(&home, eyes.as_ref().ok(), &mut add);
        }
    }
    for Finding { part, good, text } in &findings {
        if context.json {
            output::json(&serde_json::json!({ "part": part, "good": good, "text": text }));
        } else {
            output::line(format_args!("{} {part:<12} {text}", if *good { "ok  " } else { "BAD " }));
        }
    }
    let all_good = findings.iter().all(|finding| finding.good);
    Ok(if all_good { Outcome::Done } else { Outcome::SomeFailed })
}

/// Key, consent, rules and state of a home.
fn look_inside(
    home: &Home,
    eyes: Option<&Eyes>,
    add: &mut impl FnMut(&'static str, Result<String, String>),
) {
    match Key::load_or_create(&home.keys_dir().join("agent.key")) {
        Err(error) => add("key", Err(one_line(&error))),
        Ok(key) => {
            add("key", Ok(key.public().thumbprint()));
            let consent = Consent::load(home, &key.public());
            add(
                "consent",
                consent
                    .map(|consent| match consent.providers.len() {
                        0 => "with nobody: `signet consent allow CARD`".to_owned(),
                        count => format!("number {}, with {count} providers", consent.number),
                    })
                    .map_err(|error| one_line(&error)),
            );
        }
    }
    if let Some(eyes) = eyes {
        let known = Known::of_icons(eyes.icon_names());
        match RuleBook::open(home, known) {
            Ok((book, None)) => add("rules", Ok(format!("revision {}", book.set().revision()))),
            Ok((book, Some(_refused))) => {
                let revision = book.set().revision().to_owned();
                let text =
                    format!("revision {revision} stays in force: mend with `signet rules check`");
                add("rules", Err(text));
            }
            Err(error) => add("rules", Err(one_line(&error))),
        }
    }
    let state = State::open(&home.state_path()).and_then(|state| {
        let sound = state.integrity()?;
        let waiting_count = state.orders(Some(OrderState::Ask))?.len();
        Ok((sound, waiting_count, state.ledger_sum()?, state.stopped_since()?))
    });
    match state {
        Err(error) => add("state", Err(one_line(&error))),
        Ok((sound, _, _, _)) if sound != "ok" => {
            add("state", Err(format!("damaged, restore it from a backup: {sound}")));
        }
        Ok((_, _, sum, _)) if sum != 0 => add("ledger", Err(format!("does not balance: {sum}"))),
        Ok((_, waiting_count, _, stopped)) => {
            add("state", Ok(format!("sound; {waiting_count} orders wait for you")));
            if let Some(since) = stopped {
                add("stopped", Err(format!("since {since}: `signet stop --lift`")));
            }
        }
    }
}
