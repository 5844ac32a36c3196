"""The quality gate before training, on exactly the rows of a run; and how the verdict of any gate is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.core import events, jobs
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from training.choices import CrossValidation, Stage
from training.ml import large, leakage, quality
from training.ml.executors import Executor
from training.ml.findings import NEVER_WAIVED, Check, QualityReport, Severity
from training.ml.splits import Fold
from training.ml.stored import Stored
from training.models import Expectations, GateReport, Run, Share, Training
from training.pipeline.steps import say
from training.selectors import quality as gates
from training.services.quality import said_of


def of_table(run: Training | Share, table: pd.DataFrame) -> QualityReport:
    """What is found in the whole table of a run. What nothing can be trained without ends the run at once."""
    spec, declared = run.spec, run.dataset
    report = quality.check(
        table,
        target=spec["target"],
        task_type=spec["task_type"],
        time_column=declared.time_column or None,
        group_column=declared.group_column or None,
        features=spec["features"],
        copies="block",
        private=declared.pii,
    )
    if any(check.name in NEVER_WAIVED for check in report.blocks):
        judge(run, Stage.TRAINING, report)
    return report


def before_training(
    run: Training | Share,
    report: QualityReport,
    table: pd.DataFrame,
    *,
    rows: NDArray[np.intp],
    held: NDArray[np.bool_],
    folds: Sequence[Fold],
) -> None:
    """The gate before training, once the rows (n) that have a target are split: `rows` (n,) are their places in the
    data set, `held` (n,) tells the holdout, `folds` are positions among the others. Raises Invalid with every check
    that blocks. A reproduction registers nothing and is not held back."""
    if isinstance(run, Run):
        document = document_of(run)
        told = table[[*run.spec["features"], run.spec["target"]]]
        found = list(leaks_in(run, table.get, told, held, folds))
        if document is not None:
            found += quality.against(table, document, features=run.spec["features"], private=run.dataset.pii)
        judge(run, Stage.TRAINING, replace(report, checks=(*report.checks, *at_their_places(found, rows))))


def document_of(run: Run) -> dict[str, Any] | None:
    """What is expected of the run's table."""
    newest = _expected(run)
    return _with_times(run, None if newest is None else newest.document)


def of_stored(run: Run, stored: Stored, work: Executor) -> QualityReport:
    """What is found in a table in parts, what is expected of it too; as in `of_table`."""
    spec, declared = run.spec, run.dataset
    report = large.quality_of(
        stored,
        work,
        target=spec["target"],
        task_type=spec["task_type"],
        time_column=declared.time_column or None,
        group_column=declared.group_column or None,
        expected=document_of(run),
        features=spec["features"],
        copies="block",
        private=declared.pii,
    )
    if any(check.name in NEVER_WAIVED for check in report.blocks):
        judge(run, Stage.TRAINING, report)
    return report


def leaks_in(
    run: Run,
    column: Callable[[str], pd.Series[Any] | None],
    hashes: pd.DataFrame,
    held: NDArray[np.bool_],
    folds: Sequence[Fold],
) -> Iterator[Check]:
    """What is on both sides of the holdout or of a fold: entities, of a column by name, and rows, by what tells them
    apart."""
    spec, declared = run.spec, run.dataset
    entity = (document_of(run) or {}).get("entity", {})
    name = entity.get("column") or declared.group_column
    if name and (values := column(name)) is not None:
        # In time order a person's past tells of their future, as it will when the model serves.
        severity: Severity = "warn" if spec["cv"] == CrossValidation.TIME else entity.get("severity", "block")
        yield leakage.entity_overlap(values, held, folds, column=name, severity=severity)
    yield leakage.rows_overlap(hashes, held)


def at_their_places(checks: Iterable[Check], rows: NDArray[np.intp]) -> list[Check]:
    """Checks of some rows, told by the places (n,) of these in the data set."""
    return [replace(check, where=tuple(int(rows[at - 1]) + 1 for at in check.where)) for check in checks]


def _expected(run: Training | Share) -> Expectations | None:
    return gates.expectations(run.dataset.dataset).first()


def _with_times(run: Training | Share, document: dict[str, Any] | None) -> dict[str, Any] | None:
    """The document with what the run itself says of when its features are known."""
    asked = run.spec.get("available_at")
    if not asked:
        return document
    columns = dict((document or {}).get("columns", {}))
    for name, column in asked.items():
        columns[name] = {**columns.get(name, {}), "available_at": {"column": column, "severity": "block"}}
    return {**(document or {}), "columns": columns, "prediction_time": run.dataset.time_column}


def judge(run: Training | Share, stage: Stage, report: QualityReport) -> None:
    """Keep what was found, under the waivers of now, and go on or raise Invalid."""
    if isinstance(run, Run):
        report = report.waive(gates.in_force(run.dataset.dataset, but_of=run.requested_by))
        _keep(run, stage, report)
    for check in [*report.warnings, *report.waived]:
        say(run, check.message if check.waiver is None else f"waived by {check.waiver['by']}: {check.message}")
    if report.blocks:
        said = "; ".join(check.message for check in report.blocks)
        raise Invalid(f"blocked by the quality gate {stage.label}: {said}"[:2000], code=report.blocks[0].name)


def _keep(run: Run, stage: Stage, report: QualityReport) -> None:
    with jobs.fenced(run):
        GateReport.objects.create(
            stage=stage,
            dataset=run.dataset,
            run=run,
            attempt=run.attempt,
            expectations=_expected(run) if stage == Stage.TRAINING else None,
            passed=report.passed,
            report=report.to_json(),
        )
        data = {"stage": str(stage), **said_of(report)}
        events.record(
            "run.gate_judged", actor=Actor.system("training"), subject=run.subject, team=run.team_name, data=data
        )
