"""How a model is, in one word and one sentence."""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["healthy", "degraded", "drifting", "attention", "too few", "no labels yet", "no predictions"]
Tone = Literal["ok", "warn", "bad", "plain"]
_TONES: dict[Status, Tone] = {"healthy": "ok", "degraded": "bad", "drifting": "warn", "attention": "warn"}


class Signs(NamedTuple):
    """What a window and its open alerts say. `worst` is the severity of the worst open alert or ""; `drifted` of
    `features` is None where drift could not be computed."""

    rows: int
    min_rows: int
    labelled: int
    open_alerts: int
    worst: str
    drifted: int | None
    features: int
    severity: str  # of the overall drift
    most_drifted: str = ""
    fallen: str = ""  # what is worse than promised, beyond the threshold and beyond chance


class Health(NamedTuple):
    """`status` is the word, `tone` its colour, `sentence` what a person should know first."""

    status: Status
    tone: Tone
    sentence: str


def health(signs: Signs) -> Health:
    """What is worst comes first: a critical alert, then drift, then other alerts, then what is not known.

    >>> health(Signs(500, 100, 40, 0, "", 0, 15, "low"))
    Health(status='healthy', tone='ok', sentence='500 predictions, 0 of 15 features drifted, 8 % labelled.')
    >>> health(Signs(0, 100, 0, 1, "low", None, 0, "unknown")).status
    'attention'
    """
    status = _status(signs)
    parts = [_asked(signs), signs.fallen, _drift(signs), _labels(signs), _alerts(signs)]
    return Health(status, _TONES.get(status, "plain"), f"{', '.join(filter(None, parts))}.")


def _status(signs: Signs) -> Status:
    if signs.worst == "critical" or signs.fallen:
        return "degraded"
    if signs.worst == "high" or (signs.drifted and signs.severity in ("medium", "high")):
        return "drifting"
    if signs.open_alerts or signs.drifted:
        return "attention"
    if signs.rows == 0:
        return "no predictions"
    if signs.rows < signs.min_rows:
        return "too few"
    return "healthy" if signs.labelled else "no labels yet"


def _asked(signs: Signs) -> str:
    if signs.rows == 0:
        return "No predictions"
    said = f"{signs.rows:,} prediction{'s' if signs.rows > 1 else ''}"
    return f"{said}, fewer than the {signs.min_rows:,} that a judgement needs" if signs.rows < signs.min_rows else said


def _drift(signs: Signs) -> str:
    if signs.drifted is None:
        return ""
    most = f", most of all {signs.most_drifted}" if signs.drifted and signs.most_drifted else ""
    return f"{signs.drifted} of {signs.features} features drifted{most}"


def _labels(signs: Signs) -> str:
    if not signs.rows:
        return ""
    return f"{100 * signs.labelled / signs.rows:.0f} % labelled" if signs.labelled else "none labelled yet"


def _alerts(signs: Signs) -> str:
    if not signs.open_alerts:
        return ""
    return f"{signs.open_alerts} open alert{'s' if signs.open_alerts > 1 else ''}"
