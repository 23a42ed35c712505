"""Finds where a localiser sees icons in photos that have none, for use as hard negatives.

In:  a localiser, a photo `Store` (training share only), several zooms.
Out: `mined.npz`: rows (photo, quad x0 y0 .. y3 in photo px, zoom, score), worst first; `load_mined` feeds the store.
"""
import os
import numpy as np
import torch
import torch.nn.functional as F
from nets import mixed

ZOOMS, ROWS_MAX, SCORE_MIN = (.76, 1.0, 1.4, 2.0), 12000, .02


@torch.no_grad()
def mine(net, store, path):
    rows, d = [], store.device
    net.eval()
    for zoom in ZOOMS:
        size = int(store.side * zoom) // 32 * 32
        for first in range(0, len(store.photos), 64):
            batch = store.photos[first:first + 64].float() / 255
            batch = F.interpolate(batch, size=(size, size), mode="bilinear", align_corners=False, antialias=zoom < 1)
            with mixed(d):
                heat, corners = net(batch.contiguous(memory_format=torch.channels_last))
            heat, corners = heat.float().sigmoid()[:, 0], corners.float()
            peak = (heat == F.max_pool2d(heat[:, None], 5, 1, 2)[:, 0]) & (heat > SCORE_MIN)
            b, y, x = peak.nonzero(as_tuple=True)
            centre = torch.stack([x, y], 1).float() * 8 + 4
            quad = (corners[b, :, y, x].view(-1, 4, 2) + centre[:, None]) * store.side / size
            rows.append(torch.cat([(b + first)[:, None].float(), quad.flatten(1), torch.full_like(heat[b, y, x], size / store.side)[:, None],
                                   heat[b, y, x][:, None]], 1))
    rows = torch.cat(rows)
    rows = rows[rows[:, 10].argsort(descending=True)][:ROWS_MAX]
    scores = rows[:, 10]
    print("mined", len(rows), "of score >", SCORE_MIN, "above .1 .3 .5:", *[int((scores > t).sum()) for t in (.1, .3, .5)], flush=True)
    np.savez(path + ".part.npz", rows=rows.cpu().numpy().astype(np.float32))
    os.replace(path + ".part.npz", path)


def load_mined(store, path):
    """Gives the store its hard places; silently none when the file is missing."""
    store.mined = store.hard = None
    if not os.path.exists(path):
        return
    rows = torch.from_numpy(np.load(path)["rows"]).to(store.device)
    rows = rows[torch.isfinite(rows).all(1) & (rows[:, 0] < len(store.photos))]
    if len(rows) < 32:
        return
    centre = rows[:, 1:9].view(-1, 4, 2).mean(1)
    store.mined = rows
    store.hard = torch.cat([rows[:, :1], centre, rows[:, 9:10]], 1)
