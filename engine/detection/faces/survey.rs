//! How the enrolled people stand to each other, and to faces on photos.
//!
//! In:  templates; faces of photos, one after the other. Out: counts, and for each person what
//! agrees with whom.
//!
//! Of each person every picture is taken out once and compared with the others together: that is
//! how a further picture would be found. With others' pictures it tells who could be mistaken.
//!
//! A face on a photo is counted and forgotten.

use super::curves::Histogram;
use super::detector::SeenFace;
use super::gallery::People;
use super::manifest::FaceThresholds;
use crate::detection::sighting::Tier;

/// One person among the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Who.
    pub name: String,
    /// How near each of their pictures is to the others together, in the order they were given.
    pub agreement: Vec<f32>,
    /// Whose picture comes nearest to them, and how near; `None` of one person alone.
    pub nearest: Option<(String, f32)>,
}

impl Standing {
    /// Which picture agrees least, from 0, and how much; `None` of a single one.
    pub fn weakest(&self) -> Option<(usize, f32)> {
        let pictures = self.agreement.iter().copied().enumerate();
        pictures.min_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|_| self.agreement.len() > 1)
    }
}

/// A gallery compared with itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// By name, as enrolled.
    pub people: Vec<Standing>,
    /// Pictures with the others of their person.
    pub genuine: Histogram,
    /// Pictures with other people.
    pub impostors: Histogram,
}

impl Survey {
    /// Compares everybody with everybody.
    pub fn of(people: &People) -> Self {
        let mut survey = Self::default();
        for (index, person) in people.all().iter().enumerate() {
            let agreement = person.agreement();
            if agreement.len() > 1 {
                agreement.iter().for_each(|cosine| survey.genuine.add(*cosine));
            }
            let others = people.all().iter().enumerate().filter(|(other, _)| *other != index);
            let mut nearest: Option<(String, f32)> = None;
            for (_, other) in others {
                for face in other.faces() {
                    let cosine = person.cosine(face);
                    survey.impostors.add(cosine);
                    if nearest.as_ref().is_none_or(|(_, before)| cosine > *before) {
                        nearest = Some((other.name.clone(), cosine));
                    }
                }
            }
            survey.people.push(Standing { name: person.name.clone(), agreement, nearest });
        }
        survey
    }
}

/// What was found on photos.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sights {
    /// Photos that could be looked at.
    pub photos_count: usize,
    /// Faces on them.
    pub faces_count: usize,
    /// Faces that match somebody strictly …
    pub sure_count: usize,
    /// … or so that it would be asked.
    pub asked_count: usize,
    /// Photos with a face that would be asked about, or is a strict match.
    pub told_photos_count: usize,
    /// Faces with the person whom they are nearest to: whoever knows them would say whether rightly.
    pub nearest: Histogram,
    /// Faces with everybody else.
    pub others: Histogram,
}

impl Sights {
    /// Counts the faces of one more photo.
    pub fn add(&mut self, seen: &[SeenFace], people: &People, thresholds: &FaceThresholds) {
        self.photos_count += 1;
        self.faces_count += seen.len();
        let mut is_told = false;
        for face in seen {
            let tier = people.name(face, thresholds).map(|(_, tier, _)| tier);
            is_told |= tier.is_some();
            match tier {
                Some(Tier::Order) => self.sure_count += 1,
                Some(Tier::Ask) => self.asked_count += 1,
                None => {}
            }
            let first = people.nearest(&face.numbers).map(|matched| matched.index);
            for (index, person) in people.all().iter().enumerate() {
                let histogram =
                    if Some(index) == first { &mut self.nearest } else { &mut self.others };
                histogram.add(person.cosine(&face.numbers));
            }
        }
        self.told_photos_count += usize::from(is_told);
    }
}

#[cfg(test)]
mod tests {
    use super::super::gallery::Person;
    use super::super::localise::Face;
    use super::super::manifest::{self, Manifest};
    use super::super::quality::Quality;
    use super::*;

    fn numbers(degrees: f32) -> Vec<f32> {
        let (sin, cos) = degrees.to_radians().sin_cos();
        vec![cos, sin]
    }

    fn people() -> People {
        let person = |name, degrees: &[f32]| {
            Person::new(name, degrees.iter().map(|degrees| numbers(*degrees)).collect())
        };
        People::new(vec![
            person("Anna", &[0.0, 10.0, 40.0]),
            person("Ben", &[100.0, 110.0]),
            person("Cleo", &[200.0]),
        ])
    }

    #[test]
    fn weakest_picture_and_nearest_person_are_told() {
        let survey = Survey::of(&people());
        let [anna, ben, cleo] = &survey.people[..] else { panic!("{survey:?}") };
        assert_eq!(anna.weakest().expect("three pictures").0, 2);
        let (nearest, cosine) = anna.nearest.as_ref().expect("others");
        assert_eq!(nearest, "Ben");
        assert!(*cosine < 0.3, "{cosine}");
        assert!(ben.weakest().is_some_and(|(_, cosine)| cosine > 0.98));
        assert_eq!(cleo.weakest(), None);
        // A single picture has nothing to agree with.
        assert_eq!(survey.genuine.total(), 5);
        assert_eq!(survey.impostors.total(), 3 + 4 + 5);
        assert_eq!(Survey::of(&People::default()), Survey::default());
    }

    #[test]
    fn face_counts_once_with_the_nearest_and_once_with_each_other() {
        let thresholds = Manifest::parse(manifest::SHIPPED).expect("the manifest").thresholds;
        let face = |degrees, eyes_px| SeenFace {
            face: Face { bounds: [0.0; 4], score: 0.9, points: [[0.0; 2]; 5] },
            quality: Quality {
                eyes_px,
                sharpness: 1.0,
                turned: 0.0,
                contrast: 0.3,
                clarity: f32::INFINITY,
            },
            numbers: numbers(degrees),
        };
        let mut sights = Sights::default();
        sights.add(
            &[face(105.0, 40.0), face(105.0, 5.0), face(290.0, 40.0)],
            &people(),
            &thresholds,
        );
        sights.add(&[], &people(), &thresholds);
        assert_eq!((sights.photos_count, sights.faces_count, sights.told_photos_count), (2, 3, 1));
        assert_eq!((sights.sure_count, sights.asked_count), (1, 1));
        assert_eq!((sights.nearest.total(), sights.others.total()), (3, 6));
    }
}
