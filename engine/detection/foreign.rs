//! Reads drawings from elsewhere without trusting them.
//!
//! In:  SVG text as people have it, or the pixels of a PNG. Out: planes of ink at any scale.
//!
//! What a drawing is made of is checked before it is drawn: no picture inside, no letters, no
//! reference to anything outside itself, and bounds on everything whose drawing takes time.
//! Nothing is ever fetched or opened: a reference that slipped through would lead nowhere.
//!
//! Knows nothing of frames and sets. A home of `resvg`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, roxmltree, tiny_skia_path::PathSegment};

use super::error::one_line;
use super::trace::Plane;
use super::warp::{bilinear, luma};
use crate::media::Frame;

/// Largest drawing in bytes.
pub const BYTES_MAX: usize = 256 * 1024;
/// Elements of the file at most.
const ELEMENTS_MAX: usize = 2000;
/// How deep they may lie in each other.
const DEPTH_MAX: usize = 64;
/// References to other parts; two a level double what is drawn, so few are allowed.
const USES_MAX: usize = 32;
/// Shapes that are drawn, after all references are followed.
const SHAPES_MAX: usize = 1000;
/// Lines and curves of all shapes.
const SEGMENTS_MAX: usize = 50_000;
/// Dashes of all dashed lines.
const DASHES_MAX: f32 = 5000.0;
/// Groups that need a layer of their own: masks, clips, opacity.
const LAYERS_MAX: usize = 100;

/// A drawing that can be drawn.
#[derive(Debug)]
pub enum Foreign {
    /// Shapes.
    Svg(Box<usvg::Tree>),
    /// Pixels; whatever was transparent is white.
    Pixels(Frame),
}

/// Which part of a drawing to draw, and how large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Left and top of the part, in the drawing's own units.
    pub origin: [f32; 2],
    /// Pixels a unit.
    pub scale: f32,
    /// Pixels in a row and rows.
    pub side_px: usize,
}

/// Darkness and opacity of a part of a drawing, both `0.0..=1.0`.
#[derive(Debug)]
pub struct Drawn {
    /// One less the brightness over white paper.
    pub dark: Plane,
    /// Opacity.
    pub opaque: Plane,
}

impl Foreign {
    /// Parses an SVG text.
    ///
    /// # Errors
    /// What is wrong with it and what to do about it, in words.
    pub fn svg(text: &str) -> Result<Self, String> {
        check(text)?;
        let options = usvg::Options {
            image_href_resolver: usvg::ImageHrefResolver {
                resolve_data: Box::new(|_, _, _| None),
                resolve_string: Box::new(|_, _| None),
            },
            ..usvg::Options::default()
        };
        let tree = guarded(|| usvg::Tree::from_str(text, &options))?
            .map_err(|error| format!("it is no SVG drawing: {}", one_line(&error)))?;
        let mut cost = Cost::default();
        cost.add(tree.root());
        cost.check()?;
        Ok(Self::Svg(Box::new(tree)))
    }

    /// Width and height in the drawing's own units.
    pub fn extent(&self) -> [f32; 2] {
        match self {
            Self::Svg(tree) => [tree.size().width(), tree.size().height()],
            Self::Pixels(frame) => {
                #[expect(clippy::cast_precision_loss, reason = "sides are far below 2^24")]
                let sides = [frame.width_px() as f32, frame.height_px() as f32];
                sides
            }
        }
    }

    /// Draws a part.
    ///
    /// # Errors
    /// When it cannot be drawn, in words.
    pub fn draw(&self, view: View) -> Result<Drawn, String> {
        match self {
            Self::Svg(tree) => draw_svg(tree, view),
            Self::Pixels(frame) => Ok(draw_pixels(frame, view)),
        }
    }
}

/// A panic inside the drawing library costs this drawing and nothing else.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_panic| {
        "it meets a bug in the drawing library: save it as plain SVG, or as PNG".to_owned()
    })
}

