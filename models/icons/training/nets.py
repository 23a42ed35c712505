"""The three networks: localiser (whole picture), aligner and embedder (64 px crops).

In:  RGB in 0..1.
Out: see each class; `fuse` turns a trained network into plain 3x3 convolutions for export.

Every block trains as 3x3 + 1x1 + identity with batch norm (RepVGG, Ding et al. 2021) and runs as one dense 3x3:
dense convolutions are what ONNX Runtime's CPU kernels do best.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

CROP_PX, MARGIN = 64, 1 / 6


def mixed(device):
    """bf16 arithmetic where it is sound (old CPU builds of torch crash on it)."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or torch.__version__ >= "2")


class Block(nn.Module):
    """3x3 convolution and ReLU; three parallel branches until fused."""

    def __init__(self, cin, cout, stride=1, dilation=1):
        super().__init__()
        self.stride, self.dilation = stride, dilation
        self.wide = nn.Conv2d(cin, cout, 3, stride, dilation, dilation, bias=False)
        self.wide_norm = nn.BatchNorm2d(cout)
        self.point = nn.Conv2d(cin, cout, 1, stride, bias=False)
        self.point_norm = nn.BatchNorm2d(cout)
        self.same_norm = nn.BatchNorm2d(cin) if cin == cout and stride == 1 else None
        self.fused = None

    def forward(self, x):
        if self.fused is not None:
            return F.relu(self.fused(x))
        y = self.wide_norm(self.wide(x)) + self.point_norm(self.point(x))
        if self.same_norm is not None:
            y = y + self.same_norm(x)
        return F.relu(y)

    def fuse(self):
        def folded(kernel, norm):
            gain = norm.weight / (norm.running_var + norm.eps).sqrt()
            return kernel * gain[:, None, None, None], norm.bias - norm.running_mean * gain
        kernel, bias = folded(self.wide.weight, self.wide_norm)
        parts = [folded(F.pad(self.point.weight, (1, 1, 1, 1)), self.point_norm)]
        if self.same_norm is not None:
            count = self.wide.weight.shape[0]
            eye = torch.eye(count, device=kernel.device)[:, :, None, None]
            parts.append(folded(F.pad(eye, (1, 1, 1, 1)), self.same_norm))
        for k, b in parts:
            kernel, bias = kernel + k, bias + b
        cout, cin = kernel.shape[:2]
        self.fused = nn.Conv2d(cin, cout, 3, self.stride, self.dilation, self.dilation)
        self.fused.weight.data, self.fused.bias.data = kernel.detach(), bias.detach()
        for name in ("wide", "wide_norm", "point", "point_norm", "same_norm"):
            delattr(self, name)


def fuse(net):
    net = net.eval()
    for module in net.modules():
        if isinstance(module, Block):
            module.fuse()
    return net


class Localiser(nn.Module):
    """pixels [B, 3, H, W] -> heat logits [B, 1, H/8, W/8] and corner offsets in px [B, 8, H/8, W/8].

    Most of the thinking is done at stride 16, where a 3x3 is cheap; its result is added back at stride 8.
    Receptive field 143 px.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(Block(3, 16, 2), Block(16, 16, 2), Block(16, 48, 2))
        self.coarse = nn.Sequential(Block(48, 64, 2), Block(64, 64), Block(64, 64, dilation=2))
        self.spread = nn.Conv2d(64, 48, 1)
        self.join = Block(48, 32)
        self.heat, self.corners = nn.Conv2d(32, 1, 1), nn.Conv2d(32, 8, 1)
        nn.init.constant_(self.heat.bias, -4.0)

    def forward(self, pixels):
        fine = self.stem(pixels)
        coarse = F.interpolate(self.spread(self.coarse(fine)), scale_factor=2.0, mode="nearest")
        joined = self.join(fine + coarse)
        return self.heat(joined), self.corners(joined) * 32


class Sigmoids(nn.Module):
    """The deployed form: the network with its score (output 0 or 1) as a probability."""

    def __init__(self, net, score):
        super().__init__()
        self.net, self.score = net, score

    def forward(self, x):
        out = list(self.net(x))
        out[self.score] = torch.sigmoid(out[self.score])
        return tuple(out)


def standardise(crops):
    """Per channel zero mean, one common deviation per crop: light and paper colour drop out."""
    centred = crops - crops.mean((2, 3), keepdim=True)
    return centred / ((centred * centred).mean((1, 2, 3), keepdim=True) + 1e-4).sqrt()


def trunk(widths):
    layers, cin = [], 3
    for stage in widths:
        for i, cout in enumerate(stage):
            layers.append(Block(cin, cout, 2 if i == 0 else 1))
            cin = cout
    return nn.Sequential(*layers)


class Aligner(nn.Module):
    """crops [N, 3, 64, 64] -> corner corrections in crop px [N, 8] and frame logits [N]."""

    def __init__(self):
        super().__init__()
        self.trunk = trunk([(24, 24), (48, 48), (80, 80), (96,)])
        self.hidden, self.out = nn.Linear(96 * 16, 112), nn.Linear(112, 9)

    def forward(self, crops):
        y = self.out(F.relu(self.hidden(self.trunk(standardise(crops)).flatten(1))))
        return y[:, :8] * 8, y[:, 8]


class Embedder(nn.Module):
    """crops [N, 3, 64, 64] -> unit vectors [N, 64]."""

    def __init__(self):
        super().__init__()
        self.trunk = trunk([(32, 32), (64, 64), (96, 96, 96), (112,)])
        self.out = nn.Linear(112 * 16, 64)

    def forward(self, crops):
        y = self.out(self.trunk(standardise(crops)).flatten(1))
        return y * torch.rsqrt((y * y).sum(1, keepdim=True) + 1e-8)
