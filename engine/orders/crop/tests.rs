//! What a part is, wherever faces and icons lie.

use proptest::prelude::*;

use super::*;

const TALL: Option<Size> = Some(Size { width_mm: 100, height_mm: 150 });

fn part(x: u32, y: u32, width: u32, height: u32) -> Crop {
    Crop { x, y, width, height }
}

fn shape(size: Option<Size>, pixels: (u32, u32)) -> Shape {
    Shape::of(size, pixels)
}

#[test]
fn product_is_turned_to_the_photo_and_cut_from_its_middle() {
    let centre = |pixels| centred(pixels, shape(TALL, pixels));
    assert_eq!(centre((4000, 3000)), part(0, 166, 4000, 2667));
    assert_eq!(centre((3000, 4000)), part(166, 0, 2667, 4000));
    assert_eq!(centre((6000, 2000)), part(1500, 0, 3000, 2000));
    assert_eq!(centre((3000, 2000)), part(0, 0, 3000, 2000), "the same shape: all of it");
    assert_eq!(centre((900, 900)), part(150, 0, 600, 900), "as the catalogue holds it");
    let (pixels, none) = ((700, 300), Some(Size { width_mm: 0, height_mm: 150 }));
    assert_eq!(centred(pixels, shape(none, pixels)), Crop::all(pixels));
}

#[test]
fn face_that_would_be_cut_moves_the_crop_just_so_far() {
    let pixels = (4000, 3000);
    let keeping = |keep: &[Crop]| keeping(pixels, shape(TALL, pixels), keep);
    let centre = centred(pixels, shape(TALL, pixels));
    assert_eq!(keeping(&[]), Ok(centre));
    assert_eq!(keeping(&[part(100, 500, 300, 300)]), Ok(centre), "it was whole");
    assert_eq!(keeping(&[part(100, 60, 300, 300)]), Ok(Crop { y: 60, ..centre }));
    assert_eq!(keeping(&[part(100, 2700, 300, 290)]), Ok(Crop { y: 323, ..centre }));
    let apart = [part(100, 60, 300, 300), part(100, 2700, 300, 290)];
    assert_eq!(keeping(&apart), Err(NoCrop::Apart));
}

#[test]
fn card_at_an_edge_is_cropped_away_and_one_in_the_middle_is_not() {
    let pixels = (3000, 2000);
    let without = |keep: &[Crop], card: Crop| without(pixels, shape(TALL, pixels), keep, &[card]);
    let left = part(0, 700, 600, 800);
    assert_eq!(without(&[], left), Ok(part(600, 200, 2400, 1600)));
    let corner = part(2600, 1700, 400, 300);
    assert_eq!(without(&[], corner), Ok(part(0, 133, 2600, 1733)), "beside costs less than above");
    let face = part(2700, 300, 200, 300);
    assert_eq!(without(&[face], corner), Ok(part(350, 0, 2550, 1700)), "with the face whole");
    assert_eq!(without(&[part(2700, 1500, 200, 300)], corner), Err(NoCrop::Cuts));
    assert_eq!(without(&[], part(1300, 800, 400, 400)), Err(NoCrop::Little(18)));
    assert_eq!(without(&[], Crop::all(pixels)), Err(NoCrop::Little(0)));
    // A face on the far side keeps only the smaller room open.
    let beside = part(1000, 0, 400, 2000);
    assert_eq!(without(&[part(100, 100, 300, 300)], beside), Err(NoCrop::Little(11)));
}

#[test]
fn card_reaches_to_the_right_of_its_icon_however_it_is_turned() {
    let [a, b, c, d] = [[100.0, 100.0], [200.0, 100.0], [200.0, 200.0], [100.0, 200.0]];
    let check = |corners: [[f32; 2]; 4], [left, top, right, bottom]: [u32; 4]| {
        let around = Crop::around(&card_around(corners), (1000, 1000)).expect("a part");
        let edges = [around.x, around.y, around.right(), around.bottom()];
        // Rounded outward, so that no edge of the card stays.
        let off = edges.iter().zip([left, top, right, bottom]).map(|(edge, is)| edge.abs_diff(is));
        assert!(off.max() <= Some(1), "{around}");
    };
    check([a, b, c, d], [75, 75, 315, 225]);
    check([c, d, a, b], [0, 75, 225, 225]);
    check([b, c, d, a], [75, 75, 225, 315]);
    let nowhere = [[f32::NAN, 1.0], b, c, d];
    assert_eq!(Crop::around(&card_around(nowhere), (1000, 1000)), None);
}

#[test]
fn more_icons_than_anybody_puts_on_a_photo_are_not_looked_around() {
    let icons = vec![part(0, 0, 1, 1); LEFT_OUT_MAX + 1];
    let pixels = (100, 100);
    assert_eq!(without(pixels, shape(None, pixels), &[], &icons), Err(NoCrop::Many));
}

prop_compose! {
    fn any_size()(width_mm in 0_u32..400, height_mm in 0_u32..400, known: bool) -> Option<Size> {
        known.then_some(Size { width_mm, height_mm })
    }
}

prop_compose! {
    fn any_part((wide, high): (u32, u32))(
        x in 0..wide,
        y in 0..high,
    )(
        width in 1..=(wide - x),
        height in 1..=(high - y),
        x in Just(x),
        y in Just(y),
    ) -> Crop {
        Crop { x, y, width, height }
    }
}

prop_compose! {
    fn any_photo()(pixels in (1_u32..9000, 1_u32..9000))(
        keep in prop::collection::vec(any_part(pixels), 0..4),
        cards in prop::collection::vec(any_part(pixels), 1..5),
        pixels in Just(pixels),
    ) -> ((u32, u32), Vec<Crop>, Vec<Crop>) {
        (pixels, keep, cards)
    }
}

