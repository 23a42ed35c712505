//! Turns the tile into 64 numbers that are near for the same icon and far for others.
//!
//! In:  quads that lie on the tile. Out: vectors of length 1.
//!
//! Knows nothing of which icons exist.

use sha2::{Digest, Sha256};

use super::error::DetectionError;
use super::quads::Quad;
use super::session::{Input, Network, Runtime, Values};
use super::tensor;
use super::warp::{CropSpec, Pyramid, rectify};

/// Numbers in an embedding.
pub const EMBEDDING_LEN: usize = 64;
/// Side of a crop; the tile fills it.
pub const CROP_PX: usize = 64;
/// What the network looks at.
pub const CROP: CropSpec = CropSpec { side_px: CROP_PX, margin: 0.0 };

/// What one icon looks like to the network; length 1, or all zero when it gave nonsense.
pub type Embedding = [f32; EMBEDDING_LEN];

/// The third network, with its buffers.
#[derive(Debug)]
pub struct Embedder {
    network: Network,
    digest: [u8; 32],
    crops: Vec<f32>,
    values: Vec<f32>,
}

impl Embedder {
    /// Loads the network.
    ///
    /// # Errors
    /// `Network` when it cannot be used.
    pub fn new(runtime: &Runtime, bytes: &[u8]) -> Result<Self, DetectionError> {
        Ok(Self {
            network: Network::new(runtime, "embedder", bytes)?,
            digest: Sha256::digest(bytes).into(),
            crops: Vec::new(),
            values: Vec::new(),
        })
    }

    /// SHA-256 of the network's file: embeddings of different networks are not comparable.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Embeds each quad; a flat one gets zeros, which are near to nothing.
    ///
    /// # Errors
    /// `Network` when it fails to run.
    pub fn run(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        quads: &[Quad],
        embeddings: &mut Vec<Embedding>,
    ) -> Result<(), DetectionError> {
        let mut crops = std::mem::take(&mut self.crops);
        crops.clear();
        for quad in quads {
            if !rectify(pyramid, quad, CROP, &mut crops) {
                crops.resize(crops.len() + 3 * CROP_PX * CROP_PX, f32::NAN);
            }
        }
        let outcome = self.run_crops(&crops, embeddings);
        self.crops = crops;
        outcome
    }

    /// Embeds crops `[count, 3, 64, 64]` made elsewhere.
    ///
    /// # Errors
    /// `Network` when it fails to run.
    pub fn run_crops(
        &mut self,
        crops: &[f32],
        embeddings: &mut Vec<Embedding>,
    ) -> Result<(), DetectionError> {
        embeddings.clear();
        let count = crops.len() / (3 * CROP_PX * CROP_PX);
        if count == 0 {
            return Ok(());
        }
        let input = Input {
            name: "crops",
            shape: [count, 3, CROP_PX, CROP_PX],
            values: Values::F32(crops),
        };
        self.network.run(input, &mut [("embedding", &mut self.values)])?;
        if self.values.len() != count * EMBEDDING_LEN {
            let cause = format!("it gives {} numbers for {count} crops", self.values.len());
            return Err(DetectionError::Network { name: "embedder", cause });
        }
        embeddings.extend(self.values.chunks_exact(EMBEDDING_LEN).map(unit));
        Ok(())
    }
}

/// Brings a vector to length 1; one without a direction becomes zeros.
pub fn unit(values: &[f32]) -> Embedding {
    let length = values.iter().map(|v| v * v).sum::<f32>().sqrt();
    let embedding = std::array::from_fn(|i| values.get(i).copied().unwrap_or(0.0) / length);
    tensor::places(embedding).unwrap_or([0.0; EMBEDDING_LEN])
}

/// Cosine of the angle between two vectors of length 1, `-1.0..=1.0`.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_without_direction_is_near_to_nothing() {
        let zero = unit(&[0.0; EMBEDDING_LEN]);
        let nan = unit(&[f32::NAN; EMBEDDING_LEN]);
        let one = unit(&[2.0; EMBEDDING_LEN]);
        assert!((cosine(&one, &one) - 1.0).abs() < 1e-5);
        assert!(cosine(&zero, &one).abs() < 1e-6 && cosine(&nan, &one).abs() < 1e-6);
    }
}
