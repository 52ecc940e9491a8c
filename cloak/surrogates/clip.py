"""CLIP by itself: prompts and pictures in one space, without an autoencoder."""

from pathlib import Path

import torch
from torch import Tensor

from cloak.errors import ModelError
from cloak.surrogates.base import Surrogate
from cloak.surrogates.conditioning import TextEmbedding
from cloak.surrogates.parts import centred, load_clip_model, load_tokenizer, pixel_statistics, token_ids
from cloak.surrogates.store import looks_like_path, model_path

__all__ = ["ClipSurrogate", "load_clip"]


def load_clip(
    name_or_path: str | Path = "clip-vit-l-14",
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> "ClipSurrogate":
    """Load a CLIP model that embeds prompts and pictures; nothing is ever downloaded.

    Args:
        name_or_path: name in the catalogue, or a folder of transformers' CLIPModel with its tokenizer.
        device: where it computes.
        dtype: what it computes in; what comes out is float32.

    Raises:
        UnknownModelError: the catalogue has no such name.
        MissingModelError: it is known but not on this machine.
        ModelError: its files cannot be used.
    """
    name = str(name_or_path)
    folder = Path(name).expanduser() if looks_like_path(name) else model_path(name)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no config.json; give a folder of a CLIP model.")
    return ClipSurrogate(folder, name=folder.resolve().name).to(device, dtype)


class ClipSurrogate(Surrogate):
    """A CLIP model; it can embed_text and embed_image, and no more: pictures cannot be protected against it alone.

    `TextEmbedding.pooled` is the projected vector; its direction is comparable with that of `embed_image`.

    Args:
        folder: of transformers' CLIPModel, with its tokenizer.
        name: see `Surrogate`.
    """

    def __init__(self, folder: Path, *, name: str) -> None:
        part = load_clip_model(folder)
        capabilities = frozenset({"embed_text", "embed_image"})
        super().__init__(part.module, name=name, family="clip", downscale=1, capabilities=capabilities)
        self.model, self.sha256 = part.module, part.sha256
        self.tokenizer = load_tokenizer(folder)
        self.mean, self.deviation = pixel_statistics(folder)

    def _embed_text(self, prompts: list[str]) -> TextEmbedding:
        ids = token_ids(self.tokenizer, prompts, self.model.config.text_config.max_position_embeddings)
        with torch.no_grad():
            read = self.model.text_model(ids.to(self.device))
            pooled = self.model.text_projection(read.pooler_output)
        return TextEmbedding(read.last_hidden_state.float(), pooled.float())

    def _embed_image(self, x: Tensor) -> Tensor:
        picture = centred(x, self.model.config.vision_config.image_size)
        picture = (picture - self.mean.to(self.device)) / self.deviation.to(self.device)
        seen = self.model.vision_model(picture.to(self.dtype))
        vector: Tensor = self.model.visual_projection(seen.pooler_output)
        return vector

    def _features(self, x: Tensor) -> list[Tensor]:
        raise NotImplementedError

    def _encode(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _decode(self, z: Tensor) -> Tensor:
        raise NotImplementedError
