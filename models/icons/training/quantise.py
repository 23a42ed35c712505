"""Turns the trained networks into ones that count in 8 bits: half to a third of the time.

In:  localiser.onnx, aligner.onnx, embedder.onnx in fp32 (export.py); `photos.npz` and `glyphs.npz` to see which values occur.
Out: the same files; the localiser's input becomes `cells` u8 [1, H/2, W/2, 12], everything else keeps its names and types.

A cell holds 2x2 pixels: (row, column, channel), channel fastest. The localiser's first convolution (3x3, stride 2)
becomes a 2x2 one over cells, because 3 channels are too few for the integer kernels. Weights keep 7 bits, so that
machines without dot-product instructions, which saturate at 8, give the same answers. What follows the convolutions
stays in fp32: corners need more than 256 steps.
"""
import argparse, os
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from nets import MARGIN
from scenes import Store, compose, rectify
from tile import Atlas
from train import CROP_SLOTS, LOCALISER_SLOTS, jittered

OPTIONS = dict(quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True, activation_type=QuantType.QUInt8,
               weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax)
HEADS = ("heat", "corners")
SIDE_PX = 256


def to_cells(pixels):
    """[B, H, W, 3] of any type -> [B, H/2, W/2, 12]."""
    b, h, w, c = pixels.shape
    return np.ascontiguousarray(pixels.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, 4 * c))


def over_cells(kernel):
    """A 3x3 stride-2 kernel [out, 3, 3, 3], padded by one pixel, as a 2x2 kernel [out, 12, 2, 2], padded by one cell."""
    out = np.zeros((kernel.shape[0], 12, 2, 2), np.float32)
    for y in range(3):
        for x in range(3):
            (cell_y, sub_y), (cell_x, sub_x) = divmod(y + 1, 2), divmod(x + 1, 2)
            channel = (sub_y * 2 + sub_x) * 3
            out[:, channel:channel + 3, cell_y, cell_x] = kernel[:, :, y, x]
    return out


def with_cells(model):
    """The same network on `cells`, f32 in 0..1."""
    graph = model.graph
    first = next(n for n in graph.node if "pixels" in n.input)
    weight = next(t for t in graph.initializer if t.name == first.input[1])
    weight.CopyFrom(numpy_helper.from_array(over_cells(numpy_helper.to_array(weight)), weight.name))
    del first.attribute[:]
    first.attribute.extend([helper.make_attribute("kernel_shape", [2, 2]), helper.make_attribute("strides", [1, 1]),
                            helper.make_attribute("pads", [1, 1, 0, 0])])
    first.input[0] = "planes"
    graph.node.insert(0, helper.make_node("Transpose", ["cells"], ["planes"], "planes", perm=[0, 3, 1, 2]))
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("cells", TensorProto.FLOAT, [1, "rows2", "columns2", 12]))
    del graph.value_info[:]
    return model


def with_bytes(model):
    """Drops the rounding of the input: it is bytes already."""
    graph = model.graph
    rounding = next(n for n in graph.node if n.op_type == "QuantizeLinear" and "planes" in n.input)
    scale, zero = (numpy_helper.to_array(next(t for t in graph.initializer if t.name == name)) for name in rounding.input[1:])
    assert abs(float(scale) - 1 / 255) < 1e-7 and int(zero) == 0, (scale, zero)
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == rounding.output[0]:
                node.input[index] = "planes"
    graph.node.remove(rounding)
    del graph.value_info[:]
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return model


