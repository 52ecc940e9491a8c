"""Fit the levels of a student one by one: four shallow problems for each network instead of one deep one.

Each level maps the teacher's features before it to the teacher's features after it (FitNets, Romero et al. 2015, arXiv
1412.6550). The features of a fixed set of crops are computed once and kept in memory; half of the crops are perturbed,
by noise or by a few attack steps on the teacher, so that the levels agree where attacks go.

    python eval/training/levels.py flux2 --art ART --emoji PACKAGE... --weights WEIGHTS --work DIR --minutes 35

The result, in DIR, is where `distil.py --start DIR` goes on, end to end. A stopped run goes on from its saved state.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import torch
from distil import (
    DECODERS,
    ENCODERS,
    Fit,
    Teacher,
    add_sources,
    picture_sampler,
    relative,
    seen_change,
    spread,
)
from torch import Tensor, nn

from cloak.surrogates.tiny import TinyDecoder, TinyEncoder
from training.optimisation import add_training_options, train
from training.pictures import PictureSampler

BATCHES = {64: 8, 32: 12, 16: 32}  # crops a step by side of the level's output: coarse levels are cheap


def perturbed(x: Tensor, teacher: Teacher, generator: torch.Generator, steps: int) -> Tensor:
    """Noise at a random scale, or sign steps that change what the teacher sees."""
    epsilon = (1 + 7 * torch.rand(len(x), 1, 1, 1, generator=generator)) / 255
    if steps == 0:
        coarse = int(2 ** torch.randint(0, 5, (), generator=generator))
        noise = torch.randn(len(x), 3, x.shape[-2] // coarse, x.shape[-1] // coarse, generator=generator)
        return (x + epsilon * nn.functional.interpolate(noise, size=x.shape[-2:], mode="nearest")).clamp(0, 1)
    with torch.no_grad():
        before = teacher.decode_levels(teacher.encode_levels(x)[-1])[-1]
    delta = epsilon * (2 * torch.rand(x.shape, generator=generator) - 1)
    for _ in range(steps):
        hot = (x + delta).clamp(0, 1).requires_grad_()
        change = seen_change(before, teacher.decode_levels(teacher.encode_levels(hot)[-1])[-1])
        (gradient,) = torch.autograd.grad(change.sum(), hot)
        delta = (delta + 0.6 * epsilon * gradient.sign()).maximum(-epsilon).minimum(epsilon)
    return (x + delta).clamp(0, 1)


def collect(sampler: PictureSampler, teacher: Teacher, generator: torch.Generator, count: int) -> list[Tensor]:
    """Pictures and the teacher's features of them, bfloat16, channels last: picture, 3 levels, latent, 4 levels."""
    groups: list[list[Tensor]] = []
    for index in range(count // 8):
        x = torch.stack([sampler.crop(128) for _ in range(8)])
        if index % 2:
            x = perturbed(x, teacher, generator, steps=int(torch.randint(0, 4, (), generator=generator)))
        with torch.no_grad():
            encoded = teacher.encode_levels(x)
            maps = [x.bfloat16(), *encoded, *teacher.decode_levels(encoded[-1])]
        groups.append([m.bfloat16().contiguous(memory_format=torch.channels_last) for m in maps])
    return [torch.cat(maps) for maps in zip(*groups, strict=True)]


def forced_levels(encoder: TinyEncoder, decoder: TinyDecoder) -> Iterator[tuple[str, nn.Module, int, int]]:
    """Name, level, and which of the collected maps go in and come out."""
    for index, level in enumerate(encoder.levels()):
        yield f"e{index}", level, index, index + 1
    for index, level in enumerate(decoder.levels()):
        yield f"d{index}", level, index + 4, index + 5


class Forcing(Fit):
    """The student, its optimiser and one training step of all levels."""

    def __init__(self, family: str, maps: list[Tensor], *, generator: torch.Generator, **settings: Any) -> None:
        encoder, decoder = TinyEncoder(**ENCODERS[family]), TinyDecoder(**DECODERS[family])
        super().__init__(family, [encoder, decoder], **settings)
        self.maps, self.generator = maps, generator
        self.levels = list(forced_levels(encoder, decoder))

    def step(self, *, done: float) -> dict[str, float]:
        report = {name: self._fit(name, level, source, goal) for name, level, source, goal in self.levels}
        self.optimiser.step(done=done)
        return report

    def _fit(self, name: str, level: nn.Module, source: int, goal: int) -> float:
        batch = BATCHES.get(self.maps[goal].shape[-1], 8)
        rows = torch.randint(len(self.maps[0]), (batch,), generator=self.generator)
        x, y = self.maps[source][rows], self.maps[goal][rows].float()
        if name == "d0":
            x = 3 * torch.tanh(x.float() / 3)
        with torch.autocast("cpu", torch.bfloat16):
            out = level(x.contiguous(memory_format=torch.channels_last))
        loss = relative(out.float() - y, spread(y))
        loss.backward()
        return float(loss.detach())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=sorted(DECODERS))
    add_sources(parser)
    add_training_options(parser, minutes=30, rate=0.01)
    parser.add_argument("--crops", type=int, default=2400, help="crops of 128 px; each takes 1.5 MB of memory")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed + 1)
    maps = collect(
        picture_sampler(options, generator), Teacher(options.family, options.weights), generator, options.crops
    )
    run = Forcing(options.family, maps, generator=generator, rate=options.rate, start=options.start)
    train(run, options.work, minutes=options.minutes)


if __name__ == "__main__":
    main()
