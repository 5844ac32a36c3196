"""Values as they come in: judged row by row, kept once, corrected by later rows."""

from __future__ import annotations

import hashlib
import io
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from django.db import DatabaseError, connections, transaction
from django.utils import timezone

from mlops_site.core.choices import Role
from mlops_site.core.errors import Conflict, Forbidden, Invalid, Malformed, TooLarge
from mlops_site.core.models import AuditRecord, Membership
from mlops_site.core.permissions import Actor
from tests.kept import kept_fixture
from tests.people import actor
from tests.training.features import DAY, day, feature_set, known, row
from training.models import DatasetVersion, Erasure, FeatureLoad, FeatureRow, FeatureSetVersion
from training.selectors.features import latest_rows, latest_values, states
from training.services import load_feature_table, load_feature_values
from training.services.feature_tables import Columns, File


@kept_fixture
def history(scientist: Actor) -> FeatureSetVersion:
    return feature_set(scientist)


def load(found: FeatureSetVersion, who: Actor, *rows: Any) -> tuple[int, int, list[tuple[int, str, str]]]:
    told = load_feature_values(found, actor=who, rows=rows)
    return told.accepted, told.duplicate, [(each.index, each.code, each.field) for each in told.rejected]


def values_at(found: FeatureSetVersion, unit: str, at: Any) -> Any:
    kept = latest_rows([found.pk], [unit], at).get((found.pk, unit))
    return kept and kept.values


def test_the_same_rows_again_are_duplicates(history: FeatureSetVersion, scientist: Actor) -> None:
    rows = [row("p1", day(1)), row("p1", day(2)), row("p2", day(1), ingested_at=day(1))]
    assert load(history, scientist, *rows) == (3, 0, [])
    assert load(history, scientist, *rows) == (0, 3, [])
    assert load(history, scientist, *rows[:1], row("p3", day(1))) == (1, 1, [])
    assert FeatureRow.objects.count() == 4
    assert [each.accepted for each in FeatureLoad.objects.order_by("pk")] == [3, 1]


def test_a_correction_is_another_row_and_so_is_its_own_correction(history: FeatureSetVersion, scientist: Actor) -> None:
    for visits in (3, 4, 3):
        assert load(history, scientist, row("p1", day(1), {"visits": visits, "plan": None})) == (1, 0, [])
    assert [each.values["visits"] for each in FeatureRow.objects.order_by("ingested_at")] == [3, 4, 3]
    assert values_at(history, "p1", timezone.now()) == {"visits": 3, "plan": None}
    assert values_at(history, "p1", day(3)) is None  # it was not known then


def test_history_is_loaded_with_the_time_when_it_was_known(history: FeatureSetVersion, scientist: Actor) -> None:
    said = [
        row("p1", day(1), {"visits": 1, "plan": None}, ingested_at=day(2)),
        row("p1", day(1), {"visits": 2, "plan": None}, ingested_at=day(5)),
        row("p1", day(4), {"visits": 9, "plan": None}, ingested_at=day(6)),
    ]
    assert load(history, scientist, *said) == (3, 0, [])
    found = [values_at(history, "p1", day(n)) for n in range(1, 8)]
    assert [each and each["visits"] for each in found] == [None, 1, 1, 1, 2, 9, 9]
    other = row("p1", day(1), {"visits": 7, "plan": None}, ingested_at=day(5))
    assert load(history, scientist, other, *said[::2]) == (0, 2, [(0, "conflicting_rows", "ingested_at")])


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        ({"unit_id": None}, "required", "unit_id"),
        ({"unit_id": "x" * 10_000}, "too_long", "unit_id"),
        ({"unit_id": 5}, "wrong_type", "unit_id"),
        ({"event_at": None}, "required", "event_at"),
        ({"event_at": "2026-01-01T12:00:00"}, "bad_time", "event_at"),
        ({"event_at": 5}, "bad_time", "event_at"),
        ({"event_at": "1999-01-01T12:00:00Z"}, "out_of_range", "event_at"),
        ({"ingested_at": "2026-01-01"}, "bad_time", "ingested_at"),
        ({"values": None}, "wrong_type", "values"),
        ({"values": {"visits": 1}}, "missing_column", "values.plan"),
        ({"values": {"visits": 1, "plan": None, "age": 3}}, "unknown_column", "values.age"),
        ({"values": {"visits": "3", "plan": None}}, "wrong_type", "values.visits"),
        ({"values": {"visits": math.nan, "plan": None}}, "not_finite", "values.visits"),
        ({"values": {"visits": math.inf, "plan": None}}, "not_finite", "values.visits"),
        ({"values": {"visits": 10**400, "plan": None}}, "out_of_range", "values.visits"),
        ({"values": {"visits": [1], "plan": None}}, "wrong_type", "values.visits"),
        ({"values": {"visits": 1, "plan": 5}}, "wrong_type", "values.plan"),
        ({"values": {"visits": 1, "plan": "x" * 1_001}}, "bad_text", "values.plan"),
        ({"person": "p1"}, "unknown_field", "person"),
    ],
)
def test_a_row_at_fault_is_told_apart(
    history: FeatureSetVersion, scientist: Actor, bad: dict[str, Any], code: str, field: str
) -> None:
    assert load(history, scientist, {**row("p1", day(1)), **bad}, row("p2", day(1))) == (1, 0, [(0, code, field)])