fn draw_svg(tree: &usvg::Tree, view: View) -> Result<Drawn, String> {
    let too_large = || format!("no picture of {} px can be made", view.side_px);
    let side = u32::try_from(view.side_px).map_err(|_large| too_large())?;
    let mut pixmap = Pixmap::new(side, side).ok_or_else(too_large)?;
    let transform = Transform::from_row(
        view.scale,
        0.0,
        0.0,
        view.scale,
        -view.origin[0] * view.scale,
        -view.origin[1] * view.scale,
    );
    guarded(|| resvg::render(tree, transform, &mut pixmap.as_mut()))?;
    let (mut dark, mut opaque) = (Vec::new(), Vec::new());
    for pixel in pixmap.pixels() {
        // Colours are premultiplied: over white they gain what is missing in opacity.
        let ink = luma([pixel.red(), pixel.green(), pixel.blue()].map(f32::from)) / 255.0;
        let alpha = f32::from(pixel.alpha()) / 255.0;
        dark.push((alpha - ink).clamp(0.0, 1.0));
        opaque.push(alpha);
    }
    let plane = |ink| Plane { width: view.side_px, ink };
    Ok(Drawn { dark: plane(dark), opaque: plane(opaque) })
}

/// Pixels, smoothed where they are drawn smaller than they are.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "taps are clamped before they are cast"
)]
fn draw_pixels(frame: &Frame, view: View) -> Drawn {
    let step = 1.0 / view.scale;
    let taps = step.ceil().clamp(1.0, 8.0) as usize;
    let [width, height] = [frame.width_px() as f32, frame.height_px() as f32];
    let mut dark = Vec::with_capacity(view.side_px * view.side_px);
    for row in 0..view.side_px {
        for column in 0..view.side_px {
            let mut sum = 0.0;
            for tap in 0..taps * taps {
                let part = |i: usize| (i as f32 + 0.5) / taps as f32;
                let x = view.origin[0] + (column as f32 + part(tap % taps)) * step;
                let y = view.origin[1] + (row as f32 + part(tap / taps)) * step;
                if (0.0..width).contains(&x) && (0.0..height).contains(&y) {
                    sum += 1.0 - luma(bilinear(frame, x, y)) / 255.0;
                }
            }
            dark.push(sum / (taps * taps) as f32);
        }
    }
    let opaque = vec![1.0; dark.len()];
    let plane = |ink| Plane { width: view.side_px, ink };
    Drawn { dark: plane(dark), opaque: plane(opaque) }
}

/// What a file may hold, before anything is drawn.
fn check(text: &str) -> Result<(), String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it has more than {BYTES_MAX} bytes: simplify it"));
    }
    if text.contains("<!ENTITY") {
        return Err("it defines entities: save it as plain SVG".into());
    }
    let depth = depth_max(text);
    if depth > DEPTH_MAX {
        return Err(format!("its parts lie more than {DEPTH_MAX} deep in each other: simplify it"));
    }
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(text, options)
        .map_err(|error| format!("it is no SVG drawing: {}", one_line(&error)))?;
    let (mut elements_count, mut uses_count) = (0, 0);
    for node in document.descendants() {
        if node.is_text() && node.parent_element().is_some_and(|p| p.has_tag_name("style"))
            || node.parent_element().is_some_and(|p| p.tag_name().name() == "style")
        {
            within(node.text().unwrap_or_default())?;
        }
        if !node.is_element() {
            continue;
        }
        elements_count += 1;
        let name = node.tag_name().name();
        uses_count += usize::from(name == "use");
        match name {
            "image" | "feImage" => {
                return Err("it holds a picture: give that picture itself, as PNG".into());
            }
            "text" | "tspan" | "textPath" => {
                return Err(
                    "it holds letters: turn them into paths (in Inkscape: Path, Object to Path)"
                        .into(),
                );
            }
            "script" | "foreignObject" | "iframe" => {
                return Err(format!("it holds `<{name}>`, which no drawing needs: remove it"));
            }
            "filter" | "pattern" => {
                return Err(format!("it holds `<{name}>`: use plain shapes and colours"));
            }
            _ => {}
        }
        for attribute in node.attributes() {
            let value = attribute.value().trim();
            if attribute.name() == "href" && name != "a" && !value.starts_with('#') {
                return Err("it refers to another file: everything has to be inside it".into());
            }
            if name != "metadata" {
                within(value)?;
            }
        }
    }
    if elements_count > ELEMENTS_MAX {
        return Err(format!("it has more than {ELEMENTS_MAX} elements: simplify it"));
    }
    if uses_count > USES_MAX {
        return Err(format!("it has more than {USES_MAX} `<use>`: draw the shapes themselves"));
    }
    Ok(())
}

