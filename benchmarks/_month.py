"""A month of a model's production, as the benchmark of reports finds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from registry.models import Version

NUMBERS, CATEGORIES, DAYS = 20, 10, 30
ROWS_A_DAY = 1_000
REFERENCE_ROWS, LABELLED = 20_000, 0.5
HELD_OUT = 5_000
LOGGED = 60_000  # rows at most whose features are there
DRIFTED, SHIFT = 3, 120.0  # numbers, and by how much they moved in the third model
SLICES, LEVELS, REVIEWED = 3, 4, 3  # and those of what is other or missing
NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def frame(rows: int, random: np.random.Generator) -> pd.DataFrame:
    """Skewed numbers and categories of 5 to 50 levels."""
    numbers = {f"number_{i}": random.gamma(2.0, 100.0, rows).round(2) for i in range(NUMBERS)}
    levels = {f"category_{i}": random.integers(0, 5 * (i + 1), rows).astype(str) for i in range(CATEGORIES)}
    return pd.DataFrame({**numbers, **levels})


def version(times: int, *, shift: float = 0.0, has_rows: bool = True) -> Version:
    """A registered version with a reference, buckets of twice 30 days, and rows of 30 unless they are erased."""
    from mlops_site.core import teams
    from mlops_site.core.permissions import Actor
    from mlops_site.stats.correlations import correlations
    from mlops_site.stats.profile import profile, reference_bins
    from registry import services
    from tests.registry.parts import SIGNATURE, candidate, holdout

    random = np.random.default_rng(times)
    name = f"claims_{times}x_{shift:.0f}_{'rows' if has_rows else 'profiles'}"
    author = Actor.of(teams.create_user(name, role="ml_engineer", team="claims")[0])
    model = services.create_model(actor=author, name=name, task_type="classification")
    reference = frame(REFERENCE_ROWS, random)
    kinds: dict[str, Any] = {str(column): str(column).split("_")[0] for column in reference}
    bins = reference_bins(reference, kinds, salt=name)
    signature = SIGNATURE | {"inputs": [{"name": column, "kind": kind} for column, kind in kinds.items()]}
    metrics = {"f1_score": {"value": 0.8, "ci95": [0.78, 0.82]}}
    truth = random.integers(0, 2, HELD_OUT)
    numbers = [column for column, kind in kinds.items() if kind == "number"]
    parts: dict[str, Any] = {
        "holdout_bytes": holdout(scores(truth, random), label=truth),
        "facts": {"correlations": correlations(reference[numbers].to_numpy(), numbers).to_json()},
        "importance": dict.fromkeys(kinds, 1 / len(kinds)),
    }
    made = services.register_version(
        model,
        actor=author,
        candidate=candidate(
            reference=profile(reference, bins).to_bytes(), signature=signature, metrics=metrics, **parts
        ),
    )
    fill(made, bins, times * ROWS_A_DAY, random, declared(model, made), shift)
    if has_rows:
        log(made, times * ROWS_A_DAY * DAYS, random, shift)
    limit(made)
    return made


def moved(frame: pd.DataFrame, shift: float) -> pd.DataFrame:
    for place in range(DRIFTED):
        frame[f"number_{place}"] += shift
    return frame


def log(made: Version, rows: int, random: np.random.Generator, shift: float) -> None:
    """Answered rows of the window, evenly spread over it."""
    from monitoring.models import FoldItem, Prediction

    count = min(rows, LOGGED)
    said = answers(count, random)
    features = moved(frame(count, random), shift).to_dict("records")
    about = {"model": made.model, "version": made, "payload_digest": "0" * 64, "threshold": 0.5}
    Prediction.objects.bulk_create(
        (
            Prediction(
                request_id=f"row-{i}",
                features=features[i],
                score=float(said.score[i]),
                prediction=said.prediction[i],
                decision=said.decision[i],
                predicted_at=NOW - DAYS * DAY * (1 - i / count),
                **about,
            )
            for i in range(count)
        ),
        batch_size=2_000,
    )
    FoldItem.objects.all().delete()  # the buckets have them already


def limit(made: Version) -> None:
    """What people set: a limit that is judged on rows."""
    from monitoring.models import QualityLimit

    said = {"min": 1.0, "max": 2_000.0}
    QualityLimit.objects.create(
        model=made.model, feature="number_5", check_name="range", said=said, set_by=made.created_by
    )


def declared(model: Any, made: Version) -> list[int]:
    """Ids of the slices that the model is told apart by."""
    from monitoring.models import Slice

    names = [f"slice_{n}" for n in range(SLICES)]
    levels = [f"level_{n}" for n in range(LEVELS)]
    since = NOW - 3 * DAYS * DAY
    rows = [
        Slice(model=model, name=name, source="slice", levels=levels, counts_from=since, declared_by=made.created_by)
        for name in names
    ]
    return [row.pk for row in Slice.objects.bulk_create(rows)]


def fill(
    made: Version, bins: Any, rows_a_day: int, random: np.random.Generator, slices: list[int], shift: float
) -> None:
    """Hours of the last three days, days before."""
    from mlops_site.stats.profile import profile
    from monitoring.choices import Span
    from monitoring.models import Bucket
    from monitoring.stats.tally import Tally, shape_of

    shape = shape_of(made.signature)
    hours = [(NOW - HOUR * n, Span.HOUR, rows_a_day // 24) for n in range(1, 73)]
    days = [(NOW - DAY * n, Span.DAY, rows_a_day) for n in range(4, 2 * DAYS + 1)]
    for start, span, rows in hours + days:
        said = answers(rows, random)
        Bucket.objects.create(
            version=made,
            span_secs=span,
            started_at=start,
            rows=rows,
            profile=profile(moved(frame(rows, random), shift), bins).to_bytes(with_bins=False),
            tally=Tally.of(said, shape).to_bytes(),
            breakdown=followed_up(said, shape, slices, random).to_bytes(),
        )


def followed_up(said: Any, shape: Any, slices: list[int], random: np.random.Generator) -> Any:
    from monitoring.stats.breakdown import Breakdown
    from monitoring.stats.followed import Followed

    n = len(said.label)
    lag = np.where([label is None for label in said.label], np.nan, random.lognormal(11, 1.5, n))
    human = [decision if at % REVIEWED == 0 else None for at, decision in enumerate(said.prediction)]
    error = np.where(random.random(n) < 0.001, random.integers(0, 5, n), -1)
    places = {key: random.integers(0, LEVELS + 2, n) for key in slices}
    rows = Followed(said, human, error, lag, lag + 60, places)
    return Breakdown.of(rows, shape, dict.fromkeys(slices, LEVELS + 2))


def answers(rows: int, random: np.random.Generator) -> Any:
    from monitoring.stats.tally import Answers

    truth = random.integers(0, 2, rows)
    score = scores(truth, random)
    decision = (score >= 0.5).astype(int)
    labels = [int(label) if known else None for label, known in zip(truth, random.random(rows) < LABELLED, strict=True)]
    failed, latency = np.zeros(rows, dtype=bool), random.gamma(2.0, 1.5, rows)
    return Answers(decision.tolist(), score, decision.tolist(), failed, latency, labels)


def scores(truth: Any, random: np.random.Generator) -> Any:
    return np.clip(0.3 * truth + random.uniform(0, 0.7, len(truth)), 0, 1)
