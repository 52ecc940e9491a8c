"""What cells share: cloaked and treated pictures and features, each computed once and kept by what decides it."""

from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock
from safetensors.torch import load, save
from torch import Tensor

from cloak.image import write_file
from cloak_eval.experiments.cells import digest
from cloak_eval.metrics.features import FEATURES, style_features

__all__ = ["Store"]


class Store:
    """A folder of tensors; what was interrupted is not there, what is there is whole.

    Args:
        folder: is made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, compute: Callable[[], list[Tensor]]) -> list[Tensor]:
        """The tensors kept under `key`; computed by one process while others wait for it."""
        path = self.folder / f"{key}.safetensors"
        with FileLock(self.folder / f"{key}.lock"):
            if not path.is_file():
                tensors = {str(index): tensor.contiguous() for index, tensor in enumerate(compute())}
                write_file(save(tensors), path)
            stored = load(path.read_bytes())
        return [stored[str(index)] for index in range(len(stored))]

    def pictures(self, key: str, compute: Callable[[], list[Tensor]]) -> list[Tensor]:
        """The same for 8-bit pictures (3, H, W) in [0, 1]."""
        kept = self.get(key, lambda: [(each * 255).round().byte() for each in compute()])
        return [each.float() / 255 for each in kept]

    def features(self, pictures: Tensor) -> Tensor:
        """Style features of pictures (N, 3, h, w); (N, D)."""
        key = digest("features", FEATURES, str(tuple(pictures.shape)), pictures.numpy().tobytes())
        return self.get(key, lambda: [style_features(pictures)])[0]


def as_bytes(pictures: list[Tensor]) -> str:
    """A digest of pictures."""
    return digest(
        *(torch.round(each * 255).byte().numpy().tobytes() + str(tuple(each.shape)).encode() for each in pictures)
    )