class Scenes(CalibrationDataReader):
    """What the localiser meets: plain photos and synthetic icons on them."""

    def __init__(self, data, count, seed):
        store, atlas = supply(data, seed)
        images = torch.cat([compose(store, atlas, 8, SIDE_PX, LOCALISER_SLOTS).images for _ in range(count // 8)])
        images[0, :, 0, 0], images[0, :, 0, 1] = 0, 1  # the whole range of bytes occurs
        self.batches = iter([to_cells(i.permute(1, 2, 0).numpy()[None]) for i in images])

    def get_next(self):
        cells = next(self.batches, None)
        return None if cells is None else {"cells": cells.astype(np.float32)}


class Crops(CalibrationDataReader):
    """What aligner and embedder meet: rectified icons, off by as much as a first or a second look is."""

    def __init__(self, data, count, seed):
        store, atlas = supply(data, seed, limit=300)
        crops = []
        for slot, size, _ in CROP_SLOTS:
            for _ in range(count // 48):
                scene = compose(store, atlas, 24, size, [slot], icon_share=.7, present=1., empty_share=0., centred=True)
                for amount in (1., .22):
                    crops.append(rectify(scene.images, jittered(scene.quads[:, 0], torch.full((24,), amount)), MARGIN))
        self.batches = iter(torch.cat(crops).split(24))

    def get_next(self):
        crops = next(self.batches, None)
        return None if crops is None else {"crops": crops.numpy()}


def supply(data, seed, limit=400):
    torch.manual_seed(seed)
    device = torch.device("cpu")
    return Store(os.path.join(data, "photos.npz"), device, limit=limit), Atlas(os.path.join(data, "glyphs.npz"), device)


def quantise_crops(source, target, data, count, seed):
    """Aligner or embedder: convolutions only."""
    clean, part = target + ".clean", target + ".part"
    quant_pre_process(source, clean, skip_symbolic_shape=True)
    quantize_static(clean, part, Crops(data, count, seed), op_types_to_quantize=["Conv"], **OPTIONS)
    onnx.checker.check_model(onnx.load(part))
    a, b = (onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (source, part))
    gaps = [[np.abs(x - y).mean() for x, y in zip(a.run(None, feed), b.run(None, feed))]
            for feed in iter(Crops(data, 64, seed + 1).get_next, None)]
    print(os.path.basename(target), "mean difference of", *(f"{o.name} {gap:.4f}" for o, gap in zip(a.get_outputs(), np.mean(gaps, 0))))
    os.remove(clean)
    os.replace(part, target)


def quantise_localiser(source, target, data, count, seed):
    part = [target + suffix for suffix in (".clean", ".cells", ".part")]
    quant_pre_process(source, part[0], skip_symbolic_shape=True)
    onnx.save(with_cells(onnx.load(part[0])), part[1])
    graph = onnx.load(part[1]).graph
    heads = [node.name for node in graph.node if node.op_type == "Conv" and (
        set(node.output) & set(HEADS) or any("Sigmoid" == n.op_type and node.output[0] in n.input for n in graph.node))]
    assert len(heads) == 2, heads
    quantize_static(part[1], part[2], Scenes(data, count, seed), **OPTIONS,
                    nodes_to_exclude=heads + [n.name for n in graph.node if n.op_type == "Sigmoid"])
    model = with_bytes(onnx.load(part[2]))
    onnx.checker.check_model(model)
    onnx.save(model, part[2])
    compare(source, part[2], data, seed + 1)
    os.replace(part[2], target)
    for path in part[:2]:
        os.remove(path)


def compare(exact, rounded, data, seed):
    """Prints how far the answers moved, where an icon is seen."""
    a, b = (onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (exact, rounded))
    heats, moves = [], []
    for feed in iter(Scenes(data, 64, seed).get_next, None):
        bytes_ = np.round(feed["cells"] * 255).astype(np.uint8)
        h, w = bytes_.shape[1] * 2, bytes_.shape[2] * 2
        pixels = bytes_.reshape(1, h // 2, w // 2, 2, 2, 3).transpose(0, 5, 1, 3, 2, 4).reshape(1, 3, h, w).astype(np.float32) / 255
        (heat, corners), (heat_8, corners_8) = a.run(None, {"pixels": pixels}), b.run(None, {"cells": bytes_})
        at = heat > .2
        heats.append((heat_8 - heat)[at])
        moves.append((corners_8 - corners)[np.broadcast_to(at, corners.shape)])
    heats, moves = np.concatenate(heats), np.concatenate(moves)
    print(f"where heat > 0.2: heat moves by {np.abs(heats).mean():.4f} (mean {heats.mean():+.4f}), a corner by {np.abs(moves).mean():.3f} px")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--exact", required=True, help="folder of the networks in fp32")
    arguments.add_argument("--data", default="bake")
    arguments.add_argument("--count", type=int, default=192, help="scenes to calibrate with")
    arguments.add_argument("--seed", type=int, default=5, help="of scenes; crops take this less 2")
    arguments.add_argument("--out", required=True)
    o = arguments.parse_args()
    for what in ("localiser", "aligner", "embedder"):
        work = quantise_localiser if what == "localiser" else quantise_crops
        seed = o.seed if what == "localiser" else o.seed - 2
        work(*(os.path.join(folder, what + ".onnx") for folder in (o.exact, o.out)), o.data, o.count, seed)


if __name__ == "__main__":
    main()
