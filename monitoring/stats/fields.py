"""Columns that came or went, against those that a version was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mlops_site.stats.profile import Profile

MOST_NAMED = 20
GONE, THERE = 0.99, 0.5  # missing or unreadable now, and at most before


class Fields(NamedTuple):
    """`new`: columns that the reference has not and their share of the `sample` newest rows, the most frequent first,
    20 at most of `new_total`; `vanished`: columns of the reference that hardly any row has now, from all rows."""

    new: list[tuple[str, float]]
    new_total: int
    vanished: list[str]
    sample: int


def fields(rows: Iterable[Mapping[str, Any]], current: Profile | None, reference: Profile) -> Fields:
    """Of the sampled rows, and of the window's profile on the bins of the reference; values that are null are not
    there."""
    given = list(rows)
    known = reference.bins.features.keys()
    seen = Counter(name for row in given for name in row.keys() - known if row[name] is not None)
    new = [(name, count / len(given)) for name, count in sorted(seen.items(), key=lambda each: (-each[1], each[0]))]
    vanished = []
    if current is not None and current.rows:
        lost = {name: _absent(current, name) for name in reference.bins.features}
        vanished = [name for name, share in lost.items() if share >= GONE and _absent(reference, name) <= THERE]
    return Fields(new[:MOST_NAMED], len(new), vanished, len(given))


def _absent(profile: Profile, name: str) -> float:
    """Share of the rows that are missing or unreadable."""
    return float(profile.counts_of(name)[-2:].sum() / max(profile.rows, 1))
