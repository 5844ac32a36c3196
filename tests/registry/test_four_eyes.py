"""Ways around four eyes, tried with the application's own database role: raw SQL, ORM, bulk updates. None works."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from mlops_site.core.models import Membership, User
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import Artifact, DeployPolicy, PromotionRequest, RegisteredModel, Review, StageInterval, Version
from tests.kept import kept_fixture
from tests.people import actor as person
from tests.registry.parts import candidate, into_production, user
from tests.registry.test_laws import World, asked, closing, delegation, execute, interval, report, review

Attack = Callable[[World], object]
ATTACKS: list[Attack] = []


def attack(function: Attack) -> Attack:
    ATTACKS.append(function)
    return function


@kept_fixture
def world(model: RegisteredModel, request_: PromotionRequest, author: Actor, approver: Actor) -> World:
    """The author's own request waits, and the author has been made an approver since."""
    Membership.objects.filter(user=user(author)).update(role="approver")
    return World(model, request_.version, request_, author, approver)


def into(world: World, **changes: Any) -> StageInterval:
    return interval(world, **{"stage": "production", "cause": "approved", "request": world.request, **changes})


def own_review(world: World, **changes: Any) -> Review:
    return review(world, reviewer=user(world.author), **changes)


def asked_by_another(world: World) -> World:
    """The same, but requested by a third person: the author alone stands in the way."""
    return world._replace(request=asked(world, requester=user(person("eng", "ml_engineer"))))


def finish(world: World) -> None:
    PromotionRequest.objects.filter(pk=world.request.pk).update(status="approved")
    into(world)


@attack
def reviews_the_own_request(world: World) -> None:
    own_review(world)
    finish(world)


@attack
def names_somebody_else_as_the_requester_in_the_review(world: World) -> None:
    own_review(world, requester=user(world.approver), author=user(world.approver), trainer=user(world.approver))
    finish(world)


@attack
def claims_low_risk_in_the_review(world: World) -> None:
    other = asked_by_another(world)
    own_review(other, risk_tier="low")
    finish(other)


@attack
def lowers_the_risk_of_the_model_meanwhile(world: World) -> None:
    other = asked_by_another(world)
    RegisteredModel.objects.update(risk_tier="low")
    own_review(other, risk_tier="low")
    finish(other)


@attack
def writes_the_review_in_bulk(world: World) -> None:
    row = Review(
        request=world.request, reviewer=user(world.author), role="approver", decision="approve",
        requester=user(world.author), author=user(world.author), trainer=user(world.author), risk_tier="medium",
        evidence_digest=world.request.evidence_digest, artifact_digest=world.request.artifact_digest,
    )  # fmt: skip
    Review.objects.bulk_create([row], ignore_conflicts=True)
    finish(world)


@attack
def turns_another_persons_review_into_an_approval(world: World) -> None:
    review(world, decision="request_changes", comment="no")
    Review.objects.update(decision="approve")
    finish(world)


@attack
def overrules_an_objection_with_a_second_approval(world: World) -> None:
    review(world, decision="reject", comment="no")
    other = user(person("second", "approver"))
    review(world, reviewer=other)
    finish(world)


@attack
def counts_a_validator_as_an_approver(world: World) -> None:
    review(world, reviewer=user(person("vik", "validator")), role="approver")
    finish(world)


@attack
def lets_a_person_of_another_team_review(world: World) -> None:
    review(world, reviewer=user(person("otto", "approver", team="elsewhere")))
    finish(world)


@attack
def lets_somebody_who_has_left_review(world: World) -> None:
    User.objects.filter(pk=user(world.approver).pk).update(is_active=False)
    review(world)
    finish(world)


@attack
def sets_the_status_without_any_review(world: World) -> None:
    finish(world)


@attack
def inserts_an_approved_request(world: World) -> None:
    into(world, request=asked(world, status="approved"))


@attack
def files_for_another_author(world: World) -> None:
    """The true author then approves it."""
    asked(world, requester=user(world.approver), author=user(world.approver), trainer=user(world.approver))


