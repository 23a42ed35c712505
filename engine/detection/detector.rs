//! One photo in, the icons in it out: carries candidates through all stages.
//!
//! In:  a frame as large as it was decoded, and its 1024-px preview, if there is one.
//! Out: sightings, best first, corners in px of that frame.
//!
//! ```text
//! localise (whole, quarter size) > align twice > (poses > align) > embed, match > verify > second look > tier
//! ```
//!
//! A sighting may order only when every stage agrees and a second look, at another scale
//! and from a shifted start, comes to the same answer. What just misses is asked about. A
//! wish to keep a photo private is asked about already where little speaks for it: to
//! overlook it is the worse mistake.
//!
//! Knows nothing of what the icons mean, but for that one.

use std::path::Path;
use std::sync::LazyLock;

use super::align::Aligner;
use super::embed::{Embedder, Embedding};
use super::enrolment::{Enrolment, Memory};
use super::error::DetectionError;
use super::gallery::{Gallery, Match};
use super::icon_set::IconSet;
use super::localise::{Candidate, Localiser};
use super::pose::{FOUND_MAX, Poses};
use super::quads::{Quad, suppress};
use super::seal::reader::{SealReader, SealReading};
use super::seal::{SealWord, WORDS_MAX};
use super::session::Runtime;
use super::sighting::{IconSighting, Tier};
use super::verify::{Evidence, Verifier};
use super::warp::{Pyramid, bilinear, shrunk};
use crate::base::ids::ContentHash;
use crate::media::Frame;

/// The localiser that ships with the program: its ONNX file.
pub const LOCALISER: &[u8] = include_bytes!("../../models/icons/localiser.onnx");
/// The aligner that ships with the program.
pub const ALIGNER: &[u8] = include_bytes!("../../models/icons/aligner.onnx");
/// The embedder that ships with the program.
pub const EMBEDDER: &[u8] = include_bytes!("../../models/icons/embedder.onnx");

/// Which networks ship with this program: `icons ` and 12 digits of a SHA-256 over them.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut digits = ContentHash::of(&[LOCALISER, ALIGNER, EMBEDDER].concat()).to_string();
        digits.truncate(12);
        format!("icons {digits}")
    });
    &VERSION
}

/// The icon that forbids: it is reported on weaker evidence than the others.
pub const FORBIDDING: &str = "do-not-share";
/// The size that the localiser was made for.
const LOCALISER_SIDE_PX: u32 = 1024;
/// Smaller icons than this (in px at the localiser's size) are not taken from the quarter-size copy.
const QUARTER_SIDE_MIN_PX: f32 = 80.0;
/// Of the hottest candidates, how many are aligned twice whatever the first pass said.
const SECOND_CHANCES: usize = 3;
/// Of the hottest candidates, how many are searched for poses.
const POSED_MAX: usize = 2;
/// Of the poses of one candidate, how many are aligned to the end.
const POSES_KEPT: usize = 2;
/// Candidates that are looked at closely, per photo.
const CANDIDATES_MAX: usize = 12;

/// From this on, twice as many poses are followed.
const HOT: f32 = 0.25;
/// Below this, only the first few candidates count.
const WARM: f32 = 0.18;
/// How many.
const LUKEWARM_MAX: usize = 4;

/// Paper less ink, over what the drawing has; sharpened pictures overshoot, nonsense goes beyond.
const CONTRAST_MAX: f32 = 1.3;

/// Where each decision falls. All likenesses are correlations or cosines, `-1.0..=1.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gates {
    /// Frame at least so likely.
    pub framed_min: f32,
    /// Embedding at least so near to the icon's own.
    pub cosine_min: f32,
    /// And so much nearer than to any other.
    pub cosine_lead_min: f32,
    /// Drawing explains the tile.
    pub likeness_min: f32,
    /// Drawing explains the sign inside.
    pub sign_likeness_min: f32,
    /// Share of cells that agree (reference/detection.md §6.3 asks for 0.7).
    pub cells_share_min: f32,
    /// The frame's gap is there: 1 is as drawn, 0.5 half closed; above 1 by as much is no
    /// better, something else is there.
    pub gap_min: f32,
    /// Pixels speak for this icon and not for the nearest other; counted as `gap_min`.
    pub rival_min: f32,
    /// By so many standard errors.
    pub rival_errors_min: f32,
    /// Paper is so much brighter than ink (and never by more than a picture can hold).
    pub contrast_min: f32,
    /// The drawing need not be blurred by more than this share of its side: with enough
    /// blur, anything resembles anything.
    pub blur_max: f32,
}

