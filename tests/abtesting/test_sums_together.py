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
from abtesting.models import ArmSums, Experiment, ShadowAnswer, Unit
from abtesting.selectors.recount import Sums, kept, recomputed
from abtesting.services.sums import count_scored
from abtesting.stats.pairs import PairTally
from monitoring.models import FoldItem, Label, Prediction
from monitoring.services import fold, fold_all
from monitoring.services.folding import recall_waiting
from tests.abtesting.world import experiment_of, label, next_epoch, people, said_by_b, score, served

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

    def revision_of(n: int, revision: int, value: int) -> Label:
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
            Label.objects.bulk_create([revision_of(n, 1, n % 2) for n in early])
            rows = [served(experiment, n, unit_id=f"person-{chance.randrange(40)}") for n in numbers]
            Prediction.objects.bulk_create(rows)
            Label.objects.bulk_create([revision_of(n, 1, n % 2) for n in numbers if n % 5 in (1, 2, 3)])
            Label.objects.bulk_create([revision_of(n, 2, 1 - n % 2) for n in numbers if n % 5 == 1])

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
    """An end while folders and scorers work."""
    author = people()[0]
    experiments = [
        experiment_of(author),
        experiment_of(author, model_name="silent", design="shadow", share_b=1.0),
    ]
    found: dict[int, Sums] = {}

    def end() -> None:
        while not all(ArmSums.objects.filter(epoch__experiment=each).exists() for each in experiments):
            time.sleep(0.05)
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


@pytest.mark.parametrize("work", [fold, score])
def test_who_counts_waits_for_an_end_and_then_adds_nothing(work: Callable[[], object]) -> None:
    """Without the lock on experiments, what was judged would not be what is kept (tried)."""
    experiment = experiment_of(people()[0], design="shadow", share_b=1.0)
    Prediction.objects.bulk_create([served(experiment, n) for n in range(10)])
    fold_all()
    Prediction.objects.bulk_create([served(experiment, n) for n in range(10, 20)])
    crowd = Crowd()
    counting = crowd.once(work)
    with transaction.atomic():
        row = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        found = kept(row)
        counting.start()
        counting.join(1.0)
        assert counting.is_alive()
        row.status, row.ending, row.ended_at = Status.STOPPED, Ending.STOPPED, timezone.now()
        row.save()
        assert kept(row) == found
    counting.join()
    assert crowd.errors == []
    assert kept(experiment) == found


def test_a_folder_waits_for_the_scorer_whose_claims_it_needs() -> None:
    """With shadow rows locked after experiments, the two would wait for each other (tried)."""
    experiment = experiment_of(people()[0], design="shadow", share_b=1.0)
    Prediction.objects.bulk_create([served(experiment, n) for n in range(10)])
    fold_all()
    for n in range(10):
        label(experiment, n, n % 2)
    crowd = Crowd()
    folding = crowd.once(fold)
    with transaction.atomic():
        rows = list(ShadowAnswer.objects.select_for_update(skip_locked=True))
        folding.start()
        folding.join(1.0)
        assert folding.is_alive()
        for n, row in enumerate(rows):
            said_by_b(row, n).save()
        count_scored(rows)
    folding.join()
    assert crowd.errors == []
    assert pairs_judged(experiment) == 8
    assert kept(experiment) == recomputed(experiment)


def pairs_judged(experiment: Experiment) -> int:
    return sum(tally.judged for tally in kept(experiment).tallies.values() if isinstance(tally, PairTally))
