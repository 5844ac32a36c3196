"""Each law of the registry: the database refuses the statement while it stands, and lets it pass once it is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Model
from django.utils import timezone

from mlops_site.core import laws
from mlops_site.core.laws import Law
from mlops_site.core.models import Team
from mlops_site.core.permissions import Actor
from registry import services
from registry.models import (
    LAWS,
    Alias,
    Artifact,
    ConditionClosing,
    Delegation,
    DeployPolicy,
    Incident,
    PromotionRequest,
    RegisteredModel,
    Review,
    StageInterval,
    Transfer,
    ValidationReport,
    Version,
)
from tests.kept import kept_fixture
from tests.people import actor as person
from tests.registry.parts import candidate, user


class World(NamedTuple):
    """1.0.0 in staging with a pending request, of a model that another model stands beside."""

    model: RegisteredModel
    version: Version
    request: PromotionRequest
    author: Actor
    approver: Actor


@kept_fixture
def world(model: RegisteredModel, request_: PromotionRequest, author: Actor, approver: Actor) -> World:
    return World(model, request_.version, request_, author, approver)


def interval(world: World, **changes: Any) -> StageInterval:
    """A row that follows lawfully on 1.0.0's staging: back to development."""
    StageInterval.objects.filter(version=world.version, ended_at=None).update(ended_at=timezone.now())
    row = {"version": world.version, "model": world.model, "stage": "development", "cause": "moved"}
    return StageInterval.objects.create(**{**row, "started_at": timezone.now(), **changes})


def review(world: World, **changes: Any) -> Review:
    request = world.request
    row = {
        "request": request, "reviewer": user(world.approver), "role": "approver", "decision": "approve",
        "requester": request.requester, "author": request.author, "trainer": request.trainer, "risk_tier": "medium",
        "evidence_digest": request.evidence_digest, "artifact_digest": request.artifact_digest,
    }  # fmt: skip
    return Review.objects.create(**{**row, **changes})


def asked(world: World, **changes: Any) -> PromotionRequest:
    """A second request for 1.0.0; the pending one is void."""
    PromotionRequest.objects.filter(pk=world.request.pk).update(status="void")
    request = world.request
    row = {
        "version": request.version, "model": request.model, "requester": request.requester, "author": request.author,
        "trainer": request.trainer, "reason": "x", "evidence": {}, "evidence_digest": "e" * 64,
        "artifact_digest": request.artifact_digest,
    }  # fmt: skip
    return PromotionRequest.objects.create(**{**row, **changes})


def closed_again(world: World) -> None:
    closed = StageInterval.objects.filter(version=world.version).exclude(ended_at=None)
    closed.update(ended_at=F("ended_at"))


def decided_again(world: World) -> None:
    row = PromotionRequest.objects.filter(pk=world.request.pk)
    row.update(status="withdrawn")
    row.update(status="pending")


def other_model(world: World) -> RegisteredModel:
    return services.create_model(actor=world.author, name="other", task_type="classification")


def update_review(world: World) -> None:
    review(world)
    Review.objects.update(comment="on second thoughts")


def delete_review(world: World) -> None:
    execute(f"DELETE FROM registry_review WHERE id = {review(world).pk}")


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def truncation(law: Law) -> Callable[[World], object]:
    return lambda world: execute(f"TRUNCATE {law.table} CASCADE")


def loose_artifact() -> None:
    Artifact.objects.create(digest="f" * 64, format="onnx", size=1)
    execute(f"DELETE FROM registry_artifact WHERE digest = '{'f' * 64}'")


def incident(world: World, **changes: Any) -> Incident:
    row = {"model": world.model, "version": world.version, "kind": "rolled_back", "what": "It was wrong."}
    return Incident.objects.create(**{**row, **changes})


def rewrite_incident(world: World) -> None:
    incident(world)
    Incident.objects.update(
        what="Nothing happened.", closed_at=timezone.now(), closed_by=user(world.approver), resolution="x"
    )


def delete_incident(world: World) -> None:
    incident(world)
    execute("DELETE FROM registry_incident")


def alias_of(world: World, model: RegisteredModel) -> Alias:
    return Alias.objects.create(model=model, name="champion", version=world.version, set_by=user(world.author))


def moved_alias(world: World) -> None:
    alias_of(world, world.model)
    Alias.objects.update(model=other_model(world))


def archived(world: World) -> World:
    RegisteredModel.objects.filter(pk=world.model.pk).update(archived_at=timezone.now())
    return world


