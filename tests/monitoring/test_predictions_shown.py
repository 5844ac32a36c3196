"""How predictions are spread: on the page, over the API, as a sheet, in a report and in the file to send around."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.test import Client
from django.utils import timezone

from mlops_site.core.permissions import Actor
from monitoring.analysis import report_of_window
from monitoring.choices import DAY
from monitoring.models import Report
from monitoring.pipeline.standalone import report_file
from monitoring.services import fold_all, log_labels, log_predictions
from monitoring.services.reports import Window, keep_report
from registry import services as registry
from registry.models import RegisteredModel, Version
from tests.people import actor, bearer
from tests.registry.parts import SIGNATURE, candidate, user

pytestmark = pytest.mark.django_db
CLASSES = ["dent", "fire", "theft"]
VALUES = {"task_type": "regression", "classes": None, "positive_class": None, "output": "value"}
KINDS = {"task_type": "classification", "classes": CLASSES, "positive_class": None, "output": "probability"}


def holdout(said: list[Any]) -> bytes:
    """What the version answered on rows held out, all of it right."""
    sink = io.BytesIO()
    keys = [str(n) for n in range(len(said))]
    pd.DataFrame({"row_key": keys, "label": said, "prediction": said}).to_parquet(sink)
    return sink.getvalue()


def asked(author: Actor, shape: dict[str, Any], held: list[Any] | None, said: list[Any]) -> Version:
    model = registry.create_model(actor=author, name="amounts", task_type=shape["task_type"])
    parts: dict[str, Any] = {"signature": SIGNATURE | shape, "holdout_bytes": holdout(held) if held else None}
    version = registry.register_version(model, actor=author, candidate=candidate(**parts))
    log(model, said)
    return version


def log(model: RegisteredModel, said: list[Any]) -> None:
    rows = [
        {
            "model_name": model.name,
            "model_version": "1.0.0",
            "request_id": f"r{n}",
            "features": {"age": 40.0, "visits": 2.0},
            "prediction": each,
            "latency_ms": 5.0,
        }
        for n, each in enumerate(said)
    ]
    machine = actor("claims-app", "service")
    assert len(log_predictions(rows, actor=machine).rejected) == 0
    log_labels([{"model_name": model.name, "request_id": "r0", "label": said[0]}], actor=machine)
    fold_all()


def told(author: Actor) -> Any:
    return Client(headers=bearer(user(author))).get("/api/v1/monitoring/dashboard/amounts").json()


class TestValues:
    @pytest.fixture
    def version(self, author: Actor) -> Version:
        random = np.random.default_rng(0)
        held, now = random.normal(1000, 100, 400), random.normal(1300, 100, 300)
        return asked(author, VALUES, held.tolist(), now.tolist())

    def test_they_stand_beside_the_holdout_everywhere(self, version: Version, author: Actor) -> None:
        found = told(author)["predictions"]
        assert (found["kind"], found["rows"], found["against"]) == ("value", 300, "the holdout at registration")
        for side in ("reference", "window"):
            assert sum(row[side] for row in found["pieces"]) == pytest.approx(1)
        first, last = found["pieces"][2], found["pieces"][-3]
        assert first["reference"] > first["window"]
        assert last["window"] > last["reference"]
        assert {row["before"] for row in found["pieces"]} == {None}
        browser = Client()
        browser.force_login(user(author))
        page = browser.get("/models/amounts/monitoring").content.decode()
        assert 'data-figure="predictions"' in page
        assert "values of 300 answers, against the holdout at registration" in page
        sheet = Client(headers=bearer(user(author))).get("/api/v1/monitoring/dashboard/amounts/figures/predictions.csv")
        rows = list(csv.DictReader(io.StringIO(sheet.getvalue().decode(), newline="")))
        assert [row["prediction"] for row in rows] == [row["piece"] for row in found["pieces"]]

    def test_a_report_keeps_them_and_its_file_draws_them(self, version: Version, author: Actor) -> None:
        now = timezone.now()
        content = report_of_window(version, now - DAY, now)
        kept = keep_report(version, content, Window(now - DAY, now), explicit=True, created_by=user(author))
        said = Client(headers=bearer(user(author))).get(f"/api/v1/monitoring/reports/{kept.pk}").json()
        assert said["predictions"]["rows"] == 300
        assert 'data-figure="predictions"' in report_file(Report.objects.get())
        del kept.body["predictions"]  # as one of before
        kept.body["answers"] = None
        assert 'data-figure="predictions"' not in report_file(kept)


class TestClasses:
    def test_all_answers_count_whether_a_label_came_or_not(self, author: Actor) -> None:
        version = asked(author, KINDS, CLASSES * 50, ["fire"] * 150 + ["dent"] * 50)
        said = told(author)
        rows = {row["piece"]: row for row in said["predictions"]["pieces"]}
        assert list(rows) == CLASSES
        assert (rows["fire"]["window"], rows["theft"]["window"]) == (0.75, 0.0)
        assert rows["fire"]["reference"] == pytest.approx(1 / 3)
        drift = {row["subject"]: row for row in said["answers"]["rows"]}
        assert (drift["prediction"]["n"], drift["prediction"]["drifted"], drift["prediction"]["level"]) == (
            200, True, "fire",
        )  # fmt: skip
        assert drift["label"]["n"] == 1
        assert version.number == "1.0.0"

    def test_without_a_holdout_there_is_only_the_window(self, author: Actor) -> None:
        asked(author, KINDS, None, ["fire", "dent"])
        found = told(author)["predictions"]
        assert (found["against"], found["rows"]) == ("", 2)
        assert {row["reference"] for row in found["pieces"]} == {None}
