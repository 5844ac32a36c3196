"""How often the volume alarm is wrong, and how soon it is right, on traffic that has nights, weekends and good days.

`python -m benchmarks.volume` simulates models of several sizes: eight weeks of history (or less), then a month of
hourly reports on the last 24 hours, as the schedule makes them. Counts are Poisson around a rate with a day and a
night, weekends at 30 %, days that differ by 15 %, hours that differ by 20 % and follow one another (AR 0.7), and 2 %
growth a week: about twice to ten times the variance of Poisson's. An episode is a run of hours with an alarm. The
delay is from the hour at which something changes, at a random hour of the week, to the first report that says so.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from benchmarks import _results
from mlops_site.stats.scored import Floats
from monitoring.stats.expected import DAY, WEEK, WEEKS, baseline
from monitoring.stats.volume import Volume, expected_volume

SEED, MIN_SAMPLES, MONTH, LONGEST = 29, 100, 720, 168
MOST_EPISODES = 0.2  # false ones in a model's month: one in five months, of the lowest severity
CHANGES = {"silence": 0.0, "50 % less": 0.5, "60 % less": 0.4, "3 times as many": 3.0}


class Model(NamedTuple):
    """A model's traffic: mean predictions an hour, and days of history."""

    name: str
    per_hour: float
    days: int


class Month(NamedTuple):
    """False alarms of a month of hourly reports."""

    episodes: int
    drops: int
    spikes: int
    night: int  # hours with an alarm that ends between 20:00 and 6:00


MODELS = (
    Model("low", 2, 56),
    Model("low, young", 2, 10),
    Model("middle", 50, 56),
    Model("middle, 4 weeks", 50, 28),
    Model("middle, young", 50, 10),
    Model("high", 2_000, 56),
)


def rates(rng: np.random.Generator, weeks: int, per_hour: float) -> Floats:
    """Expected predictions of each hour, shape (168 weeks,), from Monday 00:00."""
    hours = np.arange(weeks * WEEK)
    is_day, is_weekend = (hours % DAY >= 7) & (hours % DAY < 19), hours // DAY % 7 >= 5
    shape = np.where(is_day, 1.0, 0.03) * np.where(is_weekend, 0.3, 1.0)
    days = np.repeat(np.exp(rng.normal(0, 0.15, weeks * 7)), DAY)
    follow = np.zeros(len(hours))
    for at, shock in enumerate(rng.normal(0, np.sqrt(1 - 0.7**2), len(hours))):
        follow[at] = 0.7 * follow[at - 1] + shock
    found: Floats = per_hour * shape / shape[:WEEK].mean() * days * np.exp(0.2 * follow) * 1.02 ** (hours / WEEK)
    return found


def judged(counts: Floats, end: int, days: int) -> Volume:
    """The report at an hour on the 24 before it."""
    start = end - DAY
    known = baseline(counts[max(0, start - min(days * DAY, WEEKS * WEEK)) : start])
    assert known is not None, "a day of history at least"
    rows, before = int(counts[start:end].sum()), int(counts[start - DAY : start].sum())
    return expected_volume(rows, before, known=known, hours=counts[start:end], min_samples=MIN_SAMPLES)


def month(model: Model, number: int) -> Month:
    rng = np.random.default_rng([SEED, MODELS.index(model), number])
    counts = rng.poisson(rates(rng, WEEKS + 7, model.per_hour)).astype(np.float64)
    first = model.days * DAY + DAY
    found = [judged(counts, end, model.days) for end in range(first, first + MONTH)]
    bad = [each.drop or each.spike for each in found]
    night = sum(is_bad for at, is_bad in enumerate(bad) if (first + at) % DAY >= 20 or (first + at) % DAY < 6)
    episodes = sum(now and not before for before, now in zip([False, *bad], bad, strict=False))
    return Month(episodes, sum(each.drop for each in found), sum(each.spike for each in found), night)


def delay(model: Model, factor: float, number: int) -> int | None:
    """Hours until a change is told; None if it is not within a week."""
    rng = np.random.default_rng([SEED, 1, MODELS.index(model), number])
    rate = rates(rng, WEEKS + 4, model.per_hour)
    at = model.days * DAY + DAY + int(rng.integers(0, WEEK))
    rate[at:] *= factor
    counts = rng.poisson(rate).astype(np.float64)
    for hours in range(1, LONGEST + 1):
        found = judged(counts, at + hours, model.days)
        if found.drop if factor < 1 else found.spike:
            return hours
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.volume", description=__doc__)
    parser.add_argument("--months", type=int, default=50, help="simulated for each kind of model")
    parser.add_argument("--changes", type=int, default=60, help="of each kind, for each kind of model")
    asked = parser.parse_args()
    started = time.perf_counter()
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        months = {
            model: list(pool.map(month, [model] * asked.months, range(asked.months), chunksize=5)) for model in MODELS
        }
        delays = {
            (model, name): list(
                pool.map(delay, [model] * asked.changes, [factor] * asked.changes, range(asked.changes), chunksize=5)
            )
            for model in MODELS
            for name, factor in CHANGES.items()
        }
    return keep(months, delays, time.perf_counter() - started)


def keep(months: dict[Model, list[Month]], delays: dict[tuple[Model, str], list[int | None]], secs: float) -> int:
    """Write the tables; status 1 where a kind of model has more false alarms than the goal."""
    alarms = [["model", "an hour", "history", "episodes a month", "hours falling", "hours rising", "hours at night"]]
    means = {}
    for model, found in months.items():
        means[model] = sum(each.episodes for each in found) / len(found)
        sums = [f"{sum(getattr(each, name) for each in found) / len(found):.2f}" for name in Month._fields[1:]]
        alarms.append([model.name, f"{model.per_hour:g}", f"{model.days} d", f"{means[model]:.2f}", *sums])
    told = [["model", *CHANGES]]
    told += [[model.name, *(_median(delays[model, name]) for name in CHANGES)] for model in months]
    missed = [model.name for model, mean in means.items() if mean > MOST_EPISODES]
    about = {
        **_results.about("volume"),
        "months": f"{len(next(iter(months.values())))} of each kind, 720 hourly reports each",
        "delay": f"hours, median and 90 %, of {len(next(iter(delays.values())))} changes; never: not within a week",
        "took": f"{secs / 60:.0f} minutes",
        "goal": f"at most {MOST_EPISODES} false episodes a month: "
        + (f"missed by {', '.join(missed)}" if missed else "met"),
    }
    figures = {
        "false_alarms": [{**model._asdict(), "episodes_a_month": mean} for model, mean in means.items()],
        "delays": [
            {"model": model.name, "days": model.days, "change": name, "hours": found}
            for (model, name), found in delays.items()
        ],
    }
    _results.keep("volume", "False volume alarms, and the delay of true ones", [alarms, told], about, figures)
    return 1 if missed else 0


def _median(found: list[int | None]) -> str:
    hours = np.array([np.inf if each is None else each for each in found])
    middle, most = (np.quantile(hours, share, method="higher") for share in (0.5, 0.9))
    return ", ".join("never" if np.isinf(value) else f"{value:.0f}" for value in (middle, most))


if __name__ == "__main__":
    sys.exit(main())
