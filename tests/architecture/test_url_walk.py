"""Every address and method, asked by a stranger: log in first, but for a short public list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

pytestmark = pytest.mark.django_db
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
PUBLIC = {"/livez", "/readyz", "/admin/login/", "/admin/jsi18n/"}  # the last: the admin's own translations, no data
VALUES = {
    "uuid": str(uuid4()),
    "int": "1",
    "str": "some",
    "slug": "some",
    "path": "some/where",
    "model": "some_model",
    "version": "1.0.0",
}


def addresses(resolver: URLResolver, before: str = "") -> Iterator[str]:
    """One concrete path per pattern."""
    for pattern in resolver.url_patterns:
        here = before + _concrete(str(pattern.pattern))
        if isinstance(pattern, URLPattern):
            yield f"/{here}"
        else:
            yield from addresses(pattern, here)


def _concrete(route: str) -> str:
    """A path that the route matches: converters and the groups of regular expressions filled in."""
    route = re.sub(r"\(\?P<\w+>([^()]*)\)", lambda found: _first(found[1]), route)
    route = re.sub(r"<(?:(\w+):)?\w+>", lambda found: VALUES[found[1] or "str"], route)
    while (simpler := re.sub(r"\(\?:[^()]*\)\??", "", route)) != route:
        route = simpler
    return route.strip("^$").replace("\\Z", "").replace("\\.", ".")


def _first(expression: str) -> str:
    """A text for a group: its first alternative if that is a plain word."""
    word = expression.split("|")[0]
    return word if word.isidentifier() else "some"


def walk() -> list[str]:
    return sorted(set(addresses(get_resolver())))


def test_the_walk_finds_the_site() -> None:
    found = walk()
    assert len(found) > 60
    known = {"/", "/models/some/some", "/api/v1/models/some_model/predict", "/api/v1/audit", "/docs", "/api/schema"}
    assert known <= set(found)
    assert set(found) >= PUBLIC


def test_each_pattern_is_reached() -> None:
    """A path that no pattern takes would answer 404 and prove nothing."""
    resolver = get_resolver()
    for address in walk():
        resolver.resolve(address)


@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_is_asked_to_log_in_everywhere(method: str) -> None:
    open_doors = []
    for address in walk():
        answer = getattr(Client(enforce_csrf_checks=True), method)(address)
        if address not in PUBLIC and not is_refused(answer):
            open_doors.append(f"{method.upper()} {address}: {answer.status_code} {answer.headers.get('Location', '')}")
    assert open_doors == []


def is_refused(answer: Any) -> bool:
    """401, 403, or a way that ends at the login."""
    steps = 0
    while answer.status_code in (301, 302) and steps < 3:
        location, steps = answer.headers["Location"], steps + 1
        if location.startswith("/admin/login/"):
            return True
        answer = Client().get(location)
    return answer.status_code in (401, 403)


def test_static_files_are_public_and_nothing_above_them_is() -> None:
    for address in ("/static/../manage.py", "/static/%2e%2e/manage.py", "/static//etc/passwd", "/var/secret_key"):
        assert Client().get(address).status_code == 404


def test_the_public_ones_change_nothing() -> None:
    for address in PUBLIC - {"/admin/login/"}:
        for method in ("post", "put", "patch", "delete"):
            assert getattr(Client(), method)(address).status_code in (302, 403, 405), (method, address)
