"""How many retrainings may be started in a day: of one model, and of all models of a team together."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.utils import timezone

from mlops_site.core.errors import Conflict
from monitoring.choices import DAY
from monitoring.models import RetrainPolicy, TeamRetrainPolicy
from monitoring.selectors.policies import taken_since
from registry.models import RegisteredModel


def check_budget(model: RegisteredModel, policy: RetrainPolicy) -> None:
    """Raise Conflict `budget_spent`, with when there is room again, where the model or its team has had its
    retrainings of the last 24 hours. Called in a transaction it holds the team's row, so that of two models of a team
    at the same moment one takes what is left."""
    since = timezone.now() - DAY
    if policy.daily_budget is not None:
        _check(model.name, policy.daily_budget, taken_since(since, model=model))
    rows = TeamRetrainPolicy.objects.filter(team=model.team, team_daily_budget__isnull=False)
    for team in rows.select_for_update() if connection.in_atomic_block else rows:
        assert team.team_daily_budget is not None
        _check(f"team {model.team.name}", team.team_daily_budget, taken_since(since, team=model.team))


def _check(whose: str, budget: int, taken: list[datetime]) -> None:
    if len(taken) < budget:
        return
    said = f"the retraining budget of {whose} is {budget:,} in 24 hours, and {len(taken):,} began"
    if not budget:
        raise Conflict(f"{said}; with a budget of 0 none is", code="budget_spent")
    until = taken[len(taken) - budget] + DAY
    left = int((until - timezone.now()).total_seconds()) + 1
    raise Conflict(
        f"{said}; there is room again from {until:%Y-%m-%d %H:%M} UTC", code="budget_spent", retry_after_secs=left
    )
