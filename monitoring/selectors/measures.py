"""What a monitoring system of somebody else's reads, as few rows: sums, the latest report of each model, queues."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.utils import timezone

from mlops_site.core.depths import delivery_depths
from mlops_site.stats.metrics import METRICS
from monitoring.choices import UNRESOLVED, Severity
from monitoring.models import Alert, Channel, FoldItem, Label, Message, Prediction, Report, Total
from registry.models import RegisteredModel

MODELS, VERSIONS = 200, 5  # named; what lies beyond adds up to one called "_other", which no model can be
OTHER, HELD = "_other", "held"
COUNTED = 100_000  # where the count of a queue ends

Teams = Collection[int] | None  # None: of all teams


class Sums(NamedTuple):
    """Running sums of a version, or of several that are not named."""

    model: str
    version: str
    predictions: int
    errors: int
    latency: list[int]  # between the edges of LATENCY_SECS
    latency_secs: float
    label_lag: list[int]  # between the edges of LAG_SECS
    label_lag_secs: float


class Latest(NamedTuple):
    """What the newest report on a model's logged answers says; None where it could not be computed."""

    model: str
    version: str
    at: datetime  # end of its window
    drifted: float | None  # share of the features
    score: float | None
    metrics: dict[tuple[str, str], float]  # by kind (realised, estimated) and name


class Queued(NamedTuple):
    """Answers and labels that no bucket holds yet, up to COUNTED, and for how long the oldest has waited."""

    items: int
    oldest_secs: float


class Named(NamedTuple):
    """Models by id, the oldest first, so that a name never goes over to "_other"; how many are left out."""

    names: dict[int, str]
    left_out: int


def named(teams: Teams) -> Named:
    """The models that are named; two queries."""
    rows = _of(teams, RegisteredModel.objects.all(), "team").order_by("pk")
    found = dict(rows.values_list("pk", "name")[: MODELS + 1])
    if len(found) <= MODELS:
        return Named(found, 0)
    return Named(dict(list(found.items())[:MODELS]), rows.count() - MODELS)


def sums(teams: Teams, models: Named) -> list[Sums]:
    """Of the newest versions of each named model by themselves, of the others together; one query. What is together
    is only ever joined by others, so it never falls."""
    rows = _of(teams, Total.objects.select_related("version"), "version__model__team")
    chosen = rows.order_by("-version_id").only(
        "predictions", "errors", "latency", "latency_us", "label_lag", "label_lag_secs",
        "version__model_id", "version__major", "version__minor", "version__patch",
    )  # fmt: skip
    found: dict[tuple[str, str], Sums] = {}
    seen: dict[int, int] = defaultdict(int)
    for row in chosen:
        model = row.version.model_id
        name, number = models.names.get(model, OTHER), row.version.number
        seen[model] += 1
        key = (name, number if name != OTHER and seen[model] <= VERSIONS else OTHER)
        found[key] = _joined(found.get(key), _sums(key, row))
    return sorted(found.values())


def latest(models: Named) -> list[Latest]:
    """Of each named model; one query, which reads a few fields of the newest report of each."""
    newest = Report.objects.filter(model=OuterRef("pk"), from_frames=False).order_by("-created_at")
    ids: Any = RegisteredModel.objects.filter(pk__in=models.names).values(newest=Subquery(newest.values("pk")[:1]))
    rows = Report.objects.filter(pk__in=ids).order_by("model").select_related("version")
    columns = ("version__major", "version__minor", "version__patch", "model_id", "window_to", "overall_score")
    return [
        _latest(models, row)
        for row in rows.only(*columns).annotate(
            drifted=F("body__drift__drifted"),
            total=F("body__drift__total"),
            realised=F("body__performance__realised"),
            estimated=F("body__performance__estimated__metrics"),
        )
    ]


def open_alerts(models: Named) -> dict[tuple[str, str], int]:
    """(model, severity) -> unresolved alerts of the named models, zeros too; one query."""
    found = {(name, severity): 0 for name in models.names.values() for severity in Severity.values}
    rows = Alert.objects.filter(status__in=UNRESOLVED, model__in=models.names).order_by()
    for model, severity, count in rows.values_list("model", "severity").annotate(count=Count("pk")):
        found[models.names[model], severity] = count
    return found


def queued() -> Queued:
    """The fold queue; at most three queries, which read an index up to COUNTED rows and one row more."""
    ready = FoldItem.objects.filter(waiting=False).order_by("pk")
    oldest: Any = ready.values_list("prediction_id", "label_id").first()
    if oldest is None:
        return Queued(0, 0.0)
    prediction, label = oldest
    rows: Any = Prediction.objects.filter(pk=prediction) if prediction else Label.objects.filter(pk=label)
    since = rows.values_list("received_at", flat=True).first()
    waited = 0.0 if since is None else max((timezone.now() - since).total_seconds(), 0.0)
    return Queued(ready[:COUNTED].count(), waited)


def _of(teams: Teams, rows: QuerySet[Any], team: str) -> QuerySet[Any]:
    return rows if teams is None else rows.filter(**{f"{team}__in": teams})


def _sums(key: tuple[str, str], row: Total) -> Sums:
    secs, lag = row.latency_us / 1e6, row.label_lag_secs
    return Sums(*key, row.predictions, row.errors, row.latency, secs, row.label_lag, lag)


def _joined(first: Sums | None, second: Sums) -> Sums:
    if first is None:
        return second
    return Sums(
        second.model,
        second.version,
        first.predictions + second.predictions,
        first.errors + second.errors,
        [a + b for a, b in zip(first.latency, second.latency, strict=True)],
        first.latency_secs + second.latency_secs,
        [a + b for a, b in zip(first.label_lag, second.label_lag, strict=True)],
        first.label_lag_secs + second.label_lag_secs,
    )


def _latest(models: Named, row: Any) -> Latest:
    drifted = row.drifted / row.total if row.total and row.overall_score is not None else None
    name, number = models.names[row.model_id], row.version.number
    return Latest(name, number, row.window_to, drifted, row.overall_score, _metrics(row))


def _metrics(row: Any) -> dict[tuple[str, str], float]:
    """Known names only, however many a report holds."""
    return {
        (kind, said["name"]): float(said["value"])
        for kind in ("realised", "estimated")
        for said in getattr(row, kind) or ()
        if said.get("name") in METRICS and said["value"] is not None
    }


def messages() -> dict[tuple[str, str], int]:
    """(channel, state) -> messages that wait (pending), are held until their hour (held) or were given up (failed). A
    team's channels are told apart by kind alone, and people's letters not at all. Three queries."""
    kinds = {str(pk): kind for pk, kind in Channel.objects.values_list("pk", "kind")}
    found: dict[tuple[str, str], int] = defaultdict(int)
    for depth in delivery_depths():
        whose, _, key = depth.kind.partition(":")
        name = kinds.get(key, "deleted") if whose == "channel" else "letters" if whose == "mail" else whose
        found[name, depth.state] += depth.rows
    held = Message.objects.filter(delivery=None).order_by().values_list("channel__kind").annotate(Count("pk"))
    for kind, rows in held:
        found[kind, HELD] += rows
    return dict(found)
