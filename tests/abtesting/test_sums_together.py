"""Folders, scorers, changes of the split and an end at once: nobody waits in a circle, and nothing is lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.utils import timezone

from abtesting.choices import Ending, Status
from abtesting.models import Experiment, ShadowAnswer, Unit
from abtesting.selectors.recount import Sums, kept, recomputed
from monitoring.models import FoldItem, Label, Prediction
from monitoring.services import fold, fold_all
from monitoring.services.folding import recall_waiting
from tests.abtesting.world import experiment_of, next_epoch, people, score, served

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
BATCHES, BATCH = 6, 30


class Crowd:
    """Threads with connections of their own; what any of them raised."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.done = threading.Event()
        self._threads: list[threading.Thread] = []

    def once(self, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=[work])
        self._threads.append(thread)
        return thread

    def until_done(self, work: Callable[[], object], pause: float = 0.0) -> threading.Thread:
        def again() -> None:
            while not self.done.is_set():
                work()
                time.sleep(pause)

        return self.once(again)

    def run(self, first: list[threading.Thread]) -> None:
        """All of them, until the first ones have ended."""
        for thread in self._threads:
            thread.start()
        for thread in first:
            thread.join()
        self.done.set()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            self.errors.append(error)
        finally:
            connection.close()


def traffic(experiment: Experiment, turn: int) -> Callable[[], None]:
    """Answers of units that come again, labels before and after them, and corrections."""
    chance = random.Random(turn)

    def label(n: int, revision: int, value: int) -> Label:
        return Label(
            model_id=experiment.model_id,
            request_id=f"r{n}",
            revision=revision,
            label=value,
            created_by_id=experiment.created_by_id,
        )

    def work() -> None:
        for batch in range(BATCHES):
            numbers = [turn * 1000 + batch * BATCH + i for i in range(BATCH)]
            early = [n for n in numbers if n % 5 == 0]
            Label.objects.bulk_create([label(n, 1, n % 2) for n in early])
            rows = [served(experiment, n, unit_id=f"person-{chance.randrange(40)}") for n in numbers]
            Prediction.objects.bulk_create(rows)
            Label.objects.bulk_create([label(n, 1, n % 2) for n in numbers if n % 5 in (1, 2, 3)])
            Label.objects.bulk_create([label(n, 2, 1 - n % 2) for n in numbers if n % 5 == 1])

    return work


def settled() -> None:
    recall_waiting()
    fold_all()
    while score():
        pass
    assert not FoldItem.objects.filter(waiting=False).exists()


def ended(experiment: Experiment) -> Sums:
    """As one is concluded: what was committed is folded, then it is judged and frozen under its lock."""
    fold_all()
    with transaction.atomic():
        row = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        found = kept(row)
        row.status, row.ending, row.ended_at = Status.STOPPED, Ending.STOPPED, timezone.now()
        row.save()
    return found


def test_folders_scorers_and_changes_of_the_split_lose_nothing() -> None:
    """Without the lock on experiments sums are lost; with shadow rows locked after sums they deadlock (both tried)."""
    author = people()[0]
    experiments = [
        experiment_of(author, group_by="region"),
        experiment_of(author, model_name="silent", design="shadow", share_b=0.8),
    ]
    crowd = Crowd()
    writers = [crowd.once(traffic(each, turn)) for each in experiments for turn in (1, 2)]
    for _ in range(4):
        crowd.until_done(lambda: fold(23))
    for _ in range(2):
        crowd.until_done(lambda: score(9), pause=0.01)
    shares = random.Random(0)
    crowd.until_done(lambda: next_epoch(experiments[0], shares.choice([0.2, 0.5, 0.8])), pause=0.5)
    crowd.run(writers)
    assert crowd.errors == []
    settled()
    assert Prediction.objects.count() == 4 * BATCHES * BATCH
    assert ShadowAnswer.objects.filter(is_counted=True).count() > BATCHES * BATCH
    assert Unit.objects.count() >= 80
    for experiment in experiments:
        experiment.refresh_from_db()
        assert kept(experiment) == recomputed(experiment)


def test_what_is_folded_after_the_end_is_not_added() -> None:
    """An end while folders and scorers work: the sums stay as they were judged."""
    author = people()[0]
    experiments = [
        experiment_of(author),
        experiment_of(author, model_name="silent", design="shadow", share_b=1.0),
    ]
    found: dict[int, Sums] = {}

    def end() -> None:
        time.sleep(0.5)
        for each in experiments:
            found[each.pk] = ended(each)

    crowd = Crowd()
    writers = [crowd.once(traffic(each, turn)) for each in experiments for turn in (1, 2)]
    ending = crowd.once(end)
    for _ in range(3):
        crowd.until_done(lambda: fold(23))
    for _ in range(2):
        crowd.until_done(lambda: score(9), pause=0.01)
    crowd.run([*writers, ending])
    assert crowd.errors == []
    settled()
    for experiment in experiments:
        assert found[experiment.pk].tallies
        assert kept(experiment) == found[experiment.pk]
