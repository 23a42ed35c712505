"""Draws docs/icon-set.svg, the README's picture of the icons: python3 docs/icon_set.py (needs nothing else).

The drawings are copied from models/icons/set as they are; a test compares them.
"""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SET = ROOT / "models" / "icons" / "set"
ROWS = [
    "print-10x15 print-13x18 print-20x30 square panorama canvas",
    "poster postcard photobook calendar mug puzzle",
    "copies-2 copies-3 copies-5 copies-10 to-a to-b",
    "to-c share express keep-private-copy do-not-share end",
]
COLUMN, ROW, SIDE = 150, 148, 104


def drawing(name):
    return (SET / f"{name}.svg").read_text(encoding="utf-8").split("</title>")[1].strip().removesuffix("</svg>").strip()


def main():
    width, height = COLUMN * 6, ROW * len(ROWS) + 8
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
             'font-family="ui-monospace,Menlo,DejaVu Sans Mono,monospace" font-size="14" text-anchor="middle">',
             "<title>The 24 icons of Signet</title>",
             # On a white page the white of a tile would end unseen.
             f'<rect width="{width}" height="{height}" rx="18" fill="#e9e6df"/>']
    for row, names in enumerate(ROWS):
        for column, name in enumerate(names.split()):
            x, y = COLUMN * column + COLUMN / 2, ROW * row + 18
            parts.append(f'<svg x="{x - SIDE / 2:g}" y="{y}" width="{SIDE}" height="{SIDE}" viewBox="0 0 1024 1024">')
            parts.append(drawing(name))
            parts.append(f'</svg><text x="{x:g}" y="{y + SIDE + 18}" fill="#4a5263">{name}</text>')
    parts.append("</svg>")
    (ROOT / "docs" / "icon-set.svg").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
