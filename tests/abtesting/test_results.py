"""What an experiment says, from its sums, against the same computed from its rows by other libraries."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scipy import stats
from statsmodels.stats import proportion

from abtesting.choices import Ending, Status, Verdict
from abtesting.models import LAWS, ArmSums, Experiment, ShadowAnswer, Unit
from abtesting.selectors.compared import decidable, shape_of
from abtesting.selectors.frozen import from_json
from abtesting.selectors.results import Results, as_json, results, timeline
from abtesting.services.sums import count_scored
from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.tally import Answers, ArmTally
from mlops_site.core.laws import Law
from mlops_site.core.permissions import Actor
from monitoring.models import Label, Prediction
from monitoring.services import fold_all
from tests.abtesting.world import answer, experiment_of, label, next_epoch, open_epoch, people, score, served
from tests.kept import kept_fixture
from tests.monitoring.production import watched
from tests.registry.test_laws import drop

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
Rows = list[tuple[Prediction, int]]


@kept_fixture
def author(db: None) -> Actor:
    return people()[0]


def fill(experiment: Experiment, arm: str, n: int, *, right: float, seed: int, **changes: Any) -> Rows:
    """Answers of an arm under the open epoch, as dealt or not, with labels; `right` is the share of right ones."""
    random, start = np.random.default_rng([seed, arm == "b"]), Prediction.objects.count()
    truth = random.random(n) < 0.4
    said = np.where(random.random(n) < right, truth, ~truth).astype(int)
    version = experiment.version_b if arm == "b" and not experiment.is_paired else experiment.version_a
    parts: dict[str, Any] = {"arm": arm, "epoch": open_epoch(experiment).pk, **changes}
    rows = [
        answer(
            version,
            start + i,
            prediction=int(said[i]),
            decision=int(said[i]),
            score=float(np.clip(0.5 * said[i] + 0.5 * random.random(), 0, 1)),
            **parts,
        )
        for i in range(n)
    ]
    Prediction.objects.bulk_create(rows)
    return [(row, int(true)) for row, true in zip(rows, truth, strict=True)]


def judge(experiment: Experiment, rows: Rows, *, after: timedelta = timedelta(0)) -> None:
    Label.objects.bulk_create(
        Label(
            model=experiment.model,
            request_id=row.request_id,
            revision=1,
            label=truth,
            received_at=row.predicted_at + after,
            created_by=experiment.created_by,
        )
        for row, truth in rows
    )


def compared(found: Results, metric: str) -> Comparison:
    own = next(each for each in found.comparisons if each.metric == metric)
    assert isinstance(own, Comparison), own
    return own


class TestAgreement:
    def test_two_arms(self, author: Actor) -> None:
        experiment = experiment_of(author, metrics=["accuracy", "recall", "brier", "roc_auc"])
        arms = [fill(experiment, arm, n, right=right, seed=1) for arm, n, right in (("a", 230, 0.7), ("b", 190, 0.85))]
        for rows in arms:
            judge(experiment, rows[:-20])
        fold_all()
        found = results(experiment)
        judged = [rows[:-20] for rows in arms]
        hits = [sum(row.decision == truth for row, truth in rows) for rows in judged]
        sizes = [len(rows) for rows in judged]
        own = compared(found, "accuracy")
        assert (own.a, own.b) == (hits[0] / sizes[0], hits[1] / sizes[1])
        counts: Any = hits[1], sizes[1], hits[0], sizes[0]
        assert own.ci95 == pytest.approx(proportion.confint_proportions_2indep(*counts, method="newcomb"), abs=1e-9)
        expected = proportion.test_proportions_2indep(*counts, method="score", correction=False).pvalue
        assert own.p_value == pytest.approx(expected, abs=1e-9)
        misses = [[((row.score or 0.0) - truth) ** 2 for row, truth in rows] for rows in judged]
        brier = compared(found, "brier")
        welch = stats.ttest_ind(misses[1], misses[0], equal_var=False)
        assert brier.p_value == pytest.approx(welch.pvalue, rel=2e-2)  # by population variance over n - 1
        assert [arm.units for arm in found.arms] == [arm.answers for arm in found.arms] == [230, 190]
        assert [arm.labelled for arm in found.arms] == [210, 170]
        assert found.arms[1].metrics["accuracy"] == own.b

    def test_pairs(self, author: Actor) -> None:
        experiment = experiment_of(author, design="shadow", share_b=1.0, metrics=["accuracy", "brier"])
        rows = fill(experiment, "a", 300, right=0.75, seed=2)
        judge(experiment, rows)
        fold_all()
        score()
        found, silent = results(experiment), {row.pk: row for row in ShadowAnswer.objects.filter(state="scored")}
        both = [(row, silent[row.pk], truth) for row, truth in rows if row.pk in silent]
        steps = [(b.decision == truth) - (a.decision == truth) for a, b, truth in both]
        own = compared(found, "accuracy")
        assert own.n == len(both) == len(silent) < 300
        assert own.difference == pytest.approx(statistics.fmean(steps), abs=1e-12)
        misses = [
            [((own.score or 0.0) - truth) ** 2 for own, truth in side]
            for side in ([(a, truth) for a, _, truth in both], [(b, truth) for _, b, truth in both])
        ]
        t = stats.ttest_rel(misses[1], misses[0])
        assert compared(found, "brier").p_value == pytest.approx(t.pvalue, rel=1e-9)
        only_a, only_b = steps.count(-1), steps.count(1)
        exact = stats.binomtest(only_b, only_a + only_b).pvalue
        assert own.p_value <= exact
        assert found.coverage == 1.0
        assert (found.arms[0].labelled, found.arms[1].labelled) == (300, len(both))
        assert [each.ratio for each in found.ratios] == [None]


class TestEpochs:
    def test_they_are_not_pooled(self, author: Actor) -> None:
        """Simpson's paradox: in each week B is as good as A, and B has most of its units in the bad one."""
        experiment = experiment_of(author, share_b=0.1)
        for rows in (
            fill(experiment, "a", 900, right=0.9, seed=3),
            fill(experiment, "b", 100, right=0.9, seed=3),
        ):
            judge(experiment, rows)
        next_epoch(experiment, 0.9)
        for rows in (
            fill(experiment, "a", 100, right=0.6, seed=4),
            fill(experiment, "b", 900, right=0.6, seed=4),
        ):
            judge(experiment, rows)
        fold_all()
        found = results(experiment)
        own, (a, b) = compared(found, "accuracy"), found.arms
        assert a.metrics["accuracy"] is not None
        assert b.metrics["accuracy"] is not None
        assert b.metrics["accuracy"] - a.metrics["accuracy"] < -0.2  # which is what pooling would say
        assert own.test == "weighted epochs"
        assert own.ci95[0] < 0 < own.ci95[1]
        assert (own.n, found.verdict.verdict) == (2000, "undecided")
        assert [each.epoch for each in found.ratios] == [1, 2]
        assert all(each.ratio is not None and each.ratio.ok for each in found.ratios)

    def test_where_b_gets_all_there_is_nothing_to_compare(self, author: Actor) -> None:
        experiment = experiment_of(author, share_b=1.0, design="ramp", steps=[1.0])
        judge(experiment, fill(experiment, "b", 40, right=0.9, seed=5))
        fold_all()
        found = results(experiment)
        assert found.comparisons == [Unknown("accuracy", "no epoch has units in both arms")]
        assert [each.ratio for each in found.ratios] == [None]
        assert (found.verdict.verdict, found.arms[1].labelled) == ("blocked", 40)


