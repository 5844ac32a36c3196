"""What a model card says, as typed values; and what it should say and cannot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple


class About(NamedTuple):
    model: str
    version: str
    task_type: str
    stage: str
    risk_tier: str
    team: str
    owner: str
    description: str
    purpose: str
    intended_use: str
    limitations: str
    registered_by: str
    trained_by: str
    registered_at: datetime


class Data(NamedTuple):
    """What it was trained and judged on; None where it was not stored."""

    dataset: str | None
    digest: str | None
    rows: int | None
    training_rows: int | None
    holdout_rows: int | None
    holdout_groups: int | None
    holdout_digest: str | None
    features: int | None
    target: str | None
    period: dict[str, str] | None  # {"column", "from", "to"}
    quality: list[str] | None  # remarks of the check of the data
    profiled: bool  # whether the profile of the training rows is kept, against which drift is measured


class Training(NamedTuple):
    algorithm: str | None
    params: dict[str, Any]
    search: dict[str, Any] | None
    seed: int | None
    code: str | None
    packages: str | None  # digest of the lock
    run: str | None
    reason: str | None


class Decision(NamedTuple):
    """One person's review, with its condition and how that was closed; `voided_at` once its ground was gone."""

    reviewer: str
    role: str
    decision: str
    comment: str
    at: datetime
    condition: str
    revalidate_on: date | None
    closed_by: str | None
    closing_note: str
    voided_at: datetime | None


class Approval(NamedTuple):
    """One request to put it into production, with who decided."""

    request: int
    status: str
    requester: str
    reason: str
    why_material: str
    requested_at: datetime
    closed_at: datetime | None
    evidence_digest: str
    reviews: list[Decision]


class Report(NamedTuple):
    """A validation report that is attached to the version."""

    name: str
    digest: str
    by: str
    at: datetime


class Served(NamedTuple):
    """A time in production, and what allowed it: an approved request, a standing policy or a rollback."""

    since: datetime
    until: datetime | None
    cause: str
    by: str | None
    reason: str


class Card(NamedTuple):
    about: About
    data: Data
    training: Training
    metrics: dict[str, Any]  # name -> {"value", "ci95"}
    slices: dict[str, Any] | None  # {"metric", "min_rows", "slices": [..], "not_computable"}
    calibration: list[dict[str, float]]
    importance: dict[str, float]
    gate: dict[str, Any] | None  # of the latest request that brought one
    drift: dict[str, Any] | None  # of the holdout, from the same evidence
    signature: dict[str, Any]
    threshold: float
    artifact: dict[str, Any]
    reports: list[Report]
    approvals: list[Approval]
    served: list[Served]
    since: str | None  # the production version that the changes are counted from
    changes: dict[str, Any] | None
    missing: list[str]
    told: dict[str, Any] = {}  # what a run was asked to tell, by its name in TOLD


def card_json(found: Card) -> dict[str, Any]:
    """The card as plain JSON; times in RFC 3339."""
    said: dict[str, Any] = plain(found)
    return said


_LATER = ("approvals", "served", "gate", "drift", "since", "changes", "missing")


def settled(found: Card) -> dict[str, Any]:
    """The card without what comes after a version is made, so that evidence can hold it."""
    said = {name: value for name, value in card_json(found).items() if name not in _LATER}
    del said["about"]["stage"]
    if not said["told"]:  # the card of a version that tells none of it is what it was before there was any
        del said["told"]
    return said


def plain(value: Any) -> Any:
    """A value as JSON has it: tuples with names as objects, times in RFC 3339."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


_NEEDED = {
    "about.purpose": "the model's purpose has not been written",
    "about.intended_use": "the model's intended use has not been written",
    "about.limitations": "the model's limitations have not been written",
    "data.dataset": "the data set was not named when the version was registered",
    "data.rows": "how many rows it was trained on was not stored",
    "data.target": "what it predicts, by the name of its column, was not stored",
    "data.period": "the period of the data was not stored: the data set has no time column, or it was not named",
    "data.holdout_digest": "it was registered without holdout predictions",
    "data.profiled": "no profile of the training rows is kept, so drift cannot be measured",
    "training.algorithm": "the algorithm was not named",
    "training.seed": "the seed was not stored",
    "training.code": "the code that trained it was not stored",
    "metrics": "it was registered without metrics",
    "slices": "metrics by slice were not computed",
    "calibration": "no calibration was stored",
    "gate": "no request to promote it brought what a gate said",
    "drift": "the drift of its holdout was not stored",
    "approvals": "nobody has asked to put it into production",
}


def missing(found: Card) -> list[str]:
    """A sentence for each thing that a card should have and this one has not."""
    return [sentence for path, sentence in _NEEDED.items() if not _is_known(_at(found, path))]


def _is_known(value: Any) -> bool:
    return bool(value) or type(value) is int  # a seed of 0 is one


def _at(found: Card, path: str) -> Any:
    value: Any = found
    for name in path.split("."):
        value = getattr(value, name)
    return value
