"""The pictures a thief has, what is said about each, and how a trainer cuts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.errors import InputError
from cloak.image import read_picture

__all__ = ["SUFFIXES", "TrainingSet", "picture_files", "read_training_set", "style_prompt", "training_crop"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
SUBJECT = "a picture"  # what a picture shows when nobody said it


def style_prompt(subject: str, artist: str) -> str:
    """What the thief asks for, and how training pictures are captioned."""
    return f"{subject}, in the style of {artist}"


@dataclass(frozen=True)
class TrainingSet:
    """Pictures of one artist.

    Args:
        artist: the name that stands for the style in prompts.
        pictures: (3, H, W) in [0, 1] each, of any size.
        subjects: what each one shows.
    """

    artist: str
    pictures: Sequence[Tensor]
    subjects: Sequence[str]

    def __post_init__(self) -> None:
        if not self.pictures or len(self.pictures) != len(self.subjects):
            raise ValueError(f"{len(self.pictures)} pictures with {len(self.subjects)} subjects")

    @property
    def captions(self) -> list[str]:
        """One prompt for each picture."""
        return [style_prompt(subject, self.artist) for subject in self.subjects]


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder by name; raises InputError when there are none."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not found:
        raise InputError(f"{folder} holds no pictures; give a folder with an artist's PNG, JPEG, WebP or TIFF files.")
    return found


def subject_of(path: Path) -> str:
    """What a picture shows, from a text file of the same name beside it, as trainers expect it."""
    caption = path.with_suffix(".txt")
    return caption.read_text(encoding="utf-8").strip() if caption.is_file() else SUBJECT


def read_training_set(files: Sequence[Path], artist: str) -> TrainingSet:
    """Read pictures as trainers do: colours only, on white where they are transparent."""
    return TrainingSet(artist, [opaque(path) for path in files], [subject_of(path) for path in files])


def opaque(path: Path) -> Tensor:
    """A picture file as (3, H, W), on white where it is transparent."""
    document = read_picture(path)
    pixels = document.pixels[0]
    if document.alpha is None:
        return pixels
    alpha = document.alpha[0]
    return pixels * alpha + (1 - alpha)


def training_crop(picture: Tensor, side: int, generator: torch.Generator, *, largest: float) -> Tensor:
    """A random square of a picture that was reduced first.

    Args:
        picture: (3, H, W).
        side: of the square, pixels; smaller pictures are enlarged to it.
        generator: of the size and the place.
        largest: the picture's short side becomes `side` to this many times `side`, but is not enlarged beyond it.
    """
    height, width = picture.shape[-2:]
    short = side * (1 + (largest - 1) * float(torch.rand((), generator=generator)))
    scale = max(min(short, height, width), side) / min(height, width)
    size = tuple(max(side, round(scale * length)) for length in (height, width))
    if size != (height, width):
        picture = F.interpolate(picture[None], size=size, mode="bicubic", antialias=True)[0].clamp(0, 1)
    top, left = (int(torch.randint(length - side + 1, (), generator=generator)) for length in size)
    return picture[:, top : top + side, left : left + side]