class TestFollowUp:
    def test_both_arms_are_judged_after_the_same_time(self, author: Actor) -> None:
        now = timezone.now()
        experiment = experiment_of(author, ago=30 * DAY, follow_up_days=5)
        for arm in ("a", "b"):
            old = fill(experiment, arm, 50, right=0.9, seed=6, predicted_at=now - 20 * DAY, received_at=now - 20 * DAY)
            judge(experiment, old[:40], after=3 * DAY)
            judge(experiment, old[40:], after=9 * DAY)  # too late for five days
            new = fill(experiment, arm, 50, right=0.9, seed=7, predicted_at=now - 4 * DAY, received_at=now - 4 * DAY)
            judge(experiment, new, after=DAY)  # known, but not yet followed up
        fold_all()
        found = results(experiment, now=now)
        assert [(arm.answers, arm.labelled) for arm in found.arms] == [(100, 40), (100, 40)]
        assert [arm.labelled for arm in results(experiment, now=now + 3 * DAY).arms] == [90, 90]

    def test_without_all_that_is_known_counts(self, author: Actor) -> None:
        experiment = experiment_of(author)
        judge(experiment, fill(experiment, "a", 40, right=0.9, seed=8), after=60 * DAY)
        fold_all()
        assert results(experiment).arms[0].labelled == 40


