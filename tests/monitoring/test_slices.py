"""Slices: declared by people, counted by the folder, compared in reports; with codes of failures and decisions."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring.analysis import report_of_window
from monitoring.models import Alert, ErrorCode, FairnessLimits, FoldItem, Label, Prediction, Slice
from monitoring.selectors.periods import period
from monitoring.selectors.slices import slicings
from monitoring.selectors.windows import window_sum
from monitoring.services import (
    compact,
    declare_slice,
    end_slice,
    fold,
    fold_all,
    keep_report,
    log_labels,
    log_predictions,
    set_fairness_limits,
)
from monitoring.services.folding import recall_waiting
from monitoring.services.reports import Window
from monitoring.stats.breakdown import level_part
from monitoring.stats.layout import ERROR_CODES, TOTALS
from registry.models import RegisteredModel, Version
from tests.monitoring.production import folded, is_same, recomputed
from tests.monitoring.test_folding import AGES, assert_sum_holds, label, row, world
from tests.people import actor, bearer
from tests.registry.parts import user

pytestmark = pytest.mark.django_db
API, PAGE = "/api/v1/models/high_cost/slices", "/models/high_cost/slices"
LIMITS = "/api/v1/models/high_cost/fairness-limits"


@pytest.fixture
def version(db: None) -> Version:
    return world()[0]


@pytest.fixture
def model(version: Version) -> RegisteredModel:
    return version.model


@pytest.fixture
def engineer(version: Version) -> Actor:
    return actor("author", "ml_engineer")


@pytest.fixture
def machine(version: Version) -> Actor:
    return actor("claims-app", "service")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices count from the moment when they are declared: no folder is at work beside."""
    monkeypatch.setattr("monitoring.services.slices.UNKNOWN_TO_FOLDERS", timedelta(0))


def sent(n: int, *, region: str = "north", **changes: Any) -> dict[str, Any]:
    return row(n, slices={"region": region}, **changes)


def levels(version: Version, name: str = "region") -> dict[str, dict[str, int]]:
    """Totals by level, of the newest slice of the name."""
    newest = Slice.objects.filter(model=version.model, name=name).latest("pk")
    found = folded(version).breakdown
    (by,) = [each for each in slicings([version.model_id])[version.model_id] if each.id == newest.pk]
    counts = found.slices.get(by.id)
    if counts is None:
        return {}
    parts = [level_part(each, found.shape, "totals").tolist() for each in counts]
    return {
        place: dict(zip(TOTALS, part, strict=True)) for place, part in zip(by.places, parts, strict=True) if any(part)
    }


STEPS = st.lists(
    st.one_of(
        *[st.tuples(st.just("log"), st.integers(0, 5), st.sampled_from(AGES), st.sampled_from(["north", "east", ""]))]
        * 3,
        st.tuples(st.just("fail"), st.integers(6, 9), st.sampled_from(["timeout", None, "bad_input"])),
        *[st.tuples(st.just("label"), st.integers(0, 6), st.integers(0, 1), st.sampled_from([None, 0, 1]))] * 3,
        st.tuples(st.just("declare"), st.sampled_from(["region", "age"])),
        st.tuples(st.just("end"), st.sampled_from(["region", "age"])),
        st.tuples(st.just("fold"), st.integers(1, 4)),
        st.tuples(st.just("compact"), st.sampled_from([0, 3, 100])),
        st.tuples(st.just("recall")),
    ),
    min_size=20,
    max_size=40,
)


def take(step: tuple[Any, ...], model: RegisteredModel, engineer: Actor, machine: Actor, seen: set[int]) -> None:
    match step:
        case ("log", n, minutes, region) if n not in seen:
            seen.add(n)
            log_predictions([sent(n, minutes=minutes, region=region)], actor=machine)
        case ("fail", n, code) if n not in seen:
            seen.add(n)
            failed = sent(n, status="error", prediction=None, score=None, error_code=code)
            log_predictions([failed], actor=machine)
        case ("label", n, value, human):
            log_labels([{**label(n, value), "human_decision": human}], actor=machine)
        case ("declare", name) if not Slice.objects.filter(name=name, counts_until=None).exists():
            how: dict[str, Any] = {"source": "slice", "levels": ["north"]}
            if name == "age":
                how = {"source": "feature", "cuts": [50, 60]}
            declare_slice(model, actor=engineer, name=name, **how)
        case ("end", name):
            for found in Slice.objects.filter(name=name, counts_until=None):
                end_slice(model, found.pk, actor=engineer)
        case ("fold", limit):
            fold(limit)
        case ("compact", hours):
            compact(timezone.now() + timedelta(hours=hours))
        case ("recall",):
            recall_waiting()


