"""Draws the pictures of `make bench-icons`: one marker on one photo, as a camera might have taken it.

In:  a background photo, a `Cell` (size and conditions), a row number, a seed.
Out: per row one scene, rendered once for each kind of marker: JPEG bytes, the true centre, the true corners.

The four markers of a row share everything: photo, place, homography, light, covering patches, blur, noise, JPEG quality.
So a difference between two detectors is theirs and not the scene's.

Geometry.  The marker lies in the plane [-1/2, 1/2] x [-1/2, 1/2]: the outer edge of our ring, the black border of a
           fiducial, the symbol of a QR code. What is white outside is each one's own quiet zone and lies outside the
           side. It is turned by any angle, tilted about any axis of its plane by 0 to 35 (EASY) or 60 degrees (HARD),
           seen from 4 to 20 sides away. `side` is the mean length of its four edges in the picture, after the tilt.
Render.    In linear light, with at least 8 x 8 samples a pixel, averaged. White reflects 0.92, black 0.03.
Light.     On the marker: a gain of 0.4 to 1.2 (HARD) or 1 (EASY), times a slope of up to 15 % across it.
Covering.  10 to 30 % of the marker's square, by one or two opaque patches that begin on its border: a finger, a piece
           of another photo, a plain colour.
Camera.    Blur (a Gaussian, in linear light) over the whole picture, then noise (normal, at the 8-bit scale), then
           JPEG with 4:2:0. EASY: sigma 0.2 to 0.7 px, noise 0 to 3, quality 75 to 95. HARD: 0.3 to 1.4, 0 to 8, 40 to 95.
Tone.      With `--tone coded`, rendering, gain and blur work on 8-bit values instead of light, as programs do that shrink
           pictures. Dark lines then keep their width, which is easier for everybody and most of all for thresholds.

All ranges are drawn evenly. Photos are shrunk to a long side of 1024 px; smaller ones are taken as they are, as Signet
takes them: enlarging would give a background softer than any camera's (`--enlarge` does it all the same). Too small ones
(short side below 200) are left out.

Knows nothing of detectors.
"""
import hashlib
import pathlib
from dataclasses import dataclass, field

import cv2
import numpy as np

# A change to what is drawn gets a new number, so that stored pictures are not taken for new ones.
VERSION = 1
LONG_PX, SHORT_MIN_PX, EDGE_PX = 1024, 200, 3
SUFFIXES = {".jpg", ".jpeg", ".png"}
WHITE, BLACK = 0.92, 0.03
SAMPLES = 8
# The tile of an icon is so much wider than the outer edge of its ring (1024 and 56..968 units).
TILE = 1024 / 912
KINDS = ("icon", "apriltag", "aruco", "qr")
SKIN = ((141, 85, 36), (198, 134, 66), (224, 172, 105), (241, 194, 125), (255, 219, 172), (92, 57, 32))


@dataclass(frozen=True)
class Level:
    """Bounds of a condition: degrees, px, 8-bit units, factor, JPEG quality."""
    number: int
    tilt: float
    blur: tuple
    noise: float
    gain: tuple
    quality: tuple


LEVELS = {"easy": Level(0, 35, (.2, .7), 3, (1, 1), (75, 95)), "hard": Level(1, 60, (.3, 1.4), 8, (.4, 1.2), (40, 95))}


@dataclass(frozen=True)
class Cell:
    """One row of the table: marker size and conditions."""
    level: str
    side: float
    covered: bool = False

    @property
    def name(self):
        return f"{self.level}-{self.side:g}" + ("-covered" if self.covered else "")


@dataclass
class Scene:
    """What the four pictures of a row share. `plane` maps the marker's plane to px of the picture."""
    photo: str
    background: np.ndarray = field(repr=False)
    plane: np.ndarray = field(repr=False)
    light: tuple
    blur: float
    noise: float
    quality: int
    patches: list = field(repr=False)
    share: float
    tilt: float
    number: int
    noise_seed: int

    def corners(self):
        """Of the side's square: clockwise from the marker's own top left, px (a pixel's middle is at .5)."""
        return project(self.plane, np.array([[-.5, -.5], [.5, -.5], [.5, .5], [-.5, .5]]))


def linear(value):
    value = np.asarray(value, np.float32) / 255
    return np.where(value <= .04045, value / 12.92, ((value + .055) / 1.055) ** 2.4).astype(np.float32)


