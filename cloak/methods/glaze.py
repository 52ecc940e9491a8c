"""Glaze: the latent becomes that of the same picture in another style."""

import torch
from torch import Tensor

from cloak.attacks import PGDConfig
from cloak.methods.base import Loss, Published
from cloak.methods.peer import Peer, peer
from cloak.objectives import EncoderTarget
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["Glaze"]


@peer(
    "glaze",
    summary="the latent becomes that of the same picture in another style",
    reference="Shan et al. 2023 (Glaze), USENIX Security, arXiv 2302.04222",
    licence="closed; no code released",
    requires=frozenset({"encode", "decode"}),
    published=Published(
        linf=12.75, steps=500, step=2.55, parts="encoder_target (restyled)", note="LPIPS 0.05, a soft margin"
    ),
)
class Glaze(Peer):
    """min ||E(x') - E(restyled x)||^2 by Adam, within the budget; the paper has a soft margin of LPIPS instead.

    The paper restyles by a diffusion model's image-to-image. Here the latent takes on channel means and deviations
    of the target's (AdaIN, Huang and Belongie 2017, arXiv 1703.06868, eq. 8), which any autoencoder can do.
    """

    needs_target = True

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:
        assert target is not None  # `needs_target`
        with torch.no_grad():
            own, other = (surrogate.encode(x) for x in (original, target.at(original.shape).to(original)))
            (m, s), (m2, s2) = ((z.mean((2, 3), keepdim=True), z.std((2, 3), keepdim=True)) for z in (own, other))
            restyled = surrogate.decode((own - m) / (s + 1e-6) * s2 + m2, (original.shape[-2], original.shape[-1]))
        goal = Target(f"restyled as {target.name}", restyled.clamp(0, 1).to(original))
        return EncoderTarget(surrogate, original, target=goal)

    def optimiser(self, steps: int) -> PGDConfig:
        return self.sign_steps(steps, optimiser="adam")