/// All numbers that decide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Candidates below are not looked at.
    pub heat_min: f32,
    /// Candidates below after the first alignment are dropped: most of an empty photo's.
    pub framed_first_min: f32,
    /// Candidates hotter than this and less framed than `settled_min` are searched for poses.
    pub pose_heat_min: f32,
    /// All but the hottest candidate must be hotter than this for it.
    pub pose_more_heat_min: f32,
    /// With so much of a frame seen, the outline is taken as it is.
    pub settled_min: f32,
    /// Poses in which the frame explains less are not followed.
    pub pose_likeness_min: f32,
    /// Candidates below after the second alignment are dropped, too.
    pub framed_second_min: f32,
    /// Those that are nearer to no icon than this are not compared with a drawing.
    pub drawn_cosine_min: f32,
    /// To order.
    pub order: Gates,
    /// To order, at the second look, which sees a softer picture.
    pub second: Gates,
    /// To order where something lies over the icon; of what is seen of it.
    pub order_covered: Gates,
    /// The same at the second look.
    pub second_covered: Gates,
    /// Share of a covered icon that must be seen, and share above which nothing lies over it.
    pub visible: [f32; 2],
    /// Of what is covered, the share that must be frame: what differs in the sign alone is
    /// another sign.
    pub frame_hidden_min: f32,
    /// What more an uncovered icon has to show to order the larger it is: from a side on (px),
    /// at least this cosine and this likeness of the sign. Small signs are alike by blur, large
    /// ones are not: here the twins of enrolled signs are told from them.
    pub sharp: [(f32, f32, f32); 3],
    /// Smaller icons must not be covered, px.
    pub covered_side_px_min: f32,
    /// To ask.
    pub ask: Gates,
    /// To ask about [`FORBIDDING`].
    pub ask_forbidding: Gates,
    /// Corners that both looks found lie at most this share of the side apart,
    pub drift_max: f32,
    /// and so many px more: what is left of precision on the smallest icons.
    pub drift_px_max: f32,
    /// Of a covered icon, as a share of the side.
    pub drift_covered_max: f32,
    /// A place that looks so much framed and is no icon is handed on as a frame.
    pub frame_min: f32,
}

