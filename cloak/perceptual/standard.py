"""The original LPIPS, where its weights are on this machine.

The backbones are torchvision's ImageNet weights from the local torch hub cache, the linear layers those of the PyPI
package `lpips` (BSD-2), read as data. Nothing is downloaded: without them there is no original LPIPS, and figures name
what they use.

References:
    Zhang et al. 2018, arXiv 1801.03924, version 0.1 of the released weights.
"""

import functools
import hashlib
import importlib.metadata
from pathlib import Path

import torch
from torch import Tensor

from cloak.errors import ModelError
from cloak.perceptual.lpips import LPIPS

__all__ = ["standard_lpips"]

# file in the hub cache, whose name ends in the first eight hex digits of its sha256; sha256 of the linear layers
_FILES = {
    "alex": ("alexnet-owt-7be5be79.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
    "vgg": ("vgg16-397923af.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
}
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@functools.cache
def standard_lpips(backbone: str = "alex") -> LPIPS | None:
    """The original LPIPS with the "alex" or "vgg" backbone; None where its weights are not on this machine.

    Raises:
        ModelError: a file is there but is not the published one.
    """
    cached, linear_sha256 = _FILES[backbone]
    weights = Path(torch.hub.get_dir()) / "checkpoints" / cached
    linear = _linear_layers(backbone)
    if linear is None or not weights.is_file():
        return None
    features = _checked(weights, cached.rpartition("-")[2].partition(".")[0])
    tensors = {f"net.{name}": value for name, value in features.items() if name.startswith("features.")}
    tensors |= _checked(linear, linear_sha256)
    tensors["scaling_layer.shift"] = torch.tensor(_SHIFT)[None, :, None, None]
    tensors["scaling_layer.scale"] = torch.tensor(_SCALE)[None, :, None, None]
    return LPIPS(f"lpips-{backbone}", backbone=f"standard-{backbone}", tensors=tensors)


def _linear_layers(backbone: str) -> Path | None:
    try:
        distribution = importlib.metadata.distribution("lpips")
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(f"lpips/weights/v0.1/{backbone}.pth")))
    return path if path.is_file() else None


def _checked(path: Path, sha256: str) -> dict[str, Tensor]:
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(sha256):
        raise ModelError(f"{path} is not the published file; delete it and fetch it again.")
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors
