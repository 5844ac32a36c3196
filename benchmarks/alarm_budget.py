"""Whether an alarm budget is kept, and what it costs in delay: `python -m benchmarks.alarm_budget`.

A budget of one false alarm a model-month is turned into a rule from three days of a model's traffic and the profile of
its training data. The rule then watches 200 months that the calibration has not seen, of rows (not of counts) with 15
features and a daily season of volume and mix: a window is judged every hour, once of the last 24 hours, as production's
schedule does, and once of the hour alone. Then one feature is shifted, by 0.2 and by 0.5 standard deviations, and the
hours to the alarm are counted. Every window that is a hit, and one in a hundred others, is judged again by
`profile_drift` itself.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np

from benchmarks import _daily, _results
from mlops_site.stats.bins import NumericBins
from mlops_site.stats.compare import profile_drift
from mlops_site.stats.intervals import benjamini_hochberg
from mlops_site.stats.profile import Moments, Profile
from monitoring.stats.alarm_budget import Calibrated, Judged, calibrate
from monitoring.stats.months import MONTH_HOURS, Schedule, judged_levels, judged_numbers
from monitoring.stats.persistence import AlarmRule, alarms, onsets, standard_rule

BUDGET, SMALLEST = 1.0, 0.2
MONTHS, RUNS = 200, 200
SHIFTS = (0.2, 0.5)
LEAD, HORIZON = 32, 120  # hours before a shift, and hours in which it is looked for
CHECKED_ONE_IN = 100
SCHEDULES = {"the last 24 hours": Schedule(24, 100), "the hour alone": Schedule(1, 30)}


class Watched(NamedTuple):
    """Hits by rule, (windows,), and how many windows `profile_drift` judged again and differently."""

    hits: dict[str, Any]
    checked: int
    differed: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alarm_budget", description=__doc__)
    parser.add_argument("--months", type=int, default=MONTHS)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each shift")
    asked = parser.parse_args()
    started, cpu = time.perf_counter(), time.process_time()
    load = os.getloadavg()[0]
    found = {name: calibrated(schedule) for name, schedule in SCHEDULES.items()}
    took = time.process_time() - cpu
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        quiet = {name: list(pool.map(partial(month, name, rules(found[name])), range(asked.months))) for name in found}
        moved = {
            (name, sd): list(pool.map(partial(shifted, name, rules(found[name]), sd), range(asked.runs)))
            for name in found
            for sd in SHIFTS
        }
    notes = {"calibration": f"{took:.0f} s of processor time for both schedules", "load": f"{load:.1f}"}
    return report(found, quiet, moved, notes | {"took": f"{(time.perf_counter() - started) / 60:.0f} minutes"})


def calibrated(schedule: Schedule) -> Calibrated:
    return calibrate(
        _daily.reference(),
        _daily.seen(),
        budget=BUDGET,
        smallest_shift=SMALLEST,
        standard=standard_rule(0.1),
        schedule=schedule,
    )


def rules(found: Calibrated) -> dict[str, AlarmRule]:
    return {"of the budget": found.chosen.rule, "standard": standard_rule(0.1)}


def month(name: str, known: dict[str, AlarmRule], number: int) -> Watched:
    schedule = SCHEDULES[name]
    rng = np.random.default_rng([_daily.SEED, 2, number])
    _, counts = _daily.hourly(rng, MONTH_HOURS + schedule.window_hours - 1)
    return watched(counts, schedule, known, number)


def shifted(name: str, known: dict[str, AlarmRule], sd: float, number: int) -> Watched:
    schedule = SCHEDULES[name]
    rng = np.random.default_rng([_daily.SEED, 3, number, round(100 * sd)])
    column = _daily.SHIFTED[number % len(_daily.SHIFTED)]
    _, counts = _daily.hourly(rng, LEAD + HORIZON, _daily.Shift(column, sd, LEAD))
    return watched(counts[LEAD - schedule.window_hours - 7 :], schedule, known, number)


def watched(counts: Any, schedule: Schedule, known: dict[str, AlarmRule], seed: int) -> Watched:
    """Every window of the hours' counts (hours, width) under each rule."""
    reference = _daily.reference()
    sums = np.cumsum(counts, axis=0)
    sums[schedule.window_hours :] -= sums[: -schedule.window_hours].copy()
    windows = sums[schedule.window_hours - 1 :]
    enough = windows[:, next(iter(reference.bins.slices.values()))].sum(axis=1) >= schedule.min_rows
    p_values, effects = [], []
    for feature, bins in reference.bins.features.items():
        own, before = windows[:, reference.bins.slices[feature]][:, :-1], reference.counts_of(feature)[:-1]
        if isinstance(bins, NumericBins):
            said = judged_numbers(own.astype(np.float64), before)
        else:
            said = judged_levels(own.astype(np.float64), before, bins, enough)
        p_values.append(said[0])
        effects.append(said[1])
    q_values = np.array([benjamini_hochberg(each) for each in np.array(p_values).T])
    sizes = np.array(effects).T
    hits = {name: ((q_values <= rule.q) & (sizes >= rule.effect)).any(axis=1) & enough for name, rule in known.items()}
    again = np.random.default_rng([seed, 4]).random(len(windows)) < 1 / CHECKED_ONE_IN
    places = np.flatnonzero(enough & (again | np.any(list(hits.values()), axis=0)))
    differed = sum(_hits(windows[i], known) != {name: bool(own[i]) for name, own in hits.items()} for i in places)
    return Watched(hits, len(places), differed)


