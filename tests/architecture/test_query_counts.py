"""Each endpoint and page that reads takes as many SQL statements as committed, however many rows there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver

from mlops_site.core.models import Delivery
from mlops_site.core.permissions import Actor
from registry import services as registry
from tests import factories, query_counts
from tests.factories import Scene
from tests.monitoring.parts import finding, raised
from tests.people import bearer, person
from tests.registry.parts import candidate
from tests.training import runs

pytestmark = pytest.mark.django_db
TIMES = 2  # versions, and requests for them, that the scene begins with
Counting = Callable[[str], AbstractContextManager[None]]


class Site:
    """The scene, its people's clients, and every reading address in it by the name of its route."""

    def __init__(self) -> None:
        self.scene: Scene = factories.scene()
        self.machine = Client(headers=bearer(person("claims-app", "service", team=factories.TEAM)))
        self.engineer = self._api(self.scene.author.user)
        self.auditor = self._api(self.scene.auditor.user)
        self.browser, self.auditors_browser = (self._browser(who) for who in (self.scene.author, self.scene.auditor))

    def _api(self, user: Any) -> Client:
        return Client(headers=bearer(user))

    def _browser(self, who: Actor) -> Client:
        assert who.user is not None
        browser = Client()
        browser.force_login(who.user, backend="django.contrib.auth.backends.ModelBackend")
        return browser

    def api(self) -> dict[str, str]:
        scene = self.scene
        one, two, run = scene.served.number, scene.staged.number, scene.run.pk
        model = f"models/{scene.model.name}"
        dataset = f"datasets/{scene.dataset.dataset.name}/{scene.dataset.version}"
        return {
            "models": "models",
            "models/<model:name>": model,
            "models/<model:name>/schema": f"{model}/schema",
            "models/<model:name>/compare/<version:v1>/<version:v2>": f"{model}/compare/{one}/{two}",
            "models/<model:name>/versions": f"{model}/versions",
            "models/<model:name>/<version:version>": f"{model}/{one}",
            "approvals": "approvals",
            "approvals/<int:pk>": f"approvals/{scene.request.pk}",
            "datasets": "datasets",
            "datasets/<str:name>/<int:version>": dataset,
            "training/status/<uuid:job_id>": f"training/status/{run}",
            "training/runs": "training/runs",
            "models/<model:name>/retrain-policy": f"{model}/retrain-policy",
            "jobs/<uuid:job_id>": f"jobs/{run}",
            "monitoring/alerts": "monitoring/alerts",
            "monitoring/reports": "monitoring/reports",
            "monitoring/reports/<uuid:pk>": f"monitoring/reports/{scene.alert.report_id}",
            "monitoring/dashboard/<model:model>": f"monitoring/dashboard/{scene.model.name}",
        }

    def pages(self) -> dict[str, str]:
        scene = self.scene
        model, run = f"/models/{scene.model.name}", scene.working.pk
        return {
            "home": "/",
            "models": "/models",
            "model": model,
            "version": f"{model}/{scene.served.number}",
            "compare": f"{model}/compare?v1={scene.served.number}&v2={scene.staged.number}",
            "runs": "/runs",
            "run": f"/runs/{run}",
            "run_progress": f"/runs/{run}/progress",
            "datasets": "/datasets",
            "dataset": f"/datasets/{scene.dataset}",
            "alerts": "/alerts",
            "monitoring": f"{model}/monitoring",
            "timeline": f"{model}/timeline",
            "reports": "/reports",
            "report": f"/reports/{scene.alert.report_id}",
            "alert": f"/alerts/{scene.alert.pk}",
            "admin alerts": "/admin/monitoring/alert/",
            "admin schedules": "/admin/django_celery_beat/periodictask/",
            "retraining": f"{model}/retraining",
            "admin deliveries": "/admin/core/delivery/",
            "admin approvals": "/admin/registry/promotionrequest/",
            "admin predictions": "/admin/monitoring/prediction/",
        }

    def requests(self) -> dict[str, Callable[[], Any]]:
        """Name -> what asks it once."""
        predict = f"/api/v1/models/{self.scene.model.name}/predict"
        rows = [{"features": {"age": 50, "visits": n}} for n in range(9)]
        ask = partial(self.machine.post, predict, content_type="application/json")
        return {
            "GET /audit": partial(self.auditor.get, "/api/v1/audit"),
            "page admin audit": partial(self.auditors_browser.get, "/admin/core/auditrecord/"),
            "POST /models/<model:name>/predict": partial(ask, data=rows[0]),
            "POST /models/<model:name>/predict of 9 rows": partial(ask, data={"rows": rows}),
            **{f"GET /{name}": partial(self.engineer.get, f"/api/v1/{path}") for name, path in self.api().items()},
            **{f"page {name}": partial(self.browser.get, path) for name, path in self.pages().items()},
        }

    def grow(self) -> None:
        """Ten times as much of everything that lists show."""
        scene = self.scene
        for n in range(9 * TIMES):
            parts = candidate(1, params={"C": 100.0 + n})  # without a holdout: none has to be compared
            version = registry.register_version(scene.model, actor=scene.author, candidate=parts)
            registry.move_stage(version, actor=scene.author, target_stage="staging", reason="another")
            registry.request_promotion(version, actor=scene.author, reason="another")
        for n in range(9):
            registry.create_model(actor=scene.author, name=f"another_{n}", task_type="regression")
            dataset = runs.dataset_version(scene.scientist, name=f"another_{n}", rows=60)
            runs.queued_run(scene.scientist, scene.model, dataset)
            runs.queued_run(scene.scientist, scene.model, dataset)
        raised(scene.served, *(finding("quality", f"feature {n}") for n in range(9)))
        factories.predictions(scene.staged, 270)
        told = {"channel": "x", "subject": scene.alert.subject, "team": scene.model.team, "event": "x", "body": {}}
        Delivery.objects.bulk_create(Delivery(**told) for _ in range(9))


