"""Path converters: a name or number of another form is no address at all, so it is 404 before any code sees it."""

from __future__ import annotations

from django.urls import register_converter

from registry.models.alias import ALIAS
from registry.models.model import MODEL_NAME
from registry.models.version import VERSION_NUMBER


class ModelName:
    """`[a-z][a-z0-9_]{1,62}`"""

    regex = MODEL_NAME

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class VersionNumber(ModelName):
    """`1.20.3`, or `@champion` for the version that has the alias."""

    regex = f"(?:{VERSION_NUMBER}|@{ALIAS})"


register_converter(ModelName, "model")
register_converter(VersionNumber, "version")
