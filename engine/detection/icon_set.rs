//! The icon set: drawings with a name and a meaning.
//!
//! In:  SVG texts; the house set is built in, an owner's own icons come from a folder.
//! Out: names, meanings, rendered pictures, outlines for printing.
//!
//! Every icon is a complete drawing on the 1024-unit tile (white tile, ink ring broken at
//! the bottom right, sign inside 200..824). An icon whose frame is elsewhere would be drawn
//! well and never be found, so it is refused here.
//!
//! Knows nothing of photos and networks. The home of `resvg`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, tiny_skia_path::PathSegment};

/// Side of the tile in its own units.
pub const TILE_UNITS: f32 = 1024.0;
/// Where the sign may be drawn, in tile units, on both axes.
pub const GLYPH_UNITS: std::ops::Range<f32> = 200.0..824.0;
/// The frame alone: what every icon of the set shares.
pub const FRAME_SVG: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1024 1024" width="1024" height="1024">"##,
    r##"<rect width="1024" height="1024" rx="216" fill="#fff"/>"##,
    r##"<path d="M922 640V226A124 124 0 0 0 798 102H226A124 124 0 0 0 102 226V798A124 124 0 0 0 226 922H640" "##,
    r##"fill="none" stroke="#14213d" stroke-width="92" stroke-linecap="round"/></svg>"##
);
/// The same ring without its gap: what a real icon must differ from.
pub const CLOSED_FRAME_SVG: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1024 1024" width="1024" height="1024">"##,
    r##"<rect width="1024" height="1024" rx="216" fill="#fff"/>"##,
    r##"<rect x="102" y="102" width="820" height="820" rx="124" "##,
    r##"fill="none" stroke="#14213d" stroke-width="92"/></svg>"##
);

/// The house set: names as file names have them.
const HOUSE: [(&str, &str); 24] = [
    ("print-10x15", include_str!("../../models/icons/set/print-10x15.svg")),
    ("print-13x18", include_str!("../../models/icons/set/print-13x18.svg")),
    ("print-20x30", include_str!("../../models/icons/set/print-20x30.svg")),
    ("square", include_str!("../../models/icons/set/square.svg")),
    ("panorama", include_str!("../../models/icons/set/panorama.svg")),
    ("canvas", include_str!("../../models/icons/set/canvas.svg")),
    ("poster", include_str!("../../models/icons/set/poster.svg")),
    ("postcard", include_str!("../../models/icons/set/postcard.svg")),
    ("photobook", include_str!("../../models/icons/set/photobook.svg")),
    ("calendar", include_str!("../../models/icons/set/calendar.svg")),
    ("mug", include_str!("../../models/icons/set/mug.svg")),
    ("puzzle", include_str!("../../models/icons/set/puzzle.svg")),
    ("copies-2", include_str!("../../models/icons/set/copies-2.svg")),
    ("copies-3", include_str!("../../models/icons/set/copies-3.svg")),
    ("copies-5", include_str!("../../models/icons/set/copies-5.svg")),
    ("copies-10", include_str!("../../models/icons/set/copies-10.svg")),
    ("to-a", include_str!("../../models/icons/set/to-a.svg")),
    ("to-b", include_str!("../../models/icons/set/to-b.svg")),
    ("to-c", include_str!("../../models/icons/set/to-c.svg")),
    ("share", include_str!("../../models/icons/set/share.svg")),
    ("express", include_str!("../../models/icons/set/express.svg")),
    ("keep-private-copy", include_str!("../../models/icons/set/keep-private-copy.svg")),
    ("do-not-share", include_str!("../../models/icons/set/do-not-share.svg")),
    ("end", include_str!("../../models/icons/set/end.svg")),
];
/// Largest SVG that is read from a folder.
const SVG_BYTES_MAX: u64 = 256 * 1024;
/// Icons in one set at most; beyond, look-alikes are certain.
const ICONS_MAX: usize = 500;

/// Why an icon or a set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IconSetError {
    /// The folder or a file in it cannot be read.
    #[error("`{path}` cannot be read")]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Larger than any icon.
    #[error("`{path}` is larger than {SVG_BYTES_MAX} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not an SVG drawing.
    #[error("icon `{name}` is no drawing that can be used: {cause}")]
    Svg {
        /// Name of the icon.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Its frame differs from the house frame.
    #[error(
        "icon `{name}` has no house frame: start from `signet icons export` and change only the sign inside"
    )]
    Frame {
        /// Name of the icon.
        name: String,
    },
    /// Names are lower-case letters, digits and dashes.
    #[error("icon name `{name}` should be lower-case letters, digits and dashes")]
    Name {
        /// The name.
        name: String,
    },
    /// Two icons of one name.
    #[error("the icon `{name}` is there twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// An icon of the owner's own cannot be used.
    #[error("`{path}` is no icon any more: mend that file or take it away")]
    Own {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<IconSetError>,
    },
    /// More than a set may hold.
    #[error("more than {ICONS_MAX} icons")]
    TooMany,
}

