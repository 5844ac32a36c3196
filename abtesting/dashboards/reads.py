"""What the pages of experiments say and show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

from abtesting import plots
from abtesting.choices import Design, Status, Verdict
from abtesting.models import Experiment
from abtesting.selectors.frozen import said_of
from abtesting.selectors.results import Results, Timeline
from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.guardrails import LEVELS, UNITS, Guardrail, Level, Limits, in_unit
from abtesting.stats.measures import in_digits
from abtesting.stats.proposal import length_of
from abtesting.stats.verdict import LEAST_COVERAGE

TONES = {Verdict.SHIP_B: "ok", Verdict.KEEP_A: "info", Verdict.UNDECIDED: "plain", Verdict.BLOCKED: "warn"}
LEVEL_TONES = {"ok": "ok", "warn": "warn", "hold": "bad", "roll_back": "bad"}
HEADLINES = {
    Verdict.SHIP_B: "B is better: it can ship.",
    Verdict.KEEP_A: "Keep A: B is worse.",
    Verdict.UNDECIDED: "Undecided so far: that is not a reason to ship.",
    Verdict.BLOCKED: "No verdict yet.",
}


class Picture(NamedTuple):
    """A figure: where it goes, what it shows, and its JSON."""

    key: str
    title: str
    said: str
    json: str


class Rail(NamedTuple):
    """A guardrail with its limits, in the unit in which people read it."""

    name: str
    unit: str
    level: Level
    tone: str
    estimate: float
    certain: float | None
    limits: Limits
    reason: str

    @property
    def is_limited(self) -> bool:
        return any(limit is not None for limit in self.limits)


def advice(experiment: Experiment, found: Results, timeline: Timeline, *, now: datetime | None = None) -> str:
    """What to do next, in a sentence or two."""
    verdict, needed = Verdict(found.verdict.verdict), found.verdict.samples_needed
    if verdict == Verdict.SHIP_B:
        return "Conclude it: the result is frozen and a promotion request filed with it; approvers decide."
    if verdict == Verdict.KEEP_A:
        return "Conclude it: the result is frozen, A stays in production and B is not promoted."
    of_a, of_b = pace(experiment, timeline, now=now)
    if verdict == Verdict.BLOCKED:  # by an arm that has too few, if by no more than that
        return _unblocked(experiment, found, _wait(needed, min(of_a, of_b)))
    if needed:
        wait = _wait(needed, of_a if experiment.is_paired else of_a + of_b)
        return f"{wait} Conclude it before and it stays undecided: nothing is promoted."
    return "More labels of this kind will hardly tell: conclude it as undecided, or try a B that differs more."


def pace(experiment: Experiment, timeline: Timeline, *, now: datetime | None = None) -> tuple[float, float]:
    """Labels a day of A and of B since the start (pairs, twice); at least a quarter of a day is counted."""
    days = max(((now or timezone.now()) - experiment.started_at).total_seconds() / 86_400, 0.25)
    of_a, of_b = (sum(part[-1:]) / days for part in (timeline.labelled_a, timeline.labelled_b))
    return of_a, of_b


def _wait(needed: int | None, a_day: float) -> str:
    if not needed:
        return "Wait."
    labels = f"Wait for about {needed:,} more label{'' if needed == 1 else 's'}"
    if a_day <= 0:
        return f"{labels}; an arm has none yet, so nobody can say how long that takes."
    return f"{labels}, {length_of(needed / a_day)} at {in_digits(max(a_day, 0.1))} a day."


def _unblocked(experiment: Experiment, found: Results, wait: str) -> str:
    if any(each.ratio is not None and not each.ratio.ok for each in found.ratios):
        return (
            "Trust no figure below: the arms are not alike. Find out which units are lost or sent twice, stop this "
            "experiment, and start another once that is mended."
        )
    if any(each.level in ("hold", "roll_back") for each in found.guardrails):
        return "Look at the guardrail below: B's share cannot grow and nothing ships while it holds. Mend B, or stop."
    if experiment.is_paired and (found.coverage is None or found.coverage < LEAST_COVERAGE):
        return "Wait for B to score what A has answered. If that does not move, look whether the workers run."
    return wait


class Compared(NamedTuple):
    """A comparison with what it says by itself, by Holm over all of them."""

    said: str
    tone: str
    row: Comparison | Unknown
    is_known: bool
    chance: str  # that B is better


def compared(found: Results) -> list[Compared]:
    """Of the success metrics, in their order."""
    tones = {"better": "ok", "worse": "bad", "undecided": "plain", "unknown": "plain"}
    pairs = zip(said_of(found.comparisons), found.comparisons, strict=True)
    return [
        Compared(said, tones[said], row, isinstance(row, Comparison), chance_words(getattr(row, "chance", None)))
        for said, row in pairs
    ]


def chance_words(chance: float | None) -> str:
    """Never all or nothing: data alone do not say so.

    >>> chance_words(0.8431), chance_words(0.99998), chance_words(0.0001), chance_words(None)
    ('84.3 %', 'over 99.9 %', 'under 0.1 %', '–')
    """
    if chance is None:
        return "–"
    if not 0.001 <= chance <= 0.999:
        return "over 99.9 %" if chance > 0.5 else "under 0.1 %"
    return f"{100 * chance:.1f} %"


def rails_of(experiment: Experiment, judged: Sequence[Guardrail]) -> list[Rail]:
    """The worst first."""
    return sorted((_rail(experiment, one) for one in judged), key=lambda rail: -LEVELS.index(rail.level))


def _rail(experiment: Experiment, one: Guardrail) -> Rail:
    def read(value: float | None) -> float | None:
        return None if value is None else in_unit(one.name, value)

    limits = Limits(**{level: read(limit) for level, limit in (experiment.guardrails.get(one.name) or {}).items()})
    tone, estimate = LEVEL_TONES[one.level], in_unit(one.name, one.estimate)
    return Rail(one.name, UNITS[one.name], one.level, tone, estimate, read(one.certain), limits, one.reason)


def pictures(experiment: Experiment, found: Results, timeline: Timeline) -> dict[str, list[Picture]]:
    """By where they stand on the page."""
    days = timeline.days
    infos = [plots.band(name, days, by_day, experiment.margin) for name, by_day in timeline.by_metric.items()]
    said = "B less A at the end of each day with its always-valid interval; the numbers are in the table below"
    bands = [
        Picture(f"band{place}", info.metric, said, plots.band_figure(info).to_json())
        for place, info in enumerate(infos)
        if any(value is not None for value in info.difference)
    ]
    return {
        "bands": bands,
        "counts": _counts(timeline) if sum(timeline.units_a[-1:] + timeline.units_b[-1:]) else [],
        "splits": [_splits(experiment)],
        "rails": _rails(experiment, found),
    }


def _counts(timeline: Timeline) -> list[Picture]:
    said = "Of both arms, summed up to each day; the numbers are in the table below"
    labels = plots.Counts(timeline.days, timeline.labelled_a, timeline.labelled_b)
    units = plots.Counts(timeline.days, timeline.units_a, timeline.units_b)
    return [
        Picture("labels", "Labels so far", said, plots.counts_figure(labels, what="labelled claims").to_json()),
        Picture("units", "Units so far", said, plots.counts_figure(units, what="units").to_json()),
    ]


def _splits(experiment: Experiment) -> Picture:
    epochs = list(experiment.epochs.all())
    end = experiment.ended_at or timezone.now()
    at, shares = [epoch.started_at for epoch in epochs], [epoch.share_b for epoch in epochs]
    info = plots.Splits([*at, end], [*shares, *shares[-1:]], [*(e.number for e in epochs), epochs[-1].number])
    said = "B's share of the units over time; the numbers are in the table below"
    return Picture("splits", "Allocation", said, plots.splits_figure(info).to_json())


def _rails(experiment: Experiment, found: Results) -> list[Picture]:
    limits = {name: Limits(**own) for name, own in experiment.guardrails.items()}
    info = plots.rails(found.guardrails, limits)
    known = [place for place, value in enumerate(info.certain) if value is not None and math.isfinite(value)]
    if not known:
        return []
    kept = plots.Rails(
        [info.names[place] for place in known],
        *([part[place] for place in known] for part in (info.estimate, info.certain, info.warn)),
    )
    said = "How much worse B is, as a part of the limit; the numbers are in the table below"
    return [Picture("rails", "Guardrails", said, plots.rails_figure(kept).to_json())]


class Day(NamedTuple):
    """A row of the table behind the figures."""

    day: Any
    units_a: int
    units_b: int
    labelled_a: int
    labelled_b: int
    compared: list[Any]


def days_of(timeline: Timeline) -> list[Day]:
    """The latest first."""
    columns = zip(
        timeline.days, timeline.units_a, timeline.units_b, timeline.labelled_a, timeline.labelled_b, strict=True
    )
    rows = [Day(*each, [found[place] for found in timeline.by_metric.values()]) for place, each in enumerate(columns)]
    return rows[::-1]


def headline(experiment: Experiment, verdict: str) -> str:
    """The verdict of a running or concluded experiment, or how it ended."""
    if experiment.status == Status.STOPPED:
        return "Stopped: it has no verdict."
    if experiment.status == Status.CONCLUDED and verdict == Verdict.UNDECIDED:
        return "It ended undecided: nothing was promoted."
    if experiment.status == Status.CONCLUDED and verdict == Verdict.BLOCKED:
        return "It ended without a verdict: nothing was promoted."
    return HEADLINES[Verdict(verdict)]


def design_words(experiment: Experiment) -> str:
    """How B gets to see claims, in a sentence."""
    share = next((e.share_b for e in experiment.epochs.all() if e.ended_at is None), None)
    at = "" if share is None else f"{100 * share:.3g} % of the units"
    if experiment.design == Design.SHADOW:
        return "A answers all claims; B scores the same ones silently" + (
            f", of {at}." if share not in (None, 1) else "."
        )
    if experiment.design == Design.RAMP:
        steps = ", ".join(f"{100 * step:g} %" for step in experiment.steps)
        return f"B's share grows in steps ({steps}){f'; now it answers {at}' if at else ''}."
    return f"B answers {at}, A the others." if at else "B answered some units, A the others."
