"""The end with a verdict: counted first, judged once, frozen, and carried into the approval."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, transaction

from abtesting import services
from abtesting.models import Epoch, Experiment
from abtesting.services import conclusions
from mlops_site.core import events
from mlops_site.core.errors import Conflict
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Action, Actor
from monitoring.models import FoldItem, Label
from monitoring.services import fold_all, settling
from registry import services as registry
from registry.models import PromotionRequest
from tests.abtesting.lab import Lab
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.http import Person
from tests.registry.parts import user

pytestmark = pytest.mark.django_db


def concluded(lab: Lab, experiment: Experiment, *, by: Actor | None = None) -> Experiment:
    done = services.conclude_experiment(experiment, actor=by or lab.engineer, reason="the plan is fulfilled")
    assert done == Experiment.objects.get(pk=experiment.pk)
    return Experiment.objects.get(pk=experiment.pk)


def result(experiment: Experiment) -> dict[str, Any]:
    assert experiment.result is not None
    return dict(experiment.result)


@kept_fixture
def better(lab: Lab) -> Experiment:
    """An experiment whose claims say that B is better."""
    experiment = lab.start()
    lab.answer(experiment, 1_500, right_a=0.6, right_b=0.85)
    return experiment


class TestShip:
    def test_the_result_is_frozen_with_its_digest_and_the_request_carries_it(
        self, lab: Lab, better: Experiment
    ) -> None:
        row = concluded(lab, better)
        assert (row.status, row.ending, row.verdict, row.end_reason) == (
            "concluded", "concluded", "ship_b", "the plan is fulfilled",
        )  # fmt: skip
        said = result(row)
        assert (said["verdict"], said["version_b"], said["request_refused"]) == ("ship_b", "1.1.0", "")
        assert said["reason"].startswith("B is better on accuracy")
        assert (said["splits"][0]["share_b"], said["splits"][0]["ended_at"]) == (0.5, said["ended_at"])
        assert row.result_digest == events.digest_of(row.result)
        assert Epoch.objects.get().ended_at == row.ended_at
        request = PromotionRequest.objects.get(version=lab.b)
        assert (row.request, request.version, request.requester) == (request, lab.b, lab.engineer.user)
        assert request.evidence["experiment"] == {**said, "digest": row.result_digest}
        assert request.evidence_digest == events.digest_of(request.evidence)
        assert request.evidence["replaces"] == "1.0.0"
        assert request.reason.startswith(f"Experiment {row.pk} (1.1.0 against 1.0.0): B is better on accuracy")
        (record,) = AuditRecord.objects.filter(action="experiment.concluded")
        assert record.data["verdict"] == "ship_b"
        assert (record.data["result"], record.data["request"]) == (row.result_digest, request.pk)

    def test_the_approval_that_follows_puts_b_into_production(self, lab: Lab, better: Experiment) -> None:
        row = concluded(lab, better)
        assert row.request is not None
        registry.review_request(row.request, actor=lab.approver, decision="approve", comment="convincing")
        assert Experiment.objects.get().status == "concluded"

    def test_a_second_conclusion_answers_the_frozen_one(self, lab: Lab, better: Experiment) -> None:
        path, engineer = f"/ab-testing/conclude/{better.pk}", Person(lab.engineer)
        first = engineer.post(path, {"reason": "the plan is fulfilled"})
        second = engineer.post(path, {"reason": "once more"})
        assert first == second
        assert (first[0], first[1]["verdict"], first[1]["status"]) == (200, "ship_b", "concluded")
        assert first[1]["request"] == PromotionRequest.objects.get(version=lab.b).pk
        assert engineer.get(f"/ab-testing/results/{better.pk}") == first
        assert AuditRecord.objects.filter(action="experiment.concluded").count() == 1

    def test_with_a_key_it_is_done_once_as_well(self, lab: Lab, better: Experiment) -> None:
        path, key = f"/ab-testing/conclude/{better.pk}", {"Idempotency-Key": "once"}
        first, second = (Person(lab.engineer).post(path, {"reason": "enough"}, **key) for _ in range(2))
        assert first == second
        assert (first[0], PromotionRequest.objects.filter(version=lab.b).count()) == (200, 1)

    def test_a_request_that_waits_already_is_named_and_the_result_is_frozen(self, lab: Lab, better: Experiment) -> None:
        waiting = registry.request_promotion(lab.b, actor=lab.engineer, reason="better")
        row = concluded(lab, better)
        assert (row.status, row.verdict, row.request) == ("concluded", "ship_b", None)
        assert f"request {waiting.pk} asks for high_cost 1.1.0 already" in result(row)["request_refused"]
        assert row.result_digest == events.digest_of(row.result)

    def test_without_the_right_to_request_the_result_is_frozen_and_says_so(self, lab: Lab, better: Experiment) -> None:
        narrow = Actor(lab.engineer.name, lab.engineer.user, lab.engineer.roles, frozenset({Action.EXPERIMENT_LIVE}))
        row = concluded(lab, better, by=narrow)
        assert (row.status, row.request) == ("concluded", None)
        assert "promotion.request in team claims is not allowed" in result(row)["request_refused"]

    def test_a_request_that_is_refused_at_the_last_moment_leaves_no_trace(
        self, lab: Lab, better: Experiment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            events.record("promotion.requested", actor=lab.engineer, subject="x")
            raise Conflict("production changed meanwhile", code="evidence_outdated")

        monkeypatch.setattr(conclusions, "file_request", refuse)
        row = concluded(lab, better)
        assert (row.status, row.request, result(row)["request_refused"]) == (
            "concluded", None, "production changed meanwhile",
        )  # fmt: skip
        assert row.result_digest == events.digest_of(row.result)
        assert not AuditRecord.objects.filter(action="promotion.requested", subject="x").exists()


class TestOtherVerdicts:
    def test_keep_a_and_undecided_and_too_few_file_no_request(self, lab: Lab) -> None:
        said = []
        for right_b, claims in ((0.4, 1_500), (0.7, 600), (0.7, 60)):
            experiment = lab.start(name=f"{right_b} {claims}", guardrails={"alert_volume": None})
            lab.answer(experiment, claims, right_a=0.7, right_b=right_b)
            said.append(concluded(lab, experiment).verdict)
        assert said == ["keep_a", "undecided", "blocked"]
        assert PromotionRequest.objects.filter(version=lab.b).count() == 0

    def test_a_stopped_one_is_not_concluded(self, lab: Lab) -> None:
        experiment = services.stop_experiment(lab.start(), actor=lab.engineer, reason="enough")
        with pytest.raises(Conflict, match="stopped without a verdict") as error:
            concluded(lab, experiment)
        assert error.value.code == "experiment_ended"

    def test_who_may(self, lab: Lab) -> None:
        experiment = lab.start()
        path, body = f"/ab-testing/conclude/{experiment.pk}", {"reason": "enough"}
        assert Person(lab.scientist).post(path, body)[0] == 403  # it is not a shadow test
        assert Person(lab.approver).post(path, body)[0] == 403
        assert Person(actor("zoe", "ml_engineer", team="others")).post(path, body)[0] == 404
        assert Person(lab.engineer).post(path, {"reason": ""})[1]["errors"][0]["field"] == "reason"
        assert Experiment.objects.get().is_running


class TestShadow:
    def test_what_b_has_not_scored_blocks_it(self, lab: Lab) -> None:
        experiment = lab.start(design="shadow", traffic_split=None)
        lab.answer(experiment, 400, right_a=0.6)
        lab.score_silently(experiment, right=0.9, limit=200)
        row = concluded(lab, experiment, by=lab.scientist)
        assert row.verdict == "blocked"
        assert "B has scored 50.0% of the claims" in result(row)["reason"]

    def test_a_better_challenger_is_requested_by_the_data_scientist(self, lab: Lab) -> None:
        experiment = lab.start(design="shadow", traffic_split=None)
        lab.answer(experiment, 600, right_a=0.6)
        lab.score_silently(experiment, right=0.9)
        row = concluded(lab, experiment, by=lab.scientist)
        assert (row.verdict, PromotionRequest.objects.get(version=lab.b).requester) == ("ship_b", lab.scientist.user)


class TestCountedFirst:
    def test_what_was_logged_before_is_folded_before_it_is_judged(self, lab: Lab) -> None:
        experiment = lab.start()
        rows = lab.answer(experiment, 1_500, right_a=0.6, right_b=0.85, labelled=False)
        Label.objects.bulk_create(
            Label(
                model=lab.model, request_id=row.request_id, revision=1,
                label=int(int(row.request_id[6:]) % 10 < 3), created_by=user(lab.engineer),
            )
            for row in rows
        )  # fmt: skip
        assert FoldItem.objects.count() == 1_500
        row = concluded(lab, experiment)
        assert (row.verdict, FoldItem.objects.count()) == ("ship_b", 0)
        assert sum(arm["labelled"] for arm in result(row)["arms"]) == 1_500

    def test_a_label_that_waits_for_its_claim_holds_nobody_up(self, lab: Lab) -> None:
        experiment = lab.start()
        Label.objects.create(model=lab.model, request_id="later", revision=1, label=1, created_by=user(lab.engineer))
        assert concluded(lab, experiment).verdict == "blocked"
        assert FoldItem.objects.get().waiting

    def test_what_another_folder_keeps_is_waited_for_within_bounds(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        experiment = lab.start()
        lab.answer(experiment, 3)
        Label.objects.create(model=lab.model, request_id="claim-0", revision=2, label=1, created_by=user(lab.engineer))
        monkeypatch.setattr(settling, "fold", lambda *_, **__: 0)  # as if somebody else held it
        monkeypatch.setattr(conclusions, "SETTLE_SECS", 0.2)
        answer = Person(lab.engineer).post(f"/ab-testing/conclude/{experiment.pk}", {"reason": "enough"})
        assert (answer[0], answer[1]["code"]) == (409, "not_counted_yet")
        assert answer[1]["detail"] == "1 answers and labels are not counted yet; conclude again in 30 seconds"
        assert Experiment.objects.get().is_running


class TestFrozen:
    def test_nothing_changes_it_any_more(self, lab: Lab) -> None:
        experiment = lab.start()
        row = concluded(lab, experiment)
        rewritten: list[dict[str, Any]] = [{"verdict": "ship_b"}, {"result": {}}, {"status": "running"}, {"salt": "x"}]
        for changes in rewritten:
            with pytest.raises(DatabaseError, match="stays as it ended"), transaction.atomic():
                Experiment.objects.filter(pk=row.pk).update(**changes)

    def test_labels_that_come_later_are_kept_for_monitoring_and_not_added(self, lab: Lab) -> None:
        experiment = lab.start()
        rows = lab.answer(experiment, 40, labelled=False)
        row = concluded(lab, experiment)
        before = Person(lab.engineer).get(f"/ab-testing/results/{row.pk}")
        label = {"request_id": rows[0].request_id, "revision": 1, "label": 1, "created_by": user(lab.engineer)}
        Label.objects.create(model=lab.model, **label)
        fold_all()
        assert Person(lab.engineer).get(f"/ab-testing/results/{row.pk}") == before
