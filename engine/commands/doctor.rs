//! `signet doctor`: what works here, what does not, and the command that mends it.

use crate::access::{Consent, Key};
use crate::agent::analyse::{Analyst, AnalystError, Eyes};
use crate::agent::books::{self, RuleBook};
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::base::config::{Config, Faces};
use crate::base::home::Home;
use crate::detection::faces::manifest::FaceThresholds;
use crate::media::Decoders;
use crate::media::sandbox::Layer;
use crate::store::{OrderState, State};

use super::people::{self, Standing};
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
    match &eyes {
        Ok(eyes) => add("onnxruntime", Ok(eyes.library().display().to_string())),
        Err(error) => add(part_of(error), Err(one_line(error))),
    }
    if let Ok(eyes) = &eyes {
        let icons_count = eyes.icon_names().len();
        add(
            "networks",
            Analyst::new(eyes)
                .map(|_| format!("loaded, {icons_count} icons enrolled"))
                .map_err(|e| one_line(&e)),
        );
    }
    if opened.is_ok() && !matches!(eyes, Err(AnalystError::Faces(_) | AnalystError::People(_))) {
        look_at_people(&home, &mut add);
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

/// What keeps photos from being looked at.
const fn part_of(error: &AnalystError) -> &'static str {
    match error {
        AnalystError::Detection(_) => "onnxruntime",
        AnalystError::Icons(_) => "icons",
        AnalystError::Faces(_) => "faces",
        AnalystError::People(_) => "people",
        AnalystError::Thresholds(_) => "thresholds",
        AnalystError::Seals(_) => "seals",
    }
}

/// The networks for faces, and those who are enrolled.
fn look_at_people(home: &Home, add: &mut impl FnMut(&'static str, Result<String, String>)) {
    let standing = match people::standing(home, Timestamp::now()) {
        Ok(standing) => standing,
        Err(error) => return add("people", Err(one_line(&error))),
    };
    let Standing { people_count, recognised_count, ending, over, foreign, has_networks } = standing;
    let pull = "`signet models pull faces` fetches two networks of 4 MB";
    match (has_networks, people_count) {
        (true, _) => add("faces", Ok("their networks are here, as listed".to_owned())),
        (false, 0) => add("faces", Ok(format!("not looked for, icons only: {pull}"))),
        (false, _) => add("faces", Err(format!("the networks are not here: {pull}"))),
    }
    if people_count == 0 {
        return;
    }
    add("people", Ok(format!("{people_count} enrolled, {recognised_count} recognised")));
    if !ending.is_empty() {
        let who = ending.join(", ");
        add("people", Ok(format!("consent ends soon: {who}; `signet people renew`")));
    }
    if !over.is_empty() {
        let who = over.join(", ");
        let cure = "`signet people renew` or `signet people remove`";
        add("people", Err(format!("not recognised, consent is over: {who}; {cure}")));
    }
    if !foreign.is_empty() {
        let who = foreign.join(", ");
        let cure = "`signet people remove`, then `add`";
        add("people", Err(format!("not recognised, enrolled with another network: {who}; {cure}")));
    }
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
        let book = books::known(home, eyes.icon_names());
        let book = book
            .map_err(|error| one_line(&error))
            .and_then(|known| RuleBook::open(home, known).map_err(|error| one_line(&error)));
        match book {
            Ok((book, None)) => add("rules", Ok(format!("revision {}", book.set().revision()))),
            Ok((book, Some(_refused))) => {
                let revision = book.set().revision().to_owned();
                let text =
                    format!("revision {revision} stays in force: mend with `signet rules check`");
                add("rules", Err(text));
            }
            Err(error) => add("rules", Err(error)),
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
