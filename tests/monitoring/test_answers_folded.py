"""What the folder tells of each item, to whoever adds up by something else than versions."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from mlops_site.core.permissions import Actor
from monitoring.models import Bucket, FoldItem
from monitoring.services import fold, fold_all, log_labels, log_predictions
from monitoring.services.folding import Folded
from monitoring.signals import answers_folded
from tests.kept import kept_fixture
from tests.monitoring.test_folding import label, row, world

pytestmark = pytest.mark.django_db


@kept_fixture
def machine(db: None) -> Actor:
    return world()[1]


@pytest.fixture
def told() -> Iterator[list[Folded]]:
    """What was told so far."""
    found: list[Folded] = []

    def hear(*, folded: list[Folded], **_: Any) -> None:
        found.extend(folded)

    answers_folded.connect(hear, sender=FoldItem)
    yield found
    answers_folded.disconnect(hear, sender=FoldItem)


def labels(told: list[Folded]) -> list[tuple[Any, Any]]:
    """Before and after, of the items that are labels."""
    return [(each.before and each.before.label, each.after.label) for each in told if each.after is not None]


def test_an_answer_is_told_with_what_attribution_needs(machine: Actor, told: list[Folded]) -> None:
    log_predictions([row(1, unit_id="person-9")], actor=machine)
    fold_all()
    (said,) = told
    assert (said.is_new, said.before, said.after) == (True, None, None)
    assert (said.answer.unit_id, said.answer.source, said.answer.epoch) == ("person-9", "logged", None)
    assert timezone.now() - said.answer.received_at < timedelta(minutes=1)


def test_a_late_label(machine: Actor, told: list[Folded]) -> None:
    log_predictions([row(1)], actor=machine)
    fold_all()
    log_labels([{**label(1, 1), "human_decision": 0}], actor=machine)
    fold_all()
    assert [each.is_new for each in told] == [True, False]
    assert told[1].before is None
    assert told[1].after is not None
    assert (told[1].after.label, told[1].after.human_decision) == (1, 0)


def test_a_label_that_comes_first_is_told_with_its_answer(machine: Actor, told: list[Folded]) -> None:
    log_labels([label(1, 1)], actor=machine)
    fold_all()
    assert told == []
    log_predictions([row(1)], actor=machine)
    fold_all()
    assert [(each.answer.request_id, each.is_new) for each in told] == [("r1", True), ("r1", False)]
    assert labels(told) == [(None, 1)]


def test_what_is_sent_twice_is_told_once(machine: Actor, told: list[Folded]) -> None:
    sent = row(1)
    for _ in range(2):
        log_predictions([sent], actor=machine)
        log_labels([label(1, 1)], actor=machine)
        fold_all()
    assert len(told) == 2


def test_corrections_are_told_with_what_they_correct(machine: Actor, told: list[Folded]) -> None:
    log_predictions([row(1)], actor=machine)
    log_labels([label(1, 1)], actor=machine)
    fold_all()
    log_labels([label(1, 0)], actor=machine)
    log_labels([label(1, 1)], actor=machine)
    fold_all()
    assert labels(told) == [(None, 1), (1, 0), (0, 1)]


def test_a_receiver_that_fails_undoes_the_fold(machine: Actor) -> None:
    def fail(**_: Any) -> None:
        raise ZeroDivisionError

    log_predictions([row(1)], actor=machine)
    answers_folded.connect(fail, sender=FoldItem)
    try:
        with pytest.raises(ZeroDivisionError):
            fold()
    finally:
        answers_folded.disconnect(fail, sender=FoldItem)
    assert not Bucket.objects.exists()
    assert FoldItem.objects.count() == 1


def test_nothing_is_built_where_nobody_listens(machine: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_folded, "has_listeners", lambda sender: False)
    monkeypatch.setattr("monitoring.services.folding.Folded", None)
    log_predictions([row(1)], actor=machine)
    log_labels([label(1, 1)], actor=machine)
    assert fold_all() == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_folders_at_once_tell_each_item_once(told: list[Folded]) -> None:
    machine = world()[1]
    for start in range(0, 300, 50):
        log_predictions([row(n) for n in range(start, start + 50)], actor=machine)
        log_labels([label(n, n % 2) for n in range(start, start + 50)], actor=machine)

    def run() -> None:
        try:
            while fold(17):
                pass
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fold_all()
    counted = Counter((each.answer.request_id, each.is_new) for each in told)
    assert len(counted) == 600
    assert set(counted.values()) == {1}
