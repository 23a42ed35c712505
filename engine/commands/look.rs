//! `signet look PATH...`: analyses photos once, changes nothing, orders nothing.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::access::seal_words;
use crate::agent::analyse::{Analysis, Analyst, Eyes};
use crate::base::causes::one_line;
use crate::base::config::Config;
use crate::base::home::Home;
use crate::collection::group::{Kind, kind_of, pictures_of};
use crate::detection::faces::FaceSighting;
use crate::detection::{IconSighting, Seal, Tier};
use crate::media::read::BYTES_MAX;
use crate::media::{Extras, SharedBytes, read_shared};

use super::companions::{self, Beside, Companion};
use super::{CommandError, Context, Outcome, failed, output};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Photos, or folders with photos
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Photos looked at at once; 0 is one per core
    #[arg(long, default_value_t = 0)]
    workers: usize,
}

/// Photos waiting for being printed, at most; keeps output in the order of input.
const AHEAD_MAX: usize = 256;

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    path: &'a Path,
    width_px: Option<u32>,
    height_px: Option<u32>,
    taken_at: Option<&'a str>,
    icons: &'a [IconSighting],
    /// It shows a card and little else.
    card: bool,
    faces: Vec<FaceLine<'a>>,
    companions: Vec<&'a Companion>,
    error: Option<&'a str>,
}

/// One face of a [`Line`].
#[derive(Debug, Serialize)]
struct FaceLine<'a> {
    /// From the left, from 1: what `signet people add --from` takes.
    number: usize,
    person: Option<&'a str>,
    tier: Option<Tier>,
    score: f32,
    /// It is a picture in the house frame, and not somebody who is there.
    portrait: bool,
    /// Left, top, width and height in px of the upright original.
    #[serde(rename = "box")]
    bounds: [f32; 4],
}

impl<'a> FaceLine<'a> {
    /// Faces from left to right.
    fn all(faces: &'a [FaceSighting]) -> Vec<Self> {
        let mut faces: Vec<&FaceSighting> = faces.iter().collect();
        faces.sort_by(|a, b| a.bounds[0].total_cmp(&b.bounds[0]));
        faces.into_iter().zip(1..).map(|(face, number)| Self::of(face, number)).collect()
    }

    fn of(face: &'a FaceSighting, number: usize) -> Self {
        let [left, top, right, bottom] = face.bounds;
        let (person, bounds) = (face.person.as_deref(), [left, top, right - left, bottom - top]);
        let portrait = face.is_portrait();
        Self { number, person, tier: face.tier, score: face.score, portrait, bounds }
    }
}

