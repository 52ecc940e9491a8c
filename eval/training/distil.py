"""Distil a tiny student from a published autoencoder; the gradient is what must agree, not only the latent.

The student is fitted on pairs (picture, perturbed picture). Perturbations are noise and, mostly, attacks in progress: a
pool of pictures each of which takes one sign step per visit, on the teacher's gradient or on the student's own (so the
student is corrected where it would be exploited). What is matched: features, latent and round trip along the student's
own path, and the **differences** between the two pictures of a pair, each relative to the size of the teacher's
difference. Matching differences in the directions that attacks take is a finite-difference form of matching input
gradients (Sobolev training, Czarnecki et al. 2017, arXiv 1706.04859). `levels.py` gives a student a good start.

    python eval/training/distil.py flux2 --art ART --emoji PACKAGE... --weights WEIGHTS --work DIR --minutes 80

Stops when the minutes of computing are used up, however often it was interrupted; the state in DIR is saved every five.
"""

import argparse
import json
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from kornia.filters import gaussian_blur2d
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "eval"), str(Path(__file__).parent)]


from cloak.surrogates.tiny import TinyDecoder, TinyEncoder  # noqa: E402
from cloak_eval.teachers import level_outputs, load_taef2, load_vaelight  # noqa: E402
from training.optimisation import Optimiser, add_training_options, train  # noqa: E402
from training.pictures import PictureSampler, load_art, render_emoji  # noqa: E402

ENCODERS = {
    "flux2": {"channels": 64, "latent_channels": 32, "blocks": (3, 3, 3), "side_path": True},
    "sd1": {"channels": 32, "latent_channels": 4, "blocks": (1, 2, 2), "side_path": False},
}
DECODERS = {"flux2": {"channels": 64, "latent_channels": 32, "blocks": (3, 3, 2, 1), "side_path": True}}
HINT_SHARE = 0.25  # weight of features inside, beside what comes out


class Teacher:
    """A frozen published model in bfloat16; hints are None where its structure has no comparable level."""

    def __init__(self, family: str, folder: Path) -> None:
        self.decoder: nn.Module | None = None
        if family == "flux2":
            self.encoder, self.decoder = load_taef2(folder)
        else:
            self.encoder = load_vaelight(folder)
        for model in (self.encoder, self.decoder):
            if model is not None:
                model.to(torch.bfloat16).to(memory_format=torch.channels_last)

    def encode_levels(self, x: Tensor) -> list[Tensor | None]:
        x = x.to(torch.bfloat16, memory_format=torch.channels_last)
        if self.decoder is None:
            return [None, None, None, self.encoder(2 * x - 1)]
        return list(level_outputs(self.encoder, x, self.encoder.level_ends))

    def decode_levels(self, z: Tensor) -> list[Tensor]:
        return level_outputs(self.decoder, z, self.decoder.level_ends)


def seen_change(before: Tensor, after: Tensor) -> Tensor:
    """What attacks through the decoder maximise: low and middle frequencies of the change, one number per picture."""
    change = (after - before).float()
    low, fine = gaussian_blur2d(change, (19, 19), (3.0, 3.0)), gaussian_blur2d(change, (7, 7), (0.8, 0.8))
    return (low**2).mean((1, 2, 3)) + 0.5 * ((fine - low) ** 2).mean((1, 2, 3))


@dataclass
class Visit:
    """One picture of the pool under attack."""

    x: Tensor
    delta: Tensor
    epsilon: float
    steps_left: int
    on_teacher: bool
    weights: Tensor


class AttackPool:
    """Pictures under attack; each visit takes one sign step, and a picture leaves after a random number of them."""

    def __init__(self, sampler: PictureSampler, *, size: int, crop: int, generator: torch.Generator) -> None:
        self.sampler, self.crop, self.generator = sampler, crop, generator
        self.visits = [self._fresh() for _ in range(size)]

    def _fresh(self) -> Visit:
        draw = torch.rand(5, generator=self.generator)
        x = self.sampler.crop(self.crop)
        epsilon = float(2 + 6 * draw[0]) / 255
        delta = epsilon * (2 * torch.rand(x.shape, generator=self.generator) - 1)
        return Visit(
            x,
            delta,
            epsilon,
            int(1 + 11 * draw[1]),
            bool(draw[2] < 0.6),
            torch.randn(4, generator=self.generator),
        )

    def draw(self, count: int) -> list[int]:
        return torch.randperm(len(self.visits), generator=self.generator)[:count].tolist()

    def step(self, index: int, gradient: Tensor) -> None:
        visit = self.visits[index]
        visit.steps_left -= 1
        if visit.steps_left <= 0:
            self.visits[index] = self._fresh()
            return
        delta = visit.delta + visit.epsilon / 4 * gradient.sign()
        visit.delta = (visit.x + delta.clamp(-visit.epsilon, visit.epsilon)).clamp(0, 1) - visit.x