def test_what_has_not_happened_yet_is_refused(history: FeatureSetVersion, scientist: Actor) -> None:
    later = timezone.now() + timedelta(minutes=10)
    bad = [row("p1", later), row("p1", day(1), ingested_at=later)]
    assert load(history, scientist, *bad, row("p2", day(1))) == (
        1, 0, [(0, "in_future", "event_at"), (1, "in_future", "ingested_at")],
    )  # fmt: skip


def test_two_rows_of_a_load_that_contradict(history: FeatureSetVersion, scientist: Actor) -> None:
    rows = [row("p1", day(1)), row("p1", day(1)), row("p1", day(1), {"visits": 4, "plan": None})]
    assert load(history, scientist, *rows) == (1, 1, [(2, "conflicting_rows", "values")])
    assert load(history, scientist, *rows) == (0, 2, [(2, "conflicting_rows", "values")])


def test_batches_are_bounded_and_none_good_is_an_error(history: FeatureSetVersion, scientist: Actor) -> None:
    with pytest.raises(TooLarge):
        load(history, scientist, *[{}] * 10_001)
    with pytest.raises(Invalid, match="none of 2 rows was good"):
        load(history, scientist, Malformed("not JSON"), {})
    assert not FeatureLoad.objects.exists()


def test_who_may_load(history: FeatureSetVersion, db: None) -> None:
    assert load(history, actor("claims-app", "service"), row("p1", day(1)))[0] == 1
    for who in (actor("vera", "viewer"), actor("otto", "ml_engineer", team="elsewhere")):
        with pytest.raises(Forbidden):
            load(history, who, row("p1", day(1)))


def test_rows_and_loads_never_change(history: FeatureSetVersion, scientist: Actor) -> None:
    load(history, scientist, row("p1", day(1)))
    for rows in (FeatureRow.objects, FeatureLoad.objects):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            rows.update(**({"entity": "x"} if rows is FeatureRow.objects else {"accepted": 9}))
    assert FeatureRow.objects.all().delete()[0] == 1  # of somebody who asks for it


def test_of_each_unit_the_latest_is_found_by_one_statement(
    history: FeatureSetVersion, scientist: Actor, django_assert_num_queries: Any
) -> None:
    other = feature_set(scientist, name="billing", columns=[{"name": "cost", "kind": "number"}])
    rows = [row(f"p{unit}", day(n), {"visits": 10 * unit + n, "plan": None}) for unit in range(5) for n in range(1, 9)]
    load(history, scientist, *rows)
    load(other, scientist, row("p1", day(1), {"cost": 7.5}))
    with django_assert_num_queries(1):
        found = latest_rows([history.pk, other.pk], ["p1", "p3", "nobody"], timezone.now())
    assert {key: each.values for key, each in found.items()} == {
        (history.pk, "p1"): {"visits": 18, "plan": None},
        (history.pk, "p3"): {"visits": 38, "plan": None},
        (other.pk, "p1"): {"cost": 7.5},
    }


