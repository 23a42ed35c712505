"""Tools of make.py: noise, shading, perspective, lens and camera.

Pictures are numpy arrays [height_px, width_px, 3] of float32 in linear light, 1.0 = white paper in the light.
Everything is a plain function of its arguments and a seeded generator. Knows no scene and no file names.
"""
import functools
import io
import math
import pathlib

import numpy as np
import resvg_py
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ICONS = pathlib.Path(__file__).resolve().parents[3] / "models" / "icons" / "set"
F = np.float32


# Numbers -----------------------------------------------------------------------------

def lin(*rgb):
    """A colour given as sRGB bytes, or as `#rrggbb`, in linear light."""
    if isinstance(rgb[0], str):
        rgb = [int(rgb[0][i:i + 2], 16) for i in (1, 3, 5)]
    return (np.asarray(rgb, F) / 255) ** F(2.2)


def srgb(picture):
    return np.clip(picture, 0, 1) ** F(1 / 2.2)


def mix(a, b, t):
    t = np.asarray(t, F)
    if t.ndim == 2:
        t = t[..., None]
    return a + (b - a) * t


def step(low, high, x):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def grid(shape):
    y, x = np.mgrid[0:shape[0], 0:shape[1]].astype(F)
    return x, y


def ramp(t, stops):
    """Colours along `stops` = [(position, colour), ...] for positions `t` [h, w] or [h]."""
    places = [s[0] for s in stops]
    return np.stack([np.interp(t, places, [s[1][c] for s in stops]) for c in range(3)], -1).astype(F)


def resized(plane, shape):
    image = Image.fromarray(np.ascontiguousarray(plane, F))
    return np.asarray(image.resize((shape[1], shape[0]), Image.BICUBIC))


def fbm(rng, shape, scale_px, octaves=6, gain=0.5, stretch=1.0, clip=True):
    """Fractal noise around 0.5, about 0..1; `stretch` > 1 draws it out sideways."""
    out, weight, total = np.zeros(shape, F), 1.0, 0.0
    for octave in range(octaves):
        size = scale_px / 2 ** octave
        if size < 1:
            break
        cells = (math.ceil(shape[0] / size) + 3, math.ceil(shape[1] / (size * stretch)) + 3)
        noise = rng.standard_normal(cells).astype(F)
        cover = (round(cells[0] * size), max(1, round(cells[1] * size * stretch)))
        big = resized(noise, (max(cover[0], shape[0]), max(cover[1], shape[1])))
        out += weight * big[:shape[0], :shape[1]]
        total += weight * weight
        weight *= gain
    out = out / math.sqrt(total) * F(0.24) + F(0.5)
    return np.clip(out, 0, 1) if clip else out


def line_noise(rng, length, scale_px, octaves=6, gain=0.5):
    return fbm(rng, (4, length), scale_px, octaves, gain, 1.0, False)[1]


# Blur --------------------------------------------------------------------------------

def convolve(picture, kernel):
    pad = kernel.shape[0] // 2
    edge = [(pad, pad), (pad, pad)] + [(0, 0)] * (picture.ndim - 2)
    big = np.pad(picture, edge, mode="edge")
    shape = big.shape[:2]
    spectrum = np.fft.rfft2(kernel, shape)
    if picture.ndim == 3:
        spectrum = spectrum[..., None]
    out = np.fft.irfft2(np.fft.rfft2(big, axes=(0, 1)) * spectrum, shape, axes=(0, 1))
    return out[2 * pad:2 * pad + picture.shape[0], 2 * pad:2 * pad + picture.shape[1]].astype(F)


def disc(radius_px):
    """What one point becomes out of focus."""
    size = math.ceil(radius_px) + 1
    y, x = np.mgrid[-size:size + 1, -size:size + 1].astype(F)
    distance = np.hypot(x, y)
    kernel = np.clip(radius_px + 0.5 - distance, 0, 1) * (0.8 + 0.2 * np.clip(distance / radius_px, 0, 1))
    return (kernel / kernel.sum()).astype(F)


def defocus(picture, radius_px):
    return convolve(picture, disc(radius_px)) if radius_px > 0.6 else picture


def soft(picture, sigma_px, sigma_y_px=None):
    sigma_y_px = sigma_px if sigma_y_px is None else sigma_y_px
    size = max(1, math.ceil(3 * max(sigma_px, sigma_y_px)))
    place = np.arange(-size, size + 1, dtype=F)
    gauss = lambda s: np.exp(-place ** 2 / (2 * s * s)) if s > 0 else (place == 0).astype(F)
    kernel = np.outer(gauss(sigma_y_px), gauss(sigma_px))
    return convolve(picture, (kernel / kernel.sum()).astype(F))


