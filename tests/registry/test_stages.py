"""Stages: the table of moves, promotion, what replaces what."""

from __future__ import annotations

import pytest

from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import RegisteredModel, Version
from tests.registry.parts import into_production


def test_smoke(served: Version, model: RegisteredModel, author: Actor, approver: Actor) -> None:
    second = into_production(model, author=author, approver=approver, seed=1)
    assert selectors.in_production(model) == second
    services.rollback(model, actor=approver, reason="worse")
    assert selectors.in_production(model) == served
    with pytest.raises(Conflict):
        services.rollback(model, actor=approver, reason="worse")
