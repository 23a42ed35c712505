"""Scenes of make.py: each function draws one place and gives linear light, ready for `develop`.

Everything is computed: no photograph, texture or drawing of anybody else is in here.
"""
import colorsys
import math

import numpy as np

from studio import (F, ball, card, defocus, fbm, floor, font, grid, homography, laid, lin, line_noise, mask, mix,
                    over, painting, polygon, put_card, ramp, sample, shade, soft, stand, step)

WIDE, TALL = (1200, 1600), (1600, 1200)


def hsv(h, s, v):
    return np.asarray(colorsys.hsv_to_rgb(h % 1, s, v), F) ** F(2.2)


def byte(h, s, v):
    return tuple(int(255 * c) for c in colorsys.hsv_to_rgb(h % 1, min(max(s, 0), 1), min(max(v, 0), 1)))


def clouds(rng, sky, lit, dark, amount=0.52, scale=340, stretch=2.6):
    height, width = sky.shape[:2]
    form = fbm(rng, (height + 24, width + 24), scale, 8, 0.56, stretch)
    y = np.linspace(0, 1, height, dtype=F)[:, None]
    here, above = form[24:, 24:], soft(form, 5)[:height, :width]
    cover = step(amount - .05, amount + 0.26, here)
    thick = step(amount + 0.02, amount + 0.42, above) * (.75 + .5 * (here - .5) * 2)
    return mix(sky, mix(lit, dark, np.clip(thick, 0, 1) * .85), cover * (0.95 - .3 * y))


def conifer(pen, rng, x, base, height, s, tone, snow=None):
    """One fir as ragged tiers, painted with `tone` bytes; `snow` lies on the tiers."""
    tiers = max(6, int(height / 13))
    pen.rectangle([(x - height * .018) * s, (base - height * .2) * s, (x + height * .018) * s, base * s], fill=(40, 28, 22, 255))
    for i in range(tiers):
        t = i / tiers
        y = base - height * (0.06 + 0.94 * t)
        half = height * 0.23 * (1 - t) ** 0.9 * rng.uniform(.72, 1.1) + 1
        drop = height / tiers * rng.uniform(1.3, 1.9)
        left, right = [], []
        for k in range(5):
            f = k / 4
            left.append((x - half * f, y + drop * f * rng.uniform(.7, 1.2)))
            right.append((x + half * f, y + drop * f * rng.uniform(.7, 1.2)))
        points = left[::-1] + [(x, y - drop * .5)] + right + [(x + half * .5, y + drop * .75), (x, y + drop * .6), (x - half * .5, y + drop * .7)]
        shade_ = rng.uniform(.8, 1.15)
        pen.polygon([(a * s, b * s) for a, b in points], fill=(*(int(min(255, c * shade_)) for c in tone), 255))
        if snow:
            for side in (left, right):
                if rng.random() < .85:
                    a, b, c = side[1], side[2], side[3 if rng.random() < .6 else 4]
                    w = height * .012 + 1
                    white = (*snow, 255)
                    pen.polygon([(p[0] * s, p[1] * s) for p in (a, b, c, (c[0], c[1] - w), (b[0], b[1] - 2.4 * w), (a[0], a[1] - 1.6 * w))], fill=white)


def ridge(rng, width, base, height, scale):
    return base - height * (line_noise(rng, width, scale, 7, 0.48) - 0.35) * 2


def below(shape, line):
    _, y = grid(shape)
    return np.clip(y - line[None, :] + 0.5, 0, 1)


def lake(rng):
    shape, horizon = WIDE, 700
    x, y = grid(shape)
    t = y / horizon
    p = ramp(t, [(0, lin(52, 84, 140)), (.45, lin(146, 158, 190)), (.75, lin(244, 190, 150)), (1, lin(255, 214, 160))])
    sun = np.exp(-(((x - 1080) / 420) ** 2 + ((y - 600) / 190) ** 2))
    p += sun[..., None] * lin(255, 190, 110) * 0.75
    p = clouds(rng, p, lin(255, 204, 170) * 1.1, lin(142, 122, 150), .55, 300, 3.4)
    glow = lin(255, 206, 160)
    for i, (base, height, scale, tone) in enumerate([
            (600, 260, 420, lin(120, 128, 166)), (640, 210, 330, lin(92, 98, 132)),
            (672, 130, 300, lin(62, 70, 92)), (694, 66, 380, lin(34, 44, 50))]):
        line = ridge(rng, shape[1], base, height, scale)
        rock = fbm(rng, shape, 60, 6, .6, .7)
        snow = step(.5, .58, rock + (0.16 if i == 0 else -.2)) * step(line.min() + 190, line.min() + 40, y)
        face = mix(tone * (0.7 + 0.6 * rock[..., None]), lin(226, 214, 222) * .8, snow * (.8 if i < 2 else 0))
        haze = step(line.min() - 20, 720, y) * (0.62 - .13 * i)
        p = over(p, mix(face, glow * 0.75, haze), below(shape, line))
    firs, cover = painting(shape, lambda pen, s: [conifer(
        pen, rng, rng.uniform(-20, 1620), 706 + rng.uniform(-8, 4), rng.uniform(28, 88) * (1.2 if abs(u - 800) > 420 else .55), s, (22, 33, 32))
        for u in rng.uniform(0, 1600, 230)])
    p = over(p, firs * 0.9 + glow * 0.02, cover)
    # Water: the upper half upside down, drawn out by ripples that grow towards us.
    mirror = p[:horizon][::-1]
    rows = np.arange(shape[0] - horizon)
    near = rows / rows.max()
    water = np.concatenate([mirror, mirror])[:len(rows)]
    ripple = floor((len(rows), shape[1]), np.dstack([fbm(rng, (512, 1024), 18, 4, .6, 3)] * 3), -30, 0.45)[..., 0] - .5
    ux = np.clip(x[:len(rows)] + ripple * (30 + 130 * near[:, None]), 0, shape[1] - 1).astype(int)
    uy = np.clip(rows[:, None] + ripple * (20 + 240 * near[:, None]), 0, len(rows) - 1).astype(int)
    water = soft(water[uy, ux], 1.0, 2.2)
    water = mix(water * lin(205, 215, 225), lin(20, 38, 54), 0.22 + 0.5 * near[:, None] * (0.7 + .6 * ripple))
    p[horizon:] = water
    p[horizon - 3:horizon + 5] = mix(p[horizon - 3:horizon + 5], lin(250, 220, 180), .35)
    # Jetty
    wood = planks(rng, 8, 1024, 1024, hue=.08, value=.36, across=True)
    quad = [(560, 792), (700, 792), (1010, 1230), (300, 1230)]
    deck = laid(shape, wood, quad)
    inside = polygon(shape, quad)
    p = shade(p, inside, .7, 9, -14, 10)
    p = over(p, deck * lin(238, 214, 200) * (0.75 + 0.5 * step(790, 1200, y))[..., None], inside)
    for px_, py_, h, w in [(556, 790, 52, 10), (706, 790, 52, 10), (462, 930, 92, 17), (806, 930, 92, 17), (352, 1120, 150, 27), (940, 1120, 150, 27)]:
        post = mask(shape, lambda pen, s: pen.rounded_rectangle([(px_ - w / 2) * s, (py_ - h) * s, (px_ + w / 2) * s, (py_ + h * .3) * s], 4 * s, fill=255))
        side = np.clip((x - px_) / w + .5, 0, 1)
        p = over(p, ramp(side, [(0, lin(40, 32, 30)), (.7, lin(110, 84, 70)), (1, lin(190, 140, 100))]), post)
    return p


def planks(rng, count, height, width, hue=.075, value=.55, across=False, gap=5):
    """Boards side by side along x; `across` turns them by a quarter."""
    x, y = grid((height, width))
    out = np.zeros((height, width, 3), F)
    board = height / count
    for i in range(count):
        a, b = round(i * board), round((i + 1) * board)
        h = b - a
        warp = fbm(rng, (h, width), 190, 5, .5, 5)
        rings = (y[:h] / h * rng.uniform(3, 6) + warp * rng.uniform(5, 9))
        grain = 0.5 + 0.5 * np.sin(rings * 2 * math.pi)
        fine = fbm(rng, (h, width), 22, 4, .75, 16)
        pores = fbm(rng, (h, width), 5, 2, .8, 14)
        base = hsv(hue + rng.normal(0, .006), .52 + rng.normal(0, .03), value * rng.uniform(.86, 1.12))
        tone = 0.74 + 0.22 * grain ** 1.5 + 0.55 * (fine - .5) + .35 * (pores - .5)
        for _ in range(rng.poisson(.8)):
            kx, ky, kr = rng.uniform(0, width), rng.uniform(.25, .75) * h, rng.uniform(9, 17)
            d = np.hypot((x[:h] - kx) / 1.7, y[:h] - ky) / kr
            tone *= 1 - .62 * np.exp(-d * d) - .18 * np.exp(-((d - 1.5) / .3) ** 2)
        edge = np.minimum(y[:h], h - y[:h])
        tone *= 0.12 + 0.88 * step(gap * .3, gap * 1.6, edge + 1.6 * (fine - .5))
        out[a:b] = base * tone[..., None]
    out = np.clip(out, 0.001, 1)
    return np.ascontiguousarray(out.transpose(1, 0, 2)) if across else out


