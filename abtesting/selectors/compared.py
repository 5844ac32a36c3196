"""B against A on the success metrics and on the guardrails, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from abtesting.choices import Arm
from abtesting.models import Epoch, Experiment
from abtesting.selectors.stored import Arms, Row, summed, units_of
from abtesting.stats import guardrails, sequential
from abtesting.stats.comparison import LEAST, Comparison, Unknown, over_epochs
from abtesting.stats.guardrails import DEFAULTS, LEVELS, Guardrail, Harm, Limits
from abtesting.stats.inference import compare_arms, compare_pairs
from abtesting.stats.measures import Costs, Measure, chosen, measures
from abtesting.stats.resample import Drawn, drawn_arms, drawn_together, pooled
from abtesting.stats.sequential import Bounds
from monitoring.selectors import basis_of
from monitoring.stats.shape import Shape

DRAWS = 2_000


def decidable(shape: Shape, *, paired: bool, costs: Costs | None = None) -> dict[str, Measure]:
    """What experiments on models of this shape can be decided on, by public spelling. Nothing logs an outcome such as
    the sum paid, so it cannot be one of them yet."""
    return {name: own for name, own in measures(shape, paired=paired, costs=costs).items() if name != "outcome"}


def costs_of(experiment: Experiment) -> Costs | None:
    return Costs(**experiment.costs) if experiment.costs else None


def shape_of(experiment: Experiment) -> Shape:
    """Of both versions, whose signatures are alike."""
    return basis_of(experiment.version_a).shape


def success_metrics(experiment: Experiment, shape: Shape) -> list[Measure]:
    """In the order in which they were named."""
    known = decidable(shape, paired=experiment.is_paired, costs=costs_of(experiment))
    return chosen(experiment.metrics, known)


def comparable(experiment: Experiment, epochs: Iterable[Epoch]) -> list[Epoch]:
    """Those in which both arms get units: not the last step of a ramp."""
    return [epoch for epoch in epochs if experiment.is_paired or epoch.share_b < 1]


def comparison(
    experiment: Experiment, measure: Measure, parts: Sequence[Arms], *, draws: int = 0
) -> Comparison | Unknown:
    """Of epochs, compared one by one and weighted by their precision; epochs with too few units are left out. With
    `draws`, beside it what resampling says."""
    tuned_at = float(experiment.planned_labels or sequential.TUNED_AT)
    found = [_compared(measure, part, tuned_at, paired=experiment.is_paired) for part in parts]
    known = [(part, each) for part, each in zip(parts, found, strict=True) if isinstance(each, Comparison)]
    if known:
        bootstrap95 = _bootstrap(measure, known, draws, paired=experiment.is_paired) if draws else None
        return over_epochs([each for _, each in known])._replace(bootstrap95=bootstrap95)
    if not found:
        return Unknown(measure.name, "no epoch has units in both arms")
    sizes = [part.pairs.judged if experiment.is_paired else min(part.a.judged, part.b.judged) for part in parts]
    largest = found[sizes.index(max(sizes))]
    assert isinstance(largest, Unknown)
    return largest


def _compared(measure: Measure, part: Arms, tuned_at: float, *, paired: bool) -> Comparison | Unknown:
    if paired:
        return compare_pairs(measure, part.pairs, tuned_at=tuned_at)
    return compare_arms(measure, part.a, part.b, tuned_at=tuned_at)


def _bootstrap(
    measure: Measure, known: Sequence[tuple[Arms, Comparison]], draws: int, *, paired: bool
) -> Bounds | None:
    """What resampling says, epoch by epoch. None of what cannot be drawn from sums, and where it has no value."""
    try:
        found = [_drawn(measure, part, draws, seed, paired=paired) for seed, (part, _) in enumerate(known)]
        own = pooled(measure, found, [each.se for _, each in known])
    except (ArithmeticError, ValueError):  # of a few units most draws have no value; doubles do not hold some errors
        return None
    return own.lower, own.upper


def _drawn(measure: Measure, part: Arms, draws: int, seed: int, *, paired: bool) -> Drawn:
    if paired:
        return drawn_together(measure, part.pairs, draws=draws, seed=seed)
    if measure.kind not in ("share", "cost"):
        raise ValueError(f"{measure.name} must be of decisions where arms have units of their own")
    return drawn_arms(measure, part.a.cells, part.b.cells, draws=draws, seed=seed)


def judged_guardrails(
    experiment: Experiment, rows: Sequence[Row], by_epoch: Mapping[int, Arms], epochs: Sequence[Epoch]
) -> list[Guardrail]:
    """Each by the epoch in which it looks worst: sums over epochs would show B the harm of the weeks in which it had
    the larger share, and a new split must not make an old harm be forgotten; how certain each must be allows for all of
    them. Nothing is certain of a few units,
    however many answers they got: somebody who repeats one claim that B fails on must not roll it back."""
    units = units_of(rows)
    groups = sorted({row.group for row in rows if row.group})
    shape = next((arms.a.shape for arms in by_epoch.values()), None)
    by_group = {group: summed(rows, epochs, shape, group=group) for group in groups} if shape else {}
    found: dict[str, list[Guardrail]] = {}
    for epoch in epochs:
        grouped = {group: parts[epoch.pk] for group, parts in by_group.items()}
        for harm in _harms(experiment, by_epoch[epoch.pk], grouped, guardrails.level_of(epoch.number)):
            limits, fewest = _limits(experiment, harm.name), min(units[epoch.pk, Arm.A], units[epoch.pk, Arm.B])
            if fewest < LEAST and harm.certain is not None:
                harm = harm._replace(certain=None, said=f"too few: {fewest} units in an arm, of at least {LEAST}")
            found.setdefault(harm.name, []).append(guardrails.judge(harm, limits))
    return [max(each, key=_badness) for each in found.values()]


def _harms(experiment: Experiment, arms: Arms, grouped: Mapping[str, Arms], level: float) -> list[Harm]:
    a, b, costs = arms.a, arms.b, costs_of(experiment)
    found = [guardrails.error_rate(a, b, level=level), guardrails.latency(a, b, level=level)]
    if not experiment.is_paired:  # nobody sees, or overrides, what B says silently
        found.append(guardrails.override_rate(a, b, level=level))
    if a.shape.is_binary:
        found.append(guardrails.alert_volume(a, b, level=level))
    if grouped and a.shape.is_binary:
        sides = [{group: own[side] for group, own in grouped.items()} for side in (0, 1)]
        found.append(guardrails.fairness_gap(sides[0], sides[1], level=level))  # type: ignore[arg-type]
    if costs is not None and a.shape.is_binary:
        found.append(guardrails.cost(a, b, costs, level=level))
    return found


def _limits(experiment: Experiment, name: str) -> Limits:
    return Limits(**{**DEFAULTS[name]._asdict(), **(experiment.guardrails.get(name) or {})})


def _badness(found: Guardrail) -> tuple[int, bool, float, float]:
    certain = found.certain
    return LEVELS.index(found.level), certain is not None, certain or 0.0, found.estimate
