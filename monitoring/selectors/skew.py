"""Skew of a version: the features that its predictions were made of, against its feature sets recomputed as of then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models.functions import Coalesce

from mlops_site.core.permissions import Action, Actor
from monitoring.models import Prediction
from monitoring.selectors.periods import Period
from monitoring.stats.skew import NONE, FeatureSkew, Pair, feature_skew
from registry.models import Version
from training.models import FeatureSetVersion, FeatureUse
from training.selectors.feature_frames import values_frame

if TYPE_CHECKING:
    import pandas as pd

MOST = 5_000  # predictions that are looked at, the newest of the window
MOST_PAIRS = 200_000  # of a prediction and a feature
UNDER_WAY = timedelta(seconds=5)  # a load that was received so shortly before may not have been there to read yet
_COLUMNS = ("pk", "unit_id", "asked_at", "features", "completion__features")


class Skew(NamedTuple):
    """By feature, those that differ most first. `predictions` of `of` in the window were looked at: the newest ones."""

    version: Version
    feature_sets: list[str]
    predictions: int
    of: int
    features: list[FeatureSkew]


def skew(version: Version, chosen: Period, *, actor: Actor) -> Skew:
    """Each feature of the version's sets in the predictions of the window that name a unit, given or completed. A value
    of personal data is never told, and examples are told to nobody who may not see what claims are made of."""
    sets = [use.feature_set for use in _uses(version)]
    names = {column["name"] for column in version.signature["inputs"]}
    kinds = sum(len(names & each.kinds.keys()) for each in sets)
    rows = Prediction.objects.filter(version=version, predicted_at__gte=chosen.start, predicted_at__lt=chosen.end)
    rows = rows.filter(erased_at=None).exclude(unit_id="")
    most = min(MOST, MOST_PAIRS // max(1, kinds))
    # A file's rows are scored some time after what they lack was looked up.
    rows = rows.annotate(asked_at=Coalesce("completion__as_of", "predicted_at"))
    read = list(rows.order_by("-predicted_at").values_list(*_COLUMNS)[:most]) if sets else []
    found = [each for one in sets for each in _of_set(one, read, names)]
    if not actor.may(Action.INPUT_VIEW, version.model.team_id):
        found = [each._replace(examples=[]) for each in found]
    found.sort(key=lambda each: (-(each.different_share or 0.0), -(each.late_share or 0.0), each.feature))
    of = rows.count() if len(read) == most else len(read)
    return Skew(version, [str(each) for each in sets], len(read), of, found)


def _uses(version: Version) -> Any:
    return FeatureUse.objects.filter(version=version).select_related("feature_set__feature_set").order_by("pk")


def _of_set(found: FeatureSetVersion, read: Sequence[Any], names: set[str]) -> list[FeatureSkew]:
    features = [name for name in found.kinds if name in names]
    if not read:
        return [feature_skew(name, str(found), [], masked=name in found.personal) for name in features]
    values, positions = _positions(found, read)
    return [
        feature_skew(name, str(found), _pairs(name, read, values, positions), masked=name in found.personal)
        for name in features
    ]


def _positions(found: FeatureSetVersion, read: Sequence[Any]) -> tuple[pd.DataFrame, list[Any]]:
    """The set's values, and by prediction the place of the one that was known then, a moment before, and is now."""
    import pandas as pd

    from training.ml.point_in_time import INSTANT, latest

    units = [row[1] for row in read]
    times = pd.Series([row[2] for row in read]).astype(INSTANT)
    values = values_frame(found, sorted(set(units)), until=max(row[2] for row in read))
    asked = pd.DataFrame({"entity": units, "at": times})
    arrived = values[["ingested_at", "received_at"]].max(axis=1).astype(INSTANT)
    seen = (arrived, arrived + UNDER_WAY, values["event_at"])
    return values, [latest(asked, values.assign(ingested_at=at), freshness=found.freshness) for at in seen]


def _pairs(name: str, read: Sequence[Any], values: pd.DataFrame, positions: Sequence[Any]) -> list[Pair]:
    column = [_plain(value) for value in values[f"values.{name}"].tolist()]
    pairs = []
    for at, (pk, unit, moment, features, completed) in enumerate(read):
        if name in features:
            known = [NONE if side[at] < 0 else column[side[at]] for side in positions]
            pairs.append(Pair(str(pk), unit, moment, name in (completed or {}), features[name], *known))
    return pairs


def _plain(value: Any) -> Any:
    """A cell as it was loaded: a column of numbers has them as floats, and NaN for none."""
    if value != value:
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value
