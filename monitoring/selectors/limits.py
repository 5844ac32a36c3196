"""What the data of a version is held to, and how a window keeps to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from django.conf import settings

from mlops_site.core.models import AuditRecord
from mlops_site.stats.correlations import Correlations
from monitoring.models import QualityLimit
from monitoring.selectors.bases import basis_of
from monitoring.selectors.samples import newest_rows
from monitoring.selectors.windows import Summed
from monitoring.stats.limits import NEEDS_ROWS, Edits, Limit, QualityFinding, limits
from monitoring.stats.quality import quality
from registry.models import RegisteredModel, Version

SLICES, ROWS = 8, 1_000  # rows that a window is sampled by, from as many parts of its time
HISTORY = 20
SET = "quality_limits.set"
FEWEST = 30  # rows of the training data in which both numbers of a pair are known
GONE = "correlations and limits that need rows were not judged: the features of the window are not kept any more"


class Row(NamedTuple):
    """A limit, and who set what is not derived."""

    limit: Limit
    set: QualityLimit | None


class Limits(NamedTuple):
    """Of one version. `absent` are edits of the model that do not fit this version: the feature or the check is not
    there. `note` says why there is nothing to hold the data to, or what of it is not checked."""

    version: Version
    rows: list[Row]
    absent: list[QualityLimit]
    note: str


def limits_of(version: Version) -> Limits:
    """Every limit of a version, with what the model's people set; one query beyond the version's reference."""
    reference = basis_of(version).reference
    known = {(row.feature, row.check_name): row for row in _set(version.model)}
    if reference is None:
        return Limits(version, [], list(known.values()), no_reference(version))
    note = uncorrelated(version)
    correlated = correlations_of(version)
    names = correlated.features if correlated else ()
    said = {key: row.said for key, row in known.items()}
    found = limits(reference, edits=said, correlated=names)
    rows = [Row(limit, known.pop((limit.feature, limit.check), None)) for limit in found]
    return Limits(version, rows, list(known.values()), note)


def no_reference(version: Version) -> str:
    return f"{version.number} was registered without a reference of its training data, so no limits can be derived"


def _set(model: RegisteredModel) -> list[QualityLimit]:
    rows = QualityLimit.objects.filter(model=model).select_related("set_by")
    return list(rows.order_by("feature", "check_name"))


def edits_of(model: RegisteredModel) -> Edits:
    """(feature, check) -> what people set; one query."""
    rows = QualityLimit.objects.filter(model=model).values_list("feature", "check_name", "said")
    return {(feature, check): said for feature, check, said in rows}


def correlations_of(version: Version) -> Correlations | None:
    """How the features moved together in training, where its run has kept it."""
    said = version.facts.get("correlations")
    try:
        return Correlations.from_json(said) if said else None
    except (KeyError, TypeError, ValueError):
        return None


def uncorrelated(version: Version) -> str:
    """Why correlations of the version are not judged; empty where they are, and where there are no two numbers."""
    numbers = [feature["name"] for feature in version.signature["inputs"] if feature["kind"] == "number"]
    if len(numbers) < 2:
        return ""
    known = correlations_of(version)
    if known is None:
        return f"correlations were not judged: {version.number} was registered without those of its training data"
    if len(known.features) < 2 or float(known.counts[~np.eye(len(known.features), dtype=bool)].max()) < FEWEST:
        return (
            f"correlations were not judged: {version.number} was registered with fewer than {FEWEST} rows of training"
        )
    return ""


def quality_of(version: Version, now: Summed, *, sampled: bool) -> tuple[list[QualityFinding], str]:
    """What of a window fails a check, and what could not be judged. Nothing without a reference, or below
    MIN_SAMPLES_FOR_MONITORING. With `sampled` about 1,000 rows are read for what the profile cannot answer; without,
    those checks are left out."""
    reference = basis_of(version).reference
    if reference is None or now.profile is None or now.rows < settings.MIN_SAMPLES_FOR_MONITORING:
        return [], ""
    edits, correlated = edits_of(version.model), correlations_of(version)
    by_rows = dict.fromkeys(name for (name, _), edit in edits.items() if NEEDS_ROWS & set(edit) and not edit.get("off"))
    by_rows |= dict.fromkeys(correlated.features if correlated else ())
    sample = sample_of(version, now.start, now.end, names=[*by_rows]) if sampled and by_rows else None
    found = quality(now.profile, reference, edits=edits, sample=sample, correlated=correlated)
    if not sampled:
        return found, ""
    notes = [GONE if by_rows and sample is None else "", uncorrelated(version)]
    return found, "; ".join(note for note in notes if note)


def sample_of(version: Version, start: datetime, end: datetime, *, names: Sequence[str]) -> pd.DataFrame | None:
    """The named features of at most 1,000 answers of a window, the newest of each of 8 equal parts of it; None where
    there is no row any more. As many queries as parts, each of which reads the rows that it takes."""
    step, found = (end - start) / SLICES, list[dict[str, Any]]()
    for part in range(SLICES):
        found += newest_rows(version, start + part * step, start + (part + 1) * step, most=ROWS // SLICES)
    return pd.DataFrame(_columns(found, names)) if found else None


def _columns(rows: list[dict[str, Any]], names: Sequence[str]) -> dict[str, Sequence[Any]]:
    try:  # rows that have them all, as nearly always, in a third of the time
        return dict(zip(names, map(list, zip(*map(itemgetter(*names, names[0]), rows), strict=True)), strict=False))
    except KeyError:
        return {name: [row.get(name) for row in rows] for name in names}


def history_of(model: RegisteredModel) -> list[AuditRecord]:
    """The latest changes of a model's limits, newest first."""
    return list(AuditRecord.objects.filter(subject=subject_of(model), action=SET).order_by("-seq")[:HISTORY])


def subject_of(model: RegisteredModel) -> str:
    return f"quality_limits:{model.name}"
