"""Times to cut by: nothing that was under way at a cut is stamped before it and committed after it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise

import pytest
from django.db import connection, transaction

from mlops_site.core.cuts import cut, stamp
from mlops_site.core.models import Team


def write(name: str, subject: str = "rows", *, stamped: threading.Event, go: threading.Event) -> datetime:
    try:
        with transaction.atomic():
            at = stamp([subject])
            stamped.set()
            assert go.wait(20)
            Team.objects.create(name=name)
        return at
    finally:
        connection.close()


def look(subject: str = "rows") -> tuple[datetime, set[str]]:
    try:
        return cut(subject), set(Team.objects.values_list("name", flat=True))
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_cut_waits_for_the_writer_of_this_moment() -> None:
    stamped, go = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as threads:
        written = threads.submit(write, "late", stamped=stamped, go=go)
        assert stamped.wait(20)
        seen = threads.submit(look)
        with pytest.raises(TimeoutError):
            seen.result(timeout=0.3)
        go.set()
        at, teams = seen.result(timeout=20)
        assert written.result(timeout=20) < at
    assert "late" in teams


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_writers_and_other_subjects_do_not_wait_for_each_other() -> None:
    events = [(threading.Event(), threading.Event()) for _ in range(2)]
    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, f"w{i}", stamped=s, go=g) for i, (s, g) in enumerate(events)]
        assert all(stamped.wait(20) for stamped, _ in events)
        assert not {"w0", "w1"} & threads.submit(look, "something else").result(timeout=20)[1]
        for _, go in events:
            go.set()
        for writer in writers:
            writer.result(timeout=20)


@pytest.mark.django_db
def test_stamps_and_cuts_go_forward() -> None:
    times = [cut("rows"), stamp(["rows", "others", "rows"]), cut("rows")]
    assert all(before < after for before, after in pairwise(times))


@pytest.mark.django_db(transaction=True)
def test_a_stamp_outside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError, match="in the transaction that writes it"):
        stamp(["rows"])