impl Default for Thresholds {
    /// Measured with the networks before they counted in 8 bits and before poses were searched:
    /// 2,235 ordinary photos, each at its own size and enlarged to 1024 px, on one side;
    /// composites on held-out photos (`tests/suite/icons.rs`) on the other. With what ships now,
    /// the same photos have no sighting of either tier, and `make bench-icons` gives the rest.
    ///
    /// | | highest of any place in ordinary photos | lowest 2 % of icons read, 16 px EASY / 24 px HARD |
    /// |---|---|---|
    /// | framed | 0.87 | 0.75 / 0.58 |
    /// | cosine | 0.59 | 0.84 / 0.74 |
    /// | likeness | 0.92 | 0.78 / 0.92 |
    /// | sign likeness | 0.94 | 0.89 / 0.91 |
    ///
    /// The highest values come from different places. The place that came nearest to all
    /// gates at once (a lemon of 17 px) had framed 0.48, cosine 0.46, likeness 0.83 and
    /// needed the strongest blur there is (0.12) to look so; icons read need at most 0.075.
    fn default() -> Self {
        let order = Gates {
            framed_min: 0.7,
            cosine_min: 0.65,
            cosine_lead_min: 0.25,
            likeness_min: 0.75,
            sign_likeness_min: 0.8,
            cells_share_min: 0.7,
            gap_min: 0.6,
            rival_min: 0.75,
            rival_errors_min: 4.0,
            contrast_min: 0.12,
            blur_max: 0.1,
        };
        Self {
            heat_min: 0.12,
            framed_first_min: 0.02,
            pose_heat_min: 0.13,
            pose_more_heat_min: 0.2,
            settled_min: 0.7,
            pose_likeness_min: 0.35,
            framed_second_min: 0.02,
            drawn_cosine_min: 0.4,
            order,
            second: Gates {
                cosine_min: 0.5,
                cosine_lead_min: 0.15,
                likeness_min: 0.7,
                sign_likeness_min: 0.65,
                framed_min: 0.5,
                rival_errors_min: 2.0,
                ..order
            },
            order_covered: Gates {
                framed_min: 0.03,
                cosine_min: 0.45,
                cosine_lead_min: 0.15,
                likeness_min: 0.88,
                sign_likeness_min: 0.85,
                cells_share_min: 0.8,
                gap_min: 0.5,
                rival_errors_min: 12.0,
                contrast_min: 0.15,
                blur_max: 0.05,
                ..order
            },
            second_covered: Gates {
                framed_min: 0.01,
                cosine_min: 0.4,
                cosine_lead_min: 0.1,
                likeness_min: 0.82,
                sign_likeness_min: 0.75,
                cells_share_min: 0.7,
                gap_min: 0.4,
                rival_min: 0.7,
                rival_errors_min: 8.0,
                contrast_min: 0.12,
                blur_max: 0.08,
            },
            visible: [0.6, 0.95],
            frame_hidden_min: 0.2,
            sharp: [(28.0, 0.8, 0.8), (44.0, 0.92, 0.93), (60.0, 0.92, 0.945)],
            covered_side_px_min: 28.0,
            ask: Gates {
                framed_min: 0.2,
                cosine_min: 0.45,
                cosine_lead_min: 0.1,
                likeness_min: 0.65,
                sign_likeness_min: 0.6,
                cells_share_min: 0.55,
                gap_min: 0.4,
                rival_min: 0.55,
                rival_errors_min: 1.5,
                contrast_min: 0.08,
                blur_max: 0.1,
            },
            ask_forbidding: Gates {
                framed_min: 0.1,
                cosine_min: 0.4,
                cosine_lead_min: 0.0,
                likeness_min: 0.6,
                sign_likeness_min: 0.55,
                cells_share_min: 0.5,
                gap_min: 0.3,
                rival_min: 0.5,
                rival_errors_min: 1.0,
                contrast_min: 0.06,
                blur_max: 1.0,
            },
            drift_max: 0.06,
            drift_px_max: 1.2,
            drift_covered_max: 0.12,
            frame_min: 0.3,
        }
    }
}

/// The three networks, loaded.
#[derive(Debug)]
pub struct IconModels {
    localiser: Localiser,
    aligner: Aligner,
    embedder: Embedder,
}

impl IconModels {
    /// Loads the networks that ship with the program.
    ///
    /// # Errors
    /// `Network` when the library cannot run them.
    pub fn built_in(runtime: &Runtime) -> Result<Self, DetectionError> {
        Ok(Self {
            localiser: Localiser::new(runtime, LOCALISER)?,
            aligner: Aligner::new(runtime, ALIGNER)?,
            embedder: Embedder::new(runtime, EMBEDDER)?,
        })
    }

    /// Loads `localiser.onnx`, `aligner.onnx` and `embedder.onnx` from a folder.
    ///
    /// # Errors
    /// `NetworkFile` when one cannot be read, `Network` when it cannot be used.
    pub fn from_folder(runtime: &Runtime, folder: &Path) -> Result<Self, DetectionError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| DetectionError::NetworkFile { path, source })
        };
        Ok(Self {
            localiser: Localiser::new(runtime, &read("localiser.onnx")?)?,
            aligner: Aligner::new(runtime, &read("aligner.onnx")?)?,
            embedder: Embedder::new(runtime, &read("embedder.onnx")?)?,
        })
    }

    /// Enrols a set, for any number of detectors; see [`Enrolment::of`].
    ///
    /// # Errors
    /// When an icon cannot be drawn or the network fails.
    pub fn enrol(
        &mut self,
        set: &IconSet,
        memory: &mut Memory,
    ) -> Result<Enrolment, DetectionError> {
        Enrolment::of(set, &mut self.embedder, memory)
    }

    /// The network that embeds.
    pub const fn embedder(&self) -> &Embedder {
        &self.embedder
    }
}

/// Everything that is known about one place that was looked at closely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Where, in px of the frame.
    pub quad: Quad,
    /// What the localiser said, `0.0..=1.0`.
    pub heat: f32,
    /// What the aligner said at its second pass, `0.0..=1.0`.
    pub framed: f32,
    /// What the gallery said.
    pub matched: Match,
    /// What the drawing says; absent when the place was not worth drawing for.
    pub evidence: Option<Evidence>,
    /// What the second look says; absent when there was no cause for one.
    pub second: Option<Second>,
    /// How sure all that makes us, `0.0..=1.0`.
    pub score: f32,
    /// Absent when it is nothing to speak of.
    pub tier: Option<Tier>,
    /// What is around it; absent when no seal is asked for or there is no tier.
    pub seal: Option<SealReading>,
}

