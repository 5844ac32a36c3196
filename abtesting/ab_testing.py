"""Experiments from a notebook or a script: the same designs, verdicts and refusals as over HTTP.

    ab_test = await create_ab_test(
        model_name="fraud_detection", version_a="1.2.0", version_b="1.3.0", traffic_split=0.1,
        success_metrics=["f1_score", "precision"],
    )
    ab_test.assign("person-12").arm
    ab_test.results().verdict

It acts as the person whose token is in STEWARD_TOKEN; embedded and without one, as the local operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from types import SimpleNamespace
from typing import Any, Unpack

from mlops_site.core import face

face.ready()

from abtesting import selectors, services  # noqa: E402  (after the set-up, as in the other faces)
from abtesting.models import Experiment  # noqa: E402
from abtesting.selectors import Assigned  # noqa: E402
from abtesting.services.terms import Extras, Terms  # noqa: E402
from abtesting.stats.measures import in_digits  # noqa: E402
from mlops_site.core.permissions import Actor  # noqa: E402

__all__ = ["AbTest", "Assigned", "Results", "ab_test", "create_ab_test", "create_ab_test_sync"]

_METRICS = ("metric", "difference", "ci95", "sequential_ci", "p_value", "chance", "verdict")
_ARMS = ("arm", "version", "units", "labelled", "errors")
_RAILS = ("name", "level", "reason")


class Results(SimpleNamespace):
    """The fields of GET /ab-testing/results/{id}, as attributes; a notebook shows them as tables."""

    verdict: str | None
    reason: str
    status: str
    samples_needed: int | None
    arms: list[SimpleNamespace]
    comparisons: list[SimpleNamespace]
    guardrails: list[SimpleNamespace]
    srm: SimpleNamespace
    request: int | None

    def _repr_html_(self) -> str:
        head = f"<h4>{escape(self.status)}: {escape(self.verdict or 'no verdict')}</h4><p>{escape(self.reason)}</p>"
        parts = ((_ARMS, self.arms), (_METRICS, self.comparisons), (_RAILS, self.guardrails))
        return head + "".join(_table(names, rows) for names, rows in parts if rows)


@dataclass(frozen=True)
class AbTest:
    """An experiment as it was when it was read. What `stop`, `conclude` and `change_split` answer is read anew."""

    id: int
    name: str
    model_name: str
    mode: str
    version_a: str
    version_b: str
    status: str
    traffic_split: float | None  # B's share now; None once it has ended
    success_metrics: list[str]
    holdout: float
    salt: str
    started_at: datetime
    verdict: str
    request: int | None

    @classmethod
    def of(cls, row: Experiment) -> AbTest:
        epoch = selectors.open_epoch(row)
        return cls(
            id=row.pk,
            name=row.name,
            model_name=row.model.name,
            mode=str(row.design),
            version_a=row.version_a.number,
            version_b=row.version_b.number,
            status=str(row.status),
            traffic_split=None if epoch is None else epoch.share_b,
            success_metrics=list(row.metrics),
            holdout=row.holdout,
            salt=row.salt,
            started_at=row.started_at,
            verdict=str(row.verdict),
            request=row.request_id,
        )

    def assign(self, unit_id: str) -> Assigned:
        """The arm of a unit under the split in force now, and the version to answer it with."""
        return face.call(_assigned, self.id, unit_id)

    def results(self) -> Results:
        """Live while it runs, frozen once it is concluded."""
        return face.call(_results, self.id)

    def change_split(self, traffic_split: float, *, reason: str, redraw: bool = False) -> AbTest:
        """Another share of B from now on; units are drawn anew when it shrinks."""
        return face.call(_changed, self.id, traffic_split, reason, redraw)

    def stop(self, *, reason: str) -> AbTest:
        """End it without a verdict."""
        return face.call(_ended, services.stop_experiment, self.id, reason)

    def conclude(self, *, reason: str) -> Results:
        """Judge and freeze it; if B should ship, the promotion request is filed. A second call answers the same."""
        face.call(_ended, services.conclude_experiment, self.id, reason)
        return self.results()


async def create_ab_test(
    model_name: str,
    version_a: str,
    version_b: str,
    traffic_split: float | None = None,
    success_metrics: Sequence[str] = (),
    mode: str = "ab",
    **terms: Unpack[Extras],
) -> AbTest:
    """Start an experiment of the version in production (A) against one in staging (B), as POST /ab-testing/create
    does; `terms` are its other fields. Raises StewardError for what the API would refuse."""
    given = Terms(**terms, design=mode, traffic_split=traffic_split)
    return await face.call_async(_created, model_name, version_a, version_b, success_metrics, given)


def create_ab_test_sync(
    model_name: str,
    version_a: str,
    version_b: str,
    traffic_split: float | None = None,
    success_metrics: Sequence[str] = (),
    mode: str = "ab",
    **terms: Unpack[Extras],
) -> AbTest:
    """The same, without an event loop."""
    given = Terms(**terms, design=mode, traffic_split=traffic_split)
    return face.call(_created, model_name, version_a, version_b, success_metrics, given)


def ab_test(test: int) -> AbTest:
    """One that exists, by its id."""
    return face.call(lambda: AbTest.of(_found(face.actor(), test)))


def _created(model: str, a: str, b: str, metrics: Sequence[str], given: Terms) -> AbTest:
    actor = face.actor()
    row = services.create_experiment(actor=actor, model_name=model, version_a=a, version_b=b, metrics=metrics, **given)
    return AbTest.of(_found(actor, row.pk))


def _found(actor: Actor, test: int) -> Experiment:
    return selectors.experiment_of(actor, test)


def _assigned(test: int, unit_id: str) -> Assigned:
    return selectors.assigned(selectors.experiment_to_assign(face.actor(), test), unit_id)


def _results(test: int) -> Results:
    return Results(**vars(_attributes(selectors.standing(_found(face.actor(), test)))))


def _changed(test: int, traffic_split: float, reason: str, redraw: bool) -> AbTest:
    actor = face.actor()
    found = _found(actor, test)
    services.change_split(found, actor=actor, traffic_split=traffic_split, reason=reason, redraw=redraw)
    return AbTest.of(_found(actor, test))


def _ended(service: Callable[..., Experiment], test: int, reason: str) -> AbTest:
    actor = face.actor()
    service(_found(actor, test), actor=actor, reason=reason)
    return AbTest.of(_found(actor, test))


def _attributes(value: Any) -> Any:
    """JSON with the fields of its objects as attributes."""
    if isinstance(value, dict):
        return SimpleNamespace(**{str(name): _attributes(inner) for name, inner in value.items()})
    return [_attributes(inner) for inner in value] if isinstance(value, list) else value


def _table(names: Sequence[str], rows: Iterable[SimpleNamespace]) -> str:
    lines = ("".join(f"<td>{_cell(getattr(row, name, None))}</td>" for name in names) for row in rows)
    head = "".join(f"<th>{name}</th>" for name in names)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{x}</tr>' for x in lines)}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    return in_digits(value, 4) if isinstance(value, float) else escape(str(value))
