"""Draws Signet tiles and look-alikes as textures, on the GPU, a batch at a time.

In:  per-object parameters (`sample_objects`), the glyph atlas, a photo store for picture-in-frame fakes.
Out: `paint`: linear-light reflectance [B, 3, T, T] and opacity [B, 1, T, T] over tile coordinates -0.5..1.5.

Tile coordinates: (0, 0) is the icon's own top-left corner, (1, 1) the bottom-right one, y down; 1 = 1024 grid units.
The frame is analytic (signed distance), so every texture size is sharp without aliasing.
Knows nothing of scenes, cameras or networks.
"""
import torch
import torch.nn.functional as F

HALF, RADIUS, STROKE, GAP = 410 / 1024, 124 / 1024, 46 / 1024, 640 / 1024
TILE_RADIUS, GLYPH_MIN, GLYPH_MAX = 216 / 1024, 200 / 1024, 824 / 1024
EDGE = 922 / 1024

# What an object is. Only ICON is a find; the others travel through the same pipeline as negatives.
ICON, BARE, WRONG_FRAME, CIRCLE, GRID, ART, PICTURE, NEGATIVE = range(8)
FAKE_WEIGHTS = [0.0, 1.2, 2.6, 0.7, 1.2, 1.6, 1.2, 0.7]


def to_linear(srgb):
    return srgb.clamp(0, 1).pow(2.2)


def to_srgb(linear):
    return linear.clamp(1e-5, 1).pow(1 / 2.2)


class Atlas:
    """Glyph and art coverage on the device, with thumbnails to find look-alike glyphs."""

    def __init__(self, path, device, held=False):
        import numpy as np
        from glyphs import unpack4
        data = np.load(path)
        keep = data["held"] == held
        self.ink = torch.from_numpy(unpack4(data["ink"][keep])).to(device)
        self.art = torch.from_numpy(unpack4(data["art"])).to(device)
        thumbs = torch.cat([F.avg_pool2d(p[:, None].float(), 4) for p in self.ink.split(2048)]).flatten(1)
        self.thumbs = F.normalize(thumbs - thumbs.mean(1, keepdim=True), dim=1)

    def __len__(self):
        return len(self.ink)

    def glyphs(self, index):
        return self.ink[index][:, None].float() / 255


def uniform(low, high, *shape, device):
    return torch.rand(*shape, device=device) * (high - low) + low