@attack
def moves_the_request_to_another_version(world: World) -> None:
    review(world)
    second = services.register_version(
        world.model, actor=Actor.of(user(person("eng", "ml_engineer"))), candidate=candidate(1)
    )
    PromotionRequest.objects.update(version=second)
    finish(world)


@attack
def changes_what_was_approved(world: World) -> None:
    review(world)
    other = Artifact.objects.create(digest="0" * 64, format="skops", size=1)
    Version.objects.update(artifact=other)
    finish(world)


@attack
def changes_the_author_of_the_version(world: World) -> None:
    Version.objects.update(created_by=user(world.approver), trained_by=user(world.approver))
    PromotionRequest.objects.update(author=user(world.approver), trainer=user(world.approver))


@attack
def opens_production_without_a_request(world: World) -> None:
    into(world, cause="moved", request=None)


@attack
def calls_it_a_rollback(world: World) -> None:
    into(world, cause="rolled_back", request=None, by=user(world.author))


@attack
def turns_the_staging_interval_into_production(world: World) -> None:
    StageInterval.objects.filter(version=world.version, ended_at=None).update(stage="production")


@attack
def sets_a_policy_for_the_own_version(world: World) -> None:
    policy = DeployPolicy.objects.create(model=world.model, reach="production", set_by=user(world.author))
    into(world, cause="policy", request=None, policy=policy)


@attack
def uses_the_policy_of_somebody_who_may_not_set_it(world: World) -> None:
    engineer = user(person("eng", "ml_engineer"))
    policy = DeployPolicy.objects.create(model=world.model, reach="production", set_by=engineer)
    into(world, cause="policy", request=None, policy=policy)


@attack
def uses_a_policy_that_was_taken_back(world: World) -> None:
    policy = DeployPolicy.objects.create(model=world.model, reach="production", set_by=user(world.approver))
    DeployPolicy.objects.create(model=world.model, reach="none", set_by=user(world.approver))
    into(world, cause="policy", request=None, policy=policy)


@attack
def uses_a_policy_of_another_model(world: World) -> None:
    engineer = Actor.of(user(person("eng", "ml_engineer")))
    other = services.create_model(actor=engineer, name="other", task_type="classification")
    policy = DeployPolicy.objects.create(model=other, reach="production", set_by=user(world.approver))
    into(world, cause="policy", request=None, policy=policy)


@attack
def replaces_a_review_by_its_key(world: World) -> None:
    """SQLite's REPLACE deletes the row in the way, without its DELETE trigger unless recursive_triggers is on."""
    made = review(world, decision="request_changes", comment="no")
    columns = [field.column for field in Review._meta.concrete_fields]
    taken = ", ".join("'approve'" if name == "decision" else f'"{name}"' for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    update = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in columns if name != "id")
    copy = f"INTO registry_review ({names}) SELECT {taken} FROM registry_review WHERE id = {made.pk}"
    if connection.vendor == "sqlite":
        execute(f"INSERT OR REPLACE {copy}")
    else:
        execute(f"INSERT {copy} ON CONFLICT (id) DO UPDATE SET {update}")
    finish(world)


@attack
def takes_the_model_to_a_team_of_friends(world: World) -> None:
    friend = person("fred", "approver", team="elsewhere")
    RegisteredModel.objects.update(team=Membership.objects.get(user=user(friend)).team)
    review(world, reviewer=user(friend))
    finish(world)


@attack
def reviews_after_the_request_has_expired(world: World) -> None:
    late = world._replace(request=asked(world, expires_at=timezone.now() - timedelta(minutes=1)))
    review(late)
    finish(late)


@attack
def prolongs_a_request_that_has_expired(world: World) -> None:
    late = world._replace(request=asked(world, expires_at=timezone.now() - timedelta(minutes=1)))
    PromotionRequest.objects.filter(pk=late.request.pk).update(expires_at=timezone.now() + timedelta(days=1))
    review(late)
    finish(late)


@attack
def files_a_request_that_waits_for_years(world: World) -> None:
    patient = world._replace(request=asked(world, expires_at=timezone.now() + timedelta(days=1000)))
    review(patient)
    finish(patient)


