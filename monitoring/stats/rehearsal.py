"""What a retrain policy would have done over a span of time, tick by tick, from what was known at each of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SCHEDULE = "scheduled_interval"


class Hint(NamedTuple):
    """A finding that reaches a limit of the policy; `until` is when somebody resolved its alert."""

    at: datetime
    about: tuple[str, str]  # rule and subject: the same one later takes its place
    trigger: str
    said: str
    until: datetime | None = None


class Step(NamedTuple):
    """A reason to train again, and what would have come of it."""

    at: datetime
    trigger: str
    outcome: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Past:
    """What happened in the span whatever the policy is. Moments are in order."""

    start: datetime
    end: datetime
    hints: Sequence[Hint]
    labelled: Sequence[tuple[datetime, int]]  # new labels by when they were known; those before `start` stand at it
    busy: Sequence[tuple[datetime, datetime]] = ()  # runs that people asked for
    trained_at: datetime | None = None  # before `start`
    taken_at: datetime | None = None  # the last retraining before `start`
    team_taken: Sequence[datetime] = ()  # retrainings of the team's other models
    run_length: timedelta = timedelta(0)


@dataclass(frozen=True)
class Limits:
    """The part of a policy that says when not; the findings have been held against the rest of it."""

    interval: timedelta | None
    cool_down: timedelta
    min_labels: int
    daily_budget: int | None = None
    team_budget: int | None = None


@dataclass
class _Walk:
    past: Past
    limits: Limits
    taken: list[datetime] = field(default_factory=list)
    used: int = 0
    waiting: dict[tuple[str, str], Hint] = field(default_factory=dict)
    written: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def steps(self) -> Iterator[Step]:
        todo = list(self.past.hints)
        for now in _ticks(self.past):
            while todo and todo[0].at <= now:
                hint = todo.pop(0)
                self.waiting[hint.about] = hint
            self.waiting = {key: h for key, h in self.waiting.items() if h.until is None or h.until > now}
            yield from self._tick(now)

    def _tick(self, now: datetime) -> Iterator[Step]:
        for hint in [*self.waiting.values(), *self._due(now)]:
            outcome, detail = self._against(now)
            seen = self.written.setdefault(hint.about, set())
            if outcome not in seen:
                yield Step(now, hint.trigger, outcome, hint.said, detail)
            seen.add(outcome)
            if outcome == "taken":
                self.taken.append(now)
                self.used = self._known(now)
                self.waiting, self.written = {}, {}
                return

    def _due(self, now: datetime) -> list[Hint]:
        asked = [start for start, _ in self.past.busy if start <= now]
        known = [*([self.past.trained_at] if self.past.trained_at else []), *asked, *self.taken]
        if self.limits.interval is None or not known or now - max(known) < self.limits.interval:
            return []
        said = f"{SCHEDULE}: the last training was asked for {max(known):%Y-%m-%d %H:%M} UTC"
        return [Hint(now, (SCHEDULE, ""), SCHEDULE, said)]

    def _against(self, now: datetime) -> tuple[str, str]:
        """What stands against a training, in the order in which it is looked at."""
        last = self.taken[-1] if self.taken else self.past.taken_at
        own = self.taken[-1] + self.past.run_length if self.taken else now
        if own > now or any(start <= now < end for start, end in self.past.busy):
            return "already_running", "a run was under way; one at a time"
        if last and now < last + self.limits.cool_down:
            return "cooling_down", f"until {last + self.limits.cool_down:%Y-%m-%d %H:%M} UTC"
        for budget, rows in (
            (self.limits.daily_budget, self.taken),
            (self.limits.team_budget, [*self.taken, *self.past.team_taken]),
        ):
            if budget is not None and sum(now - DAY < moment <= now for moment in rows) >= budget:
                return "budget_spent", f"the retraining budget is {budget:,} in 24 hours"
        fresh = self._known(now) - self.used
        if fresh < self.limits.min_labels:
            return "not_enough_labels", f"{fresh:,} new labels, {self.limits.min_labels:,} are needed"
        return "taken", f"{fresh:,} new labels"

    def _known(self, now: datetime) -> int:
        upto = bisect_right([moment for moment, _ in self.past.labelled], now)
        return sum(count for _, count in self.past.labelled[:upto])


def rehearse(past: Past, limits: Limits) -> list[Step]:
    """Every hour and at every finding: a reason that waits, or the interval, and what stands against it. A reason that
    is held back in the same way is told once until a training is taken."""
    return list(_Walk(past, limits).steps())


def _ticks(past: Past) -> list[datetime]:
    count = int((past.end - past.start) / HOUR) + 1
    hours = {past.start + HOUR * number for number in range(count)}
    return sorted(hours | {hint.at for hint in past.hints})
