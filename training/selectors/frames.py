"""Runs and data sets as tables, for a notebook."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from training.models import DatasetVersion, Run

if TYPE_CHECKING:
    import pandas as pd

MOST = 1_000


def runs_frame(rows: Iterable[Run]) -> pd.DataFrame:
    """A row for each run: what it was, its best, its holdout metrics (`metrics.*`) and winning parameters
    (`params.*`)."""
    import pandas as pd

    return pd.DataFrame([_run(run) for run in rows]).convert_dtypes(convert_string=False)


def datasets_frame(rows: Iterable[DatasetVersion]) -> pd.DataFrame:
    """A row for each version of each data set."""
    import pandas as pd

    names = ("version", "rows", "target", "group_column", "time_column", "digest", "created_at")
    return pd.DataFrame([{"name": row.dataset.name, **{name: getattr(row, name) for name in names}} for row in rows])


def frame_of(pieces: Iterable[bytes]) -> pd.DataFrame:
    """The table of a Parquet file that comes in pieces."""
    import pandas as pd

    return pd.read_parquet(io.BytesIO(b"".join(pieces)))


def _run(run: Run) -> dict[str, Any]:
    winner = run.leaderboard[0] if run.leaderboard else {}
    metrics = run.version.metrics if run.version else {}
    return {
        "job_id": str(run.pk),
        "model_name": run.model.name,
        "dataset": str(run.dataset),
        "state": run.state,
        "version": run.version.number if run.version else None,
        "best_model_type": winner.get("model_type"),
        "mean": winner.get("mean"),
        "se": winner.get("se"),
        "gate_passed": None if run.gate is None else run.gate["passed"],
        "trigger_reason": run.trigger_reason,
        "requested_by": run.requested_by.username,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        **{f"metrics.{name}": metric["value"] for name, metric in metrics.items()},
        **{f"params.{name}": value for name, value in winner.get("params", {}).items()},
    }