class TestVerdict:
    def decided(self, author: Actor, **changes: Any) -> Experiment:
        experiment = experiment_of(author, **changes)
        for arm, right in (("a", 0.6), ("b", 0.9)):
            judge(experiment, fill(experiment, arm, 300, right=right, seed=9))
        fold_all()
        return experiment

    def test_b_ships_when_it_is_better(self, author: Actor) -> None:
        found = results(self.decided(author))
        assert found.verdict.verdict == "ship_b"
        assert as_json(found)["comparisons"][0]["verdict"] == "better"

    def test_a_proven_mismatch_blocks_for_good(self, author: Actor) -> None:
        experiment = self.decided(author, mismatch_at=datetime(2026, 3, 4, tzinfo=UTC))
        found = results(experiment).verdict
        assert (found.verdict, found.samples_needed) == ("blocked", None)
        assert "proven on 04 Mar 2026; it blocks for good: 300 of 600 units are in B" in found.reason

    def test_a_mismatch_of_now_blocks(self, author: Actor) -> None:
        experiment = self.decided(author, share_b=0.2)
        assert "sample ratio mismatch" in results(experiment).verdict.reason

    def test_its_tests_are_tuned_at_the_labels_planned(self, author: Actor) -> None:
        found = results(self.decided(author, planned_labels=777))
        assert compared(found, "accuracy").tuned_at == 777

    def test_an_outcome_is_nothing_to_decide_on_yet(self, author: Actor) -> None:
        experiment = experiment_of(author, metrics=["outcome"])
        assert "outcome" not in decidable(shape_of(experiment), paired=False)
        with pytest.raises(ValueError, match=r"must be one of accuracy, .* but got 'outcome'"):
            results(experiment)


class TestGuardrails:
    def test_limits_of_the_experiment_stand_over_the_usual_ones(self, author: Actor) -> None:
        rows = {"warn": 0.05, "hold": 0.1, "roll_back": 0.2}
        experiment = experiment_of(author, guardrails={"error_rate": rows, "latency": {"roll_back": None}})
        fill(experiment, "a", 400, right=0.9, seed=10, latency_ms=1.0)
        judge(experiment, fill(experiment, "b", 400, right=0.9, seed=10, latency_ms=50.0, error_code="arm_failed"))
        fold_all()
        found = results(experiment)
        levels = {each.name: each.level for each in found.guardrails}
        assert levels == {"error_rate": "roll_back", "latency": "hold", "override_rate": "ok", "alert_volume": "ok"}
        assert "guardrail error_rate" in found.verdict.reason
        assert (found.arms[1].errors, found.arms[1].labelled, found.arms[1].unjudged) == (400, 0, 400)

    def test_a_new_split_does_not_make_an_old_harm_forgotten(self, author: Actor) -> None:
        experiment = experiment_of(author)
        for arm, more in (("a", {}), ("b", {"error_code": "arm_failed"})):
            fill(experiment, arm, 200, right=0.9, seed=11, **more)
        next_epoch(experiment, 0.5)
        for arm in ("a", "b"):
            fill(experiment, arm, 200, right=0.9, seed=12)
        fold_all()
        assert next(each for each in results(experiment).guardrails if each.name == "error_rate").level == "roll_back"

    def test_groups_are_compared_where_there_are_some(self, author: Actor) -> None:
        experiment = experiment_of(author, group_by="region")
        for arm in ("a", "b"):
            for region, right in (("north", 0.9), ("south", 0.1 if arm == "b" else 0.9)):
                fill(experiment, arm, 150, right=right, seed=13, slices={"region": region})
        fold_all()
        gap = next(each for each in results(experiment).guardrails if each.name == "fairness_gap")
        assert "of south" in gap.reason
        assert gap.estimate > 0.1

    def test_overrides_of_silent_answers_are_nobodys(self, author: Actor) -> None:
        experiment = experiment_of(author, design="shadow", share_b=1.0)
        assert "override_rate" not in {each.name for each in results(experiment).guardrails}


class TestFrozen:
    def test_its_results_are_what_was_frozen(self, author: Actor) -> None:
        experiment = experiment_of(author, metrics=["accuracy", "brier", "recall"])
        for arm in ("a", "b"):
            judge(experiment, fill(experiment, arm, 120, right=0.8, seed=14))
        fold_all()
        live = results(experiment)
        assert from_json(as_json(live)) == live
        experiment.status, experiment.ending, experiment.ended_at = Status.CONCLUDED, Ending.CONCLUDED, timezone.now()
        experiment.verdict, experiment.result = Verdict.UNDECIDED, {"name": "more", **as_json(live)}
        experiment.save()
        drop(next(law for law in LAWS if isinstance(law, Law) and law.name == "sums_stay_at_the_end_update"))
        ArmSums.objects.update(tally=b"")
        experiment.refresh_from_db()
        assert results(experiment) == live

    def test_one_that_was_stopped_has_figures_as_of_its_end(self, author: Actor) -> None:
        experiment = experiment_of(author)
        fill(experiment, "a", 40, right=0.8, seed=15)
        fold_all()
        ended = timezone.now()
        experiment.status, experiment.ending, experiment.ended_at = Status.STOPPED, Ending.STOPPED, ended
        experiment.save()
        assert (results(experiment).as_of, results(experiment).arms[0].answers) == (ended, 40)


