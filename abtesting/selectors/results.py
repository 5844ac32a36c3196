"""What an experiment has come to: from the stored sums while it runs, as it was frozen once it is concluded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, OuterRef
from django.utils import timezone

from abtesting.choices import Arm, ShadowState
from abtesting.models import Epoch, Experiment, ShadowAnswer, Unit
from abtesting.selectors.claims import day_of
from abtesting.selectors.compared import (
    DRAWS,
    comparable,
    comparison,
    costs_of,
    decidable,
    judged_guardrails,
    shape_of,
    success_metrics,
)
from abtesting.selectors.frozen import ArmResult, EpochRatio, Results, as_json, from_json
from abtesting.selectors.recount import recomputed
from abtesting.selectors.stored import Arms, empty, epochs_of, judged_rows, rows_of, summed, units_of
from abtesting.selectors.timeline import Timeline, labelled, timeline
from abtesting.stats.comparison import LEAST, Comparison, Unknown
from abtesting.stats.guardrails import Guardrail
from abtesting.stats.measures import Measure, value
from abtesting.stats.srm import sample_ratio
from abtesting.stats.tally import ArmTally
from abtesting.stats.verdict import Evidence, Verdict, judge
from monitoring.models import FoldItem, Label, Prediction
from monitoring.stats.operations import quantile_ms
from monitoring.stats.performance import auc_of_bins

__all__ = ["ArmResult", "EpochRatio", "Results", "Timeline", "as_json", "recomputed", "results", "timeline"]

MOST_PENDING = 10_000  # looked at: more are said to be as many


def results(experiment: Experiment, *, now: datetime | None = None) -> Results:
    """At this look. The number of queries does not depend on the rows, and their cost only on the cohorts."""
    if experiment.result and "comparisons" in experiment.result:
        return from_json(experiment.result)
    now = now or experiment.ended_at or timezone.now()
    epochs, shape = epochs_of(experiment), shape_of(experiment)
    rows = rows_of(experiment, epochs)
    known = summed(rows, epochs, shape)
    judged = known
    if experiment.follow_up_days is not None:
        judged = summed(judged_rows(experiment, rows, day_of(now)), epochs, shape)
    units = units_of(rows)
    parts = [judged[epoch.pk] for epoch in comparable(experiment, epochs)]
    metrics = success_metrics(experiment, shape)
    comparisons = [comparison(experiment, measure, parts, draws=DRAWS) for measure in metrics]
    ratios = _ratios(experiment, epochs, units)
    guardrails = judged_guardrails(experiment, rows, known, epochs)
    coverage = _total(known.values(), empty(shape)).pairs.coverage if experiment.is_paired else None
    of_all, of_judged = (_total(own.values(), empty(shape)) for own in (known, judged))
    return Results(
        as_of=now,
        arms=_arms(experiment, of_all, of_judged, units),
        ratios=ratios,
        comparisons=comparisons,
        guardrails=guardrails,
        coverage=coverage,
        verdict=_of_many(
            _verdict(experiment, comparisons, labelled(experiment, parts), ratios, guardrails, coverage), units
        ),
        pending=pending(experiment, epochs),
        strays=sum(n for (_, arm), n in units.items() if arm == Arm.STRAY),
    )


def pending(experiment: Experiment, epochs: Sequence[Epoch]) -> int:
    """What is not in the sums yet: answers of the two versions and labels of their claims that wait to be folded, and
    claims that B has not scored. Up to 10,000 of each kind are counted."""
    versions = [experiment.version_a_id, experiment.version_b_id]
    answered = Prediction.objects.filter(version__in=versions)
    label = Label.objects.filter(pk=OuterRef("label_id"), model=experiment.model_id)
    labelled_ones = answered.filter(model=experiment.model_id, request_id=OuterRef("request_id"))
    ready = FoldItem.objects.filter(waiting=False)
    waiting = (
        ready.filter(Exists(answered.filter(pk=OuterRef("prediction_id")))),
        ready.filter(Exists(label.filter(Exists(labelled_ones)))),
        ShadowAnswer.objects.filter(epoch__in=[epoch.pk for epoch in epochs], state=ShadowState.QUEUED),
    )
    return sum(rows.order_by()[:MOST_PENDING].count() for rows in waiting)


def _ratios(experiment: Experiment, epochs: Sequence[Epoch], units: dict[tuple[int, str], int]) -> list[EpochRatio]:
    flagged = Unit.objects.filter(epoch__in=[epoch.pk for epoch in epochs], in_both=True)
    both = dict(flagged.order_by().values_list("epoch").annotate(Count("pk")))
    found = []
    for epoch in epochs:
        of_a, of_b = units[epoch.pk, Arm.A], units[epoch.pk, Arm.B]
        dealt = not experiment.is_paired and epoch.share_b < 1
        ratio = sample_ratio(of_a, of_b, epoch.share_b) if dealt else None
        found.append(EpochRatio(epoch.number, epoch.share_b, ratio, both.get(epoch.pk, 0)))
    return found


def _verdict(
    experiment: Experiment,
    comparisons: Sequence[Comparison | Unknown],
    judged: tuple[int, int],
    ratios: Sequence[EpochRatio],
    guardrails: Sequence[Guardrail],
    coverage: float | None,
) -> Verdict:
    told = [each.ratio for each in ratios if each.ratio is not None]
    if experiment.mismatch_at is not None:
        worst = min(told, key=lambda ratio: ratio.sequential_p, default=None)
        said = f": {worst.reason.removeprefix('sample ratio mismatch: ')}" if worst else ""
        reason = f"sample ratio mismatch, proven on {experiment.mismatch_at:%d %b %Y}; it blocks for good{said}"
        return Verdict("blocked", reason, None)
    return judge(
        Evidence(
            design="shadow" if experiment.is_paired else "ab",
            comparisons=comparisons,
            labelled=judged,
            ratios=told,
            guardrails=guardrails,
            coverage=coverage,
            min_samples=experiment.min_samples,
            margin=experiment.margin,
            planned=experiment.planned_labels,
        )
    )


def _of_many(found: Verdict, units: Mapping[tuple[int, str], int]) -> Verdict:
    """No verdict rests on a few units, however many claims of each were judged: what they have in common would decide
    it, and whoever calls could bring it about."""
    fewest = min(sum(n for (_, own), n in units.items() if own == arm) for arm in (Arm.A, Arm.B))
    if found.verdict == "blocked" or fewest >= LEAST:
        return found
    return Verdict("blocked", f"too few: {fewest} units in an arm, of at least {LEAST}", LEAST - fewest)


def _arms(experiment: Experiment, known: Arms, judged: Arms, units: dict[tuple[int, str], int]) -> list[ArmResult]:
    """Over all epochs: what the arms were, not what the comparison rests on."""
    sides = ((Arm.A, experiment.version_a, known.a, judged.a), (Arm.B, experiment.version_b, known.b, judged.b))
    measures = decidable(known.a.shape, paired=False, costs=costs_of(experiment)).values()
    return [
        ArmResult(
            arm=arm.value,
            version=version.number,
            units=sum(n for (_, own), n in units.items() if own == arm),
            answers=all_of_it.units,
            labelled=compared.judged,
            errors=all_of_it.answers.errors,
            metrics={measure.name: _value(measure, compared) for measure in measures},
            p50_ms=quantile_ms(all_of_it.answers.latency, 0.5),
            p95_ms=quantile_ms(all_of_it.answers.latency, 0.95),
            unjudged=compared.answers.labelled - compared.judged,
        )
        for arm, version, all_of_it, compared in sides
    ]


def _value(measure: Measure, arm: ArmTally) -> float | None:
    if measure.kind == "ranking":
        negative, positive = (side.astype(float) for side in arm.answers.scores[1:])
        return auc_of_bins(negative, positive)[0] if negative.sum() > 0 and positive.sum() > 0 else None
    if measure.kind != "mean":
        return value(measure, arm.cells)
    name = {"mae": "absolute", "rmse": "square"}.get(measure.name, measure.name)
    mean = arm.answers.moments[name].mean
    return mean**0.5 if mean is not None and measure.name == "rmse" else mean


def _total(parts: Any, start: Arms) -> Arms:
    for part in parts:
        start = start.plus(part)
    return start
