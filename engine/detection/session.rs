//! Runs networks: the only file that knows `ort`.
//!
//! In:  the path of the ONNX Runtime library, a network's bytes, one input tensor.
//! Out: the asked-for output tensors, copied into the caller's buffers.
//!
//! The library is loaded once per process and stays; a second path is ignored then.
//! Every network runs on the calling thread alone: the agent decides how many threads
//! work, so there is no pool inside and nothing spins.
//!
//! Knows nothing of icons or photos.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use super::error::{DetectionError, one_line};

/// The loaded library. Cheap to clone; all clones are the same one.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runtime")
    }
}

impl Runtime {
    /// Loads the library, or gives the one that this process has loaded before.
    ///
    /// # Errors
    /// `LibraryUnusable` when it is no library for this machine, or older than 1.20.
    pub fn load(library: &Path) -> Result<Self, DetectionError> {
        static LOADED: OnceLock<Runtime> = OnceLock::new();
        static LOADING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = LOADED.get() {
            return Ok(runtime.clone());
        }
        let path: PathBuf = std::path::absolute(library).unwrap_or_else(|_| library.to_path_buf());
        let unusable =
            |cause: String| DetectionError::LibraryUnusable { path: path.clone(), cause };
        let builder = ort::init_from(&path).map_err(|error| unusable(one_line(&error)))?;
        let environment = builder
            .with_name("signet")
            .with_telemetry(false)
            .build()
            .map_err(|error| unusable(one_line(&error)))?;
        Ok(LOADED.get_or_init(|| Self { environment }).clone())
    }
}

/// One network, ready to run on the calling thread.
pub struct Network {
    name: &'static str,
    session: Session,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({})", self.name)
    }
}

/// One input tensor.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its name in the network.
    pub name: &'a str,
    /// Lengths of the four axes, as the network wants them.
    pub shape: [usize; 4],
    /// Values, last axis fastest; their count is the product of `shape`.
    pub values: Values<'a>,
}

/// Values of an input, in the type that its network asks for.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// 32-bit floating point.
    F32(&'a [f32]),
    /// Bytes.
    U8(&'a [u8]),
}

impl Network {
    /// Loads a network from the bytes of its ONNX file.
    ///
    /// # Errors
    /// `Network` when it is damaged or needs operators that the library lacks.
    pub fn new(
        runtime: &Runtime,
        name: &'static str,
        bytes: &[u8],
    ) -> Result<Self, DetectionError> {
        let build = || -> ort::Result<Session> {
            Session::builder(&runtime.environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(1)?
                .with_inter_threads(1)?
                .with_parallel_execution(false)?
                .with_intra_op_spinning(false)?
                .with_inter_op_spinning(false)?
                // Shapes change from photo to photo; a plan kept per shape would only grow.
                .with_memory_pattern(false)?
                .commit_from_memory(bytes)
        };
        let session =
            build().map_err(|error| DetectionError::Network { name, cause: one_line(&error) })?;
        Ok(Self { name, session })
    }

    /// Runs the network and copies outputs by name into the buffers beside them.
    ///
    /// # Errors
    /// `Network` when the input does not fit, an output is missing or memory runs out.
    pub fn run(
        &mut self,
        input: Input<'_>,
        outputs: &mut [(&str, &mut Vec<f32>)],
    ) -> Result<(), DetectionError> {
        let name = self.name;
        let mut run = || -> ort::Result<()> {
            let results = match input.values {
                Values::F32(values) => {
                    let tensor = TensorRef::from_array_view((input.shape, values))?;
                    self.session.run(ort::inputs![input.name => tensor])?
                }
                Values::U8(values) => {
                    let tensor = TensorRef::from_array_view((input.shape, values))?;
                    self.session.run(ort::inputs![input.name => tensor])?
                }
            };
            for (output, buffer) in outputs.iter_mut() {
                let value = results
                    .get(*output)
                    .ok_or_else(|| ort::Error::new(format!("it has no output `{output}`")))?;
                let (_, values) = value.try_extract_tensor::<f32>()?;
                buffer.clear();
                buffer.extend_from_slice(values);
            }
            Ok(())
        };
        run().map_err(|error| DetectionError::Network { name, cause: one_line(&error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_is_no_library_is_refused_with_the_cure() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, b"this is text").expect("a file");
        // Another test may have loaded the real library already; then the path is not looked at.
        if let Err(error) = Runtime::load(&path) {
            let message = error.to_string();
            assert!(message.contains("make setup") && !message.contains('\n'), "{message}");
        }
    }
}