def beach(rng):
    shape, horizon = WIDE, 470
    x, y = grid(shape)
    p = ramp(y / horizon, [(0, lin(64, 128, 200)), (.7, lin(150, 192, 226)), (1, lin(208, 226, 236))])
    p = clouds(rng, p, lin(252, 252, 252), lin(176, 190, 208), .56, 260, 2.8)
    depth = np.clip((y - horizon) / (shape[0] - horizon), 0, 1)
    wave = np.dstack([fbm(rng, (1024, 1024), 46, 6, .58, 3.2)] * 3)
    swell = floor(shape, wave, horizon, .5)[..., 0]
    fine = floor(shape, np.dstack([fbm(rng, (1024, 1024), 14, 4, .7, 1.8)] * 3), horizon, .8)[..., 0]
    sea = ramp(depth, [(0, lin(44, 92, 132)), (.25, lin(40, 128, 156)), (.45, lin(86, 178, 180)), (.62, lin(150, 206, 190))])
    sea *= (0.72 + 0.75 * (swell - .28) + .35 * (fine - .5))[..., None]
    sea += (step(.62, .8, fine) * step(.5, .75, swell) * .5)[..., None]
    p = np.where((y >= horizon)[..., None], sea, p)
    # Breakers and the shore
    along = line_noise(rng, shape[1], 500, 5)
    sand_tex = np.dstack([fbm(rng, (1024, 1024), 9, 3, .8)] * 3)
    grain = floor(shape, sand_tex, horizon - 60, 1.0)[..., 0]
    dunes = fbm(rng, shape, 170, 5, .5, 3)
    shore = 905 + 150 * (along - .5) - 60 * np.sin(np.arange(shape[1]) / 520)
    wet = step(-10, 150, y - shore[None])
    sand = mix(lin(168, 140, 108), lin(226, 202, 164), wet) * (0.72 + .42 * grain + .3 * (dunes - .5))[..., None]
    sheen = (1 - step(0, 130, y - shore[None])) * .35
    sand = mix(sand, lin(190, 214, 224), sheen)
    p = mix(p, sand, step(-2, 8, y - shore[None]))
    for k, (offset, wide, strength) in enumerate([(-4, 32, 1.0), (-118, 24, .95), (-222, 11, .8), (-306, 5, .55)]):
        flat = (1, .8, .4, .18)[k]
        line = (905 + offset) + (shore - 905) * flat + 60 * (line_noise(rng, shape[1], 260, 5) - .5) * flat
        foam = floor(shape, np.dstack([fbm(rng, (1024, 1024), 20, 6, .74, 1.3)] * 3), horizon, .9, shift=(97 * k, 31 * k))[..., 0]
        run = y - line[None]
        body = np.exp(-np.clip(run, 0, None) / (wide * .35)) * np.exp(-np.clip(-run, 0, None) / (wide * 1.9))
        parts = step(.34, .52, line_noise(rng, shape[1], 330, 4))[None] if k else 1
        cover = np.clip(step(.66 - .5 * body, .84 - .5 * body, foam) * step(.08, .3, body), 0, 1) * strength * parts
        p = shade(p, cover, .35, 4, 0, 9)
        p = mix(p, lin(250, 252, 252) * (.82 + .25 * foam[..., None]), cover)
    # Shells and pebbles
    for _ in range(130):
        py = rng.uniform(1010, 1195)
        size = rng.uniform(1.2, 4.6) * (py / 1100) ** 3
        px_ = rng.uniform(0, 1600)
        ball(p, px_ + size * .7, py + size * .5, size * 1.2, lin(120, 98, 76), ambient=.9, shine=0, shape=(1.3, .5))
        ball(p, px_, py, size, lin(*rng.choice([[236, 224, 206], [150, 120, 100], [205, 160, 140], [96, 92, 90]])), shape=(1.2, .8), shine=.1)
    return p


def blades(rng, shape, count, base, reach, s, pen, hue, value, wind=.25):
    for y in np.sort(rng.uniform(base[0], base[1], count)):
        far = (y - base[0]) / (base[1] - base[0])
        height = rng.uniform(*reach) * (.45 + .75 * far)
        x = rng.uniform(-30, shape[1] + 30)
        lean = rng.normal(wind, .35) * height
        w = (1.1 + 2.6 * far) * rng.uniform(.6, 1.3)
        points, back = [], []
        for k in range(6):
            f = k / 5
            px_, py_ = x + lean * f * f, y - height * f * (1 - .12 * f)
            points.append(((px_ - w * (1 - f)) * s, py_ * s))
            back.append(((px_ + w * (1 - f)) * s, py_ * s))
        tone = byte(hue + rng.normal(-.015, .03), rng.uniform(.38, .72), value * rng.uniform(.55, 1.25) * (.7 + .4 * far))
        pen.polygon(points + back[::-1], fill=(*tone, 255))


def poppy(pen, rng, x, y, size, s, hue):
    lean = rng.uniform(-.5, .5)
    for k in range(5):
        a = k * 2 * math.pi / 5 + lean
        cx, cy = x + math.cos(a) * size * .45, y + math.sin(a) * size * .28
        r = size * .55
        pen.ellipse([(cx - r) * s, (cy - r * .72) * s, (cx + r) * s, (cy + r * .72) * s],
                    fill=(*byte(hue + rng.normal(0, .008), .86, rng.uniform(.66, .95)), 255))
    pen.ellipse([(x - size * .2) * s, (y - size * .15) * s, (x + size * .2) * s, (y + size * .15) * s], fill=(36, 28, 30, 255))


def daisy(pen, rng, x, y, size, s):
    for k in range(13):
        a = k * 2 * math.pi / 13 + rng.normal(0, .06)
        ex, ey = x + math.cos(a) * size, y + math.sin(a) * size * .6
        nx, ny = -math.sin(a) * size * .17, math.cos(a) * size * .12
        pen.polygon([(q * s, r * s) for q, r in ((x, y), ((x + ex) / 2 + nx, (y + ey) / 2 + ny), (ex, ey), ((x + ex) / 2 - nx, (y + ey) / 2 - ny))],
                    fill=(*byte(.14, .04, rng.uniform(.86, 1)), 255))
    r = size * .3
    pen.ellipse([(x - r) * s, (y - r * .7) * s, (x + r) * s, (y + r * .7) * s], fill=(238, 184, 40, 255))


def meadow(rng):
    shape = WIDE
    x, y = grid(shape)
    p = ramp(y / 560, [(0, lin(92, 150, 214)), (1, lin(206, 226, 236))])
    p = clouds(rng, p, lin(255, 255, 252), lin(190, 200, 214), .5, 300, 2)
    for base, height, tone in [(500, 90, lin(122, 150, 164)), (560, 70, lin(96, 136, 104)), (606, 40, lin(88, 132, 56))]:
        line = ridge(rng, shape[1], base, height, 500)
        p = over(p, tone * (.65 + .7 * fbm(rng, shape, 30, 4)[..., None]), below(shape, line))
    trees, cover = painting(shape, lambda pen, s: [pen.ellipse(
        [(a - r) * s, (b - r * 1.1) * s, (a + r) * s, (b + r * .8) * s], fill=(*byte(.26 + rng.normal(0, .03), .55, rng.uniform(.2, .42)), 255))
        for a, b, r in zip(np.concatenate([rng.normal(250, 140, 300), rng.normal(1380, 110, 300)]), 592 - np.minimum(rng.gamma(2, 22, 600), 66), rng.uniform(8, 24, 600))], 1)
    p = over(p, trees, cover)
    p = np.where((y > 600)[..., None], lin(108, 150, 52) * (.6 + .8 * fbm(rng, shape, 24, 5, .6, 2.2)[..., None]), p)
    far, cover = painting(shape, lambda pen, s: [poppy(pen, rng, rng.uniform(0, 1600), yy, 5 + (yy - 600) * .05, s, .99 if rng.random() < .7 else .15) for yy in np.sort(rng.uniform(625, 800, 130))], 1)
    p = over(p, far, cover)
    p = defocus(np.minimum(p, 1.6), 11)
    mid, cover = painting(shape, lambda pen, s: blades(rng, shape, 1500, (700, 960), (80, 190), s, pen, .24, .68), 1)
    p = over(p, mid * 1.1, cover, 4.5)
    stake = polygon(shape, [(792, 640), (812, 640), (816, 1090), (796, 1090)])
    wood = lin(150, 112, 74) * (.55 + .6 * np.clip((x - 790) / 26, 0, 1) + .5 * (fbm(rng, shape, 14, 4, .6, .1) - .5))[..., None]
    p = over(p, wood, stake)
    paper = card(rng, ["print-10x15"], ["Print me, please", "10 × 15 for Grandma"], 640, 90, 150)
    p = put_card(p, paper, stand((800, 560), 290, paper.shape[0] / paper.shape[1], -4, 16, 5), (1.0, .98, .93), .2, 6)
    near, cover = painting(shape, lambda pen, s: (
        blades(rng, shape, 2100, (930, 1240), (120, 320), s, pen, .235, .74),
        [poppy(pen, rng, rng.uniform(0, 1600), yy - 90, rng.uniform(22, 36), s, .99) for yy in np.sort(rng.uniform(940, 1180, 26))],
        [daisy(pen, rng, rng.uniform(0, 1600), yy - 70, rng.uniform(18, 30), s) for yy in np.sort(rng.uniform(930, 1200, 36))],
        blades(rng, shape, 500, (1090, 1300), (90, 260), s, pen, .24, .7)))
    lightfall = (.72 + .55 * fbm(rng, shape, 260, 3))[..., None]
    p = over(p, near * 1.25 * lightfall, cover)
    front, cover = painting(shape, lambda pen, s: (
        blades(rng, shape, 60, (1230, 1420), (260, 520), s, pen, .22, .7),
        [poppy(pen, rng, a, b, 62, s, .99) for a, b in ((150, 1010), (1490, 960), (1290, 1110))]), 1)
    return over(p, front * 1.15, cover, 16)