/// What the second look says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Second {
    /// What the aligner said.
    pub framed: f32,
    /// What the gallery said.
    pub matched: Match,
    /// What the drawing says.
    pub evidence: Evidence,
    /// Largest distance of a corner from where the first look saw it, as a share of the side.
    pub drift: f32,
}

/// One outline that a candidate may have.
#[derive(Debug, Clone, Copy)]
struct Guess {
    candidate: usize,
    quad: Quad,
    framed: f32,
}

/// Finds icons. One per thread: it keeps its buffers.
#[derive(Debug)]
pub struct IconDetector {
    models: IconModels,
    gallery: Gallery,
    verifier: Verifier,
    poses: Poses,
    names: Vec<String>,
    thresholds: Thresholds,
    candidates: Vec<Candidate>,
    embeddings: Vec<Embedding>,
    framed: Vec<f32>,
    frames: Vec<Quad>,
    seal_words: Vec<SealWord>,
    seal_reader: SealReader,
}

impl IconDetector {
    /// Enrols a set and looks for it; icons that do not ship take some 40 ms each.
    ///
    /// # Errors
    /// When an icon cannot be drawn or a network fails.
    pub fn new(mut models: IconModels, set: &IconSet) -> Result<Self, DetectionError> {
        let enrolment = models.enrol(set, &mut Memory::house())?;
        Self::of(models, enrolment)
    }

    /// Looks for icons that are enrolled already.
    ///
    /// # Errors
    /// None as long as the frame that is built in is sound.
    pub fn of(models: IconModels, enrolment: Enrolment) -> Result<Self, DetectionError> {
        let Enrolment { names, gallery, templates } = enrolment;
        Ok(Self {
            models,
            gallery,
            verifier: Verifier::new(templates),
            poses: Poses::new()?,
            names,
            thresholds: Thresholds::default(),
            candidates: Vec::new(),
            embeddings: Vec::new(),
            framed: Vec::new(),
            frames: Vec::new(),
            seal_words: Vec::new(),
            seal_reader: SealReader::default(),
        })
    }

    /// From now on the seal around each icon is read and compared with these words, of which
    /// the first [`WORDS_MAX`] count. Without words no seal is looked for.
    pub fn set_seal(&mut self, words: &[SealWord]) {
        self.seal_words = words.iter().copied().take(WORDS_MAX).collect();
    }

    /// What the set looks like to the embedder.
    pub const fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// Name of an icon by its index in a [`Finding`].
    pub fn name(&self, icon: usize) -> &str {
        self.names.get(icon).map_or("", String::as_str)
    }

    /// Outlines in the frame that was looked at last which look like a house frame around something
    /// other than an icon of the set: a sign that is not enrolled, a portrait.
    pub fn frames(&self) -> &[Quad] {
        &self.frames
    }

    /// The numbers that decide.
    pub const fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// Finds the icons of one frame, best first, corners in px of the frame.
    ///
    /// # Errors
    /// When a network fails: never because of what the frame shows.
    pub fn look(&mut self, frame: &Frame) -> Result<Vec<IconSighting>, DetectionError> {
        let findings = self.examine(frame)?;
        Ok(self.sightings(&findings))
    }

    /// The same for a frame of which a preview is at hand: places are proposed in the preview,
    /// everything else is seen in the frame's own pixels.
    ///
    /// - `preview`: the same picture, smaller, at most 1024 px
    ///
    /// # Errors
    /// As [`IconDetector::look`].
    pub fn look_closely(
        &mut self,
        frame: &Frame,
        preview: &Frame,
    ) -> Result<Vec<IconSighting>, DetectionError> {
        let scale = frame.width_px() as f32 / preview.width_px() as f32;
        self.localise(preview, scale)?;
        let findings = self.follow(frame)?;
        Ok(self.sightings(&findings))
    }

    fn sightings(&self, findings: &[Finding]) -> Vec<IconSighting> {
        let sightings = findings.iter().filter_map(|finding| {
            finding.tier.map(|tier| IconSighting {
                name: self.name(finding.matched.index).to_owned(),
                tier,
                score: finding.score,
                corners: finding.quad.0,
                seal: finding.seal.map(|reading| reading.seal),
            })
        });
        sightings.collect()
    }

