"""Writes model.toml: what each ONNX file is, how it was made, and what it was measured to do.

In:  the ONNX files, the checkpoints (for steps and seed) and figures.json from evaluate.py.
Out: model.toml. Only measured numbers go in; nothing here is typed by hand but the descriptions.
"""
import argparse, hashlib, json, os
import torch

ABOUT = {
    "localiser": dict(
        inputs='cells u8 [1, H/2, W/2, 12]: 2x2 px a cell (row, column, RGB, RGB fastest), H and W multiples of 32',
        outputs='heat f32 [1, 1, H/8, W/8] probability; corners f32 [1, 8, H/8, W/8] px from the cell centre ((x+0.5)*8, (y+0.5)*8), '
                'order x0 y0 x1 y1 x2 y2 x3 y3 clockwise from the icon\'s own top left',
        recipe='256 px synthetic scenes on training photos (sides 14-130 px, tilt to 60 deg, stamps, cards, fakes, 40 % without icons), '
               'focal heat + smooth L1 corners; its own false finds on training photos are mined and fed back in 35 % of the backgrounds'),
    "aligner": dict(
        inputs='crops f32 [N, 3, 64, 64], RGB 0..1, photo rectified so that the estimated tile fills the square 8..56',
        outputs='delta f32 [N, 8] crop px to add to (8,8) (56,8) (56,56) (8,56); framed f32 [N] probability of a genuine, upright frame',
        recipe='rectified synthetic icons with jitter (rotation 10 deg, scale 15 %, corners 12 % of the side, a quarter twice that); '
               'negatives: turned and shifted icons, fakes, random photo patches and the localiser\'s mined false finds'),
    "embedder": dict(
        inputs='crops f32 [N, 3, 64, 64], RGB 0..1, rectified tile filling the crop',
        outputs='embedding f32 [N, 64], unit length; compare by dot product',
        recipe='supervised contrastive loss on clean and degraded views of glyph classes (lucide, tabler, bootstrap, mdi, heroicons, carbon, text), '
               'half of each batch look-alike groups; corner errors to 3 % of the side; 10 % of glyph names held out'),
}


def flat(value):
    """A TOML value; dictionaries become inline tables with quoted keys."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{k}" = {flat(v)}' for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(flat(v) for v in value) + "]"
    if isinstance(value, str):
        return json.dumps(value)
    if value is None:
        return '"none"'
    return repr(round(value, 4)) if isinstance(value, float) else str(value)


def pick(table, key):
    return {side: row[key] for side, row in table.items()}


def measured(what, f):
    levels = [n for n in ("easy", "spec", "hard") if f"embedder_{n}" in f]
    if what == "localiser":
        out = {f"candidate_recall_{n}": pick(f[f"localiser_{n}"], "candidate") for n in levels}
        out |= {f"corner_error_median_{n}": pick(f[f"localiser_{n}"], "corner_before") for n in levels}
        out["candidates_per_empty_photo"] = {k.split("_")[-1]: v for k, v in f["empty"].items() if k.startswith("candidates")}
        out["empty_photos"] = f["empty"]["photos"]
    elif what == "aligner":
        out = {f"accepted_recall_{n}": pick(f[f"localiser_{n}"], "accepted") for n in levels}
        out |= {f"corner_error_median_{n}": pick(f[f"localiser_{n}"], "corner_after") for n in levels}
        out |= dict(framed_auc=f["frames"]["auc"], framed_fpr_at_tpr99=f["frames"]["fpr_at_tpr99"], framed_tpr99_threshold=f["frames"]["threshold_tpr99"],
                    framed_tpr_at=f["frames"]["tpr_at"], framed_fpr_at=f["frames"]["fpr_at"], empty_photos=f["empty"]["photos"],
                    empty_photos_with_framed_above={k.split("_")[-1]: v for k, v in f["empty"].items() if k.startswith("photos_framed")},
                    empty_framed_worst=f["empty"]["framed_worst"])
    else:
        out = {f"top1_of_100_{n}": f[f"embedder_{n}"]["top1"] for n in levels}
        for key in ("cosine_same", "cosine_best_other"):  # percentiles, sides from 24 px
            out |= {f"{key}_percentiles_{n}": f[f"embedder_{n}"][key] for n in levels if key in f[f"embedder_{n}"]}
    out["cpu_ms_one_core"] = {k.split(" ")[1]: v for k, v in f["speed_ms"].items() if k.startswith(what)}
    return out


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("models", "checkpoints", "figures", "out"):
        arguments.add_argument("--" + name, required=True)
    o = arguments.parse_args()
    with open(o.figures) as file:
        figures = json.load(file)
    lines = ["# The icon networks: what they are and what they were measured to do. Written by training/card.py.",
             "# Recall and errors: synthetic icons on held-out photos, by side in px of the picture the net sees (see training/README.md).",
             f"heat_min = {figures['heat_min']}", f"framed_min = {figures['framed_min']}", ""]
    for what, about in ABOUT.items():
        path = os.path.join(o.models, what + ".onnx")
        body = open(path, "rb").read()
        saved = torch.load(os.path.join(o.checkpoints, what + ".pt"), map_location="cpu")
        rows = dict(file=os.path.basename(path), sha256=hashlib.sha256(body).hexdigest(), bytes=len(body), licence="Apache-2.0",
                    opset=17, **about, seed=saved["seed"], steps=saved["step"])
        lines += [f"[{what}]"] + [f"{k} = {flat(v)}" for k, v in rows.items()]
        lines += [f"[{what}.measured]"] + [f"{k} = {flat(v)}" for k, v in measured(what, figures).items()] + [""]
    with open(o.out + ".part", "w") as file:
        file.write("\n".join(lines))
    os.replace(o.out + ".part", o.out)


if __name__ == "__main__":
    main()
