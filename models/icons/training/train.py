"""Trains one of the networks on synthetic scenes; stops and resumes at any time.

In:  `photos.npz`, `glyphs.npz` (see bake.py, glyphs.py), optionally `mined.npz` and an earlier checkpoint.
Out: `<what>.pt`: weights, moving average, optimiser, step count; the localiser also writes `mined.npz`.

The learning rate follows a cosine over `--minutes` (or over `--steps`, which repeats exactly for one seed and machine).
Resuming continues from the moving average with a warm restart.
"""
import argparse, copy, math, os, time
import numpy as np
import torch
import torch.nn.functional as F
from mine import load_mined, mine
from nets import CROP_PX, MARGIN, Aligner, Embedder, Localiser, mixed
from scenes import (TRAIN, Difficulty, Store, compose, corners_of, jpeg_some, rectify, rectify_grid, square_to_quad, through)
from tile import ICON, PICTURE, WRONG_FRAME, Atlas, paint, sample_objects, uniform

NETS = {"localiser": Localiser, "aligner": Aligner, "embedder": Embedder}
LOCALISER_SLOTS = [(56, 130, 384), (28, 56, 192), (14, 40, 96), (14, 28, 96)]
CROP_SLOTS = [((14, 28, 96), 64, .42), ((28, 56, 192), 112, .38), ((56, 92, 256), 176, .2)]  # side and texture, scene px, share


def localiser_loss(net, store, atlas, count):
    size = 256
    scene = compose(store, atlas, count, size, LOCALISER_SLOTS)
    with mixed(store.device):
        heat, corners = net(scene.images.contiguous(memory_format=torch.channels_last))
    heat, corners = heat.float()[:, 0], corners.float()
    d, cells = heat.device, size // 8
    at = (torch.arange(cells, device=d) + .5) * 8
    cy, cx = torch.meshgrid(at, at, indexing="ij")
    side = (scene.quads - scene.quads.roll(-1, 2)).norm(dim=-1).mean(2)
    # The tile's centre is where its diagonals meet, not the mean of its corners.
    middle = torch.stack([corners_centre(scene.quads[:, k]) for k in range(scene.quads.shape[1])], 1)
    dx, dy = cx - middle[:, :, 0, None, None], cy - middle[:, :, 1, None, None]
    sigma = (side * .12).clamp(4, 12)[:, :, None, None]
    bell = torch.exp(-(dx ** 2 + dy ** 2) / (2 * sigma ** 2))
    icon = ((scene.kind == ICON) & scene.visible)[:, :, None, None]
    nearest = icon & ((dx.abs() <= 4) & (dy.abs() <= 4))
    unsure = ((scene.kind == ICON) & ~scene.visible | (side < 24) & ((scene.kind == WRONG_FRAME) | (scene.kind == PICTURE)))
    ignore = (unsure[:, :, None, None] & (torch.maximum(dx.abs(), dy.abs()) < side[:, :, None, None] * .5)).any(1)
    target = torch.where(nearest, torch.ones_like(bell), bell * icon).amax(1)
    p = heat.sigmoid().clamp(1e-5, 1 - 1e-5)
    hit = (target >= .999).float()
    loss_hit = -((1 - p) ** 2 * p.log() * hit).sum()
    loss_miss = -((1 - target) ** 4 * p ** 2 * (1 - p).log() * (1 - hit) * ~ignore).sum()
    total = hit.sum().clamp(min=1)
    weight = bell * icon * (bell > .4)
    want = torch.stack([scene.quads[..., 0][..., None, None] - cx, scene.quads[..., 1][..., None, None] - cy], 3)
    want = want.flatten(2, 3)  # [B, K, 8, h, w], x0 y0 x1 y1 ..
    error = F.smooth_l1_loss(corners[:, None] / side[:, :, None, None, None], want / side[:, :, None, None, None],
                             beta=.03, reduction="none").mean(2)
    loss_corners = (error * weight).sum() / weight.sum().clamp(min=1)
    return (loss_hit + loss_miss) / total + 8 * loss_corners, dict(hit=loss_hit / total, miss=loss_miss / total, corners=loss_corners)


def corners_centre(quads):
    h = square_to_quad(quads)
    p = h @ torch.tensor([.5, .5, 1.], device=h.device)
    return p[:, :2] / p[:, 2:]


