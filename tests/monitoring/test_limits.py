"""What data is held to: set by people with a reason, carried over, shown, and kept to by reports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest
from django.test import Client

from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from mlops_site.stats.correlations import correlations
from mlops_site.stats.profile import profile, reference_bins
from monitoring.analysis import report_of_window
from monitoring.models import Prediction, QualityLimit
from monitoring.selectors.dashboard import dashboard
from monitoring.selectors.limits import GONE, ROWS, limits_of, sample_of, uncorrelated
from monitoring.selectors.periods import period
from monitoring.services import set_quality_limits
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.production import watched
from tests.monitoring.traffic import DAY, NOW, answer, version_of
from tests.people import actor, bearer
from tests.registry.parts import user

pytestmark = pytest.mark.django_db
API = "/api/v1/monitoring/quality-limits/high_cost"
PAGE = "/models/high_cost/limits"


@kept_fixture
def version(author: Actor) -> Version:
    return version_of(author)


@pytest.fixture
def api(author: Actor) -> Client:
    return Client(headers=bearer(user(author)))


@pytest.fixture
def browser(author: Actor) -> Client:
    client = Client()
    client.force_login(user(author), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.services.reports.timezone.now", lambda: NOW)


def edit(feature: str = "age", check: str = "missing", **limit: Any) -> dict[str, Any]:
    return {"feature": feature, "check": check, "limit": limit or None}


def put(client: Client, *edits: dict[str, Any], reason: str = "known") -> Any:
    return client.put(API, {"reason": reason, "edits": list(edits)}, content_type="application/json")


def worse(version: Version) -> list[tuple[str, str]]:
    found = report_of_window(version, NOW - DAY, NOW).body["quality"]
    return [(row["feature"], row["check"]) for row in found if row["drifted"]]


class TestService:
    def test_a_limit_holds_with_its_reason_and_is_recorded(self, version: Version, author: Actor) -> None:
        set_quality_limits(version, actor=author, edits=[edit(max_share=0.01)], reason=" never missing ")
        row = QualityLimit.objects.get()
        assert (row.feature, row.check_name, row.said, row.reason) == (
            "age",
            "missing",
            {"max_share": 0.01},
            "never missing",
        )
        record = AuditRecord.objects.get(action="quality_limits.set")
        change = {"feature": "age", "check": "missing", "before": None, "after": {"max_share": 0.01}}
        assert record.subject == "quality_limits:high_cost"
        assert record.data == {"version": "1.0.0", "reason": "never missing", "changes": [change]}
        set_quality_limits(version, actor=author, edits=[edit()], reason="as derived")
        assert QualityLimit.objects.count() == 0
        assert AuditRecord.objects.filter(action="quality_limits.set").latest("seq").data["changes"][0]["after"] is None

    def test_what_changes_nothing_is_not_recorded(self, version: Version, author: Actor) -> None:
        for _ in range(2):
            set_quality_limits(version, actor=author, edits=[edit(off=True)], reason="known")
        set_quality_limits(version, actor=author, edits=[edit(check="type")], reason="known")
        assert AuditRecord.objects.filter(action="quality_limits.set").count() == 1

    def test_it_carries_over_to_the_next_version_that_has_the_feature(self, version: Version, author: Actor) -> None:
        edits = [edit(max_share=0.01), edit("visits", off=True)]
        set_quality_limits(version, actor=author, edits=edits, reason="known")
        wider = watched(version.model, author, columns=3)
        said = {(row.limit.feature, row.limit.check): row.limit.effective for row in limits_of(wider).rows}
        assert said["age", "missing"] == {"max_share": 0.01}
        assert said["visits", "missing"] == {"off": True}
        assert said["x0", "missing"] == {"max_share": 0.05}
        set_quality_limits(wider, actor=author, edits=[edit("x0", off=True)], reason="known")
        before = limits_of(version)
        assert [(row.feature, row.check_name) for row in before.absent] == [("x0", "missing")]

    @pytest.mark.parametrize("role", ["viewer", "data_scientist", "approver", "auditor"])
    def test_who_trains_or_reads_may_not(self, version: Version, role: str) -> None:
        with pytest.raises(Forbidden, match=r"limits\.set in team claims"):
            set_quality_limits(version, actor=actor("other", role), edits=[edit(off=True)], reason="known")
        assert QualityLimit.objects.count() == 0

    def test_a_version_without_a_reference_has_none(self, author: Actor) -> None:
        bare = version_of(author, name="bare", reference=None)
        with pytest.raises(Conflict, match="without a reference") as caught:
            set_quality_limits(bare, actor=author, edits=[edit(off=True)], reason="known")
        assert caught.value.code == "no_reference"

    @pytest.mark.parametrize(
        ("wrong", "field", "code"),
        [
            (edit("agee", off=True), "edits.0.feature", "unknown_feature"),
            (edit(check="unseen", off=True), "edits.0.check", "unknown_check"),
            (edit(check="range", max_share=1.2), "edits.0.limit.max_share", "invalid"),
            (edit(check="range", min="3"), "edits.0.limit.min", "invalid"),
            (edit(check="range", max=float("inf")), "edits.0.limit.max", "invalid"),
            (edit(check="range", max=10**400), "edits.0.limit.max", "invalid"),
            (edit(check="range", min=90, max=10), "edits.0.limit.min", "invalid"),
            (edit(check="range", min=None, max=None), "edits.0.limit.min", "invalid"),
            (edit(max_share=True), "edits.0.limit.max_share", "invalid"),
            (edit(off=False), "edits.0.limit.off", "invalid"),
            (edit(min=1), "edits.0.limit.min", "unknown_field"),
            ({"feature": "age", "check": "missing", "limit": {}}, "edits.0.limit", "invalid"),
            ({"feature": "age", "check": "missing", "limit": [1]}, "edits.0.limit", "invalid"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, version: Version, author: Actor, wrong: dict[str, Any], field: str, code: str
    ) -> None:
        with pytest.raises(Invalid) as caught:
            set_quality_limits(version, actor=author, edits=[wrong], reason="known")
        assert [(e.field, e.code) for e in caught.value.errors] == [(field, code)]
        assert QualityLimit.objects.count() == 0

    def test_a_check_is_set_once_and_with_a_reason(self, version: Version, author: Actor) -> None:
        with pytest.raises(Invalid, match="is set twice"):
            set_quality_limits(version, actor=author, edits=[edit(off=True), edit()], reason="known")
        for reason in ("", "x" * 501):
            with pytest.raises(Invalid, match="reason"):
                set_quality_limits(version, actor=author, edits=[edit(off=True)], reason=reason)


class TestReports:
    def test_a_tighter_limit_alarms_and_a_check_that_is_off_does_not(self, version: Version, author: Actor) -> None:
        answer(version, 500, start=NOW - DAY, missing=0.04)
        assert worse(version) == []
        set_quality_limits(version, actor=author, edits=[edit("visits", max_share=0.005)], reason="always known")
        content = report_of_window(version, NOW - DAY, NOW)
        (finding,) = [each for each in content.findings if each["rule"] == "quality"]
        assert finding["subject"] == "visits"
        assert "of 500 values of visits are missing; 0.0% in the reference, at most 0.5%" in finding["summary"]
        set_quality_limits(version, actor=author, edits=[edit("visits", off=True)], reason="it is optional now")
        assert worse(version) == []

    def test_bounds_are_judged_on_rows_of_the_window(self, version: Version, author: Actor) -> None:
        answer(version, 500, start=NOW - DAY)
        set_quality_limits(version, actor=author, edits=[edit(check="range", max=55)], reason="no older members")
        body = report_of_window(version, NOW - DAY, NOW).body
        (row,) = [each for each in body["quality"] if each["drifted"]]
        assert (row["feature"], row["check"], row["rows"]) == ("age", "range", 500)
        assert row["share"] == pytest.approx(0.31, abs=0.06)
        shown = dashboard(version, period(start=NOW - DAY, end=NOW, now=NOW))
        assert [each.feature for each in shown.quality if each.drifted] == []  # a page reads no rows
        Prediction.objects.filter(version=version).update(features={})
        erased = report_of_window(version, NOW - DAY, NOW).body
        assert [each["feature"] for each in erased["quality"] if each["check"] == "range"] in ([], ["visits"])
        assert erased["notes"] == [f"{GONE}; {uncorrelated(version)}"]

    def test_correlations_of_training_are_kept_to(self, author: Actor) -> None:
        random = np.random.default_rng(0)
        table = random.normal(50, 10, (2_000, 2))
        table[:, 1] = table[:, 0] + random.normal(0, 5, 2_000)
        frame = pd.DataFrame(table, columns=["age", "visits"])
        bins = reference_bins(frame, {"age": "number", "visits": "number"}, salt="m")
        facts = {"correlations": correlations(table, ["age", "visits"]).to_json()}
        version = version_of(author, reference=profile(frame, bins).to_bytes(), facts=facts)
        answer(version, 400, start=NOW - DAY)  # independent
        (row,) = [each for each in report_of_window(version, NOW - DAY, NOW).body["quality"] if each["drifted"]]
        assert (row["feature"], row["check"], row["rows"]) == ("age", "correlation", 400)
        assert row["reference_share"] == pytest.approx(0.88, abs=0.03)
        assert "with visits" in row["message"]
        set_quality_limits(version, actor=author, edits=[edit(check="correlation", max_change=1.5)], reason="known")
        assert worse(version) == []

    def test_a_report_says_why_correlations_are_not_judged(self, version: Version, author: Actor) -> None:
        answer(version, 200, start=NOW - DAY)
        why = "correlations were not judged: 1.0.0 was registered without those of its training data"
        assert report_of_window(version, NOW - DAY, NOW).body["notes"] == [why]
        for rows, said in ((20, "fewer than 30 rows"), (40, "")):
            known = correlations(np.random.default_rng(0).normal(size=(rows, 2)), ["age", "visits"]).to_json()
            other = version_of(author, name=f"m{rows}", facts={"correlations": known})
            assert (said in uncorrelated(other), bool(uncorrelated(other))) == (True, bool(said))

    def test_a_sample_is_spread_over_the_window(self, version: Version) -> None:
        answer(version, 2_400, start=NOW - DAY)
        found = sample_of(version, NOW - DAY, NOW, names=["age", "visits"])
        assert found is not None
        assert (len(found), list(found.columns)) == (ROWS, ["age", "visits"])
        ages = [row["age"] for row in Prediction.objects.order_by("predicted_at").values_list("features", flat=True)]
        places = sorted(ages.index(age) for age in found["age"])
        assert [sum(300 * n <= at < 300 * (n + 1) for at in places) for n in range(8)] == [125] * 8
        assert sample_of(version, NOW, NOW + timedelta(hours=1), names=["age"]) is None


class TestApi:
    def test_it_says_what_is_derived_what_is_set_and_what_holds(self, version: Version, api: Client) -> None:
        assert put(api, edit(check="range", max=120, min=18), reason="adults").status_code == 200
        said = api.get(API).json()
        assert (said["model"], said["version"], said["absent"]) == ("high_cost", "1.0.0", [])
        assert said["note"].startswith("correlations were not judged: 1.0.0 was registered without")
        (row,) = [each for each in said["limits"] if (each["feature"], each["check"]) == ("age", "range")]
        assert row["set"] == {"min": 18, "max": 120}
        assert row["effective"] == {"min": 18, "max": 120, "max_share": 0.05}
        assert row["derived"]["max"] < 120
        assert (row["reason"], row["set_by"], row["by_rows"]) == ("adults", "author", True)
        (plain,) = [each for each in said["limits"] if (each["feature"], each["check"]) == ("visits", "missing")]
        assert (plain["set"], plain["effective"], plain["set_by"]) == (None, {"max_share": 0.05}, None)
        assert put(api, edit(check="range")).json()["limits"][2]["set"] is None

    def test_what_is_wrong_is_a_problem(self, version: Version, api: Client) -> None:
        answer = put(api, edit(max_share=7))
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "edits.0.limit.max_share")
        assert put(api).status_code in (400, 422)
        assert put(api, {"feature": "age"}).status_code in (400, 422)
        assert api.get(API, {"version": "9.9.9"}).status_code == 404

    def test_another_teams_model_does_not_exist(self, version: Version) -> None:
        outsider = Client(headers=bearer(user(actor("olga", "ml_engineer", team="fraud"))))
        assert outsider.get(API).status_code == 404
        assert put(outsider, edit(off=True)).status_code == 404

    def test_without_a_reference_it_says_so(self, author: Actor, api: Client) -> None:
        version_of(author, name="high_cost", reference=None)
        said = api.get(API).json()
        assert said["limits"] == []
        assert "was registered without a reference" in said["note"]


class TestPages:
    def form(self, **query: str) -> str:
        return f"{PAGE}/set?{urlencode({'feature': 'age', 'check': 'range', **query})}"

    def test_a_limit_is_set_and_reset_on_the_page(self, version: Version, browser: Client) -> None:
        shown = browser.get(PAGE).content.decode()
        assert "What is the data of high_cost 1.0.0 held to?" in shown
        assert shown.count("as derived") == len(limits_of(version).rows)
        sent = browser.post(self.form(), {"min": "18", "max": "", "max_share": "", "reason": "adults"})
        assert (sent.status_code, sent["Location"]) == (302, f"{PAGE}?version=1.0.0")
        assert QualityLimit.objects.get().said == {"min": 18.0}
        shown = browser.get(PAGE).content.decode()
        assert "adults" in shown
        assert "Edit or reset…" in shown
        assert 'value="18.0"' in browser.get(self.form()).content.decode()
        assert browser.post(self.form(), {"reset": "1", "reason": "no"}).status_code == 302
        assert QualityLimit.objects.count() == 0
        assert "derived again" in browser.get(PAGE).content.decode()

    def test_a_bound_is_set_to_none_and_shown_so(self, version: Version, browser: Client) -> None:
        assert browser.post(self.form(), {"no_min": "on", "max": "90", "reason": "babies"}).status_code == 302
        assert QualityLimit.objects.get().said == {"max": 90.0, "min": None}
        assert "none to 90" in browser.get(PAGE).content.decode()
        shown = browser.get(self.form()).context["form"]
        assert (shown["no_min"].value(), shown["no_max"].value(), shown["max"].value()) == (True, None, 90.0)
        both = browser.post(self.form(), {"no_min": "on", "min": "1", "reason": "typo"})
        assert (both.status_code, "Either a value or none." in both.content.decode()) == (422, True)
        neither = browser.post(self.form(), {"no_min": "on", "no_max": "on", "reason": "typo"})
        assert (neither.status_code, "say off instead" in neither.content.decode()) == (422, True)
        assert QualityLimit.objects.get().said == {"max": 90.0, "min": None}

    def test_what_is_refused_stays_in_the_form(self, version: Version, browser: Client) -> None:
        sent = browser.post(self.form(), {"min": "200", "reason": "typo"})
        assert sent.status_code == 422
        assert "min must not be above max" in sent.content.decode()
        assert browser.get(self.form(check="unseen")).status_code == 404

    def test_who_may_not_set_sees_the_table_alone(self, version: Version) -> None:
        client = Client()
        client.force_login(user(actor("vera", "viewer")), backend="django.contrib.auth.backends.ModelBackend")
        shown = client.get(PAGE)
        assert shown.status_code == 200
        assert "Edit…" not in shown.content.decode()
        assert client.get(self.form()).status_code == 403
