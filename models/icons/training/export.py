"""Writes the three networks as ONNX files (opset 17, fp32, convolutions fused) and checks them.

In:  checkpoints from train.py.
Out: localiser.onnx, aligner.onnx, embedder.onnx; each is written aside, compared with torch, then renamed.
"""
import argparse, os
import numpy as np
import onnx
import onnxruntime
import torch
from nets import Aligner, Embedder, Localiser, Sigmoids, fuse

SPECS = {
    "localiser": (Localiser, 0, "pixels", ["heat", "corners"], (1, 3, 96, 128),
                  {"pixels": {2: "height", 3: "width"}, "heat": {2: "rows", 3: "columns"}, "corners": {2: "rows", 3: "columns"}}),
    "aligner": (Aligner, 1, "crops", ["delta", "framed"], (3, 3, 64, 64),
                {"crops": {0: "count"}, "delta": {0: "count"}, "framed": {0: "count"}}),
    "embedder": (Embedder, None, "crops", ["embedding"], (3, 3, 64, 64),
                 {"crops": {0: "count"}, "embedding": {0: "count"}}),
}


def deployed(what, checkpoint):
    """The fused network in its deployed form, with probabilities instead of logits."""
    kind, score, *_ = SPECS[what]
    net = kind()
    if checkpoint:
        net.load_state_dict(torch.load(checkpoint, map_location="cpu")["ema"])
    net = fuse(net)
    return (net if score is None else Sigmoids(net, score)).eval()


def export(what, checkpoint, folder):
    _, _, name_in, names_out, shape, axes = SPECS[what]
    net, example = deployed(what, checkpoint), torch.rand(shape)
    path = os.path.join(folder, what + ".onnx")
    part = path + ".part"
    options = dict(dynamo=False) if torch.__version__ >= "2.5" else {}
    torch.onnx.export(net, example, part, opset_version=17, input_names=[name_in], output_names=names_out,
                      dynamic_axes=axes, do_constant_folding=True, **options)
    model = onnx.load(part)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
    probe = torch.rand((1, 3, 224, 160) if what == "localiser" else (5, 3, 64, 64))
    with torch.no_grad():
        want = net(probe)
    want = want if isinstance(want, tuple) else (want,)
    for name, mine, theirs in zip(names_out, session.run(None, {name_in: probe.numpy()}), want):
        gap = float(np.abs(mine - theirs.numpy()).max())
        print(what, name, mine.shape, f"largest difference {gap:.2e}")
        assert gap < 2e-3
    os.replace(part, path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("what", nargs="+", choices=sorted(SPECS))
    arguments.add_argument("--checkpoints", default="checkpoints")
    arguments.add_argument("--untrained", action="store_true", help="random weights, to measure speed")
    arguments.add_argument("--out", required=True)
    o = arguments.parse_args()
    for what in o.what:
        export(what, None if o.untrained else os.path.join(o.checkpoints, what + ".pt"), o.out)


if __name__ == "__main__":
    main()
