"""Random crops of art and emoji for the autoencoder, at any size up to 128 px."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from training.miniature.data import read_captions


class CropSampler:
    """Draws crops without resizing anything: art comes in several sizes, emoji are pasted on a ground.

    Args:
        work: folder that `data.py` wrote.
        art_share: probability of a crop of art.
        seed: of all draws.
    """

    def __init__(self, work: Path, *, art_share: float, seed: int) -> None:
        entries = read_captions(work)
        self.rows = np.array([i for i, e in enumerate(entries) if e.kind == "emoji" and e.split != "victim"])
        self.pictures = np.load(work / "pictures.npy", mmap_mode="r")
        with np.load(work / "art.npz") as levels:
            self.art = list(levels.values())
        self.art_share, self.random = art_share, np.random.default_rng(seed)

    def _cut(self, picture: np.ndarray, size: int) -> np.ndarray:
        top, left = (int(self.random.integers(side - size + 1)) for side in picture.shape[:2])
        crop = picture[top : top + size, left : left + size]
        return crop[:, ::-1] if self.random.random() < 0.5 else crop

    def _ground(self, size: int) -> np.ndarray:
        draw = self.random.random()
        if draw < 0.15:
            return self._cut(self.art[self.random.integers(len(self.art))], size)
        return np.full(3, 255) if draw < 0.6 else self.random.integers(0, 256, 3)

    def _emoji(self, size: int) -> np.ndarray:
        icon = self._cut(self.pictures[self.random.choice(self.rows)], size)
        alpha = icon[..., 3:].astype(np.float32) / 255
        return icon[..., :3] * alpha + self._ground(size) * (1 - alpha)

    def batch(self, count: int, size: int) -> Tensor:
        """(count, 3, size, size) uint8."""
        crops = []
        for _ in range(count):
            is_art = self.random.random() < self.art_share
            picture = self.art[self.random.integers(len(self.art))] if is_art else None
            crops.append(self._emoji(size) if picture is None else self._cut(picture, size))
        return torch.from_numpy(np.stack(crops).round().astype(np.uint8)).permute(0, 3, 1, 2)


class _Batches(IterableDataset[Tensor]):
    """Batches without end; each worker draws its own."""

    def __init__(self, sampler: CropSampler, count: int, size: int) -> None:
        self.sampler, self.count, self.size = sampler, count, size

    def __iter__(self) -> Iterator[Tensor]:
        worker = get_worker_info()
        if worker is not None:
            self.sampler.random = np.random.default_rng(worker.seed)
        while True:
            yield self.sampler.batch(self.count, self.size)


def batches(sampler: CropSampler, count: int, size: int, *, workers: int = 0) -> Iterator[Tensor]:
    """Batches of the sampler, cut in other processes if there are workers."""
    return iter(DataLoader(_Batches(sampler, count, size), batch_size=None, num_workers=workers))
