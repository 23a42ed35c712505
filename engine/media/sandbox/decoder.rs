//! What a thread that looks at photos decodes them with: a worker process of its own.
//!
//! The worker is started with the first photo and replaced when it ended. A photo over which
//! a worker ended is shown to a new one once if the old one may have been to blame: it had
//! seen other photos, or somebody killed it.
//!
//! A worker ends with the thread that started it, so a decoder stays on its thread.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::child::{Program, Worker};
use super::error::SandboxError;
use super::memory::{Pixels, SharedBytes};
use super::protocol::{Posture, Request};
use crate::base::causes::one_line;
use crate::media::{DecodeError, DecodeSpec, Decoded, decode};

/// The word of the command line that makes this program a decode worker.
const COMMAND: &str = "decode-worker";

/// A worker is replaced after so many photos: what it leaked is gone, and whoever took it over.
const PHOTOS_MAX: u64 = 1000;

/// Makes decoders; shared by all who need one.
#[derive(Debug, Clone)]
pub struct Decoders {
    place: Place,
    /// Whether it was told that no worker can be started.
    is_told: Arc<AtomicBool>,
}

/// Where photos are decoded.
#[derive(Debug, Clone)]
enum Place {
    Sandbox(Arc<Program>),
    Here,
}

impl Decoders {
    /// Decodes in workers of this program.
    pub fn sandboxed() -> Self {
        // The file that runs, even when an update has put another in its place.
        let running = Path::new("/proc/self/exe");
        let path = match std::env::current_exe() {
            _ if running.exists() => running.to_path_buf(),
            Ok(path) => path,
            // Starting it will say what is wrong.
            Err(_) => PathBuf::from("signet"),
        };
        Self::of_program(path, [COMMAND])
    }

    /// Decodes in workers that another program is, which calls [`super::serve`].
    pub fn of_program(
        path: PathBuf,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        let place = Place::Sandbox(Arc::new(Program { path, arguments }));
        Self { place, is_told: Arc::default() }
    }

    /// Decodes without any sandbox, to be compared with. Never for photos of strangers.
    pub fn in_this_process() -> Self {
        Self { place: Place::Here, is_told: Arc::default() }
    }

    /// A decoder for one thread.
    pub fn decoder(&self) -> Decoder {
        Decoder { decoders: self.clone(), staff: None, processor_time: Duration::ZERO }
    }
}

/// Decodes one photo after the other.
#[derive(Debug)]
pub struct Decoder {
    decoders: Decoders,
    staff: Option<Staff>,
    processor_time: Duration,
}

/// A worker and the memory that it shares with us.
#[derive(Debug)]
struct Staff {
    worker: Worker,
    pixels: Pixels,
    /// Which memory of photos it was given, with that of the pixels.
    photo_memory: Option<u64>,
    photos_count: u64,
}

impl Decoder {
    /// Decodes a photo, as [`decode`] does.
    ///
    /// # Errors
    /// See [`SandboxError`]; the decoder can go on with the next photo after each.
    pub fn decode(
        &mut self,
        photo: &SharedBytes,
        spec: DecodeSpec,
    ) -> Result<Decoded, SandboxError> {
        let worker_was_new = self.staff.as_ref().is_none_or(|staff| staff.photos_count == 0);
        match self.try_once(photo, spec) {
            Err(error) if error.may_have_another_cause(worker_was_new) => {
                tracing::debug!(%error, "the photo is shown to another decode worker");
                self.try_once(photo, spec)
            }
            answer => answer,
        }
    }

    /// What keeps this decoder's worker from doing harm; starts one if there is none.
    ///
    /// # Errors
    /// When none can be started.
    pub fn posture(&mut self) -> Result<Posture, SandboxError> {
        match self.decoders.place.clone() {
            Place::Here => Ok(Posture::default()),
            Place::Sandbox(program) => {
                let staff = self.staff.take().map_or_else(|| self.hire(&program), Ok)?;
                Ok(self.staff.insert(staff).worker.posture().clone())
            }
        }
    }

    /// Process id of the worker, while there is one.
    pub fn worker_id(&self) -> Option<u32> {
        self.staff.as_ref().map(|staff| staff.worker.id())
    }

    /// Processor time that workers say they spent, on all photos together.
    pub const fn processor_time(&self) -> Duration {
        self.processor_time
    }

    fn try_once(&mut self, photo: &SharedBytes, spec: DecodeSpec) -> Result<Decoded, SandboxError> {
        let Place::Sandbox(program) = self.decoders.place.clone() else {
            return Ok(decode(photo.as_slice(), spec)?);
        };
        let (descriptor, number) = photo.share().ok_or(DecodeError::Empty)?;
        // A worker is back in its place only when it answered as it should.
        let mut staff = self.staff.take().map_or_else(|| self.hire(&program), Ok)?;
        let request = Request { bytes_count: photo.as_slice().len() as u64, spec };
        let both = [descriptor, staff.pixels.share()];
        let is_known = staff.photo_memory == Some(number);
        let answer = staff.worker.ask(&request, if is_known { &[] } else { &both })?;
        staff.photo_memory = Some(number);
        staff.photos_count += 1;
        self.processor_time += Duration::from_micros(answer.processor_us);
        let result = match answer.result {
            Err(failure) => Err(SandboxError::Photo(failure.into())),
            Ok(found) => {
                let bytes_count = found.check(&request)?;
                let pixels = staff.pixels.copy(bytes_count);
                let no_memory = || SandboxError::Unavailable(ErrorKind::OutOfMemory.into());
                let decoded = found.with(pixels.ok_or_else(no_memory)?);
                if !Pixels::is_kept(bytes_count) {
                    staff.pixels = Pixels::new().map_err(SandboxError::Unavailable)?;
                    staff.photo_memory = None;
                }
                decoded.ok_or_else(|| SandboxError::Nonsense("it sent no pixels".into()))
            }
        };
        self.staff = Some(staff).filter(|staff| staff.photos_count < PHOTOS_MAX);
        result
    }

    /// Starts a worker.
    fn hire(&self, program: &Program) -> Result<Staff, SandboxError> {
        let hired = Worker::start(program).and_then(|worker| {
            let pixels = Pixels::new()?;
            Ok(Staff { worker, pixels, photo_memory: None, photos_count: 0 })
        });
        let is_told = &self.decoders.is_told;
        match hired {
            Ok(staff) => {
                is_told.store(false, Ordering::Relaxed);
                Ok(staff)
            }
            Err(error) => {
                let error = SandboxError::Unavailable(error);
                if !is_told.swap(true, Ordering::Relaxed) {
                    tracing::error!("{}", one_line(&error));
                }
                Err(error)
            }
        }
    }
}
