"""Feature sets: the list, one with its columns, values and uses, and what puts something into them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden, Malformed, NotFound
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor
from training import selectors, services
from training.forms.features import FeatureSetForm, LoadForm, TrainingSetForm
from training.models import FeatureSetVersion
from training.selectors import features as reads
from training.services.feature_tables import Columns, File
from training.services.training_sets import Labels

LOADS = 20
OFFERED = 200  # data sets in a list to choose from


class FeatureSetsPage(Page):
    template_name = "training/feature_sets.html"
    title = "Feature sets"

    def facts(self) -> dict[str, Any]:
        found = list(reads.newest_feature_sets(self.actor))
        states = reads.states(found)
        return {
            "rows": [(each, states[each.pk]) for each in found],
            "may_define": bool(self.actor.teams(Action.FEATURE_DEFINE)),
            "may_build": bool(self.actor.teams(Action.DATASET_CREATE)),
        }


class FeatureSetPage(Page):
    template_name = "training/feature_set.html"

    def facts(self) -> dict[str, Any]:
        found = _named(self.actor, self.kwargs["reference"])
        versions, datasets = reads.uses_of(found, self.actor)
        team = found.feature_set.team_id
        return {
            "title": str(found),
            "found": found,
            "state": reads.states([found])[found.pk],
            "loads": reads.loads_of(found)[:LOADS],
            "others": reads.feature_sets(self.actor).filter(feature_set=found.feature_set).exclude(pk=found.pk),
            "versions": versions,
            "datasets": datasets,
            "may_define": self.actor.may(Action.FEATURE_DEFINE, team),
            "may_load": self.actor.may(Action.FEATURE_LOAD, team),
            "may_see": self.actor.may(Action.INPUT_VIEW, team),
            **self._asked(found),
        }

    def _asked(self, found: FeatureSetVersion) -> dict[str, Any]:
        """What is known of the unit that was looked for, with personal data masked."""
        unit = self.request.GET.get("unit", "").strip()[:128]
        if not unit or not self.actor.may(Action.INPUT_VIEW, found.feature_set.team_id):
            return {"unit": ""}
        known = next(iter(reads.latest_values(found, actor=self.actor, units=[unit])), None)
        cells = [(name, known.values.get(name), name in found.personal) for name in found.kinds] if known else []
        return {"unit": unit, "known": known, "cells": cells}


def _named(actor: Actor, reference: str) -> FeatureSetVersion:
    try:
        return reads.feature_set_named(actor, reference)
    except Malformed as error:  # an address is not a body: it names nothing
        raise NotFound(error.detail) from error


class DefinePage(FormPage):
    title = "Define a feature set"
    form_class = FeatureSetForm
    button = "Define"

    def form_options(self) -> dict[str, Any]:
        teams = Team.objects.filter(pk__in=self.actor.teams(Action.FEATURE_DEFINE)).order_by("name")
        options: dict[str, Any] = {"teams": list(teams.values_list("name", flat=True))}
        if self.request.method == "GET" and (of := self.request.GET.get("of")):
            options["initial"] = FeatureSetForm.said_by(_named(self.actor, of))
        return options

    def facts(self) -> dict[str, Any]:
        if not self.actor.teams(Action.FEATURE_DEFINE):
            raise Forbidden("only a data scientist or an ML engineer defines feature sets")
        return {
            "crumbs": [("Feature sets", reverse("feature_sets"))],
            "back": reverse("feature_sets"),
            "answer": "A definition never changes. Another one under the same name is its next version, with values of "
            "its own.",
        }

    def save(self, form: FeatureSetForm) -> str:
        found = services.define_feature_set(actor=self.actor, **form.asked())
        messages.success(self.request, f"{found} is defined: {len(found.columns)} columns.")
        return reverse("feature_set", args=[found])


class LoadPage(FormPage):
    title = "Load values"
    form_class = LoadForm
    file_field = "file"
    button = "Load"

    def form_options(self) -> dict[str, Any]:
        return {"datasets": _datasets(self.actor)}

    def facts(self) -> dict[str, Any]:
        found = _named(self.actor, self.kwargs["reference"])
        if not self.actor.may(Action.FEATURE_LOAD, found.feature_set.team_id):
            raise Forbidden("only a data scientist, an ML engineer or a machine of the team loads values")
        return {
            "title": f"Load values of {found}",
            "crumbs": [("Feature sets", reverse("feature_sets")), (str(found), reverse("feature_set", args=[found]))],
            "back": reverse("feature_set", args=[found]),
            "answer": "Each row is kept once; a row that is wrong is refused and the others go on.",
        }

    def save(self, form: LoadForm) -> str:
        found, said = _named(self.actor, self.kwargs["reference"]), form.cleaned_data
        file = said["file"]
        source = File(file, file.name) if file else selectors.dataset_named(self.actor, said["dataset"])
        roles = (said["unit_column"], said["event_column"], said["ingested_column"])
        columns = Columns(*roles, values=said["columns"], zone=said["zone"])
        told = services.load_feature_table(found, actor=self.actor, source=source, columns=columns)
        messages.success(self.request, f"{told.accepted:,} rows are new, {told.duplicate:,} were known.")
        if told.rejected:
            first = told.rejections[0]
            why = f"{told.rejected:,} rows were refused; row {first.index + 1}: {first.message}"
            messages.warning(self.request, why)
        return reverse("feature_set", args=[found])


class TrainingSetPage(FormPage):
    title = "Make a training set"
    form_class = TrainingSetForm
    button = "Join"

    def form_options(self) -> dict[str, Any]:
        sets = [str(each) for each in reads.feature_sets(self.actor)[:OFFERED]]
        return {"datasets": _datasets(self.actor), "feature_sets": sets}

    def facts(self) -> dict[str, Any]:
        if not self.actor.teams(Action.DATASET_CREATE):
            raise Forbidden("only a data scientist or an ML engineer makes data sets")
        return {
            "crumbs": [("Feature sets", reverse("feature_sets"))],
            "back": reverse("feature_sets"),
            "answer": "Each row of the labels gets what was known of its unit at its time: no value that happened or "
            "arrived later.",
        }

    def save(self, form: TrainingSetForm) -> str:
        said = form.cleaned_data
        dataset = selectors.dataset_named(self.actor, said["labels"])
        labels = Labels(dataset, said["unit_column"], said["time_column"], said["zone"])
        made = services.build_training_set(
            actor=self.actor, name=said["name"], labels=labels, feature_sets=said["feature_sets"]
        )
        messages.success(self.request, f"{made} is kept: {made.rows:,} rows.")
        return reverse("dataset", args=[made])


def _datasets(actor: Actor) -> list[str]:
    return [str(each) for each in selectors.dataset_versions(actor).defer("schema", "quality")[:OFFERED]]