def relative(error: Tensor, reference: Tensor) -> Tensor:
    """Mean squared error over the mean square of the reference."""
    return error.float().pow(2).mean() / reference.float().pow(2).mean().clamp_min(1e-8)


def spread(reference: Tensor) -> Tensor:
    return reference.float() - reference.float().mean((0, 2, 3), keepdim=True)


def level_losses(levels: list[nn.Module], start: Tensor, hints: list[Tensor | None]) -> tuple[list[Tensor], Tensor]:
    """Relative feature errors of each level, and the last output."""
    losses, x = [], start
    for level, hint in zip(levels, hints, strict=True):
        x = level(x)
        if hint is not None:
            losses.append(relative(x - hint, spread(hint)))
    return losses, x


class Fit(ABC):
    """A student and its optimiser; what a training step is, subclasses say.

    Args:
        family: key of `ENCODERS`.
        networks: the encoder and, where there is one, the decoder.
        rate: peak learning rate of the convolutions.
        start: folder of exported weights to go on from.
    """

    def __init__(self, family: str, networks: list[nn.Module], *, rate: float, start: Path | None = None) -> None:
        self.family = family
        networks = [network.to(memory_format=torch.channels_last) for network in networks]
        self.models = dict(zip(("encoder", "decoder"), networks, strict=False))
        self.before = (0.0, 0) if start is None else load_start(start, family, self.models)
        self.optimiser = Optimiser(networks, rate=rate)

    @abstractmethod
    def step(self, *, done: float) -> dict[str, float]:
        """Take one step; `done` is the share of the training that is over. Returns losses by name."""

    def export(self, work: Path, numbers: dict[str, float]) -> None:
        """fp16 safetensors with the architecture, and the training before and now, in the header's metadata."""
        seconds, step = self.before[0] + numbers["seconds"], self.before[1] + int(numbers["step"])
        for part, model in self.models.items():
            tensors = {k: v.detach().to(torch.float16).contiguous() for k, v in model.state_dict().items()}
            metadata = {
                "architecture": json.dumps((ENCODERS if part == "encoder" else DECODERS)[self.family]),
                "family": self.family,
                "steps": str(step),
                "seconds": str(int(seconds)),
            }
            save_file(tensors, work / f"{self.family}_{part}.safetensors", metadata=metadata)