# Shapes ------------------------------------------------------------------------------

def mask(shape, draw, scale=2):
    """Coverage 0..1 of what `draw(pen, scale)` paints white."""
    image = Image.new("L", (shape[1] * scale, shape[0] * scale))
    draw(ImageDraw.Draw(image), scale)
    return np.asarray(image.reduce(scale), F) / 255


def polygon(shape, points):
    return mask(shape, lambda pen, s: pen.polygon([(x * s, y * s) for x, y in points], fill=255))


def painting(shape, draw, scale=2):
    """Colour [h, w, 3] in linear light and coverage of what `draw(pen, scale)` paints in sRGB."""
    image = Image.new("RGBA", (shape[1] * scale, shape[0] * scale))
    draw(ImageDraw.Draw(image), scale)
    pixels = np.asarray(image.resize((shape[1], shape[0]), Image.BOX), F) / 255
    return pixels[..., :3] ** F(2.2), pixels[..., 3]


def over(picture, colour, cover, blur_px=0.0):
    """Lays a colour (or picture) over another; `blur_px` puts the layer out of focus."""
    layer = np.broadcast_to(np.asarray(colour, F), picture.shape) * cover[..., None]
    if blur_px > 0.6:
        layer, cover = defocus(layer, blur_px), defocus(cover, blur_px)
    return picture * (1 - cover[..., None]) + layer


def ball(picture, x, y, radius, colour, light=(-0.5, -0.7, 0.55), rough=None, shine=0.6, ambient=0.25,
         shape=(1.0, 1.0), through=0.0, power=60):
    """A lit ellipsoid; `through` lets light shine through its rim, as balloons do."""
    height, width = picture.shape[:2]
    rx, ry = radius * shape[0], radius * shape[1]
    x0, x1 = max(0, int(x - rx - 2)), min(width, int(x + rx + 3))
    y0, y1 = max(0, int(y - ry - 2)), min(height, int(y + ry + 3))
    if x0 >= x1 or y0 >= y1:
        return
    gy, gx = np.mgrid[y0:y1, x0:x1].astype(F)
    a, b = (gx - x) / rx, (gy - y) / ry
    r = np.sqrt(a * a + b * b)
    cover = np.clip((1 - r) * min(rx, ry) + 0.5, 0, 1)
    z = np.sqrt(np.clip(1 - r * r, 0, 1))
    light = np.asarray(light, F) / np.linalg.norm(light)
    facing = a * light[0] + b * light[1] + z * light[2]
    half = light + np.array([0, 0, 1], F)
    half /= np.linalg.norm(half)
    glint = np.clip(a * half[0] + b * half[1] + z * half[2], 0, 1) ** power * shine
    sky = 0.5 - 0.5 * b
    skin = np.asarray(colour, F) * np.ones((*r.shape, 3), F)
    if rough is not None:
        skin = skin * rough[y0:y1, x0:x1, None]
    lit = skin * (ambient * (0.6 + 0.8 * sky) + (1 - ambient) * np.clip(facing * 0.85 + 0.15, 0, 1))[..., None]
    lit += skin * (through * (r ** 4))[..., None] + glint[..., None]
    lit += (skin * 0.4 + 0.1) * (0.25 * (1 - z) ** 3)[..., None] * shine
    picture[y0:y1, x0:x1] = picture[y0:y1, x0:x1] * (1 - cover[..., None]) + lit * cover[..., None]


def shade(picture, cover, strength, blur_px, dx=0, dy=0):
    """A soft shadow of `cover`, moved by (dx, dy)."""
    height, width = cover.shape
    moved = np.zeros_like(cover)
    moved[max(dy, 0):height + min(dy, 0), max(dx, 0):width + min(dx, 0)] = \
        cover[max(-dy, 0):height - max(dy, 0), max(-dx, 0):width - max(dx, 0)]
    dark = soft(moved, blur_px)
    return picture * (1 - strength * dark[..., None])


# Perspective -------------------------------------------------------------------------

def homography(source, target):
    """3 x 3 map from four source points to four target points."""
    rows = []
    for (x, y), (u, v) in zip(source, target):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    h = np.linalg.solve(np.asarray(rows, float), np.asarray(target, float).reshape(-1))
    return np.append(h, 1).reshape(3, 3)