def jittered(quads, amount):
    """Quads as a first estimate would see them: similarity plus corner errors, relative to the tile side."""
    count, d = len(quads), quads.device
    u = lambda a, *s: uniform(-a, a, count, *s, device=d) * amount.view(count, *[1] * len(s))
    square = torch.tensor([[-.5, -.5], [.5, -.5], [.5, .5], [-.5, .5]], device=d).expand(count, -1, -1)
    angle, scale = u(math.radians(10)), 1 + u(.15)
    c, s = (angle.cos() * scale)[:, None], (angle.sin() * scale)[:, None]
    x, y = square.unbind(2)
    moved = torch.stack([c * x - s * y, s * x + c * y], 2) + u(.08, 1, 2) + u(.12, 4, 2) + .5
    p = torch.cat([moved, torch.ones_like(moved[..., :1])], 2) @ square_to_quad(quads).transpose(1, 2)
    return p[..., :2] / p[..., 2:]


def photo_crops(store, index, quads, margin):
    """Crops straight from photos, with their own exposure, noise and JPEG loss."""
    crops = store.sample(index, rectify_grid(quads, margin))
    crops = crops * uniform(.6, 1.2, len(crops), 1, 1, 1, device=store.device)
    crops = crops + torch.randn_like(crops) * uniform(0, .02, len(crops), 1, 1, 1, device=store.device)
    return jpeg_some(crops.clamp(0, 1), TRAIN, .3)


def random_quads(store, count):
    d = store.device
    side = torch.exp(uniform(math.log(14), math.log(150), count, device=d))
    angle = uniform(0, 6.2832, count, device=d)
    half = side * .7071
    turn = angle[:, None] + torch.arange(4, device=d) * math.pi / 2
    centre = uniform(0, 1, count, 1, 2, device=d) * (store.side - 2 * half[:, None, None]).clamp(min=1) + half[:, None, None]
    return centre + torch.stack([turn.cos(), turn.sin()], 2) * half[:, None, None]


def aligner_loss(net, store, atlas, count):
    d = store.device
    crops, deltas, labels, moves = [], [], [], []
    base = torch.tensor([[MARGIN, MARGIN], [1 + MARGIN, MARGIN], [1 + MARGIN, 1 + MARGIN], [MARGIN, 1 + MARGIN]],
                        device=d) / (1 + 2 * MARGIN) * CROP_PX
    total = count
    for slot, size, share in CROP_SLOTS:
        count = int(total * share)
        scene = compose(store, atlas, count, size, [slot], icon_share=.55, present=1., empty_share=0., centred=True)
        for _ in range(2):
            quads = scene.quads[:, 0]
            icon, shown = scene.kind[:, 0] == ICON, scene.visible[:, 0]
            chance = torch.rand(count, device=d)
            # First looks, refined looks, and a few wild ones whose frame score is left open.
            amount = torch.tensor([1., .22, 2.], device=d)[torch.multinomial(torch.tensor([.4, .35, .25], device=d), count, True)]
            estimate = jittered(quads, amount)
            turned = chance < .16
            quarter = torch.randint(1, 4, (count,), device=d)
            order = (torch.arange(4, device=d)[None] + torch.where(turned, quarter, 0 * quarter)[:, None]) % 4
            estimate = estimate.gather(1, order[..., None].expand(-1, -1, 2))
            off = (chance >= .16) & (chance < .21)  # the frame is there, but half a tile away
            side = (quads[:, 1] - quads[:, 0]).norm(dim=1)
            push = uniform(0, 6.2832, count, device=d)
            push = torch.stack([push.cos(), push.sin()], 1) * (side * uniform(.4, .8, count, device=d))[:, None]
            estimate = estimate + push[:, None] * off[:, None, None]
            crops.append(rectify(scene.images, estimate, MARGIN))
            deltas.append((through(estimate, quads, MARGIN) - base).flatten(1))
            good = icon & ~turned & ~off
            labels.append(torch.where(icon & ~shown | good & (amount > 1), torch.full((count,), -1., device=d), good.float()))
            moves.append(good & shown)
    n_random = total // 6
    index = torch.randint(len(store.photos), (n_random,), device=d)
    crops.append(photo_crops(store, index, random_quads(store, n_random), MARGIN))
    n_mined = 0
    if store.mined is not None:
        n_mined = total // 2
        pick = store.mined[torch.randint(len(store.mined), (n_mined,), device=d)]
        quads = jittered(pick[:, 1:9].view(-1, 4, 2), torch.rand(n_mined, device=d))
        crops.append(photo_crops(store, pick[:, 0].long(), quads, MARGIN))
    labels.append(torch.zeros(n_random + n_mined, device=d))
    crops, labels = torch.cat(crops), torch.cat(labels)
    with mixed(d):
        delta, score = net(crops.contiguous(memory_format=torch.channels_last))
    delta, score = delta.float(), score.float()
    deltas, moves = torch.cat(deltas), torch.cat(moves).float()
    error = F.smooth_l1_loss(delta[:len(deltas)], deltas.clamp(-40, 40), beta=.5, reduction="none").mean(1)
    loss_move = (error * moves).sum() / moves.sum().clamp(min=1)
    each = F.binary_cross_entropy_with_logits(score, labels.clamp(min=0), reduction="none")
    wrong = (score.sigmoid() - labels).abs().detach()
    each = each * (.25 + wrong) * torch.where(labels > .5, 1., 1.5) * (labels >= 0)
    return loss_move + 4 * each.mean(), dict(move=loss_move, framed=each.mean())


