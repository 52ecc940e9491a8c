"""The only place that joins the parts: read, plan views, attack, fit to the cap, write, read back, certify."""

import dataclasses
import datetime
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cloak import __version__
from cloak.attacks import PGD, AttackStep, Descent, descend
from cloak.budgets import STRENGTHS, Linf, StrengthLevel, Visibility, fit_scale, uniform_level, visibility_from
from cloak.certificate import (
    Certificate,
    VisibilityFigures,
    document_facts,
    file_facts,
    measure_visibility,
    model_facts,
    package_versions,
)
from cloak.destination import Destination, plan_output
from cloak.device import peak_memory, release_memory
from cloak.effect import Comparison, ModelEffect
from cloak.effort import EFFORTS, EffortLevel
from cloak.errors import FloorError, OutputError, UsageError
from cloak.image import PictureDocument, read_picture
from cloak.inquiry import Loss
from cloak.memory import affordable_side
from cloak.methods import METHODS, Method
from cloak.objectives import WeightedSum
from cloak.perceptual import lpips
from cloak.scene import Scene
from cloak.surrogates import Surrogate
from cloak.targets import Target, choose_target
from cloak.transforms import ExpectationOverTransforms
from cloak.types import Step
from cloak.verdict import verdict_for
from cloak.views import View, ViewedLoss, detail_views, whole_view

if TYPE_CHECKING:
    from cloak.protect import Protector

__all__ = ["Passage", "Result", "Source"]

Measure = Callable[[Tensor], Visibility]
Source = Path | str | bytes | Any
_TRAINED = 512  # pixels; what most trainers resize to


@dataclasses.dataclass(frozen=True)
class Result:
    """A protected picture.

    Args:
        data: contents of the picture file as written.
        format: of `data`.
        certificate: what was done and measured.
        path: where it was written; None when it was not.
        certificate_path: the certificate beside it; None when nothing was written.
    """

    data: bytes
    format: str
    certificate: Certificate
    path: Path | None = None
    certificate_path: Path | None = None


