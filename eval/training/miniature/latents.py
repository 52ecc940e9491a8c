"""What the denoiser is trained on, computed once: latents of the pictures and embeddings of the captions.

    python -m training.miniature.latents --data DIR --vae DIR --clip DIR --work DIR

Writes `latents.safetensors` with
    mean, deviation (V, N, 4, 16, 16) of the posterior, times the scaling factor: every picture as it is and V - 1 times
        flipped at random, moved and scaled a little;
    caption (N,) row of its embedding; held_out (N,) whether the pair of subject and style is kept from training;
    captions (K, 32, 128) hidden states, the empty caption first;
and `vae/`, the autoencoder with the scaling factor that makes latents of unit spread. No victim's picture is in it.
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL  # noqa: TID253
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer  # noqa: TID253

from training.miniature.autoencoder import scaled
from training.miniature.clip import prepared, tokens_of
from training.miniature.data import on_ground, read_captions, read_pictures
from training.optimisation import channels_last

BATCH = 64
FILE = "latents.safetensors"


@torch.no_grad()
def posteriors(vae: AutoencoderKL, pictures: Tensor, rows: Tensor, *, variant: int = 0) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latents of some rows, unscaled; variant 0 is the pictures as they are."""
    generator, means, deviations = torch.Generator().manual_seed(variant), [], []
    for chosen in rows.split(BATCH):
        batch = pictures[chosen].to(vae.device)
        x = prepared(batch, generator) if variant else 2 * on_ground(batch, generator) - 1
        with torch.autocast(x.device.type, torch.bfloat16):
            latent = vae.encode(channels_last(x)).latent_dist
        means.append(latent.mean.float().cpu())
        deviations.append(latent.std.float().cpu())
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
    parser.add_argument("--variants", type=int, default=4, help="latents of each picture")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    entries = read_captions(options.data)
    rows = torch.tensor([row for row, entry in enumerate(entries) if entry.split != "victim"])
    captions = ["", *sorted({entries[row].caption for row in rows})]
    order = {caption: index for index, caption in enumerate(captions)}
    text = CLIPTextModel.from_pretrained(options.clip / "text_encoder")
    hidden = embedded(captions, CLIPTokenizer.from_pretrained(options.clip / "tokenizer"), text)
    vae = AutoencoderKL.from_pretrained(options.vae).to(options.device, memory_format=torch.channels_last)
    pictures = read_pictures(options.data)
    variants = [posteriors(vae, pictures, rows, variant=index) for index in range(options.variants)]
    mean, deviation = (torch.stack(part).contiguous() for part in zip(*variants, strict=True))
    factor = scaled(vae, mean, deviation)
    vae.save_pretrained(options.work / "vae")
    tensors = {
        "mean": (mean * factor).half(),
        "deviation": (deviation * factor).half(),
        "caption": torch.tensor([order[entries[row].caption] for row in rows]),
        "held_out": torch.tensor([entries[row].split == "test" for row in rows]),
        "captions": hidden.half(),
    }
    save_file(tensors, options.work / FILE)
    print(f"{len(rows)} pictures, {len(captions)} captions, scaling factor {factor:.4f}")


if __name__ == "__main__":
    main()
