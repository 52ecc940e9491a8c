"""SimAC: ASPL at the noise levels where the gradient is strong, with features of late layers driven apart."""

import torch
from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import (
    PROMPT,
    Denoising,
    FeatureInterference,
    FixedDraws,
    Lessons,
    SelectedDraws,
    WeightedSum,
    select_timesteps,
)
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["SimAC"]


@peer(
    "simac",
    summary="ASPL at the noise levels with strong gradients, and late features of the denoiser move away",
    reference="Wang et al. 2024 (SimAC), CVPR, arXiv 2312.07865",
    licence="none",
    requires=DENOISE,
    published=Published(
        linf=8, steps=300, step=0.64, parts="denoising + feature_interference, selected levels, moving"
    ),
)
class SimAC(Peer):
    """The paper's formula; in the released code the feature term has no gradient, so that only the selection acts.

    Levels are selected once, by the gradient at the latent instead of the picture, which spares the encoder.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        objective = Denoising(surrogate, original, draws=FixedDraws(1))
        z = surrogate.encode(original).detach().requires_grad_()

        def strength(level: int) -> float:
            (draw,) = SelectedDraws(torch.Generator().manual_seed(0), [level])(z, surrogate.timesteps)
            with torch.enable_grad():
                return float(torch.autograd.grad(objective.at(z, draw).sum(), z)[0].abs().sum())

        kept = select_timesteps(strength, surrogate.timesteps, generator=self.generator)

        def build(model: Surrogate) -> Loss:
            draws = SelectedDraws(self.generator, kept)
            both = [Denoising(model, original, draws=draws), FeatureInterference(model, original, draws=draws)]
            return WeightedSum(both, [1.0, 1.0])

        lessons = Lessons(surrogate.embed_text([PROMPT]), clean=3, cloaked=3, every=6)
        return self.moving(surrogate, original, build, lessons=lessons, rate=5e-7)
