"""One cell from the artist's folder to the numbers."""

import functools
import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from cloak import __version__
from cloak.device import peak_memory, resolve_device
from cloak.image import write_file
from cloak.surrogates.inspection import file_sha256
from cloak_eval.benchmarks.results import provenance, write_json
from cloak_eval.countermeasures import countermeasure
from cloak_eval.experiments.arms import Gallery, artist_folder, learnt_remover, posted, published_pictures
from cloak_eval.experiments.cells import Cell, CellResult, MetricResult, digest
from cloak_eval.experiments.config import Experiment
from cloak_eval.experiments.judging import train_judge
from cloak_eval.experiments.sheets import cell_sheet
from cloak_eval.experiments.store import Store, as_bytes
from cloak_eval.metrics import METRICS, Evidence, StyleClassifier
from cloak_eval.metrics.classifier import crops_of
from cloak_eval.metrics.eye import eye_of, measurable
from cloak_eval.mimics import MIMICS, Mimic, TrainingSet, load_pipeline
from cloak_eval.mimics.pipelines import pipeline_folder, pipeline_sha256, resolution_of
from cloak_eval.mimics.training_set import opaque, picture_files, subject_of
from cloak_eval.removal import CloakRemover

__all__ = ["CellRun", "CellStep", "cell_key"]

_GLIMPSE = 2  # drawings of a mimic that is being trained


@dataclass(frozen=True, slots=True)
class CellStep:
    """One event within a cell.

    Args:
        cell: which.
        stage: the pictures are published (cloaked, where the cell says so), attacked, the judge and then the mimic
            learns, the mimic has drawn.
        index: steps of the stage that are done.
        total: steps of the stage.
        drawings: lets the mimic draw as it is now, (N, 3, h, w) in [0, 1], some seconds; with the last stage what it
            drew, one for each subject. None where there is nothing to see. To be called before the next step.
    """

    cell: Cell
    stage: Literal["publish", "treat", "judge", "learn", "drawn"]
    index: int = 0
    total: int = 0
    drawings: Callable[[], Tensor] | None = None


Steps = Generator[CellStep, None, Any]


def cell_key(experiment: Experiment, cell: Cell, art: list[Path]) -> str:
    """What decides a cell's numbers: its place, the settings, the program's version, the model and the pictures."""
    axes = {"artists", "methods", "strengths", "mimics", "countermeasures", "seeds", "name", "floor"}
    settings = experiment.model_dump(mode="json", exclude=axes)
    settings |= {"judged": sorted({*experiment.artists, *experiment.also_judged}), "control_of": experiment.methods[:1]}
    artists = settings["judged"]
    files = [file_sha256(file) for artist in artists for file in picture_files(artist_folder(art, artist))]
    weights = pipeline_sha256(pipeline_folder(experiment.model))
    return digest(__version__, json.dumps(settings, sort_keys=True), cell.model_dump_json(), weights, *files)


