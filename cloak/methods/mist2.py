"""Mist v2 (ACE): the denoiser's output is pulled to a target's latent while a LoRA learns the picture."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import PROMPT, Lessons, RandomDraws, ScoreTarget
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["Mist2"]


@peer(
    "mist2",
    summary="the denoiser's output is pulled to a target's latent while a LoRA learns the picture (ACE)",
    reference="Zheng et al. 2025 (ACE, Mist v2), ICLR, arXiv 2310.04687",
    licence="Apache-2.0, with further conditions",
    requires=DENOISE,
    published=Published(linf=4, steps=150, step=0.64, parts="score_target, moving LoRA of rank 4"),
)
class Mist2(Peer):
    """min E ||eps(z_t, t, c) - z_target||^2, with 10 LoRA steps (rate 1e-4) after every 30.

    The code also trains on 50 pictures of the class with weight 0.1, and its target is a fixed picture; its first 30
    steps see a LoRA that has learnt nothing, here it has learnt the untouched picture for 10 steps.
    """

    needs_target = True

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:
        lessons = Lessons(surrogate.embed_text([PROMPT]), cloaked=10, every=30)
        draws = RandomDraws(self.generator)
        return self.moving(
            surrogate,
            original,
            lambda model: ScoreTarget(model, original, target=target, draws=draws),
            lessons=lessons,
            rate=1e-4,
            part="lora",
        )
