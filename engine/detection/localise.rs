//! Finds places that may hold an icon.
//!
//! In:  a frame of about 1024 px.
//! Out: candidates: where the four corners may be, and how much it looks like an icon.
//!
//! The network sees icons of about 12 to 150 px; a quarter-size copy brings larger ones
//! into that range, for 6 % more time. What it finds is only a candidate: most of the
//! trust is earned in `align`, `embed` and `verify`.
//!
//! Knows nothing of which icon it is.

use super::error::DetectionError;
use super::quads::Quad;
use super::session::{Input, Network, Runtime, Values};
use super::tensor;
use crate::media::Frame;

/// Network px per cell of its output.
const STRIDE_PX: usize = 8;
/// Input cells (of 2x2 px) per cell of its output, along one axis.
const CELLS: usize = STRIDE_PX / 2;

/// A place that may hold an icon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Corners, in px of the frame (times `scale`, see [`Localiser::run`]).
    pub quad: Quad,
    /// How much it looks like an icon, `0.0..=1.0`.
    pub heat: f32,
}

/// The first network, with its buffers.
#[derive(Debug)]
pub struct Localiser {
    network: Network,
    cells: Vec<u8>,
    heat: Vec<f32>,
    corners: Vec<f32>,
}

impl Localiser {
    /// Loads the network.
    ///
    /// # Errors
    /// `Network` when it cannot be used.
    pub fn new(runtime: &Runtime, bytes: &[u8]) -> Result<Self, DetectionError> {
        let network = Network::new(runtime, "localiser", bytes)?;
        Ok(Self { network, cells: Vec::new(), heat: Vec::new(), corners: Vec::new() })
    }

    /// Appends the candidates of one frame.
    ///
    /// - `scale`: multiplies the corners, to give them in px of the frame that this is a copy of
    /// - `heat_min`: candidates below are left out
    ///
    /// # Errors
    /// `Network` when it fails to run.
    pub fn run(
        &mut self,
        frame: &Frame,
        scale: f32,
        heat_min: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), DetectionError> {
        let shape = tensor::fill(frame, &mut self.cells);
        let input = Input { name: "cells", shape, values: Values::U8(&self.cells) };
        self.network.run(input, &mut [("heat", &mut self.heat), ("corners", &mut self.corners)])?;
        let (rows, columns) = (shape[1] / CELLS, shape[2] / CELLS);
        let cells = rows * columns;
        if self.heat.len() != cells || self.corners.len() != 8 * cells {
            let cause = format!("it gives {} cells, not {cells}", self.heat.len());
            return Err(DetectionError::Network { name: "localiser", cause });
        }
        peaks(
            &Grid { heat: &self.heat, corners: &self.corners, columns },
            heat_min,
            |mut candidate| {
                candidate.quad = candidate.quad.map(|corner| corner.map(|value| value * scale));
                candidates.push(candidate);
            },
        );
        Ok(())
    }
}

/// What the network gives: `heat` `[rows, columns]`, `corners` `[8, rows, columns]`.
#[derive(Debug, Clone, Copy)]
pub struct Grid<'a> {
    /// How much each cell looks like the middle of an icon.
    pub heat: &'a [f32],
    /// Offsets x, y of four corners from the cell's centre, in network px.
    pub corners: &'a [f32],
    /// Cells in a row.
    pub columns: usize,
}

/// Hands over each cell that is at least as hot as its eight neighbours and as `heat_min`.
/// Of equal neighbours the first counts.
pub fn peaks(grid: &Grid<'_>, heat_min: f32, mut found: impl FnMut(Candidate)) {
    let cells = grid.heat.len();
    let columns = grid.columns;
    let rows = cells / columns;
    for (index, &heat) in grid.heat.iter().enumerate() {
        let heat = tensor::score(heat);
        if heat < heat_min {
            continue;
        }
        let (row, column) = (index / columns, index % columns);
        let is_peak = (row.saturating_sub(1)..=(row + 1).min(rows - 1)).all(|r| {
            (column.saturating_sub(1)..=(column + 1).min(columns - 1)).all(|c| {
                let other = r * columns + c;
                let other_heat = tensor::score(grid.heat[other]);
                other == index || heat > other_heat || (heat >= other_heat && index < other)
            })
        });
        if !is_peak {
            continue;
        }
        let centre = [column, row].map(|cell| (cell as f32 + 0.5) * STRIDE_PX as f32);
        let offsets: [f32; 8] = std::array::from_fn(|k| grid.corners[k * cells + index]);
        let Some(offsets) = tensor::places(offsets) else {
            continue;
        };
        let quad = Quad(std::array::from_fn(|k| {
            [centre[0] + offsets[2 * k], centre[1] + offsets[2 * k + 1]]
        }));
        found(Candidate { quad, heat });
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "cells of a small grid"
    )]
    use super::*;

    fn check(heat: &[f32], expected: &[(usize, usize)]) {
        let corners: Vec<f32> = [-4.0, -4.0, 4.0, -4.0, 4.0, 4.0, -4.0, 4.0]
            .iter()
            .flat_map(|&o| vec![o; heat.len()])
            .collect();
        let mut found = Vec::new();
        peaks(&Grid { heat, corners: &corners, columns: 3 }, 0.1, |c| {
            let [x, y] = c.quad.centre();
            found.push(((x / 8.0) as usize, (y / 8.0) as usize));
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn hottest_cell_of_each_neighbourhood_is_a_peak() {
        check(&[0.0, 0.0, 0.0, 0.0, 0.9, 0.8, 0.0, 0.7, 0.0], &[(1, 1)]);
        check(&[0.9, 0.2, 0.9, 0.0, 0.0, 0.0, 0.0, 0.3, 0.0], &[(0, 0), (2, 0), (1, 2)]);
        check(&[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], &[(0, 0)]);
        check(&[0.05; 9], &[]);
    }

    #[test]
    fn nan_heat_is_cold_and_nan_corner_is_void() {
        check(&[f32::NAN, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[(1, 0)]);
        let mut found = 0;
        peaks(
            &Grid {
                heat: &[0.9],
                corners: &[0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0],
                columns: 1,
            },
            0.1,
            |_| found += 1,
        );
        assert_eq!(found, 0);
    }

    #[test]
    fn corners_count_from_the_cells_centre() {
        let mut found = Vec::new();
        let corners = [-3.0, -2.0, 3.0, -2.0, 3.0, 2.0, -3.0, 2.0];
        peaks(&Grid { heat: &[0.9], corners: &corners, columns: 1 }, 0.1, |c| found.push(c.quad));
        assert_eq!(found, [Quad([[1.0, 2.0], [7.0, 2.0], [7.0, 6.0], [1.0, 6.0]])]);
    }
}
