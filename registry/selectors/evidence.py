"""Everything that proves how a version came to be and into production, as one file that can be checked later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

from django.db.models import Q, QuerySet

from mlops_site.core import bundle
from mlops_site.core.events import digest_of, link
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Action, Actor, require
from mlops_site.core.store import Stored
from registry.models import Artifact, Incident, PromotionRequest, Review, Version
from registry.selectors.approvals import requests_of
from registry.selectors.cards import card, card_json, markdown
from registry.selectors.cards.parts import plain
from registry.selectors.stages import intervals
from registry.selectors.validation import reports

README = """Evidence of one version of a model, as it was when this file was written.

To check it with common tools: unzip it into an empty folder, then `sha256sum --check SHA256SUMS` there.
To check also that this install wrote it, that the evidence of each approval is what was decided on, and that the
audit records are the ones of its chain: `manage.py verify_evidence FILE`.

card.md, card.json     the model card
version.json           what the version is
signature.json, metrics.json, lineage.json, gate.json (where a gate judged it)
stages.json            every stage that it was in
approvals/             each request with its evidence, its digests and its reviews
reports/               validation reports; card.json has their names
incidents.json         what went wrong with it
audit.jsonl            the audit records that concern it, each with its link in the chain
artifact/              the model, its serving form, its holdout predictions, its golden rows, its training profile
"""


def evidence_of(version: Version, *, actor: Actor) -> IO[bytes]:
    """The evidence as a ZIP with a manifest, of a version from `version_numbered`; closed by the caller.

    The same state gives the same bytes. Raises ArtifactDamaged when a stored file is not what it was.
    """
    require(actor, Action.EVIDENCE_EXPORT, version.model.team, subject=version.subject)
    requests, incidents = list(requests_of(version)), list(_incidents(version))
    about = {"model": version.model.name, "version": version.number, "artifact": version.artifact_id}
    return bundle.pack({**_texts(version, requests, incidents), **_files(version)}, about=about)


def _texts(version: Version, requests: list[PromotionRequest], incidents: list[Incident]) -> dict[str, bundle.Content]:
    found = card(version)
    documents = {
        "card.json": card_json(found),
        "version.json": _version(version),
        "signature.json": version.signature,
        "metrics.json": version.metrics,
        "lineage.json": version.lineage,
        "stages.json": [_interval(row) for row in intervals(version)],
        "incidents.json": [_incident(row) for row in incidents],
        "artifact/golden.json": version.golden,
        **({"gate.json": found.gate} if found.gate else {}),
        **{f"approvals/request-{row.pk}.json": _request(row) for row in requests},
    }
    return {
        "README.txt": README.encode(),
        "card.md": markdown(found).encode(),
        "audit.jsonl": bundle.lines_of(_audit(row) for row in audit_of(version, requests, incidents)),
        **{path: bundle.document(plain(value)) for path, value in documents.items()},
    }


def _files(version: Version) -> dict[str, bundle.Content]:
    rows: dict[str, Artifact | None] = {
        f"model.{version.artifact.format}": version.artifact,
        "serving.onnx": version.serving,
        "holdout.parquet": version.holdout,
    }
    found: dict[str, bundle.Content] = {
        f"artifact/{name}": Stored(row.digest, row.size) for name, row in rows.items() if row is not None
    }
    for report in reports(version):  # under its number: somebody typed its name
        end = "pdf" if report.media_type == "application/pdf" else "txt"
        found[f"reports/report-{report.pk}.{end}"] = Stored(report.digest, report.size)
    if version.reference is not None:
        found["artifact/reference.profile"] = bytes(version.reference)
    return found


def _version(version: Version) -> dict[str, Any]:
    names = ("params", "threshold", "importance", "facts", "mlflow", "tags", "data_digest", "signature_digest",
             "config_digest", "content_digest", "created_at")  # fmt: skip
    return {
        "model": version.model.name,
        "version": version.number,
        "team": version.model.team.name,
        "risk_tier": version.model.risk_tier,
        "created_by": version.created_by.username,
        "trained_by": version.trained_by.username,
        "artifact": {"digest": version.artifact_id, "serving": version.serving_id, "holdout": version.holdout_id},
        **{name: getattr(version, name) for name in names},
    }


def _interval(row: Any) -> dict[str, Any]:
    by = None if row.by is None else row.by.username
    times = {"from": row.started_at, "to": row.ended_at}
    return {"stage": row.stage, "cause": row.cause, **times, "by": by, "reason": row.reason, "request": row.request_id,
            "policy": row.policy_id}  # fmt: skip


def _incidents(version: Version) -> QuerySet[Incident]:
    return Incident.objects.filter(version=version).select_related("opened_by", "closed_by").order_by("pk")


def _incident(row: Incident) -> dict[str, Any]:
    people = {name: None if user is None else user.username for name, user in
              (("opened_by", row.opened_by), ("closed_by", row.closed_by))}  # fmt: skip
    names = ("kind", "what", "opened_at", "closed_at", "resolution")
    return {"id": row.pk, **{name: getattr(row, name) for name in names}, **people}


def _request(row: PromotionRequest) -> dict[str, Any]:
    names = (
        "status",
        "reason",
        "why_material",
        "expires_at",
        "evidence",
        "evidence_digest",
        "artifact_digest",
        "created_at",
        "closed_at",
    )
    people = {name: getattr(row, name).username for name in ("requester", "author", "trainer")}
    closed = None if row.closed_by is None else row.closed_by.username
    copied = {name: getattr(row, name) for name in names}
    return {"id": row.pk, **copied, **people, "closed_by": closed, "reviews": [_review(r) for r in row.reviews.all()]}


def _review(row: Review) -> dict[str, Any]:
    names = ("role", "decision", "comment", "condition", "revalidate_on", "risk_tier", "evidence_digest",
             "artifact_digest", "reports_seen", "reports_digest", "created_at", "voided_at", "void_reason")  # fmt: skip
    closing = getattr(row, "closing", None)
    closed = None if closing is None else {"by": closing.by.username, "note": closing.note, "at": closing.created_at}
    return {"reviewer": row.reviewer.username, **{name: getattr(row, name) for name in names}, "closing": closed}


def audit_of(version: Version, requests: list[PromotionRequest], incidents: list[Incident]) -> QuerySet[AuditRecord]:
    """The audit records about the version, its requests, incidents and run, and about its model itself."""
    subjects = [version.subject, *(row.subject for row in requests), *(row.subject for row in incidents)]
    if run := version.lineage.get("run"):
        subjects.append(f"run:{run}")
    about_model = Q(subject=version.model.subject, action__startswith="model.")
    return AuditRecord.objects.filter(Q(subject__in=subjects) | about_model).order_by("seq")


def _audit(row: AuditRecord) -> dict[str, Any]:
    return {"seq": row.seq, "previous": row.previous, "body": row.body, "digest": row.digest}


def evidence_faults(file: IO[bytes]) -> Iterator[str]:
    """Each way in which a file is not what `evidence_of` wrote; nothing when it is. Never raises for its content."""
    try:
        opened = bundle.unpack(file)
        yield from bundle.faults(opened)
        yield from _request_faults(opened)
        yield from _audit_faults(opened)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        yield str(error)[:300]


def _request_faults(opened: bundle.Opened) -> Iterator[str]:
    for path in sorted(name for name in opened.files if name.startswith("approvals/")):
        said = json.loads(opened.text(path))
        if digest_of(said["evidence"]) != said["evidence_digest"]:
            yield f"{path}: its evidence is not what its digest says"
        if said["artifact_digest"] != opened.about["artifact"]:
            yield f"{path}: it is about another artifact"
        for review in said["reviews"]:
            if review["evidence_digest"] != said["evidence_digest"]:
                yield f"{path}: {review['reviewer']} decided on other evidence"


def _audit_faults(opened: bundle.Opened) -> Iterator[str]:
    for line in opened.text("audit.jsonl").splitlines():
        row = json.loads(line)
        if link(row["previous"], row["body"]) != row["digest"]:
            yield f"audit record {row['seq']} is not of this install's chain"