/// Whether a part is in the photo and of its shape, to half a pixel of its shorter way.
fn is_right(part: Crop, pixels: (u32, u32), shape: Shape) -> bool {
    let (wide, high) = (f64::from(shape.wide), f64::from(shape.high));
    let (width, height) = (f64::from(part.width), f64::from(part.height));
    let is_shaped = (width - height * wide / high).abs() <= 0.5
        || (height - width * high / wide).abs() <= 0.5
        || part.width == 1
        || part.height == 1;
    part.width > 0 && part.height > 0 && Crop::all(pixels).takes_in(part) && is_shaped
}

fn overlap(one: Crop, other: Crop) -> bool {
    one.x < other.right()
        && other.x < one.right()
        && one.y < other.bottom()
        && other.y < one.bottom()
}

/// All parts of a photo whose sides are wanted.
fn parts(
    (wide, high): (u32, u32),
    wants: impl Fn((u32, u32)) -> bool,
) -> impl Iterator<Item = Crop> {
    let sides = (1..=wide).flat_map(move |width| (1..=high).map(move |height| (width, height)));
    sides.filter(move |sides| wants(*sides)).flat_map(move |(width, height)| {
        let starts = (0..=wide - width).flat_map(move |x| (0..=high - height).map(move |y| (x, y)));
        starts.map(move |(x, y)| Crop { x, y, width, height })
    })
}

proptest! {
    #[test]
    fn part_is_in_the_photo_of_the_right_shape_and_keeps_what_it_says(
        (pixels, keep, _) in any_photo(),
        size in any_size(),
    ) {
        let shape = Shape::of(size, pixels);
        let centre = centred(pixels, shape);
        prop_assert!(is_right(centre, pixels, shape), "{centre}");
        match keeping(pixels, shape, &keep) {
            Ok(part) => {
                prop_assert!(is_right(part, pixels, shape), "{part}");
                prop_assert_eq!((part.width, part.height), (centre.width, centre.height));
                prop_assert!(keep.iter().all(|kept| part.takes_in(*kept)), "{part}");
                if keep.iter().all(|kept| centre.takes_in(*kept)) {
                    prop_assert_eq!(part, centre, "moved without need");
                }
            }
            // Then no place at all would do.
            Err(_) => {
                let across = (0..=pixels.0 - centre.width).map(|x| Crop { x, ..centre });
                let down = (0..=pixels.1 - centre.height).map(|y| Crop { y, ..centre });
                for part in across.chain(down) {
                    prop_assert!(keep.iter().any(|kept| !part.takes_in(*kept)), "{part}");
                }
            }
        }
    }

    #[test]
    fn part_without_icons_has_none_and_keeps_what_it_says(
        (pixels, keep, cards) in any_photo(),
        size in any_size(),
    ) {
        let shape = Shape::of(size, pixels);
        if let Ok(part) = without(pixels, shape, &keep, &cards) {
            prop_assert!(is_right(part, pixels, shape), "{part}");
            prop_assert!(!cards.iter().any(|card| overlap(part, *card)), "{part} {cards:?}");
            prop_assert!(keep.iter().all(|kept| part.takes_in(*kept)), "{part} {keep:?}");
            prop_assert!(part.pixels_count() * 2 >= centred(pixels, shape).pixels_count());
        }
    }

    /// On photos of a few pixels every room and every place in it can be tried.
    #[test]
    fn no_larger_part_without_icons_exists(
        (pixels, keep, cards) in (1_u32..9, 1_u32..9).prop_flat_map(|pixels| (
            Just(pixels),
            prop::collection::vec(any_part(pixels), 0..2),
            prop::collection::vec(any_part(pixels), 1..4),
        )),
        size in any_size(),
    ) {
        let shape = Shape::of(size, pixels);
        let mut largest = None;
        for room in parts(pixels, |_| true) {
            if cards.iter().any(|card| overlap(room, *card)) {
                continue;
            }
            let sides = shape.within((room.width, room.height));
            let fits = |part: Crop| {
                (part.width, part.height) == sides
                    && room.takes_in(part)
                    && keep.iter().all(|kept| part.takes_in(*kept))
            };
            if parts(pixels, |(width, height)| (width, height) == sides).any(fits) {
                largest = largest.max(Some(u64::from(sides.0) * u64::from(sides.1)));
            }
        }
        let found = without(pixels, shape, &keep, &cards).ok().map(Crop::pixels_count);
        let enough = centred(pixels, shape).pixels_count().div_ceil(KEPT_PARTS_MAX);
        prop_assert_eq!(found, largest.filter(|count| *count >= enough));
    }

    #[test]
    fn parts_from_nowhere_never_panic(
        pixels in (any::<u32>(), any::<u32>()),
        size in prop::option::of((any::<u32>(), any::<u32>())),
        junk in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()), 0..5),
        corners: [[f32; 2]; 4],
    ) {
        let pixels = (pixels.0.max(1), pixels.1.max(1));
        let size = size.map(|(width_mm, height_mm)| Size { width_mm, height_mm });
        let shape = Shape::of(size, pixels);
        let junk: Vec<Crop> =
            junk.into_iter().map(|(x, y, width, height)| Crop { x, y, width, height }).collect();
        let all = Crop::all(pixels);
        let parts = [keeping(pixels, shape, &junk), without(pixels, shape, &[], &junk)];
        for part in parts.into_iter().flatten().chain([centred(pixels, shape)]) {
            prop_assert!(all.takes_in(part) && part.width > 0 && part.height > 0, "{part}");
        }
        if let Some(part) = Crop::around(&card_around(corners), pixels) {
            prop_assert!(all.takes_in(part) && part.width > 0 && part.height > 0, "{part}");
        }
    }
}
