"""The scene of tests.factories, and a browser-less client for each of its people."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from mlops_site.core.permissions import Actor
from tests.factories import Scene
from tests.kept import kept_fixture


@kept_fixture
def site(shared_scene: Scene) -> Scene:
    return shared_scene


@pytest.fixture
def as_(db: None) -> Callable[[Actor], Client]:
    """A client that is logged in as the actor."""

    def log_in(actor: Actor) -> Client:
        client = Client()
        assert actor.user is not None
        client.force_login(actor.user)
        return client

    return log_in
