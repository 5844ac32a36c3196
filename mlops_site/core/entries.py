"""The folders, buckets, databases and addresses that an operator names, read with the settings: a bad entry stops the
start."""

from __future__ import annotations

import re
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured

from mlops_site.core import env

_TEAM = r"[a-z][a-z0-9-]{0,62}"  # core.models.people.TEAM_NAME, which needs the settings
_DATABASES = ("postgresql://", "postgres://", "sqlite:////")


class Place(NamedTuple):
    """An entry of the operator's: for one team or, with "", for all; `address` is a folder, bucket/prefix or URL."""

    team: str
    address: str
    name: str = ""  # of a database or an address


def folders(name: str) -> list[Place]:
    """[team:]/absolute/folder, ... from the environment."""
    return [_place(name, entry, r"/[^/].*", "/absolute/folder") for entry in env.words(name)]


def buckets(name: str) -> list[Place]:
    """[team:]bucket or [team:]bucket/prefix, ... from the environment."""
    return [
        _place(name, entry, r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.+)?", "bucket/prefix") for entry in env.words(name)
    ]


def databases(name: str) -> list[Place]:
    """[team:]name=url, parted by white space, from the environment; a bad one is named without its address."""
    return _named(name, "|".join(map(re.escape, _DATABASES)), f"url of {', '.join(_DATABASES)}")


def addresses(name: str) -> list[Place]:
    """[team:]name=scheme://..., parted by white space, from the environment; a bad one is named without its address."""
    return _named(name, "[a-z][a-z0-9+.-]*://", "scheme://...")


def _named(name: str, beginning: str, spelt: str) -> list[Place]:
    found = []
    for entry in env.text(name).split():
        match = re.fullmatch(rf"(?:({_TEAM}):)?([a-z][a-z0-9_]{{0,62}})=((?:{beginning}).+)", entry)
        if match is None:
            shown = entry.partition("=")[0].partition("://")[0][:80]
            raise ImproperlyConfigured(f"{name} must be [team:]name={spelt} but {shown!r} is not")
        found.append(Place(match[1] or "", match[3], match[2]))
    return found


def _place(name: str, entry: str, form: str, spelt: str) -> Place:
    match = re.fullmatch(rf"(?:({_TEAM}):)?({form})", entry)
    if match is None:
        raise ImproperlyConfigured(f"{name} must be [team:]{spelt} but got {entry[:80]!r}")
    return Place(match[1] or "", match[2].rstrip("/"))