/// One icon.
#[derive(Debug, Clone)]
pub struct Icon {
    name: String,
    meaning: String,
    svg: String,
}

/// Icons with different names, house set first.
#[derive(Debug, Clone)]
pub struct IconSet {
    icons: Vec<Icon>,
}

/// A rendered icon: red, green, blue, opacity, not premultiplied, top row first.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Both sides.
    pub side_px: usize,
    /// `side_px * side_px` pixels of 4 bytes.
    pub rgba: Vec<u8>,
}

/// One filled shape of an icon.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Its colour.
    pub rgb: [u8; 3],
    /// Whether overlapping parts of it cancel out (else they add up).
    pub even_odd: bool,
    /// Its outline in tile units, y down.
    pub steps: Vec<Step>,
}

/// One step of an outline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Begins a part.
    Move([f32; 2]),
    /// Straight on.
    Line([f32; 2]),
    /// A cubic curve: two handles and the end.
    Curve([f32; 2], [f32; 2], [f32; 2]),
    /// Back to where the part began.
    Close,
}

impl IconSet {
    /// The icons that ship with the program.
    ///
    /// # Errors
    /// None as long as the files built in are sound, which the tests check.
    pub fn house() -> Result<Self, IconSetError> {
        let mut set = Self { icons: Vec::with_capacity(HOUSE.len()) };
        for (name, svg) in HOUSE {
            // Frames of the house set are checked by the tests, not at every start.
            set.push(Icon::parsed(name, svg))?;
        }
        Ok(set)
    }

    /// The house set and, when the folder is there, the owner's own icons in it.
    ///
    /// # Errors
    /// The first file that is no icon, with what to do about it.
    pub fn of_home(folder: &Path) -> Result<Self, IconSetError> {
        let house = Self::house()?;
        if folder.is_dir() { house.with_folder(folder) } else { Ok(house) }
    }

    /// The same set and one more icon.
    ///
    /// # Errors
    /// `Twice` when its name is taken, `TooMany` when the set is full.
    pub fn with(mut self, icon: Icon) -> Result<Self, IconSetError> {
        self.push(icon)?;
        Ok(self)
    }

    /// Adds every `NAME.svg` of a folder, in order of name.
    ///
    /// # Errors
    /// The first file that is no icon, or whose name is taken.
    pub fn with_folder(mut self, folder: &Path) -> Result<Self, IconSetError> {
        let read_error = |path: &Path| {
            let path = path.to_path_buf();
            move |source| IconSetError::Read { path, source }
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(read_error(folder))? {
            let path = entry.map_err(read_error(folder))?.path();
            if path.extension().is_some_and(|extension| extension == "svg") {
                paths.push(path);
            }
        }
        paths.sort();
        for path in paths {
            let bytes = std::fs::metadata(&path).map_err(read_error(&path))?.len();
            if bytes > SVG_BYTES_MAX {
                return Err(IconSetError::TooLarge { path });
            }
            let svg = std::fs::read_to_string(&path).map_err(read_error(&path))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let pushed = Icon::new(&name, &svg).and_then(|icon| self.push(icon));
            pushed.map_err(|source| IconSetError::Own { path, source: Box::new(source) })?;
        }
        Ok(self)
    }

    /// The same set but for one icon.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        Self { icons: self.icons.iter().filter(|icon| icon.name != name).cloned().collect() }
    }

    fn push(&mut self, icon: Icon) -> Result<(), IconSetError> {
        if self.get(&icon.name).is_some() {
            return Err(IconSetError::Twice { name: icon.name });
        }
        if self.icons.len() >= ICONS_MAX {
            return Err(IconSetError::TooMany);
        }
        self.icons.push(icon);
        Ok(())
    }

    /// All of them, house set first.
    pub fn icons(&self) -> &[Icon] {
        &self.icons
    }

