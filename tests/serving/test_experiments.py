"""predict() under a running experiment: who answers, what is kept of it, and that nothing of it can fail a claim."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from abtesting.models import Epoch, Experiment
from abtesting.stats.assignment import assign
from mlops_site.core import store
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from mlops_site.serving import Answers, Question, arms, arrival, predict
from monitoring.models import Prediction
from registry import services
from registry.artifacts import scorer
from registry.models import Version
from registry.selectors.served import MOST_FAULTS
from registry.selectors.served import served as served_as
from tests.abtesting.parts import begun, challenger
from tests.kept import kept_fixture
from tests.people import bearer
from tests.processes import ROOT
from tests.registry.parts import explained, into_production, user

pytestmark = pytest.mark.django_db
FEATURES = {"age": 51.5, "visits": 3}
UNITS = [f"person {n}" for n in range(40)]


@kept_fixture
def staged(served: Version, author: Actor) -> Version:
    """1.1.0, in staging, with another threshold."""
    return challenger(served, author=author)


@pytest.fixture
def epoch(served: Version, staged: Version, author: Actor) -> Epoch:
    return begun(served, staged, author=author)


def ask(machine: Actor, *questions: Question, **options: Any) -> Answers:
    return predict("high_cost", actor=machine, questions=questions or (Question(FEATURES),), **options)


def unit_in(epoch: Epoch, arm: str, skip: int = 0) -> str:
    split = epoch.split(epoch.experiment)
    return [unit for unit in UNITS if assign(split, unit) == arm][skip]


class TestWhoAnswers:
    def test_each_unit_is_answered_by_the_version_of_its_arm(
        self, machine: Actor, served: Version, staged: Version, epoch: Epoch
    ) -> None:
        own = {"a": ask(machine, version="1.0.0"), "b": ask(machine, version="1.1.0")}
        split = epoch.split(epoch.experiment)
        seen = set()
        for unit in UNITS:
            arm = assign(split, unit)
            answers = ask(machine, Question(FEATURES, unit_id=unit))
            (answer,) = answers.predictions
            (expected,) = own[arm].predictions
            assert (answers.arm, answer.arm) == (arm, arm)
            assert answers.version == answer.version == own[arm].version
            assert (answer.score, answer.threshold) == (expected.score, expected.threshold)
            row = Prediction.objects.get(request_id=answer.request_id)
            assert (row.arm, row.epoch, row.version_id) == (arm, epoch.pk, {"a": served.pk, "b": staged.pk}[arm])
            assert (row.status, row.error_code, row.score) == ("ok", "", expected.score)
            seen.add(arm)
        assert seen == {"a", "b"}
        assert own["a"].predictions[0].score != own["b"].predictions[0].score

    def test_without_a_unit_the_request_is_dealt(self, machine: Actor, epoch: Epoch) -> None:
        split = epoch.split(epoch.experiment)
        for unit in UNITS:
            (answer,) = ask(machine, Question(FEATURES, request_id=unit)).predictions
            assert answer.arm == assign(split, unit)
        for _ in range(5):
            (answer,) = ask(machine).predictions
            assert answer.arm == assign(split, answer.request_id)

    def test_a_batch_is_split_and_keeps_its_order(self, machine: Actor, epoch: Epoch) -> None:
        rows = [
            Question({"age": 20.0 + n, "visits": n % 7}, unit_id=unit, request_id=f"r{n}")
            for n, unit in enumerate(UNITS)
        ]
        answers = ask(machine, *rows, is_batch=True)
        assert (answers.arm, answers.version) == ("mixed", "1.0.0")
        split = epoch.split(epoch.experiment)
        assert [a.request_id for a in answers.predictions] == [f"r{n}" for n in range(40)]
        assert [a.arm for a in answers.predictions] == [assign(split, unit) for unit in UNITS]
        assert [a.version for a in answers.predictions] == [
            {"a": "1.0.0", "b": "1.1.0"}[a.arm] for a in answers.predictions
        ]
        alone = [ask(machine, row._replace(request_id="")).predictions[0].score for row in rows]
        assert [a.score for a in answers.predictions] == pytest.approx(alone)
        of_b = [row.unit_id for row in rows if assign(split, row.unit_id) == "b"]
        only_b = ask(machine, *(Question(FEATURES, unit_id=unit) for unit in of_b), is_batch=True)
        assert (only_b.arm, only_b.version) == ("b", "1.1.0")

    def test_who_is_held_out_is_answered_by_a_and_takes_no_part(
        self, machine: Actor, served: Version, staged: Version, author: Actor
    ) -> None:
        epoch = begun(served, staged, author=author, holdout=0.3)
        unit = unit_in(epoch, "holdout")
        answers = ask(machine, Question(FEATURES, unit_id=unit))
        assert (answers.arm, answers.version) == ("holdout", "1.0.0")
        assert Prediction.objects.get().epoch is None

    def test_who_names_a_version_takes_no_part(self, machine: Actor, epoch: Epoch) -> None:
        for version in ("1.0.0", "1.1.0", "@production", "@staging"):
            question = Question(FEATURES, unit_id=unit_in(epoch, "a" if "1.1" in version else "b"))
            assert ask(machine, question, version=version).arm == "production"
        assert set(Prediction.objects.values_list("arm", "epoch")) == {("production", None)}

    def test_a_dry_run_is_dealt_and_not_kept(self, machine: Actor, epoch: Epoch) -> None:
        answers = ask(machine, Question(FEATURES, unit_id=unit_in(epoch, "b")), dry_run=True)
        assert (answers.arm, answers.version) == ("b", "1.1.0")
        assert not Prediction.objects.exists()

    def test_a_shadow_test_is_answered_by_a(
        self, machine: Actor, served: Version, staged: Version, author: Actor
    ) -> None:
        epoch = begun(served, staged, author=author, design="shadow", share_b=0.5)
        for arm in ("a", "b"):
            answers = ask(machine, Question(FEATURES, unit_id=unit_in(epoch, arm)))
            assert (answers.arm, answers.version) == ("a", "1.0.0")
        assert list(Prediction.objects.order_by("predicted_at").values_list("epoch", flat=True)) == [None, epoch.pk]

    def test_other_models_and_ended_experiments_are_untouched(
        self, machine: Actor, served: Version, epoch: Epoch, author: Actor, approver: Actor
    ) -> None:
        other = services.create_model(actor=author, name="other", task_type="classification")
        into_production(other, author=author, approver=approver, seed=2)
        assert predict("other", actor=machine, questions=[Question(FEATURES)]).arm == "production"
        now = timezone.now()
        Epoch.objects.update(ended_at=now)
        Experiment.objects.update(status="stopped", ending="stopped", ended_at=now)
        assert ask(machine, Question(FEATURES, unit_id=unit_in(epoch, "b"))).arm == "production"


class TestStickiness:
    def test_a_repeated_request_gets_its_first_answer_whatever_its_arm_is_now(
        self, machine: Actor, served: Version, staged: Version, author: Actor
    ) -> None:
        before = ask(machine, Question(FEATURES, request_id="r0")).predictions[0]
        epoch = begun(served, staged, author=author, share_b=1.0)
        first = ask(machine, Question(FEATURES, request_id="r1")).predictions[0]
        assert (before.arm, first.arm, first.version) == ("production", "b", "1.1.0")
        Epoch.objects.filter(pk=epoch.pk).update(ended_at=timezone.now())
        again = [ask(machine, Question(FEATURES, request_id=each)) for each in ("r0", "r1")]
        assert [each.predictions[0] for each in again] == [each._replace(duplicate=True) for each in (before, first)]
        assert [(each.version, each.arm) for each in again] == [("1.0.0", "production"), ("1.1.0", "b")]

    def test_the_next_epoch_holds_for_the_next_claim(self, machine: Actor, epoch: Epoch) -> None:
        unit = next(unit for unit in UNITS if assign(epoch.split(epoch.experiment), unit) == "a")
        assert ask(machine, Question(FEATURES, unit_id=unit)).arm == "a"
        Epoch.objects.filter(pk=epoch.pk).update(ended_at=timezone.now())
        assert ask(machine, Question(FEATURES, unit_id=unit)).arm == "production"
        second = Epoch.objects.create(experiment=epoch.experiment, number=2, draw=1, share_b=1.0)
        assert ask(machine, Question(FEATURES, unit_id=unit)).arm == "b"
        assert Prediction.objects.get(arm="b").epoch == second.pk

    def test_another_process_deals_the_same(self, epoch: Epoch) -> None:
        """What predict does is `assign` of the epoch's split: a process without a database says the same."""
        split = epoch.split(epoch.experiment)
        code = (
            "import json, sys; from abtesting.stats.assignment import Split, assign;"
            "split, units = json.load(sys.stdin); print(json.dumps([assign(Split(**split), u) for u in units]))"
        )
        given = json.dumps([vars(split), UNITS])
        said = subprocess.run(
            [sys.executable, "-c", code], input=given, capture_output=True, text=True, check=True, cwd=ROOT
        )
        assert json.loads(said.stdout) == [assign(split, unit) for unit in UNITS]