class TestPending:
    def test_what_is_not_counted_yet(self, author: Actor) -> None:
        experiment = experiment_of(author, design="shadow", share_b=1.0)
        rows = [served(experiment, n) for n in range(5)]
        Prediction.objects.bulk_create(rows)
        label(experiment, 1, 1)
        label(experiment, 900, 1)  # of nobody's claim
        other = watched(experiment.model, author, params={"C": 3.0})
        answer(other, 500).save()
        assert results(experiment).pending == 5 + 1 + 5
        fold_all()
        assert results(experiment).pending == 5
        score()
        assert results(experiment).pending == 0

    def test_scored_claims_that_are_not_counted_add_nothing(self, author: Actor) -> None:
        experiment = experiment_of(author, design="shadow", share_b=1.0)
        count_scored([])
        assert results(experiment).coverage is None


class TestTimeline:
    def test_each_day_as_it_stood_then(self, author: Actor) -> None:
        experiment = experiment_of(author, ago=6 * DAY)
        now = timezone.now()
        for days in (6, 4, 2):
            for arm in ("a", "b"):
                at = now - days * DAY
                judge(
                    experiment,
                    fill(experiment, arm, 60, right=0.8, seed=days, predicted_at=at, received_at=at),
                    after=DAY,
                )
        fold_all()
        found = timeline(experiment)
        assert len(found.days) == 7
        assert found.labelled_a == found.labelled_b == [0, 60, 60, 120, 120, 180, 180]
        assert found.units_b == [60, 60, 120, 120, 180, 180, 180]
        own = found.by_metric["accuracy"]
        assert isinstance(own[0], Unknown)
        assert own[-1] == compared(results(experiment), "accuracy")._replace(bootstrap95=None)
        assert own[1] == own[2] != own[3]

    def test_at_equal_follow_up_its_last_day_is_that_of_the_results(self, author: Actor) -> None:
        now = timezone.now()
        experiment = experiment_of(author, ago=9 * DAY, follow_up_days=2)
        for days in (8, 5, 1):
            for arm in ("a", "b"):
                at = now - days * DAY
                judge(
                    experiment,
                    fill(experiment, arm, 60, right=0.8, seed=days, predicted_at=at, received_at=at),
                    after=DAY,
                )
        fold_all()
        found = timeline(experiment)
        assert found.labelled_a[-1] == results(experiment, now=now + DAY).arms[0].labelled == 120


def test_it_takes_as_many_statements_however_many_epochs_and_rows(author: Actor) -> None:
    experiment = experiment_of(author, group_by="region")
    counts = []
    for turn in range(3):
        for arm in ("a", "b"):
            judge(experiment, fill(experiment, arm, 40, right=0.8, seed=turn))
        fold_all()
        with CaptureQueriesContext(connection) as queries:
            results(experiment)
        counts.append(len(queries))
        next_epoch(experiment, 0.5)
    assert len(set(counts)) == 1, counts
    assert counts[0] <= 8


def test_a_million_outcomes_take_less_than_a_tenth_of_a_second(author: Actor) -> None:
    """Of 50 days and ten delays of the labels, from rows of the database: 1,000 tallies."""
    experiment = experiment_of(author, ago=61 * DAY, metrics=["accuracy", "recall", "brier"], follow_up_days=10)
    epoch, shape, random = open_epoch(experiment), shape_of(experiment), np.random.default_rng(16)
    n, start = 1_000_000 // 1_000, experiment.started_at.date()
    rows = []
    for arm in ("a", "b"):
        for day in range(50):
            for later in range(10):
                truth = (random.random(n) < 0.05).astype(int)
                score_of = np.clip(random.normal(0.15 + 0.5 * truth, 0.18), 0, 1)
                said = (score_of >= 0.5).astype(int)
                timed = random.lognormal(1.5, 0.4, n)
                tally = ArmTally.of(Answers(said, score_of, said, np.zeros(n), timed, truth), shape)
                place = {"arm": arm, "day": start + day * DAY, "days_later": later}
                rows.append(ArmSums(epoch=epoch, units=n, tally=tally.to_bytes(), **place))
    ArmSums.objects.bulk_create(rows)
    took = []
    for _ in range(7):
        began = time.process_time()
        found = results(experiment)
        took.append(time.process_time() - began)
    assert sum(arm.labelled for arm in found.arms) == 1_000_000
    assert not Unit.objects.exists()
    assert min(took) < 0.1, took