def another_version(world: World) -> None:
    row = Version.objects.get(pk=world.version.pk)
    row.pk, row.patch, row.content_digest = None, 9, "0" * 64
    row.save(force_insert=True)


def transfer(world: World, **changes: Any) -> Transfer:
    row = {
        "model": world.model,
        "from_team": world.model.team,
        "to_team": Team.objects.create(name="new"),
        "reason": "x",
    }
    return Transfer.objects.create(**{**row, "asked_by": user(world.author), **changes})


def misplaced_transfer(world: World) -> None:
    transfer(world, from_team=Team.objects.create(name="thieves"))


def rewrite_transfer(world: World) -> None:
    transfer(world)
    Transfer.objects.update(reason="y")


def delete_transfer(world: World) -> None:
    transfer(world)
    execute("DELETE FROM registry_transfer")


def two_weeks_late(world: World) -> World:
    """A request for the same that has expired."""
    return world._replace(request=asked(world, expires_at=timezone.now() - timedelta(days=1)))


def approved_late(world: World) -> None:
    late = two_weeks_late(world)
    drop(next(law for law in LAWS if law.name == "review_in_time"))
    review(late)
    PromotionRequest.objects.filter(pk=late.request.pk).update(status="approved")


def in_a_month() -> date:
    return timezone.now().date() + timedelta(days=30)


def conditional(world: World) -> Review:
    """The request was approved with a condition."""
    services.review_request(
        world.request,
        actor=world.approver,
        decision="approve_with_conditions",
        condition="look at site 5",
        revalidate_on=in_a_month(),
    )
    return Review.objects.get(request=world.request)


def closing(world: World, **changes: Any) -> ConditionClosing:
    row = {"review": conditional(world), "by": user(world.approver), "note": "site 5 is fine"}
    return ConditionClosing.objects.create(**{**row, **changes})


def report(world: World) -> ValidationReport:
    row = {"version": world.version, "name": "a.md", "media_type": "text/markdown", "digest": "a" * 64, "size": 1}
    return ValidationReport.objects.create(**row, by=user(world.approver))


def delegation(world: World, **changes: Any) -> Delegation:
    second, now = user(person("second", "approver")), timezone.now()
    row = {"team": world.model.team, "person": user(world.approver), "delegate": second, "starts_at": now}
    return Delegation.objects.create(**{**row, "ends_at": now + timedelta(days=3), **changes})


def deleted(table: str, row: Model) -> None:
    execute(f"DELETE FROM {table} WHERE id = {row.pk}")


def prolonged(world: World) -> None:
    delegation(world)
    Delegation.objects.update(ends_at=timezone.now() + timedelta(days=300))