LINEAR = linear(np.arange(256))
CODES = 4096
_SHARE = np.linspace(0, 1, CODES)
CODED = (255 * np.where(_SHARE <= .0031308, _SHARE * 12.92, 1.055 * _SHARE ** (1 / 2.4) - .055)).astype(np.float32)


TONES = ("linear", "coded")


def use_tone(tone):
    """Whether pictures are made of light or of 8-bit values; for the whole process."""
    global BLACK, WHITE
    if tone == "coded":
        LINEAR[:] = np.arange(256) / 255
        CODED[:] = _SHARE * 255
        BLACK, WHITE = .16, .96


def coded(light):
    """Linear 0..1 to the 8-bit scale, unrounded; between two steps of the table it is straight."""
    at = np.clip(light, 0, 1) * (CODES - 1)
    low = np.minimum(at.astype(np.int32), CODES - 2)
    return CODED[low] + (CODED[low + 1] - CODED[low]) * (at - low)


def project(matrix, points):
    points = np.c_[points, np.ones(len(points))] @ matrix.T
    return points[:, :2] / points[:, 2:]


# --- Photos -----------------------------------------------------------------------------------------------------------


def is_held_out(path):
    """Whether the networks were never trained on it: the rule of models/icons/training/bake.py."""
    return int(hashlib.sha1(path.name.encode()).hexdigest(), 16) % 5 == 0


def photos_below(folder):
    folder = pathlib.Path(folder)
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