    /// Their names, in the same order.
    pub fn names(&self) -> Vec<String> {
        self.icons().iter().map(|icon| icon.name().to_owned()).collect()
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Option<&Icon> {
        self.icons.iter().find(|icon| icon.name == name)
    }
}

impl Icon {
    /// Parses and checks a drawing.
    ///
    /// # Errors
    /// When the name or the drawing cannot be used, or its frame is not the house frame.
    pub fn new(name: &str, svg: &str) -> Result<Self, IconSetError> {
        if !Self::is_name(name) {
            return Err(IconSetError::Name { name: name.into() });
        }
        let icon = Self::parsed(name, svg);
        let found = icon.picture(FRAME_CHECK_PX)?;
        if !same_frame(&found, plain_frame()?) {
            return Err(IconSetError::Frame { name: name.into() });
        }
        Ok(icon)
    }

    fn parsed(name: &str, svg: &str) -> Self {
        Self { name: name.into(), meaning: title(svg).unwrap_or(name).into(), svg: svg.into() }
    }

    /// Whether an icon may be called so: lower-case letters, digits and dashes, at most 64.
    pub fn is_name(name: &str) -> bool {
        !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }

    /// Name, such as `print-10x15`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it asks for, in words: the drawing's title.
    pub fn meaning(&self) -> &str {
        &self.meaning
    }

    /// The drawing itself.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// Renders it; transparent outside the tile.
    ///
    /// # Errors
    /// `Svg` when `side_px` is 0 or does not fit into memory.
    pub fn picture(&self, side_px: u32) -> Result<Picture, IconSetError> {
        render(&parse(&self.name, &self.svg)?, side_px, &self.name)
    }

    /// Its filled shapes in drawing order; strokes are turned into the areas they cover.
    ///
    /// # Errors
    /// `Svg` when it holds anything but plainly coloured paths.
    pub fn shapes(&self) -> Result<Vec<Shape>, IconSetError> {
        let tree = parse(&self.name, &self.svg)?;
        let mut shapes = Vec::new();
        collect_shapes(tree.root(), &mut shapes)
            .map_err(|cause| IconSetError::Svg { name: self.name.clone(), cause })?;
        Ok(shapes)
    }
}

/// Renders the plain house frame or another SVG text of our own.
///
/// # Errors
/// `Svg` when it cannot be parsed or rendered.
pub fn render_text(svg: &str, side_px: u32) -> Result<Picture, IconSetError> {
    render(&parse("frame", svg)?, side_px, "frame")
}

/// The frame that others are compared with, rendered once.
fn plain_frame() -> Result<&'static Picture, IconSetError> {
    static FRAME: OnceLock<Picture> = OnceLock::new();
    if let Some(frame) = FRAME.get() {
        return Ok(frame);
    }
    let frame = render_text(FRAME_SVG, FRAME_CHECK_PX)?;
    Ok(FRAME.get_or_init(|| frame))
}

/// Size at which frames are compared.
const FRAME_CHECK_PX: u32 = 128;

/// Compares everything outside the sign's box: mean difference of premultiplied channels.
fn same_frame(found: &Picture, expected: &Picture) -> bool {
    const MEAN_DIFFERENCE_MAX: f32 = 4.0;
    let side = found.side_px;
    let unit = |index: usize| (index as f32 + 0.5) / side as f32 * TILE_UNITS;
    let (mut sum, mut count) = (0.0_f32, 0.0_f32);
    for (index, (a, b)) in found.rgba.chunks_exact(4).zip(expected.rgba.chunks_exact(4)).enumerate()
    {
        if GLYPH_UNITS.contains(&unit(index / side)) && GLYPH_UNITS.contains(&unit(index % side)) {
            continue;
        }
        for channel in 0..3 {
            let over = |p: &[u8]| f32::from(p[channel]) * f32::from(p[3]) / 255.0;
            sum += (over(a) - over(b)).abs();
        }
        sum += (f32::from(a[3]) - f32::from(b[3])).abs();
        count += 4.0;
    }
    sum <= count * MEAN_DIFFERENCE_MAX
}

/// Text of the first `<title>`, when it is plain text.
fn title(svg: &str) -> Option<&str> {
    let (_, rest) = svg.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    let title = title.trim();
    (!title.is_empty() && !title.contains(['<', '&', '\n'])).then_some(title)
}

fn parse(name: &str, svg: &str) -> Result<usvg::Tree, IconSetError> {
    // Drawings from elsewhere must not make us read other files.
    let options = usvg::Options {
        image_href_resolver: usvg::ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..usvg::Options::default()
    };
    usvg::Tree::from_str(svg, &options).map_err(|error| IconSetError::Svg {
        name: name.into(),
        cause: super::error::one_line(&error),
    })
}

