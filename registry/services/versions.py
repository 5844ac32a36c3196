"""Registering a version: bytes into the store first, then the row and its first stage in one transaction."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeGuard

from django.conf import settings

from mlops_site.core import events, store
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.models import User
from mlops_site.core.permissions import Action, Actor, person, require
from registry.artifacts.archive import named_types
from registry.artifacts.signature import Signature
from registry.choices import ArtifactFormat, Cause, Stage
from registry.models import Artifact, RegisteredModel, Version
from registry.selectors.held_rows import held_out_of
from registry.services.annotations import check_tags, remark_new
from registry.services.guards import check_live, locked, one_of, plain_json, touch
from registry.services.intervals import moment_after, open_interval
from registry.services.numbering import Number, explicit, following
from registry.signals import version_registered

MAX_METRIC = 1e300
MAX_NAME = 80  # of a metric
MAX_SAID = 256 * 1024  # characters of JSON; a list shows it for each version


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """All that a version will be. `artifact_bytes` were inspected (an upload, as a file) or made by this system."""

    artifact_bytes: IO[bytes] | bytes
    format: str  # skops or onnx
    signature: Mapping[str, Any]
    onnx_bytes: bytes | None = None  # the serving form, exact on the golden rows
    holdout_bytes: bytes | None = None  # Parquet of row_key, label, score or prediction
    held_out: bytes | None = None  # stats.heldout bytes; left out, those of the holdout
    background_bytes: bytes | None = None  # Parquet of training rows: see artifacts.summary.told
    attributions_bytes: bytes | None = None
    explanation: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)  # name -> number or {"value", "ci95"}
    params: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None  # what makes a minor version; an upload's is its params
    data_digest: str = ""
    golden: list[dict[str, Any]] = field(default_factory=list)
    reference: bytes | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    threshold: float = 0.5
    lineage: Mapping[str, Any] = field(default_factory=dict)
    feature_sets: tuple[str, ...] = ()  # claim_history@2: read for features that a caller leaves out
    facts: Mapping[str, Any] = field(default_factory=dict)  # of its training, for the card
    mlflow: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def register_version(
    model: RegisteredModel,
    *,
    actor: Actor,
    candidate: Candidate,
    trained_by: User | None = None,
    number: str | None = None,
) -> Version:
    """The version, in development; the existing one if the model has this content already.

    `number` may be any above the highest. Raises Invalid for what does not fit, Conflict for a number taken.
    """
    with events.atomic():  # refused before anything is stored
        require(actor, Action.VERSION_REGISTER, model.team, subject=model.subject)
    fields = _fields(model, candidate)
    if operators := _operator_types(candidate):
        fields["lineage"]["operator_types"] = operators
    files = _store(candidate)
    fields["content_digest"] = _content_digest(fields, files, candidate)
    with locked(model) as row:
        require(actor, Action.VERSION_REGISTER, row.team, subject=row.subject)
        found = row.versions.filter(content_digest=fields["content_digest"]).select_related("model").first()
        if found is not None:
            return _existing(found, number)
        check_live(row)
        highest = row.versions.newest_first().first()
        chosen = _number(highest, fields, number)
        by = person(actor)
        version = Version.objects.create(
            model=row, **chosen._asdict(), **fields, **_rows(files), created_by=by, trained_by=trained_by or by
        )
        remark_new(version)
        open_interval(version, stage=Stage.DEVELOPMENT, cause=Cause.REGISTERED, at=moment_after(row), by=by)
        touch(row)
        _say(version, actor)
    return version


def _say(version: Version, actor: Actor) -> None:
    data = {
        "artifact": version.artifact_id,
        "content": version.content_digest,
        "trained_by": version.trained_by.username,
    }
    if operators := version.lineage.get("operator_types"):
        data["operator_types"] = operators
    team = version.model.team.name
    events.record("version.registered", actor=actor, subject=version.subject, team=team, data=data)
    version_registered.send(sender=Version, version=version)


def _existing(found: Version, number: str | None) -> Version:
    if number is not None and number != found.number:
        message = f"this content is registered already, as {found.number}; it cannot also be {number[:40]}"
        raise Conflict(
            message, code="already_registered", errors=[FieldError("version", "already_registered", message)]
        )
    return found


def _number(highest: Version | None, fields: Mapping[str, Any], number: str | None) -> Number:
    if number is not None:
        return explicit(number, highest)
    return following(highest, signature_digest=fields["signature_digest"], config_digest=fields["config_digest"])


def _fields(model: RegisteredModel, candidate: Candidate) -> dict[str, Any]:
    one_of("format", candidate.format, [ArtifactFormat.SKOPS, ArtifactFormat.ONNX])
    signature = Signature.from_json(dict(candidate.signature))
    if signature.task_type != model.task_type:
        message = f"signature.task_type must be {model.task_type}, as {model} is, but got {signature.task_type}"
        raise Invalid.on("signature.task_type", message, code="wrong_task_type")
    if not 0 <= candidate.threshold <= 1:
        message = f"threshold must be between 0 and 1 but got {candidate.threshold}"
        raise Invalid.on("threshold", message, code="out_of_range")
    config = candidate.params if candidate.config is None else candidate.config
    read = {"feature_sets": list(candidate.feature_sets)} if candidate.feature_sets else {}
    return {
        "signature": signature.to_json(),
        "signature_digest": signature.interface_digest,
        "config_digest": events.digest_of(plain_json("config", {**config, **read})),
        "metrics": _said("metrics", normal_metrics(candidate.metrics)),
        "params": _said("params", candidate.params),
        "threshold": float(candidate.threshold),
        "data_digest": candidate.data_digest,
        "golden": candidate.golden,
        "reference": candidate.reference,
        "held_out": candidate.held_out or held_out_of(candidate.holdout_bytes, signature, candidate.threshold),
        "importance": plain_json("importance", candidate.importance),
        "explanation": plain_json("explanation", candidate.explanation),
        "lineage": plain_json("lineage", {**candidate.lineage, **read}),
        "facts": _said("facts", candidate.facts),
        "mlflow": plain_json("mlflow", candidate.mlflow),
        "tags": _tags(candidate.tags),
    }


def _said(part: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """What people say of a version, as JSON of bounded length."""
    said = plain_json(part, value)
    if (length := len(events.canonical(said))) > MAX_SAID:
        message = f"{part} must be at most {MAX_SAID:,} characters of JSON but has {length:,}"
        raise Invalid.on(part, message, code="too_long")
    return said


def _tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    said = _said("tags", tags)
    check_tags(said)
    return said


def normal_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Every metric as {"value", "ci95"}; Invalid names one that is not finite.

    >>> normal_metrics({"roc_auc": 0.75})
    {'roc_auc': {'value': 0.75, 'ci95': None}}
    """
    found = {}
    for name, given in metrics.items():
        if not 1 <= len(str(name)) <= MAX_NAME or not str(name).isprintable():
            message = f"the name of a metric must be 1 to {MAX_NAME} printable characters but is {name!r:.80}"
            raise Invalid.on("metrics", message, code="bad_metric")
        parts = given if isinstance(given, Mapping) else {"value": given, "ci95": None}
        value, interval = parts.get("value"), parts.get("ci95")
        ends = interval if isinstance(interval, list | tuple) else [] if interval is None else [interval]
        if not _is_number(value) or len(ends) not in (0, 2) or not all(map(_is_number, ends)):
            message = f'must be a finite number, or {{"value", "ci95": [low, high]}}, but got {given!r:.80}'
            raise Invalid.on(f"metrics.{name[:80]}", message, code="bad_metric")
        found[name] = {"value": float(value), "ci95": [float(end) for end in ends] or None}
    return found


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -MAX_METRIC <= value <= MAX_METRIC


