"""How near performance estimated without labels comes to what the labels say, on three real data sets.

`python -m benchmarks.estimation` takes RAND's health insurance experiment (20,190 person-years), the US Census of
Massachusetts (277,677 people, 2015 to 2018) and all flights from New York in 2013 (327,346). Of each it parts the rows
again and again into training, reference and production (people of RAND are kept together), trains histogram gradient
boosting, keeps of the reference what a version keeps, and draws slices from production with another mixture of one
covariate: rows with high (or low) values of it come up to e^2 times as often. ROC AUC, F1 and recall of every slice are
estimated from its score histogram alone and compared with its labels and, of the first parts, with NannyML's own CBPE
on the same rows, in an environment of its own (see `_nannyml`). MAE of three regressions likewise, by DLE.

Then it simulates days of 1,000 answers of which 70 % are labelled, without and with a planted concept drift, and counts
how soon the estimate is distrusted, and how often without reason.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from benchmarks import _evidently, _nannyml, _results
from benchmarks._planted import delays
from mlops_site.stats.heldout import HeldOut, score_bins
from mlops_site.stats.losses import Losses
from mlops_site.stats.metrics import evaluate
from mlops_site.stats.profile import profile, reference_bins
from monitoring.stats.estimation import Cbpe, expected

SEED = 7
TRAINING, PRODUCTION, SLICE, SLICES, TILT = 20_000, 40_000, 3_000, 20, 2.0
METRICS = ["roc_auc", "f1_score", "recall"]
ERROR, COVERED, ALIKE = 0.02, (0.93, 0.97), 0.005
CENSUS = [
    *(
        "AGEP",
        "MAR",
        "RELP",
        "DIS",
        "ESP",
        "CIT",
        "MIG",
        "MIL",
        "ANC",
        "NATIVITY",
        "DEAR",
        "DEYE",
        "DREM",
        "SEX",
        "RAC1P",
    )
]
RAND = [
    *("year", "site", "plan", "coins", "idp", "lpi", "fmde", "mdeoff", "pioff", "xage", "female", "black", "child"),
    *("income", "num", "lfam", "mhi", "disea", "physlm"),
]
Rows = pd.DataFrame


class Set(NamedTuple):
    """Features (n, k), truth of two classes and a value to predict (n,), what slices are drawn by, who is together."""

    name: str
    features: Rows
    positive: Any
    value: Any
    covariates: list[str]
    groups: Any = None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimation", description=__doc__)
    parser.add_argument("--parts", type=int, default=200, help="times that each set is parted anew")
    parser.add_argument("--compared", type=int, default=10, help="parts that NannyML estimates too")
    parser.add_argument("--only", default="", help="the set whose name begins so")
    parser.add_argument("--quick", action="store_true", help="20 parts and shorter simulations")
    asked = parser.parse_args()
    parts = 20 if asked.quick else asked.parts
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name:
        folder = Path(name)
        _nannyml.ask("data", folder)
        sets = [each for each in (rand(), census(folder), flights(folder)) if each.name.startswith(asked.only)]
        classes, values = [], []
        for each in sets:
            for part in range(parts):
                print(f"\r{each.name} {part + 1}/{parts} ", end="", file=sys.stderr, flush=True)
                kept = folder if part < asked.compared else None
                classes.append(classified(each, part, kept))
                if part < parts // 4:
                    values.append(valued(each, part))
        _nannyml.ask("estimate", folder)
        theirs = pd.read_parquet(folder / "theirs.parquet")
    return report(pd.concat(classes), pd.concat(values), theirs, delays(months=20 if asked.quick else 200), parts, load)


def rand() -> Set:
    """Whether a person's medical cost of the year is above the median, and how many visits there are."""
    table = (
        pd.read_csv(_evidently.ROOT / "mlops_site" / "demo" / "data" / "rand_hie.csv.gz")
        .sort_values(["zper", "year"])
        .reset_index(drop=True)
    )
    outcomes = ["meddol", "mdvis", "drugdol", "totadm", "outpdol"]
    last = table.groupby("zper")[outcomes].shift(1).add_suffix("_last")
    features = pd.concat([table[RAND], last], axis=1)
    positive = (table["meddol"] > table["meddol"].median()).to_numpy()
    drawn = ["xage", "income", "disea", "lfam", "site"]
    return Set("RAND HIE", features, positive, table["mdvis"].to_numpy(float), drawn, table["zper"].to_numpy())


