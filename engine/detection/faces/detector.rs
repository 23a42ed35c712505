//! One frame in, the faces in it out, with the names of those who are enrolled.
//!
//! In:  a frame as large as it was decoded, and its 1024-px preview. Out: sightings, largest first.
//!
//! ```text
//! localise (640 px) > align > quality > embed > match > tier
//! ```
//!
//! The tier says what the pixels of this one photo say. That a face alone never orders, and what has
//! to come to it, is decided where other photos and icons are known (`agent/dossier`).
//!
//! Numbers of faces that match nobody are dropped here.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::align::Crop;
use super::embed::{FaceEmbedder, FaceNumbers};
use super::gallery::People;
use super::localise::{Face, FaceLocaliser};
use super::manifest::{FaceThresholds, Manifest};
use super::portrait;
use super::quality::Quality;
use crate::detection::error::DetectionError;
use crate::detection::quads::Quad;
use crate::detection::session::Runtime;
use crate::detection::sighting::Tier;
use crate::detection::warp::{Pyramid, shrunk};
use crate::media::Frame;

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
    /// `Network` when one cannot be used or is not what the manifest says.
    pub fn new(
        runtime: &Runtime,
        manifest: &Manifest,
        detector: &[u8],
        recogniser: &[u8],
    ) -> Result<Self, DetectionError> {
        Ok(Self {
            localiser: FaceLocaliser::new(runtime, &manifest.detector, detector)?,
            embedder: FaceEmbedder::new(runtime, &manifest.recogniser, recogniser)?,
        })
    }
}

/// Finds and names faces. One per thread: it keeps its buffers.
#[derive(Debug)]
pub struct FaceDetector {
    models: FaceModels,
    thresholds: FaceThresholds,
    crop: Crop,
    faces: Vec<Face>,
}

impl FaceDetector {
    /// A detector with these networks.
    pub const fn new(models: FaceModels, thresholds: FaceThresholds) -> Self {
        Self { models, thresholds, crop: Crop { side_px: 0, rgb: Vec::new() }, faces: Vec::new() }
    }

    /// Where faces are, best first, in px of `frame`.
    ///
    /// - `preview`: the same picture, smaller; what the network sees is made from it
    ///
    /// # Errors
    /// `Network` when it fails to run.
    pub fn find(&mut self, frame: &Frame, preview: &Frame) -> Result<Vec<Face>, DetectionError> {
        let small = shrunk(preview, self.models.localiser.long_side_px());
        let small = small.map_or(Cow::Borrowed(preview), Cow::Owned);
        self.models.localiser.run(&small, &mut self.faces)?;
        #[expect(clippy::cast_precision_loss, reason = "sides are far below 2^24")]
        let factor = frame.long_side_px() as f32 / small.long_side_px() as f32;
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
        let mut pyramid = Pyramid::new(frame);
        self.look_in(&mut pyramid, face)
    }

    fn look_in(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        face: Face,
    ) -> Result<Option<SeenFace>, DetectionError> {
        let side_px = self.models.embedder.side_px();
        let framing = self.models.embedder.framing();
        let Some(map) = self.crop.cut(pyramid, &face.points, side_px, framing) else {
            return Ok(None);
        };
        let numbers = self.models.embedder.run(&self.crop)?;
        let clarity = self.models.embedder.length();
        let quality = Quality { clarity, ..Quality::of(&self.crop, &face.points, &map) };
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
        let mut pyramid = Pyramid::new(frame);
        let faces = self.find_all(&mut pyramid, preview, frames)?;
        let mut sightings = Vec::with_capacity(faces.len());
        for (face, quad) in faces {
            // Nobody to be found: where faces are is all there is to know.
            let seen = match people.all() {
                [] => None,
                _ => self.look_in(&mut pyramid, face)?,
            };
            let found = seen.and_then(|seen| self.name(&seen, people));
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
