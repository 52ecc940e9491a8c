"""A document as the optimiser needs it: what people and models are shown, and how a change gets back into the file."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.budgets import Linf, StrengthLevel
from cloak.image import PictureDocument, encode_picture, read_picture, settle
from cloak.inquiry import Inquiring, Inquiry, Loss, inquire
from cloak.types import FormatChoice, MetadataPolicy
from cloak.views import resized, scale_for

__all__ = ["Scene"]

WORKING_SIDE = 1024  # short side, pixels: the largest at which trainers look at a picture
_BAND, _HALO = 512, 32  # rows that are bounded at once, so that memory stays so, and rows that they depend on
_LOSSY = frozenset({"jpeg", "webp", "avif"})


class Scene:
    """One document, composited on white where it is transparent.

    Args:
        document: what was read.
        level: how far the picture may move.
    """

    def __init__(self, document: PictureDocument, *, level: StrengthLevel) -> None:
        self.document = document
        self.shown = self._composite(document.pixels)  # (1, 3, H, W)
        self.scale = scale_for(self.shown, WORKING_SIDE)
        self.working = resized(self.shown, self.scale)
        self._level = level

    def _composite(self, pixels: Tensor) -> Tensor:
        alpha = self.document.alpha
        return pixels if alpha is None else pixels * alpha + (1 - alpha)

    def ball(self) -> Linf:
        """How far the working picture may move: more where it is busy, not at all where it is transparent."""
        alpha = self.document.alpha
        opacity = None if alpha is None else F.interpolate(alpha, size=self.working.shape[-2:], mode="area")
        return self._level.ball(self.working, opacity=opacity)

    def achromatic(self, loss: Loss) -> Loss:
        """For grey documents, the loss of the change's grey part; others as they are."""
        return _OfGreyPart(loss, self.working) if self.document.is_grey else loss

    def enlarged(self, change: Tensor) -> Tensor:
        """A change of the working picture at full size, within the ball there."""
        if self.document.is_grey:
            change = change.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        if self.scale < 1:
            change = F.interpolate(change, size=self.shown.shape[-2:], mode="bicubic")
        height = change.shape[-2]
        bands = [self._bounded(change, top, min(top + _BAND, height)) for top in range(0, height, _BAND)]
        return torch.cat(bands, dim=-2)

    def _bounded(self, change: Tensor, top: int, bottom: int) -> Tensor:
        """Rows of a change at full size, within the ball there; the rows around them decide what a place can hide."""
        first, last = max(0, top - _HALO), bottom + _HALO
        rows, inner = slice(first, last), slice(top - first, bottom - first)
        x, alpha = self.shown[..., rows, :], self.document.alpha
        ball = self._level.ball(x, opacity=None if alpha is None else alpha[..., rows, :])
        return (ball.project(x + change[..., rows, :], x) - x)[..., inner, :]

    def pixels(self, change: Tensor, scale: float = 1.0) -> Tensor:
        """The document's pixels with `scale` times a change of what is shown, (1, 3, H, W) in [0, 1]."""
        alpha = self.document.alpha
        if alpha is not None:
            change = torch.where(alpha > 0, change / alpha.clamp_min(0.05), 0.0)
        return torch.add(self.document.pixels, change, alpha=scale).clamp_(0, 1)  # large pictures: one copy, not three

    def stored(
        self, change: Tensor, encode: Callable[[Tensor], bytes], choice: FormatChoice, scale: float = 1.0
    ) -> Tensor:
        """What is shown after `scale` times a change was written and read; lossless formats need no writing for it."""
        pixels = self.pixels(change, scale)
        if self.is_lossy(choice):
            return self.reread(encode(pixels))
        return self._composite(settle(self.document, pixels, format=choice))

    def is_lossy(self, choice: FormatChoice) -> bool:
        return self.document.output_format(choice) in _LOSSY

    def reread(self, data: bytes) -> Tensor:
        """What is shown by a written file."""
        read = read_picture(data, name=self.document.name)
        return self._composite(read.pixels)

    def encoder(
        self, *, choice: FormatChoice, metadata: MetadataPolicy, notice: bool, quality: int | None
    ) -> Callable[[Tensor], bytes]:
        """The function from pixels to file contents for these settings."""

        def encode(pixels: Tensor) -> bytes:
            return encode_picture(
                self.document, pixels, format=choice, metadata=metadata, notice=notice, quality=quality
            )

        return encode


class _OfGreyPart(Inquiring):
    """The loss of a picture that changes in lightness only."""

    def __init__(self, loss: Loss, origin: Tensor) -> None:
        self.loss, self.origin = loss, origin

    def inquire(self, x: Tensor) -> Inquiry:
        origin = self.origin.to(x.device)
        return (yield from inquire(self.loss, origin + (x - origin).mean(1, keepdim=True)))