fn render(tree: &usvg::Tree, side_px: u32, name: &str) -> Result<Picture, IconSetError> {
    let too_large = || IconSetError::Svg {
        name: name.into(),
        cause: format!("no picture of {side_px} px can be made"),
    };
    let mut pixmap = Pixmap::new(side_px, side_px).ok_or_else(too_large)?;
    let scale = |extent: f32| side_px as f32 / extent;
    let transform = Transform::from_scale(scale(tree.size().width()), scale(tree.size().height()));
    resvg::render(tree, transform, &mut pixmap.as_mut());
    let rgba = pixmap
        .pixels()
        .iter()
        .flat_map(|pixel| {
            let pixel = pixel.demultiply();
            [pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()]
        })
        .collect();
    Ok(Picture { side_px: side_px as usize, rgba })
}

fn collect_shapes(group: &usvg::Group, shapes: &mut Vec<Shape>) -> Result<(), String> {
    for node in group.children() {
        match node {
            usvg::Node::Group(group) => collect_shapes(group, shapes)?,
            usvg::Node::Path(path) => {
                if let Some(fill) = path.fill() {
                    let even_odd = fill.rule() == usvg::FillRule::EvenOdd;
                    shapes.push(Shape {
                        rgb: plain(fill.paint())?,
                        even_odd,
                        steps: steps(path.data(), path.abs_transform()),
                    });
                }
                if let Some(stroke) = path.stroke() {
                    // 4 = curves stay smooth on a page that shows the tile four times its units.
                    let outline = path
                        .data()
                        .stroke(&stroke.to_tiny_skia(), 4.0)
                        .ok_or("a stroke has no outline")?;
                    shapes.push(Shape {
                        rgb: plain(stroke.paint())?,
                        even_odd: false,
                        steps: steps(&outline, path.abs_transform()),
                    });
                }
            }
            usvg::Node::Image(_) => return Err("it holds a picture".into()),
            usvg::Node::Text(_) => return Err("it holds text: turn letters into paths".into()),
        }
    }
    Ok(())
}

fn plain(paint: &usvg::Paint) -> Result<[u8; 3], String> {
    match paint {
        usvg::Paint::Color(color) => Ok([color.red, color.green, color.blue]),
        _ => Err("it holds gradients or patterns: use plain colours".into()),
    }
}

