"""What lists show and a search looks at, kept beside the rows that it is made of."""

from __future__ import annotations

from collections.abc import Mapping

from registry.models import RegisteredModel, Remark, Version

MAX_WORDS = 8000  # characters


def model_words(model: RegisteredModel, tags: Mapping[str, str]) -> str:
    """Name, description and tags, in small letters."""
    return _text(model.name, model.description, *_pairs(tags))


def version_words(version: Version, tags: Mapping[str, str], description: str = "") -> str:
    """Number, description, tags, algorithm, data set and the people, in small letters."""
    said = (version.params.get("model_type"), version.lineage.get("dataset"), version.lineage.get("trigger_reason"))
    people = (version.created_by.username, version.trained_by.username)
    return _text(version.model.name, version.number, description, *map(str, filter(None, said)), *people, *_pairs(tags))


def index_model(model: RegisteredModel) -> None:
    model.tags = dict(model.tag_rows.values_list("key", "value"))
    model.words = model_words(model, model.tags)
    model.save(update_fields=["tags", "words"])


def index_version(version: Version, remark: Remark) -> None:
    remark.tags = dict(version.tag_rows.values_list("key", "value"))
    remark.words = version_words(version, remark.tags, remark.description)
    remark.save(update_fields=["tags", "words"])


def _pairs(tags: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in tags.items()]


def _text(*parts: str) -> str:
    return " ".join(part for part in parts if part).lower()[:MAX_WORDS]
