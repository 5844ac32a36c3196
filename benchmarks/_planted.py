"""Days of production whose scores stop meaning what they meant, and how soon that is noticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import quantiles

import numpy as np

from mlops_site.stats.heldout import HeldOut
from mlops_site.stats.scored import Floats
from monitoring.stats.estimation import Cbpe
from monitoring.stats.tally import Answers, Shape, Tally
from monitoring.stats.trust import Period, backtest

SEED = 11
HELD_OUT, A_DAY, LABELLED, THRESHOLD = 5_000, 1_000, 0.7, 0.3
SHAPE = Shape("classification", (0, 1), 1)
DAY = timedelta(days=1)
LOOKED_BACK, WATCHED = 30, 30
# By how much the log-odds of being positive fall at the same score; the chance of 0.30 becomes 0.26, 0.21, 0.14.
DRIFTS = {"none": 0.0, "chance of 0.30 becomes 0.26": 0.2, "0.21": 0.5, "0.14": 1.0}


def delays(months: int) -> list[list[str]]:
    """For each drift the share of the months in which it was noticed, and after how many days with labels."""
    return [_noticed(name, drop, months) for name, drop in DRIFTS.items()]


def _noticed(name: str, drop: float, months: int) -> list[str]:
    found = [_after(np.random.default_rng([SEED, month, int(drop * 10)]), drop) for month in range(months)]
    days = sorted(day for day in found if day is not None)
    middle = f"{days[len(days) // 2]}" if days else "–"
    late = f"{quantiles(days, n=10)[-1]:.0f}" if len(days) > 1 else middle
    return [name, f"{len(days)} of {months}", middle, late]


def _after(random: np.random.Generator, drop: float) -> int | None:
    """Days until the estimate is distrusted, None for not within 30; 14 days without drift lie before."""
    scores = random.beta(2, 5, HELD_OUT)
    by = Cbpe.from_held_out(HeldOut.of(scores, random.random(HELD_OUT) < scores, THRESHOLD))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    days = [Period(start + day * DAY, start + (day + 1) * DAY, _day(random, 0.0)) for day in range(14)]
    for day in range(1, WATCHED + 1):
        last = days[-1].end
        days.append(Period(last, last + DAY, _day(random, drop)))
        if any(trust.status == "distrusted" for trust in backtest(days[-LOOKED_BACK:], by).values()):
            return day
    return None


def _day(random: np.random.Generator, drop: float) -> Tally:
    score: Floats = random.beta(2, 5, A_DAY)
    chance = 1 / (1 + (1 - score) / score * np.exp(drop))
    label = (random.random(A_DAY) < chance).astype(int).tolist()
    known = [value if kept else None for value, kept in zip(label, random.random(A_DAY) < LABELLED, strict=True)]
    said = (score >= THRESHOLD).astype(int)
    return Tally.of(Answers(said, score, said, np.zeros(A_DAY, bool), np.full(A_DAY, 3.0), known), SHAPE)
