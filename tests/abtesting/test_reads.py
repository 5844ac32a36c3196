"""What a page advises, and what it says will happen."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from abtesting.dashboards.preview import preview
from abtesting.dashboards.reads import advice, chance_words, headline, rails_of
from abtesting.models import Experiment
from abtesting.selectors.frozen import ArmResult, EpochRatio, Results
from abtesting.selectors.timeline import Timeline
from abtesting.stats.guardrails import Guardrail
from abtesting.stats.power import Plan
from abtesting.stats.proposal import Option
from abtesting.stats.srm import sample_ratio
from abtesting.stats.verdict import Verdict

NOW = datetime(2026, 3, 11, tzinfo=UTC)
TEN_DAYS = Timeline([date(2026, 3, 10)], [600], [200], [900], [300], {})
ARM = ArmResult("a", "1.0.0", 900, 900, 600, 0, {}, None, None)


def experiment(**changes: Any) -> Experiment:
    return Experiment(**{"design": "ab", "started_at": NOW - timedelta(days=10), "status": "running", **changes})


def found(verdict: str, needed: int | None = None, **changes: Any) -> Results:
    parts = Results(NOW, [ARM, ARM], [], [], [], None, Verdict(verdict, "why", needed), 0)  # type: ignore[arg-type]
    return parts._replace(**changes)


def says(results: Results, *, of: Experiment | None = None, timeline: Timeline = TEN_DAYS) -> str:
    return advice(of or experiment(), results, timeline, now=NOW)


def test_a_verdict_is_to_be_concluded() -> None:
    assert "promotion request filed" in says(found("ship_b", 0))
    assert "B is not promoted" in says(found("keep_a", 0))


def test_undecided_says_how_long_to_wait_at_the_pace_so_far() -> None:
    said = says(found("undecided", 800))
    assert said.startswith("Wait for about 800 more labels, 10 days at 80 a day.")
    assert "nothing is promoted" in said
    pairs = TEN_DAYS._replace(labelled_a=[200])  # counted once
    assert "at 20 a day" in says(found("undecided", 800), of=experiment(design="shadow"), timeline=pairs)
    assert "hardly tell" in says(found("undecided"))


def test_an_arm_that_has_too_few_sets_the_pace() -> None:
    assert says(found("blocked", 100)) == "Wait for about 100 more labels, 5 days at 20 a day."
    none = TEN_DAYS._replace(labelled_b=[0])
    assert "an arm has none yet, so nobody can say how long" in says(found("blocked", 100), timeline=none)


def test_what_blocks_is_what_the_advice_is_about() -> None:
    off = EpochRatio(1, 0.5, sample_ratio(5_000, 5_900, 0.5), 0)
    holds = Guardrail("latency", "hold", 2.0, 1.5, "slower")
    assert "Trust no figure" in says(found("blocked", ratios=[off], guardrails=[holds]))
    assert "Look at the guardrail" in says(found("blocked", guardrails=[holds]))
    waits = says(found("blocked", coverage=0.4), of=experiment(design="shadow"))
    assert "Wait for B to score" in waits


@pytest.mark.parametrize(
    ("status", "verdict", "said"),
    [
        ("running", "undecided", "Undecided so far"),
        ("concluded", "undecided", "It ended undecided"),
        ("concluded", "blocked", "ended without a verdict"),
        ("stopped", "ship_b", "it has no verdict"),
    ],
)
def test_the_headline_knows_whether_it_has_ended(status: str, verdict: str, said: str) -> None:
    assert said in headline(experiment(status=status), verdict)


def test_the_worst_guardrail_comes_first_with_its_limits() -> None:
    of = experiment(guardrails={"latency": {"warn": 0.25, "hold": 1.0, "roll_back": 3.0}})
    judged = [Guardrail("cost", "ok", 0.0, None, ""), Guardrail("latency", "hold", 2.0, 1.5, "")]
    first, second = rails_of(of, judged)
    assert (first.name, first.limits.roll_back, first.tone) == ("latency", 300.0, "bad")
    assert (first.unit, first.estimate, first.certain) == ("% of A's", 200.0, 150.0)
    assert second.limits == (None, None, None)


def test_a_chance_is_never_certainty() -> None:
    assert chance_words(1.0) == "over 99.9 %"
    assert chance_words(0.0) == "under 0.1 %"


def terms(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "version_b": "2.0.0", "metrics": ["recall"], "design": "shadow", "holdout": 0.0, "guardrails": None,
        "group_by": "", "costs": None, "margin": None, "min_samples": 100, "steps": None, "step_hours": None,
        "traffic_split": None,
    }  # fmt: skip
    return {**plain, **changes}


def told(**changes: Any) -> str:
    option = Option("a paired shadow test", 0.0, Plan("shadow", 7_300, 7_300, 20.3, ""))
    return " ".join(preview("1.0.0", terms(**changes), option))


def test_the_preview_says_who_answers() -> None:
    assert "A answers every claim as before" in told()
    assert "B answers 10 % of the units, A the others" in told(design="ab", traffic_split=0.1)
    ramp = told(design="ramp", steps=[0.05, 0.5], step_hours=12)
    assert "B answers 5 % of the units, then 50 %, each for at least 12 hours" in ramp
    assert "5 % of the units take no part" in told(holdout=0.05)


def test_the_preview_says_what_stops_it() -> None:
    assert "B's failed answers are 3 points more" in told()
    assert "further apart" not in told()
    assert "its groups are 15 points further apart" in told(group_by="plan")
    only = told(guardrails=dict.fromkeys(("error_rate", "override_rate", "alert_volume")))
    assert "fails" not in only
    assert "a claim costs 5 more" in told(guardrails={"cost": {"roll_back": 5}}, costs={"false_positive": 1})


def test_the_preview_says_when_it_ends() -> None:
    assert "7,300 labelled claims are planned for (about 3 weeks)" in told()
    assert "not worse by 0.05" in told(margin=0.05)
    assert "worse on none" in told(metrics=["recall", "precision"])
    assert "cannot be said before" in " ".join(preview("1.0.0", terms(), None))
