"""Undrifted traffic with a day: more rows at noon than at night, and another mix of claims at night."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks._rows import sample
from mlops_site.stats.columns import infer_kinds
from mlops_site.stats.profile import Profile, profile, reference_bins
from monitoring.stats.traffic import HOURS, Traffic, traffic_of

SEED = 28
NUMBERS, CATEGORIES = 11, 4
REFERENCE_ROWS = 50_000
ROWS_AN_HOUR = 120  # in the mean over a day
SWING, NIGHT_SHARE, DAYS_SPREAD = 0.8, 0.4, 0.15
SHIFTED = ("normal_0", "normal_4", "lognormal_1", "age_3")  # take turns, by their own standard deviations

Counts = NDArray[np.int64]


class Shift(NamedTuple):
    """Of one column by `sd` of its standard deviations, from hour `since` on."""

    column: str
    sd: float
    since: int


def volume(place: Counts) -> NDArray[np.float64]:
    """Mean rows of hours of the day."""
    return ROWS_AN_HOUR * (1 + SWING * np.sin((place - 6) / HOURS * 2 * np.pi))


def hours(rng: np.random.Generator, count: int, steps: int = 1) -> tuple[Counts, Counts]:
    """The hour, since some midnight, of each step of `count` hours, and the rows of each: Poisson, with a gamma factor
    for each day."""
    found = int(rng.integers(HOURS)) + np.arange(count * steps) // steps
    factors = rng.gamma(1 / DAYS_SPREAD**2, DAYS_SPREAD**2, size=int(found[-1]) // HOURS + 1)
    return found, rng.poisson(volume(found % HOURS) / steps * factors[found // HOURS])


def rows(rng: np.random.Generator, of_hour: Counts) -> pd.DataFrame:
    """A row for each hour of the day that is given; at night older claimants with larger bills come from one site."""
    frame = sample(rng, len(of_hour), numbers=NUMBERS, categories=CATEGORIES)
    share = NIGHT_SHARE * (1 - np.sin((of_hour - 6) / HOURS * 2 * np.pi)) / 2
    night = rng.random(len(of_hour)) < share
    frame["normal_0"] += 0.3 * night
    frame["normal_4"] += 5.0 * night
    frame["age_3"] += 4 * night
    frame["lognormal_1"] *= 1 + 0.2 * night
    site = frame["category_0"].to_numpy(dtype=object)
    site[night & (rng.random(len(night)) < 0.2)] = "level 0"
    frame["category_0"] = pd.array(site, dtype="str")
    return frame


@lru_cache(1)
def reference() -> Profile:
    rng = np.random.default_rng([SEED, 0])
    shares = volume(np.arange(HOURS))
    frame = rows(rng, rng.choice(HOURS, REFERENCE_ROWS, p=shares / shares.sum()))
    return profile(frame, reference_bins(frame, infer_kinds(frame), salt="benchmark"))


@lru_cache(1)
def deviations() -> dict[str, float]:
    return {name: float(np.sqrt(own.variance or 0.0)) for name, own in reference().moments.items()}


def hourly(
    rng: np.random.Generator, hours_long: int, shift: Shift | None = None, steps: int = 1
) -> tuple[Counts, Counts]:
    """Hours and their counts (hours x steps, width) on the reference's bins, as a version's buckets hold them, each
    hour in so many steps."""
    bins = reference().bins
    found, sizes = hours(rng, hours_long, steps)
    count = len(found)
    place = np.repeat(np.arange(count), sizes)
    frame = rows(rng, found[place] % HOURS)
    if shift is not None:
        frame[shift.column] = frame[shift.column] + deviations()[shift.column] * shift.sd * (
            place >= shift.since * steps
        )
    counts = np.zeros((count, bins.width), dtype=np.int64)
    for name, own in bins.features.items():
        cells: Any = frame[name].to_numpy(dtype=np.float64) if own.kind == "number" else frame[name].array
        at = place * own.width + own.places(cells)
        counts[:, bins.slices[name]] = np.bincount(at, minlength=count * own.width).reshape(count, own.width)
    return found, counts


def seen(days: int = 3) -> Traffic:
    """What a version's own buckets tell of this traffic: the last hours, and four weeks of days."""
    rng = np.random.default_rng([SEED, 1])
    found, counts = hourly(rng, days * HOURS)
    _, more = hourly(rng, 27 * HOURS)
    daily = more.reshape(27, HOURS, -1).sum(axis=1).astype(np.float64)
    return traffic_of(reference(), found, counts.astype(np.float64), daily)
