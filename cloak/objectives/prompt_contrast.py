"""The denoiser believes the words of another style rather than those of the picture's own."""

from typing import Any

import torch
from torch import Tensor

from cloak.objectives.base import OBJECTIVES
from cloak.objectives.through_denoiser import DenoiserObjective
from cloak.surrogates import Surrogate
from cloak.surrogates.denoising import NoiseDraw
from cloak.targets.style_text import invert_prompt, nearest_style, style_prompt, target_prompt

__all__ = ["PromptContrast"]


@OBJECTIVES.register(
    "prompt_contrast",
    summary="the denoiser does better under the target style's words than under those of the picture's own style",
    reference="Li et al. 2023 (diffusion classifier), arXiv 2303.16203 (the measure); the contrast is ours",
    requires=DenoiserObjective.requires,
)
class PromptContrast(DenoiserObjective):
    """Denoising loss under the target's prompt minus that under the picture's own.

    Args:
        surrogate, original, options: see `DenoiserObjective`; `options["target"]` is needed.
        own: words for the picture's own style; found if not given.
        wanted: words for the target style; the target's if not given.
        inversion: steps for which the own prompt's vectors are fitted to the picture.
    """

    needs_target = True

    def __init__(
        self,
        surrogate: Surrogate,
        original: Tensor,
        *,
        own: str | None = None,
        wanted: str | None = None,
        inversion: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(surrogate, original, **options)
        assert self.target is not None
        style = own or nearest_style(surrogate, original[:1])
        own = style_prompt(style)
        wanted = style_prompt(wanted) if wanted else target_prompt(surrogate, self.target, own=style)
        self.prompts = own, wanted
        self.text, self._wanted = surrogate.embed_text([own]), surrogate.embed_text([wanted])
        if inversion:
            generator = torch.Generator().manual_seed(0)
            self.text = invert_prompt(surrogate, original[:1], self.text, steps=inversion, generator=generator)

    def at(self, z: Tensor, draw: NoiseDraw) -> Tensor:
        own, wanted = (
            (self.predicted(z, draw, text) - draw.noise).pow(2).mean((1, 2, 3)) for text in (self.text, self._wanted)
        )
        return wanted - own
