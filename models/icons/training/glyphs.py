"""Rasterises icon-pack glyphs, text glyphs and distractor art into one compressed atlas.

In:  folders with unpacked icon packages (see Makefile, target `packs`); fonts found on the machine.
Out: `glyphs.npz`: `ink` u8 [N, 80, 40] (two 4-bit coverages a byte, left one high), `held` bool [N],
     `art` u8 [M, 128, 64] (same packing; text blocks, signs, codes, frames for negatives).

A glyph is held out by the hash of its bare name ("heart-filled" and "heart" share a fate in all packs),
so no drawing of a held-out concept is ever trained on. Families kept for the final test (emoji sets)
must never be given to this program. Brand marks are skipped.
"""
import argparse, glob, hashlib, io, os, random, re
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE_PX, ART_PX = 80, 128
FOLDERS = ["*/package/icons", "*/package/icons/outline", "*/package/icons/filled", "*/package/svg",
           "*/package/svg/32", "*/package/24/outline", "*/package/24/solid"]
SKIP = re.compile(r"^(brand|logo)-|^logo--|^(apple|google|facebook|microsoft|twitter|android)")


def bare_name(path):
    name = os.path.splitext(os.path.basename(path))[0].lower()
    return re.sub(r"[-_](fill|filled|outline|solid|off|alt|variant|\d+)\b", "", name)


def is_held(name):
    return int(hashlib.sha1(name.encode()).hexdigest(), 16) % 10 == 0


def pack4(stack):
    q = (stack.astype(np.uint16) * 15 + 127) // 255
    return (q[..., 0::2] * 16 + q[..., 1::2]).astype(np.uint8)


def unpack4(packed):
    """u8 [..., h, w/2] back to u8 coverage [..., h, w]."""
    out = np.empty(packed.shape[:-1] + (packed.shape[-1] * 2,), np.uint8)
    out[..., 0::2], out[..., 1::2] = (packed >> 4) * 17, (packed & 15) * 17
    return out


def svg_glyph(path):
    import resvg_py
    png = bytes(resvg_py.svg_to_bytes(svg_path=path, width=SIDE_PX * 2, height=SIDE_PX * 2))
    alpha = Image.open(io.BytesIO(png)).convert("RGBA").getchannel("A")
    return alpha.resize((SIDE_PX, SIDE_PX), Image.BOX)


def fonts():
    found = [p for root in ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts")
             for p in glob.glob(root + "/**/*.[to]tf", recursive=True)]
    if not found:
        raise SystemExit("no TrueType font found; install e.g. the DejaVu fonts")
    return sorted(found)


