"""A promotion that one web process has answered is what the next prediction on any other process serves.

Three real processes on PostgreSQL; promotions and rollbacks through one of them, each followed at once by a prediction
on another. `make test` changes production 50 times, `make drill` 2,000 times.
"""

from __future__ import annotations

import http.client
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from abtesting.stats.assignment import assign
from mlops_site.core.models import User
from mlops_site.core.permissions import Actor
from registry import services
from registry.models import Version
from tests.abtesting.parts import begun, challenger
from tests.people import actor, bearer, person
from tests.processes import Process, free_port, listens
from tests.registry.parts import into_production, user
from tests.training.workers import ENV, until

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

PROCESSES = 3
GUNICORN = [sys.executable, "-m", "gunicorn", "mlops_site.wsgi:application", "--no-control-socket"]


class Web:
    """One web process, spoken to over a kept connection."""

    def __init__(self, processes: Callable[..., Process]) -> None:
        self.port = free_port()
        where = [
            "--bind",
            f"127.0.0.1:{self.port}",
            "--worker-class",
            "mlops_site.web.WebWorker",
            "--threads",
            "4",
            "--keep-alive",
            "65",
        ]
        processes([*GUNICORN, *where], env=ENV)
        until(lambda: listens(self.port))
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def post(self, path: str, body: Any, headers: dict[str, str]) -> Any:
        sent = {**headers, "Content-Type": "application/json"}
        self.connection.request("POST", f"/api/v1{path}", json.dumps(body), sent)
        response = self.connection.getresponse()
        said = json.loads(response.read())
        assert response.status < 300, f"{path} answered {response.status}: {said}"
        return said


class Site:
    """Two versions that take turns: one is rolled back, and approved again by a second person."""

    def __init__(self, processes: Callable[..., Process]) -> None:
        author, approver = actor("author", "ml_engineer"), actor("approver", "approver")
        model = services.create_model(actor=author, name="claims", task_type="classification")
        self.first, self.second = (
            into_production(model, author=author, approver=approver, seed=seed).number for seed in (0, 1)
        )
        self.author, self.approver = bearer(user(author)), bearer(user(approver))
        self.machine = bearer(person("claims-app", "service"))
        self.web = [Web(processes) for _ in range(PROCESSES)]

    def back(self, web: Web) -> str:
        said = web.post("/models/claims/rollback", {"reason": "it was worse"}, self.approver)
        return str(said["version"])

    def forth(self, web: Web) -> str:
        order = {"target_stage": "production", "reason": "it is better after all"}
        asked = web.post(f"/models/claims/{self.second}/promote", order, self.author)
        request = asked["request"]["id"]
        said = web.post(f"/approvals/{request}/approve", {"comment": "looked at again"}, self.approver)
        assert said["status"] == "approved"
        return self.second

    def predict(self, web: Web) -> str:
        said = web.post("/models/claims/predict", {"features": {"age": 50, "visits": 3}}, self.machine)
        return str(said["version"])


@pytest.fixture
def site(processes: Callable[..., Process]) -> Iterator[Site]:
    made = Site(processes)
    yield made
    for web in made.web:
        web.connection.close()


def changes_seen(site: Site, changes: int) -> Counter[bool]:
    """Whether each change was what the very next prediction on another process served."""
    seen: Counter[bool] = Counter()
    pairs = itertools.cycle(itertools.permutations(site.web, 2))
    for number, (one, other) in zip(range(changes), pairs, strict=False):
        now = site.forth(one) if number % 2 else site.back(one)
        assert now == (site.second if number % 2 else site.first)
        seen[site.predict(other) == now] += 1
    return seen


def test_fifty_changes_are_served_by_the_next_prediction(site: Site) -> None:
    assert changes_seen(site, 50) == {True: 50}


def test_a_unit_has_one_arm_on_every_process(site: Site) -> None:
    """Its answer too: each process serves A and B, and nobody has told them of the experiment but the database."""
    a = Version.objects.get(intervals__ended_at=None, intervals__stage="production")
    assert [site.predict(web) for web in site.web] == [a.number] * PROCESSES
    author = Actor.of(User.objects.get(username="author"))
    b = challenger(a, author=author, seed=2)
    epoch = begun(a, b, author=author)
    split, seen = epoch.split(epoch.experiment), Counter[str]()
    for unit in (f"person {n}" for n in range(20)):
        arm, body = assign(split, unit), {"features": {"age": 50, "visits": 3}, "unit_id": unit}
        said = [web.post("/models/claims/predict", body, site.machine) for web in site.web]
        assert {(each["arm"], each["version"]) for each in said} == {(arm, a.number if arm == "a" else b.number)}
        seen[arm] += 1
    assert set(seen) == {"a", "b"}


@pytest.mark.slow
def test_two_thousand_changes_are_served_by_the_next_prediction(site: Site) -> None:
    assert changes_seen(site, 2_000) == {True: 2_000}
