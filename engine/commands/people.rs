//! `signet people add|list|renew|card|check|remove`: who agreed to be recognised.
//!
//! Pictures are looked at and not kept; what is kept are numbers, encrypted (`access/people_book`).
//! A picture with several faces is named with a number, `PICTURE#2`: faces are counted from left to
//! right, as `signet look` counts them.
//!
//! `remove` erases somebody from every file of the home (`agent/erase`) and says which words of the
//! owner's still bear the name.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{CommandError, Context, Outcome, failed, output, people_card, people_check};
use crate::access::people_book::{Enrolled, PeopleBook, PeopleError, composed};
use crate::agent::analyse::{Analyst, Eyes};
use crate::agent::erase::{Erased, Left, erase};
use crate::base::calendar::{Cycle, Period, Zone};
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::base::config::Config;
use crate::base::home::Home;
use crate::base::ids::ContentHash;
use crate::detection::embed::cosine;
use crate::detection::faces::Person;
use crate::detection::faces::detector::SeenFace;
use crate::detection::faces::files;
use crate::detection::faces::manifest::FaceThresholds;
use crate::detection::faces::quality::{Bar, Flaw};
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

/// How long before its end a consent is spoken of, in days.
const SOON_DAYS: i64 = 30;

/// Two faces that are nearer than this are of one picture, scaled or saved again: it counts once.
const SAME_PICTURE_MIN: f32 = 0.98;

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
    /// Write down that somebody agrees for longer
    Renew(Renew),
    /// Write a portrait of somebody in the frame of an icon, to print or to stamp
    Card(people_card::Card),
    /// Show how well pictures agree, who looks alike, and what the thresholds give with your people
    Check(people_check::Args),
    /// Erase somebody from every file of the home
    Remove {
        /// Who
        #[arg(required = true)]
        names: Vec<String>,
        /// They were removed before: erase what names them since, such as copies of rule files that
        /// still did
        #[arg(long)]
        again: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// As rules call them
    name: String,
    /// Pictures with nobody else on them
    pictures: Vec<PathBuf>,
    /// A face on a picture with several: PICTURE#2 is the second from the left. Also of a photo in a
    /// watched collection, as `signet run` names it
    #[arg(long, value_name = "PICTURE#N")]
    from: Vec<String>,
    #[command(flatten)]
    consent: Consent,
    /// Add pictures of somebody who is enrolled; what they agreed to stays
    #[arg(long, conflicts_with_all = ["consent_by", "until"])]
    more: bool,
}

#[derive(Debug, clap::Args)]
struct Consent {
    /// Who agreed: the person, or who may agree for a child
    #[arg(long, value_name = "WHO", required_unless_present = "more", default_value = "")]
    consent_by: String,
    /// Last day of the consent, such as 2027-11-21 [default: in a year]
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Renew {
    /// Whose
    name: String,
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
        Command::Renew(args) => renew(&home, args, context),
        Command::Card(args) => people_card::run(&home, args, context),
        Command::Check(args) => people_check::check(&home, args, context),
        Command::Remove { names, again } => remove(&home, names, *again, context),
    }
}

/// One picture to enrol from.
struct Picture {
    /// As it was typed.
    shown: String,
    path: PathBuf,
    /// Which face from the left, from 1; the only one where absent.
    place: Option<usize>,
}

/// A consent as it was typed: who agreed, from now until when.
fn agreed(by: &str, until: Option<&str>, now: Timestamp) -> Result<Timestamp, CommandError> {
    if by.trim().is_empty() {
        return Err(CommandError::Usage("--consent-by names who agreed".into()));
    }
    let until = match until {
        None => now.plus_millis(CONSENT_DAYS * DAY_MS),
        Some(text) => {
            let day = Period::day(text).map_err(|error| CommandError::Usage(error.to_string()))?;
            day.span(&Zone::local()).to
        }
    };
    match until > now {
        true => Ok(until),
        false => {
            Err(CommandError::Usage("a consent that is over enrols nobody: see --until".into()))
        }
    }
}