class TestWhenBFails:
    """A answers, the row stays in arm b with its code, and operators are told once."""

    @pytest.fixture(autouse=True)
    def empty(self) -> None:
        scorer._cache().clear()

    def failed(self, machine: Actor, epoch: Epoch, caplog: pytest.LogCaptureFixture) -> None:
        caplog.clear()
        for _ in range(3):
            answers = ask(machine, Question(FEATURES, unit_id=unit_in(epoch, "b")))
            assert (answers.arm, answers.version) == ("b", "1.0.0")
        expected = ask(machine, version="1.0.0", dry_run=True).predictions[0]
        for row in Prediction.objects.all():
            assert (row.arm, row.epoch, row.error_code, row.status) == ("b", epoch.pk, "arm_failed", "ok")
            assert (row.version.number, row.score, row.decision) == ("1.0.0", expected.score, expected.decision)
        assert len([r for r in caplog.records if "fails, A answers for it" in r.message]) == 1
        assert ask(machine, Question(FEATURES, unit_id=unit_in(epoch, "a"))).version == "1.0.0"

    def test_to_load(
        self,
        machine: Actor,
        staged: Version,
        epoch: Epoch,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        store.delete(staged.artifact_id)
        read: list[str] = []
        real = store.read

        def noted(digest: str) -> bytes:
            read.append(digest)
            return real(digest)

        monkeypatch.setattr(store, "read", noted)
        self.failed(machine, epoch, caplog)
        assert read.count(staged.artifact_id) == 1  # claims do not wait for each try

    def test_it_is_tried_again_later(
        self, machine: Actor, staged: Version, epoch: Epoch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = store.read(staged.artifact_id)
        store.delete(staged.artifact_id)
        question = Question(FEATURES, unit_id=unit_in(epoch, "b"))
        assert ask(machine, question).version == "1.0.0"
        store.put(content, max_bytes=len(content))
        assert ask(machine, question).version == "1.0.0"
        monkeypatch.setitem(arms._unloadable, staged.pk, (time.monotonic() - 1, Exception()))  # a minute later
        assert ask(machine, question).version == "1.1.0"

    def test_to_score(
        self,
        machine: Actor,
        staged: Version,
        epoch: Epoch,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with served_as(staged.pk).scorer() as loaded:
            monkeypatch.setattr(loaded, "_answer", lambda columns: 1 / 0)
            self.failed(machine, epoch, caplog)

    def test_on_one_row_of_a_batch_only_that_one_is_a_s(
        self, machine: Actor, staged: Version, epoch: Epoch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with served_as(staged.pk).scorer() as loaded:
            real = loaded._answer

            def answer(columns: Any) -> Any:
                assert 99.0 not in columns.numbers[0]
                return real(columns)

            monkeypatch.setattr(loaded, "_answer", answer)
            ages = [99.0 if n in (5, 11) else 20.0 + n for n in range(16)]
            rows = [Question({"age": age, "visits": 1}, unit_id=unit_in(epoch, "b")) for age in ages]
            answers = ask(machine, *rows, is_batch=True)
        assert [n for n, a in enumerate(answers.predictions) if a.version == "1.0.0"] == [5, 11]
        assert Prediction.objects.filter(error_code="arm_failed").count() == 2

    def test_a_version_that_fails_on_all_is_not_asked_for_each(
        self, machine: Actor, staged: Version, epoch: Epoch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[int] = []

        def answer(columns: Any) -> Any:
            calls.append(columns.rows)
            raise RuntimeError("no")

        with served_as(staged.pk).scorer() as loaded:
            monkeypatch.setattr(loaded, "_answer", answer)
            rows = [Question(FEATURES, unit_id=unit_in(epoch, "b")) for _ in range(1_000)]
            answers = ask(machine, *rows, is_batch=True)
        assert {a.version for a in answers.predictions} == {"1.0.0"}
        assert len(calls) < 4 * MOST_FAULTS

    def test_what_is_asked_wrongly_is_refused_in_both_arms(self, machine: Actor, epoch: Epoch) -> None:
        for arm in ("a", "b"):
            with pytest.raises(Invalid, match=r"features\.visits"):
                ask(machine, Question({"age": 1}, unit_id=unit_in(epoch, arm)))
        rows = [Question(FEATURES, unit_id=unit_in(epoch, "a")), Question(FEATURES, unit_id=unit_in(epoch, "b"))]
        wrong = [Question({"age": "old", "visits": 1}, unit_id=unit_in(epoch, arm)) for arm in ("b", "a")]
        with pytest.raises(Invalid) as caught:
            ask(machine, *rows, *wrong, is_batch=True)
        assert {e.field for e in caught.value.errors} == {"rows[2].features.age", "rows[3].features.age"}
        assert not Prediction.objects.exists()

    def test_when_it_leaves_staging_production_answers(
        self, machine: Actor, served: Version, staged: Version, epoch: Epoch, author: Actor
    ) -> None:
        question = Question(FEATURES, unit_id=unit_in(epoch, "b"))
        assert ask(machine, question).version == "1.1.0"
        services.move_stage(staged, actor=author, target_stage="development", reason="look again")
        answers = ask(machine, question)
        assert (answers.version, answers.arm) == ("1.0.0", "production")
        token = bearer(user(machine))["Authorization"].removeprefix("Bearer ")
        found = arrival("high_cost", token)
        assert found is not None
        assert found[1].epoch is None

    def test_when_another_takes_a_s_place_it_answers(
        self, machine: Actor, served: Version, epoch: Epoch, author: Actor, approver: Actor
    ) -> None:
        into_production(served.model, author=author, approver=approver, seed=3, params={"C": 3.0})
        answers = ask(machine, Question(FEATURES, unit_id=unit_in(epoch, "b")))
        assert (answers.version, answers.arm) == ("1.2.0", "production")

    def test_a_split_that_cannot_be_dealt_is_passed_over(
        self, machine: Actor, served: Version, staged: Version, author: Actor
    ) -> None:
        begun(served, staged, author=author, salt="with/slash")
        assert ask(machine).arm == "production"


class TestReasons:
    def test_are_those_of_the_version_that_answered(
        self, machine: Actor, served: Version, author: Actor, approver: Actor
    ) -> None:
        a = into_production(served.model, author=author, approver=approver, seed=2, params={"C": 3.0}, **explained(2))
        epoch = begun(a, challenger(a, author=author, params={"C": 4.0}, **explained(1)), author=author)
        own = {
            arm: ask(machine, version=number, reasons=2, dry_run=True).predictions[0]
            for arm, number in (("a", "1.1.0"), ("b", "1.2.0"))
        }
        rows = [Question(FEATURES, unit_id=unit_in(epoch, arm)) for arm in ("b", "a")]
        for answer in ask(machine, *rows, reasons=2, is_batch=True).predictions:
            assert answer.reasons == own[answer.arm].reasons
        assert own["a"].reasons != own["b"].reasons

    def test_a_challenger_that_cannot_give_any_fails(
        self, machine: Actor, served: Version, author: Actor, approver: Actor
    ) -> None:
        a = into_production(served.model, author=author, approver=approver, seed=2, params={"C": 3.0}, **explained(2))
        epoch = begun(a, challenger(a, author=author, params={"C": 4.0}), author=author)
        question = Question(FEATURES, unit_id=unit_in(epoch, "b"))
        answers = ask(machine, question, reasons=2)
        assert (answers.version, answers.arm) == ("1.1.0", "b")
        assert len(answers.predictions[0].reasons or []) == 2
        assert Prediction.objects.get().error_code == "arm_failed"


def test_an_experiment_sends_no_further_query(machine: Actor, served: Version, staged: Version, author: Actor) -> None:
    begun(served, staged, author=author)
    for unit in UNITS[:4]:
        ask(machine, Question(FEATURES, unit_id=unit))
    rows = [Question(FEATURES, unit_id=unit) for unit in UNITS]
    for questions in ([Question(FEATURES, unit_id=UNITS[0])], rows):
        with CaptureQueriesContext(connection) as queries:
            ask(machine, *questions, is_batch=len(questions) > 1)
        assert len([q for q in queries if "SAVEPOINT" not in q["sql"]]) == 2


def test_rows_do_not_wait_for_the_other_arm(
    machine: Actor, staged: Version, epoch: Epoch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a batch of both arms, each row's latency is without what the other arm took."""
    with served_as(staged.pk).scorer() as loaded:
        real = loaded._answer

        def slowly(columns: Any) -> Any:
            time.sleep(0.5)
            return real(columns)

        monkeypatch.setattr(loaded, "_answer", slowly)
        ask(machine, *(Question(FEATURES, unit_id=unit_in(epoch, arm)) for arm in ("a", "b")), is_batch=True)
    found = {row.arm: row.latency_ms or 0.0 for row in Prediction.objects.all()}
    assert found["b"] >= 500
    assert 0 < found["a"] < 400
