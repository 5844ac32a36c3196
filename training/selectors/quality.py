"""Reads of the quality gates: what is expected, what is waived, what was found."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from mlops_site.core.errors import FieldError, NotFound
from mlops_site.core.models import User
from mlops_site.core.permissions import Actor, visible
from training.choices import Stage
from training.ml.findings import Check, QualityReport, Waived
from training.models import Dataset, DatasetVersion, Expectations, GateReport, Run, Waiver

STAGES = [str(stage) for stage in Stage.values]


class Verdict(NamedTuple):
    """What a gate found, with the waivers that cover it; `expectations` is the number of the document it went by, None
    where the version before stood for one."""

    stage: str
    report: QualityReport
    judged_at: datetime
    expectations: int | None

    @property
    def passed(self) -> bool:
        return self.report.passed

    @property
    def failing(self) -> list[Check]:
        """What blocks first, then what is waived, then remarks."""
        failed = [check for check in self.report.checks if not check.passed]
        return sorted(failed, key=lambda check: (not check.blocks, check.waiver is None))

    @property
    def fine(self) -> list[Check]:
        return [check for check in self.report.checks if check.passed]

    def to_json(self) -> dict[str, Any]:
        """As the API answers it: each check with its stage."""
        said = self.report.to_json()
        checks = [{"stage": self.stage, **check} for check in said.pop("checks")]
        about = {"stage": self.stage, "judged_at": self.judged_at, "expectations": self.expectations}
        return {**about, **said, "blocked_by": [_named(check) for check in self.report.blocks], "checks": checks}


def _named(check: Check) -> str:
    return f"{check.name}: {check.column}" if check.column else check.name


def dataset_of(actor: Actor, name: str) -> Dataset:
    """One data set of the actor's teams; NotFound."""
    found = visible(actor, Dataset.objects.select_related("team")).filter(name=name).first()
    if found is None:
        message = f"there is no data set {name[:80]!r}; upload it first (POST /datasets)"
        raise NotFound(message, code="unknown_dataset", errors=[FieldError("dataset", "unknown_dataset", message)])
    return found


def expectations(dataset: Dataset) -> QuerySet[Expectations]:
    """Every version of what is expected of a data set, newest first: the first one holds."""
    rows = Expectations.objects.filter(dataset=dataset)
    return rows.select_related("dataset", "created_by", "inferred_from__dataset")


def waivers(dataset: Dataset) -> QuerySet[Waiver]:
    """All that was ever waived of a data set, newest first."""
    return Waiver.objects.filter(dataset=dataset).select_related("by", "revoked_by", "dataset__team")


def waiver_of(actor: Actor, pk: int) -> Waiver:
    """One waiver; NotFound if there is none or it is of another team's data set."""
    rows = Waiver.objects.select_related("by", "revoked_by", "dataset__team")
    found = visible(actor, rows, team="dataset__team").filter(pk=pk).first()
    if found is None:
        raise NotFound(f"there is no waiver {pk}", code="unknown_waiver")
    return found


def in_force(dataset: Dataset, *, but_of: User | None = None) -> list[Waived]:
    """The waivers that hold today. Those given by `but_of`, who asks for a run, do not count for that run: somebody may
    have been a validator yesterday."""
    rows = Waiver.objects.in_force().filter(dataset=dataset).select_related("by")
    if but_of is not None:
        rows = rows.exclude(by=but_of)
    return [
        Waived(row.pk, row.check_name, row.about, row.by.username, row.reason, row.until.isoformat()) for row in rows
    ]


def verdict_of(version: DatasetVersion, *, but_of: User | None = None) -> Verdict:
    """What the gate at ingest says of a version today: its last check, under the waivers that hold now."""
    last = version.gate_reports.filter(stage=Stage.INGEST).select_related("expectations").first()
    waivers = in_force(version.dataset, but_of=but_of)
    if last is None:
        report, number = QualityReport.of(version.quality), version.quality.get("expectations")
        return Verdict(Stage.INGEST, report.waive(waivers), version.created_at, number)
    return Verdict(Stage.INGEST, QualityReport.of(last.report).waive(waivers), last.created_at, _number(last))


def verdicts_of(run: Run) -> list[Verdict]:
    """What the gates of a run found, in order, each of the last attempt that reached it; with the waivers of then."""
    rows: Iterable[GateReport] = run.gate_reports.select_related("expectations").order_by("pk")
    newest = {row.stage: row for row in rows}
    return [
        Verdict(row.stage, QualityReport.of(row.report), row.created_at, _number(row))
        for row in (newest[stage] for stage in STAGES if stage in newest)
    ]


def _number(row: GateReport) -> int | None:
    return None if row.expectations is None else row.expectations.version


def told(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """What the version's card and the period's report keep of a run's gates: remarks, and what was waived."""
    remarks, waived = [], []
    for verdict in verdicts:
        remarks += [check.message for check in verdict.report.warnings]
        for check in verdict.report.waived:
            given = check.waiver or {}
            waived.append({"stage": verdict.stage, "check": _named(check), "message": check.message, **given})
            remarks.append(f"Waived by {given['by']} until {given['until']} ({given['reason']}): {check.message}")
    return {"quality": remarks, "waived": waived}