def _hits(counts: Any, known: dict[str, AlarmRule]) -> dict[str, bool]:
    """As production judges the window."""
    reference = _daily.reference()
    rows = int(counts[next(iter(reference.bins.slices.values()))].sum())
    window = Profile(reference.bins, rows, counts, {name: Moments() for name in reference.moments})
    judged = {n: profile_drift(window, reference, threshold=r.effect, q_limit=r.q) for n, r in known.items()}
    return {name: found.drifted > 0 for name, found in judged.items()}


def alarms_a_month(quiet: list[Watched], name: str, rule: AlarmRule) -> tuple[float, float]:
    """Mean over the months, and its standard error."""
    counts = [int(onsets(alarms(each.hits[name][None], k=rule.k, m=rule.m)).sum()) for each in quiet]
    return float(np.mean(counts)), float(np.std(counts, ddof=1) / np.sqrt(len(counts)))


def delays(moved: list[Watched], name: str, rule: AlarmRule) -> list[float]:
    """Hours from the shift to the alarm, infinite where there was none."""
    found = []
    for each in moved:
        told = alarms(each.hits[name][None], k=rule.k, m=rule.m)[0][8:]
        found.append(float(told.argmax() + 1) if told.any() else np.inf)
    return found


def _hours(middle: float) -> str:
    return f"{middle:.0f}" if np.isfinite(middle) else f"more than {HORIZON}"


def report(found: dict[str, Calibrated], quiet: Any, moved: Any, notes: dict[str, str]) -> int:
    """Write the tables; status 1 when the budget is not kept."""
    heads = ["window", "rule", "q", "effect", "k of m", "false alarms a month", "expected"]
    heads += [f"{sd} SD: median hours, found" for sd in SHIFTS]
    lines, figures, kept = [], [], True
    for name, said in found.items():
        for which, rule in rules(said).items():
            mean, error = alarms_a_month(quiet[name], which, rule)
            judged: Judged = said.chosen if which == "of the budget" else said.standard
            told = {sd: delays(moved[name, sd], which, rule) for sd in SHIFTS}
            kept = kept and (which == "standard" or mean <= BUDGET)
            middle = {sd: float(np.median(hours)) for sd, hours in told.items()}
            share = {sd: float(np.isfinite(hours).mean()) for sd, hours in told.items()}
            lines.append(
                [name, which, f"{rule.q:g}", f"{rule.effect:g}", f"{rule.k} of {rule.m}", f"{mean:.2f} ± {error:.2f}"]
                + [f"{judged.false_alarms:.2f}"]
                + [f"{_hours(middle[sd])}, {share[sd]:.0%}" for sd in SHIFTS]
            )
            hours = {f"median_hours_{sd}": middle[sd] if np.isfinite(middle[sd]) else None for sd in SHIFTS}
            row = {"window": name, "which": which, "rule": rule._asdict(), "mean": mean, "se": error}
            figures.append(row | hours)
    every = [each for runs in (*quiet.values(), *moved.values()) for each in runs]
    months, runs = len(next(iter(quiet.values()))), len(next(iter(moved.values())))
    about = {
        **_results.about("alarm_budget"),
        "months": f"{months} of {MONTH_HOURS} windows, 15 undrifted features, {_daily.ROWS_AN_HOUR} rows an hour in "
        f"the mean, {1 + _daily.SWING:g} times that at noon and {1 - _daily.SWING:.1g} times at midnight, with another "
        "mix at night",
        "delay": f"of {runs} shifts, each of one feature; it begins when the first shifted row may come",
        "expected": "what the calibration says, from months of its own that are drawn from the reference",
        "judged again by profile_drift": f"{sum(e.checked for e in every):,} windows, {sum(e.differed for e in every)} "
        "of them otherwise",
        **notes,
        "goal": f"at most {BUDGET:g} false alarm a month: {'reached' if kept else 'missed'}",
    }
    _results.keep("alarm_budget", "Alarm budget", [[heads, *lines]], about, figures)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
