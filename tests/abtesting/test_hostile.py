"""What somebody who wants to break an experiment would try: its laws by SQL, bad input, tricks with rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from abtesting import services
from abtesting.models import Epoch, Experiment, Unit
from abtesting.selectors import results
from abtesting.stats.assignment import assign
from monitoring.models import Label, Prediction
from monitoring.services import fold_all
from registry.artifacts import scorer
from tests.abtesting.lab import Lab
from tests.abtesting.world import next_epoch
from tests.registry.http import Person
from tests.registry.parts import user
from tests.registry.test_stages import damage

pytestmark = pytest.mark.django_db


def refused(sql: str, *values: Any) -> str:
    """What the database says against a statement."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)
    return str(caught.value)


class TestLaws:
    def test_the_hypothesis_and_the_name_stay_as_they_were_before_the_first_label(self, lab: Lab) -> None:
        """A hypothesis that is written once the result is known is none."""
        lab.start(hypothesis="It finds more.")
        for column in ("hypothesis", "name"):
            said = refused(f"UPDATE abtesting_experiment SET {column} = 'what came out'")
            assert "stays as it was at the start" in said

    def test_a_proven_mismatch_is_not_taken_back(self, lab: Lab) -> None:
        lab.start()
        Experiment.objects.update(mismatch_at=timezone.now())
        assert "blocks for good" in refused("UPDATE abtesting_experiment SET mismatch_at = NULL")

    def test_a_unit_is_not_dealt_again_by_taking_it_out(self, lab: Lab) -> None:
        lab.answer(lab.start(), 5)
        assert Unit.objects.count() == 5
        assert "units are kept" in refused("DELETE FROM abtesting_unit")

    def test_the_sums_of_an_ended_experiment_stay(self, lab: Lab) -> None:
        """Of one that was stopped the figures are read from them, of any the figures by day."""
        experiment = lab.start()
        lab.answer(experiment, 5)
        services.stop_experiment(experiment, actor=lab.engineer, reason="enough")
        assert "has ended stay" in refused("UPDATE abtesting_armsums SET units = units + 1")
        assert "sums are kept" in refused("DELETE FROM abtesting_armsums")
        copied = (
            'INSERT INTO abtesting_armsums (epoch_id, arm, "group", day, days_later, units, tally) '
            "SELECT epoch_id, arm, 'new', day, days_later, units, tally FROM abtesting_armsums"
        )
        assert "has ended stay" in refused(copied)

    @pytest.mark.postgres
    @pytest.mark.parametrize("table", ["experiment", "epoch", "unit", "armsums", "shadowanswer"])
    def test_no_table_is_emptied(self, lab: Lab, table: str) -> None:
        lab.start()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        assert "are kept" in refused(f"TRUNCATE abtesting_{table} CASCADE")


class TestDamagedChallenger:
    def test_a_challenger_whose_file_is_damaged_starts_nothing(self, lab: Lab) -> None:
        """Every claim of its arm would be answered by A, marked as failed."""
        damage(lab.b.artifact_id)
        for mode in ("ab", "shadow"):
            status, said = Person(lab.engineer).post("/ab-testing/create", lab.body(mode=mode))
            assert (status, said["code"]) == (409, "preflight_failed")
        assert not Experiment.objects.exists()

    def test_the_first_claims_of_b_do_not_wait_for_its_load(self, lab: Lab) -> None:
        lab.b = lab.staged(4711)
        served = lab.b.serving or lab.b.artifact
        key = (served.digest, lab.b.pk)
        assert key not in scorer._cache().held()
        lab.start()
        assert key in scorer._cache().held()


class TestWildFigures:
    """What doubles do not hold must not keep the rest from being judged: a look that fails leaves B in the way."""

    @pytest.mark.parametrize("cost", [{}, {"false_positive": 1e-300}])
    def test_costs_that_tell_nothing_apart_are_refused(self, lab: Lab, cost: dict[str, float]) -> None:
        costs = {"false_positive": 0.0, "false_negative": 0.0, **cost}
        status, said = Person(lab.engineer).post("/ab-testing/create", lab.body(costs=costs))
        assert (status, said["errors"][0]["code"]) == (422, "out_of_range")
        assert said["errors"][0]["field"].startswith("costs")

    @pytest.mark.parametrize("margin", [1e9, 1e308])
    def test_a_margin_that_nothing_reaches_is_planned_with_one_label(
        self, lab_with_metrics: Lab, margin: float
    ) -> None:
        asked = {"model_name": "high_cost", "success_metrics": ["recall"], "margin": margin}
        status, said = Person(lab_with_metrics.engineer).post("/ab-testing/plan", asked)
        assert (status, said["proposed"]["labels"]) == (200, 1)


class TestThinEvidence:
    def test_nothing_is_certain_of_a_few_units(self, lab: Lab) -> None:
        experiment = lab.start()
        self.repeated(lab, experiment, units=20, failing=True)
        services.check_running(timezone.now())
        found = results(Experiment.objects.get())
        assert Experiment.objects.get().is_running
        assert {rail.level for rail in found.guardrails} == {"ok"}

    def test_no_verdict_rests_on_a_few_units(self, lab: Lab) -> None:
        experiment = lab.start(guardrails={"alert_volume": None})
        self.repeated(lab, experiment, units=40, failing=False)
        verdict = results(experiment).verdict
        assert (verdict.verdict, verdict.samples_needed) == ("blocked", 10)
        assert verdict.reason.startswith("too few: 20 units in an arm")

    def repeated(self, lab: Lab, experiment: Experiment, *, units: int, failing: bool) -> None:
        """A hundred claims of each of so many units, half of them in each arm; B fails, or is always right."""
        epoch, me = Epoch.objects.get(), user(lab.engineer)
        ids = {
            arm: [u for u in (f"u{n}" for n in range(999)) if assign(epoch.split(experiment), u) == arm] for arm in "ab"
        }
        rows, labels = [], []
        for arm in "ab":
            for n, unit in enumerate(ids[arm][: units // 2] * 100):
                failed, truth = failing and arm == "b", n % 2
                about = {"model": lab.model, "request_id": f"{arm}-{n}"}
                said = truth if arm == "b" or n % 3 else 1 - truth
                rows.append(
                    Prediction(
                        **about, version=lab.b if arm == "b" and not failed else lab.a, payload_digest="0" * 64,
                        unit_id=unit, arm=arm, epoch=epoch.pk, features={}, prediction=said, decision=said, score=said,
                        threshold=0.5, latency_ms=1.0, error_code="arm_failed" if failed else "",
                    )
                )  # fmt: skip
                labels.append(Label(**about, revision=1, label=truth, created_by=me))
        Prediction.objects.bulk_create(rows)
        Label.objects.bulk_create(labels)
        fold_all()


def test_an_experiment_has_a_hundred_splits_at_most(lab: Lab) -> None:
    """Each is compared by itself at each look, of which there is one a minute."""
    experiment = lab.start()
    for number in range(2, 101):
        next_epoch(experiment, 0.4 + number % 2 / 10)
    status, said = Person(lab.engineer).post(
        f"/ab-testing/{experiment.pk}/split", {"traffic_split": 0.7, "reason": "again"}
    )
    assert (status, said["code"]) == (409, "too_many_splits")
