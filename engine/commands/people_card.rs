//! `signet people card`: the portrait of somebody enrolled in the house frame, to print or to stamp.
//!
//! In:  a picture with their face. Out: a PNG of 1024 px, transparent outside, where the user wants it.
//!
//! It is drawn only where the face is surely theirs by the networks of this home: another one would
//! never be read as their portrait. Nothing of the picture is kept in the home.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::icons_export::png;
use super::{CommandError, Context, Outcome, failed, output};
use crate::access::people_book::PeopleBook;
use crate::agent::analyse::{Analyst, Eyes};
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::base::config::Config;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::detection::faces::People;
use crate::detection::faces::detector::SeenFace;
use crate::detection::faces::manifest::FaceThresholds;
use crate::detection::faces::portrait_card::{CARD_PX, portrait_card};
use crate::detection::warp::Pyramid;
use crate::media::read::BYTES_MAX;
use crate::media::{SharedBytes, read_shared};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Card {
    /// Somebody who is enrolled
    name: String,
    /// A picture with their face; of several faces PICTURE#2 is the second from the left
    #[arg(long, value_name = "PICTURE[#N]")]
    from: String,
    /// The file to write, or a folder for NAME.png
    #[arg(long, value_name = "DIR|FILE")]
    out: PathBuf,
}

/// Runs it.
///
/// # Errors
/// What is wrong with the home, the picture, the face in it or the place to write to, and what to do.
pub(super) fn run(home: &Home, card: &Card, context: &Context) -> Result<Outcome, CommandError> {
    let config = Config::load(home).map_err(failed)?;
    let eyes = Eyes::of(&config, home).map_err(failed)?;
    let (Some(recogniser), Some(thresholds)) = (eyes.recogniser(), eyes.face_thresholds()) else {
        return Err(CommandError::failed(
            "there are no networks for faces yet: `signet models pull faces` fetches them",
        ));
    };
    let people = PeopleBook::open(home).map_err(failed)?.recognised(&recogniser, Timestamp::now());
    if !people.all().iter().any(|person| person.name == card.name) {
        return Err(CommandError::Usage(format!(
            "nobody called `{}` is recognised: `signet people list` shows who is, and \
             `signet people add` enrols somebody",
            card.name
        )));
    }
    let (path, place) = picture_of(&card.from)?;
    let out = target(&card.out, &card.name);
    refuse_overwriting(&out, &path, context)?;
    let trouble = |cause: &str| CommandError::failed(format!("`{}`: {cause}", card.from));
    let mut original = SharedBytes::default();
    read_shared(&path, BYTES_MAX, &mut original).map_err(|error| trouble(&one_line(&error)))?;
    let mut analyst = Analyst::new(&eyes).map_err(failed)?;
    let looked = analyst.faces_on(&original);
    let (faces, picture) = looked.map_err(|error| trouble(&one_line(&error)))?;
    let seen = chosen(faces, place, &path).map_err(|cause| trouble(&cause))?;
    check(&seen, &card.name, &people, &thresholds).map_err(|cause| trouble(&cause))?;
    let drawn = portrait_card(&mut Pyramid::new(&picture), &seen.face.points).map_err(failed)?;
    let drawn = drawn.ok_or_else(|| trouble("the face cannot be turned upright"))?;
    write_atomic(&out, &png(&drawn.rgba, CARD_PX)?, Readers::Usual).map_err(|error| {
        CommandError::failed(format!("`{}` cannot be written: {error}", out.display()))
    })?;
    if context.json {
        output::json(&json!({ "name": card.name, "path": out, "side_px": CARD_PX }));
    } else {
        output::line(format_args!(
            "wrote {}: print it 3 cm wide or more, or `signet icons stamp PHOTO --card {0}`; rules ask \
             has(portrait(\"{1}\"))",
            out.display(),
            card.name
        ));
    }
    Ok(Outcome::Done)
}

/// Path and place of a face, as typed; a file whose own name ends like a place is that file.
fn picture_of(text: &str) -> Result<(PathBuf, Option<usize>), CommandError> {
    let whole = PathBuf::from(text);
    match text.rsplit_once('#') {
        Some((path, place)) if !whole.exists() => {
            let place = place.parse().ok().filter(|place| *place > 0).ok_or_else(|| {
                CommandError::Usage(format!("`{text}` should be PICTURE or PICTURE#N, N from 1"))
            })?;
            Ok((path.into(), Some(place)))
        }
        _ => Ok((whole, None)),
    }
}

