"""Months of windows without drift, and days after a shift, drawn from a version's reference in its model's traffic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mlops_site.stats.bins import CategoryBins, NumericBins
from mlops_site.stats.compare_profiles import expecting_unseen
from mlops_site.stats.effects import KOLMOGOROV_MEAN, chi_square_difference
from mlops_site.stats.profile import Profile
from mlops_site.stats.scored import Floats
from monitoring.stats.traffic import HOURS, Traffic

MONTH_HOURS = 720
MOST_FEATURES = 40  # of more, as many are drawn; see `World.of`
EFFECTS = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4)
HORIZON = 96  # hours in which a shift is looked for
STRETCH = 3.0  # days in a row, in the mean, that are taken from the days seen
BEFORE = 8  # checks before the shift, for the persistence


class Schedule(NamedTuple):
    """A window of the last `window_hours` is judged every hour; below `min_rows` it is not."""

    window_hours: int = 24
    min_rows: int = 100


class Feature(NamedTuple):
    """What a window of a feature is drawn from: its reference's counts (width,), unreadable ones left out."""

    name: str
    bins: NumericBins | CategoryBins
    reference: NDArray[np.int64]
    tilts: Floats
    wander: Floats
    clustered: float
    sd: float


class World(NamedTuple):
    """All that the simulation knows. `skipped` features were left out of it."""

    features: list[Feature]
    traffic: Traffic
    schedule: Schedule
    skipped: int

    @classmethod
    def of(cls, reference: Profile, traffic: Traffic, schedule: Schedule) -> World:
        """Features with rows in the reference. Of more than 40, every so-manieth: Benjamini-Hochberg holds the share of
        windows with a false alarm at q for any number of features, so that fewer stand for all."""
        names = [name for name in reference.bins.features if int(reference.counts_of(name)[:-1].sum())]
        chosen = names[:: math.ceil(len(names) / MOST_FEATURES) or 1] if names else []
        features = []
        for name in chosen:
            counts = reference.counts_of(name)[:-1]
            moments = reference.moments.get(name)
            sd = math.sqrt(moments.variance or 0.0) if moments else 0.0
            tilts = traffic.tilts.get(name, np.ones((HOURS, len(counts))))
            wander, bins = traffic.wander.get(name, np.ones((1, len(counts)))), reference.bins.features[name]
            features.append(Feature(name, bins, counts, tilts, wander, traffic.clustered.get(name, 1.0), sd))
        return cls(features, traffic, schedule, len(names) - len(chosen))


def quiet_months(world: World, count: int, rng: np.random.Generator) -> Iterator[Floats]:
    """The smallest q-value of a feature with at least each of EFFECTS, by window: (720, effects) a month."""
    for _ in range(count):
        yield _smallest_q(world, MONTH_HOURS, rng)


def shifted_days(world: World, sd: float, rng: np.random.Generator, *, runs: int) -> Floats:
    """The same around a shift of one feature by `sd` standard deviations, (runs, BEFORE + HORIZON, effects); the
    window at BEFORE is the first with a shifted hour. The features take turns, numbers if there are any."""
    numbers = [i for i, feature in enumerate(world.features) if isinstance(feature.bins, NumericBins) and feature.sd]
    turns = numbers or list(range(len(world.features)))
    found = []
    for run in range(runs):
        shifted = turns[run % len(turns)]
        found.append(_smallest_q(world, BEFORE + HORIZON, rng, shift=(shifted, sd), since=BEFORE))
    return np.stack(found)