def text_glyph(text, font_path):
    """Text scaled to fill the square; a line break becomes a second line."""
    font = ImageFont.truetype(font_path, 120)
    probe = ImageDraw.Draw(Image.new("L", (8, 8)))
    x0, y0, x1, y1 = probe.multiline_textbbox((0, 0), text, font=font, align="center", spacing=6)
    x0, y0, x1, y1 = int(x0), int(y0), int(x1) + 1, int(y1) + 1
    picture = Image.new("L", (x1 - x0, y1 - y0))
    ImageDraw.Draw(picture).multiline_text((-x0, -y0), text, font=font, fill=255, align="center", spacing=6)
    scale = SIDE_PX / max(picture.size)
    picture = picture.resize([max(1, round(s * scale)) for s in picture.size], Image.LANCZOS)
    square = Image.new("L", (SIDE_PX, SIDE_PX))
    square.paste(picture, ((SIDE_PX - picture.width) // 2, (SIDE_PX - picture.height) // 2))
    return square


def text_list(rng):
    sizes = [(9, 13), (10, 15), (13, 18), (15, 20), (20, 30), (30, 40), (4, 6), (5, 7), (8, 10), (11, 14)]
    texts = [f"{a}{sep}{b}" for a, b in sizes for sep in ("\n", "/", "×", "-")]
    texts += [f"×{n}" for n in range(2, 21)] + [f"{n}x" for n in range(2, 13)] + [str(n) for n in range(100)]
    texts += [chr(c) for c in range(65, 91)] + [chr(c) for c in range(97, 123)] + list("&%#?!@+=€$§")
    texts += [f"A{n}" for n in range(7)] + ["S", "M", "L", "XL", "XXL", "OK", "NO", "HD", "B/W", "3D", "1:1"]
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
    texts += ["".join(rng.choices(letters, k=2)) for _ in range(200)]
    texts += ["".join(rng.choices(letters, k=3)) for _ in range(100)]
    return texts


def art_picture(rng, font_paths, marks):
    """One negative: a text block, code, sign, table, nested frame, window or logo. White is ink."""
    size, kind = ART_PX, rng.randrange(9)
    art = Image.new("L", (size, size))
    draw = ImageDraw.Draw(art)
    box = lambda m: (m, m, size - 1 - m, size - 1 - m)
    if kind <= 2:
        font = ImageFont.truetype(rng.choice(font_paths), rng.choice([9, 12, 16, 22, 30, 44]))
        words = "".join(rng.choices("abcdefghijklmnoprstuvwyz    ABCDEFG0123456789.,", k=400))
        step, y, at = font.size * rng.uniform(1.05, 1.7), rng.randrange(2, 12), 0
        while y < size - font.size:
            count = rng.randrange(3, 40)
            draw.text((rng.choice([4, 4, 4, 30]), y), words[at % 300: at % 300 + count], fill=255, font=font)
            y, at = y + step, at + count
    elif kind == 3:
        cells = rng.choice([4, 5, 6, 7, 8, 21, 25])
        grid = np.random.RandomState(rng.randrange(1 << 30)).randint(0, 2, (cells, cells)) * 255
        if cells <= 8:
            grid = np.pad(grid, 1, constant_values=255)
        else:
            finder = np.pad(np.pad(np.full((3, 3), 255), 1), 1, constant_values=255)
            for y, x in ((0, 0), (0, cells - 7), (cells - 7, 0)):
                grid[y:y + 7, x:x + 7] = finder
        art.paste(Image.fromarray(grid.astype(np.uint8)).resize((size - 12, size - 12), Image.NEAREST), (6, 6))
    elif kind == 4:
        x = 6
        while x < size - 10:
            width = rng.choice([1, 1, 2, 3, 4])
            draw.rectangle((x, 10, x + width - 1, size - rng.choice([10, 30])), fill=255)
            x += width + rng.choice([1, 1, 2, 3])
    elif kind == 5:
        edge = rng.randrange(2, 14)
        draw.rounded_rectangle(box(edge), rng.randrange(0, 50), outline=255, width=rng.randrange(2, 16))
        if rng.random() < 0.6:
            draw.rectangle(box(edge + rng.randrange(14, 40)), outline=255, width=rng.randrange(1, 8))
    elif kind == 6:
        columns, rows, width = rng.randrange(1, 5), rng.randrange(1, 5), rng.randrange(2, 9)
        for i in range(columns + 1):
            draw.line((4 + i * 120 // columns, 4, 4 + i * 120 // columns, 124), fill=255, width=width)
        for i in range(rows + 1):
            draw.line((4, 4 + i * 120 // rows, 124, 4 + i * 120 // rows), fill=255, width=width)
    elif kind == 7:
        shape = rng.choice([3, 4, 5, 6, 8])
        draw.regular_polygon((64, 64, 58), shape, rotation=rng.randrange(90), fill=255)
        if rng.random() < 0.7:
            draw.regular_polygon((64, 64, rng.randrange(30, 52)), shape, rotation=0, fill=0)
            art.paste(marks[rng.randrange(len(marks))].resize((44, 44)), (42, 42))
    else:
        for _ in range(rng.randrange(1, 7)):
            mark, side = marks[rng.randrange(len(marks))], rng.randrange(24, 100)
            art.paste(255, (rng.randrange(-4, size - side + 5), rng.randrange(-4, size - side + 5)),
                      mark.resize((side, side)))
    return art.point(lambda v: 255 - v) if rng.random() < 0.2 else art


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--packs", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--seed", type=int, default=7)
    options = arguments.parse_args()
    rng, pictures, held = random.Random(options.seed), [], []
    paths = sorted({p for folder in FOLDERS for p in glob.glob(f"{options.packs}/{folder}/*.svg")})
    for path in paths:
        if SKIP.search(os.path.basename(path)):
            continue
        try:
            picture = svg_glyph(path)
        except Exception as error:  # a few packs carry sprites or empty files
            print("skipped", os.path.basename(path), str(error)[:60])
            continue
        if 0.02 < np.asarray(picture).mean() / 255 < 0.95:
            pictures.append(picture)
            held.append(is_held(bare_name(path)))
    font_paths = fonts()
    bold = [p for p in font_paths if "Bold" in p] or font_paths
    for text in text_list(rng):
        for font_path in rng.sample(bold, min(2, len(bold))):
            pictures.append(text_glyph(text, font_path))
            held.append(is_held(text))
    art = [art_picture(rng, font_paths, pictures) for _ in range(600)]
    np.savez_compressed(options.out, ink=pack4(np.stack([np.asarray(p) for p in pictures])),
                        held=np.array(held), art=pack4(np.stack([np.asarray(p) for p in art])))
    print(len(pictures), "glyphs,", sum(held), "held out,", len(art), "art", os.path.getsize(options.out) >> 20, "MiB")


if __name__ == "__main__":
    main()