fn add(home: &Home, args: &Add, context: &Context) -> Result<Outcome, CommandError> {
    let now = Timestamp::now();
    let book = PeopleBook::open(home).map_err(refusal)?;
    let (name, before, new) = if args.more {
        let before = book.get(&args.name);
        let before = before.ok_or_else(|| refusal(PeopleError::Unknown(args.name.clone())))?;
        if before.consent_until <= now {
            return Err(CommandError::failed(format!(
                "the consent of `{}` is over: `signet people renew` first",
                before.name
            )));
        }
        (before.name.clone(), Some(before), None)
    } else {
        let name = book.room_for(&args.name).map_err(refusal)?;
        let until = agreed(&args.consent.consent_by, args.consent.until.as_deref(), now)?;
        (name, None, Some(until))
    };
    let before_count = before.map_or(0, |person| person.faces.len());
    let config = Config::load(home).map_err(failed)?;
    let pictures = pictures_of(args, before_count, &config)?;
    let eyes = Eyes::of(&config, home).map_err(failed)?;
    if let Some(icon) = eyes.icon_names().into_iter().find(|icon| *icon == name.to_lowercase()) {
        return Err(CommandError::Usage(format!(
            "`{icon}` is an icon, and rules could not tell the two apart: choose another name"
        )));
    }
    let (Some(recogniser), Some(thresholds)) = (eyes.recogniser(), eyes.face_thresholds()) else {
        return Err(CommandError::failed(
            "there are no networks for faces yet: `signet models pull faces` fetches them",
        ));
    };
    if before.is_some_and(|person| person.recogniser != recogniser) {
        return Err(CommandError::failed(format!(
            "`{name}` was enrolled with another network: `signet people remove`, then add them again"
        )));
    }
    let mut analyst = Analyst::new(&eyes).map_err(failed)?;
    let (taken, refused) = looked_at(&mut analyst, &pictures, before, &thresholds);
    refused.iter().for_each(|line| tracing::warn!("not taken: {line}"));
    let (count, least) = (taken.len(), if args.more { 1 } else { PICTURES_MIN });
    if count < least {
        return Err(CommandError::failed(format!(
            "{count} of {} pictures can be taken, and {least} are needed: add sharp ones from \
             the front, in other light, with nobody else on them",
            pictures.len()
        )));
    }
    let mut faces: Vec<_> = taken.into_iter().map(|(_, seen)| seen.numbers).collect();
    let enrolled = match new {
        Some(consent_until) => {
            let consent_by = args.consent.consent_by.trim().to_owned();
            let name = name.clone();
            let person =
                Enrolled { name, consent_by, consent_at: now, consent_until, recogniser, faces };
            PeopleBook::add(home, person).map_err(refusal)?
        }
        None => PeopleBook::change(home, &name, |person| person.faces.append(&mut faces))
            .map_err(refusal)?,
    };
    let alike = alike(home, &enrolled, &thresholds, now)?;
    let until = day_of(enrolled.consent_until);
    if context.json {
        output::json(&json!({
            "name": name, "pictures": count, "refused": refused, "consent_by": enrolled.consent_by,
            "consent_until": enrolled.consent_until.to_string(), "alike": alike,
        }));
        return Ok(Outcome::Done);
    }
    output::line(match args.more {
        true => format!("`{name}` has {count} more pictures, which are not kept"),
        false => format!(
            "enrolled `{name}` from {count} pictures, which are not kept; agreed by {} until {until}",
            enrolled.consent_by
        ),
    });
    for (other, cosine) in alike {
        output::line(format_args!(
            "{name} and {other} look alike ({cosine:.2}): where it is not clear who it is you are asked"
        ));
    }
    output::line("a running agent sees them in photos that arrive from now on");
    Ok(Outcome::Done)
}

