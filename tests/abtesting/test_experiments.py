"""Starting an experiment, changing its split, stopping it: what is asked, who may, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from abtesting import services
from abtesting.models import Epoch, Experiment
from abtesting.stats.guardrails import DEFAULTS
from mlops_site.core.errors import Conflict
from mlops_site.core.models import AuditRecord
from registry import services as registry
from tests.abtesting.lab import Lab
from tests.people import actor
from tests.registry.http import Person
from tests.registry.parts import SIGNATURE, candidate

pytestmark = pytest.mark.django_db
CREATE = "/ab-testing/create"


def audited(action: str) -> list[dict[str, Any]]:
    return [row.data for row in AuditRecord.objects.filter(action=action).order_by("seq")]


def refused(answer: tuple[int, Any]) -> tuple[int, str, str]:
    """Status, the code and field of the first fault."""
    status, body = answer
    first = body.get("errors", [{"field": "", "code": body["code"]}])[0]
    return status, first["code"], first["field"]


class TestCreate:
    def test_what_was_asked_is_kept_with_its_defaults_and_the_first_split_is_open(self, lab: Lab) -> None:
        experiment = lab.start(metrics=["recall", "accuracy"], traffic_split=0.1, hypothesis="It finds more.")
        assert (experiment.status, experiment.design, experiment.name) == ("running", "ab", "1.1.0 against 1.0.0")
        assert (experiment.metrics, experiment.min_samples, experiment.margin) == (["recall", "accuracy"], 100, None)
        assert experiment.guardrails == {name: limits._asdict() for name, limits in DEFAULTS.items()}
        assert experiment.salt.startswith("high_cost-")
        epoch = Epoch.objects.get()
        assert (epoch.number, epoch.share_b, epoch.draw, epoch.ended_at) == (1, 0.1, 1, None)
        (said,) = audited("experiment.started")
        assert (said["version_a"], said["version_b"], said["share_b"]) == ("1.0.0", "1.1.0", 0.1)

    def test_a_shadow_test_is_of_all_claims_and_a_ramp_begins_at_its_first_step(self, lab: Lab) -> None:
        shadow = lab.start(design="shadow", traffic_split=None)
        assert Epoch.objects.get(experiment=shadow).share_b == 1.0
        services.stop_experiment(shadow, actor=lab.scientist, reason="enough")
        ramp = lab.start(design="ramp", steps=[0.02, 0.5, 1.0])
        assert (Epoch.objects.get(experiment=ramp).share_b, ramp.steps, ramp.step_hours) == (0.02, [0.02, 0.5, 1], 24)
        assert ramp.name == "1.1.0 against 1.0.0 (2)"
        services.stop_experiment(ramp, actor=lab.engineer, reason="enough")
        assert lab.start(design="ramp").steps == [0.01, 0.05, 0.1, 0.25, 0.5, 1.0]

    @pytest.mark.parametrize("mode", ["ab", "ramp"])
    def test_a_challenger_that_answers_claims_is_an_engineers_to_start(self, lab: Lab, mode: str) -> None:
        split = {"traffic_split": 0.5 if mode == "ab" else None}
        assert refused(Person(lab.scientist).post(CREATE, lab.body(mode=mode, **split)))[:2] == (403, "forbidden")
        assert AuditRecord.objects.filter(action="experiment.live.refused").count() == 1
        status, said = Person(lab.engineer).post(CREATE, lab.body(mode=mode, **split))
        assert (status, said["created_by"]) == (201, "eva-high_cost")

    def test_a_shadow_test_is_a_data_scientists_too(self, lab: Lab) -> None:
        for nobody in (lab.approver, actor("vera", "viewer")):
            assert Person(nobody).post(CREATE, lab.body(mode="shadow"))[0] == 403
        assert Person(lab.scientist).post(CREATE, lab.body(mode="shadow"))[0] == 201

    def test_another_teams_model_does_not_exist(self, lab: Lab) -> None:
        other = Person(actor("zoe", "ml_engineer", team="others"))
        assert refused(other.post(CREATE, lab.body()))[:2] == (404, "unknown_model")

    def test_a_repeated_key_starts_one_experiment(self, lab: Lab) -> None:
        key = {"Idempotency-Key": "once"}
        first, second = (Person(lab.engineer).post(CREATE, lab.body(), **key) for _ in range(2))
        assert first == second
        assert (first[0], Experiment.objects.count()) == (201, 1)


WRONG: dict[str, tuple[dict[str, Any], int, str, str, str]] = {
    "the same version twice": ({"version_b": "1.0.0"}, 422, "same_version", "version_b", "but got 1.0.0 twice"),
    "a version that is not there": ({"version_b": "7.0.0"}, 404, "unknown_version", "", "7.0.0"),
    "an unknown mode": ({"mode": "banana"}, 422, "unknown_mode", "mode", "ab, shadow, ramp but got 'banana'"),
    "a split of nothing": ({"traffic_split": 0}, 422, "out_of_range", "traffic_split", "above 0 and below 1 but got 0"),
    "a split of all": ({"traffic_split": 1.0}, 422, "out_of_range", "traffic_split", "below 1 but got 1.0"),
    "a split below nothing": ({"traffic_split": -0.1}, 422, "out_of_range", "traffic_split", "but got -0.1"),
    "no split": ({"traffic_split": None}, 422, "out_of_range", "traffic_split", "but got None"),
    "a shadow of more than all": (
        {"mode": "shadow", "traffic_split": 1.5}, 422, "out_of_range", "traffic_split", "at most 1 but got 1.5",
    ),
    "an unknown metric": (
        {"success_metrics": ["recall", "charm"]}, 422, "unknown_metric", "success_metrics",
        "accuracy, precision, recall, f1_score, brier, roc_auc but got 'charm'",
    ),
    "a metric that pairs do not have": (
        {"mode": "shadow", "success_metrics": ["roc_auc"]}, 422, "unknown_metric", "success_metrics", "'roc_auc'",
    ),
    "a metric twice": (
        {"success_metrics": ["recall", "recall"]}, 422, "repeated_metric", "success_metrics", "recall twice",
    ),
    "no metric": ({"success_metrics": []}, 422, "min_length", "success_metrics", "at least 1"),
    "a cost without costs": (
        {"success_metrics": ["cost"]}, 422, "unknown_metric", "success_metrics", "give costs to decide on cost",
    ),
    "costs below nothing": (
        {"costs": {"false_positive": -1, "false_negative": 5}}, 422, "out_of_range", "costs.false_positive", "-1",
    ),
    "an unknown guardrail": (
        {"guardrails": {"charm": {"warn": 1}}}, 422, "unknown_guardrail", "guardrails.charm", "known: error_rate",
    ),
    "limits that fall": (
        {"guardrails": {"latency": {"warn": 0.5, "roll_back": 0.2}}}, 422, "not_rising", "guardrails.latency",
        "must rise from warn to roll_back but got 0.5, 0.2",
    ),
    "a fairness gap between no groups": (
        {"guardrails": {"fairness_gap": {"warn": 0.1}}}, 422, "needs_group_by", "guardrails.fairness_gap", "group_by",
    ),
    "groups of no feature": (
        {"group_by": "charm"}, 422, "unknown_feature", "group_by", "but got 'charm'; features: age, visits",
    ),
    "steps that fall": (
        {"mode": "ramp", "traffic_split": None, "steps": [0.5, 0.1]}, 422, "not_rising", "steps", "[0.5, 0.1]",
    ),
    "a step beyond all": (
        {"mode": "ramp", "traffic_split": None, "steps": [0.5, 2]}, 422, "out_of_range", "steps[1]", "but got 2",
    ),
    "a ramp that begins elsewhere": (
        {"mode": "ramp", "traffic_split": 0.3}, 422, "out_of_range", "traffic_split", "first step, 0.01, but got 0.3",
    ),
    "steps of no ramp": ({"steps": [0.1, 1]}, 422, "not_a_ramp", "steps", "belongs to the mode ramp"),
    "everybody held out": ({"holdout": 1}, 422, "out_of_range", "holdout", "at least 0 and below 1 but got 1"),
    "a margin of nothing": ({"margin": 0}, 422, "out_of_range", "margin", "above 0 but got 0.0; leave it out"),
    "no samples": ({"min_samples": 0}, 422, "out_of_range", "min_samples", "but got 0"),
    "follow-up of a century": ({"follow_up_days": 36_500}, 422, "out_of_range", "follow_up_days", "36500"),
    "an unknown field": ({"charm": 1}, 422, "unknown_field", "charm", "known: model_name"),
    "a name that cannot be seen": ({"name": "a\u202eb"}, 422, "control_character", "name", "control characters"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(WRONG))
def test_what_is_wrong_is_refused_with_its_field_and_value(lab: Lab, what: str) -> None:
    changes, status, code, field, said = WRONG[what]
    answer = Person(lab.engineer).post(CREATE, lab.body(**changes))
    assert refused(answer) == (status, code, field), answer
    assert said in answer[1]["detail"] + str(answer[1].get("errors")), answer
    assert Experiment.objects.count() == 0


class TestState:
    """What the model and its versions are in stands against it."""

    def test_a_must_serve_and_b_must_wait_in_staging(self, lab: Lab) -> None:
        engineer, third = Person(lab.engineer), candidate(3, params={"C": 3.0})
        registry.register_version(lab.model, actor=lab.engineer, candidate=third)
        answer = engineer.post(CREATE, lab.body(version_b="1.2.0"))
        assert refused(answer) == (409, "wrong_stage", "version_b")
        assert "1.2.0 is in development; move it to staging first" in answer[1]["detail"]
        answer = engineer.post(CREATE, lab.body(version_a="1.1.0", version_b="1.0.0"))
        assert refused(answer) == (409, "wrong_stage", "version_a")
        assert "1.1.0 is in staging; give 1.0.0" in answer[1]["detail"]

    def test_without_production_there_is_nothing_to_compare_with(self, lab: Lab) -> None:
        model = registry.create_model(actor=lab.engineer, name="fresh", task_type="classification")
        registry.register_version(model, actor=lab.engineer, candidate=candidate(1))
        answer = Person(lab.engineer).post(CREATE, lab.body(model_name="fresh"))
        assert refused(answer)[:2] == (409, "no_production_version")

    def test_versions_that_are_asked_differently_are_told_apart(self, lab: Lab) -> None:
        flipped = lab.staged(4, signature=SIGNATURE | {"positive_class": 0})
        answer = Person(lab.engineer).post(CREATE, lab.body(version_b=flipped.number))
        assert refused(answer) == (422, "different_signature", "version_b")
        assert "positive class changes from 1 to 0" in answer[1]["detail"]

    def test_an_archived_model_takes_none(self, lab: Lab) -> None:
        registry.archive_model(lab.model, actor=lab.approver, reason="no longer used")
        assert refused(Person(lab.engineer).post(CREATE, lab.body()))[:2] == (409, "model_archived")

    def test_a_second_one_on_the_model_is_refused_and_named_and_one_on_another_model_is_not(self, lab: Lab) -> None:
        first = lab.start()
        answer = Person(lab.engineer).post(CREATE, lab.body())
        assert refused(answer)[:2] == (409, "experiment_running")
        assert f"experiment {first.pk} (1.1.0 against 1.0.0) runs" in answer[1]["detail"]
        assert Lab(name="readmission").start().is_running
        with (
            pytest.raises(IntegrityError, match=r"(?i)unique"),
            transaction.atomic(),
        ):
            Experiment.objects.create(
                model=lab.model, version_a=lab.a, version_b=lab.b, design="ab", metrics=[], min_samples=1,
                name="by hand", salt="x", created_by=first.created_by,
            )  # fmt: skip

    def test_a_name_is_given_once_a_model(self, lab: Lab) -> None:
        services.stop_experiment(lab.start(name="spring"), actor=lab.engineer, reason="enough")
        answer = Person(lab.engineer).post(CREATE, lab.body(name="spring"))
        assert refused(answer) == (409, "experiment_exists", "name")

    def test_groups_may_be_a_slice_that_callers_have_sent(self, lab: Lab) -> None:
        (row,) = lab.answer(lab.start(), 1)
        services.stop_experiment(Experiment.objects.get(), actor=lab.engineer, reason="enough")
        type(row).objects.filter(pk=row.pk).update(slices={"region": "north"}, version=lab.a)
        assert lab.start(group_by="region", name="by region").group_by == "region"


class TestSplit:
    def test_a_growing_share_keeps_the_draw_and_a_shrinking_one_draws_anew(self, lab: Lab) -> None:
        experiment = lab.start(traffic_split=0.1)
        for share in (0.3, 0.2):
            services.change_split(experiment, actor=lab.engineer, traffic_split=share, reason="look closer")
        services.change_split(experiment, actor=lab.engineer, traffic_split=0.2, reason="afresh", redraw=True)
        epochs = list(Epoch.objects.order_by("number"))
        assert [(epoch.share_b, epoch.draw) for epoch in epochs] == [(0.1, 1), (0.3, 1), (0.2, 3), (0.2, 4)]
        assert [epoch.ended_at for epoch in epochs[:-1]] == [epoch.started_at for epoch in epochs[1:]]
        assert epochs[-1].ended_at is None
        assert [data["share_b"] for data in audited("experiment.split_changed")] == [0.3, 0.2, 0.2]

    def test_what_is_refused(self, lab: Lab) -> None:
        experiment, engineer = lab.start(traffic_split=0.1), Person(lab.engineer)
        path = f"/ab-testing/{experiment.pk}/split"

        def ask(share: float, who: Person = engineer, reason: str = "why not") -> tuple[int, str, str]:
            return refused(who.post(path, {"traffic_split": share, "reason": reason}))

        assert ask(0.1) == (409, "same_split", "")
        assert ask(1.0) == (422, "out_of_range", "traffic_split")
        assert ask(0.2, reason=" ")[2] == "reason"
        assert ask(0.2, Person(lab.scientist))[0] == 403
        assert ask(0.2, Person(actor("zoe", "ml_engineer", team="others")))[:2] == (404, "unknown_experiment")
        services.stop_experiment(experiment, actor=lab.engineer, reason="enough")
        assert ask(0.2)[:2] == (409, "experiment_ended")

    def test_a_share_does_not_grow_while_a_guardrail_holds(self, lab: Lab) -> None:
        experiment = lab.start(guardrails={"error_rate": {"hold": 0.01}})
        lab.answer(experiment, 600, failing_b=0.4)
        with pytest.raises(Conflict, match=r"must not grow to 0\.6: guardrail error_rate") as error:
            services.change_split(experiment, actor=lab.engineer, traffic_split=0.6, reason="more")
        assert error.value.code == "guardrail_holds"
        services.change_split(experiment, actor=lab.engineer, traffic_split=0.1, reason="less")


class TestStop:
    def test_all_units_go_back_and_there_is_no_verdict(self, lab: Lab) -> None:
        experiment = lab.start()
        status, said = Person(lab.engineer).post(f"/ab-testing/{experiment.pk}/stop", {"reason": "wrong metric"})
        assert (status, said["status"], said["ending"], said["verdict"]) == (200, "stopped", "stopped", "")
        assert (said["ended_by"], said["end_reason"], said["traffic_split"]) == ("eva-high_cost", "wrong metric", None)
        assert Epoch.objects.get().ended_at is not None
        assert audited("experiment.stopped") == [{"ending": "stopped", "reason": "wrong metric"}]
        answer = Person(lab.engineer).post(f"/ab-testing/{experiment.pk}/stop", {"reason": "again"})
        assert refused(answer)[:2] == (409, "experiment_ended")
        assert lab.start(name="the next").is_running
