"""Sums over windows come from bucket rows alone, and neighbouring windows share nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from mlops_site.stats.profile import Profile
from monitoring.choices import Span
from monitoring.models import Bucket
from monitoring.selectors import basis_of, series, window_sum
from monitoring.services.buckets import content_of
from monitoring.services.folding import Answer, profile_of, tally_of
from monitoring.stats.tally import Tally
from registry import services
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.production import empty_tally, watched
from tests.people import actor

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


@kept_fixture
def version(db: None) -> Version:
    author = actor("author", "ml_engineer")
    model = services.create_model(actor=author, name="high_cost", task_type="classification")
    return watched(model, author)


def bucket(version: Version, at: datetime, rows: int, span: int = Span.MINUTES) -> Bucket:
    """A folded bucket of rows that are all alike."""
    basis = basis_of(version)
    assert basis.bins is not None
    columns: list[Any] = [*[None] * 5, 1, 0.5, 1, "ok", 2.0, *[None] * 6]
    answer = Answer(*columns)
    return Bucket.objects.create(
        version=version,
        span_secs=span,
        started_at=at,
        rows=rows,
        profile=profile_of([{"age": 50.0, "visits": rows}] * rows, basis.bins).to_bytes(with_bins=False),
        tally=tally_of([(answer, None)] * rows, basis).to_bytes(),
    )


def test_an_empty_window_has_nothing_and_is_covered(version: Version) -> None:
    found = window_sum(version, DAY, DAY + HOUR)
    assert (found.rows, found.start, found.end) == (0, DAY, DAY + HOUR)
    assert found.profile is not None
    assert (found.profile.rows, found.tally == empty_tally(version)) == (0, True)


def test_what_starts_in_the_window_is_added(version: Version) -> None:
    inside = [bucket(version, DAY, 3), bucket(version, DAY + timedelta(minutes=55), 4)]
    bucket(version, DAY - timedelta(minutes=5), 10)
    bucket(version, DAY + HOUR, 20)
    found = window_sum(version, DAY, DAY + HOUR)
    contents = [content_of(each, basis_of(version)) for each in inside]
    assert found.rows == found.tally.rows == 7
    assert found.profile == contents[0].profile + contents[1].profile  # type: ignore[operator]
    assert found.tally == contents[0].tally + contents[1].tally
    assert (found.start, found.end) == (DAY, DAY + HOUR)


def test_another_versions_buckets_are_not_added(version: Version) -> None:
    other = watched(version.model, actor("author", "ml_engineer"), seed=1, params={"C": 2.0})
    bucket(other, DAY, 3)
    assert window_sum(version, DAY, DAY + HOUR).rows == 0


def test_neighbouring_windows_share_no_bucket_and_leave_none_out(version: Version) -> None:
    for n in range(48):
        bucket(version, DAY + n * timedelta(minutes=30), 1 + n % 3, Span.HOUR if n % 2 == 0 else Span.MINUTES)
    edges = [DAY + timedelta(hours=3) * n for n in range(9)]
    parts = [window_sum(version, *edge) for edge in pairwise(edges)]
    whole = window_sum(version, edges[0], edges[-1])
    assert sum(part.rows for part in parts) == whole.rows == Bucket.objects.count() + 48
    assert sum((part.tally for part in parts), empty_tally(version)) == whole.tally


def test_the_span_says_what_is_covered(version: Version) -> None:
    bucket(version, DAY, 100, Span.DAY)  # begins before
    bucket(version, DAY + 30 * HOUR, 5, Span.HOUR)
    found = window_sum(version, DAY + 12 * HOUR, DAY + timedelta(hours=30, minutes=30))
    assert (found.rows, found.start, found.end) == (5, DAY + 24 * HOUR, DAY + 31 * HOUR)
    assert found.span_secs == 7 * 3600


def test_a_window_must_not_end_before_it_starts(version: Version) -> None:
    with pytest.raises(ValueError, match="end must not be before start but got"):
        window_sum(version, DAY, DAY - HOUR)


def test_a_version_without_a_reference_has_no_profile(version: Version) -> None:
    bare = watched(version.model, actor("author", "ml_engineer"), seed=1, reference=None)
    Bucket.objects.create(version=bare, span_secs=300, started_at=DAY, rows=2)
    found = window_sum(bare, DAY, DAY + HOUR)
    assert (found.profile, found.rows, found.tally.rows) == (None, 2, 0)


def test_it_is_one_query_however_many_buckets(version: Version, django_assert_num_queries: Any) -> None:
    window_sum(version, DAY, DAY + HOUR)
    for n in range(12):
        bucket(version, DAY + n * timedelta(minutes=5), 1)
    with django_assert_num_queries(1):
        assert window_sum(version, DAY, DAY + HOUR).rows == 12


def test_what_is_kept_in_memory_belongs_to_the_version(version: Version) -> None:
    basis = basis_of(version)
    assert basis_of(version) is basis
    assert basis.reference == Profile.from_bytes(bytes(version.reference or b""))
    assert Tally.empty(basis.shape).rows == 0


class TestSeries:
    def test_steps_without_answers_are_left_out(self, version: Version) -> None:
        for minutes, rows in ((0, 1), (10, 2), (125, 4)):
            bucket(version, DAY + timedelta(minutes=minutes), rows)
        bucket(version, DAY - HOUR, 8)
        points = series(version, DAY, DAY + 4 * HOUR, HOUR)
        assert [(p.at, p.rows, p.tally.rows) for p in points] == [(DAY, 3, 3), (DAY + 2 * HOUR, 4, 4)]
        assert {p.version_id for p in points} == {version.pk}

    def test_several_versions_side_by_side(self, version: Version, django_assert_num_queries: Any) -> None:
        other = watched(version.model, actor("author", "ml_engineer"), seed=1, params={"C": 2.0})
        bucket(version, DAY, 1)
        bucket(other, DAY, 2)
        bucket(version, DAY + HOUR, 3)
        series([version, other], DAY, DAY + HOUR, HOUR)
        with django_assert_num_queries(2):
            points = series([version, other], DAY, DAY + 2 * HOUR, HOUR)
        assert [(p.version_id, p.rows) for p in points] == [(version.pk, 1), (other.pk, 2), (version.pk, 3)]

    def test_a_step_must_be_longer_than_nothing(self, version: Version) -> None:
        with pytest.raises(ValueError, match="step must be longer than nothing but got 0:00:00"):
            series(version, DAY, DAY + HOUR, timedelta(0))
