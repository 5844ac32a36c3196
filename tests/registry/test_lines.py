"""The plain rows of a list of models say what the models themselves would."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.utils.encoders import JSONEncoder

from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.api import answers
from registry.selectors.lines import ModelLines
from registry.selectors.models import ORDERINGS
from tests.factories import Scene
from tests.people import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def author(shared_scene: Scene) -> Actor:
    """Of models with versions in several stages, tags and aliases, and of one that has nothing yet."""
    scene = shared_scene
    services.create_model(actor=scene.author, name="empty_yet", task_type="regression", description="äöü <b>")
    services.create_model(actor=scene.author, name="archived_soon", task_type="regression")
    archived = selectors.model_named(scene.author, "archived_soon")
    services.archive_model(archived, actor=scene.author, reason="not used")
    services.set_tag(scene.model, actor=scene.author, key="site", value="6")
    for alias, version in (("zeta", scene.staged), ("champion", scene.served)):
        services.set_alias(scene.model, actor=scene.author, alias=alias, version=version)
    return scene.author


@pytest.mark.parametrize("ordering", ORDERINGS)
@pytest.mark.parametrize(
    "filters", [{}, {"archived": "all"}, {"stage": "production"}, {"tag": ["site=6"]}, {"search": "no such"}]
)
def test_a_line_is_what_the_model_answers(author: Actor, ordering: str, filters: dict[str, Any]) -> None:
    lines = ModelLines(author, ordering=ordering, **filters)
    models = selectors.with_aliases(selectors.models(author, ordering=ordering, **filters))
    wanted = answers.ModelAnswer(models, many=True).data
    encode = JSONEncoder().encode
    assert encode(answers.model_lines(lines[0:50])) == encode(wanted)
    assert len(lines) == len(wanted)
    assert encode(answers.model_lines(lines[1:2])) == encode(wanted[1:2])


def test_other_teams_have_no_lines(author: Actor) -> None:
    assert ModelLines(Actor.of(person("otto", "approver", team="elsewhere")))[0:50] == []


def test_five_statements_for_a_page_of_any_length(author: Actor) -> None:
    lines = ModelLines(author, archived="all")
    for length in (1, 2, 50):
        with CaptureQueriesContext(connection) as queries:
            assert len(lines) == 3
            assert lines[0:length]
        assert len(queries) == 5


def test_what_changed_is_told_at_once(author: Actor) -> None:
    before = ModelLines(author)[0:50]
    services.edit_model(selectors.model_named(author, "empty_yet"), actor=author, description="another")
    told = {line.name: line.description for line in ModelLines(author)[0:50]}
    assert told == {**{line.name: line.description for line in before}, "empty_yet": "another"}