fn steps(path: &usvg::tiny_skia_path::Path, transform: Transform) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut last = [0.0_f32; 2];
    let place = |point: usvg::tiny_skia_path::Point| {
        let mut point = point;
        transform.map_point(&mut point);
        [point.x, point.y]
    };
    for segment in path.segments() {
        match segment {
            PathSegment::MoveTo(to) => {
                last = place(to);
                steps.push(Step::Move(last));
            }
            PathSegment::LineTo(to) => {
                last = place(to);
                steps.push(Step::Line(last));
            }
            PathSegment::QuadTo(handle, to) => {
                // A quadratic curve as a cubic one: handles at two thirds.
                let (handle, to) = (place(handle), place(to));
                let toward = |end: [f32; 2]| {
                    std::array::from_fn(|axis| end[axis] + (handle[axis] - end[axis]) * 2.0 / 3.0)
                };
                steps.push(Step::Curve(toward(last), toward(to), to));
                last = to;
            }
            PathSegment::CubicTo(first, second, to) => {
                last = place(to);
                steps.push(Step::Curve(place(first), place(second), last));
            }
            PathSegment::Close => steps.push(Step::Close),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn house_set_has_the_house_frame_everywhere() {
        for (name, svg) in HOUSE {
            Icon::new(name, svg).expect("a sound icon");
        }
    }

    #[test]
    fn house_set_is_sound_and_has_its_24_names() {
        let set = IconSet::house().expect("the built-in icons");
        let names: Vec<_> = set.icons().iter().map(Icon::name).collect();
        assert_eq!(
            names,
            [
                "print-10x15",
                "print-13x18",
                "print-20x30",
                "square",
                "panorama",
                "canvas",
                "poster",
                "postcard",
                "photobook",
                "calendar",
                "mug",
                "puzzle",
                "copies-2",
                "copies-3",
                "copies-5",
                "copies-10",
                "to-a",
                "to-b",
                "to-c",
                "share",
                "express",
                "keep-private-copy",
                "do-not-share",
                "end",
            ]
        );
        assert!(set.icons().iter().all(|icon| icon.meaning() != icon.name()));
    }

    #[test]
    fn frame_of_each_icon_has_the_geometry_that_the_networks_learned() {
        let set = IconSet::house().expect("the built-in icons");
        for icon in set.icons() {
            let picture = icon.picture(1024).expect("a picture");
            let ink = |x: usize, y: usize| {
                let at = 4 * (y * 1024 + x);
                picture.rgba[at + 3] == 255 && picture.rgba[at] < 128
            };
            let paper = |x: usize, y: usize| {
                let at = 4 * (y * 1024 + x);
                picture.rgba[at + 3] == 255 && picture.rgba[at] > 128
            };
            let clear = |x: usize, y: usize| picture.rgba[4 * (y * 1024 + x) + 3] == 0;
            // Ring from 56 to 148, ends of the gap rounded at 640 + 46, tile corners cut at 216.
            for (x, y) in [
                (58, 512),
                (146, 512),
                (512, 58),
                (512, 146),
                (966, 400),
                (878, 400),
                (400, 966),
                (922, 684),
                (684, 922),
            ] {
                assert!(ink(x, y), "{} {x},{y}", icon.name());
            }
            for (x, y) in [
                (53, 512),
                (151, 512),
                (512, 53),
                (970, 400),
                (922, 689),
                (689, 922),
                (922, 922),
                (922, 800),
            ] {
                assert!(paper(x, y), "{} {x},{y}", icon.name());
            }
            for (x, y) in [(0, 0), (1023, 0), (60, 60), (1023, 1023), (0, 214)] {
                assert!(clear(x, y) || (x, y) == (0, 214), "{} {x},{y}", icon.name());
            }
        }
    }

    #[test]
    fn signs_differ_in_their_coarse_shape_not_only_in_digits() {
        // 8x8 blocks of the sign's box: what is left of an icon 16 px wide.
        let set = IconSet::house().expect("the built-in icons");
        let coarse: Vec<Vec<f32>> = set
            .icons()
            .iter()
            .map(|icon| {
                let picture = icon.picture(128).expect("a picture");
                let mut blocks = vec![0.0; 64];
                for y in 25..103 {
                    for x in 25..103 {
                        blocks[(y - 25) * 8 / 78 * 8 + (x - 25) * 8 / 78] +=
                            f32::from(picture.rgba[4 * (y * 128 + x)]);
                    }
                }
                let mean = blocks.iter().sum::<f32>() / 64.0;
                let length = blocks.iter().map(|v| (v - mean).powi(2)).sum::<f32>().sqrt();
                blocks.iter().map(|v| (v - mean) / length).collect()
            })
            .collect();
        for (i, a) in coarse.iter().enumerate() {
            for (j, b) in coarse.iter().enumerate().skip(i + 1) {
                let likeness: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
                assert!(
                    likeness < 0.8,
                    "{} and {}: {likeness}",
                    set.icons()[i].name(),
                    set.icons()[j].name()
                );
            }
        }
    }

    #[test]
    fn drawing_without_the_house_frame_is_refused() {
        let blank = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1024 1024"><rect width="1024" height="1024" fill="#fff"/></svg>"##;
        assert!(matches!(Icon::new("blank", blank), Err(IconSetError::Frame { .. })));
        assert!(matches!(Icon::new("closed", CLOSED_FRAME_SVG), Err(IconSetError::Frame { .. })));
        assert!(matches!(Icon::new("no svg", "x"), Err(IconSetError::Name { .. })));
        assert!(matches!(Icon::new("no-svg", "x"), Err(IconSetError::Svg { .. })));
    }

    #[test]
    fn own_icon_from_a_folder_joins_the_set_and_a_taken_name_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("mine.svg"), FRAME_SVG).expect("a file");
        let set = IconSet::house().and_then(|set| set.with_folder(folder.path())).expect("a set");
        assert_eq!(set.icons().last().map(Icon::name), Some("mine"));
        std::fs::write(folder.path().join("share.svg"), FRAME_SVG).expect("a file");
        let again = IconSet::house().and_then(|set| set.with_folder(folder.path()));
        assert!(matches!(again, Err(IconSetError::Own { .. })));
    }

    #[test]
    fn shapes_are_the_tile_the_ring_and_the_sign() {
        let set = IconSet::house().expect("the built-in icons");
        let shapes = set.get("share").expect("share").shapes().expect("shapes");
        assert_eq!(shapes[0].rgb, [255, 255, 255]);
        assert_eq!(shapes[1].rgb, [0x14, 0x21, 0x3d]);
        assert!(shapes.len() >= 5);
        assert!(shapes.iter().all(|shape| matches!(shape.steps[0], Step::Move(_))));
    }
}
