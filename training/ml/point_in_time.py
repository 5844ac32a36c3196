"""Which value of a feature was known at a time: the join that lets nothing of the future into a training set."""

from datetime import timedelta
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NONE = -1  # the position of no value
INSTANT: Final = "datetime64[us, UTC]"


def latest(asked: pd.DataFrame, values: pd.DataFrame, *, freshness: timedelta | None = None) -> NDArray[np.int64]:
    """For each of n questions the position of its value among m, or -1.

    `asked` (n) has `entity` and `at`; `values` (m) have `entity`, `event_at` and `ingested_at`; times are INSTANT. A
    question sees the values of its entity whose event time and ingestion time are both at or before `at`. Of those the
    one with the latest event time is taken, of several with that one the one ingested last. One whose event lies longer
    than `freshness` before `at` is stale: then there is none, for what is older still is no better.

    A value becomes seen at the later of its two times, so the best one seen so far, kept only where it changes, can be
    looked up by that time alone: O((n + m) log(n + m)).

    >>> day = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"], utc=True).astype(INSTANT)
    >>> values = pd.DataFrame({"entity": ["a", "a"], "event_at": day[:2], "ingested_at": [day[0], day[2]]})
    >>> latest(pd.DataFrame({"entity": ["a", "a", "b"], "at": day[[1, 2, 2]]}), values).tolist()
    [0, 1, -1]
    """
    if not len(asked) or not len(values):
        return np.full(len(asked), NONE, np.int64)
    seen = pd.DataFrame({"entity": values["entity"].to_numpy(), "position": np.arange(len(values))})
    event, ingested = (values[name].astype(INSTANT).reset_index(drop=True) for name in ("event_at", "ingested_at"))
    seen["event_at"], seen["seen_at"] = event, event.where(event >= ingested, ingested)
    seen["rank"] = np.argsort(np.lexsort((ingested.to_numpy(), event.to_numpy())))
    seen = seen.sort_values(["seen_at", "rank"], kind="stable")
    seen = seen[seen.groupby("entity")["rank"].cummax() == seen["rank"]]
    questions = pd.DataFrame({"entity": asked["entity"].to_numpy(), "row": np.arange(len(asked))})
    questions["at"] = asked["at"].astype(INSTANT).reset_index(drop=True)
    found = pd.merge_asof(
        questions.sort_values("at", kind="stable"), seen, left_on="at", right_on="seen_at", by="entity"
    )
    taken = found["position"].notna()
    if freshness is not None:
        taken &= (found["at"] - found["event_at"]) <= pd.Timedelta(freshness)
    positions = np.full(len(asked), NONE, np.int64)
    positions[found.loc[taken, "row"].to_numpy()] = found.loc[taken, "position"].to_numpy(np.int64)
    return positions