def table(rng):
    shape = WIDE
    x, y = grid(shape)
    wood = planks(rng, 6, 1536, 2048, .072, .62)
    p = laid(shape, wood, [(-220, -120), (1820, -120), (2250, 1330), (-650, 1330)])
    window = np.exp(-(((x - 260) / 1000) ** 2 + ((y - 60) / 820) ** 2))
    p = p * (0.34 + .9 * window)[..., None] * lin(255, 248, 236)
    p += (np.clip(window - .35, 0, 1) ** 2 * .13)[..., None] * lin(230, 240, 255)
    # Cup of coffee
    cx, cy = 1240, 350
    ell = lambda a, b, rx, ry: mask(shape, lambda pen, s: pen.ellipse([(a - rx) * s, (b - ry) * s, (a + rx) * s, (b + ry) * s], fill=255))
    saucer = ell(cx, cy + 26, 268, 226)
    p = shade(p, saucer, .6, 26, 30, 26)
    p = shade(p, saucer, .5, 6, 4, 6)
    side = np.clip(.62 - (x - cx) / 620 - (y - cy) / 900, 0, 1.1)
    p = over(p, lin(236, 234, 228) * side[..., None], saucer)
    p = over(p, lin(220, 219, 215) * (side * .86)[..., None], ell(cx, cy + 22, 176, 148))
    p = shade(p, ell(cx + 24, cy + 40, 150, 128), .45, 18)
    handle = ell(cx + 178, cy + 42, 66, 48) * (1 - ell(cx + 176, cy + 42, 40, 25))
    p = over(p, lin(222, 220, 215) * side[..., None], handle)
    body = np.maximum(ell(cx, cy, 164, 140), ell(cx, cy + 44, 132, 112))
    p = over(p, lin(242, 240, 234) * np.clip(.85 - (x - cx) / 330, .16, 1.05)[..., None], body)
    p = over(p, lin(250, 249, 244) * np.clip(.92 + (y - cy) / 900 - (x - cx) / 800, .5, 1.1)[..., None], ell(cx, cy, 164, 140))
    p = over(p, lin(216, 212, 204) * np.clip(.35 + (x - cx) / 260, .12, 1)[..., None], ell(cx, cy + 2, 150, 126))
    swirl = fbm(rng, shape, 46, 5, .55)
    r = np.hypot((x - cx) / 141, (y - cy - 12) / 114)
    foam = step(.42, .6, swirl + .42 * (r - .62)) * .85
    p = over(p, mix(lin(66, 36, 18), lin(206, 160, 110), foam) * (.75 + .3 * swirl[..., None]), ell(cx, cy + 12, 141, 114))
    glint = np.exp(-(((x - cx + 66) / 26) ** 2 + ((y - cy + 46) / 12) ** 2))
    p += glint[..., None] * .35
    # Spoon and crumbs
    spoon = np.maximum(ell(1000, 640, 26, 42), mask(shape, lambda pen, s: pen.line([1006 * s, 600 * s, 1062 * s, 330 * s], fill=255, width=13 * s)))
    p = shade(p, spoon, .5, 6, 9, 9)
    p = over(p, lin(196, 198, 204) * np.clip(.5 + .5 * np.sin((x + y * .25) / 11), .2, 1.3)[..., None], spoon)
    for _ in range(46):
        a, b, r = rng.normal(420, 130), rng.normal(330, 70), rng.uniform(1.5, 5)
        ball(p, a + 2, b + 3, r * 1.25, lin(40, 24, 14), ambient=1, shine=0)
        ball(p, a, b, r, lin(196, 140, 78), shine=.05, shape=(1.2, .9))
    # Croissant, as overlapping lobes along an arc
    skin = (.62 + .75 * fbm(rng, shape, 26, 5, .6, 2))
    cover = np.zeros(shape, F)
    lobes = [(a, 330 + 150 * math.cos(a) * 1.55, 250 + 118 * math.sin(a) * -1.25) for a in np.linspace(-.25, math.pi + .25, 13)]
    for i, (a, lx, ly) in enumerate(lobes):
        cover = np.maximum(cover, ell(lx, ly, 40 + 46 * math.sin(i / 12 * math.pi), 36 + 44 * math.sin(i / 12 * math.pi)))
    p = shade(p, cover, .6, 22, 22, 20)
    p = shade(p, cover, .4, 5, 4, 4)
    order = sorted(range(13), key=lambda i: -abs(i - 6))
    for i in order:
        _, lx, ly = lobes[i]
        r = 40 + 46 * math.sin(i / 12 * math.pi)
        ball(p, lx, ly, r, lin(206, 128, 54), light=(-.6, -.7, .55), rough=skin, shine=.16, power=14, shape=(.86, 1.04), ambient=.3)
    paper = card(rng, ["print-13x18", "copies-2"], ["Two for the kitchen wall", "Sunday breakfast"], 640, 80, 110)
    corners = [(520, 690), (1000, 716), (1010, 1082), (440, 1050)]
    return put_card(p, paper, corners, (1.0, .97, .9), .6, 7, (10, 8), 0, .25)


def bricks(rng, rows, columns, size):
    """Brick texture with its bumps, lit from the upper left."""
    height, width = size
    x, y = grid(size)
    bh, bw = height / rows, width / columns
    wob = (fbm(rng, size, 40, 4) - .5) * 10
    row = np.floor(y / bh).astype(int)
    u = (x + wob) / bw + .5 * (row % 2)
    col = np.floor(u).astype(int)
    ex = np.minimum(u - col, 1 - (u - col)) * bw
    ey = np.minimum((y + wob) / bh % 1, 1 - (y + wob) / bh % 1) * bh
    rough = fbm(rng, size, 13, 4, .7)
    big = fbm(rng, size, 90, 5, .6)
    edge = np.minimum(ex, ey) + (rough - .5) * 7
    solid = step(5, 10.5, edge)
    tint = rng.uniform(.72, 1.18, (rows + 2, columns + 3))
    hue = rng.normal(.025, .013, (rows + 2, columns + 3))
    table_ = np.stack([np.stack([hsv(hue[i, j], .62 + .1 * (tint[i, j] - 1), .60 * tint[i, j]) for j in range(columns + 3)]) for i in range(rows + 2)])
    colour = table_[row % rows, col % columns] * (.62 + .5 * big + .42 * (rough - .5))[..., None]
    soot = step(.56, .74, fbm(rng, size, 150, 5)) * .55
    colour = mix(colour, lin(52, 40, 36), soot * .6)
    mortar = lin(168, 160, 148) * (.5 + .6 * rough + .3 * (big - .5))[..., None]
    bump = soft(solid * 5 + (rough - .5) * 5 + (big - .5) * 7, 1.0)
    light = 1 + .16 * (np.gradient(bump, axis=0) * 1.2 + np.gradient(bump, axis=1))
    return (mix(mortar, colour, solid) * np.clip(light, .35, 1.7)[..., None]).astype(F)


def brick_wall(rng):
    shape = WIDE
    x, y = grid(shape)
    wall = bricks(rng, 16, 8, (2048, 2560))
    p = laid(shape, wall, [(-160, -260), (1980, -60), (1980, 1270), (-160, 1500)])
    leaves = soft(step(.47, .53, fbm(rng, shape, 150, 5, .6)), 7)
    fade = step(250, 1250, x + .5 * y)
    sunny = np.clip(leaves + fade * .75, 0, 1)
    tape_light = sunny
    p = p * (.36 + .86 * sunny)[..., None] * mix(lin(214, 226, 248), lin(255, 240, 214), sunny)
    paper = card(rng, ["print-20x30"], ["Large, for the hallway", "20 × 30"], 640, 90, 130)
    corners = stand((840, 600), 330, paper.shape[0] / paper.shape[1], 5, -17, -3)
    lit = float(tape_light[560:640, 800:880].mean())
    p = put_card(p, paper, corners, lin(255, 246, 228) * (.42 + .72 * lit), .5, 5, (7, 9), 0, .1)
    top = np.mean(corners[:2], 0)
    tape = polygon(shape, [(top[0] - 62, top[1] - 18), (top[0] + 62, top[1] - 26), (top[0] + 64, top[1] + 22), (top[0] - 60, top[1] + 30)])
    p = shade(p, tape, .3, 3, 2, 3)
    p = mix(p, lin(222, 204, 140) * (.5 + .5 * lit) * (.85 + .3 * fbm(rng, shape, 8, 3))[..., None], tape * .82)
    # The dapples fall across the card as well.
    card_area = polygon(shape, corners)
    return p * (1 - card_area * .45 * (1 - np.clip(leaves + .25, 0, 1)))[..., None]


def city_night(rng):
    shape, ground = WIDE, 760
    x, y = grid(shape)
    p = ramp(y / ground, [(0, lin(10, 14, 30)), (.7, lin(26, 26, 44)), (1, lin(60, 46, 48))]) * .8
    houses, cover = painting(shape, lambda pen, s: [pen.rectangle(
        [a * s, b * s, (a + w) * s, ground * s], fill=(*byte(.65, .4, rng.uniform(.04, .12)), 255))
        for a, b, w in zip(rng.uniform(-60, 1600, 34), ground - rng.uniform(120, 620, 34), rng.uniform(60, 190, 34))], 1)
    p = over(p, houses, cover)
    points = np.zeros((*shape, 3), F)

    def lamp(a, b, colour, power):
        a, b = int(a), int(b)
        if 0 <= a < shape[1] and 0 <= b < shape[0]:
            points[b, a] += np.asarray(colour, F) * power
    for _ in range(260):
        lamp(rng.uniform(0, 1600), ground - rng.gamma(2, 110), lin(*rng.choice([[255, 206, 130], [255, 226, 180], [206, 224, 255], [255, 180, 90]])), rng.gamma(1.3, 200))
    for side in (-1, 1):
        for k in range(13):
            z = 1.28 ** k
            lamp(800 + side * 1100 / z, 640 - 620 / z + 60, lin(255, 190, 96), 2600 / z ** .5)
    for k in range(26):
        z = rng.uniform(1, 9)
        lamp(880 + 700 / z + rng.normal(0, 20), 690 + 190 / z, lin(255, 244, 220), 2300)
        lamp(720 - 700 / z + rng.normal(0, 20), 690 + 190 / z, lin(255, 30, 22), 1900)
    for a, b, c in [(1180, 430, [40, 255, 150]), (420, 440, [255, 50, 40]), (1330, 520, [60, 140, 255]), (240, 560, [255, 70, 180]), (980, 540, [40, 255, 140])]:
        lamp(a, b, lin(*c), 3000)
    bokeh = defocus(points, 34) * .8 + defocus(points, 25) * .45
    p = p + bokeh
    wet = floor(shape, np.dstack([fbm(rng, (1024, 1024), 30, 5, .6)] * 3), 700, .5)[..., 0]
    flip = soft(p[:ground][::-1][:shape[0] - ground], 9, 46)
    street = lin(22, 22, 28) * (.4 + wet[ground:, :, None]) + flip * (.30 + .75 * step(.4, .7, wet[ground:]))[..., None] * np.linspace(.9, .5, shape[0] - ground)[:, None, None]
    p[ground:] = street + soft(bokeh[ground:], 10, 22) * .45
    return soft(p, 3.2)


def balloon(p, rng, x, y, r, colour, rough, string_to):
    line = mask(p.shape[:2], lambda pen, s: pen.line([(a * s, b * s) for a, b in [(
        x + (string_to[0] - x) * t + 16 * math.sin(t * 5 + x), y + r * 1.2 + (string_to[1] - y - r * 1.2) * t) for t in np.linspace(0, 1, 24)]], fill=255, width=max(1, s)))
    p = over(p, lin(210, 200, 190) * .6, line * .8)
    ball(p, x, y + r * 1.22, r * .085, colour * .7, shape=(1.1, .9))
    ball(p, x, y, r, colour, light=(-.45, -.6, .66), shape=(.9, 1.14), shine=.75, ambient=.42, through=.25, power=70, rough=rough)
    glint = np.zeros(p.shape[:2], F)
    gx, gy = grid(p.shape[:2])
    glint = np.exp(-(((gx - x + r * .36) / (r * .10)) ** 2 + ((gy - y + r * .48) / (r * .17)) ** 2))
    return p + glint[..., None] * .28


