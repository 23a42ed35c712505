//! One photo's bytes through media, preview and detection: once read, once decoded.
//!
//! Each worker thread owns an [`Analyst`] with its decoder, networks and buffers.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::people_book::{PeopleBook, PeopleError};
use crate::access::seal_words;
use crate::access::seals::SealsError;
use crate::base::clock::Timestamp;
use crate::base::config::{Config, Faces, Icons, environment};
use crate::base::home::Home;
use crate::base::ids::{ContentHash, derived};
use crate::base::names::Names;
use crate::detection::card::is_card;
use crate::detection::detector::{self, FORBIDDING};
use crate::detection::embed::Embedder;
use crate::detection::faces::curves::{Curves, OwnThresholdsError, own_thresholds};
use crate::detection::faces::detector::SeenFace;
use crate::detection::faces::manifest::FaceThresholds;
use crate::detection::faces::{
    FaceDetector, FaceFiles, FaceFilesError, FaceModels, FaceSighting, People,
};
use crate::detection::quads::Quad;
use crate::detection::warp::Pyramid;
use crate::detection::{
    DetectionError, Enrolment, IconDetector, IconModels, IconSet, IconSetError, IconSighting,
    LibrarySearch, Memory, Runtime, Seal, SealWord, Tier,
};
use crate::media::{
    DecodeSpec, Decoded, Decoder, Decoders, Extras, Frame, Metadata, Place, Retry, SandboxError,
    SharedBytes,
};
use crate::preview::{Imprint, PreviewError, PreviewSpec, Renderer, orient};
use crate::rules::facts::{CameraFact, PersonFact, PlaceFact};
use crate::rules::roll::clock_ms;
use crate::rules::{Facts, IconFact, PathFact, TimeFact};

/// What was seen in one photo version. Kept in the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Width of the upright original.
    pub width_px: u32,
    /// Height of the upright original.
    pub height_px: u32,
    /// Size of the original.
    pub bytes_count: u64,
    /// Such as `image/jpeg`.
    pub media_type: String,
    /// When it was taken, by the camera's clock: `2026-07-01T10:00:00`.
    pub taken_at: Option<String>,
    /// Thousandths of a second behind that, 0 to 999.
    #[serde(default)]
    pub taken_millis: u16,
    /// Digest of the camera's make, model and serial number, where it says any of them.
    #[serde(default)]
    pub camera: Option<String>,
    /// Such as `Canon`.
    #[serde(default)]
    pub camera_make: Option<String>,
    /// Such as `Canon EOS 40D`.
    #[serde(default)]
    pub camera_model: Option<String>,
    /// Where it was taken. For the owner's rules; never leaves the computer.
    #[serde(default)]
    pub place: Option<Place>,
    /// Icons, best first; corners in pixels of the upright original.
    pub icons: Vec<IconSighting>,
    /// Faces, those of enrolled people by name; bounds in pixels of the upright original. What is kept
    /// holds those of enrolled people alone.
    #[serde(default)]
    pub faces: Vec<FaceSighting>,
    /// What is left of faces of nobody's once they are forgotten.
    #[serde(default)]
    pub strangers: Strangers,
    /// Whether it shows a card and little else.
    #[serde(default)]
    pub card: bool,
    /// What its bytes say of what travels with it.
    #[serde(default)]
    pub extras: Extras,
    /// Which networks looked at it: [`detector::version`], then those for faces where there were
    /// any; empty: an earlier Signet's.
    #[serde(default)]
    pub seen_by: String,
}

/// What is kept of faces that are nobody's who is enrolled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strangers {
    /// How many there were.
    pub count: u32,
    /// One was nearer to the middle of the photo than everybody who was recognised.
    pub has_nearest: bool,
    /// The face of one was larger than those of everybody who was recognised.
    pub has_largest: bool,
}

