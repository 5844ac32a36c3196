"""Guardrails hold and roll back for harm that is certain, and for nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from abtesting.stats import guardrails
from abtesting.stats.guardrails import DEFAULTS, Guardrail, Harm, Limits, judge, worst
from abtesting.stats.measures import Costs, measures
from abtesting.stats.tally import Answers, ArmTally
from tests.abtesting.stats.arms import BINARY, arm_of

LIMITS = Limits(0.01, 0.05, 0.10)


def used(n: int, *, errors: int = 0, alerts: int = 0, ms: float = 5.0, spread: float = 0.3) -> ArmTally:
    """n answers with that many errors and alerts, and latencies around `ms`."""
    said, failed = [1] * alerts + [0] * (n - alerts), [True] * errors + [False] * (n - errors)
    taken = np.random.default_rng(n).lognormal(np.log(ms), spread, n)
    return ArmTally.of(Answers(said, [np.nan] * n, said, failed, taken, [None] * n), BINARY)


@pytest.mark.parametrize(
    ("estimate", "certain", "level"),
    [
        (0.2, 0.11, "roll_back"),
        (0.2, 0.06, "hold"),
        (0.2, 0.02, "warn"),
        (0.2, -0.5, "warn"),  # not yet certain
        (0.04, -0.5, "ok"),
        (-0.1, -0.5, "ok"),
        (0.0, None, "ok"),
    ],
)
def test_the_level_is_the_highest_that_is_certain(estimate: float, certain: float | None, level: str) -> None:
    found = judge(Harm("error_rate", estimate, certain, 100, "said"), LIMITS)
    assert found.level == level
    assert found.reason.startswith("said")


def test_limits_may_be_left_out_and_must_rise() -> None:
    harm = Harm("cost", 9.0, 8.0, 100, "9 more a claim")
    assert judge(harm, Limits(hold=5.0)).level == "hold"
    assert judge(harm, Limits()).level == "ok"
    assert judge(harm, Limits(hold=5.0)).reason == "9 more a claim: held, worse by at least 8 a claim, which is above 5"
    assert judge(harm._replace(certain=2.0), Limits(hold=5.0)).reason == "9 more a claim: worth a look, not yet certain"
    with pytest.raises(ValueError, match="limits of cost must rise"):
        judge(harm, Limits(hold=5.0, roll_back=4.0))


def test_the_worst_decides() -> None:
    levels = [Guardrail("x", level, 0, 0, "") for level in ("warn", "roll_back", "ok")]
    assert worst(levels) == "roll_back"


def test_an_arm_that_fails_is_rolled_back_and_a_sound_one_left_alone() -> None:
    a = used(20_000, errors=20)
    assert judge(guardrails.error_rate(a, used(500, errors=60)), DEFAULTS["error_rate"]).level == "roll_back"
    assert judge(guardrails.error_rate(a, used(500, errors=0)), DEFAULTS["error_rate"]).level == "ok"
    few = guardrails.error_rate(a, used(20, errors=20))
    assert (few.certain, judge(few, DEFAULTS["error_rate"]).level) == (None, "ok")


def test_looking_after_every_step_rolls_back_hardly_any_sound_arm() -> None:
    """A hundred looks at two arms that fail equally often, B with a tenth of the units."""
    rng, raised = np.random.default_rng(43), 0
    for _ in range(300):
        failed = np.cumsum(rng.binomial([900, 100], 0.02, (100, 2)), axis=0)
        for look, (errors_a, errors_b) in enumerate(failed.tolist(), 1):
            harm = guardrails._shares("error_rate", "failed", (errors_a, 900 * look), (errors_b, 100 * look))
            if harm.certain is not None and harm.certain > 0:
                raised += 1
                break
    assert raised / 300 <= 0.03


def test_many_splits_roll_back_no_more_sound_arms_than_one() -> None:
    """Twenty epochs of one experiment, each with ten looks; judged at one level, one in ten would be (tried)."""
    rng, raised = np.random.default_rng(44), 0
    for _ in range(200):
        failed = np.cumsum(rng.binomial(500, 0.05, (20, 10, 2)), axis=1).tolist()
        harms = (
            guardrails._shares("x", "", (a, 500 * look), (b, 500 * look), guardrails.level_of(epoch))
            for epoch, looks in enumerate(failed, 1)
            for look, (a, b) in enumerate(looks, 1)
        )
        raised += any(harm.certain is not None and harm.certain > 0 for harm in harms)
    assert raised / 200 <= 0.025


def test_more_overrides_and_more_alerts_are_seen() -> None:
    a, b = used(5_000, alerts=500), used(5_000, alerts=900)
    assert guardrails.alert_volume(a, b).estimate == pytest.approx(0.08)
    assert judge(guardrails.alert_volume(a, b), DEFAULTS["alert_volume"]).level == "hold"
    a, b = arm_of([10, 5, 5, 80], reviewed=400, overridden=20), arm_of([10, 5, 5, 80], reviewed=400, overridden=120)
    assert judge(guardrails.override_rate(a, b), DEFAULTS["override_rate"]).level == "roll_back"


def test_latency_is_judged_by_its_95th_percentile() -> None:
    a, b = used(4_000, ms=5), used(3_000, ms=15)
    harm = guardrails.latency(a, b)
    assert harm.estimate == pytest.approx(2.0, abs=0.25)
    assert 1.0 < (harm.certain or 0) < harm.estimate
    assert judge(harm, DEFAULTS["latency"]).level == "hold"
    same = guardrails.latency(a, used(3_000, ms=5))
    assert judge(same, DEFAULTS["latency"]).level == "ok"
    assert guardrails.latency(used(100), used(100)).certain is None
    assert guardrails.latency(ArmTally.empty(BINARY), b).certain is None


def test_cost_is_in_the_experiments_currency() -> None:
    harm = guardrails.cost(arm_of([80, 20, 20, 880]), arm_of([20, 20, 80, 880]), Costs(1, 50))
    assert harm.estimate == pytest.approx(3.0)
    assert judge(harm, Limits(roll_back=0.5)).level == "roll_back"
    assert guardrails.cost(arm_of([1, 0, 0, 1]), arm_of([1, 0, 0, 1]), Costs(1, 50)).certain is None


def test_a_gap_between_groups_counts_where_b_widens_it() -> None:
    a = {"north": arm_of([400, 100, 100, 400]), "south": arm_of([400, 100, 100, 400])}
    b = {"north": arm_of([450, 50, 50, 450]), "south": arm_of([250, 250, 250, 250]), "x": arm_of([1, 1, 1, 1])}
    harm = guardrails.fairness_gap(a, b, measures(BINARY, paired=True)["recall"])
    assert harm.estimate == pytest.approx(0.4)
    assert harm.said == "recall: 90.0% of north and 50.0% of south in B, 80.0% of north and 80.0% of south in A"
    assert judge(harm, DEFAULTS["fairness_gap"]).level == "roll_back"
    assert guardrails.fairness_gap(a, a).estimate == 0.0
    assert guardrails.fairness_gap(b, b, measures(BINARY, paired=True)["recall"]).estimate == 0.0
    assert guardrails.fairness_gap({}, {}).certain is None