def party(rng):
    shape = WIDE
    x, y = grid(shape)
    p = mix(lin(150, 96, 74), lin(232, 196, 158), np.exp(-(((x - 760) / 760) ** 2 + ((y - 420) / 620) ** 2))) * .62
    p *= (.9 + .2 * fbm(rng, shape, 300, 4))[..., None]
    points = np.zeros((*shape, 3), F)
    for row in range(4):
        for k in range(26):
            a = k * 66 + row * 23 - 20
            b = 90 + row * 210 + 70 * math.sin(a / 1600 * math.pi * (2 + row % 2)) + rng.normal(0, 8)
            if 0 <= a < 1600 and 0 <= b < 1200:
                points[int(b), int(a)] = lin(255, 196, 110) * rng.uniform(360, 800)
    p = p + defocus(points, 21)
    p = defocus(np.minimum(p, 3), 6)
    rough = .97 + .06 * fbm(rng, shape, 120, 3)
    for (a, b, r, hue, sat) in [(220, 250, 120, .55, .72), (1430, 240, 130, .93, .62), (430, 130, 96, .13, .8), (1210, 110, 100, .35, .55)]:
        layer = p.copy()
        layer = balloon(layer, rng, a, b, r, hsv(hue, sat, .86), rough, (a + 30, 1300))
        p = layer
    p = soft(p, 1.6)
    for (a, b, r, hue, sat) in [(120, 520, 165, .0, .78), (1500, 560, 172, .59, .76), (352, 420, 150, .93, .55), (1290, 410, 148, .11, .86), (250, 800, 150, .36, .6), (1390, 850, 158, .80, .5)]:
        p = balloon(p, rng, a, b, r, hsv(hue, sat, .9), rough, (a + (800 - a) * .25, 1400))
    cord = mask(shape, lambda pen, s: [pen.line([(a * s, b * s) for a, b in [(u, 250 + ((u - 800) / 640) ** 2 * -150 + 20) for u in np.linspace(120, 1480, 60)]], fill=255, width=2 * s)])
    p = over(p, lin(236, 222, 196) * .7, cord)
    for i, u in enumerate(np.linspace(170, 1430, 13)):
        v = 270 - ((u - 800) / 640) ** 2 * 150
        if abs(u - 800) < 180:
            continue
        tri = polygon(shape, [(u - 34, v), (u + 34, v - 2), (u + 3, v + 74)])
        p = shade(p, tri, .25, 5, 4, 8)
        p = over(p, hsv(i * .17, .62, .86) * (.65 + .4 * step(u - 40, u + 40, x) + .15 * (fbm(rng, shape, 20, 2) - .5))[..., None], tri)
    paper = card(rng, ["canvas"], ["Happy birthday, Mia!", "on canvas for her room"], 640, 90, 130)
    corners = stand((800, 480), 300, paper.shape[0] / paper.shape[1], -3, 12, -6)
    p = put_card(p, paper, corners, (1.0, .95, .86), .35, 12, (10, 16))
    for dx in (-70, 70):
        clip = polygon(shape, [(800 + dx - 9, 262), (800 + dx + 9, 262), (800 + dx + 11, 330), (800 + dx - 11, 330)])
        p = over(p, lin(190, 140, 84) * (.7 + .5 * step(-10, 10, x - 800 - dx))[..., None], clip)
    conf, cover = painting(shape, lambda pen, s: [pen.polygon([((a + r * math.cos(t + q)) * s, (b + r * .6 * math.sin(t + q)) * s) for q in (0, 1.3, math.pi, math.pi + 1.3)],
        fill=(*byte(rng.random(), .7, .95), 255)) for a, b, r, t in zip(rng.uniform(0, 1600, 240), rng.uniform(0, 1200, 240), rng.uniform(3, 9, 240), rng.uniform(0, 6, 240))])
    keep = 1 - polygon(shape, corners)
    p = over(p, conf * .85, cover * keep)
    big, cover = painting(shape, lambda pen, s: [pen.ellipse([(a - r) * s, (b - r) * s, (a + r) * s, (b + r) * s], fill=(*byte(h, .6, 1), 255))
                          for a, b, r, h in [(90, 1090, 24, .1), (620, 1130, 20, .55), (1110, 1080, 22, .95), (1540, 1130, 26, .3), (860, 1010, 14, .8)]], 1)
    return over(p, big, cover, 17)


def fridge(rng):
    shape = TALL
    x, y = grid(shape)
    brushed = fbm(rng, shape, 5, 3, .8, .02)
    wave = fbm(rng, shape, 700, 3)
    p = lin(196, 204, 208) * (.52 + .5 * np.exp(-(((x - 330) / 330) ** 2)) + .22 * (wave - .5) + .035 * (brushed - .5))[..., None]
    p += (.12 * np.exp(-(((x - 800) / 60) ** 2)))[..., None] * lin(255, 240, 220)
    p *= (1.04 - .3 * y / shape[0])[..., None]
    p = over(p, lin(40, 42, 46), mask(shape, lambda pen, s: pen.rectangle([0, 1310 * s, 1200 * s, 1322 * s], fill=255)))
    handle = mask(shape, lambda pen, s: pen.rounded_rectangle([1078 * s, 300 * s, 1120 * s, 1150 * s], 20 * s, fill=255))
    p = shade(p, handle, .5, 16, 26, 14)
    p = over(p, ramp((x - 1078) / 42, [(0, lin(120, 124, 128)), (.3, lin(244, 246, 248)), (.6, lin(170, 174, 180)), (1, lin(70, 72, 78))]), handle)

    def paper_of(w, h, tint, draw):
        colour, cover = painting((h, w), draw)
        base = lin(*tint) * (.9 + .1 * fbm(rng, (h, w), 200, 3)[..., None])
        return np.dstack([over(base * np.ones((h, w, 3), F), colour, cover), np.ones((h, w), F)]).astype(F)

    def crayon(pen, s):
        def scribble(points, colour, width):
            for _ in range(5):
                pen.line([((a + rng.normal(0, 2.5)) * s, (b + rng.normal(0, 2.5)) * s) for a, b in points], fill=(*colour, 215), width=int(width * s))
        for k in range(90):
            yy = 560 + rng.uniform(0, 120)
            xx = rng.uniform(10, 770)
            scribble([(xx, yy), (xx + rng.uniform(20, 80), yy + rng.normal(0, 14))], (70, 160 + int(rng.uniform(-30, 30)), 70), 2)
        scribble([(250, 580), (250, 370), (520, 370), (520, 580), (250, 580)], (180, 70, 50), 4)
        scribble([(220, 375), (385, 225), (550, 375), (220, 375)], (210, 60, 60), 4)
        scribble([(350, 580), (350, 480), (410, 480), (410, 580)], (90, 60, 140), 4)
        scribble([(280, 420), (330, 420), (330, 470), (280, 470), (280, 420)], (60, 110, 200), 3)
        for k in range(12):
            a = k * math.pi / 6
            scribble([(660 + 70 * math.cos(a), 130 + 70 * math.sin(a)), (660 + 112 * math.cos(a), 130 + 112 * math.sin(a))], (245, 180, 30), 4)
        scribble([(660 + 55 * math.cos(a), 130 + 55 * math.sin(a)) for a in np.linspace(0, 6.4, 24)], (245, 180, 30), 5)
        for cx, size, c in ((120, 1.0, (60, 80, 170)), (640, .75, (220, 90, 150))):
            b = 600
            scribble([(cx, b - 60 * size), (cx, b - 150 * size)], c, 5)
            scribble([(cx, b - 60 * size), (cx - 30 * size, b)], c, 4)
            scribble([(cx, b - 60 * size), (cx + 30 * size, b)], c, 4)
            scribble([(cx - 45 * size, b - 120 * size), (cx + 45 * size, b - 140 * size)], c, 4)
            scribble([(cx + 28 * size * math.cos(a), b - 180 * size + 28 * size * math.sin(a)) for a in np.linspace(0, 6.4, 18)], c, 4)
    drawing = paper_of(780, 700, (248, 246, 238), crayon)
    p = put_card(p, drawing, stand((400, 390), 600, 700 / 780, -3, 0, 0), (.96, .97, 1), .4, 5, (8, 10))

    def shopping(pen, s):
        for i, word in enumerate(["milk", "eggs × 12", "bread", "apples", "candles!", "call Oma"]):
            pen.text((60 * s, (60 + i * 74) * s), word, font=font(46 * s, "DejaVuSerif-Italic"), fill=(50, 60, 120, 255))
            if i in (0, 2):
                pen.line([50 * s, (90 + i * 74) * s, 330 * s, (84 + i * 74) * s], fill=(170, 50, 50, 255), width=5 * s)
        for i in range(12):
            pen.line([0, (50 + i * 46) * s, 400 * s, (50 + i * 46) * s], fill=(150, 170, 200, 90), width=s)
    p = put_card(p, paper_of(400, 560, (250, 236, 150), shopping), stand((870, 470), 270, 1.4, 4, 0, 0), (.97, .97, 1), .4, 5, (8, 10))
    paper = card(rng, ["print-10x15", "copies-3"], ["Three prints", "Grandma, Ben and us"], 640, 80, 110)
    p = put_card(p, paper, stand((470, 1000), 530, paper.shape[0] / paper.shape[1], 3, 8, -4), (.97, .98, 1), .45, 6, (9, 11))
    for a, b, r, hue, sat, v in [(400, 96, 34, .0, .8, .8), (880, 300, 30, .58, .8, .75), (490, 762, 32, .14, .85, .9), (905, 930, 40, .33, .6, .6), (800, 1120, 34, .93, .6, .8)]:
        cover = mask(shape, lambda pen, s: pen.ellipse([(a - r) * s, (b - r) * s, (a + r) * s, (b + r) * s], fill=255))
        p = shade(p, cover, .55, 9, 9, 11)
        ball(p, a, b, r, hsv(hue, sat, v), shine=.55, ambient=.4)
    p = p * (.78 + .3 * np.exp(-(((x - 300) / 700) ** 2 + ((y - 500) / 900) ** 2)))[..., None]
    return p