/// Refuses `url(...)` and `@import` that lead out of the file.
fn within(value: &str) -> Result<(), String> {
    let leads_out = value.match_indices("url(").any(|(at, found)| {
        let target = value.get(at + found.len()..).unwrap_or_default();
        !target.trim_start().trim_start_matches(['"', '\'']).trim_start().starts_with('#')
    });
    if leads_out || value.contains("@import") {
        return Err("it refers to another file: everything has to be inside it".into());
    }
    Ok(())
}

/// How deep elements lie in each other, seen without parsing: parsers go as deep as the file.
fn depth_max(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for (at, _) in text.match_indices('<') {
        let rest = text.get(at + 1..).unwrap_or_default();
        match rest.bytes().next() {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!' | b'?') | None => {}
            Some(_) => {
                let end = rest.find('>').unwrap_or(rest.len());
                if !rest.get(..end).unwrap_or_default().ends_with('/') {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
            }
        }
    }
    deepest
}

/// What drawing it will take.
#[derive(Debug, Default)]
struct Cost {
    shapes_count: usize,
    segments_count: usize,
    layers_count: usize,
    dashes_count: f32,
}

impl Cost {
    fn add(&mut self, group: &usvg::Group) {
        if group.should_isolate() {
            self.layers_count += 1;
        }
        if let Some(clip) = group.clip_path() {
            self.layers_count += 1;
            self.add(clip.root());
        }
        if let Some(mask) = group.mask() {
            self.layers_count += 1;
            self.add(mask.root());
        }
        for node in group.children() {
            if self.check().is_err() {
                return;
            }
            match node {
                usvg::Node::Group(group) => self.add(group),
                usvg::Node::Path(path) => {
                    self.shapes_count += 1;
                    self.segments_count += path.data().segments().count();
                    if let Some(dashes) = path.stroke().and_then(usvg::Stroke::dasharray) {
                        let period = dashes.iter().sum::<f32>().max(1e-6);
                        self.dashes_count += length(path.data()) / period * dashes.len() as f32;
                    }
                }
                usvg::Node::Image(_) | usvg::Node::Text(_) => {}
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let too_much =
            |what: &str, most: usize| Err(format!("it has more than {most} {what}: simplify it"));
        if self.shapes_count > SHAPES_MAX {
            return too_much("shapes", SHAPES_MAX);
        }
        if self.segments_count > SEGMENTS_MAX {
            return too_much("lines", SEGMENTS_MAX);
        }
        if self.layers_count > LAYERS_MAX {
            return too_much("masks and clips", LAYERS_MAX);
        }
        // Not a number counts as too many.
        if self.dashes_count <= DASHES_MAX {
            Ok(())
        } else {
            Err("it has too many dashes: draw full lines".into())
        }
    }
}

/// Length of a path, of curves that of their handles, which is more.
fn length(path: &usvg::tiny_skia_path::Path) -> f32 {
    let mut last = usvg::tiny_skia_path::Point::zero();
    let mut sum = 0.0;
    let mut go = |to: usvg::tiny_skia_path::Point, counts: bool| {
        sum += if counts { last.distance(to) } else { 0.0 };
        last = to;
    };
    for segment in path.segments() {
        match segment {
            PathSegment::MoveTo(to) => go(to, false),
            PathSegment::LineTo(to) => go(to, true),
            PathSegment::QuadTo(a, to) => [a, to].into_iter().for_each(|p| go(p, true)),
            PathSegment::CubicTo(a, b, to) => [a, b, to].into_iter().for_each(|p| go(p, true)),
            PathSegment::Close => {}
        }
    }
    sum
}
