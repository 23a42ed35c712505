"""Shrinks a photo collection into one archive that training loads in seconds.

In:  a folder of ordinary photos without icons.
Out: `photos.npz`: `train` and, in a second file, `held`: JPEG bytes end to end with their `offsets`.

A photo is held out when sha1(file name) mod 5 is 0; those are only ever evaluated on. Photos are shrunk to a
short side of 336 px (never enlarged), because whole previews show their content at about that scale.
"""
import argparse, hashlib, io, os
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from PIL import Image

SHORT_PX, SUFFIXES = 336, (".jpg", ".jpeg", ".png")


def is_held(path):
    return int(hashlib.sha1(os.path.basename(path).encode()).hexdigest(), 16) % 5 == 0


def list_photos(folder):
    return sorted(os.path.join(root, name) for root, _, names in os.walk(folder)
                  for name in names if name.lower().endswith(SUFFIXES))


def shrink(path, quality):
    photo = Image.open(path).convert("RGB")
    scale = min(1.0, SHORT_PX / min(photo.size))
    photo = photo.resize([round(s * scale) for s in photo.size], Image.LANCZOS)
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=quality)
    return out.getvalue()


def load_squares(path, side_px=SHORT_PX, limit=None):
    """u8 [N, 3, side, side]: each photo as one square, or as its two ends when it is oblong."""
    data = np.load(path)
    offsets, body = data["offsets"], data["body"].tobytes()

    def squares(index):
        photo = Image.open(io.BytesIO(body[offsets[index]:offsets[index + 1]])).convert("RGB")
        scale = side_px / min(photo.size)
        photo = photo.resize([max(side_px, round(s * scale)) for s in photo.size], Image.BICUBIC)
        w, h = photo.size
        starts = [(0, 0)] if max(w, h) < 1.12 * side_px else [(0, 0), (w - side_px, h - side_px)]
        return [np.asarray(photo.crop((x, y, x + side_px, y + side_px))).transpose(2, 0, 1) for x, y in starts]

    count = len(offsets) - 1 if limit is None else min(limit, len(offsets) - 1)
    with ThreadPoolExecutor(8) as pool:
        return np.stack([s for group in pool.map(squares, range(count)) for s in group])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--photos", required=True)
    arguments.add_argument("--out", required=True, help="folder for photos.npz and held.npz")
    arguments.add_argument("--quality", type=int, default=68)
    options = arguments.parse_args()
    for name, wanted in (("photos", False), ("held", True)):
        bodies = [shrink(p, options.quality) for p in list_photos(options.photos) if is_held(p) == wanted]
        offsets = np.concatenate([[0], np.cumsum([len(b) for b in bodies])])
        np.savez(os.path.join(options.out, name + ".npz"), offsets=offsets,
                 body=np.frombuffer(b"".join(bodies), np.uint8))
        print(name, len(bodies), "photos", int(offsets[-1]) >> 20, "MiB")


if __name__ == "__main__":
    main()
