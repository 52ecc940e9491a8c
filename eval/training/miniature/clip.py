"""Train the miniature's CLIP pair, text and vision tower, on the captioned pictures.

    python -m training.miniature.clip --data DIR --work DIR --minutes 15

The shared space is the text tower's pooled output, so that the plain CLIPTextModel of a pipeline folder is all of it.
`tokenizer/`, `text_encoder/` and `image_encoder/` in the work folder are what a pipeline folder holds.

References:
    Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", arXiv 2103.00020.
"""

import argparse
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (  # noqa: TID253
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from training.miniature.data import SIZE, Entry, on_ground, read_captions
from training.miniature.vocabulary import LENGTH, write_tokenizer
from training.optimisation import Optimiser, add_training_options, sampling_seed, train

TEXT = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
VISION = {"hidden_size": 144, "intermediate_size": 576, "num_hidden_layers": 6, "num_attention_heads": 4}
BATCH = 128
SHIFT = 8  # pixels that a picture is moved by at most, and its size changed by at most twice that


def text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    special["pad_token_id"] = tokenizer.pad_token_id
    shape = {"vocab_size": len(tokenizer), "max_position_embeddings": LENGTH}
    return CLIPTextModel(CLIPTextConfig(**TEXT, **shape, **special))


def vision_model() -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(**VISION, image_size=SIZE, patch_size=16, projection_dim=TEXT["hidden_size"])
    )


def tokens_of(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """(N, LENGTH) token ids."""
    return tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids


def unit(x: Tensor) -> Tensor:
    return nn.functional.normalize(x.float(), dim=-1)


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, same: Tensor) -> Tensor:
    """Cross-entropy both ways; pictures that share a caption are all right answers.

    Shape:
        - images, texts: (B, D) unit vectors; same: (B, B) bool.
    """
    logits = scale.exp().clamp(max=100) * images @ texts.T  # (B, B)
    goal = same.float() / same.sum(1, keepdim=True)
    return (nn.functional.cross_entropy(logits, goal) + nn.functional.cross_entropy(logits.T, goal)) / 2


def prepared(pictures: np.ndarray, random: np.random.Generator) -> Tensor:
    """(B, 3, 128, 128) in [-1, 1]: on a ground, flipped at random, moved and scaled a little."""
    x = torch.from_numpy(np.stack([on_ground(p, random) for p in pictures])).permute(0, 3, 1, 2).float() / 127.5 - 1
    if random.random() < 0.5:
        x = x.flip(-1)
    side = int(random.integers(SIZE, SIZE + 2 * SHIFT + 1))
    x = nn.functional.interpolate(x, size=side, mode="bilinear", antialias=True)
    top, left = random.integers(side - SIZE + 1, size=2)
    return x[..., top : top + SIZE, left : left + SIZE]


class Temperature(nn.Module):
    """The learned logarithm of the inverse temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(2.66))


class ClipRun:
    """Both towers, their optimiser and one training step."""

    def __init__(self, data: Path, work: Path, *, rate: float, seed: int, start: Path | None = None) -> None:
        self.entries = read_captions(data)
        self.pictures = np.load(data / "pictures.npy", mmap_mode="r")
        if start is None:
            captions = [e.caption for e in self.entries if e.split == "train"]
            self.tokenizer = write_tokenizer(captions, work / "tokenizer")
            self.text, self.vision = text_model(self.tokenizer), vision_model()
        else:
            shutil.copytree(start / "tokenizer", work / "tokenizer", dirs_exist_ok=True)
            self.tokenizer = CLIPTokenizer.from_pretrained(start / "tokenizer")
            self.text = CLIPTextModel.from_pretrained(start / "text_encoder").float()
            self.vision = CLIPVisionModelWithProjection.from_pretrained(start / "image_encoder").float()
        self.temperature = Temperature()
        self.tokens = tokens_of(self.tokenizer, [e.caption for e in self.entries])
        self.random = np.random.default_rng(seed)
        self.models = {"text": self.text, "vision": self.vision, "temperature": self.temperature}
        self.optimiser = Optimiser(self.models.values(), rate=rate)
        self.groups = self._rows_by_kind(self.entries)

    def _rows_by_kind(self, entries: list[Entry]) -> list[np.ndarray]:
        """Training rows: emoji, and art. Art has few captions, so a batch takes few of it."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, entry in enumerate(entries):
            if entry.split == "train":
                rows[entry.kind].append(row)
        return [np.array(rows[kind]) for kind in sorted(rows, reverse=True)]

    def step(self, *, done: float) -> dict[str, float]:
        emoji, *others = self.groups
        art = [self.random.choice(rows, BATCH // 16) for rows in others]
        rows = np.concatenate([self.random.choice(emoji, BATCH - sum(map(len, art))), *art])
        ids = self.tokens[torch.from_numpy(rows)]
        with torch.autocast("cpu", torch.bfloat16):
            images = self.vision(prepared(self.pictures[rows], self.random)).image_embeds
            texts = self.text(ids).pooler_output
        same = (ids[:, None] == ids[None]).all(-1)
        loss = contrastive_loss(unit(images), unit(texts), self.temperature.value, same)
        loss.backward()
        self.optimiser.step(done=done)
        return {"loss": float(loss.detach())}

    def export(self, work: Path, numbers: dict[str, float]) -> None:  # noqa: ARG002
        self.text.save_pretrained(work / "text_encoder")
        self.vision.save_pretrained(work / "image_encoder")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that data.py wrote")
    add_training_options(parser, minutes=15, rate=0.01)
    options = parser.parse_args()
    seed = sampling_seed(options)
    run = ClipRun(options.data, options.work, rate=options.rate, seed=seed, start=options.start)
    train(run, options.work, minutes=options.minutes)


if __name__ == "__main__":
    main()
