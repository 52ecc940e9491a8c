"""The feature networks behind the perceptual distance: shift-tolerant AlexNet and VGG16, and where their weights lie.

The weights ship in the PyPI package `stlpips-pytorch` (BSD-2). Its code is not used: importing it needs packages that
have
nothing to do with the task. The files are read as data, checked against a pinned sha256 and loaded without unpickling
objects.

References:
    Ghildyal & Liu 2022, "Shift-tolerant Perceptual Similarity Metric", ECCV, arXiv 2207.13686, section 4.
"""

import hashlib
import importlib.metadata
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloak.errors import MissingExtraError, ModelError

__all__ = ["BACKBONES", "Backbone", "backbone_tensors"]

_DISTRIBUTION = "stlpips-pytorch"
_SMALLEST = 64
_FILES = {
    "alex": (
        "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth",
        "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    ),
    "vgg": (
        "stlpips_pytorch/weights/vST0.0/vgg_shift_tolerant.pth",
        "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
    ),
}
# One word a layer: c<kernel>p<padding>s<stride> convolution, r ReLU, m<kernel>s<stride> max-pooling, b blur of stride
# 2; strides of 1 are left out; | is a tap.
BACKBONES = {
    "alex": "c11p2 b r | m3 b c5p2 r | m3 b c3p1 r | c3p1 r | c3p1 r |",
    "vgg": "c3p1 r c3p1 r | m2 b c3p1 r c3p1 r | m2 b c3p1 r c3p1 r c3p1 r | m2 b c3p1 r c3p1 r c3p1 r | "
    "m2 b c3p1 r c3p1 r c3p1 r |",
    "standard-alex": "c11p2s4 r | m3s2 c5p2 r | m3s2 c3p1 r | c3p1 r | c3p1 r |",
    "standard-vgg": "c3p1 r c3p1 r | m2s2 c3p1 r c3p1 r | m2s2 c3p1 r c3p1 r c3p1 r | m2s2 c3p1 r c3p1 r c3p1 r | "
    "m2s2 c3p1 r c3p1 r c3p1 r |",
}


def backbone_tensors(name: str) -> dict[str, Tensor]:
    """The stored tensors of `name` ("alex" or "vgg"), verified.

    Raises:
        MissingExtraError: the package that ships them is not installed.
        ModelError: the file is not the published one.
    """
    relative, expected = _FILES[name]
    try:
        path = Path(str(importlib.metadata.distribution(_DISTRIBUTION).locate_file(relative)))
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError(_DISTRIBUTION) from error
    if not path.is_file():
        raise ModelError(f"{path} is missing; reinstall it with: pip install --force-reinstall {_DISTRIBUTION}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise ModelError(
            f"{path} is not the published file; reinstall it with: pip install --force-reinstall {_DISTRIBUTION}"
        )
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


class _BlurDown(nn.Module):
    """Binomial 3x3 blur of stride 2 after reflection padding by 2 (Zhang 2019, arXiv 1904.11486)."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", (row[:, None] * row[None, :])[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
        return F.conv2d(padded, self.kernel.expand(channels, 1, 3, 3), stride=2, groups=channels)


class _BlurredConvolution(nn.Module):
    """A convolution of stride 1 and the blur behind it as one convolution of stride 2, a third of the work.

    The blur reflects the convolution's output at the borders, so the outermost rows and columns are computed one
    after the other.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution, self.blur = convolution, _BlurDown()
        weight, size, padding = convolution.weight.detach(), convolution.kernel_size[0], int(convolution.padding[0])
        self.merged = nn.Conv2d(weight.shape[1], weight.shape[0], size + 2, padding=padding, stride=2)
        spread = F.conv2d(weight.flatten(0, 1)[:, None], self.blur.kernel, padding=2)  # symmetric: no flip needed
        self.merged.load_state_dict({"weight": spread.view_as(self.merged.weight), "bias": convolution.bias})
        self._padding, self._reach = padding, size - 1 - padding

    def forward(self, x: Tensor) -> Tensor:
        inner = self.merged(x)
        left, right = (self._edge(x, -1, at_end)[..., 1:-1, :] for at_end in (False, True))
        top, bottom = (self._edge(x, -2, at_end) for at_end in (False, True))
        return torch.cat([top, torch.cat([left, inner, right], -1), bottom], -2)

    def _edge(self, x: Tensor, dim: int, at_end: bool) -> Tensor:
        """The first or last row or column of the output, from as much of the input as it depends on."""
        length = x.shape[dim]
        rows = 4 - (length + self._padding - self._reach) % 2  # 3 or 4 of the convolution: the blur's phase must agree
        rows, taken = (rows, rows + self._reach) if at_end else (3, 3 + self._reach)
        part = self.convolution(x.narrow(dim, length - taken if at_end else 0, taken))
        near = part.narrow(dim, self._padding if at_end else 0, rows)  # the rest saw zeros instead of the picture
        out: Tensor = self.blur(near)
        return out.narrow(dim, out.shape[dim] - 1 if at_end else 0, 1)


class Backbone(nn.Module):
    """A feature network with taps.

    Args:
        name: a key of `BACKBONES`.
        tensors: as `backbone_tensors` gives them.

    Shape:
        - Input: (B, 3, H, W) in [0, 1]; sides below 64 px are enlarged to that, the least that the layers take.
        - Output: five feature maps, (B, C_i, H_i, W_i).
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, name: str, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        # Stored for pictures in [-1, 1]; folded so that pictures in [0, 1] go in: (2 x - 1 - shift) / scale.
        self.register_buffer("shift", (1 + tensors["scaling_layer.shift"]) / 2, persistent=False)
        self.register_buffer("scale", tensors["scaling_layer.scale"] / 2, persistent=False)
        weights = [v for k, v in tensors.items() if k.startswith("net.") and k.endswith(".weight")]
        biases = [v for k, v in tensors.items() if k.startswith("net.") and k.endswith(".bias")]
        stages: list[list[nn.Module]] = [[]]
        count = 0
        for token in BACKBONES[name].split():
            if token == "|":
                stages.append([])
            elif token[0] == "c":
                stages[-1].append(_convolution(weights[count], biases[count], token))
                count += 1
            elif token == "b" and stages[-1] and isinstance(before := stages[-1][-1], nn.Conv2d):
                stages[-1][-1] = _BlurredConvolution(before)
            else:
                stages[-1].append(_plain_layer(token))
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in stages if stage)
        self.to(memory_format=torch.channels_last).requires_grad_(False).eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        x = ((_at_least(x, _SMALLEST) - self.shift) / self.scale).contiguous(memory_format=torch.channels_last)
        taps = []
        for stage in self.stages:
            x = stage(x)
            taps.append(x)
        return taps


def _at_least(x: Tensor, size: int) -> Tensor:
    height, width = x.shape[-2:]
    if min(height, width) >= size:
        return x
    return F.interpolate(x, size=(max(height, size), max(width, size)), mode="nearest")


def _convolution(weight: Tensor, bias: Tensor, token: str) -> nn.Conv2d:
    out_channels, in_channels, kernel, _ = weight.shape
    padding, _, stride = token.partition("p")[2].partition("s")
    layer = nn.Conv2d(in_channels, out_channels, kernel, padding=int(padding), stride=int(stride or 1))
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _plain_layer(token: str) -> nn.Module:
    if token == "r":
        return nn.ReLU()
    if token == "b":
        return _BlurDown()
    kernel, _, stride = token[1:].partition("s")
    return nn.MaxPool2d(int(kernel), stride=int(stride or 1))
