"""The slices that models declare, the limits of their gaps, and the codes of failures that are told apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from mlops_site.stats.bins import CategoryBins, NumericBins
from monitoring.models import ErrorCode, FairnessLimits, Prediction, Slice
from monitoring.selectors.bases import basis_of
from monitoring.stats.slicing import MAX_LEVELS, Slicing, spelled
from registry import selectors as registry
from registry.models import RegisteredModel, Version

LOOKED_AT = 5_000  # answers, for the levels of a slice


def slices_of(model: RegisteredModel) -> QuerySet[Slice]:
    """The slices in force, by name."""
    return Slice.objects.filter(model=model, counts_until=None).select_related("declared_by")


def slicings_between(model_id: int, start: datetime, end: datetime) -> list[Slicing]:
    """The slices that counted in a window, by name."""
    rows = Slice.objects.filter(model=model_id, counts_from__lt=end)
    return [slicing(row) for row in rows.filter(Q(counts_until=None) | Q(counts_until__gt=start))]


def slicings(model_ids: Collection[int]) -> dict[int, list[Slicing]]:
    """Model id -> all slices that it ever declared: an answer counts in those of its time, whenever its label comes."""
    found: dict[int, list[Slicing]] = defaultdict(list)
    for row in Slice.objects.filter(model__in=model_ids) if model_ids else []:
        found[row.model_id].append(slicing(row))
    return found


def slicing(row: Slice) -> Slicing:
    """As counting needs it."""
    source: Any = row.source
    return Slicing(
        row.pk, row.name, source, tuple(row.levels), tuple(row.cuts), row.counts_from, until=row.counts_until
    )


def fairness_of(model: RegisteredModel) -> FairnessLimits:
    """What somebody set, or the defaults, which are not stored."""
    return FairnessLimits.objects.filter(model=model).first() or FairnessLimits(model=model)


def error_places(version_ids: Collection[int]) -> dict[tuple[int, str], int]:
    """(version id, code) -> the place of the code in the counts."""
    rows = ErrorCode.objects.filter(version__in=version_ids) if version_ids else ErrorCode.objects.none()
    return {(version, code): place for version, code, place in rows.values_list("version_id", "code", "place")}


def error_names(version: Version) -> dict[int, str]:
    """Place -> code, of one version."""
    return {place: code for (_, code), place in error_places([version.pk]).items()}


def version_watched(model: RegisteredModel) -> Version | None:
    """The one in production, else the newest."""
    return registry.in_production(model) or registry.versions(model).first()


def features_of(version: Version | None) -> list[str]:
    """Names of the inputs that slices may be made of."""
    return [] if version is None else [each["name"] for each in version.signature["inputs"]]


def names_sent(model: RegisteredModel) -> list[str]:
    """Names in the `slices` of the latest answers, the most frequent first."""
    found = Counter(name for slices in _latest(model) for name in slices)
    return [name for name, _ in found.most_common(50)]


def levels_sent(model: RegisteredModel, name: str) -> list[str]:
    """The most frequent values under a name in the `slices` of the latest answers."""
    found = Counter(spelled(slices.get(name)) for slices in _latest(model))
    return [text for text, _ in found.most_common(MAX_LEVELS + 1) if text][:MAX_LEVELS]


def levels_of_feature(version: Version, name: str) -> tuple[list[str], list[float]]:
    """Levels or cuts of an input from the training data: the frequent categories, or the quartiles of a number; both
    empty where there is no reference."""
    reference = basis_of(version).reference
    bins = reference.bins.features.get(name) if reference else None
    if isinstance(bins, CategoryBins):
        return list(bins.levels[:MAX_LEVELS]), []
    if isinstance(bins, NumericBins) and len(bins.edges) > 4:
        last = len(bins.edges) - 1
        return [], sorted({bins.edges[round(last * share)] for share in (0.25, 0.5, 0.75)})
    return [], []


def _latest(model: RegisteredModel) -> list[dict[str, Any]]:
    versions = Version.objects.filter(model=model).values("pk")
    rows = Prediction.objects.filter(version__in=versions).order_by("-predicted_at")
    return list(rows.values_list("slices", flat=True)[:LOOKED_AT])