/// Faces in words: those with a name, then how many have none. Where there are several, each has its
/// number.
fn faces_in_words(faces: &[FaceLine<'_>]) -> Vec<String> {
    let place = |number: usize| match faces.len() {
        1 => String::new(),
        _ => format!("#{number}"),
    };
    let mut words: Vec<String> = Vec::new();
    for face in faces {
        let Some(person) = face.person else { continue };
        let question = if face.tier == Some(Tier::Ask) { "?" } else { "" };
        let place = place(face.number);
        let place = if place.is_empty() { place } else { format!(" {place}") };
        let what = if face.portrait { "portrait of " } else { "" };
        words.push(format!("{what}{person}{question}{place} {:.2}", face.score));
    }
    let unknown = faces.iter().filter(|face| face.person.is_none());
    let places: Vec<String> = unknown.map(|face| place(face.number)).collect();
    match places.as_slice() {
        [] => {}
        [one] if one.is_empty() => words.push("an unknown face".to_owned()),
        [one] => words.push(format!("an unknown face {one}")),
        _ => words.push(format!("{} unknown faces {}", places.len(), places.join(" "))),
    }
    words
}

/// Runs it.
///
/// # Errors
/// When nothing can be looked at: no library, no such path.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    // No home is needed: then the set that ships is looked for, and no seal.
    let home = Home::open(&context.home).ok();
    let config = home.as_ref().map(Config::load).transpose().map_err(failed)?;
    let words = home.as_ref().map(seal_words).transpose().map_err(failed)?.unwrap_or_default();
    let library = config.as_ref().and_then(|config| config.detection.onnxruntime.clone());
    let (files, mut some_failed) = files_below(&args.paths)?;
    let (paths, mut lone) = split(files);
    let eyes = Eyes::open(library.as_deref(), home.as_ref()).map_err(failed)?.with_seal(words);
    let own = config.as_ref().map(|config| config.faces).unwrap_or_default();
    let eyes = eyes.with_thresholds(own).map_err(failed)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers_count =
        if args.workers == 0 { cores } else { args.workers }.min(paths.len().max(1));
    let progress = progress_bar(paths.len());

    let todo = Mutex::new(paths.iter().enumerate());
    let (send, results) = mpsc::sync_channel(AHEAD_MAX);
    std::thread::scope(|scope| -> Result<(), CommandError> {
        for _ in 0..workers_count {
            let (send, todo, eyes) = (send.clone(), &todo, &eyes);
            scope.spawn(move || {
                let mut analyst = Analyst::new(eyes).map_err(failed);
                let mut original = SharedBytes::default();
                loop {
                    let next = todo.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, path)) = next else { return };
                    let looked = match &mut analyst {
                        Ok(analyst) => Ok(look_at(analyst, path, &mut original)),
                        Err(_) => Err(()),
                    };
                    if send.send((index, looked)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting: VecDeque<Option<Look>> = VecDeque::new();
        let mut printed_count = 0;
        for (index, looked) in results {
            let Ok(looked) = looked else {
                // Say why: the same will fail here again.
                Analyst::new(&eyes).map_err(failed)?;
                return Err(CommandError::failed("the networks cannot be loaded"));
            };
            let place = index - printed_count;
            if waiting.len() <= place {
                waiting.resize_with(place + 1, || None);
            }
            waiting[place] = Some(looked);
            while let Some(Some(looked)) = waiting.front_mut().map(Option::take) {
                waiting.pop_front();
                for path in looked.beside() {
                    lone.remove(&absolute(path));
                }
                progress.suspend(|| {
                    some_failed |= !print(&paths[printed_count], &looked, context);
                });
                progress.inc(1);
                printed_count += 1;
            }
        }
        Ok(())
    })?;
    progress.finish_and_clear();
    for path in lone.values() {
        tracing::warn!("`{}`: {}", path.display(), companions::lone(path));
    }
    Ok(if some_failed { Outcome::SomeFailed } else { Outcome::Done })
}

/// What is known of one photo.
struct Look {
    analysis: Result<Analysis, String>,
    /// Parts of the photo's own file.
    inside: Vec<Companion>,
    beside: Beside,
}

impl Look {
    /// Files that were found to be companions of the photo, or should have been.
    fn beside(&self) -> impl Iterator<Item = &Path> {
        let companions = self.beside.companions.iter().map(|companion| companion.path.as_path());
        companions.chain(self.beside.refused.iter().map(|(path, _)| path.as_path()))
    }
}

/// Looks at one photo.
///
/// - `original`: where it is read to
fn look_at(analyst: &mut Analyst, path: &Path, original: &mut SharedBytes) -> Look {
    let mut inside = Vec::new();
    let state = read_shared(path, BYTES_MAX, original).map_err(|error| one_line(&error));
    let analysis = state.and_then(|_state| {
        let (analysis, _) = analyst.analyse(original, None).map_err(|error| one_line(&error))?;
        inside = companions::inside(path, original.as_slice(), &analysis.extras);
        Ok(analysis)
    });
    let nothing = Extras::default();
    let extras = analysis.as_ref().map_or(&nothing, |analysis| &analysis.extras);
    let beside = companions::beside(path, extras, &[]);
    Look { analysis, inside, beside }
}

/// Tells photos from what travels with them; print orders and albums are neither. Raw data
/// beside a picture of its name travel with that.
///
/// Companions are given by their absolute paths, with what the user called them.
fn split(files: Vec<PathBuf>) -> (Vec<PathBuf>, BTreeMap<PathBuf, PathBuf>) {
    let known: HashSet<PathBuf> = files.iter().cloned().collect();
    let mut photos = Vec::new();
    let mut companions = BTreeMap::new();
    for path in files {
        let name = path.file_name().unwrap_or_default();
        let is_known = |picture: &OsString| known.contains(&path.with_file_name(picture));
        match kind_of(name) {
            Kind::PrintMarks | Kind::Album => {}
            Kind::Photo | Kind::Other if !pictures_of(name).iter().any(is_known) => {
                photos.push(path);
            }
            _ => {
                companions.insert(absolute(&path), path);
            }
        }
    }
    (photos, companions)
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// The files named, and all in the folders named; tells whether any was unreadable.
pub(super) fn files_below(named: &[PathBuf]) -> Result<(Vec<PathBuf>, bool), CommandError> {
    let mut photos = Vec::new();
    let mut some_failed = false;
    for path in named {
        if !path.exists() {
            return Err(CommandError::Usage(format!("there is no `{}`", path.display())));
        }
        if !path.is_dir() {
            photos.push(path.clone());
            continue;
        }
        let mut folders = vec![path.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::error!("`{}` cannot be listed: {error}", folder.display());
                    some_failed = true;
                    continue;
                }
            };
            let mut found = Vec::new();
            for entry in entries.flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    // Links are not followed: they may lead round in circles.
                    Ok(kind) if kind.is_file() => found.push(entry.path()),
                    _ => {}
                }
            }
            found.sort();
            photos.extend(found);
        }
    }
    Ok((photos, some_failed))
}