def snow_forest(rng):
    shape = WIDE
    x, y = grid(shape)
    p = ramp(y / 760, [(0, lin(172, 190, 212)), (.7, lin(226, 222, 222)), (1, lin(246, 232, 220))])
    p *= (.94 + .12 * fbm(rng, shape, 400, 4))[..., None]
    for base, count, size, tone, fog in [(640, 150, (70, 150), (92, 108, 122), .62), (690, 90, (130, 250), (66, 84, 92), .4), (740, 46, (240, 420), (46, 64, 66), .18)]:
        for part in range(2):
            firs, cover = painting(shape, lambda pen, s: [conifer(pen, rng, a, base + rng.uniform(-14, 26), rng.uniform(*size), s, tone, (236, 240, 248))
                                   for a in rng.uniform(-60, 1660, count // 2)])
            p = over(p, mix(firs, lin(222, 224, 230), fog), cover)
        mist = np.exp(-((y - base - 20) / 70) ** 2) * (.3 + .5 * fbm(rng, shape, 260, 4, .5, 3))
        p = mix(p, lin(236, 234, 236), np.clip(mist, 0, .85))
    line = 742 + 50 * (line_noise(rng, shape[1], 620, 4) - .5) - 26 * np.sin(np.arange(1600) / 300)
    ground = below(shape, line)
    drift = fbm(rng, shape, 330, 6, .48, 2.6)
    slope = np.gradient(soft(drift, 3), axis=0) * 60 + np.gradient(soft(drift, 3), axis=1) * 30
    snow = mix(lin(168, 188, 226), lin(255, 248, 240), np.clip(.62 + slope * .55, 0, 1)) * (.86 + .1 * fbm(rng, shape, 4, 2)[..., None])
    trail = np.abs(x - (820 + 130 * np.sin((y - 740) / 170) + (y - 740) * .12)) / (14 + (y - 740).clip(0) * .13)
    snow *= (1 - .24 * np.exp(-((trail - .55) / .2) ** 2))[..., None]
    shadow = soft(step(.55, .6, fbm(rng, shape, 120, 4, .5, 5)), 5) * step(1.0, .6, (y - 740) / 460)
    snow = mix(snow, snow * lin(176, 200, 244), shadow * .65)
    p = over(p, snow, ground)
    for a, b, h in [(150, 1000, 830), (1420, 960, 760), (1130, 840, 400), (420, 850, 420)]:
        cast = polygon(shape, [(a - h * .1, b), (a + h * .1, b), (a + h * .62, b + h * .17), (a + h * .5, b + h * .18)])
        p = mix(p, p * lin(168, 192, 238), soft(cast, 7) * .75)
        firs, cover = painting(shape, lambda pen, s: conifer(pen, rng, a, b, h, s, (34, 54, 48), (242, 246, 252)))
        p = over(p, firs * (.7 + .6 * fbm(rng, shape, 16, 4, .7)[..., None]), cover)
    for radius, count, power in [(3, 500, 12), (7, 160, 40), (15, 40, 120)]:
        flakes = np.zeros(shape, F)
        flakes[rng.integers(0, 1200, count), rng.integers(0, 1600, count)] = power
        flakes = np.clip(defocus(flakes, radius), 0, .8)
        p = mix(p, lin(250, 250, 252), flakes)
    return p


def stars(rng):
    shape = TALL
    x, y = grid(shape)
    p = ramp(y / 1300, [(0, lin(10, 14, 34)), (.6, lin(22, 34, 66)), (.9, lin(64, 62, 84)), (1, lin(120, 92, 84))]) * .5
    across = ((x - 640) * math.cos(.42) + (y - 600) * math.sin(.42)) / 210
    band = np.exp(-across ** 2) * (.3 + fbm(rng, shape, 230, 7, .58))
    dust = step(.5, .68, fbm(rng, shape, 190, 7, .6) + .12 * np.exp(-(across / .45) ** 2))
    p += (band * (1 - .82 * dust * np.exp(-(across / .9) ** 2)))[..., None] * mix(lin(96, 106, 170), lin(250, 206, 190), np.exp(-(across / .6) ** 2)) * .26
    points = np.zeros((*shape, 3), F)
    count = 5200
    sx, sy = rng.integers(0, 1200, count), rng.integers(0, 1330, count)
    keep = rng.random(count) < .35 + band[sy, sx]
    tint = np.stack([lin(255, 226, 200), lin(240, 244, 255), lin(190, 212, 255)])[rng.integers(0, 3, count)]
    points[sy[keep], sx[keep]] = (tint * (rng.pareto(1.35, count)[:, None] * .45 + .1).clip(0, 26))[keep]
    p += soft(points, 1.05) * 2.4 + soft(points, 5) * .35
    for base, height, tone in [(1330, 150, lin(20, 22, 40)), (1420, 90, lin(10, 12, 20))]:
        p = over(p, tone * .6, below(shape, ridge(rng, shape[1], base, height, 420)))
    firs, cover = painting(shape, lambda pen, s: [conifer(pen, rng, a, b, h, s, (8, 11, 15)) for a, b, h in
                           [(70, 1560, 620), (190, 1540, 420), (300, 1520, 250), (1130, 1560, 700), (1010, 1530, 430), (910, 1500, 260), (1220, 1540, 480)]])
    p = over(p, lin(13, 16, 22) * .5 * (.6 + fbm(rng, shape, 18, 4)[..., None]), below(shape, 1480 + 40 * (line_noise(rng, 1200, 300) - .5)))
    p = over(p, firs * .5, cover)
    glow = np.exp(-(((x - 600) / 190) ** 2 + ((y - 1450) / 110) ** 2))
    p += glow[..., None] * lin(255, 150, 60) * .12
    tent = polygon(shape, [(470, 1506), (590, 1368), (728, 1500), (640, 1516)])
    inside = np.exp(-(((x - 590) / 80) ** 2 + ((y - 1480) / 80) ** 2))
    p = over(p, mix(lin(190, 76, 24), lin(255, 196, 96) * 1.5, inside) * (.75 + .5 * fbm(rng, shape, 50, 4))[..., None], tent)
    p = over(p, lin(90, 34, 16), mask(shape, lambda pen, s: pen.line([590 * s, 1368 * s, 636 * s, 1514 * s], fill=255, width=3 * s)))
    return p


def leaf(pen, rng, x, y, size, turn, s, tone, dark):
    """A maple or a beech leaf with its veins."""
    maple = rng.random() < .45
    def at(r, a):
        return ((x + r * math.cos(a + turn)) * s, (y + r * math.sin(a + turn)) * s)
    if maple:
        outline = []
        for a, r in [(-90, 1.0), (-75, .62), (-58, .66), (-40, .95), (-28, .6), (-8, .64), (8, .82), (20, .5), (48, .42), (80, .2)]:
            outline.append((math.radians(a), r))
        points = [at(size * r * rng.uniform(.93, 1.07), a) for a, r in outline] + [at(size * r * rng.uniform(.93, 1.07), math.pi - a) for a, r in reversed(outline)]
        veins = [(-90, .85), (-40, .8), (-140, .8), (5, .66), (175, .66)]
    else:
        ring = [(.56 * math.cos(a) * (1 + .3 * math.sin(a)), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 26)[:-1]]
        points = [at(size * .95 * math.hypot(a, b) * rng.uniform(.96, 1.04), math.atan2(b, a)) for a, b in ring]
        veins = [(-90, .9), (-60, .42), (-120, .42), (60, .42), (120, .42)]
    move = size * .13
    pen.polygon([(a + move * s, b + move * 1.2 * s) for a, b in points], fill=(18, 10, 6, 120))
    pen.polygon(points, fill=(*tone, 255))
    half = points[:len(points) // 2] + [at(size * .2, math.pi / 2)]
    pen.polygon(half, fill=(*((3 * a + b) // 4 for a, b in zip(tone, dark)), 255))
    for a, r in veins:
        pen.line([at(size * .25, math.pi / 2) if maple else at(0, 0), at(size * r, math.radians(a))], fill=(*((a + 2 * b) // 3 for a, b in zip(tone, dark)), 255), width=max(1, int(size * .028 * s)))
    pen.line([at(size * .2, math.pi / 2), at(size * .62, math.pi / 2 + .1)], fill=(*dark, 255), width=max(1, int(size * .05 * s)))


def autumn(rng):
    shape = WIDE
    x, y = grid(shape)
    p = lin(54, 40, 28) * (.3 + fbm(rng, shape, 16, 4, .7)[..., None])
    for layer in range(3):
        def draw(pen, s):
            for _ in range(330):
                hue = rng.choice([.03, .06, .085, .11, .135, .0, .075]) + rng.normal(0, .008)
                v = rng.uniform(.42, .92) * (.55 + .22 * layer)
                leaf(pen, rng, rng.uniform(-60, 1660), rng.uniform(-60, 1260), rng.uniform(46, 92), rng.uniform(0, 6.3), s,
                     byte(hue, rng.uniform(.68, .92), v), byte(hue - .02, .8, v * .55))
        colour, cover = painting(shape, draw)
        p = over(p, colour, cover)
    p *= (.55 + .75 * fbm(rng, shape, 26, 5, .66))[..., None]
    sun = soft(step(.46, .56, fbm(rng, shape, 300, 5)), 12)
    p = p * mix(lin(190, 206, 236) * .62, lin(255, 240, 210) * 1.5, sun)
    paper = card(rng, ["share"], ["Share with everyone"], 640, 90, 130)
    corners = [(640, 430), (976, 478), (948, 888), (590, 822)]
    p = put_card(p, paper, corners, (1.0, .95, .86), .8, 9, (10, 12), 0, .18)
    def top(pen, s):
        for a, b, size, turn, hue in [(955, 905, 78, 2.2, .03), (590, 800, 66, 5.2, .12), (1010, 520, 60, 1.1, .08)]:
            leaf(pen, rng, a, b, size, turn, s, byte(hue, .85, .78), byte(hue, .85, .4))
    colour, cover = painting(shape, top)
    return over(p, colour * (.7 + .7 * fbm(rng, shape, 26, 5, .66)[..., None]), cover)


def dunes(rng):
    shape = WIDE
    x, y = grid(shape)
    p = ramp(y / 560, [(0, lin(60, 116, 186)), (.8, lin(170, 200, 220)), (1, lin(236, 218, 196))])
    p += (np.exp(-(((x - 1300) / 380) ** 2 + ((y - 380) / 240) ** 2)) * .22)[..., None] * lin(255, 220, 170)
    xs = np.arange(shape[1], dtype=F)
    for i, (base, height, turn) in enumerate([(500, 60, 3.1), (560, 110, .6), (660, 190, 2.2), (850, 250, 4.6), (1080, 240, 1.0)]):
        crest = base - height * (.5 + .5 * np.sin(xs / (260 + 95 * i) + turn)) ** 1.4 - 26 * (line_noise(rng, shape[1], 420, 4) - .5)
        slip = crest + (xs - 800) * 0 + 30 + (110 + 70 * i) * np.abs(np.sin(xs / (230 + 60 * i) + turn * 1.7)) ** 1.3
        under = (y - crest[None]) / (60 + 42 * i)
        lit = lin(236, 178, 112) * 1.06
        dark = lin(142, 88, 62)
        face = step(-14 - 5 * i, 14 + 5 * i, y - slip[None] + 26 * (fbm(rng, shape, 90, 4) - .5))
        warp = fbm(rng, shape, 230, 5, .5, 2)
        wavelength = 5 + 3.6 * i + np.clip(under, 0, 6) * (1 + i)
        ripples = np.sin((y - crest[None] * .7 + x * .16 + warp * 150) / wavelength * 2)
        shade_ = mix(dark, lit, face * .88 + .1) * (1 + (.03 + .035 * i) * ripples * face + .16 * (warp - .5) - .05 * np.clip(under, 0, 3) / 3)[..., None]
        shade_ = shade_ * (.96 + .1 * fbm(rng, shape, 3, 1))[..., None]
        far = .5 - .14 * i
        shade_ = mix(shade_, lin(232, 208, 186), max(far, 0))
        p = over(p, shade_, below(shape, crest))
    # A caravan of footprints
    for k in range(60):
        t = k / 59
        z = 1 / (1 - .82 * t)
        fx, fy = 540 + 280 * math.sin(t * 2.3) + (k % 2) * 26 / z, 1200 - 420 * (1 - 1 / z) / .82 * .9
        r = 13 / z
        ball(p, fx, fy, r, lin(150, 98, 66), ambient=.95, shine=0, shape=(1, .5))
        ball(p, fx + r * .3, fy + r * .45, r * .8, lin(242, 190, 128), ambient=.95, shine=0, shape=(1, .3))
    return p


def picnic(rng):
    shape = WIDE
    x, y = grid(shape)
    size = 2048
    tx, ty = grid((size, size))
    a, b = (np.floor(tx / 128).astype(int) % 2), (np.floor(ty / 128).astype(int) % 2)
    weave = .5 + .25 * np.sin(tx * math.pi / 2) + .25 * np.sin(ty * math.pi / 2)
    cloth = np.where((a + b == 0)[..., None], lin(245, 240, 232), np.where((a + b == 1)[..., None], lin(222, 110, 104), lin(186, 26, 36)))
    cloth = cloth * (.82 + .2 * weave + .2 * (fbm(rng, (size, size), 6, 2, .7) - .5))[..., None]
    fold = fbm(rng, shape, 520, 4, .42, 1.6)
    back = homography([(-200, -160), (1800, -90), (2120, 1330), (-480, 1290)], [(0, 0), (1536, 0), (1536, 1408), (0, 1408)])
    w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
    u, v = ((back[i, 0] * x + back[i, 1] * y + back[i, 2]) / w for i in (0, 1))
    p = sample(cloth.astype(F), (u + fold * 110).astype(F), (v + fold * 80).astype(F))
    light = 1 + np.gradient(soft(fold, 4), axis=1) * 46 + np.gradient(soft(fold, 4), axis=0) * 34
    p = p * np.clip(light, .5, 1.5)[..., None]
    leaves = soft(step(.5, .58, fbm(rng, shape, 230, 5, .55)), 14)
    p = p * mix(lin(255, 246, 226) * 1.02, lin(166, 190, 214) * .62, leaves)
    ell = lambda cx, cy, rx, ry: mask(shape, lambda pen, s: pen.ellipse([(cx - rx) * s, (cy - ry) * s, (cx + rx) * s, (cy + ry) * s], fill=255))
    plate = ell(400, 380, 330, 262)
    p = shade(p, plate, .6, 24, 26, 24)
    p = over(p, lin(238, 240, 242) * np.clip(.9 - (x - 400) / 1300, 0, 1)[..., None], plate)
    p = over(p, lin(60, 100, 170), ell(400, 380, 306, 242) * (1 - ell(400, 380, 298, 235)))
    p = over(p, lin(228, 231, 235) * np.clip(.8 + (x - 400) / 1300, 0, 1)[..., None], ell(400, 384, 222, 172))
    peel = .9 + .2 * fbm(rng, shape, 7, 2)
    spots = .8 + .4 * fbm(rng, shape, 60, 5, .6, .3)

    def fruit(cx, cy, r, colour, rough, **more):
        nonlocal p
        cover = ell(cx + r * .42, cy + r * .5, r * 1.02, r * .72)
        p = shade(p, cover, .62, r * .16)
        p = shade(p, ell(cx + r * .1, cy + r * .72, r * .7, r * .3), .5, r * .1)
        ball(p, cx, cy, r, colour, light=(-.55, -.65, .6), rough=rough, **more)
    fruit(300, 300, 116, lin(226, 110, 16), peel, shine=.25, power=24)
    fruit(500, 300, 112, lin(178, 22, 26), spots, shine=.6, shape=(1.03, .95))
    fruit(400, 430, 118, lin(128, 164, 40), spots, shine=.5, shape=(1.04, .96))
    for cx, cy in ((506, 222), (404, 346)):
        ball(p, cx, cy + 6, 24, lin(70, 60, 20), ambient=.7, shine=0, shape=(1.3, .6))
        p = over(p, lin(72, 48, 26), mask(shape, lambda pen, s: pen.line([cx * s, (cy + 8) * s, (cx + 16) * s, (cy - 34) * s], fill=255, width=8 * s)))
    for i, (cx, cy) in enumerate([(1290 + 62 * (k % 4) + 30 * (k // 4 % 2) + rng.normal(0, 8), 210 + 46 * (k // 4) + rng.normal(0, 8)) for k in range(15)]):
        fruit(cx, cy, 36 + rng.normal(0, 2), lin(78, 26, 66) * rng.uniform(.7, 1.3), spots, shine=.5)
    paper = card(rng, ["print-10x15", "do-not-share"], ["Just for us", "stays at home"], 640, 80, 110)
    return put_card(p, paper, [(760, 640), (1290, 600), (1330, 1010), (730, 1040)], (1, .98, .93), .65, 8, (12, 12), 0, .14)


def skyline(rng):
    shape, ground = TALL, 1080
    x, y = grid(shape)
    p = ramp(y / ground, [(0, lin(30, 44, 96)), (.45, lin(120, 92, 150)), (.75, lin(240, 138, 120)), (1, lin(255, 196, 120))])
    p = clouds(rng, p, lin(255, 158, 128), lin(110, 80, 128), .54, 300, 3.6)
    for layer, (tone, fog) in enumerate([(lin(120, 84, 120), .55), (lin(70, 54, 92), .3), (lin(28, 26, 50), .06)]):
        lights = np.zeros((*shape, 3), F)
        def draw(pen, s):
            a = -30
            while a < 1230:
                w = rng.uniform(50, 130)
                h = rng.uniform(120, 430 - 60 * layer) * (1.35 if rng.random() < .16 else 1)
                top = ground - h
                tone_ = byte(.7, .35, rng.uniform(.9, 1))
                pen.rectangle([a * s, top * s, (a + w) * s, ground * s], fill=(*tone_, 255))
                kind = rng.random()
                if kind < .25:
                    pen.rectangle([(a + w * .3) * s, (top - 26) * s, (a + w * .7) * s, top * s], fill=(*tone_, 255))
                elif kind < .45:
                    pen.line([(a + w / 2) * s, (top - 76) * s, (a + w / 2) * s, top * s], fill=(*tone_, 255), width=2 * s)
                elif kind < .55:
                    pen.polygon([(a * s, top * s), ((a + w / 2) * s, (top - 50) * s), ((a + w) * s, top * s)], fill=(*tone_, 255))
                pitch = 8 + 3 * layer
                for wy in np.arange(top + 10, ground - 12, pitch * 1.25):
                    for wx in np.arange(a + 6, a + w - 7, pitch):
                        if rng.random() < (.2, .28, .34)[layer] and 0 <= int(wx) < 1194:
                            lights[int(wy):int(wy) + 3 + layer * 2, int(wx):int(wx) + 2 + layer * 2] = lin(*rng.choice([[255, 212, 140], [255, 232, 190], [210, 228, 255]])) * rng.uniform(.2, 1.1)
                a += w * rng.uniform(.75, 1.05)
        colour, cover = painting(shape, draw)
        p = over(p, mix(colour * tone, lin(240, 150, 130), fog) * (.8 + .4 * step(ground - 420, ground, y))[..., None], cover)
        p += (lights * cover[..., None]) * (.45, .7, .9)[layer]
    p += soft(np.clip(p - .7, 0, 1), 9) * .6
    rows = np.arange(shape[0] - ground)
    near = rows / rows.max()
    ripple = floor((len(rows), shape[1]), np.dstack([fbm(rng, (1024, 1024), 22, 5, .6, 2.6)] * 3), -26, .5)[..., 0] - .5
    uy = np.clip(ground - 2 - rows[:, None] * 1.35 + ripple * (40 + 330 * near[:, None]), 0, ground - 1).astype(int)
    ux = np.clip(x[:len(rows)] + ripple * 26, 0, shape[1] - 1).astype(int)
    p[ground:] = mix(soft(p[uy, ux], 1.2, 5) * .8, lin(24, 30, 62), .2 + .35 * near[:, None])
    p[ground - 8:ground + 4] *= .4
    return p


def hot_air(rng):
    shape = WIDE
    x, y = grid(shape)
    p = ramp(y / 760, [(0, lin(84, 146, 210)), (.7, lin(180, 208, 226)), (1, lin(250, 226, 196))])
    p = clouds(rng, p, lin(255, 250, 242), lin(190, 194, 208), .53, 330, 2.6)
    for i, (base, height, tone) in enumerate([(760, 90, lin(128, 146, 168)), (810, 80, lin(112, 138, 120)), (880, 80, lin(100, 136, 72)), (980, 90, lin(92, 132, 46))]):
        line = ridge(rng, shape[1], base, height, 560)
        cell = np.floor((x + 60 * fbm(rng, shape, 200, 3)) / (150 + 50 * i)) * 7 + np.floor((y - line[None]) / (26 + 22 * i)) * 3
        patch = (np.sin(cell * 12.9898) * 43758.5453) % 1
        rows_ = .5 + .5 * np.sin((x * .5 + y) * (.9 - .16 * i))
        field = tone * (.62 + .5 * patch + .16 * rows_ * (patch > .5) + .4 * (fbm(rng, shape, 14, 4, .7) - .5))[..., None]
        field = mix(field, lin(206, 176, 84) * (.7 + .4 * rows_[..., None]), (patch > .74) * .75)
        p = over(p, mix(field, lin(226, 216, 204), max(0, .6 - .19 * i)), below(shape, line))
        wood, cover = painting(shape, lambda pen, s: [pen.ellipse([(a - r) * s, (line[int(a) % 1600] + b - r) * s, (a + r) * s, (line[int(a) % 1600] + b + r * .8) * s],
                               fill=(*byte(.27 + rng.normal(0, .02), .5, rng.uniform(.2, .36)), 255)) for a, b, r in
                               zip(rng.uniform(0, 1599, 60), rng.uniform(0, 70, 60), rng.uniform(3, 8, 60) * (1 + .7 * i))])
        p = over(p, mix(wood, lin(220, 214, 206), max(0, .55 - .18 * i)), cover)
    for cx, cy, r, hue, n in [(1180, 190, 56, .33, 10), (300, 300, 84, .6, 12), (910, 300, 44, .0, 8), (1330, 480, 116, .08, 12), (640, 420, 190, .98, 14), (110, 560, 40, .8, 8)]:
        gx = np.clip((x - cx) / r, -1.2, 1.2)
        gy = (y - cy) / r
        width = np.where(gy < 0, np.sqrt(np.clip(1 - gy ** 2, 0, 1)), np.sqrt(np.clip(1 - (gy / 1.62) ** 2, 0, 1)) ** 1.5)
        width = np.where(gy > 1.32, 0, width)
        cover = np.clip((width - np.abs(gx)) * r + .5, 0, 1) * (width > 0.03)
        lon = np.arcsin(np.clip(gx / np.maximum(width, .05), -1, 1)) / math.pi * n + 100.5
        stripe = np.floor(lon).astype(int) % 3
        zig = np.abs(gy - .1 - .12 * np.abs((lon % 1) - .5)) < .17
        colour = np.where(zig[..., None], hsv(hue + .12, .75, .95), np.stack([hsv(hue, .8, .85), hsv(hue + .06, .7, .95), lin(246, 240, 226)])[stripe])
        gore = .84 + .16 * np.cos((lon % 1 - .5) * math.pi)
        lit = .36 + .74 * np.clip(-gx * .55 - gy * .35 + .5, 0, 1.1)
        p = over(p, colour * (lit * gore)[..., None], cover)
        basket = r * .12
        ropes = mask(shape, lambda pen, s: [pen.line([(cx + k * r * .26) * s, (cy + 1.3 * r) * s, (cx + k * basket) * s, (cy + 1.68 * r) * s], fill=255, width=max(1, int(r * .012 * s))) for k in (-1, -.4, .4, 1)])
        p = over(p, lin(60, 50, 44), ropes)
        box = mask(shape, lambda pen, s: pen.rounded_rectangle([(cx - basket) * s, (cy + 1.66 * r) * s, (cx + basket) * s, (cy + 1.88 * r) * s], 2 * s, fill=255))
        p = over(p, lin(122, 80, 42) * (.8 + .4 * np.clip((cx - x) / basket, -1, 1))[..., None], box)
    return p


def rain_window(rng):
    shape = WIDE
    x, y = grid(shape)
    p = ramp(y / 1200, [(0, lin(44, 56, 74)), (.5, lin(70, 78, 88)), (1, lin(38, 40, 44))])
    blocks, cover = painting(shape, lambda pen, s: [pen.rectangle([a * s, b * s, (a + w) * s, 1200 * s], fill=(*byte(.6, .15, rng.uniform(.1, .3)), 255))
                             for a, b, w in zip(rng.uniform(-100, 1600, 16), rng.uniform(180, 620, 16), rng.uniform(110, 300, 16))], 1)
    p = over(p, blocks, cover)
    points = np.zeros((*shape, 3), F)
    for _ in range(90):
        points[int(np.clip(rng.normal(720, 190), 0, 1199)), rng.integers(0, 1600)] += lin(*rng.choice([[255, 200, 120], [255, 90, 60], [220, 235, 255], [120, 220, 190], [255, 170, 80]])) * rng.gamma(2, 800)
    sharp = soft(p, 8) + defocus(points, 16) * .6
    p = defocus(p, 30) + defocus(points, 44)
    p = p * .9 + lin(120, 130, 142) * .09
    fog = fbm(rng, shape, 260, 5)
    p = mix(p, lin(140, 150, 162) * .5, .16 + .12 * fog)
    lens = soft(p, 9) + defocus(points, 16) * .5
    drops = [(rng.uniform(0, 1600), rng.uniform(0, 1200), r) for r in np.concatenate([rng.uniform(2, 6, 1300), rng.uniform(6, 15, 260), rng.uniform(15, 34, 46)])]
    tracks = [(rng.uniform(60, 1540), rng.uniform(-200, 500), rng.uniform(300, 760), rng.uniform(9, 17)) for _ in range(9)]
    for tx, ty, length, w in tracks:
        path = tx + 14 * np.sin(y / 61 + tx) + 5 * np.sin(y / 19)
        clear = np.exp(-((x - path) / w) ** 2) * step(ty, ty + 60, y) * step(ty + length, ty + length - 10, y)
        p = mix(p, soft(sharp, 3) * .85, clear * .55)
        drops += [(tx + 14 * math.sin(b / 61 + tx) + 5 * math.sin(b / 19), b, rng.uniform(2, 6)) for b in rng.uniform(ty, ty + length, 22) if b < 1200]
        drops.append((tx + 14 * math.sin((ty + length) / 61 + tx), min(ty + length, 1190), w * 1.7))
    for cx, cy, r in drops:
        ry = r * rng.uniform(1.0, 1.3)
        x0, x1, y0, y1 = int(max(0, cx - r - 2)), int(min(1600, cx + r + 3)), int(max(0, cy - ry - 2)), int(min(1200, cy + ry + 3))
        if x0 >= x1 or y0 >= y1:
            continue
        gy, gx = np.mgrid[y0:y1, x0:x1].astype(F)
        a, b = (gx - cx) / r, (gy - cy) / ry
        d = np.hypot(a, b)
        cover = np.clip((1 - d) * r + .5, 0, 1)
        sx = np.clip(cx - a * 260, 0, 1599).astype(int)
        sy = np.clip(cy * .5 + 360 - b * 420, 0, 1199).astype(int)
        view = lens[sy, sx] * (1.15 - .75 * d ** 4)[..., None]
        view += (np.exp(-(((a + .35) / .2) ** 2 + ((b + .45) / .16) ** 2)) * .5)[..., None]
        p[y0:y1, x0:x1] = p[y0:y1, x0:x1] * (1 - cover[..., None]) + view * cover[..., None]
    return p


def bookshelf(rng):
    shape = WIDE
    x, y = grid(shape)
    p = lin(62, 44, 32) * (.25 + .2 * fbm(rng, shape, 100, 4)[..., None])
    board = planks(rng, 1, 64, 2048, .07, .5, gap=1)
    for top, bottom in ((-40, 352), (396, 760), (804, 1164)):
        a = -12.0
        while a < 1600:
            w, h = rng.uniform(22, 74), (bottom - max(top, 0)) * rng.uniform(.66, .93)
            if rng.random() < .07:
                a += rng.uniform(20, 60)
                continue
            lean = rng.uniform(-.09, .09) if rng.random() < .12 else rng.normal(0, .004)
            hue, sat, val = rng.random(), rng.choice([.15, .4, .6, .75]), rng.uniform(.25, .88)
            if rng.random() < .45:
                hue = rng.choice([.02, .09, .6, .36])
            if sat > .5:
                sat, val = sat * .85, val * .72
            spine = hsv(hue, sat, val)
            W, H = max(20, int(w * 2)), int(h * 2)
            def draw(pen, s):
                ink = byte(hue + .5, .15, .95) if val < .55 else byte(hue, .6, .16)
                gold = (206, 170, 90)
                tint = gold if rng.random() < .3 else ink
                kind = rng.random()
                for f in ([.08, .1, .88, .9] if kind < .4 else [.16, .84] if kind < .7 else []):
                    pen.rectangle([0, H * f * s, W * s, (H * f + 7) * s], fill=(*tint, 230))
                if kind > .55:
                    pen.rectangle([0, H * .3 * s, W * s, H * .52 * s], fill=(*byte(hue + rng.choice([.5, .1, 0]), .5, rng.uniform(.2, .95)), 255))
                y0 = H * .2
                while y0 < H * .76:
                    length = rng.uniform(.02, .07) * H
                    if rng.random() < .82:
                        for g in np.arange(y0, y0 + length, 13):
                            pen.rectangle([W * .36 * s, g * s, W * rng.uniform(.58, .68) * s, (g + rng.uniform(4, 8)) * s], fill=(*tint, 230))
                    y0 += length + 18
                r = W * .22
                if rng.random() < .5:
                    pen.ellipse([(W / 2 - r) * s, (H * .93 - r) * s, (W / 2 + r) * s, (H * .93 + r) * s], outline=(*tint, 220), width=3 * s)
            ink, cover = painting((H, W), draw, 1)
            tx = np.linspace(-1, 1, W, dtype=F)[None, :]
            skin = over(np.ones((H, W, 3), F) * spine, ink, cover) * (np.sqrt(np.clip(1.06 - tx ** 2, 0, 1)) * .8 + .25 - .2 * tx)[..., None]
            skin = skin * (.86 + .28 * fbm(rng, (H, W), 8, 3, .7))[..., None]
            foot = a + w / 2
            corners = [(foot - w / 2 + lean * h, bottom - h), (foot + w / 2 + lean * h, bottom - h + lean * w), (foot + w / 2, bottom), (foot - w / 2, bottom)]
            x0, x1 = int(max(0, min(c[0] for c in corners) - 2)), int(min(1600, max(c[0] for c in corners) + 3))
            y0, y1 = int(max(0, bottom - h - 4)), int(min(1200, bottom + 3))
            if x1 > x0:
                local = [(c[0] - x0, c[1] - y0) for c in corners]
                part = laid((y1 - y0, x1 - x0), np.dstack([skin, np.ones((H, W), F)]).astype(F), local)[..., :3]
                p[y0:y1, x0:x1] = over(p[y0:y1, x0:x1], part, polygon((y1 - y0, x1 - x0), local))
            a += w + abs(lean) * h * .6 + rng.uniform(0, 3)
        p *= (1 - .62 * step(120, 0, y - max(top, 0)) * (y >= top) * (y < bottom))[..., None]
        for edge in (bottom,):
            strip = laid((44, 1600), board, [(-100, 0), (1700, 0), (1700, 44), (-100, 44)])
            strip *= np.linspace(1.25, .6, 44)[:, None, None]
            p[edge:edge + 44][:min(44, 1200 - edge)] = strip[:max(0, min(44, 1200 - edge))] * .9
    lamp = np.exp(-(((x - 520) / 800) ** 2 + ((y - 380) / 700) ** 2))
    return p * (.4 + 1.0 * lamp)[..., None] * lin(255, 238, 212)


def moon(rng):
    shape, horizon = (540, 720), 330
    x, y = grid(shape)
    p = ramp(y / horizon, [(0, lin(14, 22, 58)), (.6, lin(40, 56, 108)), (1, lin(120, 116, 150))])
    d = np.hypot(x - 470, y - 120)
    p += (np.exp(-d / 60) * .22)[..., None] * lin(226, 230, 255)
    crater = fbm(rng, shape, 34, 5, .6)
    p = over(p, lin(252, 246, 226) * (.75 + .4 * (1 - step(.45, .62, crater)))[..., None], np.clip(46 - d, 0, 1))
    for base, height, tone in [(326, 60, lin(52, 60, 100)), (330, 26, lin(28, 34, 64))]:
        p = over(p, tone, below(shape, ridge(rng, shape[1], base, height, 260)) * (y < horizon))
    wave = floor(shape, np.dstack([fbm(rng, (512, 512), 26, 4, .55, 3)] * 3), horizon, .5)[..., 0]
    depth = np.clip((y - horizon) / 210, 0, 1)
    sea = ramp(depth, [(0, lin(78, 84, 128)), (1, lin(12, 22, 52))]) * (.6 + .8 * wave[..., None])
    path = np.exp(-((x - 470) / (20 + 90 * depth)) ** 2) * step(.48, .62, wave)
    sea += path[..., None] * lin(255, 240, 206) * .8
    p = np.where((y >= horizon)[..., None], sea, p)
    boat = polygon(shape, [(180, 372), (276, 372), (258, 392), (196, 392)])
    sail = np.maximum(polygon(shape, [(224, 262), (224, 364), (172, 364)]), polygon(shape, [(230, 276), (230, 364), (272, 364)]))
    p = over(p, lin(16, 18, 36), boat)
    return over(p, lin(60, 66, 106), sail)


def cake(rng):
    shape = WIDE
    x, y = grid(shape)
    p = mix(lin(18, 10, 14), lin(96, 46, 26), np.exp(-(((x - 800) / 620) ** 2 + ((y - 420) / 460) ** 2))) * .8
    points = np.zeros((*shape, 3), F)
    for _ in range(46):
        points[int(np.clip(rng.normal(300, 170), 0, 1199)), rng.integers(0, 1600)] = lin(*rng.choice([[255, 180, 90], [255, 120, 120], [140, 190, 255]])) * rng.uniform(400, 1500)
    p = p + defocus(points, 38)
    cloth = planks(rng, 5, 1024, 2048, .06, .4)
    top = laid(shape, cloth, [(-300, 760), (1900, 760), (2600, 1500), (-1000, 1500)])
    p = np.where((y > 790)[..., None], top * .38 * (.35 + 1.3 * np.exp(-(((x - 800) / 520) ** 2 + ((y - 960) / 210) ** 2)))[..., None] * lin(255, 206, 150), p)
    ell = lambda cx, cy, rx, ry: mask(shape, lambda pen, s: pen.ellipse([(cx - rx) * s, (cy - ry) * s, (cx + rx) * s, (cy + ry) * s], fill=255))
    p = shade(p, ell(800, 1010, 500, 110), .7, 26)
    p = over(p, lin(220, 214, 204) * (.35 + .4 * np.exp(-((x - 700) / 400) ** 2))[..., None], ell(800, 1000, 500, 112))
    p = over(p, lin(190, 184, 176) * (.3 + .4 * np.exp(-((x - 700) / 400) ** 2))[..., None], ell(800, 992, 470, 98))
    side = np.maximum(np.maximum(ell(800, 960, 400, 92), ell(800, 690, 400, 92)), mask(shape, lambda pen, s: pen.rectangle([400 * s, 690 * s, 1200 * s, 960 * s], fill=255)))
    round_ = np.sqrt(np.clip(1 - ((x - 800) / 401) ** 2, 0, 1))
    crumb = fbm(rng, shape, 9, 4, .75)
    layer = step(.0, .25, np.sin((y - 700 + 80 * (1 - round_)) / 28))
    body = mix(lin(120, 66, 34), lin(240, 214, 170), layer * .8) * (.5 + .8 * crumb)[..., None]
    p = over(p, body * (.2 + .62 * round_)[..., None] * lin(255, 214, 170), side)
    drip = 690 + 86 * round_ + 34 + 46 * (.5 + .5 * np.sin(x / 27 + 2 * np.sin(x / 71))) ** 2
    icing = np.clip(drip - y, 0, 1) * side
    gloss = .25 + .7 * round_
    p = over(p, lin(232, 120, 150) * gloss[..., None] * lin(255, 224, 196), icing)
    p = over(p, lin(244, 150, 172) * (.55 + .5 * np.exp(-(((x - 800) / 300) ** 2 + ((y - 680) / 70) ** 2)))[..., None] * lin(255, 226, 190), ell(800, 690, 400, 92))
    for _ in range(240):
        a, r = rng.uniform(0, 6.3), math.sqrt(rng.random()) * .93
        ball(p, 800 + 400 * r * math.cos(a), 690 + 92 * r * math.sin(a), rng.uniform(3, 5.5), hsv(rng.random(), .7, .95), shape=(1.7, .8), shine=.3)
    for k in range(16):
        a = k * 2 * math.pi / 16
        cx, cy = 800 + 362 * math.cos(a), 682 + 82 * math.sin(a)
        if math.sin(a) > -.9:
            ball(p, cx + 3, cy + 10, 36, lin(90, 40, 40), shape=(1, .5), ambient=1, shine=0)
            ball(p, cx, cy - 10, 33, lin(250, 236, 220), light=(0, -.8, .6), shine=.15, shape=(1, .82))
            ball(p, cx, cy - 34, 17, lin(196, 20, 36), light=(0, -.8, .6), shine=.7)
    glow = np.zeros((*shape, 3), F)
    for i, (cx, cy) in enumerate([(640, 660), (720, 700), (800, 646), (880, 704), (960, 660), (800, 716)]):
        h = 190
        stick = mask(shape, lambda pen, s: pen.rectangle([(cx - 10) * s, (cy - h) * s, (cx + 10) * s, cy * s], fill=255))
        stripe = step(-.1, .1, np.sin((y + (x - cx) * 1.5) / 9))
        p = over(p, mix(hsv(.58 + i * .13, .65, .9), lin(250, 246, 240), stripe) * (.35 + .6 * step(cy, cy - h, y) + .3 * np.clip((x - cx) / 10, -1, 1))[..., None], stick)
        fy = cy - h - 36
        g = (y - fy) / 34
        wide = 11 * np.sqrt(np.clip(1 - g ** 2, 0, 1)) * np.where(g < 0, np.clip(1 + g, 0, 1) ** .8, 1)
        flame = np.clip((wide - np.abs(x - cx - 2 * np.sin(i * 9))) / 4, 0, 1) * (np.abs(g) < 1)
        p = over(p, mix(lin(255, 240, 190) * 2.2, lin(255, 150, 40) * 1.4, np.clip(-g, 0, 1)), flame)
        glow += np.exp(-np.hypot(x - cx, y - fy) / 60)[..., None] * lin(255, 170, 80) * .2
        glow += np.exp(-np.hypot(x - cx, y - fy) / 260)[..., None] * lin(255, 150, 70) * .035
    return p + glow


def tiles(rng):
    size, n = 256, 8
    tx, ty = grid((size, size))
    d0, d1 = np.hypot(tx, ty), np.hypot(size - tx, size - ty)
    c = np.hypot(tx - 128, ty - 128)
    big = np.zeros((size * n, size * n, 3), F)
    for i in range(n):
        for j in range(n):
            t = lin(236, 238, 234) * np.ones((size, size, 3), F)
            blue, yellow = lin(24, 62, 140) * rng.uniform(.8, 1.2), lin(226, 170, 44)
            ink = lambda t, colour, cover: over(t, colour, np.clip(cover, 0, 1))
            for d in (d0, d1):
                t = ink(t, blue, 118 - d)
                t = ink(t, lin(236, 238, 234), 96 - d)
                t = ink(t, yellow, 74 - d)
                t = ink(t, blue, 46 - d)
                t = ink(t, lin(236, 238, 234), 20 - d)
            a = np.arctan2(ty - 128, tx - 128)
            t = ink(t, lin(60, 112, 180), (30 + 16 * np.cos(4 * a) - c))
            t = ink(t, lin(236, 238, 234), 13 - c)
            worn = fbm(rng, (size, size), 40, 5, .6)
            t = mix(t, lin(228, 226, 214), step(.6, .75, worn) * .4) * (.86 + .25 * worn)[..., None] * rng.uniform(.9, 1.06)
            edge = np.minimum(np.minimum(tx, size - 1 - tx), np.minimum(ty, size - 1 - ty)) + 4 * (worn - .5)
            t = mix(lin(120, 112, 100) * .8, t, step(3, 6, edge))
            t *= (.75 + .25 * step(4, 14, edge))[..., None]
            big[i * size:(i + 1) * size, j * size:(j + 1) * size] = np.rot90(t, rng.integers(0, 2))
    shape = WIDE
    x, y = grid(shape)
    p = laid(shape, big, [(-330, -140), (1720, -380), (1840, 1500), (-250, 1230)], repeat=True)
    bump = fbm(rng, shape, 60, 4)
    glare = np.exp(-(((x - 1200) / 420) ** 2 + ((y - 320) / 300) ** 2)) * step(.3, .62, bump)
    p = p * (.55 + .5 * np.exp(-(((x - 1100) / 1000) ** 2 + ((y - 300) / 800) ** 2)))[..., None] + (glare * .12)[..., None]
    pot = [(90, 1210), (60, 900), (380, 900), (345, 1210)]
    cover = polygon(shape, pot)
    p = shade(p, cover, .5, 30, 40, 14)
    p = over(p, lin(186, 92, 56) * np.clip(1.05 - np.abs(x - 180) / 260, .2, 1)[..., None] * (.8 + .4 * fbm(rng, shape, 30, 4)[..., None]), cover)
    rim = polygon(shape, [(44, 870), (396, 870), (390, 930), (52, 930)])
    p = over(p, lin(200, 104, 64) * np.clip(1.1 - np.abs(x - 180) / 260, .2, 1)[..., None], rim)
    def plant(pen, s):
        for k in range(74):
            a = rng.uniform(-2.9, -.25)
            length = rng.uniform(140, 400)
            tip = (220 + length * math.cos(a), 870 + length * math.sin(a) * .95 + length * .12)
            mid = (220 + length * .5 * math.cos(a) - 12, 870 + length * .62 * math.sin(a))
            w = rng.uniform(12, 24)
            v = rng.uniform(.24, .62)
            pen.polygon([(q * s, r * s) for q, r in ((220, 880), (mid[0] - w, mid[1]), tip, (mid[0] + w, mid[1] + w * .5))], fill=(*byte(.29 + rng.normal(0, .02), .6, v), 255))
            pen.line([220 * s, 880 * s, mid[0] * s, mid[1] * s, tip[0] * s, tip[1] * s], fill=(*byte(.27, .5, v * 1.3), 255), width=2 * s)
    colour, cover = painting(shape, plant)
    p = shade(p, cover, .45, 14, 30, 22)
    return over(p, colour, cover)
