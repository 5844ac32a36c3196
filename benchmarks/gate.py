"""How often the gate is wrong about a challenger, and how often it is right.

`python -m benchmarks.gate` draws holdouts on which the true difference between two models is known, and lets the
gate's comparison judge each as a run's is judged: 1,000 resamples, a margin of 0.01. The two answer the same rows and
agree much, as a model and its retraining do: within a class their scores correlate. A challenger that is worse by
exactly the margin must seldom pass as no worse, an equal one seldom as better, and one that is better by twice the
margin must mostly pass as better, where the holdout is large enough; a second table says how large.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Literal, NamedTuple

import numpy as np
from scipy import optimize, special
from threadpoolctl import threadpool_limits

from benchmarks import _results
from mlops_site.stats.scored import Floats, ScoredRows, scored_rows
from training.ml.gate import Policy, compared

SEED = 20_262
PREVALENCE, CORRELATION, MARGIN = 0.30, 0.95, 0.01
CHAMPION = {"roc_auc": 0.80, "accuracy": 0.80}
ROWS, SIZES = 2_000, (500, 1_000, 2_000, 5_000)
MOST_WRONG, LEAST_RIGHT = 0.05, 0.90
BATCH = 20  # draws handed to a process at a time

Need = Literal["non_inferior", "superior"]


class Case(NamedTuple):
    """A kind of challenger: by how much it is truly better, in margins, and what the policy asks of it."""

    metric: str
    margins: float
    need: Need
    rows: int = ROWS

    @property
    def said(self) -> str:
        how = {-1.0: "worse by the margin", 0.0: "equal", 2.0: "better by twice the margin"}[self.margins]
        return f"{how}, passes as {'better' if self.need == 'superior' else 'no worse'}"


class Share(NamedTuple):
    """Holdouts on which it passed among those drawn."""

    passed: int
    draws: int

    @property
    def value(self) -> float:
        return self.passed / self.draws

    @property
    def text(self) -> str:
        return f"{self.value:.1%} of {self.draws:,}"


WORSE = tuple(Case(metric, -1.0, "non_inferior") for metric in CHAMPION)
EQUAL = tuple(Case(metric, 0.0, "superior") for metric in CHAMPION)
WRONG = (*WORSE, *EQUAL)
RIGHT = tuple(Case(metric, 2.0, "superior") for metric in CHAMPION)
LADDER = tuple(Case(metric, 2.0, "superior", rows) for metric in CHAMPION for rows in SIZES if rows != ROWS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--draws", type=int, default=1_000, help="holdouts of each kind of challenger")
    parser.add_argument("--size-draws", type=int, default=300, help="holdouts of each other size")
    asked = parser.parse_args()
    started = time.perf_counter()
    todo = [(case, asked.draws) for case in (*WRONG, *RIGHT)] + [(case, asked.size_draws) for case in LADDER]
    return report(measured(todo), time.perf_counter() - started)


def measured(todo: Iterable[tuple[Case, int]]) -> dict[Case, Share]:
    parts = [(case, range(n, min(n + BATCH, draws))) for case, draws in todo for n in range(0, draws, BATCH)]
    found: dict[Case, Share] = {}
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=threadpool_limits, initargs=(1,)) as pool:
        for (case, draws), passed in zip(parts, pool.map(passes, *zip(*parts, strict=True)), strict=True):
            before = found.get(case, Share(0, 0))
            found[case] = Share(before.passed + passed, before.draws + len(draws))
    return found


def passes(case: Case, draws: Iterable[int], resamples: int = 1_000) -> int:
    """On how many of the holdouts the gate's comparison passes."""
    return sum(judged(case, draw, resamples) for draw in draws)


def judged(case: Case, draw: int, resamples: int) -> bool:
    champion, challenger = holdout(case, draw)
    policy = Policy(case.metric, need=case.need, margin=MARGIN, draws=resamples, seed=draw)
    return compared(challenger, champion, policy).level == "pass"


