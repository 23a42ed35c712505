//! `signet people check`: what the thresholds for faces give with one's own people and photos.
//!
//! Pictures are compared with those of the same person and of others, which takes no photo. Faces on
//! photos that are given are compared with everybody, counted, and forgotten.
//!
//! What strangers do is taken from the shipped curves, or, with `--strangers`, from the photos.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};

use serde_json::json;

use super::look::files_below;
use super::people::refusal;
use super::{CommandError, Context, Outcome, failed, output};
use crate::access::people_book::PeopleBook;
use crate::agent::analyse::{Analyst, Eyes};
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::base::config::Config;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::collection::group::{Kind, kind_of};
use crate::detection::faces::People;
use crate::detection::faces::curves::{Curves, poisson_at_most, share};
use crate::detection::faces::detector::SeenFace;
use crate::detection::faces::graph::{Graph, grouped, sentence};
use crate::detection::faces::manifest::FaceThresholds;
use crate::detection::faces::survey::{Sights, Standing, Survey};
use crate::media::read::BYTES_MAX;
use crate::media::{SharedBytes, read_shared};

/// From so many pictures on, more make little difference (`models/faces/curves.toml`).
const PICTURES_ENOUGH: usize = 5;

/// Faces of strangers on a photo where no photos were given.
const FACES_PER_PHOTO: f64 = 1.5;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Photos, or folders with photos, whose faces are compared with everybody
    photos: Vec<PathBuf>,
    /// Nobody who is enrolled is on these photos: what matches is wrong
    #[arg(long, requires = "photos")]
    strangers: bool,
    /// Draw the curves into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// Without networks or people, and for photos that are not there; each with the cure.
pub(super) fn check(home: &Home, args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let config = Config::load(home).map_err(failed)?;
    let eyes = Eyes::of(&config, home).map_err(failed)?;
    let (Some(recogniser), Some(thresholds)) = (eyes.recogniser(), eyes.face_thresholds()) else {
        return Err(CommandError::failed(
            "there are no networks for faces yet: `signet models pull faces` fetches them",
        ));
    };
    let book = PeopleBook::open(home).map_err(refusal)?;
    let people = book.recognised(&recogniser, Timestamp::now());
    for person in book.all() {
        if people.all().iter().all(|recognised| recognised.name != person.name) {
            tracing::warn!("`{}` is not recognised: see `signet people list`", person.name);
        }
    }
    if people.all().is_empty() {
        return Err(CommandError::failed(
            "nobody is recognised: `signet people add NAME PICTURES --consent-by WHO` enrols somebody",
        ));
    }
    let (sights, some_failed) = match args.photos.is_empty() {
        true => (None, false),
        false => {
            let (sights, some_failed) = look(&args.photos, &eyes, &people, &thresholds)?;
            (Some(sights), some_failed)
        }
    };
    let found = Found {
        thresholds,
        is_own: config.faces != crate::base::config::Faces::default(),
        curves: eyes.face_curves(),
        survey: Survey::of(&people),
        pictures: people.all().iter().map(|person| person.faces().len()).collect(),
        sights,
        all_strangers: args.strangers,
    };
    if let Some(path) = &args.svg {
        write_atomic(path, found.graph().as_bytes(), Readers::Usual).map_err(|error| {
            CommandError::failed(format!("`{}` cannot be written: {error}", path.display()))
        })?;
    }
    if context.json {
        found.print_json()
    } else {
        found.print(args.svg.as_deref())
    }
    Ok(if some_failed { Outcome::SomeFailed } else { Outcome::Done })
}

/// Everything that was found out.
struct Found {
    thresholds: FaceThresholds,
    /// Whether `signet.toml` says some of them.
    is_own: bool,
    curves: Option<Curves>,
    survey: Survey,
    /// Pictures of each person.
    pictures: Vec<usize>,
    sights: Option<Sights>,
    all_strangers: bool,
}

/// How often something comes, and at most (95 %).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Often {
    expected: f64,
    at_most: f64,
}

impl Found {
    /// How often strangers on 1,000 photos would reach a threshold for somebody; `None` where there
    /// is nothing to tell it from.
    fn wrong_per_1000(&self, cosine_min: f32) -> Option<Often> {
        let curves = self.curves.as_ref()?;
        let faces = match &self.sights {
            Some(sights) => share(sights.faces_count as u64, sights.photos_count as u64),
            None => FACES_PER_PHOTO,
        };
        let (mut expected, mut at_most) = (0.0, 0.0);
        for pictures in &self.pictures {
            let impostors = &curves.with_pictures(*pictures)?.impostors;
            expected += impostors.share_reaching(cosine_min);
            at_most += impostors.share_at_most(cosine_min);
        }
        Some(Often { expected: 1000.0 * faces * expected, at_most: 1000.0 * faces * at_most })
    }

