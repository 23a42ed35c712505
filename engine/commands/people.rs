//! `signet people add|list|check|remove`: who agreed to be recognised.
//!
//! Pictures are looked at and not kept; what is kept are numbers, encrypted (`access/people_book`).
//!
//! Not whole yet, and hidden from the help: `remove` erases the numbers; names that were written into
//! the index, decisions and orders stay.

use std::path::PathBuf;

use serde_json::json;

use super::{CommandError, Context, Outcome, failed, output, people_check};
use crate::access::people_book::{Enrolled, PeopleBook, PeopleError};
use crate::agent::analyse::{Analyst, Eyes};
use crate::base::calendar::{Period, Zone};
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::base::config::Config;
use crate::base::home::Home;
use crate::base::ids::ContentHash;
use crate::detection::faces::Person;
use crate::detection::faces::detector::SeenFace;
use crate::detection::faces::files;
use crate::detection::faces::manifest::FaceThresholds;
use crate::detection::faces::quality::Bar;
use crate::media::read::BYTES_MAX;
use crate::media::{SharedBytes, read_shared};

/// Fewest pictures of one person.
const PICTURES_MIN: usize = 3;

/// Most pictures of one person: more do not make it better.
const PICTURES_MAX: usize = 10;

/// How long a consent holds unless somebody says otherwise, in days.
const CONSENT_DAYS: i64 = 365;

/// Length of a day.
const DAY_MS: i64 = 86_400_000;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Enrol somebody who agreed to it, from 3 to 10 pictures
    Add(Add),
    /// Print who is enrolled, who agreed, and until when
    List,
    /// Show how well pictures agree, who looks alike, and what the thresholds give with your people
    Check(people_check::Args),
    /// Erase what is kept of somebody
    Remove {
        /// Whose
        #[arg(required = true)]
        names: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// As rules call them
    name: String,
    /// Pictures with nobody else on them
    pictures: Vec<PathBuf>,
    /// A face on a picture with several: PICTURE#2 is the second from the left
    #[arg(long, value_name = "PICTURE#N")]
    from: Vec<String>,
    /// Who agreed: the person, or who may agree for a child
    #[arg(long, value_name = "WHO")]
    consent_by: String,
    /// Last day of the consent, such as 2027-11-21 [default: in a year]
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
}

/// Runs it.
///
/// # Errors
/// What is wrong with the home, the networks, a picture or a name, and what to do.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    match &args.command {
        Command::Add(args) => add(&home, args, context),
        Command::List => list(&home, context),
        Command::Check(args) => people_check::check(&home, args, context),
        Command::Remove { names } => remove(&home, names, context),
    }
}

/// One picture to enrol from.
struct Picture {
    path: PathBuf,
    /// Which face from the left, from 1; the only one where absent.
    place: Option<usize>,
}

impl Picture {
    /// As it was typed.
    fn shown(&self) -> String {
        let path = self.path.display();
        self.place.map_or_else(|| format!("`{path}`"), |place| format!("`{path}#{place}`"))
    }
}