/// Where the card goes: `NAME.png` in a folder, or the file itself.
fn target(out: &Path, name: &str) -> PathBuf {
    if !out.is_dir() {
        return out.to_path_buf();
    }
    // Names of people may hold what names of files may not.
    let safe = |letter: char| if letter.is_alphanumeric() || letter == '-' { letter } else { '_' };
    out.join(name.chars().map(safe).collect::<String>() + ".png")
}

/// The picture is never overwritten; another file only with `--yes`.
fn refuse_overwriting(out: &Path, picture: &Path, context: &Context) -> Result<(), CommandError> {
    let whole = |path: &Path| path.canonicalize().ok();
    if whole(out).is_some() && whole(out) == whole(picture) {
        return Err(CommandError::Usage(
            "the card would overwrite the picture: name another file with --out".into(),
        ));
    }
    if out.exists() && !context.yes {
        return Err(CommandError::Usage(format!(
            "`{}` is there already: name another with --out, or add --yes",
            out.display()
        )));
    }
    Ok(())
}

/// The face that is meant; or why there is none, in words.
fn chosen(mut faces: Vec<SeenFace>, place: Option<usize>, path: &Path) -> Result<SeenFace, String> {
    let count = faces.len();
    match (place, count) {
        (_, 0) => Err("no face is found on it".into()),
        (Some(place), _) if place > count => {
            Err(format!("there are {count} faces, counted from the left"))
        }
        (Some(place), _) => Ok(faces.swap_remove(place - 1)),
        (None, 1) => Ok(faces.swap_remove(0)),
        (None, _) => Err(format!(
            "{count} faces are on it: `--from '{}#1'` takes the first from the left",
            path.display()
        )),
    }
}

/// Whether a face is surely that person's, and good enough to be read from a print.
fn check(
    seen: &SeenFace,
    name: &str,
    people: &People,
    thresholds: &FaceThresholds,
) -> Result<(), String> {
    let flaws: Vec<&str> = seen.quality.flaws(&thresholds.bar).map(|flaw| flaw.word()).collect();
    if !flaws.is_empty() {
        return Err(format!("the face is {}: take another picture", flaws.join(" and ")));
    }
    let cosine = |name: &str| {
        let person = people.all().iter().find(|person| person.name == name);
        person.map_or(0.0, |person| person.cosine(&seen.numbers))
    };
    let own = cosine(name);
    let others = people.all().iter().filter(|person| person.name != name);
    let nearest = others.max_by(|a, b| cosine(&a.name).total_cmp(&cosine(&b.name)));
    if let Some(other) = nearest
        && own - cosine(&other.name) < thresholds.lead_min
    {
        return Err(format!(
            "the face looks too much like {} ({:.2}; like {name} {own:.2}): take another picture",
            other.name,
            cosine(&other.name)
        ));
    }
    if own < thresholds.order_min {
        return Err(format!(
            "the face is not surely that of {name} ({own:.2}; {:.2} is needed): take a sharp picture \
             from the front",
            thresholds.order_min
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_goes_into_a_folder_by_name_and_never_over_the_picture() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = |name: &str| target(folder.path(), name);
        assert_eq!(target("Oma Erna"), folder.path().join("Oma_Erna.png"));
        assert_eq!(target("../x"), folder.path().join("___x.png"));
        let picture = folder.path().join("a#2");
        std::fs::write(&picture, b"x").expect("a file");
        let context = |yes| Context { home: PathBuf::new(), json: false, yes };
        assert!(refuse_overwriting(&picture, &picture, &context(true)).is_err());
        let other = folder.path().join("b.png");
        std::fs::write(&other, b"x").expect("a file");
        assert!(refuse_overwriting(&other, &picture, &context(false)).is_err());
        assert!(refuse_overwriting(&other, &picture, &context(true)).is_ok());
        // A file of that very name is a picture, not a place on another.
        let text = picture.to_string_lossy().into_owned();
        assert_eq!(picture_of(&text).expect("a picture"), (picture, None));
        assert_eq!(picture_of("b.jpg#3").expect("a place"), ("b.jpg".into(), Some(3)));
        assert!(picture_of("b.jpg#0").is_err());
    }
}
