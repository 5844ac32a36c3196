"""Thirty-two threads ask, decide, withdraw, archive and roll back one model over the API, fifty rounds each.

`make test` lets 8 threads do 10 rounds; `make drill` is the long form. Nobody gets a 500, PostgreSQL sees no deadlock,
a reader never sees two versions in production or none, and every row that is left is lawful.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from mlops_site.core import audit
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import PromotionRequest, RegisteredModel
from tests.people import actor as person
from tests.registry.http import Person
from tests.registry.stateful.judge import faults, history_faults
from tests.registry.stateful.rows import rows_of
from tests.registry.test_concurrency import candidate, watched

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ROLES = {"ada": "approver", "ben": "approver", "vik": "validator", "eva": "ml_engineer", "emil": "ml_engineer"}
EXPECTED = {200, 201, 202, 403, 409}
ACTS = [
    "stage", "stage", "ask", "ask", "ask", "approve", "approve", "approve", "object", "withdraw", "withdraw", "archive",
    "roll_back", "register",
]  # fmt: skip


class Crowd:
    """One model, its people over HTTP, and what their requests came to."""

    def __init__(self) -> None:
        self.actors: dict[str, Actor] = {name: person(name, role) for name, role in ROLES.items()}
        self.model: RegisteredModel = services.create_model(
            actor=self.actors["emil"], name="claims", task_type="classification"
        )
        self.people = {name: Person(actor) for name, actor in self.actors.items()}
        self.outcomes: Counter[str] = Counter()
        self._count = threading.Lock()

    def work(self, seed: int, rounds: int) -> None:
        """One thread's rounds."""
        chance = random.Random(seed)
        try:
            for _ in range(rounds):
                act = chance.choice(ACTS)
                outcome = getattr(self, f"_{act}")(chance)
                with self._count:
                    self.outcomes[f"{act}: {outcome}"] += 1
        finally:
            connection.close()

    def into_production(self, content: float) -> None:
        version = services.register_version(self.model, actor=self.actors["emil"], candidate=candidate(content))
        services.move_stage(version, actor=self.actors["emil"], target_stage="staging", reason="ready")
        request = services.request_promotion(version, actor=self.actors["emil"], reason="better")
        services.review_request(request, actor=self.actors["ben"], decision="approve", comment="looked at")

    def _register(self, chance: random.Random) -> str:
        services.register_version(self.model, actor=self.actors["eva"], candidate=candidate(chance.random()))
        return "201"

    def _stage(self, chance: random.Random) -> str:
        return self._move(chance, "staging")

    def _ask(self, chance: random.Random) -> str:
        return self._move(chance, "production")

    def _archive(self, chance: random.Random) -> str:
        return self._move(chance, "archived")

    def _move(self, chance: random.Random, target: str) -> str:
        """One of the newest versions: there the others are too."""
        number = chance.choice(list(selectors.versions(self.model)[:6])).number
        body = {"target_stage": target, "reason": "the crowd wants it"}
        return self._post(chance.choice(["eva", "emil"]), f"/models/claims/{number}/promote", body)

    def _approve(self, chance: random.Random) -> str:
        return self._decide(chance, ["ada", "ben", "vik", "eva"], "approve")

    def _object(self, chance: random.Random) -> str:
        return self._decide(chance, ["ada", "vik"], chance.choice(["reject", "request-changes"]))

    def _withdraw(self, chance: random.Random) -> str:
        return self._decide(chance, ["eva", "emil"], "withdraw")

    def _decide(self, chance: random.Random, people: list[str], decision: str) -> str:
        newest = list(PromotionRequest.objects.order_by("-pk").values_list("pk", "status")[:4])
        if not newest:
            return "nothing asked"
        waiting = [pk for pk, status in newest if status == "pending"]
        # Mostly one that waits: by the time that it is decided others have decided too.
        chosen = waiting if waiting and chance.random() < 0.8 else [pk for pk, _ in newest]
        path = f"/approvals/{chance.choice(chosen)}/{decision}"
        return self._post(chance.choice(people), path, {"comment": "looked at"})

    def _roll_back(self, chance: random.Random) -> str:
        return self._post(chance.choice(["ada", "ben"]), "/models/claims/rollback", {"reason": "worse"})

    def _post(self, who: str, path: str, body: dict[str, str]) -> str:
        status, said = self.people[who].post(path, body)
        while status == 429:  # one process takes 12 requests at a time, and says to try again
            time.sleep(0.02)
            status, said = self.people[who].post(path, body)
        assert status in EXPECTED, f"{path} answered {status}: {said}"
        return f"{status} {said.get('code', '')}".strip()


def race(threads: int, rounds: int) -> Counter[str]:
    """What came of it, once everything that is left was found lawful."""
    crowd, deadlocks = Crowd(), deadlocks_seen()
    crowd.into_production(0.1)
    crowd.into_production(0.2)
    with watched(crowd.model) as seen, ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(crowd.work, seed, rounds) for seed in range(threads)]:
            done.result()
    assert set(seen) == {1}
    assert sum(crowd.outcomes.values()) == threads * rounds
    assert "refused_by_law" not in " ".join(crowd.outcomes)  # the lock keeps the order; the laws stand behind it
    assert deadlocks_seen() == deadlocks
    print(dict(sorted(crowd.outcomes.items())))  # noqa: T201  (pytest shows it where the counts below fall short)
    rows = rows_of(crowd.model)
    assert list(history_faults(rows)) == []
    assert faults(rows._replace(intervals={}, reviews={}), rows) == []
    assert list(audit.faults()) == []
    return crowd.outcomes


def deadlocks_seen() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def reached(outcomes: Counter[str]) -> Callable[[str, str], int]:
    return lambda act, end: sum(count for said, count in outcomes.items() if said.startswith(f"{act}: {end}"))


def test_eight_threads_of_ten_rounds() -> None:
    count = reached(race(8, 10))
    assert count("ask", "202") + count("stage", "200") > 3


@pytest.mark.slow
def test_thirty_two_threads_of_fifty_rounds() -> None:
    count = reached(race(32, 50))
    assert count("stage", "200") > 20
    assert count("ask", "202") > 10
    assert count("approve", "200") > 5
    assert count("roll_back", "200") > 2
    assert count("object", "200") > 2
    assert count("withdraw", "200") > 0
    assert count("archive", "200") > 5
    assert count("approve", "409") > 5  # they do get into each other's way