def sample_objects(count, atlas, device, icon_share):
    """Random appearance of `count` objects; `kind` follows `icon_share`, the rest are fakes."""
    u = lambda a, b, *s: uniform(a, b, count, *s, device=device)
    weights = torch.tensor(FAKE_WEIGHTS, device=device)
    kind = torch.multinomial(weights, count, replacement=True)
    kind = torch.where(torch.rand(count, device=device) < icon_share, torch.zeros_like(kind), kind)
    p = dict(kind=kind, glyph=torch.randint(len(atlas), (count,), device=device),
             art=torch.randint(len(atlas.art), (count,), device=device))
    style = torch.rand(count, device=device)
    p["invert"] = torch.where(style < 0.74, 0, torch.where(style < 0.87, 1, 2))
    p["glyph_scale"] = u(0.95, 1.18)
    p["half"], p["radius"] = u(HALF - .004, HALF + .004), u(RADIUS - .01, RADIUS + .01)
    p["stroke"], p["gap"] = u(STROKE * .86, STROKE * 1.14), u(GAP - .012, GAP + .012)
    corners = torch.zeros(count, 4, device=device)
    corners[:, 2] = 1  # the gap sits at the bottom-right corner
    side_gap = torch.zeros(count, device=device)
    # Wrong frames: closed, two to four gaps, gap in mid-edge, tiny or huge gap, thin or fat stroke.
    wrong = kind == WRONG_FRAME
    how = torch.randint(6, (count,), device=device)
    closed = wrong & (how <= 1) | (kind == PICTURE) & (torch.rand(count, device=device) < .8)
    corners[closed | wrong & (how == 3)] = 0
    extra = (torch.rand(count, 4, device=device) < .5).float()
    extra[:, 0] = torch.where(extra.sum(1) < 2, torch.ones_like(extra[:, 0]), extra[:, 0])
    extra[:, 2] = 1
    corners = torch.where((wrong & (how == 2))[:, None], extra, corners)
    side_gap = torch.where(wrong & (how == 3), u(.05, .3), side_gap)
    p["gap"] = torch.where(wrong & (how == 4), torch.where(u(0, 1) < .5, u(.80, .86), u(.30, .42)), p["gap"])
    odd = wrong & (how == 5) | closed & (torch.rand(count, device=device) < .5) | (kind == PICTURE)
    thin = torch.rand(count, device=device) < .5
    p["stroke"] = torch.where(odd, torch.where(thin, u(.006, .022), u(.075, .12)), p["stroke"])
    p["radius"] = torch.where(odd, u(.0, .35), p["radius"])
    circle = kind == CIRCLE
    p["radius"] = torch.where(circle, p["half"] - .002, p["radius"])
    p["stroke"] = torch.where(circle, u(.015, .09), p["stroke"])
    corners[circle & (torch.rand(count, device=device) < .5)] = 0
    hidden = (kind == BARE) | (kind == GRID) | (kind == ART)
    p["stroke"] = torch.where(hidden, torch.full_like(p["stroke"], -1.0), p["stroke"])
    p["corners"], p["side_gap"] = corners, side_gap
    # Colours in sRGB: dark inks on white, cream or tinted paper.
    c = torch.rand(count, device=device)[:, None]
    house = torch.tensor([20, 33, 61], device=device) / 255 + u(-.02, .02, 3)
    hue = u(0, .5, 3) * u(.3, 1., 1)
    hue = hue * (0.3 / hue.mean(1, keepdim=True).clamp(min=.3))
    ink = torch.where(c < .5, house, torch.where(c < .75, u(0, .12, 1).expand(-1, 3), hue))
    c = torch.rand(count, device=device)[:, None]
    cream = torch.stack([u(.92, 1), u(.86, .97), u(.72, .92)], 1)
    paper = torch.where(c < .65, u(.88, 1, 1) + u(-.02, .02, 3), torch.where(c < .85, cream, u(.62, 1, 3)))
    ink = torch.where(torch.rand(count, 1, device=device) < .25, torch.lerp(ink, paper, u(0, .3, 1)), ink)
    negative = (kind == NEGATIVE)[:, None]
    p["ink"], p["paper"] = torch.where(negative, paper, ink).clamp(0, 1), torch.where(negative, ink, paper).clamp(0, 1)
    # Sticker without margin, or a card around the tile, sometimes with a text block on it.
    p["margin"] = u(0, .5, 4) * (torch.rand(count, 1, device=device) < .7)
    p["text"] = torch.randint(4, (count,), device=device)  # 0: right, 1: below, others: none
    p["bend"] = u(-.06, .06, 2) * (torch.rand(count, 1, device=device) < .3)
    p["stamp"] = torch.rand(count, device=device) < .22
    p["opacity"] = torch.where(torch.rand(count, device=device) < .4, torch.ones(count, device=device), u(.4, 1))
    # Occluder: a half plane with a ragged angle, deeper into the tile as `cover` grows; 0 is none.
    p["cover"] = u(.03, .35) * (torch.rand(count, device=device) < .14) * ~p["stamp"]
    p["cover_angle"] = u(0, 6.2832)
    return p


def _distance(x, y):
    return (x * x + y * y).add(1e-9).sqrt()


def _round_box(u, v, half, radius):
    qx, qy = (u - .5).abs() - half + radius, (v - .5).abs() - half + radius
    return _distance(qx.clamp(min=0), qy.clamp(min=0)) + torch.maximum(qx, qy).clamp(max=0) - radius


