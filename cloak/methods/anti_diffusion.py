"""Anti-Diffusion: attention to the words is flattened and the denoiser's error grows, under a tuned prompt."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import PROMPT, CrossAttention, Denoising, Lessons, RandomDraws, WeightedSum
from cloak.surrogates import Surrogate
from cloak.targets import Target
from cloak.targets.style_text import invert_prompt

__all__ = ["AntiDiffusion"]


@peer(
    "anti-diffusion",
    summary="attention to the prompt is flattened and the denoiser's error grows, under a prompt tuned to the picture",
    reference="Zheng et al. 2025 (Anti-Diffusion), AAAI, arXiv 2503.05595",
    licence="none",
    requires=DENOISE,
    published=Published(
        linf=6.4, steps=50, step=0.64, parts="cross_attention + denoising, tuned prompt, moving denoiser"
    ),
)
class AntiDiffusion(Peer):
    """30 steps of prompt tuning (rate 1e-3), then turns of 20 training steps and 10 of the attack on both losses.

    Both are weighted alike; the bound is that of the command line, the released script has 1.3 of 255.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        start = surrogate.embed_text([PROMPT])
        text = invert_prompt(surrogate, original, start, steps=30, generator=self.generator)
        draws = RandomDraws(self.generator)

        def build(model: Surrogate) -> Loss:
            both = [kind(model, original, text=text, draws=draws) for kind in (CrossAttention, Denoising)]
            return WeightedSum(both, [1.0, 1.0])

        return self.moving(surrogate, original, build, lessons=Lessons(text, cloaked=20, every=10), rate=5e-7)