def counted(ask: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert ask().status_code == 200
    return len(query_counts.statements(queries))


def test_every_reading_endpoint_takes_as_many_statements_as_committed(count_queries: Counting) -> None:
    site, wrong = Site(), []
    for name, ask in site.requests().items():
        answer = ask()  # once before, to fill what a process keeps
        assert answer.status_code == 200, f"{name}: {answer.status_code}"
        try:
            with count_queries(name):
                ask()
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, "\n\n".join(wrong)


def test_ten_times_the_rows_take_as_many_statements() -> None:
    site = Site()
    before = {name: (ask(), counted(ask))[1] for name, ask in site.requests().items()}
    site.grow()
    after = {name: (ask(), counted(ask))[1] for name, ask in site.requests().items()}
    changed = {name: (before[name], count) for name, count in after.items() if count != before[name]}
    assert changed == {}


def test_no_endpoint_that_reads_is_left_out() -> None:
    api = next(p for p in get_resolver().url_patterns if str(p.pattern) == "api/v1/")
    routes = {
        str(pattern.pattern)
        for resolver in get_resolver().url_patterns
        if str(resolver.pattern) == str(api.pattern)
        for pattern in getattr(resolver, "url_patterns", [])
        if isinstance(pattern, URLPattern) and hasattr(getattr(pattern.callback, "view_class", None), "get")
    }
    assert {f"GET /{route}" for route in routes} <= set(query_counts.known())


@pytest.mark.skipif(bool(os.environ.get("REWRITE_QUERY_COUNTS")), reason="the file is being written")
class TestMechanism:
    def test_another_number_fails_and_shows_the_statements(self, count_queries: Counting) -> None:
        count_nothing = count_queries("GET /audit")
        with pytest.raises(AssertionError, match="GET /audit takes 0 statements instead of"), count_nothing:
            pass

    def test_a_new_name_must_be_written(self, count_queries: Counting) -> None:
        with pytest.raises(AssertionError, match="nothing takes 0 statements; write that"), count_queries("nothing"):
            pass
