//! Turns an upright face into numbers that are near for the same person and far for others.
//!
//! In:  crops. Out: vectors of length 1, whose cosine tells how alike two faces are.
//!
//! The network is run crop by crop: the public export is fixed to one (a batch that is only renamed
//! in its file gives wrong numbers). Where the manifest says so, the mirrored crop is embedded as
//! well and both are summed.
//!
//! Knows nothing of who is enrolled.

use super::align::Crop;
use super::localise::check;
use super::manifest::{Framing, RecogniserSpec};
use crate::detection::DetectionError;
use crate::detection::session::{Input, Network, Runtime, Values};

/// What one face looks like to the network: length 1, or all zero when it gave nonsense.
pub type FaceNumbers = Vec<f32>;

/// How the network is called in messages.
const NAME: &str = "face recogniser";

/// The network that embeds faces, with its buffers.
#[derive(Debug)]
pub struct FaceEmbedder {
    network: Network,
    spec: RecogniserSpec,
    values: Vec<f32>,
    numbers: Vec<f32>,
    length: f32,
}

impl FaceEmbedder {
    /// Loads the network.
    ///
    /// # Errors
    /// `Network` when it cannot be used, or is not what the manifest says.
    pub fn new(
        runtime: &Runtime,
        spec: &RecogniserSpec,
        bytes: &[u8],
    ) -> Result<Self, DetectionError> {
        check(bytes, NAME, &spec.input, [&spec.output])?;
        let network = Network::new(runtime, NAME, bytes)?;
        let (values, numbers) = (Vec::new(), Vec::new());
        Ok(Self { network, spec: spec.clone(), values, numbers, length: 0.0 })
    }

    /// Side of the crops that it wants, in px.
    pub const fn side_px(&self) -> usize {
        self.spec.side_px as usize
    }

    /// How it wants a face to lie in them.
    pub const fn framing(&self) -> Framing {
        self.spec.framing
    }

    /// How long the numbers of the last crop were before they were brought to length 1 (mean of both
    /// ways it was seen): the more a network finds of what it tells people apart by, the longer.
    pub const fn length(&self) -> f32 {
        self.length
    }

    /// Embeds a crop of that side.
    ///
    /// # Errors
    /// `Network` when it fails to run or gives another count of numbers than the manifest says.
    pub fn run(&mut self, crop: &Crop) -> Result<FaceNumbers, DetectionError> {
        let mut sum = vec![0.0_f32; self.spec.numbers_count];
        for is_mirrored in [false, true].into_iter().take(1 + usize::from(self.spec.mirrored_too)) {
            self.values.clear();
            crop.fill(self.spec.scaling, is_mirrored, &mut self.values);
            let shape = [1, 3, crop.side_px, crop.side_px];
            let input = Input { name: &self.spec.input, shape, values: Values::F32(&self.values) };
            self.network.run(input, &mut [(&self.spec.output, &mut self.numbers)])?;
            if self.numbers.len() != sum.len() {
                let (given, said) = (self.numbers.len(), sum.len());
                let cause = format!("it gives {given} numbers, the manifest says {said}");
                return Err(DetectionError::Network { name: NAME, cause });
            }
            sum.iter_mut().zip(&self.numbers).for_each(|(sum, number)| *sum += number);
        }
        let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
        let runs = if self.spec.mirrored_too { 2.0 } else { 1.0 };
        self.length = if length.is_finite() { length / runs } else { 0.0 };
        Ok(unit(sum))
    }
}

/// Brings a vector to length 1; one without a direction becomes zeros.
pub fn unit(mut numbers: FaceNumbers) -> FaceNumbers {
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    let is_sound = length.is_finite() && length > 1e-12;
    numbers.iter_mut().for_each(|number| *number = if is_sound { *number / length } else { 0.0 });
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::embed::cosine;

    #[test]
    fn nonsense_is_near_to_nothing() {
        let one = unit(vec![3.0, 4.0]);
        assert!((cosine(&one, &one) - 1.0).abs() < 1e-6);
        for nonsense in [vec![0.0, 0.0], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0]] {
            assert!(cosine(&unit(nonsense), &one).abs() < 1e-6);
        }
    }
}
