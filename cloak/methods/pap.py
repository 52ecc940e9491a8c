"""PAP: the denoiser's error grows for all prompts that are likely for the picture."""

import torch
from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import PROMPT, Denoising, RandomDraws
from cloak.surrogates import Surrogate, TextEmbedding
from cloak.targets import Target
from cloak.targets.style_text import invert_prompt

__all__ = ["PAP"]

_INVERSION = 20  # steps


@peer(
    "pap",
    summary="the denoiser's error grows over a distribution of prompts around the picture's own",
    reference="Wan et al. 2024 (PAP), NeurIPS",
    licence="unknown",
    requires=DENOISE,
    published=Published(
        linf=12.75, steps=100, step=1, parts="denoising, prompts drawn around an inverted one", note="not checked"
    ),
)
class PAP(Peer):
    """max E over prompts c ~ N(c*, s^2) of ||eps(z_t, t, c) - noise||^2; c* is found by prompt inversion.

    The paper takes s from a Laplace approximation, here it is the root mean square of the inversion's movement. Its
    bound and steps could not be checked; those here are of the usual size.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        start = surrogate.embed_text([PROMPT])
        centre = invert_prompt(surrogate, original, start, steps=_INVERSION, generator=self.generator)
        spread = (centre.tokens - start.tokens.to(centre.tokens)).pow(2).mean().sqrt()
        objective = Denoising(surrogate, original, draws=RandomDraws(self.generator))

        def expected(x: Tensor) -> Tensor:
            drawn = torch.randn(centre.tokens.shape, generator=self.generator).to(centre.tokens)
            objective.text = TextEmbedding(centre.tokens + spread * drawn, centre.pooled)
            return objective(x)

        return expected