class Distillation(Fit):
    """The student, its optimiser and one training step."""

    def __init__(self, family: str, teacher: Teacher, pool: AttackPool, *, pairs: int, **settings: Any) -> None:
        self.teacher, self.pool, self.pairs = teacher, pool, pairs
        self.encoder = TinyEncoder(**ENCODERS[family])
        self.decoder = TinyDecoder(**DECODERS[family]) if family in DECODERS else None
        super().__init__(family, [self.encoder] if self.decoder is None else [self.encoder, self.decoder], **settings)

    def _teach(self, x: Tensor, xp: Tensor) -> tuple[list, list, Tensor]:
        """Teacher's levels for clean and perturbed pictures, and the teacher's attack gradient on the latter."""
        with torch.no_grad():
            clean = self.teacher.encode_levels(x)
            clean_out = self.teacher.decode_levels(clean[-1]) if self.decoder is not None else []
        xp = xp.requires_grad_()
        hot = self.teacher.encode_levels(xp)
        hot_out = self.teacher.decode_levels(hot[-1]) if self.decoder is not None else []
        if self.decoder is not None:
            goal = seen_change(clean_out[-1], hot_out[-1]).sum()
        else:
            goal = ((hot[-1] - clean[-1]).float() ** 2).mean((1, 2, 3)).sum()
        (gradient,) = torch.autograd.grad(goal, xp)
        join = [None if a is None else torch.cat([a, b.detach()]) for a, b in zip(clean, hot, strict=True)]
        join_out = [torch.cat([a, b.detach()]) for a, b in zip(clean_out, hot_out, strict=True)]
        return join, join_out, gradient

    def step(self, *, done: float) -> dict[str, float]:
        indices = self.pool.draw(self.pairs)
        visits = [self.pool.visits[i] for i in indices]
        x = torch.stack([v.x for v in visits])
        xp = x + torch.stack([v.delta for v in visits])
        hints, hints_out, teacher_gradient = self._teach(x, xp.clone())
        both = torch.cat([x, xp]).contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            losses, latent = level_losses(self.encoder.levels(), both, hints)
            out_losses, picture = [], None
            if self.decoder is not None:
                out_losses, picture = level_losses(self.decoder.levels(), 3 * torch.tanh(latent / 3), hints_out)
        loss = HINT_SHARE * (sum(losses) + sum(out_losses))
        loss = loss + (1 - HINT_SHARE) * (losses[-1] + (out_losses[-1] if out_losses else 0.0))
        report = {f"e{i}": float(v.detach()) for i, v in enumerate(losses)}
        report |= {f"d{i}": float(v.detach()) for i, v in enumerate(out_losses)}
        difference, extra = self._difference(latent, hints[-1])
        report |= {"dz": float(difference.detach())} | extra
        loss = loss + difference
        student_gradient = None
        if picture is not None:
            shift, extra = self._difference(picture, hints_out[-1])
            low, extra = self._difference(self._low(picture), self._low(hints_out[-1]))
            report |= {"dx": float(shift.detach()), "dlow": float(low.detach()), "low_cos": extra["cos"]}
            loss = loss + shift + 2 * low
            goal = seen_change(*picture.float().chunk(2)).sum()
            (student_gradient,) = torch.autograd.grad(goal, both, retain_graph=True)
            student_gradient = student_gradient.chunk(2)[1]
            report["grad_cos"] = float(
                nn.functional.cosine_similarity(student_gradient.flatten(1), teacher_gradient.flatten(1)).mean()
            )
        loss.backward()
        nn.utils.clip_grad_norm_([p for m in self.models.values() for p in m.parameters()], 1.0)
        self.optimiser.step(done=done)
        for row, index in enumerate(indices):
            on_teacher = visits[row].on_teacher or student_gradient is None
            self.pool.step(index, (teacher_gradient if on_teacher else student_gradient)[row])
        return report

    @staticmethod
    def _low(x: Tensor) -> Tensor:
        return gaussian_blur2d(x.float(), (19, 19), (3.0, 3.0))

    @staticmethod
    def _difference(student: Tensor, teacher: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Per-pair relative error of the change, capped so that pairs with hardly any change don't rule."""
        clean, hot = student.float().chunk(2)
        clean_t, hot_t = teacher.float().chunk(2)
        ours, theirs = (hot - clean).flatten(1), (hot_t - clean_t).flatten(1)
        floor = 0.02 * clean_t.flatten(1).var(1)
        error = ((ours - theirs) ** 2).mean(1) / ((theirs**2).mean(1) + floor)
        cosine = nn.functional.cosine_similarity(ours, theirs).mean()
        return error.mean(), {"cos": float(cosine.detach())}


def load_start(folder: Path, family: str, models: dict[str, nn.Module]) -> tuple[float, int]:
    """Fill models from exported weights; blocks that those lack begin as the identity. Returns seconds and steps."""
    metadata: dict[str, str] = {}
    for part, model in models.items():
        path = folder / f"{family}_{part}.safetensors"
        tensors = {name: value.float() for name, value in load_file(path).items()}
        missing, unexpected = model.load_state_dict(tensors, strict=False)
        if unexpected:
            raise SystemExit(f"{path} does not fit the architecture: {unexpected}")
        for name in missing:
            if ".convolutions.4." in name:  # the last convolution of a block
                nn.init.zeros_(model.get_parameter(name))
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
    return float(metadata["seconds"]), int(metadata["steps"])


def add_sources(parser: argparse.ArgumentParser) -> None:
    """What all training of students learns from."""
    parser.add_argument("--art", type=Path, required=True, help="folder of artists' folders of JPEG pictures")
    parser.add_argument("--emoji", type=Path, nargs="*", default=[], help="unpacked @iconify-json packages")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the teachers' safetensors")


def picture_sampler(options: argparse.Namespace, generator: torch.Generator) -> PictureSampler:
    emoji = render_emoji(options.emoji, per_package=400, generator=torch.Generator().manual_seed(options.seed))
    return PictureSampler(load_art(options.art), emoji, art_share=0.65, generator=generator)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=sorted(ENCODERS))
    add_sources(parser)
    add_training_options(parser, minutes=80, rate=4e-3)
    parser.add_argument("--crop", type=int, default=192, help="training crop, pixels")
    parser.add_argument("--pairs", type=int, default=2, help="pairs of clean and perturbed crops per step")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed + int(time.time()))  # a resumed run sees new pictures
    pool = AttackPool(picture_sampler(options, generator), size=48, crop=options.crop, generator=generator)
    teacher = Teacher(options.family, options.weights)
    run = Distillation(options.family, teacher, pool, pairs=options.pairs, rate=options.rate, start=options.start)
    train(run, options.work, minutes=options.minutes)


if __name__ == "__main__":
    main()
