"""What an experiment has come to so far: from the rows themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from django.utils import timezone

from abtesting.choices import Design, ShadowState
from abtesting.models import Epoch, Experiment, ShadowAnswer
from abtesting.stats import guardrails as rails
from abtesting.stats import measures as known_measures
from abtesting.stats import verdict as verdicts
from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.guardrails import Guardrail, Harm, Limits
from abtesting.stats.inference import compare_arms, compare_pairs
from abtesting.stats.measures import Costs
from abtesting.stats.pairs import PairTally
from abtesting.stats.srm import SampleRatio, sample_ratio
from abtesting.stats.tally import ArmTally
from abtesting.stats.verdict import Verdict
from monitoring.choices import PredictionStatus
from monitoring.models import FoldItem, Label, Prediction
from monitoring.selectors.bases import basis_of
from monitoring.stats.answers import Answers
from monitoring.stats.operations import quantile_ms


class ArmResult(NamedTuple):
    arm: str
    version: str
    units: int
    answers: int
    labelled: int
    errors: int
    metrics: dict[str, float | None]
    p50_ms: float | None
    p95_ms: float | None


class EpochRatio(NamedTuple):
    epoch: int
    share_b: float
    ratio: SampleRatio | None
    in_both: int


class Results(NamedTuple):
    as_of: datetime
    arms: list[ArmResult]
    ratios: list[EpochRatio]
    comparisons: list[Comparison | Unknown]
    guardrails: list[Guardrail]
    coverage: float | None
    verdict: Verdict
    pending: int


class Timeline(NamedTuple):
    days: list[date]
    labelled_a: list[int]
    labelled_b: list[int]
    units_a: list[int]
    units_b: list[int]
    by_metric: dict[str, list[Comparison | Unknown]]


def results(experiment: Experiment, *, now: datetime | None = None) -> Results:
    """At this look."""
    epochs = list(Epoch.objects.filter(experiment=experiment))
    rows = list(Prediction.objects.filter(epoch__in=[epoch.pk for epoch in epochs]).order_by("predicted_at"))
    labels = _labels(rows)
    shadows = {row.prediction_id: row for row in ShadowAnswer.objects.filter(epoch__experiment=experiment)}
    shape = basis_of(experiment.version_a).shape
    costs = Costs(**experiment.costs) if experiment.costs else None
    known = known_measures.measures(shape, paired=experiment.is_paired, costs=costs)
    chosen = known_measures.chosen(experiment.metrics, known)
    if experiment.is_paired:
        a, b = _answers(rows, labels), _silent(rows, shadows, labels)
        scored = [_state(shadows, row) != ShadowState.QUEUED for row in rows]
        pairs = PairTally.of(a, b, shape, scored=scored)
        comparisons = [compare_pairs(measure, pairs) for measure in chosen]
        labelled = (pairs.judged, pairs.judged)
        tallies = {"a": ArmTally.of(a, shape), "b": ArmTally.of(_only(b, scored), shape)}
        coverage = sum(scored) / len(rows) if rows else None
        waiting = len(rows) - sum(scored)
    else:
        by_arm = {arm: [row for row in rows if row.arm == arm] for arm in ("a", "b")}
        tallies = {arm: ArmTally.of(_answers(own, labels), shape) for arm, own in by_arm.items()}
        comparisons = [compare_arms(measure, tallies["a"], tallies["b"]) for measure in chosen]
        labelled = (tallies["a"].judged, tallies["b"].judged)
        coverage, waiting = None, 0
    ratios = [_ratio(epoch, rows, paired=experiment.is_paired) for epoch in epochs]
    found = _guardrails(experiment, tallies["a"], tallies["b"], costs)
    evidence = verdicts.Evidence(
        design="shadow" if experiment.is_paired else "ab",
        comparisons=comparisons,
        labelled=labelled,
        ratios=[each.ratio for each in ratios if each.ratio is not None],
        guardrails=found,
        coverage=coverage,
        min_samples=experiment.min_samples,
        margin=experiment.margin,
        planned=experiment.planned_labels,
    )
    arms = [_arm(experiment, arm, tallies[arm], chosen, rows) for arm in ("a", "b")]
    return Results(
        now or timezone.now(),
        arms,
        ratios,
        comparisons,
        found,
        coverage,
        verdicts.judge(evidence),
        FoldItem.objects.count() + waiting,
    )


def timeline(experiment: Experiment) -> Timeline:
    """Day by day, of the claims answered until its end, as they are labelled now."""
    rows = list(Prediction.objects.filter(epoch__in=experiment.epochs.values("pk")).order_by("predicted_at"))
    labels, shape = _labels(rows), basis_of(experiment.version_a).shape
    shadows = {row.prediction_id: row for row in ShadowAnswer.objects.filter(epoch__experiment=experiment)}
    costs = Costs(**experiment.costs) if experiment.costs else None
    known = known_measures.measures(shape, paired=experiment.is_paired, costs=costs)
    chosen = known_measures.chosen(experiment.metrics, known)
    found = Timeline([], [], [], [], [], {measure.name: [] for measure in chosen})
    for day in sorted({row.predicted_at.date() for row in rows}):
        own = [row for row in rows if row.predicted_at.date() <= day]
        if experiment.is_paired:
            a, b = _answers(own, labels), _silent(own, shadows, labels)
            done = [_state(shadows, row) != ShadowState.QUEUED for row in own]
            pairs = PairTally.of(a, b, shape, scored=done)
            tallies = [ArmTally.of(a, shape), ArmTally.of(_only(b, done), shape)]
            compared = [compare_pairs(measure, pairs) for measure in chosen]
        else:
            tallies = [
                ArmTally.of(_answers([row for row in own if row.arm == arm], labels), shape) for arm in ("a", "b")
            ]
            compared = [compare_arms(measure, *tallies) for measure in chosen]
        found.days.append(day)
        for kept, value in zip(
            (found.labelled_a, found.labelled_b, found.units_a, found.units_b),
            [tally.judged for tally in tallies] + [tally.units for tally in tallies],
            strict=True,
        ):
            kept.append(value)
        for each in compared:
            found.by_metric[each.metric].append(each)
    return found


def as_json(found: Results) -> dict[str, Any]:
    """As the API answers it, and as it is frozen."""
    ratios = [each for each in found.ratios if each.ratio is not None]
    return {
        "as_of": found.as_of.isoformat(),
        "arms": [arm._asdict() for arm in found.arms],
        "srm": {
            "p_value": min((each.ratio.p_value for each in ratios if each.ratio), default=None),
            "ok": all(each.ratio.ok for each in ratios if each.ratio),
            "epochs": [
                {
                    "epoch": each.epoch,
                    "share_b": each.share_b,
                    "in_both": each.in_both,
                    **({"a": each.ratio.a, "b": each.ratio.b, "p_value": each.ratio.p_value} if each.ratio else {}),
                }
                for each in found.ratios
            ],
        },
        "comparisons": [_comparison(each) for each in found.comparisons],
        "guardrails": [each._asdict() for each in found.guardrails],
        "coverage": found.coverage,
        "pending": found.pending,
        **found.verdict._asdict(),
    }


def _comparison(found: Comparison | Unknown) -> dict[str, Any]:
    if isinstance(found, Unknown):
        return {"metric": found.metric, "difference": None, "verdict": "unknown", "note": found.why}
    return {
        "metric": found.metric,
        "difference": found.difference,
        "ci95": list(found.ci95),
        "sequential_ci": list(found.sequential_ci),
        "p_value": found.p_value,
        "verdict": "better" if found.gain > 0 else "worse",
        "note": found.test,
    }


def _labels(rows: Sequence[Prediction]) -> dict[tuple[int, str], Any]:
    said = Label.objects.filter(request_id__in=[row.request_id for row in rows]).order_by("revision")
    return {(row.model_id, row.request_id): row.label for row in said}


def _answers(rows: Sequence[Prediction], labels: Mapping[tuple[int, str], Any]) -> Answers:
    nan = float("nan")
    return Answers(
        [row.prediction for row in rows],
        [nan if row.score is None else row.score for row in rows],
        [row.decision for row in rows],
        [row.status == PredictionStatus.ERROR or row.error_code == "arm_failed" for row in rows],
        [nan if row.latency_ms is None else row.latency_ms for row in rows],
        [labels.get((row.model_id, row.request_id)) for row in rows],
    )


def _silent(
    rows: Sequence[Prediction], shadows: Mapping[Any, ShadowAnswer], labels: Mapping[tuple[int, str], Any]
) -> Answers:
    nan, said = float("nan"), [shadows.get(row.pk, ShadowAnswer()) for row in rows]
    return Answers(
        [row.prediction for row in said],
        [nan if row.score is None else row.score for row in said],
        [row.decision for row in said],
        [row.state == ShadowState.FAILED for row in said],
        [nan if row.latency_ms is None else row.latency_ms for row in said],
        [labels.get((row.model_id, row.request_id)) for row in rows],
    )


def _only(answers: Answers, chosen: Sequence[bool]) -> Answers:
    return Answers(*([cell for cell, keep in zip(part, chosen, strict=True) if keep] for part in answers))


def _state(shadows: Mapping[Any, ShadowAnswer], row: Prediction) -> str:
    return shadows[row.pk].state if row.pk in shadows else ShadowState.QUEUED


def _ratio(epoch: Epoch, rows: Sequence[Prediction], *, paired: bool) -> EpochRatio:
    units = {arm: {row.unit_id for row in rows if row.epoch == epoch.pk and row.arm == arm} for arm in ("a", "b")}
    judged = not paired and epoch.share_b < 1
    ratio = sample_ratio(len(units["a"]), len(units["b"]), epoch.share_b) if judged else None
    return EpochRatio(epoch.number, epoch.share_b, ratio, len(units["a"] & units["b"]))


def _guardrails(experiment: Experiment, a: ArmTally, b: ArmTally, costs: Costs | None) -> list[Guardrail]:
    harms: list[Harm] = [rails.error_rate(a, b), rails.latency(a, b), rails.alert_volume(a, b)]
    if costs is not None:
        harms.append(rails.cost(a, b, costs))
    limits = {name: Limits(**given) for name, given in experiment.guardrails.items()}
    return [rails.judge(harm, limits[harm.name]) for harm in harms if harm.name in limits]


def _arm(
    experiment: Experiment, arm: str, tally: ArmTally, chosen: Sequence[known_measures.Measure], rows: Any
) -> ArmResult:
    version = experiment.version_a if arm == "a" else experiment.version_b
    units = {row.unit_id for row in rows if row.arm == arm or experiment.design == Design.SHADOW}
    figures = {
        measure.name: known_measures.value(measure, tally.cells) if measure.kind in ("share", "cost") else None
        for measure in chosen
    }
    quantiles = [quantile_ms(tally.answers.latency, share) for share in (0.5, 0.95)]
    return ArmResult(
        arm, version.number, len(units), tally.units, tally.judged, tally.answers.errors, figures, *quantiles
    )
