//! One frame in, the faces in it out, with the names of those who are enrolled.
//!
//! In:  a frame as large as it was decoded, and its 1024-px preview. Out: sightings, largest first.
//!
//! ```text
//! localise (640 px; a group at 1024) > align > quality > embed > match > tier
//! ```
//!
//! The tier says what the pixels of this one photo say. That a face alone never orders, and what has
//! to come to it, is decided where other photos and icons are known (`agent/dossier`).
//!
//! Numbers of faces that match nobody are dropped here.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::align::{self, Crop};
use super::embed::{FaceEmbedder, FaceNumbers, MIRRORED_MAX};
use super::gallery::People;
use super::localise::{Face, FaceLocaliser};
use super::manifest::{FaceThresholds, Manifest, Source};
use super::portrait;
use super::quality::Quality;
use crate::detection::error::DetectionError;
use crate::detection::quads::Quad;
use crate::detection::session::Runtime;
use crate::detection::sighting::Tier;
use crate::detection::warp::Pyramid;
use crate::media::Frame;
use crate::media::resize::{Filter, Resampler};

/// A face in a photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaceSighting {
    /// Who it is, of those who are enrolled.
    pub person: Option<String>,
    /// `Order`: a strict match of a face that can be seen well. Absent for a face of nobody's.
    pub tier: Option<Tier>,
    /// How alike it is to that person, or how much it is a face, `0.0..=1.0`.
    pub score: f32,
    /// Left, top, right, bottom in px of the frame that was looked at (or of the upright original,
    /// once scaled).
    pub bounds: [f32; 4],
    /// Corners of the house frame that it is a portrait in, clockwise from its own top left, in the
    /// same px; absent for the face of somebody who is there.
    #[serde(default)]
    pub frame: Option<[[f32; 2]; 4]>,
}

impl FaceSighting {
    /// The same sighting in a picture whose sides are `factor` times as long.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        let corners = self.frame.iter_mut().flat_map(|corners| corners.as_flattened_mut());
        self.bounds.iter_mut().chain(corners).for_each(|value| *value *= factor);
        self
    }

    /// Whether it is a picture of somebody in the house frame, and not somebody who is there.
    pub const fn is_portrait(&self) -> bool {
        self.frame.is_some()
    }
}

/// Everything that is known of one face.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenFace {
    /// Where, in px of the frame.
    pub face: Face,
    /// What can be seen of it.
    pub quality: Quality,
    /// What it looks like.
    pub numbers: FaceNumbers,
}

/// The two networks.
#[derive(Debug)]
pub struct FaceModels {
    localiser: FaceLocaliser,
    embedder: FaceEmbedder,
}

impl FaceModels {
    /// Loads networks whose bytes were checked against the manifest.
    ///
    /// # Errors
    /// `FaceNetwork` when one cannot be used or is not what the manifest says.
    pub fn new(
        runtime: &Runtime,
        manifest: &Manifest,
        detector: &[u8],
        recogniser: &[u8],
    ) -> Result<Self, DetectionError> {
        let localiser = FaceLocaliser::new(runtime, &manifest.detector, detector);
        let embedder = FaceEmbedder::new(runtime, &manifest.recogniser, recogniser);
        Ok(Self {
            localiser: localiser.map_err(of_file(&manifest.detector.source))?,
            embedder: embedder.map_err(of_file(&manifest.recogniser.source))?,
        })
    }
}

/// Faces of a side below this, in px of the picture that the network sees, are small.
const SMALL_PX: f32 = 32.0;

/// So many small faces are a group.
const GROUP_MIN: usize = 4;

/// Names the file of a network that cannot be used, and so the cure.
fn of_file(source: &Source) -> impl Fn(DetectionError) -> DetectionError {
    |error| match error {
        DetectionError::Network { cause, .. } => {
            DetectionError::FaceNetwork { file: source.file.clone(), cause }
        }
        other => other,
    }
}

/// Finds and names faces. One per thread: it keeps its buffers.
#[derive(Debug)]
pub struct FaceDetector {
    models: FaceModels,
    thresholds: FaceThresholds,
    resampler: Resampler,
    crop: Crop,
    faces: Vec<Face>,
}

