"""What the denoiser is trained on, computed once: latents of the pictures and embeddings of the captions.

    python -m training.miniature.latents --data DIR --vae DIR --clip DIR --work DIR

Writes `latents.safetensors` with
    mean, deviation (N, 4, 16, 16) of the posterior, times the scaling factor; caption (N,) row of its embedding;
    captions (K, 32, 128) hidden states, the empty caption first;
and `vae/`, the autoencoder with the scaling factor that makes latents of unit spread. Of emoji there is one latent, of
art one of each crop. Only training pictures are in it.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL  # noqa: TID253
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer  # noqa: TID253

from training.miniature.autoencoder import scaled
from training.miniature.clip import tokens_of
from training.miniature.data import on_ground, read_captions
from training.optimisation import channels_last

BATCH = 32
FILE = "latents.safetensors"


@torch.no_grad()
def posteriors(vae: AutoencoderKL, pictures: np.ndarray, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latents of some rows, unscaled."""
    random, means, deviations = np.random.default_rng(0), [], []
    for start in range(0, len(rows), BATCH):
        batch = np.stack([on_ground(p, random) for p in pictures[rows[start : start + BATCH]]])
        x = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.autocast("cpu", torch.bfloat16):
            latent = vae.encode(channels_last(x)).latent_dist
        means.append(latent.mean.float())
        deviations.append(latent.std.float())
    return torch.cat(means), torch.cat(deviations)


@torch.no_grad()
def embedded(captions: list[str], tokenizer: CLIPTokenizer, text: CLIPTextModel) -> Tensor:
    """(K, LENGTH, D) hidden states, as a pipeline computes them."""
    tokens = tokens_of(tokenizer, captions)
    return torch.cat([text(tokens[start : start + 256]).last_hidden_state for start in range(0, len(tokens), 256)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that data.py wrote")
    parser.add_argument("--vae", type=Path, required=True, help="folder of the autoencoder")
    parser.add_argument("--clip", type=Path, required=True, help="work folder of clip.py")
    parser.add_argument("--work", type=Path, required=True, help="where the result goes")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    entries = read_captions(options.data)
    rows = np.array([row for row, entry in enumerate(entries) if entry.split == "train"])
    captions = ["", *sorted({entries[row].caption for row in rows})]
    order = {caption: index for index, caption in enumerate(captions)}
    text = CLIPTextModel.from_pretrained(options.clip / "text_encoder")
    hidden = embedded(captions, CLIPTokenizer.from_pretrained(options.clip / "tokenizer"), text)
    vae = AutoencoderKL.from_pretrained(options.vae).to(memory_format=torch.channels_last)
    mean, deviation = posteriors(vae, np.load(options.data / "pictures.npy", mmap_mode="r"), rows)
    factor = scaled(vae, mean, deviation)
    vae.save_pretrained(options.work / "vae")
    tensors = {
        "mean": (mean * factor).half(),
        "deviation": (deviation * factor).half(),
        "caption": torch.tensor([order[entries[row].caption] for row in rows]),
        "captions": hidden.half(),
    }
    save_file(tensors, options.work / FILE)
    print(f"{len(rows)} latents, {len(captions)} captions, scaling factor {factor:.4f}")


if __name__ == "__main__":
    main()
