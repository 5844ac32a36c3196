"""What people say of models and versions afterwards: tags, the description of a version, its deprecation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, Invalid, NotFound
from mlops_site.core.permissions import Action, Actor, person, require
from mlops_site.core.texts import unseen
from registry.models import RegisteredModel, Remark, Version, VersionTag
from registry.models.tag import MAX_VALUE, TAG_KEY
from registry.services.guards import locked, reason_given, touch
from registry.services.words import index_model, index_version, version_words

MAX_TAGS = 100


def set_tag(subject: RegisteredModel | Version, *, actor: Actor, key: str, value: str = "") -> None:
    """Put a tag on a model or a version, in place of its earlier value. Invalid names what is wrong with it."""
    check_tags({key: value})
    with locked(_model(subject)) as model:
        require(actor, Action.ANNOTATE, model.team, subject=subject.subject)
        rows: Any = subject.tag_rows
        if rows.count() >= MAX_TAGS and not rows.filter(key=key).exists():
            message = f"{subject} has {MAX_TAGS} tags, as many as it may; remove one first"
            raise Conflict.on("key", message, code="too_many_tags")
        rows.update_or_create(key=key, defaults={"value": value})
        _changed(subject, model, actor, "tag_set", {"key": key, "value": value})


def remove_tag(subject: RegisteredModel | Version, *, actor: Actor, key: str) -> None:
    """Take a tag away. NotFound `unknown_tag`."""
    with locked(_model(subject)) as model:
        require(actor, Action.ANNOTATE, model.team, subject=subject.subject)
        if not subject.tag_rows.filter(key=key).delete()[0]:
            raise NotFound.on("key", f"{subject} has no tag {key[:80]!r}", code="unknown_tag")
        _changed(subject, model, actor, "tag_removed", {"key": key})


def check_tags(tags: Mapping[str, Any]) -> None:
    """Invalid unless each key is plain ASCII and each value a text without characters that nobody sees."""
    if len(tags) > MAX_TAGS:
        raise Invalid.on("tags", f"tags must be at most {MAX_TAGS} but are {len(tags)}", code="too_many_tags")
    for key, value in tags.items():
        if not re.fullmatch(TAG_KEY, str(key)):
            message = (
                f"the key of a tag must be 1 to 100 of the letters a to z, A to Z, digits and _ . - but got {key!r:.80}"
            )
            raise Invalid.on("tags", message, code="bad_tag_key")
        if not isinstance(value, str) or len(value) > MAX_VALUE:
            got = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
            message = f"the value of tag {key} must be a text of at most {MAX_VALUE} characters but has {got}"
            raise Invalid.on("tags", message, code="bad_tag_value")
        if found := unseen(value):
            message = f"the value of tag {key} must not contain control characters but has {found}"
            raise Invalid.on("tags", message, code="control_character")


def describe_version(version: Version, *, actor: Actor, description: str) -> Remark:
    """Say what a version is, in place of what was said before."""
    text = reason_given(description, field="description", needed=False)
    with locked(version.model) as model:
        require(actor, Action.ANNOTATE, model.team, subject=version.subject)
        remark = _remark(version)
        remark.description = text
        remark.save(update_fields=["description"])
        _changed(version, model, actor, "described", {"description": text})
    return _remark(version)


def deprecate_version(version: Version, *, actor: Actor, note: str) -> Remark:
    """Tell whoever uses a version that they should not, and what to use instead. It goes on serving."""
    text = reason_given(note, field="note")
    with locked(version.model) as model:
        require(actor, Action.VERSION_DEPRECATE, model.team, subject=version.subject)
        remark = _remark(version)
        remark.deprecated_at, remark.deprecated_by, remark.deprecation = timezone.now(), person(actor), text
        remark.save(update_fields=["deprecated_at", "deprecated_by", "deprecation"])
        _changed(version, model, actor, "deprecated", {"note": text})
    return remark


def undeprecate_version(version: Version, *, actor: Actor) -> Remark:
    """Take the deprecation back. Conflict `not_deprecated`."""
    with locked(version.model) as model:
        require(actor, Action.VERSION_DEPRECATE, model.team, subject=version.subject)
        remark = _remark(version)
        if remark.deprecated_at is None:
            raise Conflict(f"{version} is not deprecated", code="not_deprecated")
        remark.deprecated_at, remark.deprecated_by, remark.deprecation = None, None, ""
        remark.save(update_fields=["deprecated_at", "deprecated_by", "deprecation"])
        _changed(version, model, actor, "undeprecated", {})
    return remark


def remark_new(version: Version) -> None:
    """The remark and the tags of a version that has just been registered."""
    VersionTag.objects.bulk_create(VersionTag(version=version, key=k, value=v) for k, v in version.tags.items())
    Remark.objects.create(version=version, tags=version.tags, words=version_words(version, version.tags))


def _remark(version: Version) -> Remark:
    return Remark.objects.get_or_create(version=version)[0]


def _model(subject: RegisteredModel | Version) -> RegisteredModel:
    return subject.model if isinstance(subject, Version) else subject


def _changed(
    subject: RegisteredModel | Version, model: RegisteredModel, actor: Actor, what: str, data: dict[str, Any]
) -> None:
    if isinstance(subject, Version):
        index_version(subject, _remark(subject))
    else:
        index_model(model)
    touch(model)
    kind = "version" if isinstance(subject, Version) else "model"
    events.record(f"{kind}.{what}", actor=actor, subject=subject.subject, team=model.team.name, data=data)