FORBIDDEN: dict[str, Callable[[World], object]] = {
    "registry_version_no_update": lambda w: Version.objects.update(created_by=user(w.approver)),
    "registry_version_no_delete": lambda w: execute("DELETE FROM registry_version"),
    "registry_artifact_no_update": lambda w: Artifact.objects.update(size=0),
    "registry_artifact_no_delete": lambda w: loose_artifact(),
    "registry_deploypolicy_no_update": lambda w: DeployPolicy.objects.update(reach="production"),
    "registry_deploypolicy_no_delete": lambda w: execute("DELETE FROM registry_deploypolicy"),
    "registry_review_no_update": update_review,
    "registry_review_no_delete": delete_review,
    "alias_of_its_model": lambda w: alias_of(w, other_model(w)),
    "alias_stays_with_its_model": moved_alias,
    "remark_keeps_its_version": lambda w: execute("UPDATE registry_remark SET version_id = version_id + 1000"),
    "remark_no_delete": lambda w: execute("DELETE FROM registry_remark"),
    "version_of_a_live_model": lambda w: another_version(archived(w)),
    "request_of_a_live_model": lambda w: asked(archived(w)),
    "interval_of_a_live_model": lambda w: interval(archived(w)),
    "model_moves_by_a_transfer": lambda w: RegisteredModel.objects.update(team=Team.objects.create(name="new")),
    "transfer_of_its_team": misplaced_transfer,
    "transfer_only_decided": rewrite_transfer,
    "transfer_no_delete": delete_transfer,
    "retired_by_an_approver": lambda w: interval(w, stage="archived", cause="retired", by=user(w.author)),
    "incident_of_its_model": lambda w: incident(w, model=other_model(w)),
    "incident_only_closes": rewrite_incident,
    "incident_no_delete": delete_incident,
    "model_keeps_its_identity": lambda w: RegisteredModel.objects.update(name="renamed"),
    "tier_stays_while_pending": lambda w: RegisteredModel.objects.update(risk_tier="low"),
    "interval_of_its_model": lambda w: interval(w, model=other_model(w)),
    "interval_follows_history": lambda w: interval(w, started_at=w.request.created_at.replace(year=2020)),
    "interval_follows_a_move": lambda w: interval(w, stage="staging"),
    "production_needs_quorum": lambda w: interval(w, stage="production", cause="approved", request=w.request),
    "interval_only_closes": closed_again,
    "interval_no_delete": lambda w: execute("DELETE FROM registry_stageinterval"),
    "request_is_true": lambda w: asked(w, author=user(w.approver)),
    "request_only_decided": decided_again,
    "approved_needs_quorum": lambda w: PromotionRequest.objects.update(status="approved"),
    "request_no_delete": lambda w: execute("DELETE FROM registry_promotionrequest"),
    "review_copies_are_true": lambda w: review(w, evidence_digest="0" * 64),
    "review_by_its_role": lambda w: review(w, role="validator"),
    "registry_conditionclosing_no_update": lambda w: (closing(w), ConditionClosing.objects.update(note="x")),
    "registry_conditionclosing_no_delete": lambda w: deleted("registry_conditionclosing", closing(w)),
    "registry_validationreport_no_update": lambda w: (report(w), ValidationReport.objects.update(digest="b" * 64)),
    "registry_validationreport_no_delete": lambda w: deleted("registry_validationreport", report(w)),
    "request_expires": lambda w: asked(w, expires_at=timezone.now() + timedelta(days=400)),
    "approved_in_time": approved_late,
    "review_in_time": lambda w: review(two_weeks_late(w)),
    "condition_closed_by_another": lambda w: closing(w, by=user(w.author)),
    "delegate_holds_the_role": lambda w: delegation(w, delegate=user(w.author)),
    "delegation_only_ends": prolonged,
    "delegation_no_delete": lambda w: deleted("registry_delegation", delegation(w)),
    **{law.name: truncation(law) for law in LAWS if law.event == "TRUNCATE"},
}  # fmt: skip


def drop(law: Law) -> None:
    on = "" if connection.vendor == "sqlite" else f" ON {law.table}"
    execute(f"DROP TRIGGER {law.name}{on}")


def truncations() -> list[Law]:
    """Of every app: a law of another app is met when its table refers to ours."""
    every = [law for app in apps.get_app_configs() for law in laws.declared(app)]
    return [law for law in every if isinstance(law, Law) and law.event == "TRUNCATE"]


@contextmanager
def undone() -> Iterator[None]:
    """Everything inside is rolled back, dropped triggers included."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def said(statement: Callable[[World], object], world: World) -> str:
    """What the database says against the statement; empty when it passes."""
    try:
        with transaction.atomic():
            statement(world)
    except DatabaseError as error:
        return str(error)
    return ""


def test_each_law_has_its_forbidden_statement() -> None:
    assert [law.name for law in LAWS if law.name not in FORBIDDEN] == []
    assert len({law.name for law in LAWS}) == len(LAWS)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_a_law_stands_alone(law: Law, world: World) -> None:
    """Refused by this law and no other; let through without it."""
    if not laws.sql(law, connection.vendor):
        pytest.skip("SQLite has no TRUNCATE")
    with undone():
        if law.event == "TRUNCATE":  # its CASCADE meets the laws of the tables below
            execute("SET CONSTRAINTS ALL IMMEDIATE")
            for other in truncations():
                if other != law:
                    drop(other)
        assert law.message in said(FORBIDDEN[law.name], world)
        drop(law)
        assert said(FORBIDDEN[law.name], world) == ""


@pytest.mark.django_db
def test_every_law_is_in_the_database() -> None:
    assert laws.missing() == []


def test_the_laws_let_the_services_pass(world: World) -> None:
    services.review_request(world.request, actor=world.approver, decision="approve")
    second = services.register_version(world.model, actor=world.author, candidate=candidate(1))
    services.move_stage(second, actor=world.author, target_stage="staging", reason="x")
    request = services.request_promotion(second, actor=world.author, reason="x")
    services.review_request(request, actor=person("second", "approver"), decision="approve")
    services.rollback(world.model, actor=world.approver, reason="x")
