"""HTTP clients that carry a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from mlops_site.core import tokens
from mlops_site.core.permissions import Actor

Caller = Callable[[Actor], Client]


@pytest.fixture
def calling() -> Caller:
    """A client with a token of the actor."""

    def make(who: Actor) -> Client:
        assert who.user is not None
        headers: dict[str, Any] = {"authorization": f"Bearer {tokens.create_token(who.user)[1]}"}
        return Client(headers=headers)

    return make


@pytest.fixture
def client(calling: Caller, scientist: Actor) -> Client:
    """The data scientist's."""
    return calling(scientist)