def levels(texture):
    """Ever smaller copies of a texture, each half the one before."""
    out = [texture]
    while min(out[-1].shape[:2]) >= 16:
        t = out[-1][:out[-1].shape[0] // 2 * 2, :out[-1].shape[1] // 2 * 2]
        out.append((t[::2, ::2] + t[1::2, ::2] + t[::2, 1::2] + t[1::2, 1::2]) / 4)
    return out


def sample(texture, u, v, bias=-0.35, repeat=True):
    """Reads a texture at pixel coordinates (u, v), smooth in place and in size."""
    pyramid = levels(texture)
    size = np.maximum(np.hypot(np.gradient(u, axis=1), np.gradient(v, axis=1)),
                      np.hypot(np.gradient(u, axis=0), np.gradient(v, axis=0)))
    level = np.clip(np.log2(np.maximum(size, 1e-6)) + bias, 0, len(pyramid) - 1.001)
    low = np.floor(level).astype(int)
    out = np.zeros((*u.shape, texture.shape[2]), F)
    for number, plane in enumerate(pyramid):
        weight = np.where(low == number, 1 - (level - low), np.where(low + 1 == number, level - low, 0)).astype(F)
        where = weight > 0
        if where.any():
            out[where] += weight[where][:, None] * bilinear(plane, u[where] / 2 ** number, v[where] / 2 ** number, repeat)
    return out


def bilinear(plane, u, v, repeat):
    height, width = plane.shape[:2]
    u, v = u - 0.5, v - 0.5
    x, y = np.floor(u).astype(int), np.floor(v).astype(int)
    fx, fy = (u - x)[:, None].astype(F), (v - y)[:, None].astype(F)
    fold = (lambda i, n: i % n) if repeat else (lambda i, n: np.clip(i, 0, n - 1))
    x0, x1, y0, y1 = fold(x, width), fold(x + 1, width), fold(y, height), fold(y + 1, height)
    return ((plane[y0, x0] * (1 - fx) + plane[y0, x1] * fx) * (1 - fy)
            + (plane[y1, x0] * (1 - fx) + plane[y1, x1] * fx) * fy)


def laid(shape, texture, corners, bias=-0.35, repeat=False):
    """A texture [h, w, c] seen in perspective: its corners (clockwise from top left) at `corners`."""
    height, width = texture.shape[:2]
    back = homography(corners, [(0, 0), (width, 0), (width, height), (0, height)])
    x, y = grid(shape)
    x, y = x + 0.5, y + 0.5
    w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
    u, v = ((back[i, 0] * x + back[i, 1] * y + back[i, 2]) / w for i in (0, 1))
    return sample(texture, u.astype(F), v.astype(F), bias, repeat)


def floor(shape, texture, horizon_px, texels, turn=0.0, shift=(0, 0)):
    """An endless plane below the horizon; `texels` per pixel at the lower edge."""
    x, y = grid(shape)
    depth = (shape[0] - horizon_px) / np.maximum(y - horizon_px, 0.7)
    u, v = (x - shape[1] / 2) * depth * texels, depth * (shape[0] - horizon_px) * texels * 2
    u, v = u * math.cos(turn) - v * math.sin(turn), u * math.sin(turn) + v * math.cos(turn)
    # The seam of the texture stays out of the middle.
    return sample(texture, u + shift[0] + texture.shape[1] / 2, v + shift[1])


def stand(center, size_px, aspect, roll=0, yaw=0, pitch=0, distance=3.2):
    """Corners of a card of width `size_px` and height `size_px * aspect`, turned in space (degrees)."""
    roll, yaw, pitch = (math.radians(a) for a in (roll, yaw, pitch))
    out = []
    for x, y in ((-.5, -.5), (.5, -.5), (.5, .5), (-.5, .5)):
        x, y, z = x, y * aspect, 0.0
        x, y = x * math.cos(roll) - y * math.sin(roll), x * math.sin(roll) + y * math.cos(roll)
        x, z = x * math.cos(yaw), x * math.sin(yaw)
        y, z = y * math.cos(pitch) - z * math.sin(pitch), y * math.sin(pitch) + z * math.cos(pitch)
        near = distance / (distance + z)
        out.append((center[0] + x * near * size_px, center[1] + y * near * size_px))
    return out


# Cards and stickers ------------------------------------------------------------------

@functools.cache
def icon(name, side_px):
    data = resvg_py.svg_to_bytes(svg_path=str(ICONS / f"{name}.svg"), width=side_px, height=side_px)
    return Image.open(io.BytesIO(bytes(data))).convert("RGBA")


def font(size_px, name="DejaVuSans"):
    return ImageFont.truetype(f"{name}.ttf", size_px)


def card(rng, icons, lines, tile_px=640, gap_px=90, margin_px=110):
    """A printed card: icons side by side, lines of text below; [h, w, 4] reflectance and coverage."""
    width = margin_px * 2 + tile_px * len(icons) + gap_px * (len(icons) - 1)
    height = margin_px * 2 + tile_px + (60 + 92 * len(lines) if lines else 0)
    image = Image.new("RGB", (width, height), (250, 248, 242))
    pen = ImageDraw.Draw(image)
    for i, name in enumerate(icons):
        tile = icon(name, tile_px)
        image.paste(tile, (margin_px + i * (tile_px + gap_px), margin_px), tile)
    for i, text in enumerate(lines):
        face = font(66 if i == 0 else 50, "DejaVuSans-Bold" if i == 0 else "DejaVuSerif-Italic")
        box = pen.textbbox((0, 0), text, font=face)
        pen.text(((width - box[2]) / 2, margin_px + tile_px + 46 + i * 92), text, font=face,
                 fill=(26, 34, 62) if i == 0 else (90, 92, 104))
    paper = (np.asarray(image, F) / 255) ** F(2.2) * F(0.88)
    paper *= (0.94 + 0.12 * fbm(rng, (height, width), 260, 3) - 0.02 * fbm(rng, (height, width), 5, 2))[..., None]
    round_px = 26
    cover = mask((height, width), lambda p, s: p.rounded_rectangle(
        (0, 0, width * s - 1, height * s - 1), round_px * s, fill=255))
    return np.dstack([paper * (1), cover]).astype(F)


def put_card(picture, paper, corners, light=(1, 1, 1), shadow=0.55, lift_px=10, away=(6, 9), blur_px=0.0,
             gradient=0.12):
    """Lays a card into a scene: contact and cast shadow, light falling off, slight defocus."""
    shape = picture.shape[:2]
    pixels = laid(shape, np.dstack([paper[..., :3] * paper[..., 3:], paper[..., 3]]), corners)
    inside = polygon(shape, corners)
    cover = np.clip(pixels[..., 3] * inside, 0, 1)
    colour = pixels[..., :3] / np.maximum(pixels[..., 3:], 1e-3)
    picture = shade(picture, inside, shadow * 0.55, max(2, lift_px * 0.35), away[0] // 3, away[1] // 3)
    picture = shade(picture, inside, shadow * 0.6, lift_px * 1.6, *away)
    x, y = grid(shape)
    mid = np.mean(corners, 0)
    reach = max(np.ptp(np.asarray(corners)[:, 0]), 1)
    fall = 1 - gradient * ((x - mid[0]) * 0.8 + (y - mid[1]) * 0.6) / reach
    return over(picture, colour * np.asarray(light, F) * fall[..., None], cover, blur_px)


def stamp(image, name, x, y, side_px, turn=0):
    """A sticker put on the finished picture, as a phone's editor does."""
    big = icon(name, 768).rotate(-turn, Image.BICUBIC, expand=True)
    scale = side_px / 768
    tile = big.resize((round(big.width * scale), round(big.height * scale)), Image.LANCZOS)
    image.paste(tile, (round(x - tile.width / 2), round(y - tile.height / 2)), tile)


# Camera ------------------------------------------------------------------------------

def develop(rng, picture, exposure=1.0, iso=200, vignette=0.28, warm=(1, 1, 1), contrast=1.0, soft_px=0.65):
    """Lens, sensor and the camera's own processing; returns a finished sRGB image."""
    height, width = picture.shape[:2]
    x, y = grid((height, width))
    r2 = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2
    light = picture * exposure * np.asarray(warm, F)
    light = light * (1 - vignette * r2)[..., None]
    light += 0.03 * soft(light[::4, ::4], 18).repeat(4, 0).repeat(4, 1)[:height, :width]
    light = soft(np.maximum(light, 0), soft_px)
    noise = rng.standard_normal(light.shape).astype(F)
    noise[..., 0] += 0.3 * noise[..., 1]
    noise[..., 2] *= 1.25
    light = light + noise * np.sqrt(light * 2.2e-7 * iso + (3.5e-6 * iso) ** 2 + 2e-7)
    luma = light @ np.array([.25, .65, .1], F)
    chroma = light - luma[..., None]
    light = soft(luma, 0.5)[..., None] * F(1) + soft(chroma, 1.6)  # denoising: colour more than brightness
    light = np.maximum(light, 0)
    # A shoulder instead of clipping, as film and phones have.
    light = np.where(light < 0.6, light, 0.6 + 0.4 * (1 - np.exp(-(light - 0.6) / 0.4)))
    tone = srgb(light)
    tone = np.clip(tone + (contrast - 1) * (tone - 0.45) * (1 - np.abs(2 * tone - 1)) * 2, 0, 1)
    image = Image.fromarray((tone * 255 + rng.random(tone.shape)).clip(0, 255).astype(np.uint8))
    return image.filter(ImageFilter.UnsharpMask(1.2, 55, 2))