/// Prints what was seen in one photo; tells whether it could be read.
fn print(path: &Path, looked: &Look, context: &Context) -> bool {
    for (path, error) in &looked.beside.refused {
        tracing::warn!("`{}`: {}", path.display(), one_line(error));
    }
    let error = looked.analysis.as_ref().err();
    let companions = [looked.inside.as_slice(), &looked.beside.companions];
    if context.json {
        let analysis = looked.analysis.as_ref().ok();
        output::json(&Line {
            path,
            width_px: analysis.map(|analysis| analysis.width_px),
            height_px: analysis.map(|analysis| analysis.height_px),
            taken_at: analysis.and_then(|analysis| analysis.taken_at.as_deref()),
            icons: analysis.map_or(&[], |analysis| &analysis.icons),
            card: analysis.is_some_and(|analysis| analysis.card),
            faces: analysis.map_or(Vec::new(), |analysis| FaceLine::all(&analysis.faces)),
            companions: companions.into_iter().flatten().collect(),
            error: error.map(String::as_str),
        });
    } else if let Ok(analysis) = &looked.analysis {
        let icons: Vec<_> = analysis.icons.iter().map(words).collect();
        let icons = if icons.is_empty() { "no icons".to_owned() } else { icons.join(", ") };
        let card = if analysis.card { "a card photo: " } else { "" };
        let with: Vec<_> = companions.into_iter().flatten().map(Companion::short).collect();
        let with = if with.is_empty() { String::new() } else { format!("; {}", with.join(", ")) };
        let people = faces_in_words(&FaceLine::all(&analysis.faces));
        let people =
            if people.is_empty() { String::new() } else { format!("; {}", people.join(", ")) };
        output::line(format_args!("{}: {card}{icons}{people}{with}", path.display()));
    }
    if let Some(error) = error {
        tracing::error!("`{}`: {error}", path.display());
    }
    error.is_none()
}

fn words(icon: &IconSighting) -> String {
    let question = if icon.tier == Tier::Ask { "?" } else { "" };
    let seal = match icon.seal {
        Some(Seal::Mine) => " sealed",
        Some(Seal::Foreign) => " sealed by another",
        Some(Seal::Unreadable | Seal::None) | None => "",
    };
    format!("{}{question}{seal} {:.2}", icon.name, icon.score)
}

fn progress_bar(photos_count: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() || photos_count < 8 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(photos_count as u64);
    bar.enable_steady_tick(Duration::from_millis(200));
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {pos}/{len} photos, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_are_numbered_from_the_left_and_one_alone_is_not() {
        let face = |person: Option<&str>, tier, left: f32| FaceSighting {
            person: person.map(str::to_owned),
            tier,
            score: 0.75,
            bounds: [left, 0.0, left + 10.0, 10.0],
            frame: None,
        };
        let ask = Some(Tier::Ask);
        let seen = [
            face(Some("Anna"), Some(Tier::Order), 50.0),
            face(None, None, 90.0),
            face(Some("Ben"), ask, 10.0),
            face(None, None, 30.0),
        ];
        let check = |seen: &[FaceSighting], expected: &[&str]| {
            assert_eq!(faces_in_words(&FaceLine::all(seen)), expected);
        };
        check(&seen, &["Ben? #1 0.75", "Anna #3 0.75", "2 unknown faces #2 #4"]);
        check(&seen[..2], &["Anna #1 0.75", "an unknown face #2"]);
        check(&seen[..1], &["Anna 0.75"]);
        check(&seen[1..2], &["an unknown face"]);
        check(&[], &[]);
    }
}
