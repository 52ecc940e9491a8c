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

import torch
from torch import Tensor, nn
from transformers import (  # noqa: TID253
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from training.miniature.data import SIZE, Entry, on_ground, read_captions, read_pictures
from training.miniature.vocabulary import LENGTH, write_tokenizer
from training.optimisation import Optimiser, add_training_options, sampling_seed, train

TEXT = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
VISION = {"hidden_size": 144, "intermediate_size": 576, "num_hidden_layers": 6, "num_attention_heads": 4}
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


def prepared(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 3, 128, 128) in [-1, 1]: on a ground, flipped at random, moved and scaled a little.

    Shape:
        - pictures: (B, 4, 128, 128) uint8.
    """
    x = 2 * on_ground(pictures, generator) - 1
    flip, grow, top, left = torch.rand(4, generator=generator).tolist()
    side = SIZE + round(2 * SHIFT * grow)
    x = nn.functional.interpolate(x.flip(-1) if flip < 0.5 else x, size=side, mode="bilinear", antialias=True)
    top, left = (round(share * (side - SIZE)) for share in (top, left))
    return x[..., top : top + SIZE, left : left + SIZE]


class Temperature(nn.Module):
    """The learned logarithm of the inverse temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(2.66))


class ClipRun:
    """Both towers, their optimiser and one training step."""

    def __init__(self, options: argparse.Namespace, *, seed: int) -> None:
        data, work, start = options.data, options.work, options.start
        self.entries, self.pictures = read_captions(data), read_pictures(data, options.device)
        if start is None:
            captions = [e.caption for e in self.entries if e.split == "train"]
            self.tokenizer = write_tokenizer(captions, work / "tokenizer")
            self.text, self.vision = text_model(self.tokenizer), vision_model()
        else:
            shutil.copytree(start / "tokenizer", work / "tokenizer", dirs_exist_ok=True)
            self.tokenizer = CLIPTokenizer.from_pretrained(start / "tokenizer")
            self.text = CLIPTextModel.from_pretrained(start / "text_encoder").float()
            self.vision = CLIPVisionModelWithProjection.from_pretrained(start / "image_encoder").float()
        self.models = {"text": self.text, "vision": self.vision, "temperature": Temperature()}
        for model in self.models.values():
            model.to(options.device)
        self.tokens = tokens_of(self.tokenizer, [e.caption for e in self.entries]).to(options.device)
        self.generator, self.batch, self.device = torch.Generator().manual_seed(seed), options.batch, options.device
        self.optimiser = Optimiser(self.models.values(), rate=options.rate)
        self.groups = self._rows_by_kind(self.entries)

    def _rows_by_kind(self, entries: list[Entry]) -> list[Tensor]:
        """Training rows: emoji, and art. Art has few captions, so a batch takes few of it."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, entry in enumerate(entries):
            if entry.split == "train":
                rows[entry.kind].append(row)
        return [torch.tensor(rows[kind]) for kind in sorted(rows, reverse=True)]

    def _draw(self, rows: Tensor, count: int) -> Tensor:
        return rows[torch.randint(len(rows), (count,), generator=self.generator)]

    def step(self, *, done: float) -> dict[str, Tensor]:
        emoji, *others = self.groups
        art = [self._draw(rows, self.batch // 16) for rows in others]
        rows = torch.cat([self._draw(emoji, self.batch - sum(map(len, art))), *art])
        loss = self._loss(rows, prepared(self.pictures[rows].to(self.device), self.generator))
        loss.backward()
        self.optimiser.step(done=done)
        return {"loss": loss.detach()}

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """Loss among pairs of subject and style that training does not see."""
        rows = torch.tensor([row for row, entry in enumerate(self.entries) if entry.split == "test"])
        pictures = 2 * on_ground(self.pictures[rows].to(self.device), torch.Generator().manual_seed(0)) - 1
        return {"held_out_loss": float(self._loss(rows, pictures))}

    def _loss(self, rows: Tensor, pictures: Tensor) -> Tensor:
        ids = self.tokens[rows.to(self.device)]
        with torch.autocast(self.device, torch.bfloat16):
            images = self.models["vision"](pictures).image_embeds
            texts = self.models["text"](ids).pooler_output
        same = (ids[:, None] == ids[None]).all(-1)
        return contrastive_loss(unit(images), unit(texts), self.models["temperature"].value, same)

    def export(self, work: Path, numbers: dict[str, float]) -> None:  # noqa: ARG002
        self.text.save_pretrained(work / "text_encoder")
        self.vision.save_pretrained(work / "image_encoder")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that data.py wrote")
    parser.add_argument("--batch", type=int, default=128, help="pictures a step")
    add_training_options(parser, minutes=15, rate=0.01)
    options = parser.parse_args()
    run = ClipRun(options, seed=sampling_seed(options))
    train(run, options.work, minutes=options.minutes, device=options.device, check=run.held_out)


if __name__ == "__main__":
    main()