def holdout(case: Case, draw: int) -> tuple[ScoredRows, ScoredRows]:
    """What champion and challenger say of the same rows; the same for the same case and draw, anywhere."""
    rng = np.random.default_rng([SEED, round(10 * case.margins) + 100, case.rows, draw])
    truth = (rng.random(case.rows) < PREVALENCE).astype(int)
    shared, *own = rng.normal(size=(3, case.rows))
    level = CHAMPION[case.metric]
    first, second = (np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * noise for noise in own)
    return (
        answered(truth, first, separation(case.metric, level)),
        answered(truth, second, separation(case.metric, level + case.margins * MARGIN)),
    )


def answered(truth: Floats, noise: Floats, apart: float) -> ScoredRows:
    """A calibrated model of which the evidence for the two classes is normal, `apart` standard deviations apart."""
    evidence = apart * truth + noise
    score = special.expit(apart * evidence - apart**2 / 2 + special.logit(PREVALENCE))
    return scored_rows("classification", truth, prediction=(score >= 0.5).astype(int), score=score, positive=1)


def separation(metric: str, level: float) -> float:
    """How far the classes lie apart for a model of which the metric is truly `level`."""
    if metric == "roc_auc":
        return float(np.sqrt(2) * special.ndtri(level))
    return float(optimize.brentq(lambda apart: accuracy(apart) - level, 0.5, 6.0))


def accuracy(apart: float) -> float:
    """Of the calibrated model at one half, over all rows there could be."""
    cut = apart / 2 - special.logit(PREVALENCE) / apart
    return float(PREVALENCE * special.ndtr(apart - cut) + (1 - PREVALENCE) * special.ndtr(cut))


def report(shares: dict[Case, Share], spent_secs: float) -> int:
    """Write the tables; status 1 when a goal is missed."""
    goal = {**dict.fromkeys(WRONG, f"at most {MOST_WRONG:.0%}"), **dict.fromkeys(RIGHT, f"at least {LEAST_RIGHT:.0%}")}
    lines = [[case.metric, case.said, shares[case].text, goal[case]] for case in (*WRONG, *RIGHT)]
    heads = [f"metric, {ROWS:,} rows", "challenger", "passed", "goal"]
    sizes = [
        [metric, *(shares[Case(metric, 2.0, "superior", rows)].text for rows in SIZES), f"{enough(shares, metric):,}"]
        for metric in CHAMPION
    ]
    ladder = ["better by twice the margin", *(f"{rows:,} rows" for rows in SIZES), "90 % need about"]
    missed = [f"{case.metric}, {case.said}" for case in (*WRONG, *RIGHT) if missed_goal(case, shares[case])]
    about = {
        **_results.about("gate"),
        "holdout": f"{PREVALENCE:.0%} positive; both metrics 0.80 of the champion; scores correlate {CORRELATION}",
        "gate": f"margin {MARGIN}, 95 % interval of 1,000 resamples, of which the lower end decides (2.5 % nominal)",
        "took": f"{spent_secs / 60:.0f} minutes",
        "goal": f"with two standard errors: {'missed by ' + '; '.join(missed) if missed else 'reached'}",
    }
    figures = [{**case._asdict(), **got._asdict(), "share": round(got.value, 4)} for case, got in shares.items()]
    _results.keep("gate", "False and true verdicts of the gate", [[heads, *lines], [ladder, *sizes]], about, figures)
    return 1 if missed else 0


def enough(shares: dict[Case, Share], metric: str) -> int:
    """Rows at which 90 % would pass, by the spread that the shares tell of (it falls with the root of the rows)."""
    known = [Case(metric, 2.0, "superior", rows) for rows in SIZES]
    inside = [case for case in known if 0 < shares[case].passed < shares[case].draws]
    wanted = special.ndtri(0.975) + special.ndtri(LEAST_RIGHT)
    found = [case.rows * (wanted / (special.ndtri(0.975) + special.ndtri(shares[case].value))) ** 2 for case in inside]
    return int(round(float(np.median(found)), -2)) if found else SIZES[0]


def missed_goal(case: Case, got: Share) -> bool:
    return got.value < LEAST_RIGHT if case in RIGHT else got.value > most_wrong(got.draws)


def most_wrong(draws: int) -> float:
    """The goal and two standard errors of a share that is right at it."""
    return MOST_WRONG + 2 * float(np.sqrt(MOST_WRONG * (1 - MOST_WRONG) / draws))


if __name__ == "__main__":
    sys.exit(main())