/// Why nothing could be said of a photo.
#[derive(Debug, thiserror::Error)]
pub enum AnalyseError {
    /// Its bytes, or what decodes them.
    #[error(transparent)]
    Decode(#[from] SandboxError),
    /// Making the preview.
    #[error(transparent)]
    Preview(#[from] PreviewError),
    /// A network failed.
    #[error(transparent)]
    Detection(#[from] DetectionError),
    /// A bug; this photo is skipped, the others go on.
    #[error("this photo met a bug in signet, please report it: {0}")]
    Bug(String),
}

impl AnalyseError {
    /// When another try makes sense.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Decode(error) => error.retry(),
            Self::Preview(_) | Self::Detection(_) | Self::Bug(_) => Retry::WhenFileChanges,
        }
    }
}

/// Why no analyst could be made: nothing can be looked at.
#[derive(Debug, thiserror::Error)]
pub enum AnalystError {
    /// The library or a network.
    #[error(transparent)]
    Detection(#[from] DetectionError),
    /// The icons.
    #[error(transparent)]
    Icons(#[from] IconSetError),
    /// The face networks.
    #[error(transparent)]
    Faces(#[from] FaceFilesError),
    /// The people who are enrolled.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// Thresholds for faces in `signet.toml`.
    #[error(transparent)]
    Thresholds(#[from] OwnThresholdsError),
    /// The seals.
    #[error(transparent)]
    Seals(#[from] SealsError),
}

/// What analysts are made from; made once, shared by the workers.
#[derive(Debug)]
pub struct Eyes {
    runtime: Runtime,
    library: PathBuf,
    icons: IconSet,
    seal_words: Vec<SealWord>,
    enrolment: Enrolment,
    memory: Memory,
    decoders: Decoders,
    faces: Option<FaceEyes>,
}

/// The face networks of a home, and who is to be recognised by them.
#[derive(Debug)]
struct FaceEyes {
    files: FaceFiles,
    recogniser: ContentHash,
    book: Arc<PeopleBook>,
}

impl FaceEyes {
    /// `None` where no networks were pulled.
    fn open(home: &Home) -> Result<Option<Self>, AnalystError> {
        let Some(files) = FaceFiles::read(&home.face_models_dir())? else { return Ok(None) };
        let recogniser = files.manifest.recogniser.source.sha256;
        let book = Arc::new(PeopleBook::open(home)?);
        Ok(Some(Self { files, recogniser, book }))
    }

    fn detector(&self, runtime: &Runtime) -> Result<FaceDetector, DetectionError> {
        let FaceFiles { manifest, detector, recogniser } = &self.files;
        let models = FaceModels::new(runtime, manifest, detector, recogniser)?;
        Ok(FaceDetector::new(models, manifest.thresholds))
    }

    /// Which networks they are: `faces ` and 12 digits.
    fn version(&self) -> String {
        let detector = self.files.manifest.detector.source.sha256;
        let both = [detector.to_string(), self.recogniser.to_string()].concat();
        let mut digits = ContentHash::of(both.as_bytes()).to_string();
        digits.truncate(12);
        format!("faces {digits}")
    }
}

impl Eyes {
    /// Finds the ONNX Runtime library, reads and enrols the icons that ship and, with a home,
    /// the owner's own.
    ///
    /// # Errors
    /// A library that is missing or too old, with the cure; a broken icon file.
    pub fn open(library: Option<&Path>, home: Option<&Home>) -> Result<Self, AnalystError> {
        let search = LibrarySearch {
            config: library.map(Path::to_path_buf),
            environment: environment("ORT_DYLIB_PATH").map(PathBuf::from),
            program: std::env::current_exe().ok(),
        };
        let library = search.find()?;
        let runtime = Runtime::load(&library)?;
        let mut memory = Memory::house();
        let icons = match home {
            Some(home) => {
                memory.read(&home.enrolled_path());
                IconSet::of_home(&home.icons_dir())?
            }
            None => IconSet::house()?,
        };
        let mut embedder = Embedder::new(&runtime, detector::EMBEDDER)?;
        let enrolment = Enrolment::of(&icons, &mut embedder, &mut memory)?;
        let (seal_words, decoders) = (Vec::new(), Decoders::sandboxed());
        let faces = home.map(FaceEyes::open).transpose()?.flatten();
        let eyes = Self { runtime, library, icons, enrolment, memory, seal_words, decoders, faces };
        if eyes.memory.missed_count() > 0
            && let Some(home) = home.filter(|home| home.icons_dir().is_dir())
        {
            eyes.remember(home, &eyes.icons, &eyes.memory);
        }
        Ok(eyes)
    }

    /// Enrols another set, and gives what is remembered of it.
    ///
    /// # Errors
    /// When an icon cannot be drawn or the network fails.
    pub fn enrol(&self, set: &IconSet) -> Result<(Enrolment, Memory), DetectionError> {
        let mut memory = self.memory.clone();
        let mut embedder = Embedder::new(&self.runtime, detector::EMBEDDER)?;
        Ok((Enrolment::of(set, &mut embedder, &mut memory)?, memory))
    }

    /// Keeps what is remembered of a set, so that the next start is fast. Without it the next
    /// start is slower and nothing else.
    pub fn remember(&self, home: &Home, set: &IconSet, memory: &Memory) {
        if let Err(error) = memory.write(&home.enrolled_path(), set) {
            tracing::debug!(%error, "enrolled icons cannot be remembered");
        }
    }

    /// As a config says, and for the seals of its home.
    ///
    /// # Errors
    /// As [`Self::open`]; seals that cannot be read.
    pub fn of(config: &Config, home: &Home) -> Result<Self, AnalystError> {
        let eyes = Self::open(config.detection.onnxruntime.as_deref(), Some(home))?;
        Ok(eyes.with_thresholds(config.faces)?.with_seal(seal_words(home)?))
    }

    /// The icons.
    pub const fn icons(&self) -> &IconSet {
        &self.icons
    }

    /// What is known of them.
    pub const fn enrolment(&self) -> &Enrolment {
        &self.enrolment
    }

    /// Looks for the owner's seal around icons, too: any of these words.
    #[must_use]
    pub fn with_seal(mut self, words: Vec<SealWord>) -> Self {
        self.seal_words = words;
        self
    }

    /// Decides about faces by the owner's thresholds.
    ///
    /// # Errors
    /// When they make ordering easier than what was measured.
    pub fn with_thresholds(mut self, own: Faces) -> Result<Self, AnalystError> {
        if let Some(faces) = &mut self.faces {
            faces.files.manifest.thresholds = own_thresholds(&faces.files.manifest, own)?;
        }
        Ok(self)
    }

    /// What [`Self::with_thresholds`] would decide by; `None` where there are no networks for faces.
    pub fn own_face_thresholds(
        &self,
        own: Faces,
    ) -> Option<Result<FaceThresholds, OwnThresholdsError>> {
        self.faces.as_ref().map(|faces| own_thresholds(&faces.files.manifest, own))
    }

    /// How often faces were found alike that should be and that should not; `None` where there are
    /// no networks for faces, or others than the shipped curves were counted with.
    pub fn face_curves(&self) -> Option<Curves> {
        self.faces.as_ref().and_then(|faces| Curves::of(&faces.files.manifest))
    }

    /// How many people are recognised now; `None` where no networks for it were pulled.
    pub fn people_count(&self) -> Option<usize> {
        let faces = self.faces.as_ref()?;
        Some(faces.book.recognised(&faces.recogniser, Timestamp::now()).all().len())
    }

    /// How many people are not recognised any more because their consent is over.
    pub fn consents_over_count(&self) -> usize {
        self.faces.as_ref().map_or(0, |faces| faces.book.over_count(Timestamp::now()))
    }

    /// Where decisions about faces fall; `None` where no networks for them were pulled.
    pub fn face_thresholds(&self) -> Option<FaceThresholds> {
        self.faces.as_ref().map(|faces| faces.files.manifest.thresholds)
    }

    /// SHA-256 of the network that tells faces apart; `None` where there is none.
    pub fn recogniser(&self) -> Option<ContentHash> {
        self.faces.as_ref().map(|faces| faces.recogniser)
    }

    /// Names of the icons.
    pub fn icon_names(&self) -> Vec<String> {
        self.icons.names()
    }

    /// The ONNX Runtime library in use.
    pub fn library(&self) -> &Path {
        &self.library
    }
}

/// Looks at photos, one at a time.
#[derive(Debug)]
pub struct Analyst {
    decoder: Decoder,
    renderer: Renderer,
    detector: IconDetector,
    faces: Option<FaceSeer>,
    seen_by: String,
}

/// Looks for faces in photos.
#[derive(Debug)]
struct FaceSeer {
    detector: FaceDetector,
    recogniser: ContentHash,
    book: Arc<PeopleBook>,
    /// Those whose consent holds, looked for at the moment beside them.
    people: (Timestamp, People),
}

impl FaceSeer {
    fn new(detector: FaceDetector, recogniser: ContentHash, book: Arc<PeopleBook>) -> Self {
        let now = Timestamp::now();
        let people = (now, book.recognised(&recogniser, now));
        Self { detector, recogniser, book, people }
    }

    /// Finds faces and names those of people whose consent holds now.
    ///
    /// - `frames`: what may be house frames around portraits
    fn look(
        &mut self,
        best: &Frame,
        preview: &Frame,
        frames: &[Quad],
    ) -> Result<Vec<FaceSighting>, DetectionError> {
        let (now, (then, _)) = (Timestamp::now(), &self.people);
        // The clock may have been set back, too.
        if now < *then || self.book.next_change(*then).is_some_and(|at| at <= now) {
            self.people = (now, self.book.recognised(&self.recogniser, now));
        }
        self.detector.look(best, preview, &self.people.1, frames)
    }
}

impl Analyst {
    /// Loads the networks.
    ///
    /// # Errors
    /// A network that cannot be used.
    pub fn new(eyes: &Eyes) -> Result<Self, AnalystError> {
        let models = IconModels::built_in(&eyes.runtime)?;
        let mut detector = IconDetector::of(models, eyes.enrolment.clone())?;
        detector.set_seal(&eyes.seal_words);
        let decoder = eyes.decoders.decoder();
        let mut seen_by = detector::version().to_owned();
        let faces = match &eyes.faces {
            Some(faces) => {
                seen_by = format!("{seen_by}, {}", faces.version());
                let detector = faces.detector(&eyes.runtime)?;
                Some(FaceSeer::new(detector, faces.recogniser, faces.book.clone()))
            }
            None => None,
        };
        Ok(Self { decoder, renderer: Renderer::default(), detector, faces, seen_by })
    }

    /// Has photos decoded elsewhere than in a worker of this program.
    #[must_use]
    pub fn with_decoder(mut self, decoder: Decoder) -> Self {
        self.decoder = decoder;
        self
    }

    /// What decodes its photos.
    pub const fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Looks at one photo. With an imprint, gives its preview as well.
    ///
    /// # Errors
    /// See [`AnalyseError`]; the analyst can go on with the next photo after each.
    pub fn analyse(
        &mut self,
        original: &SharedBytes,
        imprint: Option<&Imprint>,
    ) -> Result<(Analysis, Option<Vec<u8>>), AnalyseError> {
        catch_unwind(AssertUnwindSafe(|| self.look(original, imprint))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(AnalyseError::Bug(text.unwrap_or_else(|| "no message".into())))
        })
    }

    /// The faces of one picture with all that is known of each, from left to right; none where no
    /// networks for faces were pulled.
    ///
    /// # Errors
    /// See [`AnalyseError`].
    pub fn faces(&mut self, original: &SharedBytes) -> Result<Vec<SeenFace>, AnalyseError> {
        Ok(self.faces_on(original)?.0)
    }

    /// The same, and the upright picture in whose px they are.
    ///
    /// # Errors
    /// See [`AnalyseError`].
    pub fn faces_on(
        &mut self,
        original: &SharedBytes,
    ) -> Result<(Vec<SeenFace>, Frame), AnalyseError> {
        let photo = self.decoder.decode(original, DecodeSpec::default())?;
        let preview = self.renderer.upright(&photo, PreviewSpec::default().long_side_px)?;
        let best = orient::upright(photo.frame, photo.metadata.orientation);
        let mut seen = Vec::new();
        let Some(FaceSeer { detector, .. }) = &mut self.faces else { return Ok((seen, best)) };
        // They are counted as `look` counts them, portraits in the frame of an icon among them.
        self.detector.look_closely(&best, &preview)?;
        let mut pyramid = Pyramid::new(&best);
        for (face, _) in detector.find_all(&mut pyramid, &preview, self.detector.frames())? {
            seen.extend(detector.look_at(&best, face)?);
        }
        seen.sort_by(|a, b| a.face.bounds[0].total_cmp(&b.face.bounds[0]));
        Ok((seen, best))
    }

    fn look(
        &mut self,
        original: &SharedBytes,
        imprint: Option<&Imprint>,
    ) -> Result<(Analysis, Option<Vec<u8>>), AnalyseError> {
        let photo = self.decoder.decode(original, DecodeSpec::default())?;
        let spec = PreviewSpec::default();
        let (frame, jpeg) = match imprint {
            Some(imprint) => {
                let preview = self.renderer.render(&photo, spec, imprint)?;
                (preview.frame, Some(preview.file))
            }
            None => (self.renderer.upright(&photo, spec.long_side_px)?, None),
        };
        let Decoded { width_px, height_px, media_type, metadata, extras, frame: decoded } = photo;
        // Icons are named by the best pixels at hand: those before the preview was made smaller.
        let best = orient::upright(decoded, metadata.orientation);
        let seen = self.detector.look_closely(&best, &frame)?;
        let faces = match &mut self.faces {
            Some(seer) => seer.look(&best, &frame, self.detector.frames())?,
            None => Vec::new(),
        };
        #[expect(clippy::cast_precision_loss, reason = "sides are far below 2^24")]
        let over = |px: u32, frame: &Frame| px as f32 / frame.long_side_px() as f32;
        let factor = over(width_px.max(height_px), &best);
        let small = over(frame.long_side_px(), &best);
        let on_preview: Vec<IconSighting> =
            seen.iter().map(|icon| icon.clone().scaled(small)).collect();
        let analysis = Analysis {
            width_px,
            height_px,
            bytes_count: original.as_slice().len() as u64,
            media_type: media_type.name().to_owned(),
            taken_at: metadata.taken_at.map(|time| time.to_string()),
            taken_millis: metadata.taken_millis,
            camera: camera_of(&metadata),
            camera_make: metadata.camera_make,
            camera_model: metadata.camera_model,
            place: metadata.place,
            strangers: Strangers::default(),
            card: is_card(&frame, &on_preview),
            extras,
            seen_by: self.seen_by.clone(),
            faces: faces.into_iter().map(|face| face.scaled(factor)).collect(),
            icons: seen.into_iter().map(|icon| icon.scaled(factor)).collect(),
        };
        Ok((analysis, jpeg))
    }
}

impl Analysis {
    /// When it was taken by the camera's clock, milliseconds since 1970 there.
    pub fn taken_ms(&self) -> Option<i64> {
        clock_ms(self.taken_at.as_deref()?, self.taken_millis)
    }

    /// Names of the enrolled people who are there, whose faces were recognised surely, each once.
    pub fn sure_people(&self) -> Vec<String> {
        let is_sure = |face: &&FaceSighting| face.tier == Some(Tier::Order) && !face.is_portrait();
        let sure = self.faces.iter().filter(is_sure);
        let names: BTreeSet<&String> = sure.filter_map(|face| face.person.as_ref()).collect();
        names.into_iter().cloned().collect()
    }

    /// What rules may know of it by itself; what travels with it is added by others.
    ///
    /// Where the owner requires a seal, an icon without it is lowered to `ask`; here, so that
    /// what was seen long ago follows when the owner changes their mind. The icon that forbids
    /// is obeyed as it was seen.
    pub fn facts(&self, path: PathFact, icons: Icons) -> Facts {
        let (width, height) = (f64::from(self.width_px), f64::from(self.height_px));
        let icon_fact = |icon: &IconSighting| {
            let mean = |axis: usize| {
                icon.corners.iter().map(|corner| f64::from(corner[axis])).sum::<f64>() / 4.0
            };
            // Nobody looked: nobody can tell.
            let seal = icon.seal.unwrap_or(Seal::Unreadable);
            let lowered = icons.require_seal
                && seal != Seal::Mine
                && icon.tier == Tier::Order
                && icon.name != FORBIDDING;
            IconFact {
                name: icon.name.clone(),
                tier: if lowered { Tier::Ask } else { icon.tier },
                seal,
                lowered,
                score: f64::from(icon.score),
                size: f64::from(icon.side_px()) / width.max(height),
                x: mean(0) / width,
                y: mean(1) / height,
            }
        };
        let person_fact = |face: &FaceSighting| {
            let [left, top, right, bottom] = face.bounds.map(f64::from);
            Some(PersonFact {
                name: face.person.clone()?,
                tier: face.tier?,
                // A portrait is an icon, and carries no seal.
                alone: face.is_portrait() && icons.require_seal,
                portrait: face.is_portrait(),
                score: f64::from(face.score),
                size: self.size_of(face),
                x: ((left + right) / 2.0 / width).clamp(0.0, 1.0),
                y: ((top + bottom) / 2.0 / height).clamp(0.0, 1.0),
            })
        };
        let strangers = self.all_strangers();
        Facts {
            icons: self.icons.iter().map(icon_fact).collect(),
            people: self.faces.iter().filter_map(person_fact).collect(),
            unknown_faces: strangers.count,
            unknown_is_nearest: strangers.has_nearest,
            unknown_is_largest: strangers.has_largest,
            path,
            taken: self.taken_at.as_deref().and_then(TimeFact::parse),
            width_px: self.width_px,
            height_px: self.height_px,
            bytes_count: self.bytes_count,
            place: self.place.map(|place| PlaceFact {
                latitude: place.latitude(),
                longitude: place.longitude(),
            }),
            camera: CameraFact {
                make: self.camera_make.clone().unwrap_or_default(),
                model: self.camera_model.clone().unwrap_or_default(),
            },
            ..Facts::default()
        }
    }
}

impl Analysis {
    /// Leaves nothing of faces that are nobody's who is enrolled but a count and two answers.
    pub fn forget_strangers(&mut self) {
        self.strangers = self.all_strangers();
        self.faces.retain(|face| face.person.is_some());
    }

    /// Strangers whose faces are still here, and those who were forgotten.
    fn all_strangers(&self) -> Strangers {
        let here = self.faces.iter().filter(|face| face.person.is_none());
        let living = self.faces.iter().filter(|face| face.person.is_some() && !face.is_portrait());
        let nearest = here.clone().map(|face| self.off_middle(face)).min_by(f64::total_cmp);
        let largest = here.clone().map(|face| self.size_of(face)).max_by(f64::total_cmp);
        let is_nearest = |off: f64| living.clone().all(|face| self.off_middle(face) > off);
        let is_largest = |size: f64| living.clone().all(|face| self.size_of(face) < size);
        let Strangers { count, has_nearest, has_largest } = self.strangers;
        Strangers {
            count: count.saturating_add(u32::try_from(here.count()).unwrap_or(u32::MAX)),
            has_nearest: has_nearest || nearest.is_some_and(is_nearest),
            has_largest: has_largest || largest.is_some_and(is_largest),
        }
    }

    /// Side of a face as a share of the photo's long side.
    fn size_of(&self, face: &FaceSighting) -> f64 {
        let [left, top, right, bottom] = face.bounds.map(f64::from);
        (right - left + bottom - top) / 2.0 / f64::from(self.width_px.max(self.height_px))
    }

    /// How far the middle of a face is from that of the photo, in px.
    fn off_middle(&self, face: &FaceSighting) -> f64 {
        let [left, top, right, bottom] = face.bounds.map(f64::from);
        let (width, height) = (f64::from(self.width_px), f64::from(self.height_px));
        ((left + right - width) / 2.0).hypot((top + bottom - height) / 2.0)
    }

    /// Whether somebody is recognised.
    pub fn names_people(&self) -> bool {
        self.faces.iter().any(|face| face.person.is_some())
    }

    /// Makes those unknown who are not enrolled any more.
    pub fn forget_others(&mut self, is_enrolled: impl Fn(&str) -> bool) {
        for face in &mut self.faces {
            if face.person.as_deref().is_some_and(|name| !is_enrolled(name)) {
                // How much it is a face was not kept.
                (face.person, face.tier, face.score) = (None, None, 0.0);
            }
        }
    }

    /// A kept analysis in which these people are unknown; `None` where none of them is in it.
    ///
    /// - `json`: of any version
    pub fn without(json: &str, names: &Names) -> Option<String> {
        let mut analysis: serde_json::Value = serde_json::from_str(json).ok()?;
        let mut is_named = false;
        for face in analysis.get_mut("faces")?.as_array_mut()? {
            if face["person"].as_str().is_some_and(|name| names.holds(name)) {
                (face["person"], face["tier"]) = (serde_json::Value::Null, serde_json::Value::Null);
                face["score"] = 0.0.into();
                is_named = true;
            }
        }
        is_named.then(|| match serde_json::from_value::<Self>(analysis.clone()) {
            Ok(mut known) => {
                known.forget_strangers();
                serde_json::to_string(&known).unwrap_or_default()
            }
            Err(_) => analysis.to_string(),
        })
    }
}

/// Tells cameras apart without keeping what they say of themselves.
fn camera_of(metadata: &Metadata) -> Option<String> {
    let parts = [&metadata.camera_make, &metadata.camera_model, &metadata.camera_serial];
    let parts = parts.map(|part| part.as_deref().unwrap_or_default());
    parts.iter().any(|part| !part.is_empty()).then(|| derived("camera", &parts))
}

/// A path inside a collection, as rules see it.
pub fn path_fact(collection: &str, relative: &Path) -> PathFact {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let folders = relative.parent().into_iter().flat_map(Path::components);
    let folders: Vec<_> =
        folders.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    PathFact {
        collection: collection.to_owned(),
        folder: folders.join("/"),
        name: text(relative.file_name()),
        extension: text(relative.extension()).to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analysis(icons: &[(&str, Tier, Option<Seal>)]) -> Analysis {
        let sighting = |(name, tier, seal): &(&str, Tier, Option<Seal>)| IconSighting {
            name: (*name).to_owned(),
            tier: *tier,
            score: 0.9,
            corners: [[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]],
            seal: *seal,
        };
        let json = serde_json::json!({
            "width_px": 400, "height_px": 300, "bytes_count": 1, "media_type": "image/jpeg",
            "taken_at": null, "icons": icons.iter().map(sighting).collect::<Vec<_>>(),
        });
        serde_json::from_value(json).expect("an analysis")
    }

    #[test]
    fn faces_become_people_portraits_and_a_count_of_strangers() {
        let face = |person: Option<&str>, x: f32, side: f32, frame| FaceSighting {
            person: person.map(str::to_owned),
            tier: person.map(|_| Tier::Order),
            score: 0.9,
            bounds: [x, 100.0, x + side, 100.0 + side],
            frame,
        };
        let frame = Some([[0.0, 0.0], [90.0, 0.0], [90.0, 90.0], [0.0, 90.0]]);
        let facts = |faces: &[FaceSighting], require_seal| {
            let mut seen = analysis(&[]);
            seen.faces = faces.to_vec();
            let told = |seen: &Analysis| {
                seen.facts(path_fact("photos", Path::new("a.jpg")), Icons { require_seal })
            };
            let before = told(&seen);
            seen.forget_strangers();
            assert!(seen.faces.iter().all(|face| face.person.is_some()));
            assert_eq!(told(&seen), before, "what is kept says the same");
            before
        };
        // The photo is 400 px wide and 300 high.
        let (anna, ben) =
            (face(Some("Anna"), 100.0, 60.0, None), face(Some("Ben"), 10.0, 40.0, frame));
        let (near, far) = (face(None, 180.0, 40.0, None), face(None, 340.0, 50.0, None));
        let stranger = face(None, 30.0, 90.0, frame);
        let seen = facts(&[anna.clone(), ben.clone(), far.clone()], false);
        let told: Vec<_> =
            seen.people.iter().map(|p| (p.name.as_str(), p.portrait, p.alone)).collect();
        assert_eq!(told, [("Anna", false, false), ("Ben", true, false)]);
        assert_eq!((seen.unknown_faces, seen.sure_people()), (1, vec!["Anna".to_owned()]));
        assert!(!seen.unknown_is_nearest && !seen.unknown_is_largest);
        assert_eq!(seen.nearest_middle().map(|p| p.name.as_str()), Some("Anna"));
        let seen = facts(&[anna.clone(), near, stranger.clone()], false);
        assert_eq!((seen.unknown_faces, seen.people.len()), (2, 1));
        assert!(seen.unknown_is_nearest && seen.unknown_is_largest);
        // Whose portrait nobody knows is a stranger whom everybody sees; nobody else is there.
        let seen = facts(&[ben.clone(), stranger], false);
        assert!(seen.unknown_faces == 1 && seen.unknown_is_nearest && seen.unknown_is_largest);
        assert!(
            !facts(&[], false).unknown_is_nearest
                && !facts(std::slice::from_ref(&anna), false).unknown_is_largest
        );
        // A portrait carries no seal: where one is required, nothing else speaks for it.
        let seen = facts(&[anna, ben], true);
        let alone: Vec<_> = seen.people.iter().map(|person| person.alone).collect();
        assert_eq!(alone, [false, true]);
    }

    #[test]
    fn person_who_is_erased_is_one_more_stranger_of_whom_nothing_else_is_left() {
        let face = |person: Option<&str>, x: f32| FaceSighting {
            person: person.map(str::to_owned),
            tier: person.map(|_| Tier::Order),
            score: 0.9,
            bounds: [x, 100.0, x + 60.0, 160.0],
            frame: None,
        };
        let mut seen = analysis(&[]);
        seen.faces = vec![face(Some("Anna"), 170.0), face(Some("Ben"), 10.0), face(None, 300.0)];
        seen.forget_strangers();
        assert_eq!(seen.strangers, Strangers { count: 1, ..Strangers::default() });
        let json = serde_json::to_string(&seen).expect("JSON");
        let without = Analysis::without(&json, &Names::new(["Anna"])).expect("she was in it");
        let left: Analysis = serde_json::from_str(&without).expect("an analysis");
        assert_eq!(left.faces, [face(Some("Ben"), 10.0)]);
        // She was in the middle; the three are equally large.
        let strangers = Strangers { count: 2, has_nearest: true, has_largest: false };
        assert_eq!(left.strangers, strangers);
        assert_eq!(Analysis::without(&without, &Names::new(["Anna"])), None);
    }

    #[test]
    fn icon_without_the_owners_seal_is_lowered_only_where_one_is_required() {
        let path = || path_fact("photos", Path::new("a.jpg"));
        let cases = [
            ("share", Tier::Order, Some(Seal::Mine), Tier::Order),
            ("share", Tier::Order, Some(Seal::Foreign), Tier::Ask),
            ("share", Tier::Order, Some(Seal::Unreadable), Tier::Ask),
            ("share", Tier::Order, Some(Seal::None), Tier::Ask),
            ("share", Tier::Order, None, Tier::Ask),
            ("share", Tier::Ask, Some(Seal::Mine), Tier::Ask),
            ("share", Tier::Ask, Some(Seal::None), Tier::Ask),
            ("do-not-share", Tier::Order, Some(Seal::None), Tier::Order),
        ];
        for (name, tier, seal, expected) in cases {
            let seen = analysis(&[(name, tier, seal)]);
            let facts = seen.facts(path(), Icons { require_seal: true });
            assert_eq!(facts.icons[0].tier, expected, "{name} {tier:?} {seal:?}");
            assert_eq!(facts.icons[0].lowered, expected != tier, "{name} {tier:?} {seal:?}");
            let facts = seen.facts(path(), Icons::default());
            assert_eq!((facts.icons[0].tier, facts.icons[0].lowered), (tier, false));
            assert_eq!(facts.icons[0].seal, seal.unwrap_or(Seal::Unreadable));
        }
    }

    #[test]
    fn analysis_without_somebody_keeps_all_but_who_it_is() {
        let face = |name: Option<&str>| FaceSighting {
            person: name.map(str::to_owned),
            tier: name.map(|_| Tier::Order),
            score: if name.is_some() { 0.61 } else { 0.0 },
            bounds: [1.5, 2.0, 30.1, 40.0],
            frame: None,
        };
        let seen = |names: [Option<&str>; 3]| Analysis {
            faces: names.into_iter().map(face).collect(),
            camera_model: Some("Anna".to_owned()),
            ..analysis(&[("share", Tier::Order, None)])
        };
        let json = |seen: &Analysis| serde_json::to_string(seen).expect("JSON");
        let before = seen([Some("Anna"), Some("Ben"), Some("Anna Berg")]);
        let after = seen([None, Some("Ben"), Some("Anna Berg")]);
        let names = Names::new(["Anna"]);
        let without = Analysis::without(&json(&before), &names).expect("she is on it");
        let mut kept = after.clone();
        kept.forget_strangers();
        assert_eq!(serde_json::from_str::<Analysis>(&without).expect("an analysis"), kept);
        assert_eq!(Analysis::without(&json(&after), &names), None);
        for other in ["{}", "no JSON", r#"{"faces": null}"#, r#"{"faces": ["Anna"]}"#] {
            assert_eq!(Analysis::without(other, &names), None, "{other}");
        }
        let mut held = before.clone();
        held.forget_others(|name| name != "Anna");
        assert_eq!(held, after);
    }
}
