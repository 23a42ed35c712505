"""Composes synthetic photos: background, printed and stamped objects, light, then the camera.

In:  a photo `Store`, a glyph `Atlas`, a `Difficulty`, slots of (side_min_px, side_max_px, texture_px).
Out: `Scene`: sRGB images [B, 3, S, S] in 0..1 and, per slot, the true quad, kind and visibility.

Pixel (i, j) covers [i, i+1) x [j, j+1); its centre is at +0.5. Quads run clockwise from the icon's own top left.
Printed objects are lit and pass the camera; stamps are pasted after it and meet the last JPEG only.
Everything is drawn at twice the size and averaged down.
"""
from dataclasses import dataclass
import math
import torch
import torch.nn.functional as F
from tile import ICON, paint, sample_objects, to_linear, to_srgb, uniform

LUMA = (0.299, 0.587, 0.114)


@dataclass
class Difficulty:
    """Upper ends of the random ranges; each scene draws its own share of them."""
    tilt_deg: float = 60
    blur_px: float = 1.6
    motion_px: float = 6
    noise: float = 10 / 255
    jpeg_min: float = 30
    light_min: float = 0.12
    cover: bool = True
    fixed: bool = False  # True: every scene sits near the upper ends


TRAIN = Difficulty()
EASY = Difficulty(tilt_deg=15, blur_px=.5, motion_px=0, noise=3 / 255, jpeg_min=80, light_min=.4, cover=False)
SPEC = Difficulty(tilt_deg=35, blur_px=.8, motion_px=1, noise=5 / 255, jpeg_min=75, light_min=.25, cover=False)
HARD = Difficulty(tilt_deg=50, blur_px=1.3, motion_px=3, noise=8 / 255, jpeg_min=45, light_min=.15, cover=False, fixed=True)


class Store:
    """Photo squares on the device, and the places where the localiser was wrong."""

    def __init__(self, path, device, limit=None):
        from bake import load_squares
        self.photos = torch.from_numpy(load_squares(path, limit=limit)).to(device)
        self.side, self.device, self.hard = self.photos.shape[-1], device, None

    def patches(self, count, size):
        pool = torch.randint(len(self.photos), (24,)).tolist()
        at = torch.randint(self.side - size, (24, 2)).tolist()
        crops = torch.stack([self.photos[i, :, y:y + size, x:x + size] for i, (y, x) in zip(pool, at)])
        return crops[torch.randint(24, (count,), device=self.device)].float() / 255

    def sample(self, index, grid):
        """Bilinear samples of photos `index` at `grid` (photo px), reflected at the borders."""
        out = []
        for i, g in zip(index.split(48), grid.split(48)):
            out.append(F.grid_sample(self.photos[i].float() / 255, g / self.side * 2 - 1, padding_mode="reflection",
                                     align_corners=False))
        return torch.cat(out)

    def views(self, count, size, step=2, hard_share=0.35):
        """Random views, `size * step` px wide, showing `size / zoom` px of a photo."""
        d = self.device
        index = torch.randint(len(self.photos), (count,), device=d)
        zoom = torch.exp(uniform(math.log(max(.76, size / self.side)), math.log(2.2), count, device=d))
        centre = uniform(0, 1, count, 2, device=d)
        centre = (centre * (self.side - size / zoom[:, None]).clamp(min=0)) + size / zoom[:, None] / 2
        angle = torch.where(uniform(0, 1, count, device=d) < .75, uniform(-.06, .06, count, device=d),
                            uniform(-3.14, 3.14, count, device=d))
        if self.hard is not None and len(self.hard):
            pick = self.hard[torch.randint(len(self.hard), (count,), device=d)]
            use = uniform(0, 1, count, device=d) < hard_share
            index = torch.where(use, pick[:, 0].long(), index)
            zoom = torch.where(use, pick[:, 3] * uniform(.8, 1.25, count, device=d), zoom)
            centre = torch.where(use[:, None], pick[:, 1:3] + uniform(-.35, .35, count, 2, device=d) * size / zoom[:, None], centre)
        flip = torch.where(uniform(0, 1, count, device=d) < .5, -1., 1.)
        at = (torch.arange(size * step, device=d) + .5) / step - size / 2
        y, x = torch.meshgrid(at, at, indexing="ij")
        c, s = (angle.cos() / zoom)[:, None, None], (angle.sin() / zoom)[:, None, None]
        grid = torch.stack([(c * x - s * y) * flip[:, None, None], s * x + c * y], -1) + centre[:, None, None]
        view = self.sample(index, grid)
        plain = uniform(0, 1, count, device=d) < .12
        fill = uniform(.05, 1, count, 3, 1, 1, device=d) * .35 + uniform(.0, .65, count, 1, 1, 1, device=d)
        return torch.where(plain[:, None, None, None], fill * .9 + view * .1, view)


