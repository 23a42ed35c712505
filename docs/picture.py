"""Draws docs/picture.svg, the picture of the README: python3 docs/picture.py (needs pillow).

The photo is a sample; the outlines are what `signet look --json` says of it.
"""
import base64
import io
import pathlib

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
PHOTO = ROOT / "tests" / "data" / "samples" / "IMG_0427-breakfast.jpg"
CROP = (280, 540, 1180, 1165)
# Corners of the icons in px of the photo, from `signet look --json`.
ICONS = [[[547, 723], [744, 733], [723, 934], [506, 923]], [[769, 735], [967, 746], [968, 948], [751, 936]]]
INK, SOFT, LINE, GREEN, BLUE = "#14213d", "#5b6478", "#d5d9e2", "#12a150", "#2563eb"


def embedded(image, quality):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def text(x, y, words, size=17, fill=INK, weight=400, anchor="start", family="system-ui,Helvetica,Arial,DejaVu Sans,sans-serif"):
    return (f'<text x="{x}" y="{y}" font-family="{family}" font-size="{size}" fill="{fill}" '
            f'font-weight="{weight}" text-anchor="{anchor}">{words}</text>')


def mono(x, y, words, fill=INK):
    return text(x, y, words, 15, fill, family="ui-monospace,Menlo,DejaVu Sans Mono,monospace")


def panel(x, width, title, number):
    return (f'<rect x="{x}" y="20" width="{width}" height="380" rx="16" fill="#fff" stroke="{LINE}"/>'
            f'<circle cx="{x + 32}" cy="52" r="15" fill="{INK}"/>' + text(x + 32, 58, number, 17, "#fff", 700, "middle")
            + text(x + 58, 58, title, 18, INK, 700))


def arrow(x, words):
    return (f'<path d="M{x} 210h58m-14 -12l14 12l-14 12" fill="none" stroke="{BLUE}" stroke-width="4" '
            'stroke-linecap="round" stroke-linejoin="round"/>' + text(x + 29, 186, words, 13, SOFT, 400, "middle"))


def main():
    photo = Image.open(PHOTO).convert("RGB")
    near = photo.crop(CROP).resize((720, 500), Image.LANCZOS)
    whole = photo.resize((320, 240), Image.LANCZOS)
    width, height = 392, 272
    sx, sy = width / (CROP[2] - CROP[0]), height / (CROP[3] - CROP[1])
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1280 420" role="img" '
             'aria-label="A photo with two icons becomes an order, and the lab fetches the original">',
             '<rect width="1280" height="420" rx="20" fill="#f4f6fa"/>']
    parts += [panel(20, 424, "You take a photo", 1),
              f'<clipPath id="a"><rect x="36" y="84" width="{width}" height="{height}" rx="10"/></clipPath>',
              f'<image x="36" y="84" width="{width}" height="{height}" clip-path="url(#a)" href="{embedded(near, 82)}"/>']
    for corners in ICONS:
        points = " ".join(f"{36 + (x - CROP[0]) * sx:.1f},{84 + (y - CROP[1]) * sy:.1f}" for x, y in corners)
        parts.append(f'<polygon points="{points}" fill="none" stroke="{GREEN}" stroke-width="3.5" stroke-linejoin="round"/>')
    parts += [text(232, 382, "a printed card in the scene, or a sticker put on later", 14, SOFT, 400, "middle")]
    parts += [arrow(450, "by itself"), panel(514, 332, "Your computer reads it", 2),
              text(534, 108, "icons", 14, SOFT), mono(604, 108, "print-13x18, copies-2"),
              text(534, 142, "rule", 14, SOFT), mono(604, 142, "print-13x18"),
              text(534, 176, "order", 14, SOFT), mono(604, 176, "2 x print-13x18"),
              text(534, 210, "price", 14, SOFT), mono(604, 210, "0.98 EUR"),
              text(534, 244, "grant", 14, SOFT), mono(604, 244, "this file, this lab,"), mono(604, 264, "14 days"),
              f'<path d="M534 290h292" stroke="{LINE}"/>',
              text(534, 322, "Within what you agreed to once.", 15, INK), text(534, 346, "Signed with a key that never leaves", 15, INK),
              text(534, 370, "your computer.", 15, INK)]
    parts += [arrow(852, "by itself"), panel(916, 344, "The lab has the original", 3),
              '<clipPath id="b"><rect x="936" y="84" width="176" height="132" rx="8"/></clipPath>',
              f'<image x="936" y="84" width="176" height="132" clip-path="url(#b)" href="{embedded(whole, 80)}"/>',
              text(1128, 112, "every byte", 15, GREEN, 700), text(1128, 134, "the same", 15, GREEN, 700),
              text(936, 254, "the lab pays", 14, SOFT), mono(1080, 254, "0.25 EUR"),
              text(936, 282, "you get", 14, SOFT), mono(1080, 282, "0.20 EUR"),
              text(936, 310, "the service gets", 14, SOFT), mono(1080, 310, "0.05 EUR"),
              f'<path d="M936 330h304" stroke="{LINE}"/>',
              text(936, 358, "Every access is limited, written down", 15, INK), text(936, 380, "and reported to you.", 15, INK)]
    parts.append("</svg>")
    (ROOT / "docs" / "picture.svg").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
