"""Measures the exported ONNX files on held-out photos and held-out glyphs, and writes the figures as JSON.

In:  localiser.onnx, aligner.onnx, embedder.onnx; `held.npz`, `glyphs.npz`; a folder of photos for the empty count.
Out: `figures.json`: recall by side, candidates per empty photo, corner errors, frame selectivity, identity, CPU time.

Scenes are drawn by the same generator as in training, on photos and glyphs never trained on; `easy`, `spec` and
`hard` are the difficulties of scenes.py. Empty photos are whole held-out photos, scaled to a long side of 1024 px,
and to 320 px for the second look.
"""
import argparse, json, os, time
import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from PIL import Image
from bake import is_held, list_photos
from nets import CROP_PX, MARGIN
from quantise import to_cells
from scenes import EASY, HARD, SPEC, Store, compose, rectify
from tile import ICON, Atlas
from train import jittered, random_quads, templates, views

SIDES = (16, 20, 24, 32, 48, 64)
BASE = (torch.tensor([[0., 0], [1, 0], [1, 1], [0, 1]]) + MARGIN) / (1 + 2 * MARGIN) * CROP_PX


def canvas(side):
    """Scene and texture px that hold one icon of this side."""
    size = int(np.ceil(side * 2.4 / 32)) * 32
    return max(size, 96), 96 if side <= 28 else 192 if side <= 56 else 384


