"""A conclusion counts what was logged before, whoever folds at the same time, and waits for nobody who waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from abtesting.models import Experiment
from abtesting.services import conclude_experiment, conclusions
from mlops_site.core.errors import Conflict
from mlops_site.core.models import IdempotencyKey
from monitoring.models import FoldItem, Label, Prediction
from monitoring.services import buckets, fold, folding
from tests.abtesting.lab import Lab
from tests.registry.http import Person
from tests.registry.parts import user
from tests.registry.test_crowd import deadlocks_seen

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
LIMIT_SECS = 20.0
CLAIMS, LABELS = 4, 3
ONCE = {"Idempotency-Key": "once"}


class Stepwise:
    """A thread with a connection of its own; what it has come to."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.said: object = None
        self._thread = threading.Thread(target=self._run, args=[work])
        self._thread.start()

    def end(self) -> object:
        self._thread.join(LIMIT_SECS)
        assert not self._thread.is_alive()
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def _run(self, work: Callable[[], object]) -> None:
        try:
            self.said = work()
        except Exception as error:
            self.said = error
        finally:
            connection.close()


class Waiting(Lab):
    experiment: Experiment


def waiting(*names: str) -> list[Waiting]:
    """A running experiment of each model with claims, of which the first have a label that nobody has folded."""
    labs = [Waiting(name=name) for name in names]
    for lab in labs:
        lab.experiment = lab.start(traffic_split=0.5)
        lab.answer(lab.experiment, CLAIMS, labelled=False)
    for lab in labs:
        say(lab, *range(LABELS))
    return labs


def say(lab: Lab, *claims: int) -> None:
    me = user(lab.engineer)
    rows = [Label(model=lab.model, request_id=f"claim-{n}", revision=1, label=1, created_by=me) for n in claims]
    Label.objects.bulk_create(rows)


def counted(lab: Waiting) -> int:
    """Labels in the frozen result."""
    row = Experiment.objects.get(pk=lab.experiment.pk)
    assert row.result is not None
    return sum(arm["labelled"] for arm in row.result["arms"])


def conclude(lab: Waiting, **headers: str) -> tuple[int, str]:
    path = f"/ab-testing/conclude/{lab.experiment.pk}"
    status, said = Person(lab.engineer).post(path, {"reason": "enough"}, **headers)
    return status, said.get("code") or said["status"]


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Stepwise]:
    """A folder of one item that has taken it, and goes on to its bucket once somebody waits for the item."""
    monkeypatch.setattr(conclusions, "SETTLE_SECS", 4.0)
    taken, awaited, locked, sleep = threading.Event(), threading.Event(), buckets.locked, time.sleep

    def work() -> int:
        own = threading.current_thread()

        def later(keys: Collection[Any], span: int) -> Any:
            if threading.current_thread() is own:
                taken.set()
                assert awaited.wait(LIMIT_SECS)
            return locked(keys, span)

        monkeypatch.setattr(folding, "locked", later)
        return fold(1)

    def noted(secs: float) -> None:
        awaited.set()
        sleep(secs)

    def begin() -> Stepwise:
        folder = Stepwise(work)
        assert taken.wait(LIMIT_SECS)
        monkeypatch.setattr(time, "sleep", noted)
        return folder

    return begin


@pytest.mark.parametrize("headers", [{}, ONCE], ids=["plain", "with a key"])
def test_a_folder_that_needs_the_same_bucket_is_waited_for(
    held_up: Callable[[], Stepwise], headers: dict[str, str]
) -> None:
    """Folded within the transaction of the key, the second label keeps its bucket locked for as long as the first is
    waited for, whose folder waits for that bucket (tried: 409 when the time is over)."""
    (lab,) = waiting("high_cost")
    folder = held_up()
    assert conclude(lab, **headers) == (200, "concluded")
    assert (folder.end(), counted(lab)) == (1, LABELS)
    assert not FoldItem.objects.exists()


def test_what_is_held_of_another_model_is_not_waited_for(held_up: Callable[[], Stepwise]) -> None:
    other, lab = waiting("fraud", "high_cost")
    folder = held_up()  # it has the oldest item, which is the other model's
    assert conclude(lab) == (200, "concluded")
    assert counted(lab) == LABELS
    assert conclude(other) == (200, "concluded")
    assert (folder.end(), counted(other)) == (1, LABELS)


def test_what_a_folder_held_when_it_was_killed_is_folded_by_who_concludes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conclusions, "SETTLE_SECS", 0.3)
    (lab,) = waiting("high_cost")
    with transaction.atomic():
        assert len(FoldItem.objects.select_for_update().order_by("pk")[:2]) == 2
        said = Stepwise(lambda: conclude(lab, **ONCE)).end()
        assert said == (409, "not_counted_yet")
    assert not IdempotencyKey.objects.exists()
    assert FoldItem.objects.count() == 2  # what nobody held is folded, and stays so
    assert conclude(lab, **ONCE) == (200, "concluded")
    assert (counted(lab), FoldItem.objects.count()) == (LABELS, 0)


def test_in_a_transaction_nobody_is_waited_for() -> None:
    (lab,) = waiting("high_cost")
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(FoldItem.objects.select_for_update().order_by("pk")[:1])
            held.set()
            assert done.wait(LIMIT_SECS)

    folder = Stepwise(hold)
    assert held.wait(LIMIT_SECS)
    begun = time.monotonic()
    with pytest.raises(Conflict, match="1 answers and labels are not counted yet"), transaction.atomic():
        conclude_experiment(lab.experiment, actor=lab.engineer, reason="enough")
    assert time.monotonic() - begun < conclusions.SETTLE_SECS / 2
    done.set()
    folder.end()
    with transaction.atomic():
        conclude_experiment(lab.experiment, actor=lab.engineer, reason="enough")
    assert counted(lab) == LABELS


def test_two_models_are_concluded_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folds its own: with the items of both in either's transaction, one would wait for the other's buckets."""
    labs, deadlocks = waiting("fraud", "high_cost"), deadlocks_seen()
    locked, both = buckets.locked, threading.Barrier(2)

    def together(keys: Collection[Any], span: int) -> Any:
        both.wait(LIMIT_SECS)
        found = locked(keys, span)
        both.wait(LIMIT_SECS)  # each has its buckets before either goes on
        return found

    monkeypatch.setattr(folding, "locked", together)
    threads = [Stepwise(partial(conclude, lab, **ONCE)) for lab in labs]
    assert [thread.end() for thread in threads] == [(200, "concluded")] * 2
    assert [counted(lab) for lab in labs] == [LABELS] * 2
    assert deadlocks_seen() == deadlocks


def test_a_label_that_came_before_its_claim_is_counted() -> None:
    """It waits in the queue until the claim is folded, and is older than that."""
    (lab,) = waiting("high_cost")
    say(lab, CLAIMS)
    fold()
    assert FoldItem.objects.get().waiting
    row = Prediction.objects.get(request_id="claim-0")
    row.pk, row.request_id, row._state.adding = uuid4(), f"claim-{CLAIMS}", True
    row.save()
    assert conclude(lab) == (200, "concluded")
    assert counted(lab) == LABELS + 1
