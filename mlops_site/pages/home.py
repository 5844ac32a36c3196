"""Home: what needs you, in a sentence, then the evidence."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.utils import timezone

from abtesting import selectors as abtesting
from abtesting.choices import Status
from mlops_site.core.choices import JobState, Role
from mlops_site.core.dashboards import Page
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor
from mlops_site.pages.fleet import fleet
from mlops_site.pages.traffic import last_day, together
from monitoring import selectors as monitoring
from monitoring.choices import AlertStatus
from registry import selectors
from registry.choices import TransferStatus
from training import selectors as training

SHOWN, COUNTED = 8, 200
NUMBERS = (
    "Nothing needs",
    "One thing needs",
    "Two things need",
    "Three things need",
    "Four things need",
    "Five things need",
)


class HomePage(Page):
    template_name = "pages/home.html"
    title = "Home"

    def facts(self) -> dict[str, Any]:
        models = list(selectors.models(self.actor))
        waiting = list(selectors.requests(self.actor, waiting_for_me=True)[:COUNTED])
        failed, alerts = list(self._failed()), list(self._alerts())
        incidents, transfers = list(self._incidents()), list(self._transfers())
        needed = (waiting, transfers, incidents, failed, alerts)
        traffic = last_day(models)
        return {
            "needs": sentence(sum(map(len, needed))),
            "who": _teams(self.actor),
            "waiting": waiting[:SHOWN],
            "failed": failed[:SHOWN],
            "alerts": alerts[:SHOWN],
            "incidents": incidents[:SHOWN],
            "transfers": transfers[:SHOWN],
            "more": sum(max(0, len(rows) - SHOWN) for rows in needed),
            "asked": selectors.requests(self.actor, status="pending").filter(requester=self.actor.user)[:SHOWN],
            "runs": training.runs(self.actor)[:SHOWN],
            "ended": _ended(self.actor),
            "experiments": list(
                abtesting.experiments(self.actor, status=Status.RUNNING).prefetch_related(None)[:SHOWN]
            ),
            "traffic": together(traffic.values()),
            "fleet": fleet(models, traffic),
        }

    def _failed(self) -> Any:
        """My runs that failed since yesterday: somebody must look at them, and that is me."""
        mine = training.runs(self.actor, state=JobState.FAILED).filter(requested_by=self.actor.user)
        return mine.filter(finished_at__gte=timezone.now() - timedelta(days=1))[:COUNTED]

    def _alerts(self) -> Any:
        """Those that I may handle and nobody looks at, the worst first; what is silenced can wait."""
        mine = monitoring.alerts(self.actor, status=AlertStatus.OPEN, silenced=False)
        return mine.filter(model__team__in=self.actor.teams(Action.ALERT_HANDLE))[:COUNTED]

    def _incidents(self) -> Any:
        """Those that are open and that I may close."""
        mine = selectors.incidents(self.actor, status="open")
        return mine.filter(model__team__in=self.actor.teams(Action.INCIDENT_CLOSE))[:COUNTED]

    def _transfers(self) -> Any:
        """Models that another team offers to one of which I am an admin; the model itself I do not see yet."""
        mine = selectors.transfers(self.actor, status=TransferStatus.PENDING)
        return mine.filter(to_team__in=self.actor.teams(Action.MODEL_TRANSFER))[:COUNTED]


def sentence(count: int) -> str:
    """
    >>> sentence(0), sentence(1), sentence(12)
    ('Nothing needs you.', 'One thing needs you.', '12 things need you.')
    """
    return f"{NUMBERS[count] if count < len(NUMBERS) else f'{count} things need'} you."


def _teams(actor: Actor) -> list[tuple[str, str]]:
    """The actor's teams with the role in each."""
    names = Team.objects.filter(pk__in=actor.roles).order_by("name").values_list("pk", "name")
    return [(name, str(Role(actor.roles[pk]).label)) for pk, name in names]


def _ended(actor: Actor) -> Counter[str]:
    """How the runs of the last 24 hours ended."""
    since = timezone.now() - timedelta(days=1)
    return Counter(training.runs(actor).filter(finished_at__gte=since).order_by().values_list("state", flat=True))
