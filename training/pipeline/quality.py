"""The quality gate before training, on exactly the rows of a run; and how the verdict of any gate is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.core import events, jobs
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from training.choices import CrossValidation, Stage
from training.ml import leakage, quality
from training.ml.findings import NEVER_WAIVED, Check, QualityReport, Severity
from training.ml.splits import Fold
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
        newest = _expected(run)
        document = _with_times(run, None if newest is None else newest.document)
        found = list(_leaks(run, document, table, held, folds))
        if document is not None:
            found += quality.against(table, document, features=run.spec["features"], private=run.dataset.pii)
        placed = [replace(check, where=tuple(int(rows[at - 1]) + 1 for at in check.where)) for check in found]
        judge(run, Stage.TRAINING, replace(report, checks=(*report.checks, *placed)))


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


def _leaks(
    run: Run, document: dict[str, Any] | None, table: pd.DataFrame, held: NDArray[np.bool_], folds: Sequence[Fold]
) -> Iterator[Check]:
    spec, declared = run.spec, run.dataset
    entity = (document or {}).get("entity", {})
    column = entity.get("column") or declared.group_column
    if column and column in table.columns:
        # In time order a person's past tells of their future, as it will when the model serves.
        severity: Severity = "warn" if spec["cv"] == CrossValidation.TIME else entity.get("severity", "block")
        yield leakage.entity_overlap(table[column], held, folds, column=column, severity=severity)
    yield leakage.rows_overlap(table[[*spec["features"], spec["target"]]], held)


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
