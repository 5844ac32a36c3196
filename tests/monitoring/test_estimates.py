"""Performance before labels: kept with the version, shown, tested by labels, and distrusted where it missed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.test import Client

from mlops_site.core.permissions import Actor
from mlops_site.stats.heldout import HeldOut
from monitoring.analysis import report_of_window
from monitoring.models import Alert, Bucket, Label, Prediction
from monitoring.selectors import window_sum
from monitoring.selectors.dashboard import dashboard
from monitoring.selectors.estimates import Estimated, estimated
from monitoring.selectors.periods import period
from monitoring.services import fold_all
from monitoring.services.reports import Content, Window, keep_report
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.traffic import DAY, NOW, version_of
from tests.people import bearer
from tests.registry.parts import holdout, user

pytestmark = pytest.mark.django_db

HELD = np.random.default_rng(0).beta(2, 3, 3_000)
TRUE = (np.random.default_rng(1).random(3_000) < HELD).astype(int)
F1 = 0.63  # at a threshold of 0.4


@kept_fixture
def version(author: Actor) -> Version:
    """Of two classes, with a holdout of 3,000 calibrated scores."""
    metrics = {"f1_score": {"value": F1, "ci95": None}}
    return version_of(author, holdout_bytes=holdout(HELD, label=TRUE), threshold=0.4, metrics=metrics)


def ask(version: Version, count: int, day: int, **how: Any) -> None:
    """Answers of the day so many before now. `high` raises the scores, `drift` lowers what they mean, `labelled` is the
    share of them whose label is known."""
    random = np.random.default_rng(day)
    score = random.beta(2, how.get("high", 3), count)
    label = (random.random(count) < np.clip(score - how.get("drift", 0.0), 0, 1)).astype(int)
    start = NOW - day * DAY
    rows = [
        Prediction(
            model=version.model,
            version=version,
            request_id=f"{day}-{place}",
            payload_digest="0" * 64,
            features={"age": 50.0, "visits": 50.0},
            prediction=int(score[place] >= 0.4),
            decision=int(score[place] >= 0.4),
            score=float(score[place]),
            threshold=0.4,
            predicted_at=start + DAY * place / count,
        )
        for place in range(count)
    ]
    Prediction.objects.bulk_create(rows)
    share = how.get("labelled", 0.0)
    known = {"model": version.model, "revision": 1, "created_by": version.created_by}
    Label.objects.bulk_create(
        Label(**known, request_id=row.request_id, label=int(label[place]))
        for place, row in enumerate(rows)
        if int(place * share) < int((place + 1) * share)  # evenly over the day
    )
    fold_all()


def yesterday(version: Version) -> Content:
    return report_of_window(version, NOW - DAY, NOW)


def of_yesterday(version: Version) -> Estimated:
    return estimated(version, window_sum(version, NOW - DAY, NOW))


def told(content: Content) -> list[tuple[str, str]]:
    return [
        (found["rule"], found["subject"]) for found in content.findings if found["rule"] in ("performance", "estimate")
    ]


def test_registration_keeps_the_scores_of_the_holdout(version: Version) -> None:
    kept = Version.objects.get(pk=version.pk).held_out
    assert kept is not None
    held = HeldOut.from_bytes(bytes(kept))
    assert (held.rows.sum(), held.positive.sum(), held.threshold) == (3_000, TRUE.sum(), 0.4)


def test_without_labels_it_says_what_to_expect_and_what_that_rests_on(version: Version) -> None:
    ask(version, 800, 1)
    found = of_yesterday(version)
    f1 = next(one for one in found.metrics if one.name == "f1_score")
    assert found.method == "CBPE"
    assert f1.value == pytest.approx(F1, abs=0.04)
    assert f1.ci95[0] < F1 < f1.ci95[1]
    assert found.verdict is not None
    assert (found.verdict.status, found.verdict.metric) == ("untested", "f1_score")
    assert "3,000 rows that were held out" in found.verdict.reason
    content = yesterday(version)
    said = content.body["performance"]["estimated"]
    assert said == found.to_json()
    assert [row["name"] for row in said["metrics"]][:2] == ["f1_score", "precision"]
    assert said["metrics"][0]["baseline"] == F1
    assert content.body["performance"]["realised"] == []
    assert told(content) == []


def test_it_agrees_with_the_labels_that_come_later(version: Version) -> None:
    for day in range(6, 0, -1):
        ask(version, 400, day, labelled=0.8)
    found = of_yesterday(version)
    assert found.verdict is not None
    assert found.verdict.status == "trusted", found.verdict.reason
    assert sum(past.covered for past in found.verdict.past) >= 5
    assert sum(past.labelled for past in found.verdict.past) == 6 * 320
    assert found.is_believed


def test_what_is_expected_to_fall_is_told_before_any_label(version: Version) -> None:
    """The scores of the window are so low that few answers are expected to be right about a positive."""
    ask(version, 600, 1, high=9)
    content = yesterday(version)
    assert told(content) == [("estimate", "f1_score")]
    assert "estimated at 0." in content.findings[0]["summary"]
    assert "before labels arrive" in content.findings[0]["summary"]
    keep_report(version, content, Window(NOW - DAY, NOW), explicit=True)
    alert = Alert.objects.get(rule="estimate")
    assert (alert.severity, alert.subject_key) == ("high", "f1_score")


def test_a_fall_that_labels_show_is_told_by_them_alone(version: Version) -> None:
    ask(version, 600, 1, high=9, labelled=0.5)
    content = yesterday(version)
    assert told(content) == [("performance", "f1_score")]


def test_concept_drift_distrusts_it_and_then_it_raises_nothing(version: Version) -> None:
    for day in range(5, 1, -1):
        ask(version, 400, day, labelled=1.0, drift=0.0 if day > 3 else 0.25)
    ask(version, 600, 1, high=9)
    found = of_yesterday(version)
    assert found.verdict is not None
    assert found.verdict.status == "distrusted"
    assert "concept drift" in found.verdict.reason
    assert not found.is_believed
    content = yesterday(version)
    assert told(content) == []
    said = content.body["performance"]["estimated"]["verdict"]
    assert (said["status"], said["reason"]) == ("distrusted", found.verdict.reason)
    assert [row["covered"] for row in said["past"]][-2:] == [False, False]


def test_the_cost_does_not_grow_with_traffic(version: Version, django_assert_num_queries: Any) -> None:
    for day in (2, 1):
        ask(version, 100, day, labelled=1.0)
    now = window_sum(version, NOW - DAY, NOW)
    with django_assert_num_queries(1):  # the buckets
        estimated(version, now)
    assert Bucket.objects.count() < 60


def test_the_page_the_endpoint_and_the_report_show_it(version: Version, author: Actor) -> None:
    for day in range(4, 1, -1):
        ask(version, 400, day, labelled=1.0, drift=0.25)
    ask(version, 300, 1)
    ends = {"from": (NOW - 4 * DAY).isoformat(), "to": NOW.isoformat()}
    api = Client(headers=bearer(user(author)))
    said = api.get("/api/v1/monitoring/dashboard/high_cost", ends).json()
    assert said["estimated"]["method"] == "CBPE"
    assert said["estimated"]["verdict"]["status"] == "distrusted"
    steps = [step for step in said["series"]["steps"] if step["predictions"]]
    assert all(step["estimated_ci95"][0] <= step["estimated"] <= step["estimated_ci95"][1] for step in steps)
    assert any(step["value"] is not None and step["value"] < step["estimated_ci95"][0] for step in steps)
    pages = Client()
    pages.force_login(user(author))
    html = pages.get(
        "/models/high_cost/monitoring", {"from": ends["from"][:16], "to": ends["to"][:16]}
    ).content.decode()
    assert "estimated before labels" in html
    assert "estimated, not believed" in html  # the line's name in the chart
    assert "concept drift" in html
    report = keep_report(version, yesterday(version), Window(NOW - DAY, NOW), explicit=True)
    assert "concept drift" in pages.get(f"/reports/{report.pk}").content.decode()
    kept = api.get(f"/api/v1/monitoring/reports/{report.pk}").json()["performance"]["estimated"]
    assert kept["verdict"]["status"] == "distrusted"
    assert {row["name"] for row in kept["metrics"]} >= {"f1_score", "roc_auc", "brier"}


def test_a_version_without_held_out_scores_says_why(author: Actor) -> None:
    other = version_of(author, name="uploaded")
    ask(other, 200, 1, labelled=1.0)
    assert other.held_out is None
    found = yesterday(other).body["performance"]["estimated"]
    assert (found["metrics"], found["verdict"]) == ([], None)
    assert found["note"].startswith("not computable: the version was registered without scores")
    board = dashboard(other, period(start=NOW - timedelta(days=1), end=NOW))
    assert board.expected == [None] * len(board.period.times)


@pytest.mark.parametrize("wrong", [b"no parquet", holdout([0.5, 7.0], label=[0, 1]), holdout([0.5, 0.6], label=[0, 3])])
def test_a_holdout_that_does_not_fit_is_no_reason_to_refuse_the_version(author: Actor, wrong: bytes) -> None:
    assert version_of(author, holdout_bytes=wrong).held_out is None


def test_an_empty_window_has_nothing_to_estimate_from(version: Version) -> None:
    found = yesterday(version).body["performance"]["estimated"]
    assert (found["method"], found["metrics"]) == ("CBPE", [])
    assert found["note"] == "the window has no answers to estimate from"
