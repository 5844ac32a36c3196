"""Writes of the quality gates: what is expected of a data set, what is waived of it, what a gate found."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Max

from mlops_site.core import events
from mlops_site.core.errors import Conflict, FieldError, Invalid, NotFound
from mlops_site.core.permissions import Action, Actor, person, require
from mlops_site.core.texts import unseen
from training.choices import Stage
from training.ml.findings import ADVICE, NEVER_WAIVED
from training.models import Dataset, DatasetVersion, Expectations, GateReport, Waiver
from training.models.quality import MAX_WAIVED_DAYS
from training.selectors import quality as gates
from training.selectors.keeping import data_of, lost

if TYPE_CHECKING:
    import pandas as pd

    from training.ml.findings import QualityReport

MAX_DOCUMENT_BYTES = 500_000
MAX_REASON = 500
WAIVABLE = sorted(name for name in ADVICE if name not in NEVER_WAIVED and name != "schema")


def set_expectations(
    dataset: Dataset, *, actor: Actor, document: Any, comment: str, inferred_from: DatasetVersion | None = None
) -> Expectations:
    """The next version of what is expected of a data set; the newest one as it is, if it says the same. Raises
    Forbidden, Invalid naming every part of the document at fault."""
    why = _reason("comment", comment)
    with events.atomic():
        require(actor, Action.EXPECTATIONS_SET, dataset.team, subject=dataset.subject)
        _check_document(document)
        digest = events.digest_of(document)
        Dataset.objects.select_for_update(no_key=True).get(pk=dataset.pk)  # numbered one after the other
        newest = gates.expectations(dataset).first()
        if newest is not None and newest.digest == digest:
            return newest
        made = Expectations.objects.create(
            dataset=dataset,
            version=(dataset.expectations.aggregate(last=Max("version"))["last"] or 0) + 1,
            document=document,
            digest=digest,
            inferred_from=inferred_from,
            comment=why,
            created_by=person(actor),
        )
        source = None if inferred_from is None else str(inferred_from)
        data = {"version": made.version, "digest": digest, "inferred_from": source, "comment": why}
        events.record("expectations.set", actor=actor, subject=dataset.subject, team=dataset.team.name, data=data)
    return made


def infer_expectations(version: DatasetVersion, *, actor: Actor, comment: str = "") -> Expectations:
    """Expect of the next versions what holds of this one, which must have passed its own gate. Raises Forbidden,
    Conflict `not_trusted`."""
    from training.ml import expectations  # imports pandera: see services.schema

    require(actor, Action.EXPECTATIONS_SET, version.dataset.team, subject=version.dataset.subject)
    verdict = gates.verdict_of(version)
    if not verdict.passed or verdict.report.waived:
        failed = ", ".join(check.name for check in [*verdict.report.blocks, *verdict.report.waived])
        message = f"{version} must have passed its gate to be trusted but failed {failed}; choose another version"
        raise Conflict.on("version", message, code="not_trusted")
    repeated = next((check for check in verdict.report.checks if check.name == "duplicate_rows"), None)
    share = None if repeated is None else repeated.observed
    known = 0.0 if share is None else float(share)
    document = expectations.inferred(version.schema, duplicate_share=known, private=version.pii)
    said = comment or f"Inferred from {version}."
    return set_expectations(version.dataset, actor=actor, document=document, comment=said, inferred_from=version)


def waive_check(dataset: Dataset, *, actor: Actor, check: str, column: str = "", reason: str, until: date) -> Waiver:
    """Let one check of a data set fail until the end of a day (UTC). Only who may not train gives it. Raises Forbidden,
    Invalid; Conflict `waived_already` where one that holds lasts as long."""
    why = _reason("reason", reason)
    with events.atomic():
        require(actor, Action.GATE_WAIVE, dataset.team, subject=dataset.subject)
        if errors := list(_waiver_faults(dataset, check, column, until)):
            raise Invalid(errors[0].message, code=errors[0].code, errors=errors)
        same = Waiver.objects.in_force().filter(dataset=dataset, check_name=check, about=column)
        if found := same.filter(until__gte=until).first():
            message = f"{found.what} is waived until {found.until} already, by {found.by}"
            raise Conflict.on("check", message, code="waived_already")
        made = Waiver.objects.create(
            dataset=dataset, check_name=check, about=column, reason=why, until=until, by=person(actor)
        )
        data = {"dataset": dataset.name, "check": check, "column": column, "reason": why, "until": until.isoformat()}
        events.record("waiver.given", actor=actor, subject=made.subject, team=dataset.team.name, data=data)
    return made


def revoke_waiver(waiver: Waiver, *, actor: Actor, reason: str) -> Waiver:
    """Take a waiver back at once. Raises Forbidden, Conflict `not_in_force` for one that has ended."""
    why = _reason("reason", reason)
    with events.atomic():
        require(actor, Action.GATE_WAIVE, waiver.dataset.team, subject=waiver.subject)
        revoked = {"revoked_at": datetime.now(UTC), "revoked_by": person(actor), "revoked_because": why}
        if not Waiver.objects.in_force().filter(pk=waiver.pk).update(**revoked):
            waiver.refresh_from_db()
            message = f"{waiver} is {waiver.status} and cannot be revoked"
            raise Conflict(message, code="not_in_force")
        waiver.refresh_from_db()
        data = {"dataset": waiver.dataset.name, "check": waiver.check_name, "column": waiver.about, "reason": why}
        events.record("waiver.revoked", actor=actor, subject=waiver.subject, team=waiver.dataset.team.name, data=data)
    return waiver


def check_dataset(version: DatasetVersion, *, actor: Actor) -> GateReport:
    """Put a version through the gate at ingest again, by what is expected today. Raises Forbidden, Conflict
    `data_gone`."""
    from training.ml import quality

    dataset = version.dataset
    require(actor, Action.DATASET_CHECK, dataset.team, subject=dataset.subject)
    expected = gates.expectations(dataset).first()
    report = quality.check(
        frame_of(version),
        target=version.target,
        time_column=version.time_column or None,
        group_column=version.group_column or None,
        expected=None if expected is None else expected.document,
        private=version.pii,
    )
    with events.atomic():
        made = GateReport.objects.create(
            stage=Stage.INGEST,
            dataset=version,
            expectations=expected,
            passed=report.passed,
            report=report.to_json(),
        )
        number = None if expected is None else expected.version
        data = {"version": version.version, "expectations": number, **said_of(report)}
        events.record("dataset.checked", actor=actor, subject=dataset.subject, team=dataset.team.name, data=data)
    return made


def frame_of(version: DatasetVersion) -> pd.DataFrame:
    """The stored table. Raises Conflict `data_gone`, ArtifactDamaged."""
    import pandas as pd  # which no web process needs before somebody looks at data

    try:
        return pd.read_parquet(io.BytesIO(data_of(version)))
    except NotFound as error:
        raise Conflict.on("dataset", lost(version), code="data_gone") from error


def check_passed(version: DatasetVersion, *, actor: Actor) -> None:
    """Conflict `data_blocked` where the gate at ingest holds a version back from the actor's run."""
    verdict = gates.verdict_of(version, but_of=person(actor))
    if verdict.passed:
        return
    failed = "; ".join(check.message for check in verdict.report.blocks)
    message = (
        f"{version} is blocked by its quality gate: {failed} "
        "Upload a corrected version, or have a validator or an approver waive it."
    )
    raise Conflict.on("dataset", message[:1500], code="data_blocked")