def _smallest_q(
    world: World, windows: int, rng: np.random.Generator, *, shift: tuple[int, float] | None = None, since: int = 0
) -> Floats:
    length = world.schedule.window_hours
    hours = windows + length - 1
    start = int(rng.integers(HOURS))
    place = (start + np.arange(hours)) % HOURS
    rows = _rows(world.traffic, place, rng)
    days = _days(world, (start + np.arange(hours)) // HOURS, rng)
    p_values = np.ones((len(world.features), windows))
    effects = np.zeros_like(p_values)
    sums = _rolling(rows[:, None], length)[:, 0]
    enough = sums >= max(world.schedule.min_rows, 1)
    for i, feature in enumerate(world.features):
        moved = shift[1] if shift and shift[0] == i else 0.0
        counts = _counts(feature, (place, days), rows, rng, moved, since=length - 1 + since)
        p_values[i], effects[i] = _judged(feature, _rolling(counts, length), enough)
    q_values = _benjamini_hochberg(p_values)
    material = np.stack([np.where(effects >= least, q_values, 1.0).min(axis=0) for least in EFFECTS], axis=1)
    return np.where(enough[:, None], material, 1.0)


def _rows(traffic: Traffic, place: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of each hour: Poisson around the hour's mean, times one gamma factor for each day."""
    days = np.arange(len(place)) // HOURS
    spread = max(traffic.spread, 1e-3)
    factors = rng.gamma(1 / spread**2, spread**2, size=int(days[-1]) + 1)
    return rng.poisson(traffic.rows[place] * factors[days])


def _days(world: World, day: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Which of the days seen each hour is like: stretches of neighbouring days, of three in the mean, from anywhere,
    the same for all features. Source: Politis and Romano (1994), The stationary bootstrap, JASA 89."""
    seen = max((len(feature.wander) for feature in world.features), default=1)
    count = int(day[-1]) + 1
    fresh, starts = rng.random(count) < 1 / STRETCH, rng.integers(seen, size=count)
    drawn = [int(starts[0])]
    for begins, new in zip(fresh[1:], starts[1:], strict=True):
        drawn.append(int(new) if begins else (drawn[-1] + 1) % seen)
    return np.array(drawn)[day]


def _counts(
    feature: Feature,
    at: tuple[NDArray[np.int64], NDArray[np.int64]],
    rows: NDArray[np.int64],
    rng: np.random.Generator,
    sd: float,
    since: int,
) -> Floats:
    """Counts of each hour (hours, width), `at` hours of the day and days seen. The true shares are drawn anew from what
    the reference allows, as its own rows are a sample too; from hour `since` on they are shifted."""
    truth = rng.gamma(feature.reference + 1e-9)
    truth = _with_unseen(feature, truth / truth.sum())
    place, days = at
    tilts = feature.tilts[place] * feature.wander[days % len(feature.wander)]
    shares = tilts * truth
    if sd:
        shares = np.where((np.arange(len(place)) >= since)[:, None], tilts * shifted(truth, feature, sd), shares)
    shares = shares / shares.sum(axis=1, keepdims=True)
    drawn = rng.multinomial(np.rint(rows / feature.clustered).astype(np.int64), shares)
    return np.asarray(drawn * feature.clustered, dtype=np.float64)


def _with_unseen(feature: Feature, truth: Floats) -> Floats:
    """A category's levels that the reference happens not to have, as often as Good's estimate says."""
    bins = feature.bins
    if isinstance(bins, NumericBins):
        return truth
    other = len(bins.levels)
    new = min(bins.singletons / max(int(feature.reference.sum()), 1), float(truth[other])) / 2
    truth = truth.copy()
    truth[other] -= new
    truth[other + 1] += new
    return truth


def shifted(shares: Floats, feature: Feature, sd: float) -> Floats:
    """Shares (width,) after a shift by `sd` standard deviations: each bin's mass, spread evenly, moves up. Of a
    category as much moves from the most to the second most frequent level as changes side in a normal distribution,
    2 Phi(sd / 2) - 1, or as much as there is."""
    if isinstance(feature.bins, CategoryBins):
        first, second = np.argsort(-shares, kind="stable")[:2]
        moved = min(float(special.erf(sd / 2 / math.sqrt(2))), float(shares[first]))
        answer = shares.copy()
        answer[first] -= moved
        answer[second] += moved
        return answer
    edges = np.array(feature.bins.edges)
    if not len(edges) or not feature.sd:
        return shares
    below = np.cumsum(shares[: len(edges)])  # up to each edge
    points = np.concatenate([[edges[0] - 1e-9 * max(1.0, abs(edges[0]))], edges[1:]])
    reached = np.interp(edges - sd * feature.sd, points, below, left=0.0)
    present = float(shares[:-1].sum())
    return np.concatenate([np.diff(np.concatenate([[0.0], reached, [present]])), shares[-1:]])


def _rolling(counts: Floats | NDArray[np.int64], length: int) -> Floats:
    """Sums over the last `length` hours, from the first hour with so many on: (hours - length + 1, width)."""
    sums = np.cumsum(counts, axis=0, dtype=np.float64)
    answer: Floats = sums[length - 1 :].copy()
    answer[1:] -= sums[:-length]
    return answer


def _judged(feature: Feature, counts: Floats, enough: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """p-values and effects of windows, both (windows,), as `profile_drift` finds them."""
    if isinstance(feature.bins, NumericBins):
        return judged_numbers(counts, feature.reference)
    return judged_levels(counts, feature.reference, feature.bins, enough)


def judged_numbers(counts: Floats, reference: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Of W windows (W, width) at once. The p-value is Kolmogorov's limit with Vrbik's correction at any size."""
    n, m = np.maximum(counts.sum(axis=1), 1), int(reference.sum())
    distance = np.abs(np.cumsum(counts, axis=1) / n[:, None] - np.cumsum(reference) / m).max(axis=1)
    root = np.sqrt(np.maximum(1, np.rint(n * m / (n + m))))
    p_values = special.kolmogorov(root * distance + 1 / (6 * root))
    noise = KOLMOGOROV_MEAN**2 * (1 / n + 1 / m)
    return p_values, np.sqrt(np.maximum(distance**2 - noise, 0.0))


def judged_levels(
    counts: Floats, reference: NDArray[np.int64], bins: CategoryBins, enough: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    p_values, effects = np.ones(len(counts)), np.zeros(len(counts))
    whole = np.rint(counts).astype(np.int64)
    for i in np.flatnonzero(enough):
        found = chi_square_difference(whole[i], expecting_unseen(whole[i], reference, bins))
        p_values[i], effects[i] = found.p_value, found.effect
    return p_values, effects


def _benjamini_hochberg(p_values: Floats) -> Floats:
    """q-values over the features (F, W), each window for itself."""
    order = np.argsort(p_values, axis=0)
    scaled = np.take_along_axis(p_values, order, axis=0) * len(p_values) / np.arange(1, len(p_values) + 1)[:, None]
    ranked = np.minimum.accumulate(scaled[::-1], axis=0)[::-1]
    answer = np.empty_like(ranked)
    np.put_along_axis(answer, order, np.minimum(ranked, 1.0), axis=0)
    return answer