fn add(home: &Home, args: &Add, context: &Context) -> Result<Outcome, CommandError> {
    let now = Timestamp::now();
    let until = match &args.until {
        None => now.plus_millis(CONSENT_DAYS * DAY_MS),
        Some(text) => {
            let day = Period::day(text).map_err(|error| CommandError::Usage(error.to_string()))?;
            day.span(&Zone::local()).to
        }
    };
    if until <= now {
        return Err(CommandError::Usage(
            "a consent that is over enrols nobody: see --until".into(),
        ));
    }
    if args.consent_by.trim().is_empty() {
        return Err(CommandError::Usage("--consent-by names who agreed".into()));
    }
    let pictures = pictures_of(args)?;
    let config = Config::load(home).map_err(failed)?;
    let eyes = Eyes::of(&config, home).map_err(failed)?;
    let (Some(recogniser), Some(thresholds)) = (eyes.recogniser(), eyes.face_thresholds()) else {
        return Err(CommandError::failed(
            "there are no networks for faces yet: `signet models pull faces` fetches them",
        ));
    };
    let mut analyst = Analyst::new(&eyes).map_err(failed)?;
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for picture in &pictures {
        match face_of(&mut analyst, picture, &thresholds.bar) {
            Ok(seen) => taken.push((picture, seen)),
            Err(why) => refused.push(format!("{}: {why}", picture.shown())),
        }
    }
    refused.extend(strangers(&mut taken, &thresholds));
    refused.iter().for_each(|line| tracing::warn!("not taken: {line}"));
    if taken.len() < PICTURES_MIN {
        let count = taken.len();
        return Err(CommandError::failed(format!(
            "{count} of {} pictures can be taken, and {PICTURES_MIN} are needed: add sharp ones from \
             the front, in other light, with nobody else on them",
            pictures.len()
        )));
    }
    let count = taken.len();
    let faces = taken.into_iter().map(|(_, seen)| seen.numbers).collect();
    let enrolled = Enrolled {
        name: args.name.clone(),
        consent_by: args.consent_by.trim().to_owned(),
        consent_at: now,
        consent_until: until,
        recogniser,
        faces,
    };
    let alike = alike(home, &enrolled, &thresholds, now)?;
    PeopleBook::add(home, enrolled).map_err(refusal)?;
    if context.json {
        output::json(&json!({
            "name": args.name, "pictures": count, "refused": refused, "consent_by": args.consent_by,
            "consent_until": until.to_string(), "alike": alike,
        }));
        return Ok(Outcome::Done);
    }
    output::line(format_args!(
        "enrolled `{}` from {count} pictures, which are not kept; agreed by {} until {until}",
        args.name, args.consent_by
    ));
    for (other, cosine) in alike {
        output::line(format_args!(
            "{} and {other} look alike ({cosine:.2}): where it is not clear who it is you are asked",
            args.name
        ));
    }
    output::line("a running agent sees them in photos that arrive from now on");
    Ok(Outcome::Done)
}

/// The pictures as they were typed.
fn pictures_of(args: &Add) -> Result<Vec<Picture>, CommandError> {
    let whole = args.pictures.iter().map(|path| Ok(Picture { path: path.clone(), place: None }));
    let parts = args.from.iter().map(|text| {
        let usage = || CommandError::Usage(format!("`{text}` should be PICTURE#N, N from 1"));
        let (path, place) = text.rsplit_once('#').ok_or_else(usage)?;
        let place = place.parse().ok().filter(|place| *place > 0).ok_or_else(usage)?;
        Ok(Picture { path: path.into(), place: Some(place) })
    });
    let pictures: Vec<Picture> = whole.chain(parts).collect::<Result<_, CommandError>>()?;
    match pictures.len() {
        PICTURES_MIN..=PICTURES_MAX => Ok(pictures),
        count => Err(CommandError::Usage(format!(
            "{count} pictures: {PICTURES_MIN} to {PICTURES_MAX} are needed, in different light and \
             from different days"
        ))),
    }
}

/// The face that a picture is given for, where it is good enough; or what is wrong, in words.
fn face_of(analyst: &mut Analyst, picture: &Picture, bar: &Bar) -> Result<SeenFace, String> {
    let mut original = SharedBytes::default();
    read_shared(&picture.path, BYTES_MAX, &mut original).map_err(|error| one_line(&error))?;
    let mut faces = analyst.faces(&original).map_err(|error| one_line(&error))?;
    let count = faces.len();
    let seen = match (picture.place, count) {
        (_, 0) => return Err("no face is found on it".into()),
        (Some(place), _) if place > count => {
            return Err(format!("there are {count} faces, counted from the left"));
        }
        (Some(place), _) => faces.swap_remove(place - 1),
        (None, 1) => faces.swap_remove(0),
        (None, _) => {
            let name = picture.path.display();
            return Err(format!(
                "{count} faces are on it: `--from '{name}#1'` takes the first from the left"
            ));
        }
    };
    let flaws: Vec<&str> = seen.quality.flaws(bar).map(|flaw| flaw.word()).collect();
    match flaws.is_empty() {
        true => Ok(seen),
        false => Err(format!("the face is {}", flaws.join(" and "))),
    }
}

