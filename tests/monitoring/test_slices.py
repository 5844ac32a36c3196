"""Slices: declared by people, counted by the folder, compared in reports; with codes of failures and decisions."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.utils import timezone

from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring.analysis import report_of_window
from monitoring.models import Alert, FairnessLimits, Label, Prediction, Slice
from monitoring.selectors.periods import period
from monitoring.selectors.windows import window_sum
from monitoring.services import (
    declare_slice,
    end_slice,
    fold_all,
    keep_report,
    log_predictions,
    set_fairness_limits,
)
from monitoring.services.reports import Window
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.monitoring.test_folding import row, world
from tests.people import actor, bearer
from tests.registry.parts import user

pytestmark = pytest.mark.django_db
API, PAGE = "/api/v1/models/high_cost/slices", "/models/high_cost/slices"
LIMITS = "/api/v1/models/high_cost/fairness-limits"


@kept_fixture
def version(db: None) -> Version:
    return world()[0]


@kept_fixture
def model(version: Version) -> RegisteredModel:
    return version.model


@kept_fixture
def engineer(version: Version) -> Actor:
    return actor("author", "ml_engineer")


@kept_fixture
def machine(version: Version) -> Actor:
    return actor("claims-app", "service")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices count from the moment when they are declared: no folder is at work beside."""
    monkeypatch.setattr("monitoring.services.slices.UNKNOWN_TO_FOLDERS", timedelta(0))


def sent(n: int, *, region: str = "north", **changes: Any) -> dict[str, Any]:
    return row(n, slices={"region": region}, **changes)


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
            ({"name": "a\nb"}, "name", "invalid"),
            ({"levels": ["a\x01b"]}, "levels", "invalid"),
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

    def test_names_that_came_with_answers_are_offered(
        self, browser: Client, model: RegisteredModel, machine: Actor
    ) -> None:
        rows = [row(n, slices={"region": "north", "<b>": "x"} if n else {"region": "south"}) for n in range(3)]
        log_predictions(rows, actor=machine)
        text = browser.get(PAGE).content.decode()
        assert text.index("slice:region") < text.index("slice:&lt;b&gt;")

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
