"""Words for styles: that of a target, and that of a picture, which is found rather than asked for.

References:
    Radford et al. 2021 (CLIP), arXiv 2103.00020, section 3.1 (prompts); Gal et al. 2022 (textual inversion),
    arXiv 2208.01618, section 3; Li et al. 2023, "Your Diffusion Model is Secretly a Zero-Shot Classifier",
    arXiv 2303.16203, section 3.2.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.surrogates import Surrogate, TextEmbedding
from cloak.surrogates.denoising import draw_noise
from cloak.targets.base import Target

__all__ = ["STYLE_WORDS", "invert_prompt", "known_styles", "nearest_style", "style_prompt", "target_prompt"]

STYLE_WORDS = (
    "abstract",
    "anime",
    "art nouveau",
    "baroque",
    "children's book",
    "comic",
    "cubism",
    "emoji",
    "engraving",
    "expressionism",
    "flat vector",
    "impressionism",
    "ink drawing",
    "oil painting",
    "pencil sketch",
    "photograph",
    "pixel art",
    "pop art",
    "realism",
    "romanticism",
    "surrealism",
    "three-dimensional rendering",
    "ukiyo-e woodblock print",
    "watercolour",
)
_OF_FAMILY = {
    "miniature": (
        "noto",
        "fluent emoji",
        "twemoji",
        "emojione",
        "walter crane",
        "gustave dore",
        "claude monet",
        "howard pyle",
        "virginia sterrett",
        "john neill",
    )
}
"""Styles for models that were never told the words above."""
_PAINTED = {
    "crosshatch": "crosshatched ink drawing",
    "facets": "cubism",
    "halftone": "halftone pop art",
    "mosaic": "mosaic",
    "pointillism": "pointillism",
    "strokes": "expressionist oil painting",
    "wash": "watercolour",
    "waves": "psychedelic poster",
}


def style_prompt(style: str) -> str:
    """The prompt that stands for a style."""
    return f"{style} picture, in the style of {style}"


def target_prompt(surrogate: Surrogate, target: Target, *, own: str) -> str:
    """The prompt of a target: a painted style has its words, for a picture the nearest ones but `own` are found."""
    known = None if surrogate.family in _OF_FAMILY else _PAINTED.get(target.name)
    others = tuple(word for word in known_styles(surrogate) if word != own)
    return style_prompt(known or nearest_style(surrogate, target.picture, words=others))


def known_styles(surrogate: Surrogate) -> tuple[str, ...]:
    """Names of styles that a model of this family was told in its training."""
    return _OF_FAMILY.get(surrogate.family, STYLE_WORDS)


@torch.no_grad()
def nearest_style(surrogate: Surrogate, x: Tensor, *, words: tuple[str, ...] | None = None) -> str:
    """The style whose prompt fits the picture (1, 3, H, W) best.

    By the angle between prompt and picture where the model embeds both, else by which prompt lets it denoise best.

    Args:
        surrogate: with "embed_text", and "embed_image" or "denoise".
        x: the picture, [0, 1].
        words: styles to choose from; None for those that a model of this family knows.
    """
    words = known_styles(surrogate) if words is None else words
    text = surrogate.embed_text([style_prompt(word) for word in words])
    if "embed_image" in surrogate.capabilities:
        fit = surrogate.embed_image(x) @ F.normalize(text.pooled, dim=-1).T
        return words[int(fit[0].argmax())]
    z = surrogate.encode(x)
    draw = draw_noise(z.shape, surrogate.timesteps, generator=torch.Generator().manual_seed(0), span=(0.3, 0.7)).to(
        z.device
    )
    noisy = surrogate.add_noise(z, draw.noise, draw.timestep)
    prompts = [TextEmbedding(text.tokens[i : i + 1], text.pooled[i : i + 1]) for i in range(len(words))]
    errors = [float((surrogate.denoise(noisy, draw.timestep, prompt) - draw.noise).pow(2).mean()) for prompt in prompts]
    return words[errors.index(min(errors))]


def invert_prompt(
    surrogate: Surrogate, x: Tensor, start: TextEmbedding, *, steps: int, generator: torch.Generator, rate: float = 1e-3
) -> TextEmbedding:
    """The prompt's vectors, moved for some steps of Adam so that the model denoises the picture better with them.

    Args:
        surrogate: with "encode" and "denoise".
        x: picture, (1, 3, H, W) in [0, 1].
        start: where the vectors begin, one prompt.
        steps: of Adam.
        generator: source of chance.
        rate: of Adam.
    """
    with torch.no_grad():
        z = surrogate.encode(x)
    tokens = start.tokens.detach().to(z.device).clone().requires_grad_()
    optimiser = torch.optim.Adam([tokens], lr=rate)
    with torch.enable_grad():
        for _ in range(steps):
            draw = draw_noise(z.shape, surrogate.timesteps, generator=generator, device=z.device)
            noisy = surrogate.add_noise(z, draw.noise, draw.timestep)
            error = surrogate.denoise(noisy, draw.timestep, TextEmbedding(tokens, start.pooled)) - draw.noise
            (tokens.grad,) = torch.autograd.grad(error.pow(2).mean(), tokens)
            optimiser.step()
    return TextEmbedding(tokens.detach(), start.pooled)