@given(STEPS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@pytest.mark.usefixtures("at_once")
def test_buckets_and_queue_are_the_rows_whatever_is_declared_and_ended(
    version: Version, engineer: Actor, machine: Actor, steps: list[Any]
) -> None:
    with transaction.atomic():
        seen: set[int] = set()
        for step in steps:
            take(step, version.model, engineer, machine, seen)
            if step[0] in ("fold", "compact", "end"):
                assert_sum_holds(version)
        recall_waiting()
        fold_all()
        compact(timezone.now())
        assert is_same(folded(version), recomputed(version))
        transaction.set_rollback(True)


class TestCounting:
    def test_an_answer_counts_in_the_slices_of_its_time_whenever_its_label_comes(
        self, model: RegisteredModel, version: Version, engineer: Actor, machine: Actor
    ) -> None:
        log_predictions([sent(0)], actor=machine)
        made = declare_slice(model, actor=engineer, name="region", source="slice", levels=["north"])
        assert made.counts_from == made.declared_at + timedelta(minutes=1)
        log_predictions([sent(n) for n in (1, 2)], actor=machine)
        Prediction.objects.filter(request_id="r2").update(received_at=made.counts_from)
        log_labels([label(n, 1) for n in range(3)], actor=machine)
        fold_all()
        assert levels(version) == {
            "north": {"rows": 1, "errors": 0, "labelled": 1, "judged": 1, "hits": 0, "answered": 1, "selected": 0}
        }

    @pytest.mark.usefixtures("at_once")
    def test_a_slice_that_ended_still_takes_labels_of_what_it_counted(
        self, model: RegisteredModel, version: Version, engineer: Actor, machine: Actor
    ) -> None:
        made = declare_slice(model, actor=engineer, name="region", source="slice", levels=["north"])
        log_predictions([sent(0), sent(1, region="west")], actor=machine)
        fold_all()
        end_slice(model, made.pk, actor=engineer)
        log_predictions([sent(2)], actor=machine)
        log_labels([label(n, n % 2) for n in range(3)], actor=machine)
        fold_all()
        assert {name: (part["rows"], part["labelled"]) for name, part in levels(version).items()} == {
            "north": (1, 1),
            "other": (1, 1),
        }

    @pytest.mark.usefixtures("at_once")
    def test_a_label_after_the_features_were_erased_counts_by_what_was_kept_of_them(
        self, model: RegisteredModel, version: Version, engineer: Actor, machine: Actor
    ) -> None:
        declare_slice(model, actor=engineer, name="age", source="feature", cuts=[50])
        log_predictions([row(0)], actor=machine)
        fold_all()
        Prediction.objects.update(features={}, slices={"age": "51.5"})
        log_labels([label(0, 1)], actor=machine)
        fold_all()
        assert {name: part["labelled"] for name, part in levels(version, "age").items()} == {"50 and over": 1}

    def test_codes_beyond_those_that_have_a_place_count_together(self, version: Version, machine: Actor) -> None:
        failed: dict[str, Any] = {"status": "error", "prediction": None, "score": None}
        rows = [row(n, **failed, error_code=f"code {n % 25:02}") for n in range(75)]
        log_predictions(rows, actor=machine)
        fold(40)
        fold_all()
        counts = folded(version).breakdown.part("errors")
        assert ErrorCode.objects.count() == ERROR_CODES
        assert counts.tolist() == [3] * ERROR_CODES + [15]
        assert is_same(folded(version), recomputed(version))
        now = timezone.now()
        told = report_of_window(version, now - timedelta(hours=1), now + timedelta(minutes=5)).body["followup"][
            "failures"
        ]
        assert told[0] == {"code": "other codes", "rows": 15, "share": 0.2}
        assert told[1] == {"code": "code 00", "rows": 3, "share": 0.04}

    def test_lag_is_that_of_the_first_label_and_decisions_those_of_the_last(
        self, version: Version, machine: Actor
    ) -> None:
        log_predictions([row(0, minutes=60 * 24)], actor=machine)
        said = (timezone.now() - timedelta(hours=12)).isoformat()
        log_labels([{**label(0, 1), "human_decision": 1, "observed_at": said}], actor=machine)
        log_labels([{**label(0, 0), "human_decision": 0}], actor=machine)
        fold_all()
        found = folded(version).breakdown
        assert found.part("observed_lag").sum() == found.part("received_lag").sum() == 1
        assert found.part("decisions").tolist() == [1, 0, 0, 0, 0, 0]

    @pytest.mark.usefixtures("at_once")
    def test_slices_take_as_many_statements_for_few_rows_as_for_many(
        self, model: RegisteredModel, engineer: Actor, machine: Actor
    ) -> None:
        declare_slice(model, actor=engineer, name="age", source="feature", cuts=[50])
        log_predictions([row(1000)], actor=machine)
        fold()
        taken = []
        for numbers in (range(5), range(100, 300)):
            log_predictions([row(n) for n in numbers], actor=machine)
            log_labels([label(n, 1) for n in numbers], actor=machine)
            with CaptureQueriesContext(connection) as queries:
                assert fold() == 2 * len(numbers)
            taken.append(len(queries))
        assert taken[0] == taken[1]


class TestDeclaring:
    def test_levels_are_chosen_from_the_data_where_none_are_given(
        self, model: RegisteredModel, engineer: Actor, machine: Actor
    ) -> None:
        log_predictions([sent(n, region="south" if n < 3 else f"r{n}") for n in range(14)], actor=machine)
        region = declare_slice(model, actor=engineer, name="region", source="slice")
        assert region.levels[0] == "south"
        assert len(region.levels) == 10
        age = declare_slice(model, actor=engineer, name="age", source="feature")
        assert (len(age.cuts), age.levels) == (3, [])
        assert age.cuts == pytest.approx([43, 50, 57], abs=3)

    @pytest.mark.parametrize(
        ("fields", "field", "code"),
        [
            ({"name": ""}, "name", "invalid"),
            ({"name": 5}, "name", "invalid"),
            ({"name": "x" * 129}, "name", "invalid"),
            ({"name": "a\x00b"}, "name", "invalid"),
            ({"source": "sql"}, "source", None),
            ({"source": "feature", "name": "salary"}, "name", "unknown_feature"),
            ({"levels": ["a"], "cuts": [1]}, "cuts", "not_applicable"),
            ({"levels": [f"l{n}" for n in range(11)]}, "levels", "invalid"),
            ({"levels": ["a", "a"]}, "levels", "invalid"),
            ({"levels": ["other"]}, "levels", "invalid"),
            ({"levels": [""]}, "levels", "invalid"),
            ({"cuts": [2, 1]}, "cuts", "invalid"),
            ({"cuts": [float("nan")]}, "cuts", "invalid"),
            ({"cuts": ["x"]}, "cuts", "invalid"),
            ({"cuts": list(range(10))}, "cuts", "invalid"),
            ({}, "levels", "unknown_levels"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, model: RegisteredModel, engineer: Actor, fields: dict[str, Any], field: str, code: str | None
    ) -> None:
        with pytest.raises(Invalid) as error:
            declare_slice(model, actor=engineer, **{"name": "region", "source": "slice", **fields})
        assert error.value.errors[0].field == field
        assert code is None or error.value.errors[0].code == code
        assert not Slice.objects.exists()

    def test_a_name_is_in_force_once_and_slices_are_few(self, model: RegisteredModel, engineer: Actor) -> None:
        for n in range(5):
            declare_slice(model, actor=engineer, name=f"s{n}", source="slice", levels=["a"])
        with pytest.raises(Conflict, match="already") as error:
            declare_slice(model, actor=engineer, name="s1", source="slice", levels=["b"])
        assert error.value.code == "slice_exists"
        with pytest.raises(Conflict) as error:
            declare_slice(model, actor=engineer, name="more", source="slice", levels=["b"])
        assert error.value.code == "too_many_slices"
        end_slice(model, Slice.objects.get(name="s1").pk, actor=engineer)
        again = declare_slice(model, actor=engineer, name="s1", source="slice", levels=["b"])
        assert again.levels == ["b"]
        with pytest.raises(NotFound):
            end_slice(model, Slice.objects.filter(name="s1").earliest("pk").pk, actor=engineer)

    def test_it_is_recorded_and_not_for_everybody(self, model: RegisteredModel, engineer: Actor) -> None:
        with pytest.raises(Forbidden):
            declare_slice(model, actor=actor("sam", "data_scientist"), name="region", source="slice", levels=["a"])
        made = declare_slice(model, actor=actor("vera", "validator"), name="region", source="slice", levels=["a"])
        set_fairness_limits(model, actor=engineer, limits={"accuracy": 0.2}, min_rows=100)
        end_slice(model, made.pk, actor=engineer)
        records = AuditRecord.objects.filter(action__in=["slice.declared", "slice.ended", "fairness_limits.set"])
        assert [record.action for record in records.order_by("seq")] == [
            "slice.declared",
            "fairness_limits.set",
            "slice.ended",
        ]
        assert records.earliest("seq").data["levels"] == ["a"]

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"limits": {"height": 0.1}}, "limits.height"),
            ({"limits": {"accuracy": 0}}, "limits.accuracy"),
            ({"limits": {"accuracy": True}}, "limits.accuracy"),
            ({"limits": {"accuracy": float("nan")}}, "limits.accuracy"),
            ({"limits": {"accuracy": "much"}}, "limits.accuracy"),
            ({"min_rows": 9}, "min_rows"),
            ({"min_rows": 50.5}, "min_rows"),
        ],
    )
    def test_limits_that_are_wrong_are_named(
        self, model: RegisteredModel, engineer: Actor, fields: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(Invalid) as error:
            set_fairness_limits(model, actor=engineer, **fields)
        assert [each.field for each in error.value.errors] == [field]
        assert not FairnessLimits.objects.exists()

    def test_the_database_keeps_what_a_slice_counts(self, model: RegisteredModel, engineer: Actor) -> None:
        made = declare_slice(model, actor=engineer, name="region", source="slice", levels=["a"])
        for change in ({"levels": ["b"]}, {"name": "x"}, {"counts_from": timezone.now()}):
            with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
                Slice.objects.filter(pk=made.pk).update(**change)
        with pytest.raises(DatabaseError, match="slices are kept"), transaction.atomic():
            Slice.objects.filter(pk=made.pk).delete()
        end_slice(model, made.pk, actor=engineer)
        with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
            Slice.objects.filter(pk=made.pk).update(counts_until=None)


@pytest.fixture
def unfair(version: Version, engineer: Actor, at_once: None) -> Version:
    """A day in which the positives of one region are missed, with all labels."""
    declare_slice(version.model, actor=engineer, name="region", source="slice", levels=["north", "south"])
    chance = random.Random(5)
    rows, labels = [], []
    for n in range(1_500):
        region, truth = chance.choice(["north", "north", "south"]), int(chance.random() < 0.4)
        said = truth if region == "north" or chance.random() < 0.4 else 0
        rows.append(
            Prediction(
                model=version.model, version=version, request_id=f"u{n}", payload_digest="0" * 64,
                features={"age": 50.0, "visits": 50.0}, slices={"region": region}, prediction=said,
                score=0.2 + 0.6 * said, decision=said, predicted_at=timezone.now() - timedelta(minutes=n % 50),
            )
        )  # fmt: skip
        human = {} if n % 3 else {"human_decision": truth}
        labels.append(
            Label(
                model=version.model, request_id=f"u{n}", revision=1, label=truth, created_by=version.created_by, **human
            )
        )  # fmt: skip
    Prediction.objects.bulk_create(rows)
    Label.objects.bulk_create(labels)
    fold_all()
    return version


class TestReports:
    def test_a_gap_is_found_told_and_raises_one_alert(self, unfair: Version) -> None:
        now = timezone.now()
        window = Window(now - timedelta(hours=2), now + timedelta(minutes=5))
        content = report_of_window(unfair, *window)
        (finding,) = [found for found in content.findings if found["rule"] == "fairness"]
        assert (finding["subject"], finding["raised"]) == ("region", True)
        assert "true positive rate" in finding["summary"]
        (sliced,) = content.body["followup"]["slices"]
        assert [level["level"] for level in sliced["levels"]] == ["north", "south"]
        gap = next(gap for gap in sliced["gaps"] if gap["measure"] == "true_positive_rate")
        assert (gap["alarm"], gap["reference"], gap["level"]) == (True, "north", "south")
        assert gap["difference"] == pytest.approx(-0.6, abs=0.1)
        keep_report(unfair, content, window, explicit=True)
        alert = Alert.objects.get(rule="fairness")
        assert (alert.severity, alert.subject_key) == ("high", "region")

    def test_the_schedule_tells_of_a_gap_once_it_lasts(self, unfair: Version) -> None:
        now = timezone.now()
        first = Window(now - timedelta(hours=2), now + timedelta(minutes=5))
        content = report_of_window(unfair, *first, explicit=False)
        (finding,) = [found for found in content.findings if found["rule"] == "fairness"]
        assert not finding["raised"]
        keep_report(unfair, content, first, explicit=False)
        second = Window(first.start, first.end + timedelta(minutes=5))
        content = report_of_window(unfair, *second, explicit=False)
        assert [found["raised"] for found in content.findings if found["rule"] == "fairness"] == [True]

    def test_a_limit_set_wide_or_off_raises_nothing(self, unfair: Version, engineer: Actor) -> None:
        off = dict.fromkeys(["selection_rate", "true_positive_rate", "accuracy", "calibration_gap"])
        set_fairness_limits(unfair.model, actor=engineer, limits=off)
        now = timezone.now()
        content = report_of_window(unfair, now - timedelta(hours=2), now + timedelta(minutes=5))
        assert [found for found in content.findings if found["rule"] == "fairness"] == []

    def test_a_window_before_the_slice_has_none(self, unfair: Version) -> None:
        then = timezone.now() - timedelta(days=20)
        assert report_of_window(unfair, then, then + timedelta(days=1)).body["followup"]["slices"] == []
        now = timezone.now()
        assert window_sum(unfair, now - timedelta(hours=2), now + timedelta(minutes=5)).breakdown.slices

    def test_the_dashboard_and_the_report_show_it(self, unfair: Version, engineer: Actor) -> None:
        client = Client(headers=bearer(user(engineer)))
        told = client.get("/api/v1/monitoring/dashboard/high_cost?version=1.0.0").json()
        followup = told["followup"]
        assert followup["label_coverage"] == 1.0
        assert followup["overrides"]["reviewed"] == 500
        assert followup["overrides"]["rate"] == pytest.approx(0.08, abs=0.04)
        (south,) = [level for level in followup["slices"][0]["levels"] if level["level"] == "south"]
        assert south["overrides"]["rate"] > 0.15
        assert followup["label_lag"]["received"]["n"] == 1500
        assert followup["calibration"]["error"]["n"] == 1500
        steps = [step for step in told["series"]["followup"] if step["coverage"] is not None]
        assert steps[-1]["overrides"]["reviewed"] > 0
        assert "calibration_error" in [metric["name"] for metric in told["metrics"]]
        drawn = client.get("/api/v1/monitoring/dashboard/high_cost?version=1.0.0&metric=calibration_error").json()
        assert [step["value"] for step in drawn["series"]["steps"] if step["value"] is not None]
        browser = Client()
        browser.force_login(user(engineer))
        page = browser.get("/models/high_cost/monitoring?version=1.0.0").content.decode()
        assert all(
            words in page for words in ("By region", "Decisions of people", "Calibration", "were decided otherwise")
        )
        assert "True positive rate is 0" in page
        window = Window(period().start, period().end)
        report = keep_report(unfair, report_of_window(unfair, *window), window, explicit=True)
        assert "By region" in browser.get(f"/reports/{report.pk}").content.decode()


class TestApi:
    @pytest.fixture
    def api(self, engineer: Actor) -> Client:
        return Client(headers=bearer(user(engineer)))

    def test_declare_read_and_end(self, api: Client, version: Version) -> None:
        made = api.post(API, {"name": "age", "source": "feature", "cuts": [40, 65]}, content_type="application/json")
        assert (made.status_code, made.json()["cuts"]) == (201, [40.0, 65.0])
        told = api.get(API).json()
        assert [each["name"] for each in told["slices"]] == ["age"]
        assert told["fairness"]["limits"]["accuracy"] == 0.1
        limits = api.put(LIMITS, {"limits": {"accuracy": None}, "min_rows": 80}, content_type="application/json")
        assert (limits.json()["limits"]["accuracy"], limits.json()["min_rows"]) == (None, 80)
        ended = api.delete(f"{API}/{made.json()['id']}")
        assert ended.status_code == 200
        assert ended.json()["counts_until"] is not None
        assert api.delete(f"{API}/{made.json()['id']}").status_code == 404

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "age"},
            {"name": "age", "source": "feature", "cuts": [1], "more": 1},
            {"name": "age", "source": "feature", "cuts": "40"},
            {"name": "age", "source": "feature", "levels": [["a"]]},
            {"name": "salary", "source": "feature", "cuts": [1]},
            {"name": "age", "source": "feature", "cuts": [1e400]},
        ],
    )
    def test_bad_bodies_are_one_clear_problem(self, api: Client, body: dict[str, Any], version: Version) -> None:
        answer = api.post(API, body, content_type="application/json")
        assert answer.status_code in (400, 422)
        assert answer.json()["code"]

    def test_another_teams_model_is_not_there(self, version: Version) -> None:
        outsider = Client(headers=bearer(user(actor("olga", "ml_engineer", team="fraud"))))
        assert outsider.get(API).status_code == 404
        assert (
            outsider.post(API, {"name": "age", "source": "feature"}, content_type="application/json").status_code == 404
        )
        assert outsider.put(LIMITS, {}, content_type="application/json").status_code == 404
        assert outsider.delete(f"{API}/1").status_code == 404


