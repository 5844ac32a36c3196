"""The registry from a notebook or a script: the same rules and records as over HTTP.

    registry = ModelRegistry()
    found = registry.register_model(model_name="fraud_detection", model_obj=pipeline, metrics={"f1_score": 0.8})
    registry.promote_model(model_name=found.name, version=found.version, target_stage=ModelStage.PRODUCTION)

It acts as the person whose token is in STEWARD_TOKEN; embedded and without one, as the local operator. Production
waits for another person here too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlops_site.core import face

face.ready()

from django.conf import settings  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402

from mlops_site.core import events, store  # noqa: E402  (models can be imported once Django is set up)
from mlops_site.core.errors import Conflict, NotFound  # noqa: E402
from mlops_site.core.permissions import Actor  # noqa: E402
from registry import selectors, services  # noqa: E402
from registry.artifacts.formats import load_skops  # noqa: E402
from registry.artifacts.scorer import load as load_scorer  # noqa: E402
from registry.choices import ArtifactFormat  # noqa: E402
from registry.model_registry.told import (  # noqa: E402
    Comparison,
    Explanation,
    Found,
    Model,
    ModelStage,
    ModelVersion,
    Promotion,
    Rollback,
    SideBySide,
    Stay,
)
from registry.models import RegisteredModel, Version  # noqa: E402
from registry.selectors import InventoryLine, Period, Trend  # noqa: E402
from registry.selectors.cards import Card  # noqa: E402
from registry.services.estimators import candidate_of, plain  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Card",
    "Comparison",
    "Explanation",
    "Found",
    "InventoryLine",
    "Model",
    "ModelRegistry",
    "ModelStage",
    "ModelVersion",
    "Period",
    "Promotion",
    "Rollback",
    "SideBySide",
    "Stay",
    "Trend",
]

R = TypeVar("R")
FROM_HERE = "asked for in a notebook"


class ModelRegistry:
    """Every call raises StewardError for what the API would refuse, with the same code and message."""

    def register_model(
        self,
        *,
        model_name: str,
        model_obj: Any,
        config: Any = None,
        metrics: Mapping[str, Any] | None = None,
        sample: pd.DataFrame | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str = "",
        holdout: Any = None,
    ) -> ModelVersion:
        """Register a fitted scikit-learn estimator; the model is made if it does not exist.

        `sample` are rows that it was trained on: their kinds and levels are the signature, their profile is kept.
        Without them the signature is numbers, named as the estimator names them. `config` becomes the params.
        `holdout` are rows that it was not trained on, `(X_test, y_test)`, or a frame of its answers to them (`label`,
        `score` of the positive class or `prediction`, perhaps `row_key`): performance is estimated by them.
        """
        given: dict[str, Any] = {"sample": sample, "holdout": holdout, "metrics": metrics, "tags": tags}
        candidate = candidate_of(model_obj, params=plain(config), **given)

        def register(actor: Actor) -> ModelVersion:
            with events.atomic():
                model = _ensure_model(actor, model_name, candidate.signature["task_type"], description)
                made = services.register_version(model, actor=actor, candidate=candidate, number=version)
            return ModelVersion.of(selectors.version_numbered(model, made.number))

        return _as_me(register)

    def promote_model(
        self, *, model_name: str, version: str, target_stage: ModelStage | str, reason: str = FROM_HERE
    ) -> Promotion:
        """Move a version; on its way to production one in development passes through staging."""

        def promote(actor: Actor) -> Promotion:
            found = _version(actor, model_name, version)
            with events.atomic():
                if target_stage == ModelStage.PRODUCTION and found.stage == ModelStage.DEVELOPMENT:
                    services.move_stage(found, actor=actor, target_stage=ModelStage.STAGING, reason=reason)
                done = services.move_stage(found, actor=actor, target_stage=str(target_stage), reason=reason)
            return Promotion(done.status, done.version.number, done.stage, done.request, done.warnings)

        return _as_me(promote)

    def list_models(self, **filters: Any) -> list[Model]:
        """The models of your teams that fit every filter: search, stage, team, tag ("key", "key=value" or a list of
        them), risk_tier, owner, task_type, archived ("no", "yes" or "all"), ordering."""
        asked = {name: str(value) if isinstance(value, ModelStage) else value for name, value in filters.items()}
        return _as_me(lambda actor: [Model.of(row) for row in selectors.with_aliases(selectors.models(actor, **asked))])

    def search_versions(self, search: str = "", *, limit: int = 100, **filters: Any) -> list[Found]:
        """The versions of your teams' models that hold every word and fit every filter, latest first: those of
        `list_models`, and model, alias, deprecated."""
        asked = {name: str(value) if isinstance(value, ModelStage) else value for name, value in filters.items()}

        def find(actor: Actor) -> list[Found]:
            rows = selectors.with_version_aliases(selectors.versions_found(actor, search=search, **asked))
            return [Found.of(row) for row in rows[:limit]]

        return _as_me(find)

    def set_tag(self, model_name: str, key: str, value: str = "", *, version: str | None = None) -> None:
        """Put a tag on a version, or without one on the model."""
        _as_me(lambda actor: services.set_tag(_subject(actor, model_name, version), actor=actor, key=key, value=value))

    def remove_tag(self, model_name: str, key: str, *, version: str | None = None) -> None:
        _as_me(lambda actor: services.remove_tag(_subject(actor, model_name, version), actor=actor, key=key))

    def set_alias(self, model_name: str, alias: str, version: str) -> None:
        """Let the alias name this version; `get_version(name, "@alias")` finds it."""

        def set_it(actor: Actor) -> None:
            found = _version(actor, model_name, version)
            services.set_alias(found.model, actor=actor, alias=alias, version=found)

        _as_me(set_it)

    def remove_alias(self, model_name: str, alias: str) -> None:
        _as_me(lambda a: services.remove_alias(selectors.model_named(a, model_name), actor=a, alias=alias))

    def describe(self, model_name: str, version: str, description: str) -> None:
        """Say what a version is; for the model itself PATCH /models/{name} does."""
        _as_me(lambda a: services.describe_version(_version(a, model_name, version), actor=a, description=description))

    def deprecate(self, model_name: str, version: str, note: str) -> None:
        """Tell whoever pins the version that they should not, and what to use instead."""
        _as_me(lambda a: services.deprecate_version(_version(a, model_name, version), actor=a, note=note))

    def undeprecate(self, model_name: str, version: str) -> None:
        _as_me(lambda a: services.undeprecate_version(_version(a, model_name, version), actor=a))

    def archive(self, model_name: str, *, reason: str) -> None:
        """Archive a model with what serves of it; it takes nothing new and leaves the lists."""
        _as_me(lambda a: services.archive_model(selectors.model_named(a, model_name), actor=a, reason=reason))

    def restore(self, model_name: str, *, reason: str) -> None:
        _as_me(lambda a: services.restore_model(selectors.model_named(a, model_name), actor=a, reason=reason))

    def get_model(self, model_name: str) -> Model:
        return _as_me(lambda actor: Model.of(selectors.model_named(actor, model_name)))

    def get_version(self, model_name: str, version: str) -> ModelVersion:
        return _as_me(lambda actor: ModelVersion.of(_version(actor, model_name, version)))

    def load(self, model_name: str, version: str | None = None) -> Any:
        """The model itself, checked against its digest: the fitted estimator of a .skops, a `Scorer` of an .onnx.

        Without a number it is the one in production; Conflict `no_production_version` if there is none.
        """

        def load(actor: Actor) -> Any:
            model = selectors.model_named(actor, model_name)
            found = selectors.version_numbered(model, version) if version else selectors.in_production(model)
            if found is None:
                message = f"{model_name} has no version in production; name one"
                raise Conflict(message, code="no_production_version")
            if found.artifact.format == ArtifactFormat.SKOPS:
                return load_skops(store.read(found.artifact_id))
            return load_scorer(found.artifact_id, found.artifact.format, found.signature)

        return _as_me(load)

    def compare(self, model_name: str, v1: str, v2: str, *, diff_only: bool = False) -> Comparison:
        """`v2` against `v1`, with paired 95 % intervals where both holdouts share rows."""

        def compare(actor: Actor) -> Comparison:
            first, second = (_version(actor, model_name, number) for number in (v1, v2))
            return Comparison(**selectors.comparison(first, second, diff_only=diff_only))

        return _as_me(compare)

    def compare_versions(
        self, model_name: str, versions: Sequence[str], *, base: str | None = None, diff_only: bool = False
    ) -> SideBySide:
        """Two to eight versions against `base` (the first if left out); one of another model is `name@1.0.0`."""

        def compare(actor: Actor) -> SideBySide:
            found = selectors.versions_named(actor, selectors.model_named(actor, model_name), list(versions))
            return SideBySide(**selectors.side_by_side(found, base=base, diff_only=diff_only))

        return _as_me(compare)

    def metric_trend(self, model_name: str, metric: str | None = None) -> Trend:
        """One metric over the versions of a model, the headline one if none is named."""
        return _as_me(lambda actor: selectors.metric_trend(selectors.model_named(actor, model_name), metric=metric))

    def card(self, model_name: str, version: str) -> Card:
        """The model card, generated from what is stored; `missing` names what is not."""
        return _as_me(lambda actor: selectors.card(_version(actor, model_name, version)))

    def card_markdown(self, model_name: str, version: str) -> str:
        """The model card as a Markdown document."""
        return _as_me(lambda actor: selectors.markdown(selectors.card(_version(actor, model_name, version))))

    def export_evidence(self, model_name: str, version: str, path: str | Path) -> Path:
        """Write the evidence of a version as a ZIP; `manage.py verify_evidence` checks it. A file that is there is
        not replaced."""

        def export(actor: Actor) -> Path:
            with events.atomic():  # which records a refusal
                file = selectors.evidence_of(_version(actor, model_name, version), actor=actor)
            with file, open(path, "xb") as target:
                shutil.copyfileobj(file, target)
            return Path(path)

        return _as_me(export)

    def inventory(self, *, search: str = "", team: str = "", risk_tier: str = "") -> list[InventoryLine]:
        """The models of your teams with who answers for them and what is open."""
        filters = {"search": search, "team": team, "risk_tier": risk_tier}
        return _as_me(lambda actor: selectors.inventory_lines(selectors.inventory(actor, **filters)))

    def period_report(self, first: date, last: date, *, team: str = "") -> Period:
        """What happened to the models of your teams on these days, both included."""
        return _as_me(lambda actor: selectors.period_report(actor, first=first, last=last, team=team))

    def get_model_explanations(
        self, model_name: str, version: str, prediction_ids: Sequence[str] | None = None
    ) -> list[Explanation] | dict[str, Any]:
        """Why the version answered the predictions, in the order of their ids; without ids, what it looks at."""

        def explain(actor: Actor) -> list[Explanation] | dict[str, Any]:
            found = _version(actor, model_name, version)
            if prediction_ids is None:
                return selectors.global_explanation(found)
            answer: Callable[..., list[Any]] = import_string(settings.EXPLAINING)  # predictions are of an app above
            told = answer(found, actor=actor, prediction_ids=list(prediction_ids))
            return [Explanation(**each._asdict()) for each in told]

        return _as_me(explain)

    def rollback(self, model_name: str, *, reason: str) -> Rollback:
        """Put the last good production version back; for approvers."""

        def roll_back(actor: Actor) -> Rollback:
            done = services.rollback(selectors.model_named(actor, model_name), actor=actor, reason=reason)
            return Rollback(
                done.version.number, done.replaced.number, done.incident.pk, [s.version.number for s in done.skipped]
            )

        return _as_me(roll_back)


def _as_me(work: Callable[[Actor], R]) -> R:
    """The work's answer, done as the actor of this process where the database may be used."""
    return face.call(lambda: work(face.actor()))


def _version(actor: Actor, model_name: str, number: str) -> Version:
    return selectors.version_numbered(selectors.model_named(actor, model_name), number)


def _subject(actor: Actor, model_name: str, version: str | None) -> RegisteredModel | Version:
    return selectors.model_named(actor, model_name) if version is None else _version(actor, model_name, version)


def _ensure_model(actor: Actor, name: str, task_type: str, description: str) -> RegisteredModel:
    try:
        return selectors.model_named(actor, name)
    except NotFound:
        return services.create_model(actor=actor, name=name, task_type=task_type, description=description)
