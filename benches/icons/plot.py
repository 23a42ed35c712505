"""Draws the curves as an SVG that reads on light and dark pages: EASY, HARD, and covered markers.

In:  the dictionary of figures.json. Out: SVG text. Whiskers are 95 % intervals.
"""
import math

import figures

# Colours on a light page and on a dark one; a shape each, so that colours are not needed to tell them apart.
SERIES = (("ours", "Signet icon", "#d6293e", "#ff6b7a", "circle"), ("AprilTag 36h11", "AprilTag 36h11", "#1f6feb", "#6cb0ff", "square"),
          ("ArUco 6X6", "ArUco 6X6", "#12864b", "#4fd08a", "diamond"), ("QR v1", "QR v1", "#8a6d00", "#e0b93c", "triangle"))
WIDTH, HEIGHT, TOP, BOTTOM = 1120, 430, 96, 362
PANELS = ((64, 400), (476, 812), (876, 1088))
FONT = "system-ui,-apple-system,Segoe UI,Helvetica,Arial,DejaVu Sans,sans-serif"


def style():
    def colours(dark):
        page, ink, soft, line = ("#0d1117", "#e6edf3", "#9aa5b4", "#30363d") if dark else ("#ffffff", "#14213d", "#5b6478", "#e2e5ec")
        lines = [f".page{{fill:{page}}} text{{fill:{ink}}} .soft{{fill:{soft}}} .grid{{stroke:{line}}}"]
        lines += [f".s{i}{{stroke:{c}}}.f{i}{{fill:{c}}}" for i, c in enumerate(s[3] if dark else s[2] for s in SERIES)]
        return "".join(lines)
    return f"<style>{colours(False)}@media (prefers-color-scheme:dark){{{colours(True)}}}</style>"


def text(x, y, words, size=14, anchor="start", weight=400, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}"{kind and f" class={chr(34)}{kind}{chr(34)}"}>{words}</text>'


def height(share):
    return BOTTOM - share * (BOTTOM - TOP)


def mark(number, x, y):
    shape, r = SERIES[number][4], 4.6
    if shape == "circle":
        body = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"'
    elif shape == "square":
        body = f'<rect x="{x - r + .4:.1f}" y="{y - r + .4:.1f}" width="{2 * r - .8:.1f}" height="{2 * r - .8:.1f}"'
    elif shape == "diamond":
        body = f'<path d="M{x:.1f} {y - r - 1:.1f}l{r + 1} {r + 1}l-{r + 1} {r + 1}l-{r + 1}-{r + 1}z"'
    else:
        body = f'<path d="M{x:.1f} {y - r - .5:.1f}l{r + .6:.1f} {2 * r:.1f}h-{2 * r + 1.2:.1f}z"'
    return body + f' class="f{number}"/>'


def whisker(number, x, figure):
    low, high = height(figure["low"]), height(figure["high"])
    return (f'<path d="M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}h6M{x - 3:.1f} {high:.1f}h6" class="s{number}" '
            'fill="none" stroke-width="1.3" opacity=".75"/>')


def of_series(cell, name):
    return cell["ours"] if name == "ours" else cell.get("families", {}).get(name)


def curves(recall, level, left, right):
    sides = sorted({float(name.split("-")[1]) for name in recall if name.startswith(level) and not name.endswith("covered")})
    if not sides:
        return []
    low, high = math.log(min(sides)), math.log(max(sides))
    at = lambda side: left + 20 + (right - left - 40) * ((math.log(side) - low) / (high - low) if high > low else .5)
    parts = [text(at(side), BOTTOM + 20, f"{side:g}", 13, "middle", kind="soft") for side in sides]
    # Ours is drawn last, on top.
    for number in (3, 2, 1, 0):
        points = []
        for side in sides:
            figure = of_series(recall[f"{level}-{side:g}"], SERIES[number][0])
            if figure:
                points.append((at(side) + (number - 1.5) * 4, figure))
        path = "L".join(f"{x:.1f} {height(figure['recall']):.1f}" for x, figure in points)
        if path:
            parts.append(f'<path d="M{path}" class="s{number}" fill="none" stroke-width="{2.8 if number == 0 else 1.8}" stroke-linejoin="round"/>')
        parts += [whisker(number, x, figure) + mark(number, x, height(figure["recall"])) for x, figure in points]
    return parts


def covered(recall, left, right):
    parts = []
    for group, level in enumerate(("easy", "hard")):
        middle = left + (right - left) * (.27 + .46 * group)
        parts.append(text(middle, BOTTOM + 20, level.upper(), 13, "middle", kind="soft"))
        cell = next((recall[name] for name in recall if name.startswith(level) and name.endswith("covered")), None)
        for number in range(len(SERIES)) if cell else ():
            figure, x = of_series(cell, SERIES[number][0]), middle + (number - 1.5) * 19
            if figure:
                parts.append(whisker(number, x, figure) + mark(number, x, height(figure["recall"])))
    return parts


def svg(figures_all):
    recall = figures_all["recall"]
    n = next(iter(recall.values()))["ours"]["n"]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="{FONT}" role="img" '
             'aria-label="Share of markers found by size: Signet icons, AprilTag, ArUco and QR codes">', style(),
             f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="14"/>']
    x = 64
    for number, (_, label, *_rest) in enumerate(SERIES):
        parts += [f'<path d="M{x} 30h30" class="s{number}" fill="none" stroke-width="{2.8 if number == 0 else 1.8}"/>', mark(number, x + 15, 30),
                  text(x + 40, 35, label, 15, weight=600 if number == 0 else 400)]
        x += 40 + 9 * len(label) + 36
    parts.append(text(WIDTH - 32, 35, f"n = {n} each, whiskers 95 %", 13, "end", kind="soft"))
    for (left, right), title in zip(PANELS, ("EASY: % found by size", "HARD: % found by size", "48 px, 10–30 % covered")):
        parts.append(text(left, 76, title, 15, weight=600))
        for share in (0, .25, .5, .75, 1):
            parts.append(f'<path d="M{left} {height(share):.1f}H{right}" class="grid" stroke-width="1"/>')
            parts.append(text(left - 8, height(share) + 4, f"{100 * share:.0f}", 12, "end", kind="soft"))
    parts += curves(recall, "easy", *PANELS[0]) + curves(recall, "hard", *PANELS[1]) + covered(recall, *PANELS[2])
    for left, right in PANELS[:2]:
        parts.append(text((left + right) / 2, BOTTOM + 44, "side of the marker in px of the 1024-px preview", 13, "middle", kind="soft"))
    parts.append("</svg>")
    return "\n".join(part for part in parts if part) + "\n"


assert set(figures.FAMILIES) == {name for name, *_ in SERIES[1:]}
