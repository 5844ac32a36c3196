"""Threads change the split, conclude and answer claims of one experiment, while others fold and label.

`make test` lets 8 threads do 12 rounds; `make drill` is the long form, with 32. Within an epoch no unit switches its
arm, there is one conclusion and one record of it, and every claim and label that was committed before anybody began to
conclude is in the result.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from abtesting import services
from abtesting.models import Epoch, Experiment
from abtesting.selectors import as_json, results
from abtesting.stats.assignment import assign
from mlops_site.core import audit, events
from mlops_site.core.errors import Conflict
from mlops_site.core.models import AuditRecord
from monitoring.models import FoldItem, Label, Prediction
from monitoring.services import fold
from registry.models import PromotionRequest
from tests.abtesting.lab import Lab
from tests.registry.http import Person
from tests.registry.parts import user
from tests.registry.test_crowd import deadlocks_seen

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
UNITS = 400
ACTS = ["answer"] * 8 + ["label"] * 4 + ["split"] * 2 + ["fold", "look", "watch"]


class Crowd:
    """One experiment, and what its threads have seen and said."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.experiment = self.lab.start(traffic_split=0.3, min_samples=30)
        self.engineers = threading.local()
        self.lock, self.outcomes = threading.Lock(), Counter[str]()
        self.answered: list[tuple[str, int]] = []  # request id, label that belongs to it
        self.committed: dict[str, list[float]] = {"answers": [], "labels": []}  # when each was
        self.begun: list[float] = []  # when each conclusion was asked for

    def work(self, seed: int, rounds: int, begun: threading.Barrier) -> None:
        chance = random.Random(seed)
        try:
            begun.wait()
            for turn in range(rounds):
                act = "conclude" if turn == rounds * 2 // 3 and seed % 2 == 0 else chance.choice(ACTS)
                outcome = getattr(self, f"_{act}")(chance, f"{seed}-{turn}")
                with self.lock:
                    self.outcomes[f"{act}: {outcome}"] += 1
        finally:
            connection.close()

    def _answer(self, chance: random.Random, name: str) -> str:
        """One request of six claims to predict."""
        rows = [
            {
                "request_id": f"{name}-{number}",
                "unit_id": f"unit-{chance.randrange(UNITS)}",
                "features": {"age": float(chance.randrange(30, 70)), "visits": float(chance.randrange(6))},
            }
            for number in range(6)
        ]
        said = self._post(f"/models/{self.lab.model.name}/predict", {"rows": rows})
        kept = Prediction.objects.filter(request_id__startswith=f"{name}-")
        dealt = kept.filter(epoch__in=self.experiment.epochs.values("pk")).count()
        assert kept.count() == 6
        with self.lock:
            self.answered += [(str(row["request_id"]), int(chance.random() < 0.3)) for row in rows]
            self.committed["answers"] += [time.monotonic()] * dealt
        return f"{said} under a split" if dealt else f"{said} by production"

    def _label(self, chance: random.Random, name: str) -> str:
        with self.lock:
            chosen, self.answered = self.answered[:12], self.answered[12:]
        me = user(self.lab.engineer)
        about = {"model": self.lab.model, "revision": 1, "created_by": me}
        Label.objects.bulk_create(Label(request_id=request, label=label, **about) for request, label in chosen)
        with self.lock:
            self.committed["labels"] += [time.monotonic()] * len(chosen)
        return "said"

    def _split(self, chance: random.Random, name: str) -> str:
        body = {"traffic_split": round(chance.uniform(0.2, 0.8), 3), "reason": name, "redraw": chance.random() < 0.2}
        return self._post(f"/ab-testing/{self.experiment.pk}/split", body)

    def _conclude(self, chance: random.Random, name: str) -> str:
        header = {"Idempotency-Key": name} if chance.random() < 0.3 else {}
        with self.lock:
            self.begun.append(time.monotonic())
        return self._post(f"/ab-testing/conclude/{self.experiment.pk}", {"reason": name}, **header)

    def _fold(self, chance: random.Random, name: str) -> str:
        fold(50)
        return "done"

    def _look(self, chance: random.Random, name: str) -> str:
        results(Experiment.objects.get(pk=self.experiment.pk))
        return "done"

    def _watch(self, chance: random.Random, name: str) -> str:
        services.check_running(timezone.now())
        return "done"

    def _post(self, path: str, body: dict[str, Any], **headers: str) -> str:
        status, said = self._me().post(path, body, **headers)
        while status == 429:  # one process takes 12 requests at a time, and says to try again
            time.sleep(0.02)
            status, said = self._me().post(path, body, **headers)
        assert status in (200, 409), f"{path} answered {status}: {said}"
        return f"{status} {said.get('code', '')}".strip()

    def _me(self) -> Person:
        if not hasattr(self.engineers, "person"):
            self.engineers.person = Person(self.lab.engineer)
        return self.engineers.person  # type: ignore[no-any-return]


