"""A million labelled answers of two arms as they are kept, and all that a page of results asks of them."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from abtesting.stats import guardrails
from abtesting.stats.cohorts import is_followed_up
from abtesting.stats.inference import compare_arms
from abtesting.stats.srm import sample_ratio
from abtesting.stats.tally import Answers, ArmTally
from abtesting.stats.verdict import Evidence, judge
from benchmarks._experiments import KNOWN, RARE
from tests.abtesting.stats.arms import BINARY

DAYS, DELAYS = 50, 10
START = date(2026, 1, 1)
Stored = dict[str, list[tuple[date, int, bytes]]]


def million(seed: int) -> Stored:
    """By day of assignment and of label."""
    rng, stored = np.random.default_rng([seed, 5]), Stored()
    for arm in "ab":
        stored[arm] = []
        for day in range(DAYS):
            for delay in range(DELAYS):
                n = 1_000_000 // 2 // DAYS // DELAYS
                label = (rng.random(n) < RARE).astype(int)
                score = np.clip(rng.normal(0.15 + 0.5 * label, 0.18), 0, 1)
                said = (score >= 0.5).astype(int)
                answers = Answers(said, score, said, rng.random(n) < 0.001, rng.lognormal(1.5, 0.4, n), label)
                tally = ArmTally.of(answers, BINARY, human_decision=label, outcome=rng.lognormal(6, 1, n).round(2))
                stored[arm].append((START + timedelta(days=day), delay, tally.to_bytes()))
    return stored


def results(stored: Stored) -> str:
    """Sums, comparisons on every measure, sample ratio, guardrails, verdict."""
    sums = [ArmTally.sum_of_bytes(known(stored[arm]), BINARY) for arm in "ab"]
    found = [compare_arms(measure, *sums) for measure in KNOWN.values()]
    rails = [guardrails.error_rate, guardrails.override_rate, guardrails.alert_volume, guardrails.latency]
    judged = [guardrails.judge(rail(*sums), guardrails.Limits(0.1, 0.2, 0.5)) for rail in rails]
    ratio = sample_ratio(sums[0].units, sums[1].units, 0.5)
    labelled = sums[0].judged, sums[1].judged
    assert sum(labelled) > 990_000
    return judge(Evidence("ab", found, labelled, [ratio], judged)).reason


def known(parts: list[tuple[date, int, bytes]]) -> list[bytes]:
    today = START + timedelta(days=DAYS + DELAYS)
    return [data for day, later, data in parts if is_followed_up(day, later, days=DELAYS, today=today)]
