"""What a retraining trains on: made of new labels, held back by its quality gate, taken up again once it passes."""

from __future__ import annotations

from django.utils import timezone

from mlops_site.core.cuts import cut
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Actor, person
from monitoring.models import Alert, RetrainPolicy
from monitoring.selectors import policies as known
from monitoring.services.labelled import Material, material_of
from registry.models import RegisteredModel
from registry.selectors import in_production
from training.ml.findings import QualityReport
from training.models import DatasetVersion, Run
from training.selectors.quality import in_force, verdict_of
from training.services.datasets import Prepared, keep_dataset
from training.services.quality import check_passed


def made_for(model: RegisteredModel, origin: Run | None, policy: RetrainPolicy, actor: Actor) -> Material:
    """What a retraining is made of: what an earlier one was held back from, once it passes its gate, or else the labels
    that are new since the last one. Raises Conflict `no_training_run`, `data_blocked`, and what `material_of` does."""
    version = in_production(model)
    if version is None or origin is None:
        what = f"its version {version.number} was not trained here" if version else "it has no version in production"
        message = f"{model.name} cannot be trained again as before, because {what}; name a dataset"
        raise Conflict(message, code="no_training_run")
    if held := known.held_back(model, origin.dataset):
        if verdict_of(held, but_of=person(actor)).passed:
            return Material(held, held.lineage, int(held.lineage["labels"]), held)
        if timezone.now() - held.created_at < policy.cool_down:
            check_passed(held, actor=actor)  # it blocks: another one, made of nearly the same rows, would be too
    until = cut(known.labels_of(model.pk))
    return material_of(model, actor=actor, version=version, base=origin.dataset, policy=policy, until=until)


def unblocked(made: Material, actor: Actor, alert: Alert | None) -> Material:
    """The same where its gate lets it pass. Else it is kept, for people to see what blocks it and to waive that, and
    Conflict `data_blocked` is raised."""
    if isinstance(made.ready, Prepared):
        waivers = in_force(made.before.dataset, but_of=person(actor))
        if QualityReport.of(made.ready.quality).waive(waivers).passed:
            return made
        made = made._replace(ready=_row(made.ready, made, actor, alert))
    assert isinstance(made.ready, DatasetVersion)
    check_passed(made.ready, actor=actor)
    return made


def row_kept(made: Material, model: RegisteredModel, actor: Actor, alert: Alert | None) -> DatasetVersion:
    """The data set's row, unless another one was made of the same labels meanwhile."""
    if not isinstance(made.ready, Prepared):
        return made.ready
    newest = known.last_production_data(model, made.before)
    if newest is not None and newest.version > made.before.version:
        raise Conflict(f"{newest} was made of these labels at the same moment", code="already_running")
    return _row(made.ready, made, actor, alert)


def _row(ready: Prepared, made: Material, actor: Actor, alert: Alert | None) -> DatasetVersion:
    named = {"alert": str(alert.pk)} if alert else {}
    return keep_dataset(ready, actor=actor, lineage={**made.lineage, **named})
