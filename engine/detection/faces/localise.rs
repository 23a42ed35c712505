//! Finds faces: a box, a score and five points each.
//!
//! In:  a frame of the size that the manifest asks for. Out: faces, best first, no two of the same.
//!
//! For stride `s` and cell `(c, r)` a network gives
//!
//! ```text
//! yunet   score = sqrt(class * object)   middle = (c + b0, r + b1) s   sides = (e^b2, e^b3) s
//!         point = (c + px, r + py) s
//! scrfd   score = class                  edges = (c s - b0 s, r s - b1 s, c s + b2 s, r s + b3 s)
//!         point = (c s + px s, r s + py s)       two boxes a cell, one behind the other
//! ```
//!
//! Points: eye on the picture's left, eye on its right, nose, corner of the mouth on the left, on
//! the right. A picture that is no multiple of 32 px is padded with black on the right and below,
//! or to a square where the manifest says so.
//!
//! With the same network and the same picture, places and scores are those of OpenCV's
//! `FaceDetectorYN` (`tests/suite/faces/parity.rs`).
//!
//! Knows nothing of whose face it is.

use super::manifest::{Decoding, DetectorSpec, Scaling};
use super::onnx::Outline;
use crate::detection::DetectionError;
use crate::detection::session::{Input, Network, Runtime, Values};
use crate::detection::tensor;
use crate::media::Frame;

/// Network px per cell.
const STRIDES_PX: [usize; 3] = [8, 16, 32];

/// Most faces in one picture, the surest of them: a group photo has fewer, a crowd is not what this
/// is for. It bounds what one picture may cost.
pub const FACES_MAX: usize = 400;

/// Boxes that are compared with each other at most.
const BOXES_MAX: usize = 5000;

/// A face, in px of the frame that was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Left, top, right, bottom; may lie outside the frame.
    pub bounds: [f32; 4],
    /// How much it looks like a face, `0.0..=1.0`.
    pub score: f32,
    /// Eye on the picture's left, eye on its right, nose, mouth's left corner, its right corner.
    pub points: [[f32; 2]; 5],
}

impl Face {
    /// The same face in a picture whose sides are `factor` times as long.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        self.bounds.iter_mut().for_each(|value| *value *= factor);
        self.points.as_flattened_mut().iter_mut().for_each(|value| *value *= factor);
        self
    }

    /// Mean of width and height, in px.
    pub fn side_px(&self) -> f32 {
        let [left, top, right, bottom] = self.bounds;
        0.5 * (right - left + bottom - top)
    }

    /// Intersection over union of the boxes.
    pub fn overlap(&self, other: &Self) -> f32 {
        let area = |[left, top, right, bottom]: [f32; 4]| {
            (right - left).max(0.0) * (bottom - top).max(0.0)
        };
        let (a, b) = (self.bounds, other.bounds);
        let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
        let union = area(a) + area(b) - both;
        if union > 0.0 { both / union } else { 0.0 }
    }
}

/// The network that finds faces, with its buffers.
#[derive(Debug)]
pub struct FaceLocaliser {
    network: Network,
    spec: DetectorSpec,
    values: Vec<f32>,
    outputs: Vec<Vec<f32>>,
}

impl FaceLocaliser {
    /// Loads the network.
    ///
    /// # Errors
    /// `Network` when it cannot be used, or is not what the manifest says.
    pub fn new(
        runtime: &Runtime,
        spec: &DetectorSpec,
        bytes: &[u8],
    ) -> Result<Self, DetectionError> {
        let names = &spec.outputs;
        let objects = names.objects.iter().flatten();
        let wanted = names.classes.iter().chain(objects).chain(&names.boxes).chain(&names.points);
        check(bytes, NAME, &spec.input, wanted)?;
        let network = Network::new(runtime, NAME, bytes)?;
        let (values, outputs) = (Vec::new(), Vec::new());
        let mut localiser = Self { network, spec: spec.clone(), values, outputs };
        localiser.try_out()?;
        Ok(localiser)
    }

    /// Shows it a small black picture, so that a network of other shapes than its manifest says is
    /// told of here and not with each photo.
    fn try_out(&mut self) -> Result<(), DetectionError> {
        let side_px = if self.spec.square { self.spec.long_side_px } else { 64 };
        let black = vec![0; 3 * (side_px * side_px) as usize];
        let Some(frame) = Frame::new(side_px, side_px, black) else { return Ok(()) };
        self.run(&frame, &mut Vec::new()).map_err(|error| match error {
            DetectionError::Network { name, cause } if !self.spec.square => {
                let cause = format!(
                    "{cause} (tried with 64x64 px; one that takes squares of one size only needs \
                     `square = true` and that size as `long_side_px`)"
                );
                DetectionError::Network { name, cause }
            }
            other => other,
        })
    }

