"""Monitoring from a notebook or a script: the same statistics, reports and alerts as over HTTP.

    results = await ModelMonitor().monitor_model(
        model_name="fraud_detection", model_version="1.2.0", current_data=recent, reference_data=baseline
    )
    drift(recent, baseline)  # two frames alone: no model, no database
    estimate(recent["score"], held_out["score"], held_out["label"] == "fraud")  # performance without labels

It acts as the person whose token is in STEWARD_TOKEN; embedded and without one, as the local operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from html import escape
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_site.core import face

face.ready()

from django.conf import settings  # noqa: E402  (after the set-up, as in the other faces)

from mlops_site.stats import compare  # noqa: E402
from mlops_site.stats.columns import Kind  # noqa: E402
from mlops_site.stats.heldout import SCORE_BINS, HeldOut, score_bins  # noqa: E402
from monitoring.analysis import keep_report_of_frames, report_of_frames  # noqa: E402
from monitoring.models import Alert, Report  # noqa: E402
from monitoring.stats.estimation import Estimate, expected  # noqa: E402
from registry import selectors as registry  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

__all__ = ["Drift", "Estimates", "ModelMonitor", "MonitoringReport", "RaisedAlert", "drift", "estimate"]

_TESTED = ("name", "kind", "test", "statistic", "q_value", "effect")
_SHOWN = (*_TESTED, "psi", "wasserstein", "js", "tvd", "drifted", "note")
_TRIAGE = ("rank", "name", "kind", "importance", "effect", "score", "why")
_ALERT = ("severity", "rule", "subject", "summary", "count")
_METRIC = ("name", "value", "ci95", "n")
_QUALITY = ("feature", "check", "share", "reference_share", "message")
_ROWS, _LINES, _TEXT = 30, 10, 120  # of a table in a notebook, of one in a terminal; letters of a cell


@dataclass(frozen=True, repr=False)
class Drift(compare.Drift):
    """`mlops_site.stats.compare.Drift`, which a notebook shows as a table with the largest effects first, and a
    terminal as a few lines. All features are in `features`."""

    def __repr__(self) -> str:
        lines = [f"{feature.name:<30.30} {_effect(feature)}" for feature in self._largest[:_LINES]]
        return "\n".join([self._head, *lines, *_left_out(self.total - len(lines))])

    def _repr_html_(self) -> str:
        rows = ([getattr(feature, name) for name in _SHOWN] for feature in self._largest)
        return f"<p>{self._head}</p>" + _table(_SHOWN, rows)

    @property
    def _head(self) -> str:
        score = "not computable" if self.overall_score is None else f"{self.overall_score:.3f} ({self.severity})"
        return f"Drift score {score}; {self.drifted} of {self.total} features drifted"

    @property
    def _largest(self) -> list[compare.FeatureDrift]:
        return sorted(self.features, key=lambda feature: (feature.effect is None, -(feature.effect or 0)))


def _effect(feature: compare.FeatureDrift) -> str:
    """One feature in a line of text."""
    if feature.effect is None:
        return feature.note[:_TEXT] or "not computable"
    return f"effect {feature.effect:.3f}" + ("  drifted" if feature.drifted else "")


def _left_out(count: int) -> list[str]:
    return [f"and {count} more in .features"] if count > 0 else []


def drift(
    current: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    kinds: Mapping[str, Kind] | None = None,
    threshold: float | None = None,
    importance: Mapping[str, float] | None = None,
    min_samples: int = 1,
    extra: bool = False,
) -> Drift:
    """Drift of the columns of one frame against those of another, as `mlops_site.stats.compare.drift` computes it.

    `threshold` is DRIFT_THRESHOLD if left out. With `extra` (which takes half as long again) each feature has its
    Wasserstein, Jensen-Shannon and total variation distance, and the shares that are missing and unseen. It needs no
    model and touches no database.
    """
    limit = settings.DRIFT_THRESHOLD if threshold is None else threshold
    found = compare.drift(
        current,
        reference,
        kinds=kinds,
        threshold=limit,
        importance=importance,
        min_samples=min_samples,
        extra=extra,
    )
    return Drift(**{field.name: getattr(found, field.name) for field in fields(found)})


class Estimates(tuple[Estimate, ...]):
    """Metrics that are to be expected, which a notebook shows as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return _table(("name", "value", "ci95", "n"), ((one.name, one.value, _band(one), one.n) for one in self))


def _band(one: Estimate) -> str:
    return f"{one.ci95[0]:.4g} to {one.ci95[1]:.4g}"


def estimate(
    score: ArrayLike,
    held_out_score: ArrayLike,
    held_out_is_positive: ArrayLike,
    *,
    threshold: float = 0.5,
    groups: ArrayLike | None = None,
) -> Estimates:
    """The metrics that n scores of two classes lead one to expect, by m scores of rows held out from training and
    whether each truly was positive; `groups` says which of those belong together. It touches no database.

    Raises ValueError for scores outside 0 to 1, and for fewer than 100 held-out rows or 10 of a class.
    """
    held = HeldOut.of(held_out_score, held_out_is_positive, threshold, groups=groups)
    given = np.asarray(score, dtype=np.float64)
    if held.why_not or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(held.why_not or "score must be numbers between 0 and 1")
    return Estimates(expected(np.bincount(score_bins(given), minlength=SCORE_BINS), held.calibration()))