def census(folder: Path) -> Set:
    """Whether somebody is employed; a person's years of schooling as a value."""
    table = pd.read_parquet(folder / "census.parquet")
    features = table[CENSUS].apply(pd.to_numeric)
    drawn = ["AGEP", "MAR", "SEX", "RAC1P", "RELP"]
    schooling = pd.to_numeric(table["SCHL"]).to_numpy(float)
    return Set("US Census", features, table["employed"].to_numpy() == 1, schooling, drawn)


def flights(folder: Path) -> Set:
    """Whether a flight arrives more than 15 minutes late, from its plan alone; its delay, cut at 3 hours."""
    table = pd.read_parquet(folder / "flights.parquet")
    features = table[["month", "day", "sched_dep_time", "sched_arr_time", "distance"]].astype(float)
    for name in ("carrier", "origin", "dest"):
        features[name] = pd.factorize(table[name], sort=True)[0].astype(float)
    delay = np.clip(table["arr_delay"].to_numpy(float), -60, 180)
    drawn = ["month", "sched_dep_time", "distance", "carrier", "dest"]
    return Set("flights", features, table["arr_delay"].to_numpy() > 15, delay, drawn)


def parted(of: Set, part: int) -> tuple[Any, Any, Any]:
    """Places of training, reference and production, groups kept together."""
    random = np.random.default_rng([SEED, part])
    if of.groups is None:
        order = random.permutation(len(of.features))
    else:
        names, places = np.unique(of.groups, return_inverse=True)
        order = np.argsort(random.permutation(len(names))[places], kind="stable")
    size = min(TRAINING, int(0.3 * len(order)))
    return order[:size], order[size : 2 * size], order[2 * size :][:PRODUCTION]


