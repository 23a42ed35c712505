"""Makes the sample photos of Signet: python3 make.py [NAME ...] (needs numpy, pillow and resvg-py).

Every picture is computed: noise, shapes, perspective, lens, sensor and camera processing are in `studio.py`, the
places in `scenes.py`, and the icons are those of `models/icons/set`. Nothing of anybody else is in them; they are
under the licence of this repository. Seeds are fixed: the same versions of numpy and pillow give the same bytes.

Pictures stand 1600 x 1200 px. The camera, times, serial number and places in their metadata are made up, so that the
demo can show what of them reaches a lab and what does not. `truth.toml` beside this file says what is in each.
"""
import io
import pathlib
import sys
import zlib
from fractions import Fraction

import numpy as np
from PIL import Image

import scenes
from studio import develop, stamp

HERE = pathlib.Path(__file__).resolve().parent
BYTES_MAX = 240 * 1024

# name: scene, camera settings, stickers (icon, x, y, side, turn), taken, place, turned (stored lying on its side)
PHOTOS = {
    "IMG_0412-lake.jpg": dict(scene="lake", taken="2026:06:13 20:41:07", place=(47.5537, 10.7430), camera=dict(iso=160)),
    "IMG_0418-beach.jpg": dict(scene="beach", taken="2026:06:21 11:02:55", place=(43.4832, -1.5586), camera=dict(iso=64, exposure=1.02),
                               stickers=[("print-10x15", 1400, 190, 150, 0)]),
    "IMG_0423-meadow.jpg": dict(scene="meadow", taken="2026:06:27 15:20:31", place=(46.4983, 11.3548), camera=dict(iso=80)),
    "IMG_0427-breakfast.jpg": dict(scene="table", taken="2026:07:05 09:14:02", place=None, camera=dict(iso=320, exposure=1.35)),
    "IMG_0431-brick-wall.jpg": dict(scene="brick_wall", taken="2026:07:08 17:48:40", place=(53.5511, 9.9937), camera=dict(iso=100)),
    "IMG_0436-city-night.jpg": dict(scene="city_night", taken="2026:07:08 23:05:19", place=(53.5503, 10.0007), camera=dict(iso=900)),
    "IMG_0440-birthday.jpg": dict(scene="party", taken="2026:07:11 15:33:12", place=None, camera=dict(iso=400, exposure=1.1)),
    "IMG_0444-cake.jpg": dict(scene="cake", taken="2026:07:11 18:10:50", place=None, camera=dict(iso=800)),
    "IMG_0449-fridge.jpg": dict(scene="fridge", taken="2026:07:12 08:02:44", place=None, camera=dict(iso=250), turned=True),
    "IMG_0453-snow.jpg": dict(scene="snow_forest", taken="2026:01:18 10:26:33", place=(60.7940, 11.0679), camera=dict(iso=100, exposure=.96)),
    "IMG_0457-stars.jpg": dict(scene="stars", taken="2026:08:12 01:38:00", place=(46.8182, 10.2000), camera=dict(iso=900), turned=True),
    "IMG_0460-autumn.jpg": dict(scene="autumn", taken="2025:10:19 14:12:26", place=(50.9375, 6.9603), camera=dict(iso=125)),
    "IMG_0464-dunes.jpg": dict(scene="dunes", taken="2026:03:02 17:40:15", place=(31.0994, -4.0127), camera=dict(iso=64)),
    "IMG_0468-picnic.jpg": dict(scene="picnic", taken="2026:08:15 13:05:38", place=(48.1642, 11.6056), camera=dict(iso=64)),
    "IMG_0471-skyline.jpg": dict(scene="skyline", taken="2026:08:22 20:22:09", place=(40.7033, -73.9903), camera=dict(iso=400),
                                 turned=True, stickers=[("canvas", 220, 1360, 170, -8)]),
    "IMG_0475-hot-air.webp": dict(scene="hot_air", taken="2026:09:05 07:31:47", place=(38.6431, 34.8289), camera=dict(iso=100),
                                  stickers=[("print-13x18", 1400, 1010, 140, 12)]),
    "IMG_0479-rain.jpg": dict(scene="rain_window", taken="2026:09:17 18:55:21", place=None, camera=dict(iso=500)),
    "IMG_0482-books.jpg": dict(scene="bookshelf", taken="2026:09:20 21:17:03", place=None, camera=dict(iso=640, exposure=1.15)),
    "IMG_0486-tiles.jpg": dict(scene="tiles", taken="2026:05:30 12:44:58", place=(38.7223, -9.1393), camera=dict(iso=64)),
    "edited-moon.png": dict(scene="moon", taken="2026:09:26 21:50:10", place=None, camera=dict(iso=30, vignette=.1),
                            stickers=[("print-10x15", 92, 450, 112, 0), ("share", 226, 450, 112, 0)]),
}


def exif(photo, turned):
    """Metadata as a phone writes it, with a made-up camera."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0131] = "Signet", "Computed camera", "make.py"
    tags[0x0112] = 6 if turned else 1
    tags[0x0132] = photo["taken"]
    tags[0x8298] = "Signet, Apache-2.0"
    more = tags.get_ifd(0x8769)
    more[0x9003] = more[0x9004] = photo["taken"]
    more[0x9011] = "+02:00"
    more[0x8827] = photo["camera"]["iso"]
    more[0xA431] = "SN-000-4711"
    if photo["place"]:
        place = tags.get_ifd(0x8825)
        for tag, ref, value, signs in ((1, 2, photo["place"][0], "NS"), (3, 4, photo["place"][1], "EW")):
            place[tag] = signs[value < 0]
            value = abs(value)
            minutes = value % 1 * 60
            place[ref] = (float(int(value)), float(int(minutes)), float(Fraction(round(minutes % 1 * 60 * 100), 100)))
    return tags


def encoded(image, name, tags):
    """The file's bytes, as good as fits."""
    for quality in range(90, 40, -2):
        out = io.BytesIO()
        if name.endswith(".jpg"):
            image.save(out, "JPEG", quality=quality, subsampling=2, optimize=True, exif=tags)
        elif name.endswith(".webp"):
            image.save(out, "WEBP", quality=quality - 6, method=6, exif=tags)
        else:
            colours = 4 + quality * 2
            image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, "PNG", optimize=True, exif=tags)
        if out.tell() <= BYTES_MAX:
            return out.getvalue(), quality
    raise SystemExit(f"{name} does not fit into {BYTES_MAX} bytes")


def make(name):
    photo = PHOTOS[name]
    rng = np.random.default_rng(zlib.crc32(photo["scene"].encode()))
    image = develop(rng, getattr(scenes, photo["scene"])(rng), **photo["camera"])
    for sticker in photo.get("stickers", ()):
        stamp(image, *sticker)
    turned = photo.get("turned", False)
    tags = exif(photo, turned)
    if turned:
        image = image.transpose(Image.Transpose.ROTATE_90)
    data, quality = encoded(image, name, tags)
    (HERE / name).write_bytes(data)
    print(f"{name}: {image.width} x {image.height} px, {len(data)} bytes, quality {quality}")


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for name in PHOTOS:
        if not wanted or any(word in name for word in wanted):
            make(name)