/// Looks at pictures one after the other: those that can be taken, and why the others cannot.
fn looked_at<'p>(
    analyst: &mut Analyst,
    pictures: &'p [Picture],
    before: Option<&Enrolled>,
    thresholds: &FaceThresholds,
) -> (Vec<(&'p Picture, SeenFace)>, Vec<String>) {
    let known = before.map(|person| Person::new(&*person.name, person.faces.clone()));
    let progress = output::Progress::of_many("pictures");
    let (mut taken, mut refused): (Vec<(&Picture, SeenFace)>, _) = (Vec::new(), Vec::new());
    for (index, picture) in pictures.iter().enumerate() {
        let same = |seen: &SeenFace| {
            let is_same = |face: &[f32]| cosine(face, &seen.numbers) > SAME_PICTURE_MIN;
            let twin = taken.iter().find(|(_, other)| is_same(&other.numbers));
            let in_book = known.iter().flat_map(Person::faces).any(|face| is_same(face));
            match twin {
                Some((twin, _)) => {
                    Some(format!("the same picture as `{}`, counts once", twin.shown))
                }
                None => in_book.then(|| "a picture that was taken before".to_owned()),
            }
        };
        let seen = face_of(analyst, picture, &thresholds.bar).and_then(|seen| match &known {
            Some(person) if person.cosine(&seen.numbers) < thresholds.ask_min => {
                let cosine = person.cosine(&seen.numbers);
                Err(format!("it looks like somebody else than {} ({cosine:.2})", person.name))
            }
            _ => same(&seen).map_or(Ok(seen), Err),
        });
        match seen {
            Ok(seen) => taken.push((picture, seen)),
            Err(why) => refused.push(format!("`{}`: {why}", picture.shown)),
        }
        progress.show(index + 1, pictures.len());
    }
    progress.finish();
    if known.is_none() {
        refused.extend(strangers(&mut taken, thresholds));
    }
    (taken, refused)
}

fn renew(home: &Home, args: &Renew, context: &Context) -> Result<Outcome, CommandError> {
    let now = Timestamp::now();
    let until = agreed(&args.consent_by, args.until.as_deref(), now)?;
    let person = PeopleBook::change(home, &args.name, |person| {
        args.consent_by.trim().clone_into(&mut person.consent_by);
        (person.consent_at, person.consent_until) = (now, until);
    });
    let Enrolled { name, consent_by, .. } = person.map_err(refusal)?;
    if context.json {
        output::json(&json!({
            "name": name, "consent_by": consent_by, "consent_until": until.to_string(),
        }));
    } else {
        output::line(format_args!("`{name}`: agreed by {consent_by} until {}", day_of(until)));
    }
    Ok(Outcome::Done)
}

/// The last day of a time that ends at a moment, such as `2027-11-21`.
fn day_of(until: Timestamp) -> String {
    Period::holding(Cycle::Daily, until.plus_millis(-1), &Zone::local()).name()
}

/// The pictures as they were typed.
fn pictures_of(
    args: &Add,
    before_count: usize,
    config: &Config,
) -> Result<Vec<Picture>, CommandError> {
    let whole = args.pictures.iter().map(|path| {
        let shown = path.display().to_string();
        Ok(Picture { shown, path: located(path, config), place: None })
    });
    let parts = args.from.iter().map(|text| {
        let usage = || CommandError::Usage(format!("`{text}` should be PICTURE#N, N from 1"));
        let (path, place) = text.rsplit_once('#').ok_or_else(usage)?;
        let place = place.parse().ok().filter(|place| *place > 0).ok_or_else(usage)?;
        let path = located(Path::new(path), config);
        Ok(Picture { shown: text.clone(), path, place: Some(place) })
    });
    let pictures: Vec<Picture> = whole.chain(parts).collect::<Result<_, CommandError>>()?;
    let (min, max) = match args.more {
        true => (1, PICTURES_MAX.saturating_sub(before_count)),
        false => (PICTURES_MIN, PICTURES_MAX),
    };
    let count = pictures.len();
    match count {
        _ if max == 0 => Err(CommandError::Usage(format!(
            "there are {before_count} pictures already, and more do not make it better"
        ))),
        _ if (min..=max).contains(&count) => Ok(pictures),
        _ => Err(CommandError::Usage(format!(
            "{count} pictures: {min} to {max} are needed, in different light and from different days"
        ))),
    }
}

/// Where a picture lies: as it was typed, or in the watched collection that its path begins with.
fn located(path: &Path, config: &Config) -> PathBuf {
    let inside = config.collections.iter().filter_map(|collection| {
        let rest = path.strip_prefix(&collection.name).ok()?;
        Some(collection.path.join(rest))
    });
    let places = std::iter::once(path.to_path_buf()).chain(inside);
    places.into_iter().find(|place| place.is_file()).unwrap_or_else(|| path.to_path_buf())
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
            let name = &picture.shown;
            return Err(format!(
                "{count} faces are on it: `--from '{name}#1'` takes the first from the left"
            ));
        }
    };
    let flaws: Vec<String> =
        seen.quality.flaws(bar).map(|flaw| format!("{} ({})", flaw.word(), cure(flaw))).collect();
    match flaws.is_empty() {
        true => Ok(seen),
        false => Err(format!("the face is {}", flaws.join(" and "))),
    }
}

/// What to do about a flaw.
const fn cure(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Small => "take the original, or one from nearer",
        Flaw::Soft => "take one that is in focus and not enlarged",
        Flaw::Turned => "take one from the front, eyes open, head upright or tilted a little",
        _ => "take one in daylight, not against the light, with nothing before the face",
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
            "`{}`: it looks like somebody else than the others ({cosine:.2})",
            picture.shown
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
    let others = known.all().iter().filter(|other| other.name != new.name);
    let near = others.map(|other| (other.name.clone(), person.likeness(other)));
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
            _ if person.consent_until <= now => {
                "consent is over, not recognised: `people renew` or `people remove`"
            }
            None => "no networks: `signet models pull faces`",
            Some(recogniser) if recogniser != person.recogniser => {
                "enrolled with another network: remove and add them again"
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
                day_of(person.consent_at.plus_millis(1)),
                day_of(person.consent_until)
            ));
        }
    }
    Ok(Outcome::Done)
}

