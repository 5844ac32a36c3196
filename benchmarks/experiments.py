"""How often experiments are wrong, how often they are right, and what they cost.

`python -m benchmarks.experiments` draws experiments as counts and judges them with the code that judges the real ones:
without a difference, looked at a hundred times, by always-valid and by fixed-horizon p-values; with a split that is and
is not kept; for the coverage of the intervals, and of the paired bootstrap (claim by claim); and with a recall that
falls from .80 to .75, for the labels that each design needs. Then it times the assignment of a unit, and the results of
a million outcomes from their tallies.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np

from abtesting.stats.assignment import Split, assign, assign_all
from abtesting.stats.inference import Comparison
from abtesting.stats.power import Aim, Effect, correlation_of, labels_needed
from abtesting.stats.srm import LIMIT
from benchmarks import _bootstrap, _experiments, _million, _results
from benchmarks._experiments import NO_DIFFERENCE, RARE, World, compared, looks, losing

SEED = 20_271
LOOKS, FEW_LOOKS, CHUNK = 100, 20, 50
MOST_FALSE, LEAST_FOUND, COVERED, WITHIN = 0.05, 0.95, 0.95, 0.01
SRM_LOOK = 1_000
DISAGREEMENT = 0.15  # of the positives: 10 % are found by A alone, 5 % by B alone
MOST_LABELS, SPLIT_LABELS = 8_000, 100_000
MOST_ASSIGN_US, MOST_RESULTS_MS = 20, 100
ONE_SIDED = Aim(sides=1, sequential=False)


class Winners(NamedTuple):
    """Experiments without a difference in which somebody would have called a winner."""

    sequential: int
    fixed_100: int
    fixed_20: int
    fixed_once: int
    draws: int


class Goal(NamedTuple):
    said: str
    reached: bool


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments", description=__doc__)
    parser.add_argument("--draws", type=int, default=500, help="experiments of each kind that are looked at 100 times")
    parser.add_argument("--once", type=int, default=10_000, help="experiments of each kind that are looked at once")
    asked = parser.parse_args()
    started = time.perf_counter()
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        parts = [
            measure_winners(pool, asked.draws),
            measure_ratio(asked.draws, asked.once),
            measure_coverage(pool, asked.once),
            measure_bootstrap(pool, asked.once),
            measure_power(pool, asked.once),
        ]
    parts.append(measure_speed())
    tables, figures, goals = zip(*parts, strict=True)
    said = [goal for part in goals for goal in part]
    notes = {
        **_results.about("experiments"),
        "seed": SEED,
        "draws": f"{asked.draws:,} experiments of each kind looked at {LOOKS} times, {asked.once:,} looked at once",
        "tuned": "sequential intervals at half of the labels that arrive in all",
        "took": f"{(time.perf_counter() - started) / 60:.0f} minutes",
        **{f"goal: {goal.said}": "reached" if goal.reached else "missed" for goal in said},
    }
    _results.keep("experiments", "Experiments: errors, power and speed", list(tables), notes, list(figures))
    return 0 if all(goal.reached for goal in said) else 1


Part = tuple[list[list[str]], Any, list[Goal]]


def measure_winners(pool: ProcessPoolExecutor, draws: int) -> Part:
    rows, figures = [], {}
    for number, world in enumerate(NO_DIFFERENCE):
        chunks = range(0, draws, CHUNK)
        found = [*pool.map(winners, repeat(number), chunks, (min(CHUNK, draws - start) for start in chunks))]
        total = Winners(*(sum(part) for part in zip(*found, strict=True)))
        rows.append([world.name, *(_experiments.share(hits, total.draws) for hits in total[:4])])
        figures[world.name] = total._asdict()
    heads = ["no difference: winners called", f"always-valid, {LOOKS} looks", f"fixed, {LOOKS} looks"]
    worst = max(each["sequential"] / each["draws"] for each in figures.values())
    goal = Goal(f"at most {MOST_FALSE:.0%} of sequential tests call a winner", worst <= MOST_FALSE)
    return [[*heads, f"fixed, {FEW_LOOKS} looks", "fixed, one look"], *rows], figures, [goal]


def winners(number: int, start: int, draws: int) -> Winners:
    world, found = NO_DIFFERENCE[number], []
    for draw in range(start, start + draws):
        rng = np.random.default_rng([SEED, 1, number, draw])
        seen = [*looks(world, rng, LOOKS, tuned_at=world.step * LOOKS // 2)]
        fixed = [isinstance(each, Comparison) and each.p_value < 0.05 for each in seen]
        always = [isinstance(each, Comparison) and each.sequential_p <= 0.05 for each in seen]
        few = fixed[LOOKS // FEW_LOOKS - 1 :: LOOKS // FEW_LOOKS]
        found.append((any(always), any(fixed), any(few), fixed[-1], 1))
    return Winners(*(sum(part) for part in zip(*found, strict=True)))


def measure_ratio(draws: int, once: int) -> Part:
    """Sound splits at one look (the chance of each count added up, not drawn) and at a hundred; and one that is off."""
    rng, rows, figures, worst = np.random.default_rng([SEED, 2]), [], {}, 0.0
    for n, share_b in ((1_000, 0.5), (100_000, 0.5), (10_000, 0.1), (10_000, 0.01)):
        chance = _experiments.chance_blocked(n, share_b)
        name = f"sound, B {share_b:.0%}, {n:,} units, one look"
        rows.append([name, f"{chance:.4%}", "", "all counts"])
        figures[name], worst = {"blocked": chance}, max(worst, chance)
    sound = [_experiments.watched(rng, 0.5, LOOKS, SRM_LOOK) for _ in range(draws * 5)]
    off = [_experiments.kept(100_000, int(b), 0.5) for b in rng.binomial(100_000, 0.51, once)]
    more = {
        f"sound, B 50%, {LOOKS} looks of {SRM_LOOK:,} units": sound,
        "really 51 %, B 50%, 100,000 units, one look": [(not each.ok, each.proven) for each in off],
    }
    for name, pairs in more.items():
        blocked, proven = (sum(column) for column in zip(*pairs, strict=True))
        rows.append([name, f"{blocked / len(pairs):.3%}", f"{proven / len(pairs):.3%}", f"{len(pairs):,}"])
        figures[name] = {"blocked": blocked, "proven": proven, "draws": len(pairs)}
    false, true = (figures[name] for name in more)
    goals = [
        Goal(f"sample ratio: at most {LIMIT:.1%} of sound splits blocked at one look", worst <= LIMIT),
        Goal(f"and proven wrong at {LOOKS} looks", false["proven"] / false["draws"] <= LIMIT),
        Goal(f"51/49 found in at least {LEAST_FOUND:.0%}", min(true["blocked"], true["proven"]) / once >= LEAST_FOUND),
    ]
    return [["sample ratio", "blocked", "proven", "drawn"], *rows], figures, goals


COVERAGE = [
    World("", metric, share_b, n, losing(DISAGREEMENT))
    for share_b, n in ((0.5, 8_000), (0.1, 40_000), (None, 8_000))
    for metric in ("accuracy", "precision", "recall", "f1_score", "cost")
]


def measure_coverage(pool: ProcessPoolExecutor, draws: int) -> Part:
    hits = [*pool.map(covered, range(len(COVERAGE)), repeat(draws))]
    cells = {(world.share_b, world.metric): count / draws for world, count in zip(COVERAGE, hits, strict=True)}
    metrics = list(dict.fromkeys(world.metric for world in COVERAGE))
    designs = {world.share_b: world.step for world in COVERAGE}
    rows = [
        [f"{design_name(share_b)}, {n:,} claims", *(f"{cells[share_b, metric]:.2%}" for metric in metrics)]
        for share_b, n in designs.items()
    ]
    figures = [{"share_b": key[0], "metric": key[1], "covered": value} for key, value in cells.items()]
    off = max(abs(value - COVERED) for value in cells.values())
    goal = Goal(f"95 % intervals cover {COVERED:.0%} +- {WITHIN:.0%}", off <= WITHIN)
    return [["the truth lies in the 95 % interval", *metrics], *rows], figures, [goal]


def covered(number: int, draws: int) -> int:
    world = COVERAGE[number]
    truth, rng = _experiments.true_difference(world), np.random.default_rng([SEED, 3, number])
    found = compared(world, world.step, draws, rng)
    return sum(isinstance(each, Comparison) and each.ci95[0] <= truth <= each.ci95[1] for each in found)


def measure_bootstrap(pool: ProcessPoolExecutor, once: int) -> Part:
    """Where errors are drawn claim by claim, fewer experiments. The goal is of the bootstrap: the case whose units have
    several claims shows what the interval beside it takes for granted."""
    rows, figures = [["the truth lies in the 95 % interval of pairs", "bootstrap", "beside it", "drawn"]], []
    for number, case in enumerate(_bootstrap.CASES):
        draws = once if case.is_of_counts else once * 2 // 5
        chunks = range(0, draws, 200)
        sizes = [min(200, draws - start) for start in chunks]
        found = pool.map(_bootstrap.covered, repeat(SEED), repeat(number), chunks, sizes)
        own, fixed = (sum(part) / draws for part in zip(*found, strict=True))
        rows.append([case.name, f"{own:.2%}", f"{fixed:.2%}", f"{draws:,}"])
        figures.append({**case._asdict(), "bootstrap": own, "fixed": fixed, "draws": draws})
    off = max(abs(each["bootstrap"] - COVERED) for each in figures)
    goal = Goal(f"95 % intervals of the paired bootstrap cover {COVERED:.0%} +- {WITHIN:.0%}", off <= WITHIN)
    return rows, figures, [goal]


def design_name(share_b: float | None) -> str:
    return "paired shadow" if share_b is None else f"A/B {share_b:.0%} in B"


class Case(NamedTuple):
    """A design, its labels, and the chance with which it finds the loss by a one-sided test at 5 %."""

    share_b: float | None
    disagreement: float
    labels: int
    sequential: bool


def cases() -> list[Case]:
    """Each design with the labels it is said to need, and with those of the goal."""
    found = [Case(None, DISAGREEMENT, MOST_LABELS, False), Case(0.1, DISAGREEMENT, SPLIT_LABELS, False)]
    for share_b, disagreement in (
        (None, 0.10),
        (None, DISAGREEMENT),
        (None, 0.20),
        (0.5, DISAGREEMENT),
        (0.1, DISAGREEMENT),
    ):
        correlation = correlation_of(0.80, 0.75, disagreement)
        effect = Effect.of_shares(0.80, 0.75, base=RARE, correlation=correlation)
        for aim in (ONE_SIDED, ONE_SIDED._replace(sequential=True)):
            found.append(Case(share_b, disagreement, labels_needed(effect, share_b=share_b, aim=aim), aim.sequential))
    return found


def measure_power(pool: ProcessPoolExecutor, draws: int) -> Part:
    todo = cases()
    found = [count / draws for count in pool.map(detected, todo, repeat(draws))]
    rows = [
        [
            design_name(case.share_b) + (f", {case.disagreement:.0%} disagree" if case.share_b is None else ""),
            "always-valid" if case.sequential else "fixed",
            f"{case.labels:,}",
            f"{share:.1%}",
        ]
        for case, share in zip(todo, found, strict=True)
    ]
    figures = [{**case._asdict(), "found": share} for case, share in zip(todo, found, strict=True)]
    planned = {
        case.share_b: case.labels for case in todo[2:] if case.disagreement == DISAGREEMENT and not case.sequential
    }
    times = planned[0.1] / planned[None]
    goals = [
        Goal(f"paired shadow finds recall .80 to .75 with {MOST_LABELS:,} labels at 80 %", found[0] >= 0.8),
        Goal(f"where the 10 % split needs {SPLIT_LABELS:,} ({times:.1f} times as many)", planned[0.1] >= SPLIT_LABELS),
    ]
    heads = ["recall .80 to .75, one-sided 5 %", "test", "labelled claims", "found"]
    return [heads, *rows], figures, goals


def detected(case: Case, draws: int) -> int:
    world = World("", "recall", case.share_b, case.labels, losing(case.disagreement))
    rng = np.random.default_rng([SEED, 4, case.labels, int(100 * case.disagreement), case.sequential])
    known = [each for each in compared(world, case.labels, draws, rng) if isinstance(each, Comparison)]
    # One-sided at 5 % is two-sided at 10 %, on the side of a loss.
    return sum(each.gain < 0 and (each.sequential_p if case.sequential else each.p_value) <= 0.10 for each in known)


def measure_speed() -> Part:
    units = [f"person-{number}" for number in range(100_000)]
    split = Split("benchmark", 0.5, holdout=0.1)
    one_us = _median_secs(lambda: [assign(split, unit) for unit in units[:2_000]]) / 2_000 * 1e6
    many_us = _median_secs(lambda: assign_all(split, units)) / len(units) * 1e6
    stored = _million.million(SEED)
    results_ms = _median_secs(lambda: _million.results(stored)) * 1e3
    parts = sum(map(len, stored.values()))
    rows = [
        ["assignment of a unit, with holdout", f"{one_us:.1f} us"],
        ["the same of 100,000 units at once, each", f"{many_us:.1f} us"],
        [f"verdict on 1,000,000 outcomes, from {parts:,} stored tallies", f"{results_ms:.0f} ms"],
    ]
    goals = [
        Goal(f"assignment under {MOST_ASSIGN_US} us", one_us < MOST_ASSIGN_US),
        Goal(f"results of 1,000,000 outcomes under {MOST_RESULTS_MS} ms", results_ms < MOST_RESULTS_MS),
    ]
    figures = {"assign_us": one_us, "assign_all_us": many_us, "results_ms": results_ms, "tallies": parts}
    return [["speed, median of 15", "processor time"], *rows], figures, goals


def _median_secs(call: Callable[[], object]) -> float:
    """Of the processor's time, which other programs on the machine do not lengthen: nothing here waits."""
    spent = []
    for _ in range(15):
        started = time.process_time()
        call()
        spent.append(time.process_time() - started)
    return statistics.median(spent)


if __name__ == "__main__":
    sys.exit(main())
