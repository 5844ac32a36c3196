"""Months of windows without drift, and days after a shift, drawn from a version's reference in its model's traffic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy  # loads its parts at their first use
from numpy.typing import NDArray

from mlops_site.stats.bins import CategoryBins, NumericBins
from mlops_site.stats.profile import Profile
from mlops_site.stats.scored import Floats
from monitoring.stats.looks import Schedule, looks
from monitoring.stats.traffic import HOURS, Traffic
from monitoring.stats.window_tests import judged, q_values

MONTH_HOURS = 720
MOST_FEATURES = 40  # of more, as many are drawn; see `World.of`
EFFECTS = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4)
HORIZON = 96  # hours in which a shift is looked for
STRETCH = 3.0  # days in a row, in the mean, that are taken from the days seen
BEFORE = 8  # scheduled looks before the shift, for the persistence


class Watched(NamedTuple):
    """Windows that were looked at, in their order, of one span (L,) or of several (spans, L): the smallest q-value of a
    feature with at least each of EFFECTS (..., effects), whether the look was on schedule, and how many hours after the
    beginning (of a span with a shift: of the shift) it was. Spans with fewer looks are filled up with none."""

    smallest_q: Floats
    scheduled: NDArray[np.bool_]
    hours: Floats

    @classmethod
    def together(cls, spans: Sequence[Watched]) -> Watched:
        most = max(len(span.hours) for span in spans)

        def filled(parts: Sequence[Any], value: object) -> Any:
            found = np.full((len(parts), most, *parts[0].shape[1:]), value, dtype=parts[0].dtype)
            for place, part in enumerate(parts):
                found[place, : len(part)] = part
            return found

        q, scheduled, hours = zip(*spans, strict=True)
        return cls(filled(q, 1.0), filled(scheduled, False), filled(hours, np.inf))


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
    """All that the simulation knows; an hour has `steps`. `skipped` features were left out of it."""

    features: list[Feature]
    traffic: Traffic
    schedule: Schedule
    skipped: int
    steps: int

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
        return cls(features, traffic, schedule, len(names) - len(chosen), schedule.steps_an_hour(traffic.rows))


def quiet_months(world: World, count: int, rng: np.random.Generator) -> Iterator[Watched]:
    """Months of 720 hours without drift."""
    for _ in range(count):
        yield _watched(world, MONTH_HOURS, rng)


def shifted_days(world: World, sd: float, rng: np.random.Generator, *, runs: int) -> Watched:
    """The looks of BEFORE schedules and HORIZON hours around a shift of one feature by `sd` standard deviations. The
    features take turns, numbers if there are any."""
    numbers = [i for i, feature in enumerate(world.features) if isinstance(feature.bins, NumericBins) and feature.sd]
    turns = numbers or list(range(len(world.features)))
    before = math.ceil(BEFORE * max(world.schedule.every_hours, 1.0))
    found = []
    for run in range(runs):
        shift = (turns[run % len(turns)], sd)
        found.append(_watched(world, before + HORIZON, rng, shift=shift, since=before))
    return Watched.together(found)


def _watched(
    world: World, hours: int, rng: np.random.Generator, *, shift: tuple[int, float] | None = None, since: int = 0
) -> Watched:
    """Windows that end in so many hours; from hour `since` on one feature is shifted."""
    steps, length = world.steps, world.schedule.window_steps(world.steps)
    start = int(rng.integers(HOURS))
    at = start + np.arange(hours * steps + length - 1) // steps
    rows = _rows(world.traffic, at % HOURS, steps, rng)
    days = _days(world, at // HOURS, rng)
    sums = rolling(rows[:, None], length)[:, 0]
    looked = looks(world.schedule, steps, rows[length - 1 :], sums)
    enough = sums[looked.at] >= max(world.schedule.min_rows, 1)
    p_values = np.ones((len(world.features), len(looked.at)))
    effects = np.zeros_like(p_values)
    for i, feature in enumerate(world.features):
        moved = shift[1] if shift and shift[0] == i else 0.0
        counts = _counts(feature, (at % HOURS, days), rows, rng, moved, since=length - 1 + since * steps)
        own = rolling(counts, length)[looked.at]
        p_values[i], effects[i] = judged(own, feature.reference, feature.bins, enough)
    found = q_values(p_values)
    material = np.stack([np.where(effects >= least, found, 1.0).min(axis=0) for least in EFFECTS], axis=1)
    smallest = np.where(enough[:, None], material, 1.0)
    return Watched(smallest, looked.scheduled, (looked.at + 1) / steps - since)


def _rows(traffic: Traffic, place: NDArray[np.int64], steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of each step of an hour: Poisson around its part of the hour's mean, times one gamma factor for each day."""
    days = np.arange(len(place)) // (HOURS * steps)
    spread = max(traffic.spread, 1e-3)
    factors = rng.gamma(1 / spread**2, spread**2, size=int(days[-1]) + 1)
    return rng.poisson(traffic.rows[place] / steps * factors[days])


def _days(world: World, day: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Which of the days seen each step is like: stretches of neighbouring days, of three in the mean, from anywhere,
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
    """Counts of each step (steps, width), `at` hours of the day and days seen. The true shares are drawn anew from what
    the reference allows, as its own rows are a sample too; from step `since` on they are shifted."""
    truth = rng.gamma(feature.reference + 1e-9)
    truth = _with_unseen(feature, truth / truth.sum())
    place, days = at
    tilts = feature.tilts[place] * feature.wander[days % len(feature.wander)]
    shares = tilts * truth
    if sd:
        shares = np.where((np.arange(len(place)) >= since)[:, None], tilts * shifted(truth, feature, sd), shares)
    shares = shares / shares.sum(axis=1, keepdims=True)
    clusters = rows / feature.clustered
    if feature.clustered > 1:
        clusters = np.floor(clusters + rng.random(len(rows)))  # few rows a step would all round to none
    drawn = rng.multinomial(clusters.astype(np.int64), shares)
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
        moved = min(float(scipy.special.erf(sd / 2 / math.sqrt(2))), float(shares[first]))
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


def rolling(counts: Floats | NDArray[np.int64], length: int) -> Floats:
    """Sums over the last `length` steps, from the first step with so many on: (steps - length + 1, width)."""
    sums = np.cumsum(counts, axis=0, dtype=np.float64)
    answer: Floats = sums[length - 1 :].copy()
    answer[1:] -= sums[:-length]
    return answer