class CellRun:
    """Runs one cell and writes its result.

    Args:
        experiment: that it belongs to.
        cell: which one.
        art: folders of artists' folders.
        results: folder of the experiment's results.
        store: what cells share.
    """

    def __init__(self, experiment: Experiment, cell: Cell, *, art: list[Path], results: Path, store: Store) -> None:
        self.experiment, self.cell, self.art = experiment, cell, art
        self.path, self.store = results / f"{cell.name}.json", store
        self.device = resolve_device("auto")
        self.seconds: float | None = None
        self.losses: list[float] = []

    def steps(self, key: str) -> Generator[CellStep, None, CellResult]:
        """Run the cell; what fails is recorded as such, so that the others go on. Closing it stops."""
        begin = time.perf_counter()
        try:
            outcome: dict[str, Any] = {"status": "done", **(yield from self._measure())}
        except Exception as error:  # any cell may fail in its own way; the record says how
            outcome = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        result = CellResult(
            experiment=self.experiment.name,
            key=key,
            cell=self.cell,
            settings=self.experiment.model_dump(mode="json"),
            provenance=provenance(self.device),
            seconds=time.perf_counter() - begin,
            protect_seconds=self.seconds,
            peak_memory_bytes=peak_memory(self.device),
            **outcome,
        )
        write_json(result, self.path)
        return result

    def _measure(self) -> Steps:
        experiment, cell = self.experiment, self.cell
        gallery = Gallery(experiment, self.art, cell.artist)
        published = yield from self._published(gallery)
        pipe = load_pipeline(experiment.model, device=self.device)
        yield CellStep(cell, "judge")
        judge = self._judge()
        counter = countermeasure(cell.countermeasure)
        yield CellStep(cell, "treat")
        if counter.learns:
            counter.learn(self._learnt[1])
        treated = self._treated(counter, published, pipe)
        drawn = counter.correct((yield from self._mimicked(counter, treated, pipe, gallery)), published)
        yield CellStep(cell, "drawn", drawings=lambda: drawn)
        side = resolution_of(pipe)
        references = crops_of(gallery.others, 4, side, torch.Generator().manual_seed(1))
        eye = eye_of(experiment.model, experiment.eye)
        evidence = Evidence(
            artist=cell.artist,
            outputs=drawn,
            references=references,
            originals=gallery.stolen,
            published=published,
            judge=judge,
            others=gallery.others,
            suspicion=self._suspicion,
            see_references=self.store.features,
            eye=eye,
        )
        write_file(
            cell_sheet([gallery.stolen, published, treated, list(drawn)]), self.path.with_suffix(".jpg"), overwrite=True
        )
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        return {
            "metrics": {name: self._metric(name, evidence) for name in experiment.metrics or measurable(eye)},
            "judge": dict(vars(judge.report)),
            "called": judge.called(evidence.output_features),
            "weights": {
                experiment.model: pipeline_sha256(pipeline_folder(experiment.model)),
                **({f"{eye.name} as the eye": eye.sha256} if eye and experiment.eye else {}),
            },
            "pictures": {file.name: file_sha256(file) for file in gallery.stolen_files},
            "final_loss": sum(tail) / len(tail) if tail else None,
        }

    @functools.cached_property
    def _learnt(self) -> tuple[str, CloakRemover]:
        """What an attacker has learnt of the method, trained when it is first needed by any cell, and its key."""
        return learnt_remover(self.experiment, self.cell, self.art, self.store)

    def _suspicion(self, picture: Tensor) -> float:
        return self._learnt[1].suspicion(picture)

    def _metric(self, name: str, evidence: Evidence) -> MetricResult:
        entry = METRICS.get(name)
        metric = entry.value()
        figure, rows = metric(evidence)
        return MetricResult(
            figure=figure,
            rows=rows,
            higher_is_better=entry.higher_is_better,
            value_range=entry.value_range,
            backbone=metric.seen_through(evidence),
        )

    def _published(self, gallery: Gallery) -> Steps:
        yield CellStep(self.cell, "publish", 0, len(gallery.stolen))
        pictures = published_pictures(self.experiment, self.cell, gallery, self.store)
        while True:
            try:
                done = next(pictures)
            except StopIteration as end:
                published, self.seconds = end.value
                return published
            yield CellStep(self.cell, "publish", done, len(gallery.stolen))

    def _treated(self, counter: Any, published: list[Tensor], pipe: Any) -> list[Tensor]:
        if self.cell.countermeasure == "none":
            return published
        weights = pipeline_sha256(pipeline_folder(self.experiment.model))
        learnt = self._learnt[0] if counter.learns else ""
        place = (self.cell.countermeasure, str(self.cell.seed), weights, learnt)
        key = digest("treat", __version__, *place, as_bytes(published))
        return self.store.pictures(key, lambda: counter.treat_all(published, pipe, seed=self.cell.seed))

    def _mimicked(self, counter: Any, treated: list[Tensor], pipe: Any, gallery: Gallery) -> Steps:
        cell, name = self.cell, self.cell.artist.replace("_", " ").replace("-", " ")
        training = TrainingSet(name, treated, [subject_of(file) for file in gallery.stolen_files])
        kind = MIMICS.get(cell.mimic).value
        mimic: Mimic = kind(kind.config_class(**self.experiment.mimic_settings.get(cell.mimic, {})))
        counter.prepare(pipe, treated, torch.Generator().manual_seed(cell.seed))
        subjects = self.experiment.subjects[:_GLIMPSE]
        for step in mimic.steps(pipe, training, seed=cell.seed):
            self.losses.append(step.loss)
            glimpse = functools.partial(mimic.glimpse, pipe, name, subjects, seed=cell.seed)
            yield CellStep(cell, "learn", step.index, step.total, glimpse)
        return mimic.draw(pipe, name, self.experiment.subjects, seed=cell.seed)

    def _judge(self) -> StyleClassifier:
        experiment = self.experiment
        files = [
            (name, path, file_sha256(path))
            for name in sorted({*experiment.artists, *experiment.also_judged})
            for path in picture_files(artist_folder(self.art, name))
        ]
        weights = pipeline_sha256(pipeline_folder(experiment.model))
        settings = (experiment.posted_side, experiment.judge_crops, self.store.folder)
        return _judge_of(tuple(files), experiment.model, weights, *settings)


@functools.lru_cache(maxsize=1)
def _judge_of(
    files: tuple[tuple[str, Path, str], ...], model: str, weights: str, side: int | None, crops: int, kept: Path
) -> StyleClassifier:
    """The judge that cells of a matrix share: of artists, their files and what was in them, and a model."""
    gallery: dict[str, list[Tensor]] = {}
    for artist, path, _ in files:
        gallery.setdefault(artist, []).append(posted(opaque(path), side))
    pipe = load_pipeline(model, device=resolve_device("auto"))  # a fresh one, since mimics train theirs
    return train_judge(gallery, pipe, Store(kept), weights=weights, crops=crops)
