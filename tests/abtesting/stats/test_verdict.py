"""B ships only where that is certain and nothing speaks against it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.guardrails import Guardrail
from abtesting.stats.inference import compare_pairs
from abtesting.stats.measures import measures
from abtesting.stats.sequential import interval, p_value
from abtesting.stats.srm import sample_ratio
from abtesting.stats.verdict import Evidence, judge, more_labels
from tests.abtesting.stats.arms import BINARY, pairs_of

FEW = Unknown("recall", "too few: recall is over 12 labelled units, of at least 30")


def compared(
    metric: str, gain: float, *, se: float = 0.01, n: int = 5_000, lower_is_better: bool = False
) -> Comparison:
    difference = -gain if lower_is_better else gain
    return Comparison(
        metric,
        not lower_is_better,
        0.8,
        0.8 + difference,
        difference,
        se,
        n,
        (difference - 1.96 * se, difference + 1.96 * se),
        interval(difference, se, n),
        0.5,
        p_value(gain / se, n),
        0.5,
        "test",
        5_000,
    )


def evidence(*comparisons: Comparison | Unknown, **more: Any) -> Evidence:
    return Evidence("ab", comparisons, (2_500, 2_500), **more)


@pytest.mark.parametrize(
    ("gains", "decision"),
    [
        ([0.04], "ship_b"),
        ([-0.04], "keep_a"),
        ([0.025], "undecided"),  # right at a fixed time (p = 0.01), not at every look
        ([0.0], "undecided"),
        ([0.04, 0.0], "ship_b"),
        ([0.04, -0.04], "keep_a"),
        ([0.0315, 0.0], "undecided"),  # certain alone, not as one of two
        ([0.0315], "ship_b"),
    ],
)
def test_without_a_margin_b_must_be_better_on_one_and_worse_on_none(gains: list[float], decision: str) -> None:
    found = judge(evidence(*(compared(f"m{place}", gain) for place, gain in enumerate(gains))))
    assert found.verdict == decision
    assert (found.samples_needed == 0) == (decision in ("ship_b", "keep_a"))


@pytest.mark.parametrize(
    ("gains", "decision"),
    [
        ([0.0], "ship_b"),
        ([-0.015, 0.0], "ship_b"),
        ([-0.03, 0.0], "undecided"),
        ([-0.09, 0.03], "keep_a"),
    ],
)
def test_with_a_margin_b_must_not_be_worse_by_it_on_any(gains: list[float], decision: str) -> None:
    comparisons = [compared(f"m{place}", gain) for place, gain in enumerate(gains)]
    assert judge(evidence(*comparisons, margin=0.05)).verdict == decision


def test_of_a_cost_less_is_better() -> None:
    assert judge(evidence(compared("cost", 0.04, lower_is_better=True))).verdict == "ship_b"
    assert judge(evidence(compared("cost", -0.04, lower_is_better=True))).verdict == "keep_a"
    assert judge(evidence(compared("cost", -0.09, lower_is_better=True), margin=0.05)).verdict == "keep_a"
    assert judge(evidence(compared("cost", -0.01, lower_is_better=True), margin=0.05)).verdict == "ship_b"


def test_reasons_are_sentences_with_the_figures() -> None:
    assert judge(evidence(compared("recall", 0.04))).reason == (
        "B is better on recall (0.8 to 0.84, always-valid p = 0.0025)"
    )
    both = judge(evidence(compared("recall", 0.05), compared("precision", -0.05))).reason
    assert both.startswith("B is worse on precision (0.8 to 0.75, always-valid p = ")
    assert both.endswith("after Holm over 2 metrics), though better on recall")
    assert judge(evidence(compared("recall", 0.05), compared("precision", 0.0))).reason.endswith(
        "; the other not certainly worse"
    )
    assert judge(evidence(compared("recall", 0.02))).reason == (
        "no success metric differs for certain: recall +0.02 (-0.01035 to +0.05035); "
        "about 14,671 more labels should tell"
    )


GOOD = compared("recall", 0.08)


@pytest.mark.parametrize(
    ("more", "reason", "needed"),
    [
        ({"ratios": [sample_ratio(5_000, 5_000, 0.5), sample_ratio(900, 1_200, 0.5)]}, "sample ratio mismatch", None),
        (
            {"guardrails": [Guardrail("latency", "hold", 2.0, 1.5, "too slow"), Guardrail("cost", "ok", 0, 0, "")]},
            "guardrail latency: too slow",
            None,
        ),
        ({"min_samples": 3_000}, "too few: 2,500 units of an arm have a label, of at least 3,000", 1_000),
        ({"design": "shadow", "coverage": 0.989}, "B has scored 98.9% of the claims", None),
        ({"design": "shadow", "coverage": None}, "B has scored none of the claims", None),
        ({"design": "shadow", "coverage": 1.0, "min_samples": 3_000}, "too few: 2,500 claims that both judged", 500),
    ],
)
def test_a_clear_gain_is_blocked_by(more: dict[str, Any], reason: str, needed: int | None) -> None:
    found = judge(evidence(GOOD)._replace(**more))
    assert found.verdict == "blocked"
    assert found.reason.startswith(reason)
    assert found.samples_needed == needed


def test_a_sound_experiment_is_not_blocked() -> None:
    warned = Guardrail("latency", "warn", 0.3, 0.26, "slower")
    sound = {"ratios": [sample_ratio(5_000, 5_010, 0.5)], "guardrails": [warned], "coverage": 0.99}
    assert judge(evidence(GOOD, **sound)).verdict == "ship_b"
    assert judge(evidence(GOOD, **sound)._replace(design="shadow")).verdict == "ship_b"


def test_a_metric_that_cannot_be_judged_yet_keeps_b_from_shipping() -> None:
    found = judge(evidence(compared("precision", 0.08), FEW, planned=8_000))
    assert found == ("undecided", f"B is better on precision, but {FEW.why}", 3_000)
    assert judge(evidence(FEW)).verdict == "undecided"
    assert judge(evidence(compared("precision", 0.08), FEW, margin=0.05)).verdict == "undecided"
    assert judge(evidence(compared("precision", -0.08), FEW)).verdict == "keep_a"


def test_labels_needed_are_those_planned_or_those_that_tell() -> None:
    assert judge(evidence(compared("m", 0.0), planned=9_000)).samples_needed == 4_000
    assert judge(evidence(compared("m", 0.02), planned=90_000)).samples_needed == 14_671
    stuck = judge(evidence(compared("m", 0.0)))
    assert stuck.samples_needed is None
    assert stuck.reason.endswith("more labels of this kind are not expected to decide it")
    shadow = evidence(compared("m", 0.0), planned=9_000)._replace(design="shadow", coverage=1.0)
    assert judge(shadow).samples_needed == 6_500


def test_with_so_many_more_labels_eight_in_ten_are_told() -> None:
    """The labels said to be missing, drawn from what was found, tell the difference as often as promised."""
    shares, measure = (
        np.array([0.70, 0.03, 0.02, 0.03, 0.02, 0.02, 0.04, 0.14]),
        measures(BINARY, paired=True)["accuracy"],
    )
    first = compare_pairs(measure, pairs_of((2_000 * shares).round().astype(int)))
    assert isinstance(first, Comparison)
    missing = more_labels(first)
    assert missing is not None
    told = []
    for cells in np.random.default_rng(47).multinomial(2_000 + missing, shares, 800):
        later = compare_pairs(measure, pairs_of(cells))
        assert isinstance(later, Comparison)
        told.append(later.sequential_p <= 0.05)
    assert 0.76 <= np.mean(told) <= 0.84


def test_impossible_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one success metric"):
        judge(evidence())
    with pytest.raises(ValueError, match=r"margin must be at least 0 but got -0\.1"):
        judge(evidence(GOOD, margin=-0.1))