    /// The same, counted on photos of strangers.
    fn counted_per_1000(&self) -> Option<Often> {
        let sights =
            self.sights.as_ref().filter(|sights| self.all_strangers && sights.photos_count > 0)?;
        let (count, photos) = (sights.told_photos_count as u64, sights.photos_count as f64);
        let (expected, at_most) = (count as f64 / photos, poisson_at_most(count) / photos);
        Some(Often { expected: 1000.0 * expected, at_most: 1000.0 * at_most })
    }

    fn graph(&self) -> String {
        let mut series = vec![
            ("pictures with the others of their person".to_owned(), &self.survey.genuine),
            ("with other people".to_owned(), &self.survey.impostors),
        ];
        if let Some(sights) = &self.sights {
            let whose =
                if self.all_strangers { "strangers, nearest" } else { "on photos, nearest" };
            series.push((whose.to_owned(), &sights.nearest));
            series.push(("and the rest".to_owned(), &sights.others));
        }
        let FaceThresholds { order_min, ask_min, .. } = self.thresholds;
        let notes: Vec<String> = self.summary();
        let graph = Graph {
            title: "How alike the faces of your people are",
            series: &series,
            marks: &[
                (format!("order {order_min:.2}"), order_min),
                (format!("ask {ask_min:.2}"), ask_min),
            ],
            notes: &notes,
        };
        graph.svg()
    }

    fn print(&self, svg: Option<&Path>) {
        let FaceThresholds { order_min, lead_min, ask_min, .. } = self.thresholds;
        let whose = if self.is_own { "of [faces] in signet.toml" } else { "of the networks" };
        output::line(format_args!(
            "thresholds {whose}: order from {order_min:.2} on, {lead_min:.2} before anybody else; ask from {ask_min:.2} on"
        ));
        for (standing, pictures) in self.survey.people.iter().zip(&self.pictures) {
            let (low, high) =
                standing.agreement.iter().fold((1.0_f32, -1.0_f32), |(low, high), cosine| {
                    (low.min(*cosine), high.max(*cosine))
                });
            let agree = match standing.weakest() {
                Some(_) => format!("agree {low:.2} to {high:.2}"),
                None => "has nothing to agree with".to_owned(),
            };
            let nearest = standing
                .nearest
                .as_ref()
                .map(|(name, cosine)| format!("; nearest: {name} {cosine:.2}"));
            output::line(format_args!(
                "{:<20} {pictures} pictures {agree}{}",
                standing.name,
                nearest.unwrap_or_default()
            ));
            for advice in advice(standing, &self.thresholds, self.curves.as_ref()) {
                output::line(format_args!("{:<20} - {advice}", ""));
            }
        }
        for line in self.summary() {
            output::line(line);
        }
        if let Some(path) = svg {
            output::line(format_args!("drawn in `{}`", path.display()));
        }
    }

    /// What holds for all of them together, a line each.
    fn summary(&self) -> Vec<String> {
        let FaceThresholds { order_min, ask_min, .. } = self.thresholds;
        let Survey { genuine, impostors, .. } = &self.survey;
        let mut lines = Vec::new();
        for (name, cosine_min) in [("order", order_min), ("ask", ask_min)] {
            let wrong = impostors.reaching(cosine_min);
            lines.push(format!(
                "{name} {}: {} of {} pictures would be found by the others of their person, {wrong} of {} \
                 comparisons with other people reach it",
                if wrong == 0 { "holds" } else { "DOES NOT HOLD" },
                genuine.reaching(cosine_min),
                genuine.total(),
                grouped(impostors.total()),
            ));
        }
        match &self.curves {
            None => lines.push(
                "these networks have no shipped curves: what strangers do is not known; give photos of \
                 strangers with --strangers"
                    .into(),
            ),
            Some(curves) => {
                if let Some(curve) = curves.with_pictures(PICTURES_ENOUGH) {
                    lines.push(format!("shipped curves, five pictures: {}", sentence("order", curve, order_min)));
                }
                let faces = match &self.sights {
                    Some(sights) => share(sights.faces_count as u64, sights.photos_count as u64),
                    None => FACES_PER_PHOTO,
                };
                for (what, cosine_min) in [("wrong asks", ask_min), ("wrong strict matches", order_min)] {
                    if let Some(Often { expected, at_most }) = self.wrong_per_1000(cosine_min) {
                        lines.push(format!(
                            "by them, {expected:.1} {what} on 1,000 photos with {faces:.1} faces of strangers \
                             each, at most {at_most:.1} (95 %)"
                        ));
                    }
                }
            }
        }
        if let Some(sights) = &self.sights {
            let Sights { photos_count, faces_count, sure_count, asked_count, .. } = sights;
            let rest = faces_count - sure_count - asked_count;
            lines.push(format!(
                "{photos_count} photos with {faces_count} faces: {sure_count} strict matches, {asked_count} \
                 to be asked about, {rest} of nobody who is enrolled"
            ));
        }
        if let Some(Often { expected, at_most }) = self.counted_per_1000() {
            lines.push(format!(
                "nobody enrolled is on them: {expected:.1} wrong answers on 1,000 photos, at most {at_most:.1} (95 %)"
            ));
        }
        lines
    }