def _operator_types(candidate: Candidate) -> list[str]:
    """The types that the file needs and that are trusted because the operator of this site says so, not by review."""
    if candidate.format != ArtifactFormat.SKOPS or not settings.TRUSTED_TYPES:
        return []
    content = candidate.artifact_bytes
    named = named_types(io.BytesIO(content) if isinstance(content, bytes) else content)
    return sorted(named & set(settings.TRUSTED_TYPES))


def _store(candidate: Candidate) -> dict[str, Artifact]:
    """Everything that is a file, under its digest; a crash after this leaves files that no row names, no more."""
    contents: dict[str, tuple[IO[bytes] | bytes | None, str]] = {
        "artifact": (candidate.artifact_bytes, candidate.format),
        "serving": (candidate.onnx_bytes, ArtifactFormat.ONNX),
        "holdout": (candidate.holdout_bytes, ArtifactFormat.PARQUET),
        "background": (candidate.background_bytes, ArtifactFormat.PARQUET),
        "attributions": (candidate.attributions_bytes, ArtifactFormat.PARQUET),
    }
    limit = settings.ARTIFACT_MAX_MB << 20
    found = {}
    for role, (content, form) in contents.items():
        if content is not None:
            stored = store.put(content, max_bytes=limit)
            found[role] = Artifact(digest=stored.digest, format=str(form), size=stored.size)
    return found


def _rows(files: Mapping[str, Artifact]) -> dict[str, Artifact]:
    """The artifact rows; one that exists stays as it is."""
    Artifact.objects.bulk_create(files.values(), ignore_conflicts=True)
    return dict(files)


def _content_digest(fields: Mapping[str, Any], files: Mapping[str, Artifact], candidate: Candidate) -> str:
    """Of the artifact and what describes it. Left out: where it came from (the same content made twice is one
    version), the serving form and the explanation, which follow from the artifact and its rows."""
    left_out = {"lineage", "facts", "mlflow", "reference", "held_out", "explanation"}
    described = {name: value for name, value in fields.items() if name not in left_out}
    reference = None if candidate.reference is None else hashlib.sha256(candidate.reference).hexdigest()
    digests = {role: files[role].digest for role in ("artifact", "holdout") if role in files}
    return events.digest_of(plain_json("metadata", {**described, **digests, "reference": reference}))