    /// The same with everything that is known about each place looked at, best score first.
    ///
    /// # Errors
    /// As [`IconDetector::look`].
    pub fn examine(&mut self, frame: &Frame) -> Result<Vec<Finding>, DetectionError> {
        let smaller = shrunk(frame, LOCALISER_SIDE_PX);
        let preview = smaller.as_ref().unwrap_or(frame);
        let scale = frame.width_px() as f32 / preview.width_px() as f32;
        self.localise(preview, scale)?;
        self.follow(frame)
    }

    /// Carries the candidates through all other stages.
    fn follow(&mut self, frame: &Frame) -> Result<Vec<Finding>, DetectionError> {
        let mut pyramid = Pyramid::new(frame);
        let (starts, heats) = self.best_candidates();
        let mut quads = starts.clone();
        self.align(&mut pyramid, &mut quads)?;
        let mut framed = self.framed.clone();
        // Most candidates of an empty photo end here; the hottest have a second chance.
        let first_min = self.thresholds.framed_first_min;
        let again: Vec<usize> =
            (0..quads.len()).filter(|&i| i < SECOND_CHANCES || framed[i] >= first_min).collect();
        let mut moved: Vec<Quad> = again.iter().map(|&i| quads[i]).collect();
        self.align(&mut pyramid, &mut moved)?;
        for (at, &index) in again.iter().enumerate() {
            quads[index] = moved[at];
            framed[index] = self.framed[at];
        }
        let mut guesses: Vec<Guess> = again
            .iter()
            .map(|&i| Guess { candidate: i, quad: quads[i], framed: framed[i] })
            .collect();
        self.pose(&mut pyramid, &starts, &heats, &mut guesses)?;
        guesses.retain(|guess| {
            guess.framed >= self.thresholds.framed_second_min
                && guess.quad.is_plausible(4.0)
                && guess.quad.side_px() >= 8.0
        });
        let guessed: Vec<Quad> = guesses.iter().map(|guess| guess.quad).collect();
        self.models.embedder.run(&mut pyramid, &guessed, &mut self.embeddings)?;
        let matches: Vec<Option<Match>> =
            self.embeddings.iter().map(|embedding| self.gallery.nearest(embedding)).collect();
        // Of several outlines at one place the one counts in which an icon is recognised.
        let worth = |i: usize| matches[i].map_or(-1.0, |m| m.cosine) + 0.25 * guesses[i].framed;
        let mut kept: Vec<usize> = (0..guesses.len()).collect();
        kept.sort_by(|&a, &b| worth(b).total_cmp(&worth(a)));
        suppress(&guessed, &mut kept, 0.3);
        let mut findings = Vec::with_capacity(kept.len());
        for index in kept {
            let Some(matched) = matches[index] else { continue };
            let guess = guesses[index];
            let mut finding = Finding {
                quad: guess.quad,
                heat: heats[guess.candidate],
                framed: guess.framed,
                matched,
                evidence: None,
                second: None,
                score: 0.0,
                tier: None,
                seal: None,
            };
            self.weigh(&mut pyramid, &mut finding)?;
            self.read_seal(&mut pyramid, &mut finding);
            findings.push(finding);
        }
        self.frames.clear();
        let frame_min = self.thresholds.frame_min;
        let framed = findings.iter().filter(|seen| seen.tier != Some(Tier::Order));
        let framed = framed.filter(|seen| seen.framed >= frame_min);
        self.frames.extend(framed.map(|seen| seen.quad));
        findings.sort_by(|a, b| b.tier.cmp(&a.tier).then(b.score.total_cmp(&a.score)));
        Ok(findings)
    }

    /// - `scale`: px of the frame over px of the preview
    fn localise(&mut self, preview: &Frame, scale: f32) -> Result<(), DetectionError> {
        self.candidates.clear();
        let heat_min = self.thresholds.heat_min;
        self.models.localiser.run(preview, scale, heat_min, &mut self.candidates)?;
        let mut copies = Pyramid::new(preview);
        let (quarter, level) = copies.level(2);
        if level == 2 {
            // What is small even here was seen four times larger before, and better.
            let seen_before = self.candidates.len();
            self.models.localiser.run(quarter, scale * 4.0, heat_min, &mut self.candidates)?;
            let mut index = 0;
            self.candidates.retain(|candidate| {
                index += 1;
                index <= seen_before || candidate.quad.side_px() >= QUARTER_SIDE_MIN_PX * scale
            });
        }
        Ok(())
    }