def race(threads: int, rounds: int) -> Counter[str]:
    """What came of it, once everything that is left was found lawful."""
    crowd, deadlocks, begun = Crowd(), deadlocks_seen(), threading.Barrier(threads)
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(crowd.work, seed, rounds, begun) for seed in range(threads)]:
            done.result()
    services.conclude_experiment(crowd.experiment, actor=crowd.lab.engineer, reason="all had their turn")
    print(dict(sorted(crowd.outcomes.items())))  # noqa: T201  (pytest shows it where the counts below fall short)
    assert sum(crowd.outcomes.values()) == threads * rounds
    assert "refused_by_law" not in " ".join(crowd.outcomes)
    assert deadlocks_seen() == deadlocks
    check_arms(crowd)
    check_conclusion(crowd)
    assert list(audit.faults()) == []
    return crowd.outcomes


def check_arms(crowd: Crowd) -> None:
    """Within an epoch no unit has two arms, and each is the one that the split gives it; while a draw lasts nobody
    leaves B."""
    epochs = {epoch.pk: epoch for epoch in Epoch.objects.filter(experiment=crowd.experiment)}
    arms: dict[tuple[int, str], set[str]] = defaultdict(set)
    for pk, unit, arm in Prediction.objects.exclude(epoch=None).values_list("epoch", "unit_id", "arm"):
        assert pk is not None
        arms[pk, unit].add(arm)
        assert arm == assign(epochs[pk].split(crowd.experiment), unit)
    assert arms
    assert {len(seen) for seen in arms.values()} == {1}
    in_order = sorted(epochs.values(), key=lambda epoch: epoch.number)
    assert [epoch.number for epoch in in_order] == list(range(1, len(in_order) + 1))
    for before, after in itertools.pairwise(in_order):
        assert before.ended_at == after.started_at
        assert (after.draw == before.draw) == (after.draw != after.number)


def check_conclusion(crowd: Crowd) -> None:
    row = Experiment.objects.get(pk=crowd.experiment.pk)
    assert row.status == "concluded"
    assert row.result is not None
    assert row.result_digest == events.digest_of(row.result)
    record = AuditRecord.objects.get(action="experiment.concluded")
    assert record.data["result"] == row.result_digest
    requests = PromotionRequest.objects.filter(version=crowd.lab.b)
    assert requests.count() == (1 if row.verdict == "ship_b" else 0)
    for what, arms_say, logged in (("answers", "answers", Prediction), ("labels", "labelled", Label)):
        counted = sum(arm[arms_say] for arm in row.result["arms"])
        before = sum(at < min(crowd.begun) for at in crowd.committed[what])
        assert 0 < before <= counted <= logged.objects.count(), what
    while fold():
        pass
    assert not FoldItem.objects.filter(waiting=False).exists()
    frozen, row.result = row.result, None  # so that the sums are read: what was folded later is not in them
    assert as_json(results(row, now=row.ended_at))["arms"] == frozen["arms"]


def reached(outcomes: Counter[str]) -> Callable[[str], int]:
    return lambda beginning: sum(count for said, count in outcomes.items() if said.startswith(beginning))


def test_eight_threads_of_twelve_rounds() -> None:
    count = reached(race(8, 12))
    assert count("answer: 200 under a split") > 10
    assert count("conclude: 200") == 4


@pytest.mark.slow
def test_thirty_two_threads_of_thirty_rounds() -> None:
    count = reached(race(32, 30))
    assert count("answer: 200 under a split") > 100
    assert count("split: 200") > 10
    assert count("conclude: 200") == 16


def test_of_two_that_start_at_the_same_moment_one_does() -> None:
    lab = Lab()
    begun = threading.Barrier(4)

    def start(number: int) -> str:
        try:
            begun.wait()
            return str(lab.start(name=f"try {number}").status)
        except Conflict as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(start, range(4)))
    assert said == ["experiment_running"] * 3 + ["running"]
    assert Experiment.objects.count() == 1