impl FaceDetector {
    /// A detector with these networks.
    pub fn new(models: FaceModels, thresholds: FaceThresholds) -> Self {
        let (resampler, crop, faces) = (Resampler::default(), Crop::default(), Vec::new());
        Self { models, thresholds, resampler, crop, faces }
    }

    /// Where faces are, best first, in px of `frame`.
    ///
    /// - `preview`: the same picture, smaller; what the network sees is made from it
    ///
    /// Where a group of small faces is found, the preview itself is looked at as well: of 200 faces
    /// of 29 px side by side 113 are found at 640 px, and all in the preview of 1024. Without a group
    /// both find the same (faces of 32 px in empty and in full pictures, 2,235 photos), and it
    /// costs 2.5 times as much.
    ///
    /// # Errors
    /// `Network` when it fails to run.
    pub fn find(&mut self, frame: &Frame, preview: &Frame) -> Result<Vec<Face>, DetectionError> {
        let side_px = self.models.localiser.long_side_px();
        let small = self.resampler.shrink(Cow::Borrowed(preview), side_px, Filter::Hamming);
        // It has no reason to refuse; in the preview itself the same is found at a higher cost.
        let small = small.unwrap_or(Cow::Borrowed(preview));
        self.models.localiser.run(&small, &mut self.faces)?;
        #[expect(clippy::cast_precision_loss, reason = "sides are far below 2^24")]
        let over = |frame: &Frame, other: &Frame| {
            frame.long_side_px() as f32 / other.long_side_px() as f32
        };
        let (mut factor, larger) = (over(frame, &small), over(preview, &small));
        let small_count = self.faces.iter().filter(|face| face.side_px() < SMALL_PX).count();
        if small_count >= GROUP_MIN && larger > 1.0 && self.models.localiser.takes_any_size() {
            let mut faces = Vec::new();
            self.models.localiser.run(preview, &mut faces)?;
            faces.extend(self.faces.iter().map(|face| face.scaled(larger)));
            self.models.localiser.merge(&mut faces);
            self.faces = faces;
            factor = over(frame, preview);
        }
        Ok(self.faces.iter().map(|face| face.scaled(factor)).collect())
    }

    /// The same, and the faces in frames, each with its frame.
    ///
    /// - `frames`: outlines in px of `frame` that may be house frames around portraits
    ///
    /// # Errors
    /// `Network` when it fails to run.
    pub fn find_all(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        preview: &Frame,
        frames: &[Quad],
    ) -> Result<Vec<(Face, Option<Quad>)>, DetectionError> {
        let faces = self.find(pyramid.base(), preview)?;
        let mut faces: Vec<_> = faces.into_iter().map(|face| (face, None)).collect();
        for quad in portrait::proven(pyramid, frames)? {
            self.find_in(pyramid, quad, &mut faces)?;
        }
        Ok(faces)
    }

    /// Looks at faces closely.
    ///
    /// # Errors
    /// `Network` when it fails to run.
    pub fn look_at(
        &mut self,
        frame: &Frame,
        face: Face,
    ) -> Result<Option<SeenFace>, DetectionError> {
        self.look_while(frame, face, |_| true)
    }

    /// Whose face it is, and how surely; `None` for a face of nobody's.
    ///
    /// Whoever is far from everybody is not looked at a second time.
    ///
    /// # Errors
    /// `Network` when it fails to run.
    pub fn recognise(
        &mut self,
        frame: &Frame,
        face: Face,
        people: &People,
    ) -> Result<Option<(String, Tier, f32)>, DetectionError> {
        if people.all().is_empty() {
            return Ok(None);
        }
        let near_min = self.thresholds.ask_min - MIRRORED_MAX;
        let is_near =
            |face: &[f32]| people.nearest(face).is_some_and(|found| found.cosine >= near_min);
        let seen = self.look_while(frame, face, is_near)?;
        Ok(seen.and_then(|seen| self.name(&seen, people)))
    }

    fn look_while(
        &mut self,
        frame: &Frame,
        face: Face,
        is_worth_it: impl Fn(&[f32]) -> bool,
    ) -> Result<Option<SeenFace>, DetectionError> {
        let side_px = self.models.embedder.side_px();
        let framing = self.models.embedder.framing();
        let part = align::part(frame, &face.points, side_px);
        let (frame, points) = part.as_ref().map_or((frame, face.points), |(f, p)| (f, *p));
        let map = self.crop.cut(&mut Pyramid::new(frame), &points, side_px, framing);
        let Some(map) = map else { return Ok(None) };
        let Some(numbers) = self.models.embedder.run_while(&self.crop, is_worth_it)? else {
            return Ok(None);
        };
        let clarity = self.models.embedder.length();
        let quality = Quality { clarity, ..Quality::of(&self.crop, &points, &map) };
        Ok(Some(SeenFace { face, quality, numbers }))
    }