fn remove(
    home: &Home,
    names: &[String],
    again: bool,
    context: &Context,
) -> Result<Outcome, CommandError> {
    let names: Vec<String> = names.iter().map(|name| composed(name)).collect();
    let erased = erase(home, &names, again, Timestamp::now()).map_err(failed)?;
    let unknown: Vec<&String> = names.iter().filter(|name| !erased.people.contains(name)).collect();
    let hint = "`signet people list` says who is; if they were removed before and something names \
                them since, `--again` erases that";
    if erased.people.is_empty() && !again {
        let quoted: Vec<String> = unknown.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("nobody is enrolled as {}: {hint}", quoted.join(" or "));
        return Err(CommandError::Usage(message));
    }
    match context.json {
        true => output::json(&json_of(&erased, &unknown)),
        false => print_erased(&erased, again),
    }
    if again || unknown.is_empty() {
        return Ok(Outcome::Done);
    }
    unknown.iter().for_each(|name| tracing::error!("nobody is enrolled as `{name}`: {hint}"));
    Ok(Outcome::SomeFailed)
}

fn json_of(erased: &Erased, unknown: &[&String]) -> serde_json::Value {
    let Left { rule_lines, rules, paths_count, addressed_count } = &erased.left;
    let lines = rule_lines.iter().map(|(file, line)| json!({ "file": file, "line": line }));
    json!({
        "removed": erased.people, "not_enrolled": unknown,
        "erased": {
            "photos": erased.photos_count, "decisions": erased.decisions_count,
            "orders": erased.orders_count, "other_texts": erased.other_texts,
        },
        "yours": {
            "rule_lines": lines.collect::<Vec<_>>(), "rules": rules, "paths": paths_count,
            "addressed_orders": addressed_count,
        },
    })
}

fn print_erased(erased: &Erased, again: bool) {
    for name in &erased.people {
        output::line(format_args!("erased `{name}`: the face and the name"));
    }
    if again && erased.is_nothing() {
        output::line("nothing names them any more");
    }
    for (count, what) in [
        (erased.photos_count, "photos in which they are nobody's face now"),
        (erased.decisions_count, "decisions about such photos, which are not kept any more"),
        (erased.orders_count, "orders, which stay as they are without the name"),
    ] {
        if count > 0 {
            output::line(format_args!("  {count} {what}"));
        }
    }
    let Left { rule_lines, rules, paths_count, addressed_count } = &erased.left;
    if !rule_lines.is_empty() {
        output::line("your rule files still bear the name, and are yours to change:");
        for (file, line) in rule_lines {
            output::line(format_args!("  {}:{line}", file.display()));
        }
        for rule in rules {
            output::line(format_args!("  orders keep the name of the rule `{rule}`"));
        }
        output::line(
            "a condition that asks for somebody who is not enrolled is never true, also where it \
             forbids; what these files say is copied when it is used: change them, then `signet \
             people remove --again` erases the copies",
        );
    }
    if *paths_count > 0 {
        output::line(format_args!("{paths_count} files of yours have the name in their path"));
    }
    if *addressed_count > 0 {
        output::line(format_args!(
            "{addressed_count} orders go to an addressee of that label: `signet addressees remove`"
        ));
    }
}

/// How those stand who are enrolled in a home.
pub(super) struct Standing {
    /// All of them.
    pub(super) people_count: usize,
    /// Those who are recognised now.
    pub(super) recognised_count: usize,
    /// Names and last days of those whose consent ends soon.
    pub(super) ending: Vec<String>,
    /// Names of those whose consent is over.
    pub(super) over: Vec<String>,
    /// Names of those who were enrolled with another network than the one that is here.
    pub(super) foreign: Vec<String>,
    /// Whether there are networks for faces.
    pub(super) has_networks: bool,
}

/// Looks how those stand who are enrolled.
///
/// # Errors
/// The book or the manifest of the networks cannot be read.
pub(super) fn standing(home: &Home, now: Timestamp) -> Result<Standing, CommandError> {
    let book = PeopleBook::open(home).map_err(refusal)?;
    let recogniser = recogniser_of(home)?;
    let names = |holds: &dyn Fn(&Enrolled) -> bool| -> Vec<String> {
        let people = book.all().iter().filter(|person| holds(person));
        people.map(|person| person.name.clone()).collect()
    };
    let is_over = |person: &Enrolled| person.consent_until <= now;
    let is_foreign = |person: &Enrolled| {
        !is_over(person) && recogniser.is_some_and(|here| here != person.recogniser)
    };
    let soon = now.plus_millis(SOON_DAYS * DAY_MS);
    let ending = book.all().iter().filter(|of| !is_over(of) && of.consent_until <= soon);
    let recognised = recogniser.map_or(0, |here| book.recognised(&here, now).all().len());
    Ok(Standing {
        people_count: book.all().len(),
        recognised_count: recognised,
        ending: ending.map(|of| format!("{} ({})", of.name, day_of(of.consent_until))).collect(),
        over: names(&is_over),
        foreign: names(&is_foreign),
        has_networks: recogniser.is_some(),
    })
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
