"""What is expected of a data set and what is waived: who says so, what is refused, what the database holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord, Membership
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from tests.kept import kept_fixture
from tests.people import actor
from tests.training.claims import SMALL, claims
from training.models import DatasetVersion, Expectations, GateReport, Run, Waiver
from training.selectors import quality as gates
from training.services import (
    check_dataset,
    infer_expectations,
    request_run,
    revoke_waiver,
    set_expectations,
    waive_check,
)

Upload = Callable[..., DatasetVersion]
SOON = datetime.now(UTC).date() + timedelta(days=20)
GAP: dict[str, Any] = {
    "check": "schema_missing",
    "column": "age",
    "reason": "The source is being mended.",
    "until": SOON,
}


def in_days(days: int) -> date:
    """Of today, asked anew: the tests may begin before midnight."""
    return datetime.now(UTC).date() + timedelta(days=days)


@kept_fixture
def validator(db: None) -> Actor:
    return actor("vito", "validator")


@pytest.fixture
def blocked(upload: Upload, engineer: Actor) -> DatasetVersion:
    """A version without a column that is expected."""
    infer_expectations(upload(), actor=engineer)
    return upload(claims().drop(columns="age"))


def audited(action: str) -> int:
    return AuditRecord.objects.filter(action=action).count()


def test_expectations_are_inferred_from_a_version_that_passed_and_hold_for_the_next(
    upload: Upload, engineer: Actor
) -> None:
    first = upload()
    made = infer_expectations(first, actor=engineer)
    assert (made.version, made.inferred_from, made.comment) == (1, first, "Inferred from hie@1.")
    assert made.document["columns"]["plan"]["levels"]["allowed"] == ["basic", "full", "plus"]
    assert infer_expectations(first, actor=engineer) == made  # the same again is no new version
    document = {**made.document, "rows": {"min": 1000, "severity": "block"}}
    second = set_expectations(first.dataset, actor=engineer, document=document, comment="A year has a thousand.")
    assert (second.version, audited("expectations.set")) == (2, 2)
    version = upload(claims(400, seed=2))
    assert not version.quality["passed"]
    assert version.quality["expectations"] == 2
    assert gates.verdict_of(version).report.blocks[0].name == "schema_rows"
    assert gates.verdict_of(first).passed  # it was judged before anything was expected


def test_a_version_that_is_held_back_cannot_be_trusted(blocked: DatasetVersion, engineer: Actor) -> None:
    with pytest.raises(Conflict) as caught:
        infer_expectations(blocked, actor=engineer)
    assert (caught.value.code, caught.value.errors[0].field) == ("not_trusted", "version")


def test_a_document_is_refused_part_by_part(dataset: DatasetVersion, engineer: Actor) -> None:
    document = {"columns": {"age": {"range": {"min": 3, "max": 2, "severity": "block"}, "nulls": {"max_share": 2}}}}
    with pytest.raises(Invalid) as caught:
        set_expectations(dataset.dataset, actor=engineer, document=document, comment="Typed by hand.")
    fields = {error.field for error in caught.value.errors}
    assert fields == {
        "document.columns.age.range",
        "document.columns.age.nulls.max_share",
        "document.columns.age.nulls.severity",
    }
    large = {"columns": {"age": {"levels": {"allowed": ["x" * 199] * 1000, "severity": "warn"}}}}
    large["columns"] |= {f"c{n}": large["columns"]["age"] for n in range(3)}
    for bad in ({"columns": {"a": {1, 2}}}, large):
        with pytest.raises(Invalid):
            set_expectations(dataset.dataset, actor=engineer, document=bad, comment="x")
    with pytest.raises(Invalid):
        set_expectations(dataset.dataset, actor=engineer, document={}, comment="  ")
    assert not Expectations.objects.exists()


def test_a_blocked_version_is_not_trained_on_until_somebody_else_waives_it(
    blocked: DatasetVersion, model: RegisteredModel, scientist: Actor, validator: Actor
) -> None:
    def request() -> Run:
        return request_run(actor=scientist, model_name=model.name, dataset=str(blocked), **SMALL)

    with pytest.raises(Conflict, match="'age' must be in the table") as caught:
        request()
    assert (caught.value.code, caught.value.errors[0].field) == ("data_blocked", "dataset")
    waiver = waive_check(blocked.dataset, actor=validator, **GAP)
    (covered,) = gates.verdict_of(blocked).report.waived
    assert covered.waiver == {"id": waiver.pk, "by": "vito", "reason": GAP["reason"], "until": SOON.isoformat()}
    assert request().state == "queued"
    revoke_waiver(waiver, actor=validator, reason="It is mended.")
    with pytest.raises(Conflict):
        request()
    assert (waiver.status, audited("waiver.given"), audited("waiver.revoked")) == ("revoked", 1, 1)
    with pytest.raises(Conflict) as caught:
        revoke_waiver(waiver, actor=validator, reason="Again.")
    assert caught.value.code == "not_in_force"


def test_a_waiver_ends_with_its_last_day(blocked: DatasetVersion, validator: Actor) -> None:
    assert validator.user is not None
    for until, passed in ((in_days(-1), False), (in_days(0), True)):
        Waiver.objects.create(
            dataset=blocked.dataset, check_name="schema_missing", about="age", reason="r", until=until,
            by=validator.user,
        )  # fmt: skip
        assert gates.verdict_of(blocked).passed is passed
    assert [row.status for row in gates.waivers(blocked.dataset)] == ["in force", "expired"]


def test_a_waiver_covers_its_own_check_and_column_only(blocked: DatasetVersion, validator: Actor) -> None:
    waive_check(blocked.dataset, actor=validator, **{**GAP, "column": "visits"})
    waive_check(blocked.dataset, actor=validator, **{**GAP, "column": ""})
    waive_check(blocked.dataset, actor=validator, **{**GAP, "check": "schema_kind"})
    assert not gates.verdict_of(blocked).passed


def test_who_waived_yesterday_does_not_train_under_it_today(
    blocked: DatasetVersion, model: RegisteredModel, validator: Actor
) -> None:
    waive_check(blocked.dataset, actor=validator, **GAP)
    assert validator.user is not None
    Membership.objects.filter(user=validator.user).update(role="data_scientist")
    with pytest.raises(Conflict):
        request_run(actor=Actor.of(validator.user), model_name=model.name, dataset=str(blocked), **SMALL)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"check": "target_missing"}, "check"),
        ({"check": "nonsense"}, "check"),
        ({"column": "nowhere"}, "column"),
        ({"until": -1}, "until"),
        ({"until": 91}, "until"),
        ({"until": date.max}, "until"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\u202eb"}, "reason"),
    ],
)
def test_a_waiver_is_refused_by_field(
    blocked: DatasetVersion, validator: Actor, changes: dict[str, Any], field: str
) -> None:
    if isinstance(until := changes.get("until"), int):
        changes = {"until": in_days(until)}
    with pytest.raises(Invalid) as caught:
        waive_check(blocked.dataset, actor=validator, **{**GAP, **changes})
    assert caught.value.errors[0].field == field
    assert not Waiver.objects.exists()


def test_the_same_waiver_twice_is_one(blocked: DatasetVersion, validator: Actor) -> None:
    waive_check(blocked.dataset, actor=validator, **GAP)
    with pytest.raises(Conflict, match="already, by vito"):
        waive_check(blocked.dataset, actor=validator, **GAP)
    longer = waive_check(blocked.dataset, actor=validator, **{**GAP, "until": in_days(90)})
    assert longer.status == "in force"


def test_nobody_who_trains_waives(blocked: DatasetVersion, engineer: Actor, scientist: Actor, outsider: Actor) -> None:
    for who in (engineer, scientist, outsider):
        with pytest.raises(Forbidden):
            waive_check(blocked.dataset, actor=who, **GAP)
    with pytest.raises(Forbidden):
        infer_expectations(blocked, actor=scientist)
    assert audited("gate.waive.refused") == 3


def test_the_database_refuses_what_the_code_would_not_do(
    blocked: DatasetVersion, engineer: Actor, validator: Actor
) -> None:
    waiver = waive_check(blocked.dataset, actor=validator, **GAP)
    fields: dict[str, Any] = {"dataset": blocked.dataset, "check_name": "schema_kind", "reason": "r", "until": SOON}
    report = check_dataset(blocked, actor=engineer)
    some, other = engineer.user, validator.user
    assert some is not None
    assert other is not None
    attempts: list[Callable[[], Any]] = [
        lambda: Waiver.objects.create(**fields, by=some),
        lambda: Waiver.objects.create(**{**fields, "until": in_days(92)}, by=other),
        lambda: Waiver.objects.filter(pk=waiver.pk).update(until=in_days(30)),
        lambda: Waiver.objects.filter(pk=waiver.pk).update(about="", revoked_at=datetime.now(UTC)),
        lambda: waiver.delete(),
        lambda: Expectations.objects.update(comment="Never mind."),
        lambda: Expectations.objects.all().delete(),
        lambda: GateReport.objects.filter(pk=report.pk).update(passed=True),
        lambda: GateReport.objects.filter(pk=report.pk).delete(),
    ]
    for attempt in attempts:
        with pytest.raises(DatabaseError), transaction.atomic():
            attempt()
    revoke_waiver(waiver, actor=validator, reason="Mended.")
    with pytest.raises(DatabaseError), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(revoked_because="Or not.")


def test_a_version_is_checked_again_by_what_is_expected_today(blocked: DatasetVersion, engineer: Actor) -> None:
    newest = gates.expectations(blocked.dataset)[0]
    columns = {name: rules for name, rules in newest.document["columns"].items() if name != "age"}
    document = {**newest.document, "columns": columns}
    set_expectations(blocked.dataset, actor=engineer, document=document, comment="Age is no longer sent.")
    assert not gates.verdict_of(blocked).passed  # what was found at upload stands until somebody looks again
    made = check_dataset(blocked, actor=engineer)
    verdict = gates.verdict_of(blocked)
    assert (made.passed, verdict.passed, verdict.expectations) == (True, True, 2)
    assert not blocked.quality["passed"]
    assert audited("dataset.checked") == 1