class Passage:
    """One picture on its way through: `prepare`, `attack`, `finish`.

    Args:
        protector: settings and models.
        source, output, name, overwrite: see `Protector.steps`.
    """

    def __init__(
        self, protector: "Protector", source: Source, output: Path | str | None, *, name: str | None, overwrite: bool
    ) -> None:
        self.protector, self.config = protector, protector.config
        self.path = Path(source) if isinstance(source, str | Path) else None
        self.source = self.path if self.path is not None else source
        self.name = name
        self.destination = self._destination(output, overwrite)
        self.method: Method = METHODS.get(self.config.method).value(seed=self.config.seed, style=self.config.style)
        self.effort: EffortLevel = EFFORTS[self.config.effort]
        self.level, self.steps_asked = self._budget()
        self.generator = torch.Generator().manual_seed(self.config.seed)
        self.begin = time.perf_counter()
        self.spent = 0.0  # seconds, up to the last pause
        self.taken = 0

    def _budget(self) -> tuple[StrengthLevel, int]:
        """How far the picture may move, and in how many steps: ours, or those that the method was published with."""
        if not self.config.own_budget:
            return STRENGTHS[self.config.strength], self.effort.steps
        published = self.method.published
        if published is None:
            raise UsageError(f"The method {self.config.method!r} has no published budget; leave --own-budget out.")
        return uniform_level(published.linf), published.steps

    def _destination(self, output: Path | str | None, overwrite: bool) -> Destination | None:
        if self.path is None and output is None:
            return None
        asked = None if output is None else Path(output)
        path = asked if self.path is None else plan_output(self.path, asked, self.config.format)
        assert path is not None
        destination = Destination(path, overwrite)
        destination.check(self.path)
        return destination

    def steps(self, enough: Callable[[], bool]) -> Iterator[Step]:
        """All of the way, see `Protector.steps`."""
        yield from self.prepare()
        yield from self.attack(enough)
        yield from self.finish()

    def pause(self) -> None:
        """Let no time count until `resume`, since others are worked on."""
        self.spent += time.perf_counter() - self.begin

    def resume(self) -> None:
        self.begin, self.spent = time.perf_counter() - self.spent, 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the working picture, pixels."""
        height, width = self.scene.working.shape[-2:]
        return height, width

    @property
    def side(self) -> int:
        """Short side, pixels, at which models can look at a whole picture."""
        return affordable_side(self.protector.surrogates, self.effort.side, self.config.max_memory)

    def prepare(self) -> Iterator[Step]:
        """Read the picture and look at it."""
        yield self._step("read", message="reading")
        self.scene = Scene(read_picture(self.source, name=self.name), level=self.level)
        yield self._step("models", message="loading models")
        surrogates = self.protector.surrogates
        self._check_models(surrogates)
        yield self._step("prepare", message="looking at the original")
        self.target = self._target(self.scene)
        self.loss = self._loss(self.scene, surrogates, self.target)
        self.change = torch.zeros_like(self.scene.working)

    def attack(self, enough: Callable[[], bool] = lambda: False) -> Iterator[Step]:
        """Find the change of the working picture, (1, 3, h, w)."""
        descent = self.descent()
        if descent is None:
            yield self._scattered()
            return
        for steps in descend([descent]):
            yield self.moved(steps[0])
            if enough():
                return

    def descent(self) -> Descent | None:
        """The attack from its beginning; None where no model has anything to say or no steps are asked for."""
        self.generator.manual_seed(self.config.seed)
        attack = PGD(self._ball(), config=self.method.optimiser(self.steps_asked), generator=self.generator)
        self.attack_began = time.perf_counter()
        if self.loss is None or attack.config.steps == 0:
            return None
        return Descent(attack, self.scene.working.to(self.protector.device), self.loss)

    def moved(self, step: AttackStep) -> Step:
        """Note how far the attack is."""
        self.taken = step.index
        if step.index % 8 == 0:
            release_memory()
        x = step.x.cpu()
        self.change = x - self.scene.working
        each = (time.perf_counter() - self.attack_began) / step.index
        return self._step(
            "attack",
            index=step.index,
            total=step.total,
            eta_seconds=each * (step.total - step.index) + 4 * each,
            loss=step.loss,
            distance=step.distance,
            preview=lambda: x,
        )

    def _scattered(self) -> Step:
        """Noise, as far as it may go."""
        ball, working = self._ball(), self.scene.working.to(self.protector.device)
        draw = (torch.rand(working.shape, generator=self.generator) * 2 - 1).to(working)
        self.change = ball.project(working + draw * ball.radius, working).cpu() - self.scene.working
        return self._step("attack", index=0, total=0)

    def _ball(self) -> Linf:
        return self.scene.ball().to(self.protector.device)

    def finish(self) -> Iterator[Step]:
        """Fit, write and certify the change that was found."""
        scene = self.scene
        self.loss = None  # and with it what the models need of the original
        release_memory()
        yield self._step("fit", message="fitting to the visibility cap")
        measure = visibility_from(scene.shown, lpips("alex"))
        data, shown = self._fit(scene, self.change, measure)
        release_memory()
        yield self._step("verify", message="measuring the written file")
        visibility = measure_visibility(scene.shown, shown, vgg=self.effort.thorough, measure=measure)
        del measure  # and with it what the metric needs of the original
        result = self._certified(scene, data, shown, visibility, self.target)
        yield self._step("write", message="writing")
        yield self._step("done", result=self._write(result))

    def _check_models(self, surrogates: list[Surrogate]) -> None:
        """A method whose needs no model meets would leave nothing but noise."""
        needs = METHODS.get(self.config.method).requires
        if not any(needs <= surrogate.capabilities for surrogate in surrogates):
            raise UsageError(
                f"The method {self.config.method!r} needs a model that can {', '.join(sorted(needs))}; "
                f"{', '.join(surrogate.name for surrogate in surrogates)} cannot. Take a whole latent diffusion model: "
                "--models miniature, a diffusers folder, or sd15 after `cloak models pull sd15`."
            )

    def _step(self, stage: Any, **fields: Any) -> Step:
        return Step(stage, seconds=time.perf_counter() - self.begin, source=self.path, **fields)

    def _target(self, scene: Scene) -> Target | None:
        asked = self.config.target != "auto" or self.config.key is not None
        if not (asked or self.method.needs_target):
            return None
        return choose_target(scene.working, self.config.target, key=self.config.key)

    def _loss(self, scene: Scene, surrogates: list[Surrogate], target: Target | None) -> Loss | None:
        transforms = self.method.transforms()
        prepared = []
        for view, probability in self._views(scene.working):
            original = view.look(scene.working).to(self.protector.device)
            losses = [self.method.loss(surrogate, original, target) for surrogate in surrogates]
            present = [loss for loss in losses if loss is not None]
            if not present:
                return None
            expectation = ExpectationOverTransforms(
                WeightedSum(present, [1.0] * len(present)),
                [transform for transform, _ in transforms],
                probabilities=[chance for _, chance in transforms],
                generator=self.generator,
            )
            prepared.append((view, probability, expectation))
        return scene.achromatic(ViewedLoss(prepared, generator=self.generator))

    def _views(self, working: Tensor) -> list[tuple[View, float]]:
        """Where to look, with the share of steps; what a picture has no views for goes to the whole of it."""
        effort = self.effort
        details = detail_views(working, effort.side) if effort.detail else []
        whole = whole_view(working, self.side), 1.0 - effort.detail if details else 1.0
        return [whole, *((view, effort.detail / len(details)) for view in details)]

    def _fit(self, scene: Scene, change: Tensor, measure: Measure) -> tuple[bytes, Tensor]:
        """File contents at the largest scale of the change at which the stored picture is within the cap."""
        config = self.config
        change = scene.enlarged(change)
        for quality in self._qualities(scene):
            encode = scene.encoder(
                choice=config.format, metadata=config.metadata, notice=config.notice, quality=quality
            )
            scale = fit_scale(functools.partial(self._share, scene, measure, change, encode))
            if scale > 0.35:
                break
        if scale == 0:
            raise OutputError(
                f"{scene.document.name}: as {scene.document.output_format(config.format).upper()} there is no room for "
                f"a cloak within what --strength {config.strength} allows; take a higher --strength, --quality or png."
            )
        data = encode(scene.pixels(change, scale))
        return data, scene.reread(data)

    def _share(
        self, scene: Scene, measure: Measure, change: Tensor, encode: Callable[[Tensor], bytes], scale: float
    ) -> float:
        """Share of the visibility cap that the stored picture uses with `scale` times the change."""
        return measure(scene.stored(change, encode, self.config.format, scale)).share_of(self.level.caps)

    def _qualities(self, scene: Scene) -> list[int | None]:
        """Encoder qualities to try: coarse coding alone may use up the visibility cap, so finer ones follow."""
        if self.config.quality is not None or not scene.is_lossy(self.config.format):
            return [self.config.quality]
        return [None, 96, 98, 100]

    def _certified(
        self, scene: Scene, data: bytes, shown: Tensor, visibility: VisibilityFigures, target: Target | None
    ) -> Result:
        comparison = Comparison(
            scene.shown, shown, metric=lpips("alex"), side=self._trained_side(), own_size=self.effort.thorough
        )
        effects = [
            comparison.effect_on(surrogate, target=target, battery=self.effort.battery)
            for surrogate in self.protector.surrogates
        ]
        self._check_floor(effects)
        certificate = self._certificate(scene.document, data, visibility, effects, target)
        return Result(data=data, format=certificate.output.format, certificate=certificate)

    def _trained_side(self) -> int:
        """Short side that pictures have when these models are trained: 512, or that of a smaller model."""
        return min(_TRAINED, max(surrogate.side or _TRAINED for surrogate in self.protector.surrogates))

    def _check_floor(self, effects: list[ModelEffect]) -> None:
        floor = self.config.min_effect
        reached = max((effect.sizes[0].times_noise for effect in effects if effect.sizes), default=0.0)
        if floor is not None and reached < floor:
            name = self.name or (self.path.name if self.path else "The picture")
            raise FloorError(
                f"{name}: within the visibility cap the seen shift reached {reached:.1f} times the noise control, "
                f"less than the {floor:g} asked for; try a higher --strength or --effort."
            )

    def _certificate(
        self,
        document: PictureDocument,
        data: bytes,
        visibility: VisibilityFigures,
        effects: list[ModelEffect],
        target: Target | None,
    ) -> Certificate:
        surrogates, caps = self.protector.surrogates, self.level.caps
        name = self.destination.path.name if self.destination else document.name
        return Certificate(
            tool=f"artcloak {__version__}",
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            input=document_facts(document, self._input_bytes()),
            output=file_facts(data, name),
            config=self.config,
            config_sha256=self.config.digest(),
            seed=self.config.seed,
            versions=package_versions(),
            device=str(self.protector.device),
            models=[model_facts(surrogate) for surrogate in surrogates],
            target=None if target is None else target.name,
            steps=self.taken,
            seconds=round(time.perf_counter() - self.begin, 2),
            peak_memory_bytes=peak_memory(self.protector.device),
            visibility=visibility,
            visibility_caps={"lpips": caps.lpips, "delta_e_p95": caps.delta_e, "max_change": 255 * caps.linf},
            effects=effects,
            left_out=["Content Credentials (C2PA)"] if document.manifest else [],
            verdict=verdict_for(visibility.lpips, effects, all_embedded=all(s.embedded for s in surrogates)),
        )

    def _input_bytes(self) -> int | None:
        if self.path is not None:
            return self.path.stat().st_size
        return len(self.source) if isinstance(self.source, bytes) else None

    def _write(self, result: Result) -> Result:
        """Picture first, then its certificate; without a destination nothing is written."""
        if self.destination is None:
            return result
        self.destination.write(result.data, result.certificate.model_dump_json(indent=1))
        path, certificate_path = self.destination.path, self.destination.certificate
        return dataclasses.replace(result, path=path, certificate_path=certificate_path)