@attack
def counts_an_approver_whose_role_was_taken_away(world: World) -> None:
    review(world)
    Membership.objects.filter(user=user(world.approver)).update(role="viewer")
    finish(world)


@attack
def counts_an_approver_who_has_left_since(world: World) -> None:
    review(world)
    User.objects.filter(pk=user(world.approver).pk).update(is_active=False)
    finish(world)


@attack
def voids_the_objection_that_stands_in_the_way(world: World) -> None:
    objection = review(world, decision="reject", comment="no")
    Review.objects.filter(pk=objection.pk).update(voided_at=timezone.now())
    review(world, reviewer=user(person("second", "approver")))
    finish(world)


@attack
def counts_a_void_approval(world: World) -> None:
    made = review(world)
    Review.objects.filter(pk=made.pk).update(voided_at=timezone.now())
    finish(world)


@attack
def takes_back_that_an_approval_is_void(world: World) -> None:
    made = review(world)
    Review.objects.filter(pk=made.pk).update(voided_at=timezone.now())
    Review.objects.filter(pk=made.pk).update(voided_at=None)
    finish(world)


@attack
def attaches_a_report_that_the_approver_has_not_seen(world: World) -> None:
    review(world)
    report(world)
    finish(world)


@attack
def removes_the_report_that_speaks_against_it(world: World) -> None:
    review(world)
    report(world)
    execute("DELETE FROM registry_validationreport")
    finish(world)


@attack
def claims_that_more_reports_were_seen(world: World) -> None:
    review(world, reports_seen=1)
    report(world)
    finish(world)


@attack
def changes_the_evidence_after_the_approval(world: World) -> None:
    review(world)
    PromotionRequest.objects.filter(pk=world.request.pk).update(evidence={"metrics": {"roc_auc": {"value": 0.99}}})
    finish(world)


@attack
def changes_the_digest_of_the_evidence(world: World) -> None:
    review(world)
    PromotionRequest.objects.filter(pk=world.request.pk).update(evidence_digest="0" * 64)
    finish(world)


@attack
def approves_with_a_condition_without_a_day(world: World) -> None:
    review(world, decision="approve_with_conditions", condition="some day")
    finish(world)


@attack
def closes_the_condition_of_the_own_version(world: World) -> None:
    closing(world, by=user(world.author))


@attack
def delegates_to_oneself(world: World) -> None:
    delegation(world, delegate=user(world.approver))


@attack
def reviews_as_the_delegate_of_an_approver(world: World) -> None:
    delegation(world, delegate=user(world.author))
    own_review(world)
    finish(world)


@pytest.mark.parametrize("way", ATTACKS, ids=lambda way: way.__name__)
def test_no_way_around(way: Attack, world: World) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        way(world)
    assert selectors.in_production(world.model) is None
    assert Version.objects.get().created_by == user(world.author)


def test_the_lawful_way_works(world: World) -> None:
    """The attacks fail for what they do, not because the set-up makes everything fail."""
    review(world)
    finish(world)
    assert selectors.in_production(world.model) == world.version


def test_an_approved_request_serves_once(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    """After its rollback a version needs a new request; the old one does not open production again."""
    second = into_production(model, author=author, approver=approver, seed=1)
    services.rollback(model, actor=approver, reason="bad")
    used = PromotionRequest.objects.get(version=second)
    with pytest.raises(DatabaseError, match="production needs"), transaction.atomic():
        now = timezone.now()
        StageInterval.objects.filter(model=model, ended_at=None).update(ended_at=now)
        row = {"version": second, "model": model, "stage": "production", "cause": "approved", "request": used}
        StageInterval.objects.create(**row, started_at=now, by=user(approver))


def test_a_second_version_does_not_fit_beside_the_first(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    world_version = services.register_version(model, actor=author, candidate=candidate(1))
    services.move_stage(world_version, actor=author, target_stage="staging", reason="x")
    request = services.request_promotion(world_version, actor=author, reason="x")
    world = World(model, world_version, request, author, approver)
    review(world)
    with pytest.raises(DatabaseError), transaction.atomic():
        finish(world)
    assert selectors.in_production(model) == served