def paint(p, atlas, store, size):
    """Textures of `size` px over tile coordinates -0.5..1.5; returns (reflectance, opacity)."""
    count, device = len(p["kind"]), p["kind"].device
    at = ((torch.arange(size, device=device) + .5) / size * 2 - .5)
    v, u = torch.meshgrid(at, at, indexing="ij")
    u, v, px = u[None], v[None], 2 / size
    col = lambda key: p[key][:, None, None]
    cov = lambda sd: (.5 - sd / px).clamp(0, 1)
    # Frame
    sd = _round_box(u, v, col("half"), col("radius")).abs() - col("stroke")
    ring, caps = cov(sd), torch.zeros_like(sd)
    for k, (fx, fy) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1))):
        x, y = .5 + (u - .5) * fx, .5 + (v - .5) * fy
        present = p["corners"][:, k, None, None]
        ring = ring * (1 - present * cov(col("gap") - torch.minimum(x, y)))
        end = torch.minimum(_distance(x - EDGE, y - col("gap")), _distance(x - col("gap"), y - EDGE))
        caps = torch.maximum(caps, present * cov(end - col("stroke")))
    caps = caps * (p["kind"] != CIRCLE)[:, None, None]
    ring = ring * (1 - ((u - .5).abs() < col("side_gap")) * (v > .5).float())
    ink = torch.maximum(ring, caps)
    # Content: glyph on paper, or paper glyph on a solid disc or rounded square
    inside = (GLYPH_MAX - GLYPH_MIN) * torch.where(p["kind"] == BARE, 1.5, 1.0)
    def place(picture, scale, typical):
        grid = torch.stack(torch.broadcast_tensors((u - .5) / scale * 2, (v - .5) / scale * 2), -1)
        shrink = max(1, int(picture.shape[-1] / (size * .5 * typical) + .25))
        return F.grid_sample(F.avg_pool2d(picture, shrink), grid, align_corners=False)
    inverted = p["invert"] > 0
    scale = inside * p["glyph_scale"] * torch.where(inverted, .66, 1.0)
    glyph = place(atlas.glyphs(p["glyph"]), scale[:, None, None], .6)[:, 0]
    disc = cov(_distance(u - .5, v - .5) - .30)
    block = cov(_round_box(u, v, .29 + 0 * col("half"), .07 + 0 * col("half")))
    solid = torch.where((p["invert"] == 1)[:, None, None], disc, block)
    glyph = torch.where(inverted[:, None, None], solid * (1 - glyph), glyph)
    kind = col("kind")
    glyph = torch.where((kind == PICTURE), torch.zeros_like(glyph), glyph)
    ink = torch.maximum(ink, glyph)
    art = place(atlas.art[p["art"]][:, None].float() / 255, torch.ones(count, 1, 1, device=device), 1.)[:, 0]
    cells = torch.randint(4, 11, (count,), device=device)
    bits = torch.rand(count, 1, 12, 12, device=device).round()
    step = torch.stack(torch.broadcast_tensors(u * cells[:, None, None] / 6 - 1, v * cells[:, None, None] / 6 - 1), -1)
    grid = F.grid_sample(bits, step, mode="nearest", align_corners=False)[:, 0]
    within = ((u - .5).abs() < .5) & ((v - .5).abs() < .5)
    rim = 1 - ((u - .5).abs() < .5 - .9 / cells[:, None, None]) * ((v - .5).abs() < .5 - .9 / cells[:, None, None]).float()
    grid = torch.maximum(grid, rim) * within
    ink = torch.where(kind == GRID, grid, torch.where(kind == ART, art, ink))
    # Text beside or below the tile
    tx = torch.where((p["text"] == 0)[:, None, None], (u - 1.06) / .4, (u - .05) / .9)
    ty = torch.where((p["text"] == 0)[:, None, None], (v - .1) / .8, (v - 1.06) / .4)
    words = F.grid_sample(F.avg_pool2d(atlas.art[p["art"]][:, None].float() / 255, 2),
                          torch.stack([tx * 2 - 1, ty * 2 - 1], -1), align_corners=False)[:, 0]
    ink = torch.maximum(ink, words * (p["text"] < 2)[:, None, None] * (p["margin"].sum(1) > .5)[:, None, None])
    # Colours
    paper, dark = to_linear(p["paper"])[:, :, None, None], to_linear(p["ink"])[:, :, None, None]
    patch = store.patches(count, 64)
    patch = F.grid_sample(patch, torch.stack(torch.broadcast_tensors(u * 2 - 1, v * 2 - 1), -1).expand(count, -1, -1, -1),
                          align_corners=False)
    hole = cov(_round_box(u, v, col("half"), col("radius")))[:, None]
    picture = (kind == PICTURE)[:, None] * hole
    base = paper * (1 - picture) + to_linear(patch) * picture
    rgb = base * (1 - ink[:, None]) + dark * ink[:, None]
    # Outline: rounded tile, or the card around it
    m = p["margin"][:, :, None, None]
    card = cov(torch.maximum(torch.maximum(-m[:, 0] - u, u - 1 - m[:, 1]), torch.maximum(-m[:, 2] - v, v - 1 - m[:, 3])))
    tile = cov(_round_box(u, v, .5 + 0 * col("half"), TILE_RADIUS + 0 * col("half")))
    bare_sticker = (p["margin"].sum(1) == 0) | p["stamp"]
    alpha = torch.where(bare_sticker[:, None, None], tile, card)
    a = p["cover_angle"]
    depth = (u - .5) * a.cos()[:, None, None] + (v - .5) * a.sin()[:, None, None]
    edge = .5 * (a.cos().abs() + a.sin().abs())
    ragged = .02 * torch.sin((u * 9 + v * 7) * 2 + a[:, None, None] * 5)
    kept = cov(depth + ragged - edge[:, None, None] + col("cover") * 1.15)
    alpha = torch.where(col("cover") > 0, alpha * kept, alpha)
    alpha = alpha * torch.where(p["stamp"], p["opacity"], torch.ones_like(p["opacity"]))[:, None, None]
    return rgb, alpha[:, None]
