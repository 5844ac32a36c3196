"""A version leaves its place: its experiment ends in that transaction."""

from __future__ import annotations

import pytest
from django.db import transaction

from abtesting import services
from abtesting.models import Epoch, Experiment
from mlops_site.core.models import AuditRecord
from monitoring.models import Alert
from monitoring.services import raise_experiment
from registry import services as registry
from registry.models import PromotionRequest
from tests.abtesting.lab import Lab
from tests.people import actor

pytestmark = pytest.mark.django_db


def ended(experiment: Experiment) -> tuple[str, str, str]:
    row = Experiment.objects.get(pk=experiment.pk)
    assert Epoch.objects.filter(experiment=row, ended_at=None).count() == (1 if row.is_running else 0)
    said = AuditRecord.objects.filter(action="experiment.stopped", subject=row.subject)
    assert said.count() == (0 if row.is_running else 1)
    return row.status, row.ending, row.end_reason


def promoted(lab: Lab) -> PromotionRequest:
    request = registry.request_promotion(lab.b, actor=lab.engineer, reason="better")
    registry.review_request(request, actor=lab.approver, decision="approve", comment="looked at")
    return request


def test_b_is_promoted(lab: Lab) -> None:
    experiment = lab.start()
    promoted(lab)
    status, ending, reason = ended(experiment)
    assert (status, ending) == ("stopped", "version_left")
    assert reason == "1.0.0 left production for archived (replaced by a promotion): better"
    row = Experiment.objects.get()
    assert row.ended_by is not None
    assert row.ended_by.username == "ben-high_cost"


def test_b_goes_back_to_development(lab: Lab) -> None:
    experiment = lab.start(design="shadow", traffic_split=None)
    registry.move_stage(lab.b, actor=lab.engineer, target_stage="development", reason="not yet")
    assert ended(experiment)[:2] == ("stopped", "version_left")
    assert "1.1.0 left staging for development (moved): not yet" in ended(experiment)[2]


def test_a_is_rolled_back(lab: Lab) -> None:
    promoted(lab)
    third = lab.staged(3)
    experiment = services.create_experiment(
        actor=lab.engineer,
        model_name=lab.model.name,
        version_a=lab.b.number,
        version_b=third.number,
        metrics=["recall"],
        traffic_split=0.1,
    )
    registry.rollback(lab.model, actor=lab.approver, reason="worse")
    assert ended(experiment)[:2] == ("stopped", "version_left")
    assert "1.1.0 left production for staging (taken out by a rollback)" in ended(experiment)[2]


def test_the_model_is_archived(lab: Lab) -> None:
    experiment = lab.start()
    registry.archive_model(lab.model, actor=lab.approver, reason="no longer used")
    assert ended(experiment)[:2] == ("stopped", "version_left")


def test_another_version_moves_and_nothing_ends(lab: Lab) -> None:
    experiment = lab.start()
    registry.move_stage(lab.staged(3), actor=lab.engineer, target_stage="archived", reason="never mind")
    assert ended(experiment)[0] == "running"


def test_a_move_that_is_undone_ends_nothing(lab: Lab) -> None:
    experiment = lab.start()
    with pytest.raises(RuntimeError, match="undone"), transaction.atomic():
        registry.move_stage(lab.b, actor=lab.engineer, target_stage="archived", reason="never mind")
        raise RuntimeError("undone")
    assert ended(experiment)[0] == "running"


def test_its_alerts_are_resolved_and_those_of_others_are_not(lab: Lab) -> None:
    experiment = lab.start()
    mine, another = f"experiment {experiment.pk}: latency", f"experiment {experiment.pk}9: latency"
    for subject in (mine, another):
        raise_experiment(lab.b, subject=subject, summary="slow", evidence={})
    services.stop_experiment(experiment, actor=lab.engineer, reason="enough")
    states = dict(Alert.objects.values_list("subject_key", "status"))
    assert states == {
        f"experiment {experiment.pk}: latency": "resolved",
        f"experiment {experiment.pk}9: latency": "open",
    }
    assert Alert.objects.get(status="resolved").resolved_by == lab.engineer.user


def test_the_model_goes_to_another_team(lab: Lab) -> None:
    """Who started it may not end it any more, and the new team let no challenger to its claims."""
    experiment = lab.start()
    admin = actor("ada", "admin", team="others")
    transfer = registry.offer_transfer(lab.model, actor=lab.engineer, to_team="others", reason="they own the process")
    assert ended(experiment)[0] == "running"
    registry.accept_transfer(transfer, actor=admin, owner="ada")
    status, ending, reason = ended(experiment)
    assert (status, ending, reason) == ("stopped", "transferred", "high_cost went from team claims to team others")
    row = Experiment.objects.get()
    assert row.ended_by is not None
    assert row.ended_by.username == "ada"
    assert AuditRecord.objects.get(action="experiment.stopped").team == "others"