    /// The size of picture that it wants.
    pub const fn long_side_px(&self) -> u32 {
        self.spec.long_side_px
    }

    /// Whether pictures of other sizes may be looked at.
    pub const fn takes_any_size(&self) -> bool {
        !self.spec.square
    }

    /// Of faces that were found in several looks at one picture, keeps each once, best first.
    pub fn merge(&self, faces: &mut Vec<Face>) {
        suppress(faces, self.spec.overlap_max);
    }

    /// Finds the faces of a frame, best first.
    ///
    /// # Errors
    /// `Network` when it fails to run or gives tensors of another size.
    pub fn run(&mut self, frame: &Frame, faces: &mut Vec<Face>) -> Result<(), DetectionError> {
        let square_px = self.spec.square.then_some(self.spec.long_side_px as usize);
        let shape = fill(frame, square_px, self.spec.scaling, &mut self.values);
        let names = &self.spec.outputs;
        let wanted: Vec<&str> = [Some(&names.classes), names.objects.as_ref()]
            .into_iter()
            .flatten()
            .chain([&names.boxes, &names.points])
            .flatten()
            .map(String::as_str)
            .collect();
        self.outputs.resize_with(wanted.len(), Vec::new);
        let mut outputs: Vec<(&str, &mut Vec<f32>)> =
            wanted.into_iter().zip(&mut self.outputs).collect();
        let input = Input { name: &self.spec.input, shape, values: Values::F32(&self.values) };
        self.network.run(input, &mut outputs)?;
        faces.clear();
        let kinds: Vec<&[Vec<f32>]> = self.outputs.chunks_exact(STRIDES_PX.len()).collect();
        for (level, stride_px) in STRIDES_PX.into_iter().enumerate() {
            let tensor = |kind: usize| {
                kinds.get(kind).and_then(|levels| levels.get(level)).map_or(&[][..], Vec::as_slice)
            };
            let has_objects = self.spec.outputs.objects.is_some();
            let cells = Cells {
                classes: tensor(0),
                objects: has_objects.then(|| tensor(1)),
                boxes: tensor(1 + usize::from(has_objects)),
                points: tensor(2 + usize::from(has_objects)),
                columns: shape[3].div_ceil(stride_px),
                rows: shape[2].div_ceil(stride_px),
                stride_px,
            };
            cells.decode(self.spec.decoding, self.spec.score_min, faces).ok_or_else(|| {
                let cause = format!("its tensors for {stride_px} px do not fit the picture");
                DetectionError::Network { name: NAME, cause }
            })?;
        }
        suppress(faces, self.spec.overlap_max);
        Ok(())
    }
}

/// How the network is called in messages.
const NAME: &str = "face detector";

/// Whether a file has the inputs and outputs that a manifest names.
///
/// # Errors
/// `Network` when not.
pub(super) fn check<'a>(
    bytes: &[u8],
    name: &'static str,
    input: &str,
    outputs: impl IntoIterator<Item = &'a String>,
) -> Result<(), DetectionError> {
    let wrong = |cause: String| DetectionError::Network { name, cause };
    let Outline { inputs, outputs: given } =
        super::onnx::outline(bytes).map_err(|error| wrong(error.to_string()))?;
    let list = |names: &std::collections::BTreeSet<String>| {
        names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    if !inputs.contains(input) || inputs.len() != 1 {
        let has = list(&inputs);
        return Err(wrong(format!("its inputs are `{has}`, the manifest says `{input}`")));
    }
    match outputs.into_iter().find(|output| !given.contains(*output)) {
        Some(output) => {
            let has = list(&given);
            Err(wrong(format!("it has no output `{output}` as the manifest says, but `{has}`")))
        }
        None => Ok(()),
    }
}

/// Writes a frame as `[1, 3, padded height, padded width]`; the picture lies at the top left.
///
/// - `square_px`: the side that both are padded to at least
fn fill(
    frame: &Frame,
    square_px: Option<usize>,
    scaling: Scaling,
    values: &mut Vec<f32>,
) -> [usize; 4] {
    let (width, height) = (frame.width_px() as usize, frame.height_px() as usize);
    let [columns, rows] =
        [width, height].map(|px| tensor::padded_px(px).max(square_px.unwrap_or(0)));
    let plane = rows * columns;
    values.clear();
    for (channel, (source, mean, deviation)) in scaling.channels().enumerate() {
        // What each of the 256 brightnesses becomes.
        let becomes: [f32; 256] = std::array::from_fn(|value| (value as f32 - mean) / deviation);
        // Black, which is what the padding is.
        values.resize((channel + 1) * plane, becomes[0]);
        let target = values.get_mut(channel * plane..).unwrap_or_default();
        let lines = target.chunks_exact_mut(columns);
        for (line, row) in lines.zip(frame.rgb().chunks_exact(3 * width)) {
            for (value, pixel) in line.iter_mut().zip(row.chunks_exact(3)) {
                *value = becomes[usize::from(pixel[source])];
            }
        }
    }
    [1, 3, rows, columns]
}

/// What a network gives for one stride.
#[derive(Debug, Clone, Copy)]
struct Cells<'a> {
    classes: &'a [f32],
    objects: Option<&'a [f32]>,
    boxes: &'a [f32],
    points: &'a [f32],
    columns: usize,
    rows: usize,
    stride_px: usize,
}