    /// The hottest candidates that can be icons, without twins.
    fn best_candidates(&self) -> (Vec<Quad>, Vec<f32>) {
        let quads: Vec<Quad> = self.candidates.iter().map(|candidate| candidate.quad).collect();
        let mut order: Vec<usize> = (0..quads.len())
            .filter(|&i| quads[i].is_plausible(5.0) && quads[i].side_px() >= 8.0)
            .collect();
        order.sort_by(|&a, &b| self.candidates[b].heat.total_cmp(&self.candidates[a].heat));
        // Comparing each with each would grow with the square of what a strange photo gives.
        order.truncate(8 * CANDIDATES_MAX);
        suppress(&quads, &mut order, 0.4);
        order.truncate(CANDIDATES_MAX);
        // Many lukewarm places are a lively ground; an icon is among the first of them.
        let warm =
            order.iter().position(|&i| self.candidates[i].heat < WARM).unwrap_or(order.len());
        order.truncate(warm.max(LUKEWARM_MAX));
        let heats = order.iter().map(|&i| self.candidates[i].heat).collect();
        (order.iter().map(|&i| quads[i]).collect(), heats)
    }

    fn align(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        quads: &mut [Quad],
    ) -> Result<(), DetectionError> {
        self.models.aligner.run(pyramid, quads, &mut self.framed)
    }

    /// Adds outlines at places where the localiser saw something and no frame came of it: of
    /// small, steep and covered icons it often knows the place but not the corners.
    fn pose(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        starts: &[Quad],
        heats: &[f32],
        guesses: &mut Vec<Guess>,
    ) -> Result<(), DetectionError> {
        for candidate in 0..starts.len().min(POSED_MAX) {
            let settled = |guess: &Guess| {
                guess.candidate == candidate && guess.framed >= self.thresholds.settled_min
            };
            let heat_min = if candidate == 0 {
                self.thresholds.pose_heat_min
            } else {
                self.thresholds.pose_more_heat_min
            };
            if heats[candidate] < heat_min || guesses.iter().any(settled) {
                continue;
            }
            let least = self.thresholds.pose_likeness_min;
            let count_max = if heats[candidate] >= HOT { FOUND_MAX } else { FOUND_MAX / 2 };
            let found = self.poses.find(pyramid, &starts[candidate], least, count_max);
            let mut quads: Vec<Quad> = found.into_iter().map(|(quad, _)| quad).collect();
            self.align(pyramid, &mut quads)?;
            self.align(pyramid, &mut quads)?;
            let mut order: Vec<usize> = (0..quads.len()).collect();
            order.sort_by(|&a, &b| self.framed[b].total_cmp(&self.framed[a]));
            order.truncate(POSES_KEPT);
            let mut quads: Vec<Quad> = order.iter().map(|&i| quads[i]).collect();
            self.align(pyramid, &mut quads)?;
            for (&quad, &framed) in quads.iter().zip(&self.framed) {
                guesses.push(Guess { candidate, quad, framed });
            }
        }
        Ok(())
    }

    /// Draws, compares, looks again, and decides.
    fn weigh(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        finding: &mut Finding,
    ) -> Result<(), DetectionError> {
        let thresholds = self.thresholds;
        if finding.matched.cosine < thresholds.drawn_cosine_min {
            return Ok(());
        }
        let drift_max = thresholds.drift_max + thresholds.drift_px_max / finding.quad.side_px();
        let Some((matched, evidence)) = self.compare(pyramid, &finding.quad, finding.matched)
        else {
            return Ok(());
        };
        finding.matched = matched;
        let side_px = evidence.quad.side_px();
        let is_sharp = thresholds.sharp.iter().all(|&(from_px, cosine_min, likeness_min)| {
            side_px < from_px
                || (matched.cosine >= cosine_min && evidence.sign_likeness >= likeness_min)
        });
        let is_plain = is_sharp && thresholds.order.pass(finding.framed, &matched, &evidence);
        let covered = if is_plain { None } else { self.uncover(pyramid, finding, &evidence) };
        let evidence = covered.unwrap_or(evidence);
        finding.quad = evidence.quad;
        finding.evidence = Some(evidence);
        finding.score = score(finding.framed, &matched, &evidence);
        let again = if covered.is_some() { thresholds.second_covered } else { thresholds.second };
        if is_plain || covered.is_some() {
            finding.second =
                self.look_again(pyramid, &finding.quad, matched.index, covered.is_some())?;
        }
        let drift_max = if covered.is_some() { thresholds.drift_covered_max } else { drift_max };
        let agrees = finding.second.is_some_and(|second| {
            second.matched.index == matched.index
                && second.drift <= drift_max
                && again.pass(second.framed, &second.matched, &second.evidence)
        });
        let forbidding = self.name(matched.index) == FORBIDDING;
        let ask = if forbidding { &thresholds.ask_forbidding } else { &thresholds.ask };
        if let Some(second) = &finding.second {
            let again = score(second.framed, &second.matched, &second.evidence);
            finding.score = 0.5 * (finding.score + again);
        }
        finding.tier = if agrees {
            Some(Tier::Order)
        } else if ask.pass(finding.framed, &matched, &evidence) {
            Some(Tier::Ask)
        } else {
            None
        };
        Ok(())
    }

