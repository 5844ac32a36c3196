"""Whether a candidate was trained on claims like those that production gets: evidence of its promotion."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
from django.conf import settings
from django.utils import timezone

from mlops_site.stats.compare import profile_drift
from mlops_site.stats.profile import profile
from monitoring.choices import PredictionStatus
from monitoring.models import Prediction
from monitoring.selectors.bases import basis_of
from registry.models import Version
from registry.selectors import drift_said, in_production

WINDOW = timedelta(days=7)
MOST_ROWS = 5000


def production_inputs(candidate: Version) -> dict[str, Any]:
    """The newest claims that the version in production answered in the last 7 days, at most 5,000, against the
    profile of the candidate's training data: {"version", "rows", "from", "to", "drift" or null, "note"}."""
    reference, serving = basis_of(candidate).reference, in_production(candidate.model)
    if reference is None:
        return _nothing(f"{candidate.number} has no profile of its training data")
    if serving is None:
        return _nothing("nothing is in production")
    asked = Prediction.objects.filter(
        version=serving, status=PredictionStatus.OK, predicted_at__gt=timezone.now() - WINDOW, erased_at=None
    )
    rows = list(asked.order_by("-predicted_at").values_list("features", "predicted_at")[:MOST_ROWS])
    if not rows:
        return _nothing(f"{serving.number} answered nothing in the last {WINDOW.days} days")
    found = profile_drift(
        profile(pd.DataFrame([features for features, _ in rows]), reference.bins),
        reference,
        threshold=settings.DRIFT_THRESHOLD,
        importance=candidate.importance,
        min_samples=settings.MIN_SAMPLES_FOR_MONITORING,
    )
    span = {"from": rows[-1][1].isoformat(), "to": rows[0][1].isoformat()}
    return {"version": serving.number, "rows": len(rows), **span, "drift": drift_said(found), "note": ""}


def _nothing(note: str) -> dict[str, Any]:
    return {"version": None, "rows": 0, "from": None, "to": None, "drift": None, "note": note}
