"""Semantic numbers of versions: what changed since the highest version says which part rises."""

from __future__ import annotations

from typing import NamedTuple

from mlops_site.core.errors import Conflict, FieldError, Invalid
from registry.models import Version
from registry.models.version import parts_of


class Number(NamedTuple):
    """Compared part by part.

    >>> Number(1, 10, 0) > Number(1, 9, 3), str(Number(2, 0, 1))
    (True, '2.0.1')
    """

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


FIRST = Number(1, 0, 0)


def parse(text: str) -> Number:
    """The number written as MAJOR.MINOR.PATCH; Invalid otherwise.

    >>> parse("1.20.3")
    Number(major=1, minor=20, patch=3)
    """
    parts = parts_of(text)
    if parts is None:
        message = f"version must be written like 1.2.0 but got {text[:80]!r}"
        raise Invalid(message, code="bad_version", errors=[FieldError("version", "bad_version", message)])
    return Number(*parts)


def number_of(version: Version) -> Number:
    return Number(version.major, version.minor, version.patch)


def following(highest: Version | None, *, signature_digest: str, config_digest: str) -> Number:
    """The automatic number: signature changed -> major, config changed -> minor, else patch."""
    if highest is None:
        return FIRST
    if highest.signature_digest != signature_digest:
        return Number(highest.major + 1, 0, 0)
    if highest.config_digest != config_digest:
        return Number(highest.major, highest.minor + 1, 0)
    return Number(highest.major, highest.minor, highest.patch + 1)


def explicit(text: str, highest: Version | None) -> Number:
    """A number that a person chose; Conflict unless it is above the highest."""
    number = parse(text)
    if highest is not None and number <= number_of(highest):
        message = f"version must be above the highest, {highest.number}, but got {number}"
        raise Conflict(message, code="number_not_higher", errors=[FieldError("version", "number_not_higher", message)])
    return number