class Photos:
    """Backgrounds in a seeded order that takes turns between the sub-folders, so that a large one does not rule."""

    def __init__(self, folder, seed, held_out, enlarge=False):
        self.folder, self.enlarge = pathlib.Path(folder), enlarge
        groups = {}
        for path in photos_below(folder):
            if not held_out or is_held_out(path):
                groups.setdefault(path.relative_to(folder).parts[0] if path.parent != self.folder else "", []).append(path)
        order = np.random.default_rng([seed, 7])
        self.groups = [[group[i] for i in order.permutation(len(group))] for _, group in sorted(groups.items())]
        if not self.groups:
            raise SystemExit(f"there are no JPEG or PNG photos below {folder}")

    def count(self):
        return sum(map(len, self.groups))

    def digest(self):
        names = "\n".join(str(path.relative_to(self.folder)) for group in self.groups for path in group)
        return hashlib.sha256(names.encode()).hexdigest()[:16]

    def take(self, number):
        """The photo of a row, and its name."""
        group = self.groups[number % len(self.groups)]
        for step in range(len(group)):
            path = group[(number // len(self.groups) + step) % len(group)]
            picture = load(path, enlarge=self.enlarge)
            if picture is not None and min(picture.shape[:2]) >= SHORT_MIN_PX:
                return picture, str(path.relative_to(self.folder))
        raise SystemExit(f"no photo in {group[0].parent} has a short side of {SHORT_MIN_PX} px")


def load(path, long_px=LONG_PX, enlarge=False):
    """BGR, upright; shrunk to the long side (enlarged only when asked), or None when it cannot be read."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        return None
    scale = long_px / max(picture.shape[:2])
    if scale < 1 or (enlarge and scale > 1):
        size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return picture


# --- Markers ----------------------------------------------------------------------------------------------------------


class Marker:
    """A picture to draw: RGBA in linear light (colour premultiplied), and the plane's square that it fills."""

    def __init__(self, rgba, half):
        self.half, self.levels = half, [rgba]
        while min(self.levels[-1].shape[:2]) >= 32 and self.levels[-1].shape[0] % 2 == 0:
            last = self.levels[-1]
            self.levels.append((last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]) / 4)

    @staticmethod
    def modules(bits, quiet):
        """Black and white squares (0 or 255) with a white border of `quiet` modules."""
        count = len(bits)
        grid = np.pad(bits, quiet, constant_values=255)
        grid = np.kron(grid, np.ones((16, 16), np.uint8))
        rgba = np.dstack([BLACK + (WHITE - BLACK) * LINEAR[grid]] * 3 + [np.ones(grid.shape, np.float32)])
        return Marker(rgba.astype(np.float32), .5 * (count + 2 * quiet) / count)

    @staticmethod
    def icon(path):
        bgra = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        alpha = bgra[..., 3:].astype(np.float32) / 255
        ink = BLACK + (WHITE - BLACK) * LINEAR[bgra[..., :3]]
        return Marker(np.dstack([ink * alpha, alpha]), .5 * TILE)

    def layer(self, plane, box, scale=1.0):
        """BGRA over the px of box (left, top, right, bottom), area-averaged."""
        left, top, right, bottom = box
        # One step of the fine grid should be about one texel, never many.
        side = np.linalg.norm(np.diff(project(plane, np.array([[-.5, -.5], [.5, -.5]])), axis=0))
        samples = SAMPLES if side < 200 else SAMPLES // 2
        wanted = 2 * self.half * side * samples
        level = next((l for l in reversed(self.levels) if l.shape[0] >= .9 * wanted), self.levels[0])
        return draw(level, self.half, plane, box, samples)


def draw(texture, half, plane, box, samples):
    left, top, right, bottom = box
    size = texture.shape[0]
    # Texture px (middles at whole numbers, as OpenCV counts) > plane > picture px > fine grid px.
    to_plane = np.array([[2 * half / size, 0, half / size - half], [0, 2 * half / size, half / size - half], [0, 0, 1]])
    to_fine = np.array([[samples, 0, -left * samples - .5], [0, samples, -top * samples - .5], [0, 0, 1]])
    fine = cv2.warpPerspective(texture, to_fine @ plane @ to_plane, ((right - left) * samples, (bottom - top) * samples),
                               flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return cv2.resize(fine, (right - left, bottom - top), interpolation=cv2.INTER_AREA)


class Markers:
    """Every marker of the four kinds; made when first asked for."""

    def __init__(self, icons):
        """`icons`: the folder that `signet icons export` wrote."""
        self.paths = sorted(pathlib.Path(icons).glob("*.png"))
        if not self.paths:
            raise SystemExit(f"there are no icons in {icons}")
        self.names, self.made = [path.stem for path in self.paths], {}
        self.tags = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
        self.aruco = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_6X6_250)

    def digest(self):
        return hashlib.sha256(b"".join(path.read_bytes() for path in self.paths)).hexdigest()[:16]

    def identity(self, kind, number):
        """What the marker of a row says."""
        if kind == "icon":
            return self.names[number % len(self.names)]
        if kind == "qr":
            return f"SIGNET{number % 1000:03d}"
        return str(number * 37 % (587 if kind == "apriltag" else 250))

    def get(self, kind, number):
        identity = self.identity(kind, number)
        if (kind, identity) not in self.made:
            if kind != "icon" and len(self.made) > 400:
                self.made.clear()
            self.made[kind, identity] = self.make(kind, number, identity)
        return self.made[kind, identity]

    def make(self, kind, number, identity):
        if kind == "icon":
            return Marker.icon(self.paths[number % len(self.paths)])
        if kind == "qr":
            how = cv2.QRCodeEncoder_Params()
            how.version, how.correction_level, how.mode = 1, cv2.QRCodeEncoder_CORRECT_LEVEL_H, cv2.QRCodeEncoder_MODE_ALPHANUMERIC
            drawn = cv2.QRCodeEncoder_create(how).encode(identity)
            border = (len(drawn) - 21) // 2
            return Marker.modules(drawn[border:border + 21, border:border + 21], 4)
        family = self.tags if kind == "apriltag" else self.aruco
        return Marker.modules(cv2.aruco.generateImageMarker(family, int(identity), 8, borderBits=1), 1)


# --- A scene ----------------------------------------------------------------------------------------------------------


def scene(photos, cell, seed, number, background=None):
    """The scene of one row. The same arguments give the same scene."""
    level = LEVELS[cell.level]
    dice = np.random.default_rng([seed, level.number, round(cell.side * 100), int(cell.covered), number])
    picture, name = background or photos.take(number)
    height, width = picture.shape[:2]
    plane, tilt = placed(width, height, cell.side, level.tilt, dice)
    slope = dice.uniform(-.15, .15, 2)
    shared = dict(light=(dice.uniform(*level.gain), *slope), blur=dice.uniform(*level.blur), noise=dice.uniform(0, level.noise),
                  quality=int(round(dice.uniform(*level.quality))), noise_seed=int(dice.integers(1 << 62)))
    patches, share = covering(photos, plane, number, dice) if cell.covered else ([], 0.0)
    return Scene(photo=name, background=picture, plane=plane, patches=patches, share=share, tilt=tilt, number=number, **shared)


def placed(width, height, side, tilt_max, dice):
    turn, axis = dice.uniform(0, 2 * np.pi, 2)
    tilt, distance = np.radians(dice.uniform(0, tilt_max)), dice.uniform(4, 20)
    spin = lambda a: np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    turned = spin(axis) @ lean @ spin(turn - axis)
    # A pinhole looks along the third axis at a plane `distance` sides away.
    plane = np.array([turned[0], turned[1], turned[2]])[:, [0, 1]]
    plane = np.c_[plane, [0, 0, distance]]
    corners = project(plane, np.array([[-.5, -.5], [.5, -.5], [.5, .5], [-.5, .5]]))
    factor = side / np.linalg.norm(corners - np.roll(corners, 1, 0), axis=1).mean()
    plane = np.diag([factor, factor, 1]) @ plane
    # The place is free wherever the widest quiet zone (QR: 29 modules of 21) lies inside the picture.
    reach = project(plane, np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 29 / 42)
    low, high = EDGE_PX - reach.min(0), np.array([width, height]) - EDGE_PX - reach.max(0)
    shift = dice.uniform(np.minimum(low, high), np.maximum(low, high))
    return np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ plane, float(np.degrees(tilt))


PATCH_PX, PATCH_HALF = 256, 1.25


def covering(photos, plane, number, dice):
    """Masks on the plane's square of half-width PATCH_HALF, with what each shows; and the share that they cover."""
    wanted, count = dice.uniform(.1, .3), int(dice.integers(1, 3))
    steps = (np.arange(PATCH_PX) + .5) / PATCH_PX * 2 * PATCH_HALF - PATCH_HALF
    x, y = np.meshgrid(steps, steps)
    inside = (abs(x) <= .5) & (abs(y) <= .5)
    patches, covered = [], np.zeros(inside.shape, bool)
    for index in range(count):
        # From a point of the border, so that the frame is always touched.
        along, edge = dice.uniform(-.5, .5), int(dice.integers(4))
        start = np.array([[along, -.5], [.5, along], [along, .5], [-.5, along]][edge])
        outward = np.array([[0, -1], [1, 0], [0, 1], [-1, 0]][edge])
        kind = ("skin", "photo", "plain")[int(dice.integers(3))]
        angle, stretch = dice.uniform(-.6, .6), dice.uniform(.6, 1.6)
        aim = wanted * (index + 1) / count

        def mask(size):
            dx, dy = x - start[0], y - start[1]
            out = dx * outward[0] + dy * outward[1]
            side = dx * -outward[1] + dy * outward[0]
            out, side = out * np.cos(angle) - side * np.sin(angle), out * np.sin(angle) + side * np.cos(angle)
            if kind == "skin":  # a finger: a round tip as deep inside as wide, and on outwards without end
                depth = np.minimum(out + size * stretch, 0)
                return np.hypot(depth, side) < size
            if kind == "photo":
                return np.hypot(out / stretch, side * stretch) < size
            return (abs(out / stretch) < size) & (abs(side * stretch) < size)

        low, high = 0.0, 1.5
        for _ in range(24):
            middle = (low + high) / 2
            low, high = (middle, high) if ((covered | mask(middle)) & inside).sum() < aim * inside.sum() else (low, middle)
        drawn = mask(high)
        covered |= drawn
        if kind == "skin":
            colour = LINEAR[np.array(SKIN[int(dice.integers(len(SKIN)))][::-1])]
            fill = np.ones((PATCH_PX, PATCH_PX, 1), np.float32) * colour
            fill *= (.8 + .4 * np.exp(-((x - start[0]) ** 2 + (y - start[1]) ** 2) / .1))[..., None]
        elif kind == "plain":
            fill = np.ones((PATCH_PX, PATCH_PX, 1), np.float32) * LINEAR[dice.integers(0, 256, 3)]
        else:
            other, _ = photos.take(number + 1 + int(dice.integers(50)))
            cut = min(min(other.shape[:2]), 160)
            top, left = (int(dice.integers(0, size - cut + 1)) for size in other.shape[:2])
            fill = LINEAR[cv2.resize(other[top:top + cut, left:left + cut], (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA)]
        # One byte to spare at the rim keeps the edge of an endless finger out of the square.
        patches.append(np.dstack([fill * drawn[..., None], drawn]).astype(np.float32))
    return patches, float((covered & inside).sum() / inside.sum())


class Camera:
    """Takes the pictures of one scene: the background is blurred once, only the marker's surroundings anew."""

    def __init__(self, scene):
        self.scene = scene
        self.light = LINEAR[scene.background]
        self.blurred = blur(self.light, scene.blur)
        self.base = coded(self.blurred)
        dice = np.random.Generator(np.random.SFC64(scene.noise_seed))
        self.noise = dice.standard_normal(self.base.shape, np.float32) * np.float32(scene.noise)

    def take(self, marker):
        """The picture with this marker as JPEG bytes."""
        return jpeg(self.picture(marker), self.scene.quality)

    def picture(self, marker):
        """The picture with this marker (None: without any), BGR."""
        scene, picture = self.scene, self.base
        if marker is not None:
            height, width = self.base.shape[:2]
            reach = PATCH_HALF if scene.patches else marker.half
            points = project(scene.plane, np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * reach)
            margin = 2 * margin_px(scene.blur) + 1
            low = np.maximum(np.floor(points.min(0)).astype(int) - margin, 0)
            high = np.minimum(np.ceil(points.max(0)).astype(int) + margin, [width, height])
            box = (*low, *high)
            part = self.light[box[1]:box[3], box[0]:box[2]]
            layer = marker.layer(scene.plane, box)
            shown = layer[..., :3] * self.lit(box)[..., None]
            part = part * (1 - layer[..., 3:]) + shown
            for patch in scene.patches:
                layer = draw(patch, PATCH_HALF, scene.plane, box, 4)
                part = part * (1 - layer[..., 3:]) + layer[..., :3]
            part = coded(blur(np.minimum(part, 1), scene.blur))
            inner = margin_px(scene.blur)
            # What the box's own edge spoilt is left out; at the picture's edge nothing is spoilt.
            cut = [0 if low[0] == 0 else inner, 0 if low[1] == 0 else inner,
                   part.shape[1] - (0 if high[0] == width else inner), part.shape[0] - (0 if high[1] == height else inner)]
            picture = self.base.copy()
            picture[low[1] + cut[1]:low[1] + cut[3], low[0] + cut[0]:low[0] + cut[2]] = part[cut[1]:cut[3], cut[0]:cut[2]]
        return np.clip(np.rint(picture + self.noise), 0, 255).astype(np.uint8)

    def lit(self, box):
        """Linear light on the marker's plane at each px of the box."""
        left, top, right, bottom = box
        x, y = np.meshgrid(np.arange(left, right) + .5, np.arange(top, bottom) + .5)
        back = np.linalg.inv(self.scene.plane)
        w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
        u, v = ((row[0] * x + row[1] * y + row[2]) / w for row in back[:2])
        gain, slope_u, slope_v = self.scene.light
        return (gain * (1 + slope_u * np.clip(2 * u, -1.2, 1.2) + slope_v * np.clip(2 * v, -1.2, 1.2))).astype(np.float32)


def jpeg(picture, quality):
    how = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    return cv2.imencode(".jpg", picture, how)[1].tobytes()


def sideways(jpeg):
    """The same JPEG with a note that it is to be turned a quarter clockwise (EXIF orientation 6), as phones write it."""
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def large(paths, level, seed, number):
    """One 12-megapixel photo with an icon 3 % as wide as its long side: the picture as the camera's sensor has it, and
    the scene with corners in its px. Blur and noise are laid on the 1024 px around the icon."""
    dice = np.random.default_rng([seed, 12, LEVELS[level].number, number])
    path = paths[number // 2 % len(paths)]
    whole = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    left, top = (int(dice.integers(0, size - LONG_PX + 1)) for size in whole.shape[1::-1])
    cut = whole[top:top + LONG_PX, left:left + LONG_PX]
    shown = scene(None, Cell(level, .03 * max(whole.shape[:2])), seed, number, (cut, path.name))

    def place(picture):
        whole[top:top + LONG_PX, left:left + LONG_PX] = picture
        return whole
    return place, shown, shown.corners() + [left, top]


def margin_px(sigma):
    return int(np.ceil(4 * sigma))


def blur(light, sigma):
    size = 2 * margin_px(sigma) + 1
    return cv2.GaussianBlur(light, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)