@dataclass
class Scene:
    images: torch.Tensor      # [B, 3, S, S]
    quads: torch.Tensor       # [B, K, 4, 2] px
    kind: torch.Tensor        # [B, K], -1 where the slot is empty
    glyph: torch.Tensor       # [B, K]
    invert: torch.Tensor      # [B, K]
    visible: torch.Tensor     # [B, K] bool: wholly inside and not covered by more than a third


def pose(side_px, tilt, device):
    """Homographies [B, 3, 3] from tile coordinates to px around the origin, with the given mean side."""
    count = len(side_px)
    spin, axis = uniform(0, 2 * math.pi, count, device=device), uniform(0, 2 * math.pi, count, device=device)
    zero, one = torch.zeros_like(spin), torch.ones_like(spin)
    turn = lambda a: torch.stack([a.cos(), -a.sin(), zero, a.sin(), a.cos(), zero, zero, zero, one], 1).view(-1, 3, 3)
    lean = torch.stack([one, zero, zero, zero, tilt.cos(), -tilt.sin(), zero, tilt.sin(), tilt.cos()], 1).view(-1, 3, 3)
    r = turn(axis) @ lean @ turn(spin - axis)
    far = uniform(3, 10, count, device=device)
    h = torch.stack([r[:, 0], r[:, 1], r[:, 2] / far[:, None]], 1)
    h = torch.stack([h[:, :, 0], h[:, :, 1], torch.stack([zero, zero, one], 1)], 2)
    centre = torch.eye(3, device=device)
    centre[0, 2] = centre[1, 2] = -.5
    h = h @ centre
    unit = corners_of(h)
    scale = side_px / (unit - unit.roll(-1, 1)).norm(dim=-1).mean(1)
    return torch.cat([h[:, :2] * scale[:, None, None], h[:, 2:]], 1)


