//! Who is enrolled, and whose face a face is nearest to.
//!
//! In:  templates: numbers of a few faces of each person. Out: the nearest person and the one after.
//!
//! A person is the mean of their faces. The nearest face, or the two nearest, find no more of a
//! person's further pictures at a threshold that no stranger reaches, and one wrong picture among
//! five undoes them, while the mean forgives it (figures: `cargo bench --bench face_curves`).
//!
//! Knows nothing of consent, of files, and of what follows from a match.

use super::detector::SeenFace;
use super::embed::{FaceNumbers, unit};
use super::manifest::FaceThresholds;
use crate::detection::embed::cosine;
use crate::detection::gallery::Match;
use crate::detection::sighting::Tier;

/// One enrolled person.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// As enrolled.
    pub name: String,
    /// Numbers of their faces, one for each picture.
    faces: Vec<FaceNumbers>,
    /// The direction of all of them together.
    mean: FaceNumbers,
}

impl Person {
    /// A person with these faces.
    pub fn new(name: impl Into<String>, faces: Vec<FaceNumbers>) -> Self {
        let mut sum = vec![0.0; faces.first().map_or(0, Vec::len)];
        for face in &faces {
            sum.iter_mut().zip(face).for_each(|(sum, number)| *sum += number);
        }
        Self { name: name.into(), faces, mean: unit(sum) }
    }

    /// Numbers of their faces.
    pub fn faces(&self) -> &[FaceNumbers] {
        &self.faces
    }

    /// How near a face is, `-1.0..=1.0`.
    pub fn cosine(&self, face: &[f32]) -> f32 {
        cosine(&self.mean, face)
    }

    /// How alike two people are, `-1.0..=1.0`.
    pub fn likeness(&self, other: &Self) -> f32 {
        cosine(&self.mean, &other.mean)
    }

    /// How near each of their faces is to the others together, in order: a picture of somebody else
    /// stands out.
    pub fn agreement(&self) -> Vec<f32> {
        let others = |out: usize| {
            let rest = self.faces.iter().enumerate().filter(|(index, _)| *index != out);
            Self::new("", rest.map(|(_, face)| face.clone()).collect())
        };
        self.faces.iter().enumerate().map(|(out, face)| others(out).cosine(face)).collect()
    }
}

/// Everybody who is enrolled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct People(Vec<Person>);

impl People {
    /// These people.
    pub const fn new(people: Vec<Person>) -> Self {
        Self(people)
    }

    /// All of them, in their order.
    pub fn all(&self) -> &[Person] {
        &self.0
    }

    /// The nearest person and the one after; `None` when nobody is enrolled.
    pub fn nearest(&self, face: &[f32]) -> Option<Match> {
        Match::among(self.0.iter().map(|person| person.cosine(face)))
    }

    /// Whose face it is, how surely, and how alike they are, `0.0..=1.0`; `None` for nobody's.
    pub fn name(
        &self,
        seen: &SeenFace,
        thresholds: &FaceThresholds,
    ) -> Option<(String, Tier, f32)> {
        let matched = self.nearest(&seen.numbers)?;
        if matched.cosine < thresholds.ask_min {
            return None;
        }
        let is_strict = matched.cosine >= thresholds.order_min
            && matched.cosine - matched.runner_up_cosine >= thresholds.lead_min
            && seen.quality.flaws(&thresholds.bar).next().is_none();
        let tier = if is_strict { Tier::Order } else { Tier::Ask };
        let person = self.0.get(matched.index)?;
        Some((person.name.clone(), tier, matched.cosine.clamp(0.0, 1.0)))
    }

    /// The pairs that are more alike than `cosine_min`, with how alike they are.
    pub fn alike(&self, cosine_min: f32) -> Vec<(&Person, &Person, f32)> {
        let pairs = self.0.iter().enumerate().flat_map(|(index, person)| {
            self.0.iter().skip(index + 1).map(move |other| (person, other))
        });
        pairs
            .map(|(person, other)| (person, other, person.likeness(other)))
            .filter(|(_, _, cosine)| *cosine > cosine_min)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(degrees: f32) -> FaceNumbers {
        let (sin, cos) = degrees.to_radians().sin_cos();
        vec![cos, sin]
    }

    #[test]
    fn nearest_person_and_the_one_after_are_named() {
        let people = People::new(vec![
            Person::new("Anna", vec![face(0.0), face(20.0)]),
            Person::new("Ben", vec![face(90.0)]),
        ]);
        let found = people.nearest(&face(12.0)).expect("somebody");
        assert_eq!((found.index, found.runner_up), (0, 1));
        assert!((found.cosine - 2.0_f32.to_radians().cos()).abs() < 1e-5);
        assert_eq!(People::default().nearest(&face(0.0)), None);
        let alone = People::new(vec![Person::new("Anna", vec![face(0.0)])]);
        let found = alone.nearest(&face(0.0)).expect("somebody");
        assert!((found.runner_up_cosine + 1.0).abs() < 1e-6);
    }

    #[test]
    fn picture_of_somebody_else_stands_out() {
        let person = Person::new("Anna", vec![face(0.0), face(5.0), face(80.0)]);
        let agreement = person.agreement();
        assert!(agreement[2] < agreement[0].min(agreement[1]), "{agreement:?}");
        assert_eq!(Person::new("Anna", vec![face(0.0)]).agreement(), [0.0]);
    }

    #[test]
    fn alike_people_are_told_in_pairs() {
        let person = |name, degrees| Person::new(name, vec![face(degrees)]);
        let people = People::new(vec![person("A", 0.0), person("B", 90.0), person("C", 10.0)]);
        let pairs = people.alike(0.5);
        let names: Vec<_> = pairs.iter().map(|(a, b, _)| (&*a.name, &*b.name)).collect();
        assert_eq!(names, [("A", "C")]);
    }
}