/// Takes out the pictures that do not agree with the others, the worst first; says which.
fn strangers(taken: &mut Vec<(&Picture, SeenFace)>, thresholds: &FaceThresholds) -> Vec<String> {
    let mut refused = Vec::new();
    while taken.len() > 1 {
        let person = Person::new("", taken.iter().map(|(_, seen)| seen.numbers.clone()).collect());
        let agreement = person.agreement();
        let worst = agreement.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((index, cosine)) = worst.filter(|(_, cosine)| **cosine < thresholds.ask_min)
        else {
            break;
        };
        let (picture, _) = taken.remove(index);
        refused.push(format!(
            "{}: it looks like somebody else than the others ({cosine:.2})",
            picture.shown()
        ));
    }
    refused
}

/// Those who are enrolled and look like somebody, with how much.
fn alike(
    home: &Home,
    new: &Enrolled,
    thresholds: &FaceThresholds,
    now: Timestamp,
) -> Result<Vec<(String, f32)>, CommandError> {
    let book = PeopleBook::open(home).map_err(refusal)?;
    let known = book.recognised(&new.recogniser, now);
    let person = Person::new(&*new.name, new.faces.clone());
    let near = known.all().iter().map(|other| (other.name.clone(), person.likeness(other)));
    let mut near: Vec<(String, f32)> =
        near.filter(|(_, cosine)| *cosine > thresholds.ask_min - thresholds.lead_min).collect();
    near.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(near)
}

fn list(home: &Home, context: &Context) -> Result<Outcome, CommandError> {
    let now = Timestamp::now();
    let book = PeopleBook::open(home).map_err(refusal)?;
    let recogniser = recogniser_of(home)?;
    if book.all().is_empty() && !context.json {
        output::line("nobody: `signet people add NAME PICTURES --consent-by WHO` enrols somebody");
    }
    for person in book.all() {
        let state = match recogniser {
            _ if person.consent_until <= now => "consent is over: not recognised",
            None => "no networks: `signet models pull faces`",
            Some(recogniser) if recogniser != person.recogniser => {
                "enrolled with another network: add them again"
            }
            Some(_) => "recognised",
        };
        if context.json {
            output::json(&json!({
                "name": person.name, "consent_by": person.consent_by,
                "consent_at": person.consent_at.to_string(),
                "consent_until": person.consent_until.to_string(),
                "pictures": person.faces.len(), "state": state,
            }));
        } else {
            output::line(format_args!(
                "{:<20} {} pictures, agreed by {} on {} until {}  {state}",
                person.name,
                person.faces.len(),
                person.consent_by,
                person.consent_at,
                person.consent_until
            ));
        }
    }
    Ok(Outcome::Done)
}

fn remove(home: &Home, names: &[String], context: &Context) -> Result<Outcome, CommandError> {
    for name in names {
        PeopleBook::erase(home, name).map_err(refusal)?;
        if context.json {
            output::json(&json!({ "removed": name }));
        } else {
            output::line(format_args!(
                "erased the face of `{name}`; photos seen before still name them in the index"
            ));
        }
    }
    Ok(Outcome::Done)
}

/// The recogniser of a home; `None` where no networks were pulled.
fn recogniser_of(home: &Home) -> Result<Option<ContentHash>, CommandError> {
    let manifest = files::manifest(&home.face_models_dir()).map_err(failed)?;
    Ok(manifest.map(|manifest| manifest.recogniser.source.sha256))
}

pub(super) fn refusal(error: PeopleError) -> CommandError {
    match error {
        PeopleError::Vault(error) => failed(error),
        other => CommandError::Usage(other.to_string()),
    }
}