class TestPage:
    @pytest.fixture
    def browser(self, engineer: Actor) -> Client:
        client = Client()
        client.force_login(user(engineer))
        return client

    def test_declare_limit_and_end_on_the_page(self, browser: Client, model: RegisteredModel) -> None:
        sent = {"declare": "1", "by": "feature:age", "levels": "", "cuts": "40, 65"}
        assert browser.post(PAGE, sent).status_code == 302
        assert "under 40, 40 to 65, 65 and over, missing" in browser.get(PAGE).content.decode()
        limits = {"limits": "1", "min_rows": "60", "accuracy": "", "selection_rate": "0.3"}
        assert browser.post(PAGE, limits).status_code == 302
        found = FairnessLimits.objects.get()
        assert (found.min_rows, found.limits["accuracy"], found.limits["selection_rate"]) == (60, None, 0.3)
        made = Slice.objects.get()
        assert browser.post(PAGE, {"end": str(made.pk)}).status_code == 302
        assert browser.post(PAGE, {"end": "x" * 50}).status_code == 404

    def test_a_refusal_comes_back_beside_what_was_typed(self, browser: Client, model: RegisteredModel) -> None:
        answer = browser.post(PAGE, {"declare": "1", "by": "feature:age", "cuts": "65, 40", "levels": ""})
        assert answer.status_code == 422
        text = answer.content.decode()
        assert "cuts must be" in text
        assert 'value="65, 40"' in text
        assert browser.post(PAGE, {"limits": "1", "min_rows": "2"}).status_code == 422

    def test_who_may_not_set_reads(self, model: RegisteredModel) -> None:
        viewer = Client()
        viewer.force_login(user(actor("vic", "viewer")))
        text = viewer.get(PAGE).content.decode()
        assert "Declare</button>" not in text
        assert "An ML engineer or a validator" in text
        assert viewer.post(PAGE, {"declare": "1", "by": "feature:age", "cuts": "5"}).status_code == 403


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_four_fold_codes_and_slices_while_somebody_declares_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that meet a code for the first time at once give it one place; and each answer is in the slices of its
    time, though slices come and go under way. The minute is a second here."""
    monkeypatch.setattr("monitoring.services.slices.UNKNOWN_TO_FOLDERS", timedelta(seconds=1))
    version, machine = world()
    engineer = actor("author", "ml_engineer")
    done, errors = threading.Event(), []

    def run(work: Any, *given: Any) -> None:
        try:
            work(*given)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def ingest(turn: int) -> None:
        chance = random.Random(turn)
        failed: dict[str, Any] = {"status": "error", "prediction": None, "score": None}
        for batch in range(8):
            numbers = range(turn * 1000 + batch * 40, turn * 1000 + batch * 40 + 40)
            bad = [sent(n, **failed, error_code=f"code {chance.randrange(30)}") for n in numbers if n % 4 == 0]
            good = [sent(n, region=chance.choice(["north", "west"])) for n in numbers if n % 4]
            log_predictions([*bad, *good], actor=machine)
            log_labels([label(n, chance.randrange(2)) for n in numbers if n % 4], actor=machine)

    def keep(work: Any) -> None:
        while not done.is_set():
            work()

    def declare() -> None:
        while not done.wait(0.4):
            made = declare_slice(version.model, actor=engineer, name="region", source="slice", levels=["north"])
            done.wait(1.2)
            end_slice(version.model, made.pk, actor=engineer)

    writers = [threading.Thread(target=run, args=[ingest, turn]) for turn in range(4)]
    others = [threading.Thread(target=run, args=[keep, lambda: fold(23)]) for _ in range(4)]
    others.append(threading.Thread(target=run, args=[declare]))
    for thread in [*writers, *others]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in others:
        thread.join()
    assert errors == []
    recall_waiting()
    fold_all()
    assert not FoldItem.objects.filter(waiting=False).exists()
    assert ErrorCode.objects.count() == ERROR_CODES
    assert is_same(folded(version), recomputed(version))
    assert any(counts[:, 0].any() for counts in folded(version).breakdown.slices.values())
