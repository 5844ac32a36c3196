"""Stages: the table of moves, promotion, rollback, and what served when."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.choices import MOVES, Stage
from registry.models import PromotionRequest, RegisteredModel, StageInterval, Version
from registry.services.intervals import current_stage
from tests.registry.parts import candidate, into_production


def stages(version: Version) -> list[str]:
    return [interval.stage for interval in selectors.intervals(version)]


def test_development_goes_to_staging_and_back(version: Version, author: Actor) -> None:
    for target in ("staging", "development", "staging", "archived"):
        done = services.move_stage(version, actor=author, target_stage=target, reason="because")
        assert (done.status, done.stage, done.request) == ("promoted", target, None)
    assert stages(version) == ["development", "staging", "development", "staging", "archived"]


@pytest.mark.parametrize("stage", [Stage.DEVELOPMENT, Stage.STAGING, Stage.PRODUCTION, Stage.ARCHIVED])
@pytest.mark.parametrize("target", list(Stage.values))
def test_the_table_of_moves_is_all_there_is(
    model: RegisteredModel, author: Actor, approver: Actor, stage: Stage, target: str
) -> None:
    version = into_production(model, author=author, approver=approver, seed=0) if stage == "production" else None
    if version is None:
        version = services.register_version(model, actor=author, candidate=candidate())
        if stage != "development":
            services.move_stage(version, actor=author, target_stage=stage, reason="set up")
    if target in MOVES[stage]:
        done = services.move_stage(version, actor=author, target_stage=target, reason="because")
        assert done.status == ("pending_approval" if target == "production" else "promoted")
    else:
        with pytest.raises(Conflict, match=f"is in {stage.value} and cannot go to {target}") as raised:
            services.move_stage(version, actor=author, target_stage=target, reason="because")
        assert raised.value.code == "illegal_move"
        assert current_stage(version) == stage


def test_an_unknown_stage_and_a_missing_reason_are_refused(version: Version, author: Actor) -> None:
    with pytest.raises(Invalid, match="must be one of development") as raised:
        services.move_stage(version, actor=author, target_stage="prod", reason="x")
    assert raised.value.errors[0].field == "target_stage"
    with pytest.raises(Invalid, match="must say why"):
        services.move_stage(version, actor=author, target_stage="staging", reason="  ")


def test_only_those_who_may_move(version: Version, approver: Actor, outsider: Actor) -> None:
    for actor in (approver, outsider):
        with pytest.raises(Forbidden):
            services.move_stage(version, actor=actor, target_stage="staging", reason="x")
    assert current_stage(version) == "development"


def test_leaving_staging_voids_the_request(request_: PromotionRequest, author: Actor) -> None:
    services.move_stage(request_.version, actor=author, target_stage="development", reason="found a fault")
    request_.refresh_from_db()
    assert request_.status == "void"


def test_promotion_archives_what_it_replaces(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    second = into_production(model, author=author, approver=approver, seed=1)
    assert selectors.in_production(model) == second
    assert stages(served) == ["development", "staging", "production", "archived"]
    last = selectors.intervals(served).last()
    assert last is not None
    assert last.cause == "replaced"


def test_times_follow_one_another_without_gap_or_overlap(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    into_production(model, author=author, approver=approver, seed=1)
    services.rollback(model, actor=approver, reason="worse")
    in_production = StageInterval.objects.filter(stage="production").order_by("started_at")
    assert [i.version.number for i in in_production] == ["1.0.0", "1.0.1", "1.0.0"]
    for before, after in pairwise(in_production):
        assert before.ended_at == after.started_at


def test_a_clock_that_stands_still_or_goes_back_keeps_the_order(
    version: Version, author: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = timezone.now() - timedelta(hours=1)
    monkeypatch.setattr("registry.services.intervals.timezone.now", lambda: still)
    for target in ("staging", "development", "staging"):
        services.move_stage(version, actor=author, target_stage=target, reason="x")
    times = [i.started_at for i in selectors.intervals(version)]
    assert times == sorted(set(times))


def test_what_served_at_a_moment(served: Version, model: RegisteredModel, author: Actor, approver: Actor) -> None:
    before = StageInterval.objects.get(version=served, stage="production").started_at
    second = into_production(model, author=author, approver=approver, seed=1)
    swapped = StageInterval.objects.get(version=second, stage="production").started_at

    def number(moment: datetime) -> str | None:
        found = selectors.served_at(model, moment)
        return None if found is None else found.number

    tick = timedelta(microseconds=1)
    assert [number(t) for t in (before - tick, before, swapped - tick, swapped, timezone.now())] == [
        None, "1.0.0", "1.0.0", "1.0.1", "1.0.1",
    ]  # fmt: skip


def test_rollback_brings_the_last_good_version_back(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    second = into_production(model, author=author, approver=approver, seed=1)
    done = services.rollback(model, actor=approver, reason="false alarms")
    assert (done.version, done.replaced) == (served, second)
    assert selectors.in_production(model) == served
    assert current_stage(second) == "staging"
    found = AuditRecord.objects.get(action="version.rolled_back")
    assert (found.subject, found.data["replaced"], found.data["reason"]) == (
        "version:claims@1.0.0", "1.0.1", "false alarms",
    )  # fmt: skip


def test_rollback_passes_over_what_was_rolled_back_itself(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    second = into_production(model, author=author, approver=approver, seed=1)
    services.rollback(model, actor=approver, reason="bad")
    third = into_production(model, author=author, approver=approver, seed=2)
    assert services.rollback(model, actor=approver, reason="bad too")[:2] == (served, third)
    with pytest.raises(Conflict) as raised:
        services.rollback(model, actor=approver, reason="again")
    assert raised.value.code == "nothing_to_roll_back_to"
    request = services.request_promotion(second, actor=author, reason="it was the data")
    services.review_request(request, actor=approver, decision="approve")
    assert selectors.in_production(model) == second  # forward again, by a new request
    fourth = into_production(model, author=author, approver=approver, seed=3)
    assert services.rollback(model, actor=approver, reason="bad")[:2] == (second, fourth)


def test_rollback_needs_something_to_go_back_to_a_reason_and_an_approver(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor, outsider: Actor
) -> None:
    with pytest.raises(Conflict, match=r"1\.0\.0 is the only version that served"):
        services.rollback(model, actor=approver, reason="x")
    into_production(model, author=author, approver=approver, seed=1)
    with pytest.raises(Invalid, match="reason must say why"):
        services.rollback(model, actor=approver, reason=" ")
    for actor in (author, outsider):
        with pytest.raises(Forbidden):
            services.rollback(model, actor=actor, reason="x")
    assert AuditRecord.objects.filter(action="rollback.refused").count() == 2


def test_rollback_to_a_damaged_artifact_is_refused(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    second = into_production(model, author=author, approver=approver, seed=1)
    damage(served.artifact_id)
    with pytest.raises(Conflict, match=r"did not pass its pre-flight.*damaged") as raised:
        services.rollback(model, actor=approver, reason="x")
    assert raised.value.code == "preflight_failed"
    assert selectors.in_production(model) == second


def damage(digest: str) -> None:
    """Change one byte of a stored artifact."""
    path = Path(settings.STORAGES["artifacts"]["OPTIONS"]["location"], digest[:2], digest)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