impl Cells<'_> {
    /// Appends the faces; `None` when the tensors do not fit each other.
    fn decode(&self, decoding: Decoding, score_min: f32, faces: &mut Vec<Face>) -> Option<()> {
        let boxes_per_cell = match decoding {
            Decoding::Yunet => 1,
            Decoding::Scrfd => 2,
        };
        let count = self.rows * self.columns * boxes_per_cell;
        let fits = self.classes.len() == count
            && self.objects.is_none_or(|objects| objects.len() == count)
            && self.boxes.len() == 4 * count
            && self.points.len() == 10 * count;
        if !fits {
            return None;
        }
        let stride = self.stride_px as f32;
        for (index, &class) in self.classes.iter().enumerate() {
            let class = tensor::score(class);
            let score = match self.objects.and_then(|objects| objects.get(index)) {
                Some(&object) => (class * tensor::score(object)).sqrt(),
                None => class,
            };
            if score < score_min || faces.len() >= BOXES_MAX {
                continue;
            }
            let cell = index / boxes_per_cell;
            let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
            let numbers = self.boxes.get(4 * index..4 * index + 4)?;
            let [b0, b1, b2, b3] = std::array::from_fn(|k| numbers[k]);
            let bounds = match decoding {
                Decoding::Yunet => {
                    let (x, y) = (column + b0, row + b1);
                    let (half_width, half_height) = (0.5 * b2.exp(), 0.5 * b3.exp());
                    [x - half_width, y - half_height, x + half_width, y + half_height]
                }
                Decoding::Scrfd => [column - b0, row - b1, column + b2, row + b3],
            };
            let numbers = self.points.get(10 * index..10 * index + 10)?;
            let points: [f32; 10] =
                std::array::from_fn(|k| numbers[k] + if k % 2 == 0 { column } else { row });
            let (Some(bounds), Some(points)) = (tensor::places(bounds), tensor::places(points))
            else {
                continue;
            };
            let points = std::array::from_fn(|k| [points[2 * k], points[2 * k + 1]]);
            faces.push(Face { bounds, score, points }.scaled(stride));
        }
        Some(())
    }
}