def pick_glyphs(atlas, count, device):
    """Half random glyphs, half groups of look-alikes; with style and scale they make the classes of a batch."""
    groups = count // 8
    anchors = torch.randint(len(atlas), (groups,), device=device)
    alike = atlas.thumbs[anchors] @ atlas.thumbs.T
    near = torch.where(alike > .9, torch.full_like(alike, -1.), alike).topk(16, 1).indices
    near = near.gather(1, torch.rand(groups, 16, device=device).argsort(1)[:, :3])
    glyph = torch.cat([anchors, near.flatten(), torch.randint(len(atlas), (count - groups * 4,), device=device)])
    style = torch.rand(count, device=device)
    invert = torch.where(style < .74, 0, torch.where(style < .87, 1, 2))
    invert[:groups * 4] = torch.cat([invert[:groups], invert[:groups].repeat_interleave(3)])
    return glyph, invert, uniform(.95, 1.18, count, device=device)


def templates(store, atlas, glyph, invert, scale):
    """The clean drawing of each class, as a gallery would enrol it: [N, 3, 64, 64]."""
    p = sample_objects(len(glyph), atlas, store.device, 1.)
    p.update(glyph=glyph, invert=invert, glyph_scale=scale, cover=p["cover"] * 0, margin=p["margin"] * 0)
    ink = torch.tensor([20, 33, 61], device=store.device) / 255
    p["ink"], p["paper"] = ink.expand(len(glyph), 3), torch.ones(len(glyph), 3, device=store.device)
    rgb, _ = paint(p, atlas, store, 256)
    return F.avg_pool2d(rgb[:, :, 64:192, 64:192].clamp(0, 1).pow(1 / 2.2), 2)


def views(store, atlas, classes, slot, size, difficulty, jitter=.03):
    """Rectified photos of the given classes at one size."""
    scene = compose(store, atlas, len(classes[0]), size, [slot], difficulty, icon_share=1., present=1., empty_share=0.,
                    centred=True, glyphs=classes)
    quads = scene.quads[:, 0]
    side = (quads - quads.roll(-1, 1)).norm(dim=-1).mean(1)[:, None, None]
    return rectify(scene.images, quads + uniform(-jitter, jitter, *quads.shape, device=store.device) * side, 0.)


EMBED_RANGE = Difficulty(tilt_deg=55, blur_px=1.3, motion_px=4, noise=9 / 255, jpeg_min=40)


def embedder_loss(net, store, atlas, count):
    d = store.device
    classes = pick_glyphs(atlas, count, d)
    order = torch.cat([torch.randperm(count, device=d), torch.randperm(count, device=d)])
    crops, labels = [templates(store, atlas, *classes)], [torch.arange(count, device=d)]
    parts = order.split([int(2 * count * CROP_SLOTS[0][2]), int(2 * count * CROP_SLOTS[1][2]),
                         2 * count - int(2 * count * CROP_SLOTS[0][2]) - int(2 * count * CROP_SLOTS[1][2])])
    for part, (slot, size, _) in zip(parts, CROP_SLOTS):
        slot, size = (max(slot[0], 17), slot[1], slot[2]), size * 4 // 5 // 16 * 16  # no margin is looked at
        crops.append(views(store, atlas, [c[part] for c in classes], slot, size, EMBED_RANGE))
        labels.append(part)
    crops, labels = torch.cat(crops), torch.cat(labels)
    with mixed(d):
        z = net(crops.contiguous(memory_format=torch.channels_last))
    z = F.normalize(z.float(), dim=1)
    same_style = classes[1][:, None] == classes[1][None]
    alike = (atlas.thumbs[classes[0]] @ atlas.thumbs[classes[0]].T > .9) & same_style | (classes[0][:, None] == classes[0][None])
    same = labels[:, None] == labels[None]
    skip = torch.eye(len(z), dtype=torch.bool, device=d) | (alike[labels][:, labels] & ~same)
    logits = (z @ z.T / .07 - same.float() * (.1 / .07)).masked_fill(skip, -1e4)  # a small margin for the true pairs
    log_p = logits - logits.logsumexp(1, keepdim=True)
    pairs = same & ~skip
    loss = -(log_p * pairs).sum(1) / pairs.sum(1).clamp(min=1)
    return loss.mean(), dict(supcon=loss.mean())