    fn print_json(&self) {
        let FaceThresholds { order_min, lead_min, ask_min, .. } = self.thresholds;
        for (standing, pictures) in self.survey.people.iter().zip(&self.pictures) {
            output::json(&json!({
                "person": standing.name,
                "pictures": pictures,
                "agreement": standing.agreement,
                "nearest": standing.nearest.as_ref().map(|(name, cosine)| json!({ "person": name, "cosine": cosine })),
                "advice": advice(standing, &self.thresholds, self.curves.as_ref()),
            }));
        }
        let Survey { genuine, impostors, .. } = &self.survey;
        let often = |often: Option<Often>| {
            often.map(|often| json!({ "expected": often.expected, "at_most": often.at_most }))
        };
        let at = |cosine_min: f32| {
            json!({
                "cosine_min": cosine_min,
                "own_found": genuine.reaching(cosine_min),
                "own_count": genuine.total(),
                "others_found": impostors.reaching(cosine_min),
                "others_count": impostors.total(),
                "wrong_per_1000_photos": often(self.wrong_per_1000(cosine_min)),
            })
        };
        output::json(&json!({
            "thresholds": if self.is_own { "signet.toml" } else { "networks" },
            "lead_min": lead_min,
            "order": at(order_min),
            "ask": at(ask_min),
            "photos": self.sights.as_ref().map(|sights| json!({
                "photos_count": sights.photos_count,
                "faces_count": sights.faces_count,
                "sure_count": sights.sure_count,
                "asked_count": sights.asked_count,
                "wrong_per_1000_photos": often(self.counted_per_1000()),
            })),
        }));
    }
}

/// What would make somebody be found better, or mistaken less.
fn advice(
    standing: &Standing,
    thresholds: &FaceThresholds,
    curves: Option<&Curves>,
) -> Vec<String> {
    let FaceThresholds { order_min, lead_min, ask_min, .. } = *thresholds;
    let mut advice = Vec::new();
    let count = standing.agreement.len();
    if count < PICTURES_ENOUGH {
        let found = |pictures: usize| {
            let curve = curves.and_then(|curves| curves.with_pictures(pictures))?;
            Some(100.0 * curve.small.share_reaching(order_min))
        };
        let figures = match (found(count), found(PICTURES_ENOUGH)) {
            (Some(few), Some(enough)) => {
                format!(
                    ": of small faces {enough:.0} % are strict matches with five, {few:.0} % with {count}"
                )
            }
            _ => String::new(),
        };
        advice.push(format!("add pictures, to five or more{figures}"));
    }
    if let Some((picture, cosine)) = standing.weakest().filter(|(_, cosine)| *cosine < order_min) {
        let place = picture + 1;
        advice.push(match cosine < ask_min {
            true => format!(
                "picture {place} of {count} may be of somebody else ({cosine:.2}): enrol them again without it"
            ),
            false => format!(
                "picture {place} of {count} agrees little with the others ({cosine:.2}): a better one in its \
                 place, or more like it, makes them found more surely"
            ),
        });
    }
    match &standing.nearest {
        Some((name, cosine)) if *cosine >= order_min - lead_min => {
            let least = ((cosine + lead_min) * 100.0).ceil() / 100.0;
            advice.push(format!(
                "{name} looks much alike ({cosine:.2}): `order_min = {least:.2}` in [faces] of signet.toml, or \
                 more pictures of both"
            ));
        }
        Some((name, cosine)) if *cosine >= ask_min - lead_min => advice.push(format!(
            "{name} looks a little alike ({cosine:.2}): where it is not clear who it is you are asked"
        )),
        _ => {}
    }
    advice
}