class Nets:
    def __init__(self, folder, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.sessions = {what: onnxruntime.InferenceSession(os.path.join(folder, what + ".onnx"), options)
                         for what in ("localiser", "aligner", "embedder")}

    def run(self, what, batch):
        session = self.sessions[what]
        if what == "localiser":
            batch = torch.from_numpy(to_cells((batch.permute(0, 2, 3, 1) * 255).round().byte().numpy()))
        out = [torch.from_numpy(o) for o in session.run(None, {session.get_inputs()[0].name: batch.contiguous().numpy()})]
        return out if len(out) > 1 else out[0]

    def peaks(self, image, heat_min):
        """Candidates of one picture [3, H, W]: scores [P] and quads [P, 4, 2], best first, 5x5 cells apart."""
        heat, corners = self.run("localiser", image[None])
        top = (heat == F.max_pool2d(heat, 5, 1, 2)) & (heat >= heat_min)
        y, x = top[0, 0].nonzero(as_tuple=True)
        centre = torch.stack([x, y], 1).float() * 8 + 4
        quads = corners[0, :, y, x].T.reshape(-1, 4, 2) + centre[:, None]
        order = heat[0, 0, y, x].argsort(descending=True)
        return heat[0, 0, y, x][order], quads[order]

    def align(self, image, quads, rounds=2):
        """Quads after `rounds` corrections, and the frame probability seen from the last but one."""
        framed = torch.zeros(len(quads))
        for _ in range(rounds):
            crops = rectify(image[None].expand(len(quads), -1, -1, -1), quads, MARGIN)
            delta, framed = self.run("aligner", crops)
            moved = (BASE + delta.view(-1, 4, 2)) / CROP_PX * (1 + 2 * MARGIN) - MARGIN
            quads = from_tile(quads, moved)
        return quads, framed


def from_tile(quads, points):
    from scenes import square_to_quad
    p = torch.cat([points, torch.ones_like(points[..., :1])], -1) @ square_to_quad(quads).transpose(1, 2)
    return p[..., :2] / p[..., 2:]


def corner_error(found, truth):
    side = (truth - truth.roll(-1, 0)).norm(dim=1).mean()
    return float((found - truth).norm(dim=1).mean() / side)


def localise(nets, store, atlas, difficulty, heat_min, framed_min, count):
    """By side: share with a candidate, share also framed and within 5 % at the corners, mean corner errors."""
    table = {}
    for side in SIDES:
        size, texture = canvas(side)
        found, accepted, before, after = 0, 0, [], []
        for _ in range(count // 10):
            scene = compose(store, atlas, 10, size, [(side, side + .01, texture)], difficulty, icon_share=1., present=1.,
                            empty_share=0., centred=True)
            for image, quad in zip(scene.images, scene.quads[:, 0]):
                scores, quads = nets.peaks(image, heat_min)
                if not len(quads):
                    continue
                near = (quads.mean(1) - quad.mean(0)).norm(dim=1) < side * .4
                if not near.any():
                    continue
                found += 1
                first = quads[near][:1]
                before.append(corner_error(first[0], quad))
                final, framed = nets.align(image, first)
                after.append(corner_error(final[0], quad))
                accepted += bool(framed[0] >= framed_min and after[-1] < .08)
        total = count // 10 * 10
        table[side] = dict(candidate=found / total, accepted=accepted / total,
                           corner_before=float(np.median(before)) if before else None,
                           corner_after=float(np.median(after)) if after else None)
        print(difficulty.tilt_deg, side, table[side], flush=True)
    return table


def load_photo(path, long_px):
    photo = Image.open(path).convert("RGB")
    scale = long_px / max(photo.size)
    w, h = (max(32, round(s * scale / 32) * 32) for s in photo.size)
    return torch.from_numpy(np.asarray(photo.resize((w, h), Image.BICUBIC if scale > 1 else Image.LANCZOS)).copy()).permute(2, 0, 1).float() / 255


def empty_photos(nets, folder, heat_min, limit):
    """Every candidate on photos without icons: heat, and frame probability after two corrections."""
    paths = [p for p in list_photos(folder) if is_held(p)][:limit]
    rows = []
    for number, path in enumerate(paths):
        for long_px in (1024, 320):
            image = load_photo(path, long_px)
            scores, quads = nets.peaks(image, .05)
            keep = min(len(scores), 24)
            framed = nets.align(image, quads[:keep])[1] if keep else torch.zeros(0)
            rows += [(number, long_px, float(s), float(f)) for s, f in zip(scores, framed)]
    rows = np.array(rows).reshape(-1, 4)
    out = dict(photos=len(paths))
    for t in (.1, .15, .2, .3, .4, .5, .6, .7):
        out[f"candidates_heat_{t}"] = float((rows[:, 2] >= t).sum() / len(paths))
    for t in (.3, .5, .7, .8, .9, .95, .98, .99):
        hit = (rows[:, 2] >= heat_min) & (rows[:, 3] >= t)
        out[f"photos_framed_{t}"] = len(set(rows[hit, 0]))
    out["framed_worst"] = [round(float(v), 4) for v in np.sort(rows[rows[:, 2] >= heat_min][:, 3])[::-1][:8]]
    return out


def frames(nets, store, atlas, count):
    """AUC and false share of `framed` on drawn icons (true) against drawn fakes, turned icons and photo patches."""
    true, fake = [], []
    for side in (24, 32, 48, 80):
        size, texture = canvas(side)
        scene = compose(store, atlas, count, size, [(side, side * 1.2, texture)], SPEC, icon_share=.5, present=1., empty_share=0., centred=True)
        quads, icon = scene.quads[:, 0], scene.kind[:, 0] == ICON
        estimate = jittered(quads, torch.full((count,), .3))
        score = nets.run("aligner", rectify(scene.images, estimate, MARGIN))[1]
        true.append(score[icon])
        fake.append(score[~icon])
        fake.append(nets.run("aligner", rectify(scene.images, estimate.roll(int(torch.randint(1, 4, ())), 1), MARGIN))[1][icon])
    index = torch.randint(len(store.photos), (count * 4,))
    from scenes import rectify_grid
    patches = torch.cat([store.sample(i, rectify_grid(q, MARGIN)) for i, q in zip(index.split(50), random_quads(store, count * 4).split(50))])
    fake.append(nets.run("aligner", patches)[1])
    true, fake = torch.cat(true), torch.cat(fake)
    threshold = float(true.quantile(.01))
    auc = float((true[:, None] > fake[None]).float().mean() + .5 * (true[:, None] == fake[None]).float().mean())
    return dict(auc=auc, threshold_tpr99=threshold, fpr_at_tpr99=float((fake >= threshold).float().mean()),
                tpr_at={t: float((true >= t).float().mean()) for t in (.5, .8, .9, .95)},
                fpr_at={t: float((fake >= t).float().mean()) for t in (.5, .8, .9, .95)})


def identity(nets, store, atlas, difficulty, rounds):
    """Top-1 among 100 held-out glyphs by side, and cosines of same and best different glyph."""
    table, same_all, other_all = {}, [], []
    for side in SIDES:
        hits, total = 0, 0
        for _ in range(rounds):
            glyph = []
            for g in torch.randperm(len(atlas)).tolist():  # an operator would not enrol two near-identical icons
                if all(float(atlas.thumbs[g] @ atlas.thumbs[o]) < .8 for o in glyph):
                    glyph.append(g)
                if len(glyph) == 100:
                    break
            glyph = torch.tensor(glyph)
            classes = (glyph, torch.where(torch.rand(100) < .74, 0, torch.randint(1, 3, (100,))), torch.full((100,), 1.05))
            gallery = nets.run("embedder", templates(store, atlas, *classes))
            size, texture = canvas(side)
            cosines = nets.run("embedder", views(store, atlas, classes, (side, side + .01, texture), size, difficulty, .015)) @ gallery.T
            hits += int((cosines.argmax(1) == torch.arange(100)).sum())
            total += 100
            if side >= 24:
                same_all.append(cosines.diagonal().clone())
                other_all.append(cosines.fill_diagonal_(-1).amax(1))
        table[side] = hits / total
        print("identity", difficulty.tilt_deg, side, table[side], flush=True)
    q = lambda v: {p: round(float(torch.cat(v).quantile(p / 100)), 3) for p in (1, 5, 50, 95, 99)}
    return dict(top1=table, cosine_same=q(same_all), cosine_best_other=q(other_all))


def speed(folder):
    nets, out = Nets(folder, 1), {}
    for what, shape in (("localiser", (1, 3, 768, 1024)), ("localiser", (1, 3, 256, 320)), ("aligner", (1, 3, 64, 64)), ("embedder", (1, 3, 64, 64))):
        x, times = torch.rand(shape), []
        for _ in range(40):
            start = time.thread_time()  # not disturbed by other programs
            nets.run(what, x)
            times.append((time.thread_time() - start) * 1e3)
        out[f"{what} {shape[3]}x{shape[2]}"] = round(float(np.median(times)), 2)
    return out


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--models", required=True)
    arguments.add_argument("--data", default="bake")
    arguments.add_argument("--photos", required=True)
    arguments.add_argument("--out", default="figures.json")
    arguments.add_argument("--count", type=int, default=100)
    arguments.add_argument("--photos-max", type=int)
    arguments.add_argument("--heat-min", type=float, default=.2)
    arguments.add_argument("--framed-min", type=float, default=.8)
    arguments.add_argument("--seed", type=int, default=5)
    o = arguments.parse_args()
    torch.manual_seed(o.seed)
    device = torch.device("cpu")
    nets = Nets(o.models, 1)
    store, atlas = Store(os.path.join(o.data, "held.npz"), device, limit=o.photos_max), Atlas(os.path.join(o.data, "glyphs.npz"), device, held=True)
    store.mined = None
    figures = dict(heat_min=o.heat_min, framed_min=o.framed_min, speed_ms=speed(o.models))
    print(figures)
    figures["empty"] = empty_photos(nets, o.photos, o.heat_min, o.photos_max)
    print(figures["empty"], flush=True)
    figures["frames"] = frames(nets, store, atlas, o.count * 2)
    print(figures["frames"], flush=True)
    for name, difficulty in (("easy", EASY), ("spec", SPEC), ("hard", HARD)):
        figures[f"localiser_{name}"] = localise(nets, store, atlas, difficulty, o.heat_min, o.framed_min, o.count)
        figures[f"embedder_{name}"] = identity(nets, store, atlas, difficulty, max(1, o.count // 50))
        print({k: v for k, v in figures[f"embedder_{name}"].items() if k != "top1"})
        with open(o.out, "w") as file:  # after each level, so that a stopped run leaves what it measured
            json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main()