def slices(of: Set, part: int, production: Any) -> list[Any]:
    """Places of production in each slice, drawn without putting back (Efraimidis and Spirakis 2006)."""
    random, found = np.random.default_rng([SEED, part, 1]), []
    for number in range(SLICES):
        drawn = of.features[of.covariates[number % len(of.covariates)]].iloc[production]
        rank = drawn.rank(pct=True).fillna(0.5).to_numpy() * (1 if number // len(of.covariates) % 2 else -1)
        keys = TILT * rank - np.log(-np.log(random.random(len(production))))
        found.append(np.argpartition(-keys, SLICE)[:SLICE])
    return found


def classified(of: Set, part: int, kept: Path | None) -> Rows:
    """Each metric of each slice as estimated and as realised; `kept` takes the rows that NannyML is to see."""
    training, reference, production = parted(of, part)
    model = HistGradientBoostingClassifier(max_iter=60, random_state=SEED)
    model.fit(of.features.iloc[training], of.positive[training])
    threshold = float(of.positive[training].mean())  # near where F1 is best
    score, truth = model.predict_proba(of.features.iloc[production])[:, 1], of.positive[production]
    held = model.predict_proba(of.features.iloc[reference])[:, 1]
    groups = None if of.groups is None else of.groups[reference]
    by = Cbpe.from_held_out(HeldOut.of(held, of.positive[reference], threshold, groups=groups)).by
    found, rows = [], []
    for number, chosen in enumerate(slices(of, part, production)):
        said = {one.name: one for one in expected(np.bincount(score_bins(score[chosen]), minlength=200), by)}
        came = realised(score[chosen], truth[chosen], threshold)
        rows.append(table_of(score[chosen], truth[chosen], threshold).assign(slice=number))
        found += [(of.name, part, number, name, said[name].value, said[name].error, came[name]) for name in METRICS]
    if kept is not None:
        table_of(held, of.positive[reference], threshold).to_parquet(kept / f"reference-{of.name}-{part}.parquet")
        pd.concat(rows, ignore_index=True).to_parquet(kept / f"slices-{of.name}-{part}.parquet")
    return pd.DataFrame(found, columns=["set", "part", "slice", "metric", "estimated", "error", "realised"])


def realised(score: Any, truth: Any, threshold: float) -> dict[str, float]:
    said = (score >= threshold).astype(int)
    known: dict[str, Any] = {"positive": 1, "classes": [0, 1], "metrics": METRICS}
    return evaluate("classification", truth.astype(int), prediction=said, score=score, **known)


def table_of(score: Any, truth: Any, threshold: float) -> Rows:
    said = (score >= threshold).astype(int)
    return pd.DataFrame({"score": score, "label": truth.astype(int), "said": said})


def valued(of: Set, part: int) -> Rows:
    """MAE of each slice as estimated, as realised and as it was on the reference."""
    training, reference, production = parted(of, part)
    model = HistGradientBoostingRegressor(max_iter=60, random_state=SEED)
    model.fit(of.features.iloc[training], of.value[training])
    bins = reference_bins(of.features.iloc[training], dict.fromkeys(map(str, of.features), "number"), salt="benchmark")
    held, said = (model.predict(of.features.iloc[side]) for side in (reference, production))
    missed = np.abs(held - of.value[reference])
    groups = None if of.groups is None else of.groups[reference]
    frame = of.features.iloc[reference].reset_index(drop=True)
    losses = Losses.fit(frame, {"mae": missed, "rmse": missed**2}, bins, said=held, groups=groups)
    assert losses is not None
    found = []
    for number, chosen in enumerate(slices(of, part, production)):
        window = profile(of.features.iloc[production[chosen]], bins)
        answers = float(said[chosen].mean()), float(np.square(said[chosen]).mean())
        one = losses.mean(window.counts, window.rows, answers)["mae"]
        came = float(np.abs(said[chosen] - of.value[production[chosen]]).mean())
        found.append((of.name, part, number, "mae", one.value, one.error, came, float(missed.mean())))
    names = ["set", "part", "slice", "metric", "estimated", "error", "realised", "registered"]
    return pd.DataFrame(found, columns=names)


def report(classes: Rows, values: Rows, theirs: Rows, planted: list[Any], parts: int, load: float) -> int:
    """Write the tables; status 1 when a goal is missed."""
    by = ["part_name", "metric", "slice"]
    named = classes.assign(part_name=classes["set"] + "-" + classes["part"].astype(str))
    both = named.merge(theirs.rename(columns={"part": "part_name", "error": "their_error"}), on=by)
    lines, ok = [], True
    for (name, metric), own in classes.groupby(["set", "metric"], sort=False):
        seen = both[(both["set"] == name) & (both["metric"] == metric)]
        gap, missed = (own["estimated"] - own["realised"]).abs(), (seen["value"] - seen["realised"]).abs()
        apart, held = (seen["estimated"] - seen["value"]).abs(), float((gap <= 1.96 * own["error"]).mean())
        ok &= gap.mean() <= ERROR and apart.max() <= ALIKE and COVERED[0] <= held <= COVERED[1]
        theirs_held = float((missed <= 1.96 * seen["their_error"]).mean())
        cells = [f"{gap.mean():.4f}", f"{held:.1%}", f"{apart.max():.4f}", f"{missed.mean():.4f}", f"{theirs_held:.1%}"]
        lines.append([str(name), str(metric), *cells])
    heads = ["", "metric", "mean error", "band held", "furthest from NannyML", "its error", "its band held"]
    about = {
        **_results.about("estimation"),
        "slices": f"{parts} parts of each set, {SLICES} slices of {SLICE:,} rows each; NannyML {_nannyml.VERSION} on "
        f"{len(seen) // SLICES} of the parts",
        "load": f"{load:.1f} processes wanted the cores in the minute before",
        "goal": f"mean error at most {ERROR}, band held in 95 +- 2 %, within {ALIKE} of NannyML on every slice: "
        f"{'reached' if ok else 'missed'}",
    }
    figures = {"classes": lines, "values": values_of(values), "planted": planted}
    tables = [[heads, *lines], [VALUES, *values_of(values)], [PLANTED, *planted]]
    _results.keep("estimation", "Performance estimated before labels arrive", tables, about, figures)
    return 0 if ok else 1


VALUES = ["MAE by DLE", "realised", "mean error of the estimate", "of the MAE at registration", "band held"]
PLANTED = ["concept drift", "distrusted within 30 days", "after days, median", "after days, 90 %"]


def values_of(values: Rows) -> list[list[str]]:
    lines = []
    for name, own in values.groupby("set", sort=False):
        gap, before = ((own[said] - own["realised"]).abs() for said in ("estimated", "registered"))
        held = float((gap <= 1.96 * own["error"]).mean())
        relative = [f"{(missed / own['realised']).mean():.1%}" for missed in (gap, before)]
        lines.append([str(name), f"{own['realised'].mean():.3g}", *relative, f"{held:.1%}"])
    return lines


if __name__ == "__main__":
    sys.exit(main())
