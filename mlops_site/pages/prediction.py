"""One prediction, found by what the caller knows of it: what was asked, answered and why, and who had allowed it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from abtesting.selectors.meetings import met
from mlops_site.core.dashboards import Page
from mlops_site.core.errors import Conflict, NotFound
from mlops_site.core.permissions import Action, Actor, visible
from mlops_site.core.templatetags.steward import figure
from monitoring.models import Label, Prediction
from monitoring.selectors.explanations import Explained
from monitoring.services import explain_prediction
from registry import plots, selectors
from registry.choices import Decision
from registry.models import Review, StageInterval
from training.selectors import personal_columns

SHOWN = 100  # predictions of one claim
PARTS = 12  # of a waterfall
MAX_QUERY = 128


class Asked(NamedTuple):
    """An input of a prediction."""

    name: str
    value: Any
    masked: bool
    read: dict[str, Any] | None = None  # from which feature set, of which time, where the caller did not send it


class FindPage(Page):
    template_name = "pages/find.html"
    title = "Find a prediction"

    def facts(self) -> dict[str, Any]:
        query = self.request.GET.get("q", "").strip()[:MAX_QUERY]
        return {"query": query, "rows": list(found(self.actor, query)[:SHOWN]) if query else [], "shown": SHOWN}


class PredictionPage(Page):
    template_name = "pages/prediction.html"

    def facts(self) -> dict[str, Any]:
        row = seen(self.actor).filter(pk=self.kwargs["pk"]).first()
        if row is None:
            raise NotFound("no such prediction here, or it belongs to another team", code="unknown_prediction")
        labels = Label.objects.filter(model=row.model_id, request_id=row.request_id).select_related("created_by")
        facts = {
            "title": f"Prediction {row.request_id}",
            "row": row,
            "labels": list(labels.order_by("-revision")),
            "met": met(row),
            **_allowed(row),
        }
        if not self.actor.may(Action.INPUT_VIEW, row.model.team_id):
            return {**facts, "hidden": "Your role does not see what claims were made of."}
        return {**facts, "inputs": _inputs(row), **_why(row, self.actor)}


def seen(actor: Actor) -> QuerySet[Prediction]:
    """The predictions of the actor's teams, with model and version."""
    rows = visible(actor, Prediction.objects.all(), team="model__team").select_related(
        "model__team", "version__model", "completion"
    )
    return rows.defer("version__golden", "version__reference", "version__explanation")


def found(actor: Actor, query: str) -> QuerySet[Prediction]:
    """Those whose request id, unit id or own id is exactly the query, newest first."""
    # Each part as its index has it: request ids by model, units where there is one.
    models = list(selectors.models(actor).values_list("pk", flat=True))
    wanted = Q(model__in=models, request_id=query) | (Q(unit_id=query) & ~Q(unit_id=""))
    with suppress(ValueError):
        wanted |= Q(pk=UUID(query))
    return seen(actor).filter(wanted).order_by("-predicted_at", "pk")


def _inputs(row: Prediction) -> list[Asked]:
    """In the version's order, then what was logged beyond it."""
    masked = personal_columns(row.version)
    read = row.completion.features if hasattr(row, "completion") else {}
    names = [column["name"] for column in row.version.signature["inputs"]]
    extra = [name for name in row.features if name not in names]
    return [
        Asked(name, None if name in masked else row.features.get(name), name in masked, _read(read.get(name)))
        for name in [*names, *extra]
        if name in row.features
    ]


def _read(said: dict[str, str] | None) -> dict[str, Any] | None:
    return said and {"feature_set": said["feature_set"], "event_at": datetime.fromisoformat(said["event_at"])}


def _why(row: Prediction, actor: Actor) -> dict[str, Any]:
    try:
        said = explain_prediction(row, actor=actor)
    except Conflict as error:
        return {"unexplained": error.detail}
    return {
        "why": said,
        "differs": _differs(said),
        "figures": True,
        "waterfall_json": plots.waterfall_figure(waterfall(said)).to_json(),
    }


def waterfall(said: Explained) -> plots.Waterfall:
    """The numbers of the figure: the largest contributions, and the rest in one step."""
    parts = [(each.feature, _text(each.value, each.masked), each.contribution) for each in said.contributions[:PARTS]]
    if rest := said.contributions[PARTS:]:
        parts.append((f"{len(rest)} others", "", sum(each.contribution for each in rest)))
    if _differs(said):
        parts.append(("residual", "", said.residual))
    return plots.Waterfall(said.output_space, said.base_value, said.output, parts)


def _differs(said: Explained) -> bool:
    """Whether the answer is another than the model's, beyond single precision."""
    return abs(said.residual) > 1e-4 * max(1.0, abs(said.output))


def _text(value: Any, masked: bool) -> str:
    if masked:
        return "masked"
    return "missing" if value is None else figure(value) if isinstance(value, int | float) else str(value)


def _allowed(row: Prediction) -> dict[str, Any]:
    """The stage that the version was in when it answered, and who had brought it there."""
    interval = selectors.interval_at(row.version, row.predicted_at)
    return {"interval": interval, "reviews": [] if interval is None else _reviews(interval)}


def _reviews(interval: StageInterval) -> list[Review]:
    rows = Review.objects.filter(request=interval.request_id, decision=Decision.APPROVE).select_related("reviewer")
    return list(rows) if interval.request_id else []