    /// Evidence of what is seen of an icon, where so much is seen and fits that it may order.
    fn uncover(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        finding: &Finding,
        whole: &Evidence,
    ) -> Option<Evidence> {
        let thresholds = &self.thresholds;
        let gates = thresholds.order_covered;
        let can_be = finding.quad.side_px() >= thresholds.covered_side_px_min
            && finding.matched.cosine >= gates.cosine_min
            && whole.likeness >= 0.3;
        if !can_be {
            return None;
        }
        let seen = self.verifier.verify_covered(pyramid, &finding.quad, finding.matched.index)?;
        let [least, most] = self.thresholds.visible;
        let passes = (least..=most).contains(&seen.visible)
            && seen.frame_hidden >= self.thresholds.frame_hidden_min
            && gates.pass(finding.framed, &finding.matched, &seen);
        passes.then_some(seen)
    }

    /// Reads the seal around what has a tier, from the pixels that decided it.
    fn read_seal(&mut self, pyramid: &mut Pyramid<'_>, finding: &mut Finding) {
        if let (Some(_), Some(evidence), [_, ..]) =
            (finding.tier, &finding.evidence, &*self.seal_words)
        {
            let (quad, blur) = (&finding.quad, evidence.blur);
            finding.seal = Some(self.seal_reader.read(pyramid, quad, blur, &self.seal_words));
        }
    }

    /// Draws the nearest icon and, when it is close behind, the runner-up; the better one counts.
    fn compare(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        quad: &Quad,
        matched: Match,
    ) -> Option<(Match, Evidence)> {
        let first = self.verifier.verify(pyramid, quad, matched.index);
        if matched.cosine - matched.runner_up_cosine > 0.25 || matched.runner_up == matched.index {
            return first.map(|evidence| (matched, evidence));
        }
        let swapped = Match {
            index: matched.runner_up,
            cosine: matched.runner_up_cosine,
            runner_up: matched.index,
            runner_up_cosine: matched.cosine,
        };
        let second = self.verifier.verify(pyramid, quad, matched.runner_up);
        match (first, second) {
            (Some(first), Some(second)) if second.sign_likeness > first.sign_likeness + 0.05 => {
                Some((swapped, second))
            }
            (Some(first), _) => Some((matched, first)),
            (None, second) => second.map(|evidence| (swapped, evidence)),
        }
    }