LOSSES = {"localiser": localiser_loss, "aligner": aligner_loss, "embedder": embedder_loss}
DEFAULT_COUNT = {"localiser": 128, "aligner": 512, "embedder": 512}
LR_MAX = {"localiser": 2e-3, "aligner": 1.5e-3, "embedder": 1.5e-3}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("what", choices=sorted(NETS))
    arguments.add_argument("--data", default="bake")
    arguments.add_argument("--out", default="checkpoints")
    arguments.add_argument("--resume")
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--steps", type=int)
    arguments.add_argument("--count", type=int, help="scenes a step")
    arguments.add_argument("--mine-every", type=float, default=1.5, help="minutes between mining rounds; 0 never")
    arguments.add_argument("--photos-max", type=int)
    arguments.add_argument("--lr", type=float)
    arguments.add_argument("--seed", type=int, default=11)
    o = arguments.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(o.seed)
    store = Store(os.path.join(o.data, "photos.npz"), device, limit=o.photos_max)
    atlas = Atlas(os.path.join(o.data, "glyphs.npz"), device)
    mined_path = os.path.join(o.out, "mined.npz")
    os.makedirs(o.out, exist_ok=True)
    net = NETS[o.what]().to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=.01)
    step0 = 0
    if o.resume and os.path.exists(o.resume):
        saved = torch.load(o.resume, map_location=device)
        net.load_state_dict(saved["ema"])
        optimiser.load_state_dict(saved["optimiser"])
        step0 = saved["step"]
    average = copy.deepcopy(net).eval()
    count, lr_max = o.count or DEFAULT_COUNT[o.what], o.lr or LR_MAX[o.what]
    load_mined(store, mined_path)
    print(o.what, len(store.photos), "squares", len(atlas), "glyphs from step", step0, flush=True)
    start = told = mined_at = time.time()
    step, sums = 0, {}
    while True:
        now = time.time()
        progress = step / o.steps if o.steps else (now - start) / 60 / o.minutes
        if progress >= 1:
            break
        lr = lr_max * min(1, (step + 1) / 200) * (.01 + .99 * .5 * (1 + math.cos(math.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = lr
        net.train()
        loss, parts = LOSSES[o.what](net, store, atlas, count)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 4.0)
        optimiser.step()
        step += 1
        decay = min(.998, 1 - 1 / (step + 1) if step0 == 0 else .998)
        with torch.no_grad():
            live = net.state_dict()
            for key, value in average.state_dict().items():
                value.lerp_(live[key], 1 - decay) if value.dtype.is_floating_point else value.copy_(live[key])
        for key, value in parts.items():
            sums[key] = sums.get(key, 0) + value.detach()
        if step % 100 == 0 or step == 1:
            every = 1 if step == 1 else 99 if step == 100 else 100
            print(o.what, step0 + step, f"{now - start:.0f}s", " ".join(f"{k} {float(v) / every:.4f}" for k, v in sums.items()), flush=True)
            sums = {}
        if o.mine_every and now - mined_at > o.mine_every * 60:
            mined_at = now
            if o.what == "localiser":
                mine(average, store, mined_path)
            load_mined(store, mined_path)
    torch.save(dict(net=net.state_dict(), ema=average.state_dict(), optimiser=optimiser.state_dict(), step=step0 + step,
                    seed=o.seed), os.path.join(o.out, o.what + ".pt"))
    if o.what == "localiser":
        mine(average, store, mined_path)
    print(o.what, "done at step", step0 + step, f"{time.time() - start:.0f}s", flush=True)


if __name__ == "__main__":
    main()
