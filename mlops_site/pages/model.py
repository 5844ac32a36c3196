"""A model's page: what serves, what waits, what was trained, what is asked of it."""

from __future__ import annotations

from typing import Any

from django.db.models import F

from abtesting.selectors import running_experiment
from mlops_site.core.dashboards import Page
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import metric
from mlops_site.pages.traffic import NOTHING, last_day
from monitoring.selectors.fleet import open_alerts
from registry import plots, selectors
from registry.choices import Stage, TransferStatus
from registry.dashboards import reads
from registry.models import RegisteredModel, StageInterval, Version
from registry.selectors.search import tags_of
from training import selectors as training

SHOWN = 10
_OPEN_FIRST = F("closed_at").desc(nulls_first=True)


class ModelPage(Page):
    template_name = "pages/model.html"

    def facts(self) -> dict[str, Any]:
        model = self.kwargs["model"]
        found = selectors.model_named(self.actor, model)
        versions = list(selectors.with_version_aliases(selectors.versions(found)))
        now = next((version for version in versions if version.stage == Stage.PRODUCTION), None)
        history = reads.metric_history(versions)
        history = history._replace(metric=metric(history.metric))
        return {
            "title": found.name,
            "model": found,
            "lines": [(version, reads.headline(version.metrics)) for version in versions],
            "now": now,
            "since": _since(now),
            "metrics": reads.metrics_of(now)[:4] if now else [],
            "requests": list(selectors.requests(self.actor, model=found)[:SHOWN]),
            "runs": training.runs(self.actor, model=found.name)[:SHOWN],
            "aliases": selectors.aliases(found),
            "tags": tags_of(found),
            "transfers": selectors.transfers(self.actor, model=found, status=TransferStatus.PENDING),
            "incidents": list(selectors.incidents(self.actor, model=found).order_by(_OPEN_FIRST, "-opened_at")[:SHOWN]),
            "conditions": list(selectors.open_conditions(self.actor, model=found)[:SHOWN]),
            "closers": self.actor.teams(Action.PROMOTION_DECIDE),
            "policy": selectors.policy(found),
            "experiment": running_experiment(found),
            "traffic": last_day([found]).get(found.pk, NOTHING),
            "open_alerts": open_alerts([found]).get(found.pk),
            "history": history,
            "history_json": plots.history_figure(history).to_json() if len(history.numbers) > 1 else "",
            "figures": len(history.numbers) > 1,
            **self._rights(found, now),
        }

    def _rights(self, model: RegisteredModel, now: Version | None) -> dict[str, bool]:
        may = {action: self.actor.may(action, model.team_id) for action in Action}
        return {
            "may_roll_back": may[Action.ROLLBACK] and now is not None and selectors.rollback_target(model) is not None,
            "may_set_policy": may[Action.POLICY_SET] or may[Action.MODEL_EDIT],
            "may_start": may[Action.RUN_REQUEST],
            "may_test": may[Action.EXPERIMENT_SHADOW] and now is not None,
            "may_annotate": may[Action.ANNOTATE],
            "may_alias": may[Action.ALIAS_SET],
            "may_protect": may[Action.POLICY_SET],
            "may_archive": may[Action.MODEL_ARCHIVE] and (now is None or may[Action.ROLLBACK]),
            "may_transfer": may[Action.MODEL_TRANSFER] or (may[Action.MODEL_EDIT] and model.owner == self.actor.user),
        }


def _since(version: Version | None) -> StageInterval | None:
    return (
        None if version is None else StageInterval.objects.open().filter(version=version).select_related("by").first()
    )