/// Of faces that share too much, keeps the best; sorts by score.
fn suppress(faces: &mut Vec<Face>, overlap_max: f32) {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Face> = Vec::with_capacity(faces.len().min(FACES_MAX));
    for face in faces.iter() {
        if kept.len() == FACES_MAX {
            break;
        }
        if kept.iter().all(|better| better.overlap(face) <= overlap_max) {
            kept.push(*face);
        }
    }
    *faces = kept;
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Colours;
    use super::*;

    fn cells<'a>(classes: &'a [f32], boxes: &'a [f32], points: &'a [f32]) -> Cells<'a> {
        Cells { classes, objects: None, boxes, points, columns: 2, rows: 1, stride_px: 8 }
    }

    #[test]
    fn yunet_cell_is_a_box_around_its_middle() {
        let boxes = [0.0, 0.0, 0.0, 0.0, 0.5, 0.25, 2.0_f32.ln(), 4.0_f32.ln()];
        let points = [[0.0; 10], [1.0; 10]].concat();
        let mut faces = Vec::new();
        let given = Cells { objects: Some(&[1.0, 0.81]), ..cells(&[0.1, 1.0], &boxes, &points) };
        given.decode(Decoding::Yunet, 0.8, &mut faces).expect("they fit");
        let [face] = faces[..] else { panic!("{faces:?}") };
        assert!((face.score - 0.9).abs() < 1e-6);
        for (got, expected) in face.bounds.into_iter().zip([4.0, -14.0, 20.0, 18.0]) {
            assert!((got - expected).abs() < 1e-4, "{:?}", face.bounds);
        }
        assert_eq!(face.points, [[16.0, 8.0]; 5]);
    }

    #[test]
    fn scrfd_cell_has_two_boxes_by_their_edges() {
        let boxes = [[0.0; 4], [0.0; 4], [0.0; 4], [1.0, 2.0, 3.0, 4.0]].concat();
        let points = [0.5; 40];
        let mut faces = Vec::new();
        let given = cells(&[0.0, 0.0, 0.0, 0.9], &boxes, &points);
        given.decode(Decoding::Scrfd, 0.5, &mut faces).expect("they fit");
        let [face] = faces[..] else { panic!("{faces:?}") };
        let same = |a: f32, b: f32| (a - b).abs() < 1e-4;
        let expected = [0.0, -16.0, 32.0, 32.0];
        assert!(face.bounds.iter().zip(expected).all(|(a, b)| same(*a, b)), "{:?}", face.bounds);
        assert_eq!(face.points, [[12.0, 4.0]; 5]);
    }

    #[test]
    fn tensors_of_another_size_are_refused_and_nonsense_is_no_face() {
        let mut faces = Vec::new();
        let given = cells(&[1.0], &[0.0; 4], &[0.0; 10]);
        assert!(given.decode(Decoding::Yunet, 0.8, &mut faces).is_none());
        let boxes = [0.0, 0.0, 1000.0, 0.0, f32::NAN, 0.0, 0.0, 0.0];
        let given = cells(&[1.0, 1.0], &boxes, &[0.0; 20]);
        given.decode(Decoding::Yunet, 0.8, &mut faces).expect("they fit");
        assert_eq!(faces, []);
        let given = cells(&[f32::NAN, f32::NAN], &[0.0; 8], &[0.0; 20]);
        given.decode(Decoding::Yunet, 0.8, &mut faces).expect("they fit");
        assert_eq!(faces, []);
    }

    #[test]
    fn of_two_boxes_over_one_face_the_better_stays() {
        let face = |left: f32, score| Face {
            bounds: [left, 0.0, left + 10.0, 10.0],
            score,
            points: [[0.0; 2]; 5],
        };
        let mut faces = vec![face(1.0, 0.8), face(0.0, 0.9), face(8.0, 0.85)];
        suppress(&mut faces, 0.3);
        assert_eq!(faces.iter().map(|face| face.bounds[0]).collect::<Vec<_>>(), [0.0, 8.0]);
    }

    #[test]
    fn of_a_crowd_the_surest_faces_stay() {
        let mut faces: Vec<Face> = (0..BOXES_MAX)
            .map(|number| Face {
                bounds: [number as f32 * 9.0, 0.0, number as f32 * 9.0 + 8.0, 8.0],
                score: (number * 37 % BOXES_MAX) as f32 / BOXES_MAX as f32,
                points: [[0.0; 2]; 5],
            })
            .collect();
        suppress(&mut faces, 0.3);
        assert_eq!(faces.len(), FACES_MAX);
        let worst = (BOXES_MAX - FACES_MAX) as f32 / BOXES_MAX as f32;
        assert!(faces.iter().all(|face| face.score >= worst));
    }

    #[test]
    fn picture_is_padded_with_black_and_channels_follow_the_manifest() {
        let frame = Frame::new(1, 1, vec![10, 20, 30]).expect("a frame");
        let scaling = Scaling { colours: Colours::Bgr, mean: [1.0, 2.0, 3.0], deviation: [2.0; 3] };
        let mut values = Vec::new();
        assert_eq!(fill(&frame, Some(64), scaling, &mut values), [1, 3, 64, 64]);
        assert_eq!(fill(&frame, None, scaling, &mut values), [1, 3, 32, 32]);
        assert_eq!(values.len(), 3 * 32 * 32);
        assert_eq!((values[0], values[1024], values[2048]), (14.5, 9.0, 3.5));
        assert_eq!((values[1], values[1025], values[2049]), (-0.5, -1.0, -1.5));
    }
}