    /// Looks at the place again in a copy of 0.8 times the size, from a shifted start.
    fn look_again(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        quad: &Quad,
        icon: usize,
        is_covered: bool,
    ) -> Result<Option<Second>, DetectionError> {
        const SCALE: f32 = 0.8;
        const SHIFT: f32 = 0.03;
        let side_px = quad.side_px();
        let Some((copy, origin, scale)) = reduced(pyramid, quad, SCALE) else {
            return Ok(None);
        };
        let mut start = quad.map(|[x, y]| [(x - origin[0]) * scale, (y - origin[1]) * scale]);
        for (corner, [dx, dy]) in
            start.0.iter_mut().zip([[1.0, 0.4], [-0.3, 1.0], [0.6, -0.8], [-1.0, -0.2]])
        {
            corner[0] += dx * SHIFT * side_px * scale;
            corner[1] += dy * SHIFT * side_px * scale;
        }
        let mut copies = Pyramid::new(&copy);
        let mut quads = [start];
        self.models.aligner.run(&mut copies, &mut quads, &mut self.framed)?;
        let framed = self.framed.first().copied().unwrap_or(0.0);
        self.models.embedder.run(&mut copies, &quads, &mut self.embeddings)?;
        let matched = self.embeddings.first().and_then(|embedding| self.gallery.nearest(embedding));
        let evidence = if is_covered {
            self.verifier.verify_covered(&mut copies, &quads[0], icon)
        } else {
            self.verifier.verify(&mut copies, &quads[0], icon)
        };
        let (Some(matched), Some(mut evidence)) = (matched, evidence) else {
            return Ok(None);
        };
        evidence.quad = evidence.quad.map(|[x, y]| [x / scale + origin[0], y / scale + origin[1]]);
        let drift = evidence
            .quad
            .0
            .iter()
            .zip(&quad.0)
            .map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]))
            .fold(0.0, f32::max);
        Ok(Some(Second { framed, matched, evidence, drift: drift / side_px.max(1.0) }))
    }
}

impl Gates {
    /// Whether everything is at least as it must be.
    pub fn pass(&self, framed: f32, matched: &Match, evidence: &Evidence) -> bool {
        framed >= self.framed_min
            && matched.cosine >= self.cosine_min
            && matched.cosine - matched.runner_up_cosine >= self.cosine_lead_min
            && evidence.likeness >= self.likeness_min
            && evidence.sign_likeness >= self.sign_likeness_min
            && evidence.cells_share >= self.cells_share_min
            && (self.gap_min..=2.0 - self.gap_min).contains(&evidence.gap)
            && (self.rival_min..=2.0 - self.rival_min).contains(&evidence.rival)
            && evidence.rival_errors >= self.rival_errors_min
            && (self.contrast_min..=CONTRAST_MAX).contains(&evidence.contrast)
            && evidence.blur <= self.blur_max
    }
}

/// One number for how much speaks for an icon, `0.0..=1.0`; for people and reports. What
/// decides are the [`Gates`].
fn score(framed: f32, matched: &Match, evidence: &Evidence) -> f32 {
    let likeness = 0.5 * (evidence.likeness.max(0.0) + evidence.sign_likeness.max(0.0));
    let parts = [
        framed,
        matched.cosine.max(0.0),
        likeness,
        evidence.cells_share,
        evidence.gap.clamp(0.0, 1.0),
        evidence.rival.clamp(0.0, 1.0),
    ];
    parts.iter().product::<f32>().powf(1.0 / parts.len() as f32)
}

/// A copy of what lies around a quad, `scale` times the size (less for icons over 150 px,
/// of which a halved copy shows enough): the copy, its top left in the frame, its scale.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds are clamped to the frame"
)]
fn reduced(pyramid: &mut Pyramid<'_>, quad: &Quad, scale: f32) -> Option<(Frame, [f32; 2], f32)> {
    let (mut wanted, mut side_px) = (0, quad.side_px());
    while side_px > 150.0 {
        side_px /= 2.0;
        wanted += 1;
    }
    let (frame, level) = pyramid.level(wanted);
    let shrink = 1.0 / (1_u32 << level) as f32;
    let around = quad.side_px() * shrink * 0.5;
    let bounds = quad.bounds().map(|value| value * shrink);
    let limit = |value: f32, side: u32| value.clamp(0.0, side as f32);
    let left = limit(bounds[0] - around, frame.width_px()).floor();
    let top = limit(bounds[1] - around, frame.height_px()).floor();
    let right = limit(bounds[2] + around, frame.width_px());
    let bottom = limit(bounds[3] + around, frame.height_px());
    let (width, height) = (((right - left) * scale) as u32, ((bottom - top) * scale) as u32);
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    // Four taps a quarter step apart are a box of the target's pixel: no aliasing at 0.8.
    let step = 1.0 / scale;
    for row in 0..height {
        for column in 0..width {
            let mut sum = [0.0_f32; 3];
            for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                let tap = bilinear(
                    frame,
                    left + (column as f32 + dx) * step,
                    top + (row as f32 + dy) * step,
                );
                (0..3).for_each(|channel| sum[channel] += tap[channel]);
            }
            rgb.extend(sum.map(|value| (value / 4.0 + 0.5) as u8));
        }
    }
    Some((Frame::new(width, height, rgb)?, [left / shrink, top / shrink], scale * shrink))
}
