"""Explanations of rows by a version, and what it looks at in general."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings

from mlops_site.core import events, store
from mlops_site.core.errors import Conflict
from registry.artifacts.archive import Format
from registry.artifacts.background import from_bytes
from registry.artifacts.cache import BoundedCache
from registry.artifacts.engines import open_scorer
from registry.artifacts.explainer import Explainer
from registry.artifacts.signature import Signature
from registry.models import Version

if TYPE_CHECKING:
    import pandas as pd

    from registry import plots

TOP = 10
FEWEST_GOLDEN = 10  # golden rows that can stand for the training data of a version without a background
_COST_FACTOR = 20  # memory per byte of artifact


def explainer_of(version_id: int) -> Explainer:
    """Explains rows by the version's own artifact, from this process's memory if it is there; one query, else two.

    Conflict `no_background` for a version that was registered without rows to compare with.
    """
    key = Version.objects.values_list("content_digest", "background").get(pk=version_id)
    return _cache().get(key, lambda: _load(version_id))


@functools.cache
def _cache() -> BoundedCache[tuple[str, str | None], Explainer]:
    return BoundedCache[tuple[str, str | None], Explainer](
        max_bytes=settings.MODEL_CACHE_MB << 19
    )  # half of what the scorers may take


def _load(version_id: int) -> tuple[Explainer, int]:
    rows = Version.objects.select_related("model", "artifact").only(
        "model__name", "major", "minor", "patch", "artifact", "background_id", "signature", "golden"
    )
    version = rows.get(pk=version_id)
    signature = Signature.from_json(version.signature)
    content = store.read(version.artifact.digest)
    scorer = open_scorer(content, cast(Format, version.artifact.format), signature)
    if version.background_id is not None:
        digest = version.background_id
        background = from_bytes(store.read(digest), signature)
    elif len(version.golden) >= FEWEST_GOLDEN:  # registered before backgrounds were kept
        asked = [row["features"] for row in version.golden]
        digest, background = events.digest_of(asked), scorer.check_rows(asked, single=False)
    else:
        message = f"{version} was registered without rows of its training data to compare with; upload it with some"
        raise Conflict(message, code="no_background")
    explainer = Explainer(scorer, background, digest)
    return explainer, len(content) * _COST_FACTOR + explainer.prepare()


def global_explanation(version: Version) -> dict[str, Any]:
    """What the version looks at, with the share of each input in the loss that permuting it adds to the holdout, where
    that was measured. Conflict `no_background` for one that was registered without rows."""
    said = dict(version.explanation)
    if not said:
        message = (
            f"{version} was registered without rows of its training data, so nothing was explained; upload it with some"
        )
        raise Conflict(message, code="no_background")
    shares = version.importance
    features = [{**row, "permutation_share": shares.get(row["feature"])} for row in said["features"]]
    return {**said, "features": features}


def attributions(version: Version) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """The first rows of a version's background and what each of their inputs contributes, both (n, inputs); None of a
    version without."""
    if version.background_id is None or version.attributions_id is None:
        return None
    import pandas as pd

    rows, found = (
        pd.read_parquet(io.BytesIO(store.read(digest))) for digest in (version.background_id, version.attributions_id)
    )
    return rows.head(len(found)), found


def explanation_summary(explanation: Mapping[str, Any], *, top: int = TOP) -> dict[str, Any] | None:
    """What evidence says of a version's explanation: its `top` inputs by mean absolute contribution, the method and
    output space, against which rows, and the digest of the whole; None of a version registered without rows.

    >>> explanation_summary({}) is None
    True
    """
    if not explanation:
        return None
    kept = ("method", "output_space", "explained", "background", "rows", "digest")
    return {**{name: explanation[name] for name in kept}, "features": explanation["features"][:top]}


def importances(version: Version, *, top: int = 20) -> plots.Importance:
    """The most important inputs, as the figure wants them; of a version that has an explanation."""
    from registry import plots  # which loads Plotly

    rows = version.explanation["features"][:top]
    ends = [row["ci95"] for row in rows]
    return plots.Importance(
        version.explanation["output_space"],
        [row["feature"] for row in rows],
        [row["mean_abs"] for row in rows],
        [low for low, _ in ends],
        [high for _, high in ends],
    )


def dependence(version: Version, feature: str) -> plots.Dependence | None:
    """What an input contributes by its value, over the rows that were explained; None if there are none."""
    from registry import plots

    found = attributions(version)
    if found is None or feature not in found[0]:
        return None
    values, sizes = found[0][feature], found[1][feature]
    known = values.notna() & (values != "")
    return plots.Dependence(
        feature,
        version.explanation["output_space"],
        values[known].tolist(),
        sizes[known].tolist(),
        sizes[~known].tolist(),
    )
