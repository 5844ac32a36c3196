"""Forms for what people say of models and versions: tags, descriptions, deprecation, aliases."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.permissions import Action
from registry import selectors, services
from registry.dashboards.model import ModelFormPage
from registry.dashboards.version import VersionFormPage, version_of
from registry.forms import AliasForm, DeprecationForm, DescriptionForm, ProtectionForm, TagForm
from registry.models import RegisteredModel, Version


def save_tag(subject: RegisteredModel | Version, form: TagForm, actor: Any) -> str:
    """One service, and what was done in a sentence."""
    said = form.cleaned_data
    if said["remove"]:
        services.remove_tag(subject, actor=actor, key=said["key"])
        return f"{subject} has no tag {said['key']} any more."
    services.set_tag(subject, actor=actor, key=said["key"], value=said["value"])
    return f"{subject} is tagged {said['key']}."


class ModelTagPage(ModelFormPage):
    form_class = TagForm
    needed = (Action.ANNOTATE,)

    def words(self, model: RegisteredModel) -> dict[str, Any]:
        return {"title": "Tag", "question": f"Tag {model}", "answer": "A key has one value; a search finds both."}

    def save(self, form: TagForm) -> str:
        model = selectors.model_named(self.actor, self.kwargs["model"])
        messages.success(self.request, save_tag(model, form, self.actor))
        return reverse("model", args=[model.name])


class VersionTagPage(VersionFormPage):
    form_class = TagForm
    needed = Action.ANNOTATE

    def words(self, version: Version) -> dict[str, Any]:
        return {"title": "Tag", "question": f"Tag {version}", "answer": "A key has one value; a search finds both."}

    def save(self, form: TagForm) -> str:
        version = version_of(self.actor, self.kwargs["model"], self.kwargs["number"])
        messages.success(self.request, save_tag(version, form, self.actor))
        return self.back(version)


class DescribePage(VersionFormPage):
    form_class = DescriptionForm
    needed = Action.ANNOTATE

    def form_options(self) -> dict[str, Any]:
        version = version_of(self.actor, self.kwargs["model"], self.kwargs["number"])
        remark = getattr(version, "remark", None)
        return {"initial": {"description": remark.description if remark else ""}}

    def words(self, version: Version) -> dict[str, Any]:
        return {"title": "Describe", "question": f"What is {version}?", "answer": "What it was registered with stays."}

    def save(self, form: DescriptionForm) -> str:
        version = version_of(self.actor, self.kwargs["model"], self.kwargs["number"])
        services.describe_version(version, actor=self.actor, description=form.cleaned_data["description"])
        messages.success(self.request, f"{version} is described.")
        return self.back(version)


class DeprecatePage(VersionFormPage):
    form_class = DeprecationForm
    needed = Action.VERSION_DEPRECATE

    def form_options(self) -> dict[str, Any]:
        version = version_of(self.actor, self.kwargs["model"], self.kwargs["number"])
        remark = getattr(version, "remark", None)
        return {"initial": {"note": remark.deprecation if remark else ""}}

    def words(self, version: Version) -> dict[str, Any]:
        said = "It goes on serving; whoever asks for this version by its number is told with each answer."
        return {"title": "Deprecate", "question": f"Should {version} be used no longer?", "answer": said}

    def save(self, form: DeprecationForm) -> str:
        version = version_of(self.actor, self.kwargs["model"], self.kwargs["number"])
        note = form.cleaned_data["note"]
        if note:
            services.deprecate_version(version, actor=self.actor, note=note)
        else:
            services.undeprecate_version(version, actor=self.actor)
        messages.success(self.request, f"{version} {'is deprecated' if note else 'may be used again'}.")
        return self.back(version)


class AliasPage(ModelFormPage):
    form_class = AliasForm
    needed = (Action.ALIAS_SET,)

    def form_options(self) -> dict[str, Any]:
        model = selectors.model_named(self.actor, self.kwargs["model"])
        numbers = [version.number for version in selectors.versions(model)]
        return {"numbers": numbers, "initial": {"alias": self.request.GET.get("alias", "")[:63]}}

    def words(self, model: RegisteredModel) -> dict[str, Any]:
        said = f"{model}@champion is then this version, wherever a version is asked for. It changes no stage."
        return {"title": "Alias", "question": f"Which version of {model} has the alias?", "answer": said}

    def save(self, form: AliasForm) -> str:
        model, said = selectors.model_named(self.actor, self.kwargs["model"]), form.cleaned_data
        if said["version"]:
            version = selectors.version_numbered(model, said["version"])
            services.set_alias(model, actor=self.actor, alias=said["alias"], version=version)
        else:
            services.remove_alias(model, actor=self.actor, alias=said["alias"])
        messages.success(self.request, f"{model}@{said['alias']} is {said['version'] or 'removed'}.")
        return reverse("model", args=[model.name])


class ProtectionPage(ModelFormPage):
    form_class = ProtectionForm
    needed = (Action.POLICY_SET,)

    def form_options(self) -> dict[str, Any]:
        alias = self.request.GET.get("alias", "")[:63]
        model = selectors.model_named(self.actor, self.kwargs["model"])
        roles = next((line.roles for line in selectors.aliases(model) if line.name == alias), [])
        return {"initial": {"alias": alias, "roles": roles}}

    def words(self, model: RegisteredModel) -> dict[str, Any]:
        said = "It holds for the name, also while no version has it."
        return {"title": "Protect an alias", "question": f"Who may move an alias of {model}?", "answer": said}

    def save(self, form: ProtectionForm) -> str:
        model, said = selectors.model_named(self.actor, self.kwargs["model"]), form.cleaned_data
        services.protect_alias(model, actor=self.actor, alias=said["alias"], roles=said["roles"])
        messages.success(self.request, f"{model}@{said['alias']} is for {', '.join(said['roles']) or 'everybody'}.")
        return reverse("model", args=[model.name])
