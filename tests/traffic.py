"""Production as it is summed: buckets of a version, without a prediction behind each."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from django.utils import timezone

from mlops_site.stats.columns import Kind
from mlops_site.stats.profile import profile, reference_bins
from monitoring.choices import Span
from monitoring.models import Bucket
from monitoring.selectors import basis_of
from monitoring.stats.tally import Answers, Tally
from registry.models import Version

KINDS: dict[str, Kind] = {"age": "number", "visits": "number"}


def people(rows: int, *, seed: int = 0, older: float = 0.0) -> pd.DataFrame:
    """Rows of the two features that tests.registry.parts.SIGNATURE takes."""
    random = np.random.default_rng(seed)
    return pd.DataFrame({"age": random.normal(50 + older, 10, rows), "visits": random.poisson(3, rows).astype(float)})


def reference(rows: int = 5_000) -> bytes:
    """The profile of training data as a version carries it."""
    frame = people(rows, seed=99)
    return profile(frame, reference_bins(frame, KINDS, salt="tests")).to_bytes()


def bucket(
    version: Version,
    *,
    hours_ago: float = 1,
    rows: int = 100,
    seed: int = 0,
    older: float = 0.0,
    labelled: float = 0.5,
    right: float = 0.8,
    errors: int = 0,
    latency_ms: float = 2.0,
) -> Bucket:
    """Five minutes of answers: `labelled` of them have a label, `right` of those were right."""
    random, basis = np.random.default_rng(seed), basis_of(version)
    said = random.integers(0, 2, rows)
    truth = np.where(random.random(rows) < right, said, 1 - said)
    known = random.random(rows) < labelled
    failed = np.arange(rows) < errors
    answers = Answers(
        prediction=[None if bad else int(value) for value, bad in zip(said, failed, strict=True)],
        score=np.where(failed, np.nan, np.clip(0.3 + 0.4 * said, 0, 1)),
        decision=[None if bad else int(value) for value, bad in zip(said, failed, strict=True)],
        status_is_error=failed,
        latency_ms=np.full(rows, latency_ms),
        label=[int(value) if has else None for value, has in zip(truth, known, strict=True)],
    )
    counted = None if basis.bins is None else profile(people(rows, seed=seed, older=older), basis.bins)
    return Bucket.objects.create(
        version=version,
        span_secs=Span.MINUTES,
        started_at=five_minutes(timezone.now() - timedelta(hours=hours_ago)),
        rows=rows,
        profile=None if counted is None else counted.to_bytes(with_bins=False),
        tally=Tally.of(answers, basis.shape).to_bytes(),
    )


def five_minutes(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 5 * 5, second=0, microsecond=0)
