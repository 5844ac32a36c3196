"""The plain rows of a list of models say what the models themselves would."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.paginator import InvalidPage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.utils.encoders import JSONEncoder

from mlops_site.core.api.pagination import CountedPaginator
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.api import answers
from registry.selectors import lines, paged
from registry.selectors.lines import model_lines
from registry.selectors.models import ORDERINGS
from registry.selectors.paged import Kept
from tests.factories import Scene
from tests.kept import kept_fixture
from tests.people import person

pytestmark = pytest.mark.django_db


@kept_fixture
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
    lines = model_lines(author, ordering=ordering, **filters)
    models = selectors.with_aliases(selectors.models(author, ordering=ordering, **filters))
    wanted = answers.ModelAnswer(models, many=True).data
    encode = JSONEncoder().encode
    assert encode(answers.model_lines(lines[0:50])) == encode(wanted)
    assert len(lines) == len(wanted)
    assert encode(answers.model_lines(lines[1:2])) == encode(wanted[1:2])


def test_other_teams_have_no_lines(author: Actor) -> None:
    assert model_lines(Actor.of(person("otto", "approver", team="elsewhere")))[0:50] == []


def paginator(author: Actor, page_size: int, **filters: Any) -> CountedPaginator:
    rows: Any = model_lines(author, **filters)
    return CountedPaginator(rows, page_size)


@pytest.mark.parametrize("page_size", [1, 2, 50])
def test_three_statements_for_a_page_of_any_length(author: Actor, page_size: int) -> None:
    with CaptureQueriesContext(connection) as queries:
        page = paginator(author, page_size, archived="all").page(1)
        assert (len(page.object_list), page.paginator.count) == (min(page_size, 3), 3)
    assert len(queries) == 3


@pytest.mark.parametrize("number", ["2", 10**12, 10**30, "0", "-1", "two"])
def test_a_page_that_is_not_there_is_refused(author: Actor, number: Any) -> None:
    with pytest.raises(InvalidPage):
        paginator(author, 50).page(number)


def test_every_page_follows_the_one_before(author: Actor) -> None:
    pages = paginator(author, 1, archived="all")
    names = [line.name for number in pages.page_range for line in pages.page(number)]
    assert names == sorted(names)
    assert len(names) == len(set(names)) == 3
    assert paginator(author, 50, search="no such").page(1).object_list == []


def test_what_changed_is_told_at_once(author: Actor) -> None:
    before = model_lines(author)[0:50]
    services.edit_model(selectors.model_named(author, "empty_yet"), actor=author, description="another")
    told = {line.name: line.description for line in model_lines(author)[0:50]}
    assert told == {**{line.name: line.description for line in before}, "empty_yet": "another"}


def test_a_list_is_found_by_a_kept_statement_whatever_is_sought(author: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also words with what LIKE takes for itself, more combinations than are kept, and the words of another."""
    services.create_model(actor=author, name="odd_one", task_type="regression", description="100% a_b back\\slash")
    kept = Kept(lines._KEPT._ordered)
    monkeypatch.setattr(lines, "_KEPT", kept)
    monkeypatch.setattr(paged, "MOST", 3)
    asked: list[dict[str, Any]] = [
        {"search": "100% a_b"}, {"search": "odd a_b"}, {"search": "back\\slash"}, {"search": "%"}, {"search": "o_e"},
        {"archived": "yes"}, {"archived": "all", "team": "claims"}, {"owner": "nobody"}, {"risk_tier": "medium"},
    ]  # fmt: skip
    for filters in [*asked, *asked]:
        wanted = [model.name for model in selectors.models(author, **filters)]
        found = model_lines(author, **filters)
        assert [line.name for line in found[0:50]] == wanted
        assert len(found) == len(wanted)
    assert len(kept._statements) == 3


def test_an_order_that_is_none_takes_no_place_among_the_kept(author: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(lines._KEPT._ordered)
    monkeypatch.setattr(lines, "_KEPT", kept)
    with pytest.raises(Invalid, match="ordering must be one of"):
        model_lines(author, ordering="password")[0:50]
    assert kept._statements == {}