def corners_of(h):
    """Images of the tile corners under homographies [B, 3, 3] -> [B, 4, 2]."""
    square = torch.tensor([[0., 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], device=h.device)
    p = square @ h.transpose(1, 2)
    return p[..., :2] / p[..., 2:]


def shift(h, by):
    moved = h.clone()
    moved[:, :2] += by[:, :, None] * h[:, 2:]
    return moved


def layer(h, p, atlas, store, texture_px, size, step):
    """One object per image on a transparent canvas: linear colour and opacity at `size * step` px."""
    rgb, alpha = paint(p, atlas, store, texture_px)
    count, d = len(h), h.device
    # Sheen and gradient live on the card, so they are added to its texture.
    at = torch.linspace(-1, 1, texture_px, device=d)
    y, x = torch.meshgrid(at, at, indexing="ij")
    u = lambda a, b: uniform(a, b, count, 1, 1, 1, device=d)
    rgb = rgb * (1 + u(-.3, .3) * x + u(-.3, .3) * y).clamp(.2, 2)
    spot = torch.exp(-((x - u(-.7, .7)) ** 2 + (y - u(-.7, .7)) ** 2) / u(.01, .15))
    rgb = rgb + spot * u(.1, .8) * (u(0, 1) < .12)
    at = (torch.arange(size * step, device=d) + .5) / step
    y, x = torch.meshgrid(at, at, indexing="ij")
    m = torch.linalg.inv(h)[:, :, :, None, None]
    w = m[:, 2, 0] * x + m[:, 2, 1] * y + m[:, 2, 2]
    good = w > 1e-4
    w = w.clamp(min=1e-4)
    tu, tv = (m[:, 0, 0] * x + m[:, 0, 1] * y + m[:, 0, 2]) / w, (m[:, 1, 0] * x + m[:, 1, 1] * y + m[:, 1, 2]) / w
    bend = p["bend"][:, :, None, None]
    tu, tv = tu + bend[:, 0] * (tv * (1 - tv)).clamp(-.3, .3) * 2, tv + bend[:, 1] * (tu * (1 - tu)).clamp(-.3, .3) * 2
    grid = torch.stack([tu - .5, tv - .5], -1).clamp(-3, 3)
    drawn = F.grid_sample(torch.cat([rgb * alpha, alpha], 1), grid, align_corners=False)
    alpha = drawn[:, 3:] * good[:, None]
    return drawn[:, :3] / drawn[:, 3:].clamp(min=1e-3), alpha


def blur(images, sigma, along, angle):
    """Anisotropic Gaussian per image: `sigma` everywhere, more by `along` in direction `angle`."""
    b, c, h, w = images.shape
    at = torch.arange(-5, 6, device=images.device).float()
    y, x = torch.meshgrid(at, at, indexing="ij")
    ca, sa = angle.cos()[:, None, None], angle.sin()[:, None, None]
    major = ((x * ca + y * sa) ** 2) / (2 * (sigma ** 2 + along ** 2 + .01))[:, None, None]
    minor = ((y * ca - x * sa) ** 2) / (2 * (sigma ** 2 + .01))[:, None, None]
    kernel = torch.exp(-major - minor)
    kernel = (kernel / kernel.sum((1, 2), keepdim=True)).repeat_interleave(c, 0)[:, None]
    padded = F.pad(images, (5, 5, 5, 5), mode="reflect").reshape(1, b * c, h + 10, w + 10)
    return F.conv2d(padded, kernel, groups=b * c).view(b, c, h, w)


_Q_LUMA = [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
           14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
           49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
_Q_CHROMA = [17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99]


def jpeg(images, quality):
    """JPEG loss per image (ITU-T T.81 Annex K tables, 4:2:0); sides must be multiples of 16."""
    d = images.device
    n = torch.arange(8, device=d).float()
    dct = torch.cos((2 * n[None] + 1) * n[:, None] * math.pi / 16) * .5
    dct[0] = math.sqrt(1 / 8)
    luma = torch.tensor(_Q_LUMA, device=d).float().view(8, 8)
    chroma = torch.full((8, 8), 99., device=d)
    chroma[:4, :4] = torch.tensor(_Q_CHROMA, device=d).float().view(4, 4)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100

    both = torch.kron(dct, dct)  # one 64x64 product per block instead of two small ones

    def squeeze(plane, table):
        b, c, h, w = plane.shape
        step = (table.flatten() * scale[:, None]).clamp(1, 255)[:, None] / 255
        blocks = plane.reshape(b, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5).reshape(b, -1, 64)
        blocks = torch.round(blocks @ both.T / step) * step @ both
        return blocks.view(b, c, h // 8, w // 8, 8, 8).permute(0, 1, 2, 4, 3, 5).reshape(b, c, h, w)

    r, g, b = images.unbind(1)
    y = LUMA[0] * r + LUMA[1] * g + LUMA[2] * b
    y, cbcr = y[:, None] - .5, torch.stack([(b - y) * .564, (r - y) * .713], 1)
    y = squeeze(y, luma)[:, 0] + .5
    cbcr = F.interpolate(squeeze(F.avg_pool2d(cbcr, 2), chroma), scale_factor=2, mode="bilinear", align_corners=False)
    cb, cr = cbcr.unbind(1)
    return torch.stack([y + 1.403 * cr, y - .344 * cb - .714 * cr, y + 1.773 * cb], 1).clamp(0, 1)


def jpeg_some(images, difficulty, share):
    quality = uniform(difficulty.jpeg_min, 95, len(images), device=images.device)
    dy, dx = torch.randint(16, (2,)).tolist()
    lossy = jpeg(images.roll((dy, dx), (2, 3)), quality).roll((-dy, -dx), (2, 3))
    keep = torch.rand(len(images), device=images.device) < share
    return torch.where(keep[:, None, None, None], lossy, images)


@torch.no_grad()
def compose(store, atlas, count, size, slots, difficulty=TRAIN, icon_share=.6, present=.6, empty_share=.4,
            centred=False, glyphs=None):
    """Draws `count` scenes of `size` px. `glyphs` (with `centred`) fixes (index, invert, scale) of slot 0."""
    d, k = store.device, len(slots)
    u = lambda a, b, *s: uniform(a, b, count, *s, device=d)
    effort = torch.ones(count, device=d) if difficulty.fixed else u(0, 1)
    span = lambda: (u(.75, 1) if difficulty.fixed else effort * u(0, 1).sqrt())
    scene = to_linear(store.views(count, size))
    low = F.adaptive_avg_pool2d(scene, 6)
    mean = low.mean((1, 2, 3), keepdim=True)
    ratio = F.interpolate((low / (low.mean((2, 3), keepdim=True) * .5 + mean * .5 + .02)).clamp(.3, 2.5),
                          scale_factor=size * 2 / 6.0001, mode="bilinear", align_corners=False, recompute_scale_factor=False)
    ratio = F.interpolate(ratio, size=(size * 2, size * 2)) if ratio.shape[-1] != size * 2 else ratio
    level = torch.where(u(0, 1) < .5, (mean[:, 0, 0, 0] * u(1, 3.5)), u(.2, 1.1)).clamp(difficulty.light_min, 1.1)
    light = (level[:, None, None, None] * (1 + (ratio - 1) * u(0, 1, 1, 1, 1))).clamp(.02, 1.4)
    empty = torch.rand(count, device=d) < empty_share
    stamp_rgb = stamp_alpha = None
    placed, quads, kinds, glyph_index, inverts, visibles = [], [], [], [], [], []
    for low_px, high_px, texture_px in slots:
        p = sample_objects(count, atlas, d, icon_share)
        if glyphs is not None:
            p["glyph"], p["invert"], p["glyph_scale"] = glyphs
        if not difficulty.cover:
            p["cover"] = p["cover"] * 0
        p["kind"] = torch.where(empty & (p["kind"] == ICON), torch.full_like(p["kind"], 2), p["kind"])
        side = torch.exp(u(math.log(low_px), math.log(high_px)))
        steep = torch.where(u(0, 1) < .8, u(0, .67), u(.67, 1)) if not difficulty.fixed else u(.6, 1)
        h = pose(side, steep * math.radians(difficulty.tilt_deg) * (effort if not difficulty.fixed else 1), d)
        reach = torch.minimum(side * .4, torch.tensor(size / 2., device=d))
        centre = size / 2 + u(-2, 2, 2) if centred else reach[:, None] + u(0, 1, 2) * (size - 2 * reach[:, None])
        h = shift(h, centre)
        there = torch.rand(count, device=d) < present
        for other, other_radius in placed:
            there = there & ((centre - other).norm(dim=1) > side * .75 + other_radius)
        placed.append((torch.where(there[:, None], centre, torch.full_like(centre, -1e4)), side * .75))
        rgb, alpha = layer(h, p, atlas, store, texture_px, size, 2)
        alpha = alpha * there[:, None, None, None]
        stamp = p["stamp"][:, None, None, None].float()
        scene = torch.lerp(scene, rgb * light, alpha * (1 - stamp))
        small = F.avg_pool2d(torch.cat([to_srgb(rgb.clamp(0, 1)) * alpha * stamp, alpha * stamp], 1), 2)
        if stamp_rgb is None:
            stamp_rgb, stamp_alpha = small[:, :3], small[:, 3:]
        else:
            stamp_rgb, stamp_alpha = stamp_rgb * (1 - small[:, 3:]) + small[:, :3], stamp_alpha * (1 - small[:, 3:]) + small[:, 3:]
        quad = corners_of(h)
        quads.append(quad)
        kinds.append(torch.where(there, p["kind"], torch.full_like(p["kind"], -1)))
        glyph_index.append(p["glyph"])
        inverts.append(p["invert"])
        visibles.append(((quad > -.5) & (quad < size + .5)).all(2).all(1))
    # Shadow edge, exposure and white balance
    at = torch.linspace(-1, 1, size * 2, device=d)
    y, x = torch.meshgrid(at, at, indexing="ij")
    angle = u(0, 6.283, 1, 1)
    shadow = torch.sigmoid((x * angle.cos() + y * angle.sin() + u(-.6, .6, 1, 1)) * u(3, 60, 1, 1))
    scene = scene * (1 - shadow * u(.1, .65, 1, 1) * (u(0, 1, 1, 1) < .3))[:, None]
    gain = 1 + (torch.where(u(0, 1) < .5, u(.35, 1), u(1, 1.25)) - 1) * effort
    scene = (scene * gain[:, None, None, None] * u(.88, 1.12, 3, 1, 1)).clamp(0, 1)
    fine = bool(torch.rand(()) < .3)  # camera sees twice the pixels and the preview is averaged down
    if not fine:
        scene = F.avg_pool2d(scene, 2)
    spread = 1.5 if fine else 1.
    moving = (u(0, 1) < .25) | torch.tensor(difficulty.fixed, device=d)
    scene = blur(scene, span() * difficulty.blur_px * spread, span() * difficulty.motion_px / 3.5 * spread * moving, u(0, 3.14))
    scene = to_srgb(scene)
    grain = torch.randn_like(scene)
    coarse = F.avg_pool2d(grain, 3, 1, 1) * 2
    grain = torch.where(u(0, 1, 1, 1, 1) < .35, coarse, grain) * .7 + grain.mean(1, keepdim=True) * .9
    scene = (scene + grain * (span() * difficulty.noise * spread)[:, None, None, None]).clamp(0, 1)
    if fine:
        scene = F.avg_pool2d(jpeg_some(scene, difficulty, .8), 2)
    scene = scene * (1 - stamp_alpha) + stamp_rgb
    side_tap = u(-.06, .12, 1, 1, 1) * effort[:, None, None, None]
    for shape in ((0, 0, 1, 1), (1, 1, 0, 0)):
        padded = F.pad(scene, shape, mode="reflect")
        near = (padded[..., :-2] + padded[..., 2:]) if shape[2] == 0 else (padded[:, :, :-2] + padded[:, :, 2:])
        scene = scene * (1 - 2 * side_tap) + near * side_tap
    scene = jpeg_some(scene.clamp(0, 1), difficulty, .4 if fine else .85)
    grey = (scene * torch.tensor(LUMA, device=d)[:, None, None]).sum(1, keepdim=True)
    scene = torch.where(u(0, 1, 1, 1, 1) < .03, grey.expand_as(scene), scene)
    scene = torch.round(scene * 255) / 255
    stack = lambda items: torch.stack(items, 1)
    return Scene(scene, stack(quads), stack(kinds), stack(glyph_index), stack(inverts), stack(visibles))


def square_to_quad(quads):
    """Homographies [B, 3, 3] from the unit square to quads [B, 4, 2] (Heckbert 1989, section 2.2)."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (q.unbind(1) for q in quads.unbind(1))
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    det = dx1 * dy2 - dx2 * dy1
    det = torch.where(det.abs() < 1e-6, torch.full_like(det, 1e-6), det)
    g, h = (sx * dy2 - dx2 * sy) / det, (dx1 * sy - sx * dy1) / det
    one = torch.ones_like(g)
    return torch.stack([x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, one], 1).view(-1, 3, 3)


def rectify_grid(quads, margin, size=64):
    """Photo px [B, size, size, 2] for a crop that covers tile coordinates -margin..1+margin."""
    at = (torch.arange(size, device=quads.device) + .5) / size * (1 + 2 * margin) - margin
    v, u = torch.meshgrid(at, at, indexing="ij")
    p = torch.stack([u, v, torch.ones_like(u)], -1).view(1, -1, 3) @ square_to_quad(quads).transpose(1, 2)
    return (p[..., :2] / p[..., 2:].clamp(min=1e-4)).view(-1, size, size, 2)


def rectify(images, quads, margin, size=64):
    """Crops [B, 3, size, size] of the images under one quad each, bilinear, borders repeated."""
    span = torch.tensor([images.shape[3], images.shape[2]], device=images.device)
    return F.grid_sample(images, rectify_grid(quads, margin, size) / span * 2 - 1, padding_mode="border", align_corners=False)


def through(quads, points, margin, size=64):
    """Photo points [B, 4, 2] seen in the crop of `rectify`, in crop px."""
    p = torch.cat([points, torch.ones_like(points[..., :1])], -1) @ torch.linalg.inv(square_to_quad(quads)).transpose(1, 2)
    return (p[..., :2] / p[..., 2:] + margin) / (1 + 2 * margin) * size