def test_what_is_known_is_told_without_personal_data(history: FeatureSetVersion, scientist: Actor) -> None:
    known(history, scientist, "p1", {"visits": 3, "plan": "family"})
    known(history, scientist, "p2", {"visits": 4, "plan": "free"}, days_ago=31)
    found = latest_values(history, actor=scientist, units=["p2", "p1", "p2", "nobody"])
    assert [(each.unit_id, each.values, each.is_stale) for each in found] == [
        ("p2", {"visits": 4}, True), ("p1", {"visits": 3}, False),
    ]  # fmt: skip
    with pytest.raises(Forbidden):
        latest_values(history, actor=actor("vera", "viewer"), units=["p1"])


def test_how_fresh_a_set_is(history: FeatureSetVersion, scientist: Actor) -> None:
    assert states([history])[history.pk][:3] == (0, 0, None)
    known(history, scientist, "p1", {"visits": 3, "plan": None}, days_ago=40)
    known(history, scientist, "p2", {"visits": 3, "plan": None}, days_ago=31)
    found = states([history])[history.pk]
    assert (found.rows, found.loads, found.is_stale) == (2, 2, True)
    assert found.age is not None
    assert found.age // DAY == 31


class TestTables:
    @pytest.fixture
    def table(self, upload: Any) -> DatasetVersion:
        frame = pd.DataFrame(
            {
                "person": [1, 1, 2, 3, 4] * 12,
                "seen": [f"2026-01-{1 + n % 28:02d}T12:00:00" for n in range(60)],
                "known": [f"2026-02-{1 + n % 20:02d}" for n in range(60)],
                "n_visits": range(60),
                "plan": ["free", None] * 30,
                "high_cost": [0, 1] * 30,
            }
        )
        found: DatasetVersion = upload(frame, name="histories", time_column="")
        return found

    def test_its_rows_are_values(self, history: FeatureSetVersion, scientist: Actor, table: DatasetVersion) -> None:
        columns = Columns("person", "seen", "known", {"visits": "n_visits"}, zone="UTC")
        told = load_feature_table(history, actor=scientist, source=table, columns=columns)
        assert told == (60, 0, 0, [])
        assert load_feature_table(history, actor=scientist, source=table, columns=columns) == (0, 60, 0, [])
        first = FeatureRow.objects.filter(entity="1").order_by("event_at", "ingested_at")[0]
        assert (first.event_at, first.values) == (day(1), {"visits": 0, "plan": "free"})
        assert (first.ingested_at.isoformat(), first.load.dataset) == ("2026-02-01T00:00:00+00:00", table)
        said = AuditRecord.objects.filter(action="feature_set.loaded").latest("seq").data
        assert (said["source"], said["accepted"], said["duplicate"]) == ("histories@1", 0, 60)

    def test_of_a_file_too(self, history: FeatureSetVersion, scientist: Actor) -> None:
        text = b"who,at,visits,plan\np1,2026-01-01T12:00:00Z,3,free\np2,,4,free\np3,2026-01-02T12:00:00Z,,\n"
        told = load_feature_table(
            history, actor=scientist, source=File(io.BytesIO(text), "a.csv"), columns=Columns("who", "at")
        )
        assert (told.accepted, told.duplicate, told.rejected) == (2, 0, 1)
        assert [(each.index, each.code, each.field) for each in told.rejections] == [(1, "required", "event_at")]
        assert FeatureRow.objects.get(entity="p3").values == {"visits": None, "plan": None}
        assert FeatureLoad.objects.get().digest == hashlib.sha256(text).hexdigest()

    def test_times_without_a_zone_are_refused_unless_it_is_said(
        self, history: FeatureSetVersion, scientist: Actor, table: DatasetVersion
    ) -> None:
        columns = Columns("person", "seen", "", {"visits": "n_visits"})
        with pytest.raises(Invalid, match="none of 60 rows was good") as caught:
            load_feature_table(history, actor=scientist, source=table, columns=columns)
        assert caught.value.errors[0].code == "bad_time"

    def test_times_at_the_ends_of_the_calendar_are_refused(self, history: FeatureSetVersion, scientist: Actor) -> None:
        text = b"who,at,visits,plan\np1,0001-01-01T00:00:00+14:00,3,\np2,9999-12-31T23:59:59-14:00,4,\n"
        for zone in ("", "America/New_York"):
            columns = Columns("who", "at", zone=zone)
            with pytest.raises(Invalid) as caught:
                load_feature_table(history, actor=scientist, source=File(io.BytesIO(text), "a.csv"), columns=columns)
            assert {error.code for error in caught.value.errors} == {"bad_time"}

    def test_rows_of_another_team_are_loaded_by_who_may_download_them(
        self, history: FeatureSetVersion, scientist: Actor, table: DatasetVersion
    ) -> None:
        columns = Columns("person", "seen", "known", {"visits": "n_visits"}, zone="UTC")
        person_of_two = actor("tilda", Role.DATA_SCIENTIST, team="others")
        theirs = feature_set(person_of_two, name="copied")
        assert person_of_two.user is not None
        Membership.objects.create(user=person_of_two.user, team=table.dataset.team, role=Role.VIEWER)
        with pytest.raises(Forbidden, match=r"dataset.download in team claims"):
            load_feature_table(theirs, actor=Actor.of(person_of_two.user), source=table, columns=columns)
        assert not FeatureRow.objects.exists()
        Membership.objects.filter(user=person_of_two.user, role=Role.VIEWER).update(role=Role.VALIDATOR)
        told = load_feature_table(theirs, actor=Actor.of(person_of_two.user), source=table, columns=columns)
        assert told.accepted == 60

    def test_rows_that_were_erased_are_not_loaded(
        self, history: FeatureSetVersion, scientist: Actor, table: DatasetVersion
    ) -> None:
        Erasure.objects.create(version=table, reason="A person asked for it.")
        columns = Columns("person", "seen", "known", {"visits": "n_visits"}, zone="UTC")
        with pytest.raises(Conflict) as caught:
            load_feature_table(history, actor=scientist, source=table, columns=columns)
        assert caught.value.code == "data_gone"

    @pytest.mark.parametrize(
        ("columns", "field", "code"),
        [
            (Columns("nobody", "seen"), "unit_column", "unknown_column"),
            (Columns("person", ""), "event_column", "unknown_column"),
            (Columns("person", "seen", "x"), "ingested_column", "unknown_column"),
            (Columns("person", "seen"), "columns", "unknown_column"),  # no visits
            (Columns("person", "seen", values={"visits": "plan"}), "columns", "wrong_kind"),
            (Columns("person", "seen", values={"age": "plan"}), "columns", "unknown_column"),
            (Columns("person", "seen", zone="Mars"), "zone", "unknown_zone"),
        ],
    )
    def test_columns_that_do_not_fit(
        self,
        history: FeatureSetVersion,
        scientist: Actor,
        table: DatasetVersion,
        columns: Columns,
        field: str,
        code: str,
    ) -> None:
        with pytest.raises(Invalid) as caught:
            load_feature_table(history, actor=scientist, source=table, columns=columns)
        assert (field, code) in [(error.field, error.code) for error in caught.value.errors]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_who_load_the_same_at_once_keep_it_once(history: FeatureSetVersion, scientist: Actor) -> None:
    rows = [row(f"p{n}", day(1)) for n in range(200)]

    def one(_: int) -> tuple[int, int]:
        try:
            return load(history, scientist, *rows)[:2]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(one, range(4)))
    assert sorted(told) == [(0, 200)] * 3 + [(200, 0)]
    assert FeatureRow.objects.count() == 200
