"""The values of many units as a frame."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops_site.core.errors import TooLarge
from training.models import FeatureRow, FeatureSetVersion

if TYPE_CHECKING:
    import pandas as pd

MAX_VALUES = 2_000_000
UNITS = 5_000  # whose values are read by one statement
_FIELDS = ("entity", "event_at", "ingested_at", "load__received_at", "values")


def values_frame(
    found: FeatureSetVersion, units: Sequence[str], *, until: datetime, received_until: datetime | None = None
) -> pd.DataFrame:
    """The values of units with events up to `until`: entity, event_at, ingested_at, received_at and the columns. Raises
    TooLarge beyond 2,000,000."""
    import pandas as pd

    from training.ml.point_in_time import INSTANT

    read: list[tuple[Any, ...]] = []
    for start in range(0, len(units), UNITS):
        rows = FeatureRow.objects.filter(
            feature_set=found, entity__in=units[start : start + UNITS], event_at__lte=until
        )
        if received_until is not None:
            rows = rows.filter(load__received_at__lte=received_until)
        read += rows.values_list(*_FIELDS)[: MAX_VALUES + 1 - len(read)]
        if len(read) > MAX_VALUES:
            message = f"at most {MAX_VALUES:,} values of {found} can be joined at a time; use fewer labels"
            raise TooLarge.on("labels", message, code="too_many_rows")
    frame = pd.DataFrame(
        [row[:4] for row in read], columns=["entity", "event_at", "ingested_at", "received_at"]
    ).astype({"entity": "object", "event_at": INSTANT, "ingested_at": INSTANT, "received_at": INSTANT})
    for name, kind in found.kinds.items():
        dtype = "float64" if kind == "number" else "object"
        frame[f"values.{name}"] = pd.Series([row[4][name] for row in read], dtype=dtype)
    return frame
