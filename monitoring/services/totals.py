"""Running sums of each version, kept by whoever folds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from monitoring.choices import PredictionStatus
from monitoring.models import Bucket, Total
from monitoring.selectors.bases import Basis, bases
from monitoring.signals import Folded
from monitoring.stats.answers import latencies
from monitoring.stats.tally import Tally
from monitoring.stats.totals import coarse, lags, plus


@dataclass
class _Gain:
    """What folded items add to the sums of one version."""

    errors: int = 0
    latency_ms: list[float] = field(default_factory=list)  # NaN where it is not known: one for each new answer
    lags: list[float] = field(default_factory=list)

    def take(self, item: Folded) -> None:
        answer, after = item.answer, item.after
        if item.is_new:
            self.errors += answer.status == PredictionStatus.ERROR
            self.latency_ms.append(float("nan") if answer.latency_ms is None else answer.latency_ms)
        elif item.before is None and after is not None:  # a correction says nothing about how late labels come
            self.lags.append(max((after.received_at - answer.predicted_at).total_seconds(), 0.0))


def count_totals(folded: Sequence[Folded]) -> None:
    """Add what was folded, in the folder's transaction, after its buckets are written: a version that is new here
    begins with what its buckets hold, these items among them."""
    gains: dict[int, _Gain] = defaultdict(_Gain)
    for item in folded:
        gains[item.answer.version_id].take(item)
    rows = _locked(gains)
    new = {version for version, row in rows.items() if not row.latency}
    known = bases(new) if new else {}
    for version, row in rows.items():
        _add(row, gains[version], _so_far(version, known[version]) if version in new else None)
    fields = ("predictions", "errors", "latency", "latency_us", "label_lag", "label_lag_secs")
    Total.objects.bulk_update(rows.values(), fields)


def _locked(gains: Mapping[int, _Gain]) -> dict[int, Total]:
    """The rows of the versions, made where they are missing, locked in one order. Who makes a row first makes others
    wait here with what they have folded, so no item is counted twice or left out."""
    wanted = sorted(gains)
    rows = Total.objects.select_for_update().filter(version__in=wanted).order_by("version")
    found = {row.version_id: row for row in rows}
    if missing := [version for version in wanted if version not in found]:
        Total.objects.bulk_create([Total(version_id=version) for version in missing], ignore_conflicts=True)
        found = {row.version_id: row for row in rows.all()}
    return found


def _add(row: Total, gain: _Gain, so_far: Tally | None) -> None:
    counts, total_us = latencies(gain.latency_ms)
    if so_far is None:
        row.predictions += len(gain.latency_ms)
        row.errors += gain.errors
        row.latency, row.latency_us = plus(row.latency, coarse(counts)), row.latency_us + int(total_us)
    else:
        row.predictions, row.errors = so_far.rows, so_far.errors
        row.latency, row.latency_us = coarse(so_far.latency), int(so_far.sums["latency_us"])
    row.label_lag = plus(row.label_lag, lags(gain.lags))
    row.label_lag_secs += sum(gain.lags)


def _so_far(version: int, basis: Basis) -> Tally:
    """All buckets of a version, added up: once, when it is first counted."""
    parts: Iterable[bytes] = map(bytes, Bucket.objects.filter(version=version).values_list("tally", flat=True))
    return Tally.sum_of_bytes(parts, basis.shape)