    /// Finds and names the faces of a frame.
    ///
    /// - `frames`: outlines in px of `frame` that may be house frames around portraits
    ///
    /// # Errors
    /// `Network` when one fails to run.
    pub fn look(
        &mut self,
        frame: &Frame,
        preview: &Frame,
        people: &People,
        frames: &[Quad],
    ) -> Result<Vec<FaceSighting>, DetectionError> {
        let faces = self.find_all(&mut Pyramid::new(frame), preview, frames)?;
        let mut sightings = Vec::with_capacity(faces.len());
        for (face, quad) in faces {
            let found = self.recognise(frame, face, people)?;
            let frame = quad.map(|quad| quad.0);
            sightings.push(match found {
                Some((person, tier, score)) => FaceSighting {
                    person: Some(person),
                    tier: Some(tier),
                    score,
                    bounds: face.bounds,
                    frame,
                },
                None => FaceSighting {
                    person: None,
                    tier: None,
                    score: face.score,
                    bounds: face.bounds,
                    frame,
                },
            });
        }
        one_place_each(&mut sightings);
        Ok(sightings)
    }

    /// Looks for a portrait in a frame, from nearby and upright: it is found where it is too small or
    /// too much turned to be found in the whole photo.
    fn find_in(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        quad: Quad,
        faces: &mut Vec<(Face, Option<Quad>)>,
    ) -> Result<(), DetectionError> {
        let Some(inside) = portrait::inside(pyramid, &quad) else { return Ok(()) };
        self.models.localiser.run(&inside, &mut self.faces)?;
        match self.faces.iter().find_map(|face| portrait::outside(&quad, face)) {
            Some(found) => {
                faces.retain(|(face, _)| !portrait::fits(&quad, face.bounds));
                faces.push((found, Some(quad)));
            }
            None => {
                let here = faces.iter_mut().filter(|(face, _)| portrait::fits(&quad, face.bounds));
                here.for_each(|(_, frame)| *frame = Some(quad));
            }
        }
        Ok(())
    }

    /// Whose face it is, and how surely.
    pub fn name(&self, seen: &SeenFace, people: &People) -> Option<(String, Tier, f32)> {
        people.name(seen, &self.thresholds)
    }
}

/// Nobody is in a photo twice for sure: of two faces of one person the more alike keeps its tier, a
/// picture on the wall or a sister is asked about. Portraits in the house frame are nobody who is there.
fn one_place_each(sightings: &mut [FaceSighting]) {
    sightings.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut sure: Vec<String> = Vec::new();
    for sighting in sightings.iter_mut().filter(|sighting| !sighting.is_portrait()) {
        let (Some(person), Some(Tier::Order)) = (&sighting.person, sighting.tier) else { continue };
        if sure.contains(person) {
            sighting.tier = Some(Tier::Ask);
        } else {
            sure.push(person.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_face_of_one_person_is_only_asked_about() {
        let face = |person: &str, score| FaceSighting {
            person: Some(person.into()),
            tier: Some(Tier::Order),
            score,
            bounds: [0.0; 4],
            frame: None,
        };
        let portrait =
            |person, score| FaceSighting { frame: Some([[0.0; 2]; 4]), ..face(person, score) };
        let mut seen = [face("Anna", 0.6), face("Ben", 0.7), face("Anna", 0.8)];
        one_place_each(&mut seen);
        let tiers: Vec<_> = seen.iter().map(|face| (face.score, face.tier)).collect();
        let (order, ask) = (Some(Tier::Order), Some(Tier::Ask));
        assert_eq!(tiers, [(0.8, order), (0.7, order), (0.6, ask)]);
        // Her portrait, be it the better picture, takes nothing from her.
        let mut seen = [portrait("Anna", 0.9), face("Anna", 0.6), portrait("Anna", 0.5)];
        one_place_each(&mut seen);
        assert!(seen.iter().all(|face| face.tier == order), "{seen:?}");
    }
}
