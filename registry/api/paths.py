"""Path converters: a name or number of another form is no address at all, so it is 404 before any code sees it."""

from __future__ import annotations

from django.urls import register_converter

from registry.models.model import MODEL_NAME


class ModelName:
    """`[a-z][a-z0-9_]{1,62}`"""

    regex = MODEL_NAME

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class VersionNumber(ModelName):
    """`1.20.3`: three numbers without leading zeros."""

    regex = r"(?:0|[1-9][0-9]{0,8})\.(?:0|[1-9][0-9]{0,8})\.(?:0|[1-9][0-9]{0,8})"


register_converter(ModelName, "model")
register_converter(VersionNumber, "version")
