"""The quality gate before registration: the model that was made, of which nothing is kept anywhere yet."""

from __future__ import annotations

from collections.abc import Iterator

from registry.artifacts import scorer
from registry.artifacts.engines import open_scorer
from training.choices import Stage
from training.ml import evaluate, soundness
from training.ml.findings import Check, QualityReport
from training.models import Run
from training.pipeline.data import Rows
from training.pipeline.evidence import Files, Winner
from training.pipeline.quality import judge
from training.selectors import quality as gates


def before_registration(run: Run, winner: Winner, rows: Rows, files: Files) -> None:
    """The gate of the model that was made. Raises Invalid."""
    said = evaluate.predicted(winner.pipeline, rows.holdout.frame, rows.classes)
    again = open_scorer(files.skops, "skops", files.signature)
    checks = [
        *soundness.answers(said, rows.training.truth, classes=rows.classes),
        soundness.columns(files.signature.to_json()["inputs"], rows.kinds),
        soundness.repeats(files.golden, scorer.golden(again, [row["features"] for row in files.golden])),
        soundness.too_good(winner.report.metrics),
        *_lapsed(run),
    ]
    size = len(rows.training) + len(rows.holdout)
    judge(run, Stage.REGISTRATION, QualityReport(size, size, tuple(checks)))


def _lapsed(run: Run) -> Iterator[Check]:
    """The waivers that let the run train must still hold."""
    holding = {waiver.id for waiver in gates.in_force(run.dataset.dataset, but_of=run.requested_by)}
    before = [verdict for verdict in gates.verdicts_of(run) if verdict.stage == Stage.TRAINING]
    for check in before[0].report.waived if before else ():
        if check.waiver and check.waiver["id"] not in holding:
            message = f"The waiver of {check.name} has ended since the run began: {check.message}"
            yield Check("lapsed_waiver", check.column, "block", False, message)