def said_of(report: QualityReport) -> dict[str, Any]:
    """What the audit chain keeps of a report."""
    return {
        "passed": report.passed,
        "blocked_by": [[check.name, check.column] for check in report.blocks][:50],
        "waivers": sorted({check.waiver["id"] for check in report.waived if check.waiver}),
    }


def _check_document(document: Any) -> None:
    from training.ml import documents

    try:
        size = len(events.canonical(document).encode())
    except (ValueError, TypeError) as error:
        raise Invalid.on("document", f"document must be JSON: {error}"[:300], code="invalid") from None
    if size > MAX_DOCUMENT_BYTES:
        message = f"document must be at most {MAX_DOCUMENT_BYTES:,} bytes but has {size:,}"
        raise Invalid.on("document", message, code="too_large")
    found = [
        FieldError(fault.field, "invalid", f"{fault.field} {fault.message}") for fault in documents.faults(document)
    ]
    if found:
        raise Invalid(found[0].message, errors=found)


def _waiver_faults(dataset: Dataset, check: str, column: str, until: date) -> Iterator[FieldError]:
    if check not in WAIVABLE:
        hint = " cannot be waived: nothing can be trained or served without it" if check in NEVER_WAIVED else ""
        message = f"check must be one of {', '.join(WAIVABLE)} but got {check[:80]!r}{hint and ', which' + hint}"
        yield FieldError("check", "not_waivable" if hint else "unknown_check", message)
    known = {
        entry["name"] for schema in dataset.versions.values_list("schema", flat=True) for entry in schema["columns"]
    }
    if column and column not in known:
        message = f"column must be one of {dataset} but got {column[:80]!r}"
        yield FieldError("column", "unknown_column", message)
    today = datetime.now(UTC).date()
    last = today + timedelta(days=MAX_WAIVED_DAYS)
    if not today <= until <= last:
        message = f"until must be from {today} to {last} ({MAX_WAIVED_DAYS} days) but got {until}"
        yield FieldError("until", "out_of_range", message)


def _reason(field: str, text: object) -> str:
    if not isinstance(text, str) or not 1 <= len(text.strip()) <= MAX_REASON or unseen(text):
        message = f"{field} must be 1 to {MAX_REASON} characters that can be seen but got {text!r:.80}"
        raise Invalid.on(field, message, code="invalid")
    return text.strip()
