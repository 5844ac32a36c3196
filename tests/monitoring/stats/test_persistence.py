"""A finding wakes somebody when it lasts."""

from __future__ import annotations

import pytest

from monitoring.stats.persistence import persistent


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ([], False),
        ([True], False),
        ([True, True], True),
        ([True, False, True], True),
        ([True, False, False, True], False),
        ([True, True, False], False),
    ],
)
def test_the_last_is_a_hit_and_two_of_three_are(hits: list[bool], expected: bool) -> None:
    assert persistent(hits) is expected


def test_an_explicit_run_needs_no_other() -> None:
    assert persistent([True], k=1, m=1)


def test_more_hits_than_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        persistent([True], k=3, m=2)