/// Looks at the faces of photos, on all cores; tells whether any photo could not be read.
fn look(
    paths: &[PathBuf],
    eyes: &Eyes,
    people: &People,
    thresholds: &FaceThresholds,
) -> Result<(Sights, bool), CommandError> {
    let (files, mut some_failed) = files_below(paths)?;
    // A file that was named is looked at whatever it is called.
    let is_wanted = |file: &PathBuf| {
        paths.contains(file) || kind_of(file.file_name().unwrap_or_default()) == Kind::Photo
    };
    let photos: Vec<PathBuf> = files.into_iter().filter(is_wanted).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let progress = output::Progress::of_many("photos");
    let todo = Mutex::new(photos.iter());
    let (send, results) = mpsc::sync_channel::<(&Path, Result<Vec<SeenFace>, String>)>(cores);
    let mut sights = Sights::default();
    std::thread::scope(|scope| {
        for _ in 0..cores.min(photos.len()) {
            let (send, todo) = (send.clone(), &todo);
            scope.spawn(move || {
                let mut analyst = Analyst::new(eyes).map_err(|error| one_line(&error));
                let mut original = SharedBytes::default();
                loop {
                    let next = todo.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(path) = next else { return };
                    let seen = match &mut analyst {
                        Ok(analyst) => read_shared(path, BYTES_MAX, &mut original)
                            .map_err(|error| one_line(&error))
                            .and_then(|_state| {
                                analyst.faces(&original).map_err(|error| one_line(&error))
                            }),
                        Err(error) => Err(error.clone()),
                    };
                    if send.send((path, seen)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (done, (path, seen)) in results.into_iter().enumerate() {
            match seen {
                Ok(seen) => sights.add(&seen, people, thresholds),
                Err(error) => {
                    tracing::error!("`{}`: {error}", path.display());
                    some_failed = true;
                }
            }
            progress.show(done + 1, photos.len());
        }
    });
    progress.finish();
    Ok((sights, some_failed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::faces::{Manifest, manifest};

    fn shipped() -> (FaceThresholds, Option<Curves>) {
        let manifest = Manifest::parse(manifest::SHIPPED).expect("the manifest");
        (manifest.thresholds, Curves::of(&manifest))
    }

    fn said(agreement: &[f32], nearest: f32) -> Vec<String> {
        let (thresholds, curves) = shipped();
        let nearest = Some(("Ben".to_owned(), nearest));
        let standing = Standing { name: "Anna".into(), agreement: agreement.to_vec(), nearest };
        advice(&standing, &thresholds, curves.as_ref())
    }

    #[test]
    fn advice_names_the_picture_the_look_alike_and_the_cure() {
        assert_eq!(said(&[0.7, 0.75, 0.8, 0.7, 0.6], 0.2), [""; 0]);
        let few = said(&[0.7, 0.75, 0.8], 0.2);
        assert!(
            few.len() == 1 && few[0].contains("add pictures") && few[0].contains('%'),
            "{few:?}"
        );
        let stranger = said(&[0.7, 0.2, 0.8, 0.7, 0.6], 0.2);
        assert!(stranger[0].contains("picture 2 of 5") && stranger[0].contains("somebody else"));
        let soft = said(&[0.7, 0.75, 0.8, 0.7, 0.5], 0.2);
        assert!(
            soft[0].contains("picture 5 of 5") && soft[0].contains("agrees little"),
            "{soft:?}"
        );
        let alike = said(&[0.7; 5], 0.5);
        assert!(alike[0].contains("Ben") && alike[0].contains("order_min = 0.58"), "{alike:?}");
        let little = said(&[0.7; 5], 0.36);
        assert!(little[0].contains("you are asked"), "{little:?}");
    }

    #[test]
    fn wrong_asks_grow_with_people_and_faces_and_are_counted_where_all_are_strangers() {
        let (thresholds, curves) = shipped();
        let found = |people: usize, sights: Option<Sights>| Found {
            thresholds,
            is_own: false,
            curves: curves.clone(),
            survey: Survey::default(),
            pictures: vec![5; people],
            sights,
            all_strangers: true,
        };
        let ask_min = thresholds.ask_min;
        let one = found(1, None).wrong_per_1000(ask_min).expect("curves");
        let ten = found(10, None).wrong_per_1000(ask_min).expect("curves");
        assert!((ten.at_most - 10.0 * one.at_most).abs() < 1e-9 && one.at_most > one.expected);
        let sights = Sights {
            photos_count: 100,
            faces_count: 300,
            told_photos_count: 2,
            ..Sights::default()
        };
        let seen = found(1, Some(sights));
        let more = seen.wrong_per_1000(ask_min).expect("curves");
        assert!((more.at_most - 2.0 * one.at_most).abs() < 1e-9);
        let counted = seen.counted_per_1000().expect("strangers");
        assert!((counted.expected - 20.0).abs() < 1e-9 && (counted.at_most - 62.96).abs() < 0.1);
        assert_eq!(found(1, None).counted_per_1000(), None);
    }
}
