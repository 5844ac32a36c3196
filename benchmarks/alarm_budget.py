"""Whether an alarm budget is kept, and what it costs in delay: `python -m benchmarks.alarm_budget`.

A budget of one false alarm a model-month is turned into a rule from three days of a model's traffic and the profile of
its training data. The rule then watches 200 months that the calibration has not seen, of rows (not of counts) with 15
features and a daily season of volume and mix: windows of the last 24 hours, as production's schedule has them, and of
the hour alone, each judged every hour, more often, and in between as soon as enough is new. Then one feature is
shifted, by 0.2 and by 0.5 standard deviations, and the hours to the alarm are counted. Every window of the quiet months
that is a hit, and one in a hundred of all others, is judged again by `profile_drift` itself.
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
from mlops_site.stats.compare import profile_drift
from mlops_site.stats.profile import Moments, Profile
from monitoring.stats.alarm_budget import Calibrated, Judged, calibrate
from monitoring.stats.looks import Schedule, looks
from monitoring.stats.months import MONTH_HOURS, rolling
from monitoring.stats.persistence import AlarmRule, alarms, onsets, standard_rule
from monitoring.stats.window_tests import judged, q_values

BUDGET, SMALLEST = 1.0, 0.2
MONTHS, RUNS = 200, 200
SHIFTS = (0.2, 0.5)
LEAD, HORIZON = 32, 120  # hours before a shift, and hours in which it is looked for
CHECKED_ONE_IN = 100
STEPS = 12  # of an hour, in which rows come
LONGEST, BEFORE = 24, 8  # hours of the longest window, and of looks before a shift
SCHEDULES = {
    "the last 24 hours": Schedule(24, 100),
    "the last 24 hours, and in time": Schedule(24, 100, 1, 100),
    "the last 24 hours, every 15 minutes": Schedule(24, 100, 0.25),
    "the last 24 hours, every 5 minutes, and in time": Schedule(24, 100, 1 / 12, 100),
    "the hour alone": Schedule(1, 30),
    "the hour alone, every 15 minutes, and in time": Schedule(1, 30, 0.25, 100),
}


class Seen(NamedTuple):
    """Of the looks (L,) of a span: hits by rule, which were on schedule, and hours from the shift; and how many windows
    `profile_drift` judged again and otherwise."""

    hits: dict[str, Any]
    scheduled: Any
    hours: Any
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
        known = {name: rules(said) for name, said in found.items()}
        quiet = list(pool.map(partial(month, known), range(asked.months)))
        moved = {sd: list(pool.map(partial(shifted, known, sd), range(asked.runs))) for sd in SHIFTS}
    notes = {"calibration": f"{took:.0f} s of processor time for the {len(SCHEDULES)} schedules", "load": f"{load:.1f}"}
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


def month(known: dict[str, dict[str, AlarmRule]], number: int) -> dict[str, Seen]:
    rng = np.random.default_rng([_daily.SEED, 2, number])
    _, counts = _daily.hourly(rng, LONGEST + MONTH_HOURS, steps=STEPS)
    return {name: watched(counts, LONGEST, 0, name, own, number) for name, own in known.items()}


def shifted(known: dict[str, dict[str, AlarmRule]], sd: float, number: int) -> dict[str, Seen]:
    rng = np.random.default_rng([_daily.SEED, 3, number, round(100 * sd)])
    column = _daily.SHIFTED[number % len(_daily.SHIFTED)]
    _, counts = _daily.hourly(rng, LEAD + HORIZON, _daily.Shift(column, sd, LEAD), STEPS)
    return {name: watched(counts, LEAD - BEFORE, LEAD, name, own, number) for name, own in known.items()}


def watched(counts: Any, first: int, since: int, name: str, known: dict[str, AlarmRule], seed: int) -> Seen:
    """What each rule says of the windows that end at hour `first` or later, of the counts (steps, width) of steps of
    hours; the shift is at hour `since`."""
    reference, schedule = _daily.reference(), SCHEDULES[name]
    length = schedule.window_steps(STEPS)
    counts = counts[first * STEPS - length :]
    slices = reference.bins.slices
    rows = counts[:, next(iter(slices.values()))].sum(axis=1).astype(np.float64)
    sums = rolling(rows[:, None], length)[:, 0]
    looked = looks(schedule, STEPS, rows[length - 1 :], sums)
    windows = {feature: rolling(counts[:, part], length)[looked.at] for feature, part in slices.items()}
    enough = sums[looked.at] >= schedule.min_rows
    features = reference.bins.features.items()
    said = [judged(windows[f][:, :-1], reference.counts_of(f)[:-1], bins, enough) for f, bins in features]
    p_values, effects = (np.array(side) for side in zip(*said, strict=True))
    qs = q_values(p_values)
    hits = {which: ((qs <= rule.q) & (effects >= rule.effect)).any(axis=0) & enough for which, rule in known.items()}
    hours = first + looked.at / STEPS - since
    again = np.random.default_rng([seed, 4]).random(len(enough)) < 1 / CHECKED_ONE_IN
    places = np.flatnonzero(enough & (again | (np.any(list(hits.values()), axis=0) & (since == 0))))
    whole = np.concatenate(list(windows.values()), axis=1)[places].astype(np.int64)
    checks = zip(places, whole, strict=True)
    differed = sum(_hits(window, known) != {which: bool(own[i]) for which, own in hits.items()} for i, window in checks)
    return Seen(hits, looked.scheduled, hours, len(places), differed)


def _hits(counts: Any, known: dict[str, AlarmRule]) -> dict[str, bool]:
    """As production judges the window."""
    reference = _daily.reference()
    rows = int(counts[next(iter(reference.bins.slices.values()))].sum())
    window = Profile(reference.bins, rows, counts, {name: Moments() for name in reference.moments})
    judged = {n: profile_drift(window, reference, threshold=r.effect, q_limit=r.q) for n, r in known.items()}
    return {name: found.drifted > 0 for name, found in judged.items()}


def told(seen: Seen, which: str, rule: AlarmRule) -> Any:
    """Looks (L,) at which the rule raises an alarm."""
    return alarms(seen.hits[which][None], k=rule.k, m=rule.m, scheduled=seen.scheduled[None])[0]


def alarms_a_month(quiet: list[Seen], which: str, rule: AlarmRule) -> tuple[float, float]:
    """Mean over the months, and its standard error."""
    counts = [int(onsets(told(each, which, rule)[None]).sum()) for each in quiet]
    return float(np.mean(counts)), float(np.std(counts, ddof=1) / np.sqrt(len(counts)))


def delays(moved: list[Seen], which: str, rule: AlarmRule) -> list[float]:
    """Hours from the shift to the alarm, infinite where there was none."""
    return [float(np.min(each.hours[told(each, which, rule) & (each.hours > 0)], initial=np.inf)) for each in moved]


def _hours(middle: float) -> str:
    return f"{middle:.3g}" if np.isfinite(middle) else f"more than {HORIZON}"


def report(found: dict[str, Calibrated], quiet: Any, moved: Any, notes: dict[str, str]) -> int:
    """Write the tables; status 1 when the budget is not kept."""
    heads = ["window", "rule", "q", "effect", "k of m", "false alarms a month", "expected"]
    heads += [f"{sd} SD: median hours, found" for sd in SHIFTS] + ["looks a month"]
    lines, figures, kept = [], [], True
    for name, said in found.items():
        for which, rule in rules(said).items():
            own = [each[name] for each in quiet]
            mean, error = alarms_a_month(own, which, rule)
            expected: Judged = said.chosen if which == "of the budget" else said.standard
            found_after = {sd: delays([each[name] for each in moved[sd]], which, rule) for sd in SHIFTS}
            kept = kept and (which == "standard" or mean <= BUDGET)
            middle = {sd: float(np.median(hours)) for sd, hours in found_after.items()}
            share = {sd: float(np.isfinite(hours).mean()) for sd, hours in found_after.items()}
            lines.append(
                [name, which, f"{rule.q:g}", f"{rule.effect:g}", f"{rule.k} of {rule.m}", f"{mean:.2f} ± {error:.2f}"]
                + [f"{expected.false_alarms:.2f}"]
                + [f"{_hours(middle[sd])}, {share[sd]:.0%}" for sd in SHIFTS]
                + [f"{np.mean([len(each.hours) for each in own]):,.0f}"]
            )
            hours = {f"median_hours_{sd}": middle[sd] if np.isfinite(middle[sd]) else None for sd in SHIFTS}
            row = {"window": name, "which": which, "rule": rule._asdict(), "mean": mean, "se": error}
            figures.append(row | hours)
    every = [each for runs in (quiet, *moved.values()) for run in runs for each in run.values()]
    months, runs = len(quiet), len(next(iter(moved.values())))
    about = {
        **_results.about("alarm_budget"),
        "months": f"{months} of {MONTH_HOURS} hours, 15 undrifted features, {_daily.ROWS_AN_HOUR} rows an hour in "
        f"the mean, {1 + _daily.SWING:g} times that at noon and {1 - _daily.SWING:.1g} times at midnight, with another "
        "mix at night",
        "in time": "a look in between after 100 new answers and labels, each answer having its label at once, and a "
        f"fiftieth of the window's rows; the months are made of steps of {60 // STEPS} minutes, in which looks fall",
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