@dataclass(frozen=True)
class RaisedAlert:
    """An alert that the report raised, or counted up."""

    id: str
    rule: str
    severity: str
    status: str
    subject: str
    summary: str
    count: int

    @classmethod
    def of(cls, row: Alert) -> RaisedAlert:
        return cls(str(row.pk), row.rule, row.severity, row.status, row.subject_key, row.summary, row.count)


@dataclass(frozen=True, repr=False)
class MonitoringReport:
    """The fields of GET /monitoring/reports/{id}, and the alerts that came of it. A notebook shows it as tables, a
    terminal as a few lines."""

    id: str
    model_name: str
    model_version: str
    samples: int
    drift: Drift
    performance: SimpleNamespace
    quality: list[SimpleNamespace]
    volume: SimpleNamespace | None
    triage: list[SimpleNamespace]
    notes: list[str]
    alerts: list[RaisedAlert]
    created_at: datetime

    @classmethod
    def of(cls, row: Report) -> MonitoringReport:
        body = row.body
        features = tuple(compare.FeatureDrift(**feature) for feature in body["drift"]["features"])
        figures = {name: body["drift"][name] for name in ("overall_score", "severity", "drifted", "total")}
        return cls(
            id=str(row.pk),
            model_name=row.model.name,
            model_version=row.version.number,
            samples=row.samples,
            drift=Drift(features=features, **figures),
            alerts=[RaisedAlert.of(alert) for alert in row.alerts.order_by("rule", "subject_key")],
            created_at=row.created_at,
            notes=body["notes"],
            triage=_attributes(body.get("triage") or []),
            **{name: _attributes(body[name]) for name in ("performance", "quality", "volume")},
        )

    def __repr__(self) -> str:
        alerts = [f"{alert.severity} alert: {alert.summary[:_TEXT]}" for alert in self.alerts]
        head = f"{self.model_name} {self.model_version}: {self.samples:,} rows"
        return "\n".join([head, *self.notes, repr(self.drift), *(alerts or ["no alert"])])

    def _repr_html_(self) -> str:
        head = f"<h4>{escape(self.model_name)} {escape(self.model_version)}: {self.samples:,} rows</h4>"
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        parts = [
            ("Performance, realised", _METRIC, getattr(self.performance, "realised", None) or []),
            ("Data quality", _QUALITY, self.quality),
            ("What matters to the model", _TRIAGE, self.triage),
            ("Alerts", _ALERT, self.alerts),
        ]
        tables = "".join(
            f"<p>{name}</p>{_table(columns, ([getattr(row, c, None) for c in columns] for row in rows))}"
            for name, columns, rows in parts
            if rows
        )
        return f"{head}{notes}{self.drift._repr_html_()}{tables}{'' if self.alerts else '<p>No alert.</p>'}"


class ModelMonitor:
    """Raises StewardError for what the API would refuse, with the same code and message."""

    async def monitor_model(
        self,
        model_name: str,
        model_version: str,
        current_data: pd.DataFrame,
        reference_data: pd.DataFrame,
        feature_columns: Sequence[str] | None = None,
    ) -> MonitoringReport:
        """Compare two frames for a version, keep the report, and raise the alerts that it calls for.

        `feature_columns` are the features of the version if left out. With fewer rows than MIN_SAMPLES_FOR_MONITORING
        the report says so and raises nothing.
        """
        given = (model_name, model_version, current_data, reference_data, feature_columns)
        return await face.call_async(_monitored, *given)

    def monitor_model_sync(
        self,
        model_name: str,
        model_version: str,
        current_data: pd.DataFrame,
        reference_data: pd.DataFrame,
        feature_columns: Sequence[str] | None = None,
    ) -> MonitoringReport:
        """The same, without an event loop."""
        return face.call(_monitored, model_name, model_version, current_data, reference_data, feature_columns)


def _monitored(
    name: str, number: str, current: pd.DataFrame, reference: pd.DataFrame, columns: Sequence[str] | None
) -> MonitoringReport:
    actor = face.actor()
    version = registry.version_numbered(registry.model_named(actor, name), number)
    content = report_of_frames(current, reference, feature_columns=columns, version=version)
    return MonitoringReport.of(keep_report_of_frames(version, content, actor=actor))


def _attributes(value: Any) -> Any:
    """JSON with the fields of its objects as attributes."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: _attributes(inner) for name, inner in value.items()})
    return [_attributes(inner) for inner in value] if isinstance(value, list) else value


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The first rows as a table without colours or scripts of its own: a notebook gives it those of its theme."""
    given = list(rows)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in given[:_ROWS])
    more = f"<p>and {len(given) - _ROWS:,} more</p>" if len(given) > _ROWS else ""
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " to ".join(map(_cell, value[:2]))
    return f"{value:.4g}" if isinstance(value, float) else escape(_cut(str(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
