//! Moves a candidate's corners onto the tile, and says whether the house frame is there.
//!
//! In:  quads that are off by up to a quarter of their side.
//! Out: better quads, and for each how much it looks framed.
//!
//! Knows nothing of the sign inside the frame.

use super::error::DetectionError;
use super::quads::Quad;
use super::session::{Input, Network, Runtime, Values};
use super::tensor;
use super::warp::{CropSpec, Homography, Pyramid, rectify};

/// Side of a crop.
const CROP_PX: usize = 64;
/// The quad fills 8..56 of the crop, so that a sixth of its side is seen around it.
const CROP: CropSpec = CropSpec { side_px: CROP_PX, margin: 1.0 / 6.0 };
const INSET_PX: f32 = 8.0;
const SPAN_PX: f32 = 48.0;

/// The second network, with its buffers.
#[derive(Debug)]
pub struct Aligner {
    network: Network,
    crops: Vec<f32>,
    rows: Vec<usize>,
    delta: Vec<f32>,
    framed: Vec<f32>,
}

impl Aligner {
    /// Loads the network.
    ///
    /// # Errors
    /// `Network` when it cannot be used.
    pub fn new(runtime: &Runtime, bytes: &[u8]) -> Result<Self, DetectionError> {
        let network = Network::new(runtime, "aligner", bytes)?;
        Ok(Self {
            network,
            crops: Vec::new(),
            rows: Vec::new(),
            delta: Vec::new(),
            framed: Vec::new(),
        })
    }

    /// Improves each quad by one step and writes how framed it looked, `0.0..=1.0`.
    ///
    /// A quad that is flat or that the network sends out of the plane is left as it is,
    /// with 0.
    ///
    /// # Errors
    /// `Network` when it fails to run.
    pub fn run(
        &mut self,
        pyramid: &mut Pyramid<'_>,
        quads: &mut [Quad],
        framed: &mut Vec<f32>,
    ) -> Result<(), DetectionError> {
        framed.clear();
        framed.resize(quads.len(), 0.0);
        self.crops.clear();
        self.rows.clear();
        for (index, quad) in quads.iter().enumerate() {
            if rectify(pyramid, quad, CROP, &mut self.crops) {
                self.rows.push(index);
            }
        }
        let count = self.rows.len();
        if count == 0 {
            return Ok(());
        }
        let input = Input {
            name: "crops",
            shape: [count, 3, CROP_PX, CROP_PX],
            values: Values::F32(&self.crops),
        };
        self.network.run(input, &mut [("delta", &mut self.delta), ("framed", &mut self.framed)])?;
        if self.delta.len() != 8 * count || self.framed.len() != count {
            let cause = format!("it gives {} answers to {count} crops", self.framed.len());
            return Err(DetectionError::Network { name: "aligner", cause });
        }
        for ((&index, delta), &score) in
            self.rows.iter().zip(self.delta.chunks_exact(8)).zip(&self.framed)
        {
            let delta: [f32; 8] = std::array::from_fn(|k| delta[k]);
            let moved = tensor::places(delta).and_then(|delta| moved(&quads[index], &delta));
            if let Some(quad) = moved {
                quads[index] = quad;
                framed[index] = tensor::score(score);
            }
        }
        Ok(())
    }
}

/// Applies corrections given in crop px; `None` when the result is no finite quad.
fn moved(quad: &Quad, delta: &[f32; 8]) -> Option<Quad> {
    let map = Homography::from_unit_square(quad)?;
    let unit = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
    let mut corners = [[0.0; 2]; 4];
    for (k, corner) in corners.iter_mut().enumerate() {
        let at = |axis: usize| {
            (unit[k][axis] * SPAN_PX + INSET_PX + delta[2 * k + axis] - INSET_PX) / SPAN_PX
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "pixels need no more digits than f32 has"
        )]
        let place = map.map([f64::from(at(0)), f64::from(at(1))]).map(|value| value as f32);
        *corner = tensor::places(place)?;
    }
    Some(Quad(corners))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correction_in_crop_px_is_a_48th_of_the_side() {
        let quad = Quad::square(100.0, 200.0, 96.0);
        let moved = moved(&quad, &[1.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, 0.0]).expect("a quad");
        let expected = Quad([[102.0, 200.0], [196.0, 196.0], [196.0, 296.0], [100.0, 296.0]]);
        for (a, b) in moved.0.as_flattened().iter().zip(expected.0.as_flattened()) {
            assert!((a - b).abs() < 1e-3, "{moved:?}");
        }
    }
}
