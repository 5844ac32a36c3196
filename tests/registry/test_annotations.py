"""Tags, descriptions, deprecation, aliases: who sets them, what is refused, and that versions never change."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import Alias, ModelTag, RegisteredModel, Remark, Version, VersionTag
from tests.people import actor as somebody
from tests.people import bearer, person
from tests.registry.http import Person
from tests.registry.parts import candidate, into_production, user

RTL = "claims \u202etxt.exe"
LONG = "x" * 10_000


class TestTags:
    def test_on_models_and_versions_they_are_set_replaced_and_removed(
        self, version: Version, model: RegisteredModel, engineer: Person
    ) -> None:
        for path in ("/models/claims", "/models/claims/1.0.0"):
            assert engineer.put(f"{path}/tags/site", {"value": "5"})[0] == 200
            status, said = engineer.put(f"{path}/tags/site", {"value": "6"})
            assert (status, said["tags"]) == (200, {"site": "6"})
            assert engineer.delete(f"{path}/tags/site") == 204
            assert engineer.get(path)[1]["tags"] == {}
            assert engineer.delete(f"{path}/tags/site") == 404
        said = AuditRecord.objects.filter(action__contains="tag_").values_list("action", "subject")
        assert set(said) == {
            ("model.tag_set", "model:claims"), ("model.tag_removed", "model:claims"),
            ("version.tag_set", "version:claims@1.0.0"), ("version.tag_removed", "version:claims@1.0.0"),
        }  # fmt: skip

    def test_those_of_the_registration_are_there_and_may_be_changed(
        self, model: RegisteredModel, author: Actor
    ) -> None:
        version = services.register_version(model, actor=author, candidate=candidate(tags={"ticket": "A-1"}))
        services.set_tag(version, actor=author, key="ticket", value="A-2")
        assert list(VersionTag.objects.values_list("key", "value")) == [("ticket", "A-2")]
        version.refresh_from_db()
        assert version.tags == {"ticket": "A-1"}  # as it was registered

    @pytest.mark.parametrize(
        ("key", "value", "code"),
        [
            ("", "x", "bad_tag_key"), ("a b", "x", "bad_tag_key"), ("<b>", "x", "bad_tag_key"),
            ("s\u0456te", "x", "bad_tag_key"), ("\uff53ite", "x", "bad_tag_key"), ("k" * 101, "x", "bad_tag_key"),
            ("k\n", "x", "bad_tag_key"), ("site", LONG, "bad_tag_value"), ("site", "a\x00", "control_character"),
            ("site", "a\x1b[31m", "control_character"), ("site", RTL, "control_character"),
            ("site", "\ud800", "control_character"), ("site", "\u200b", "control_character"),
        ],
    )  # fmt: skip
    def test_bad_ones_are_refused(self, version: Version, author: Actor, key: str, value: str, code: str) -> None:
        for subject in (version, version.model):
            with pytest.raises(Invalid) as raised:
                services.set_tag(subject, actor=author, key=key, value=value)
            assert (raised.value.code, raised.value.errors[0].field) == (code, "tags")
        with pytest.raises(Invalid):
            services.register_version(version.model, actor=author, candidate=candidate(7, tags={key: value}))
        assert (ModelTag.objects.count(), VersionTag.objects.count(), Version.objects.count()) == (0, 0, 1)

    def test_there_are_at_most_a_hundred(self, version: Version, author: Actor) -> None:
        VersionTag.objects.bulk_create(VersionTag(version=version, key=f"k{n}", value="") for n in range(100))
        services.set_tag(version, actor=author, key="k5", value="changed")
        with pytest.raises(Conflict, match="as many as it may"):
            services.set_tag(version, actor=author, key="k100", value="")

    @pytest.mark.parametrize("role", ["viewer", "auditor", "admin", "service"])
    def test_who_may_not(self, version: Version, role: str) -> None:
        who = somebody("somebody", role)
        for attempt in (
            lambda: services.set_tag(version, actor=who, key="k"),
            lambda: services.describe_version(version, actor=who, description="x"),
            lambda: services.deprecate_version(version, actor=who, note="x"),
            lambda: services.set_alias(version.model, actor=who, alias="champion", version=version),
        ):
            with pytest.raises(Forbidden):
                attempt()


class TestWords:
    def test_a_version_is_described(self, version: Version, engineer: Person) -> None:
        status, said = engineer.patch("/models/claims/1.0.0", {"description": "Trained without site 5."})
        assert (status, said["description"]) == (200, "Trained without site 5.")
        assert engineer.patch("/models/claims/1.0.0", {"metrics": {}})[1]["errors"][0]["code"] == "unknown_field"

    @pytest.mark.parametrize("text", [LONG, "a\x00b", RTL, "\u2066x", "a\x07"])
    def test_bad_text_is_refused_and_changes_nothing(self, version: Version, engineer: Person, text: str) -> None:
        before = AuditRecord.objects.count()
        for method, path, body in (
            (engineer.patch, "/models/claims/1.0.0", {"description": text}),
            (engineer.patch, "/models/claims", {"description": text}),
            (engineer.put, "/models/claims/1.0.0/deprecation", {"note": text}),
            (engineer.put, "/models/claims/tags/site", {"value": text}),
        ):
            status, problem = method(path, body)
            assert status == problem["status"] == (400 if "\x00" in text else 422)  # no JSON of ours holds a NUL
            assert status == 400 or problem["errors"][0]["field"] in body
        assert AuditRecord.objects.count() == before

    def test_services_refuse_what_no_serializer_saw(self, version: Version, author: Actor) -> None:
        for text in (RTL, "a\x00b"):
            with pytest.raises(Invalid) as raised:
                services.describe_version(version, actor=author, description=text)
            assert raised.value.code == "control_character"

    def test_markup_is_kept_and_shown_escaped(self, version: Version, model: RegisteredModel, author: Actor) -> None:
        markup = "<script>alert(1)</script>"
        services.describe_version(version, actor=author, description=markup)
        services.deprecate_version(version, actor=author, note=markup)
        for subject in (version, model):
            services.set_tag(subject, actor=author, key="note", value=markup)
        services.edit_model(model, actor=author, description=markup)
        browser = Client()
        browser.force_login(user(author))
        for page in ("/models/claims", "/models/claims/1.0.0", "/models", "/versions"):
            said = browser.get(page).content.decode()
            assert markup not in said
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in said


class TestDeprecation:
    def test_it_is_said_in_lists_and_taken_back(self, version: Version, engineer: Person) -> None:
        status, said = engineer.put("/models/claims/1.0.0/deprecation", {"note": "Use 1.1.0."})
        assert (status, said["deprecated"]["note"], said["deprecated"]["by"]) == (200, "Use 1.1.0.", "author")
        found = [
            engineer.get("/versions", **asked)[1]["count"]
            for asked in ({}, {"deprecated": "true"}, {"deprecated": "false"})
        ]
        assert found == [1, 1, 0]
        assert engineer.get("/models/claims/versions")[1]["results"][0]["deprecated"]["note"] == "Use 1.1.0."
        assert engineer.delete("/models/claims/1.0.0/deprecation") == 204
        assert engineer.get("/models/claims/1.0.0")[1]["deprecated"] is None
        assert engineer.delete("/models/claims/1.0.0/deprecation") == 409
        assert engineer.put("/models/claims/1.0.0/deprecation", {"note": " "})[0] == 422

    def test_who_pins_it_is_told(self, served: Version, author: Actor) -> None:
        services.deprecate_version(served, actor=author, note='Use "1.1.0" – it is better.')
        machine = Client(headers=bearer(person("claims-app", "service")))

        def ask(**more: Any) -> Any:
            body = {"features": {"age": 51, "visits": 3}, **more}
            return machine.post("/api/v1/models/claims/predict", body, content_type="application/json")

        pinned = ask(version="1.0.0")
        assert pinned.json()["deprecated"]["note"] == 'Use "1.1.0" – it is better.'
        assert pinned["Warning"] == '299 - "Use  1.1.0    it is better."'
        at = Remark.objects.get(version=served).deprecated_at
        assert at is not None
        assert pinned["Deprecation"] == f"@{int(at.timestamp())}"
        plain = ask()
        assert "deprecated" not in plain.json()
        assert "Deprecation" not in plain


class TestAliases:
    def test_it_names_one_version_and_moves(
        self, version: Version, model: RegisteredModel, author: Actor, engineer: Person
    ) -> None:
        services.register_version(model, actor=author, candidate=candidate(1))
        for number in ("1.0.0", "1.0.1"):
            status, said = engineer.put("/models/claims/aliases/champion", {"version": number})
            assert (status, [(row["alias"], row["version"]) for row in said]) == (200, [("champion", number)])
            assert engineer.get("/models/claims/@champion")[1]["version"] == number
        assert engineer.get("/models/claims")[1]["aliases"] == {"champion": "1.0.1"}
        assert engineer.get("/models/claims/compare/1.0.0/@champion")[1]["v2"] == "1.0.1"
        moved = AuditRecord.objects.filter(action="alias.set").latest("seq").data
        assert (moved["before"], moved["version"]) == ("1.0.0", "1.0.1")
        assert engineer.delete("/models/claims/aliases/champion") == 204
        assert engineer.get("/models/claims/@champion")[0] == 404
        assert engineer.delete("/models/claims/aliases/champion") == 404

    def test_the_registrys_own_names_can_be_asked_for(
        self, served: Version, model: RegisteredModel, author: Actor, engineer: Person
    ) -> None:
        newest = services.register_version(model, actor=author, candidate=candidate(1))
        services.move_stage(newest, actor=author, target_stage="staging", reason="x")
        found = {
            name: engineer.get(f"/models/claims/@{name}")[1]["version"] for name in ("production", "staging", "latest")
        }
        assert found == {"production": "1.0.0", "staging": "1.0.1", "latest": "1.0.1"}

    @pytest.mark.parametrize(
        ("alias", "code"),
        [
            *((name, "reserved_alias") for name in ("production", "staging", "latest", "archived", "v1", "v1_2")),
            *((name, "bad_alias") for name in ("Champion", "1.0.0", "a b", "<b>", "ch\u0430mpion", "\uff43", "-a")),
            *((name, "bad_alias") for name in (RTL, LONG)),
        ],
    )  # fmt: skip
    def test_what_is_no_alias(self, version: Version, engineer: Person, alias: str, code: str) -> None:
        status, problem = engineer.put(f"/models/claims/aliases/{alias}", {"version": "1.0.0"})
        assert (status, problem["code"], problem["errors"][0]["field"]) == (422, code, "alias")
        assert not Alias.objects.exists()

    def test_a_protected_one_is_moved_by_its_roles_only(
        self, version: Version, model: RegisteredModel, engineer: Person, decider: Person
    ) -> None:
        engineer.put("/models/claims/aliases/champion", {"version": "1.0.0"})
        assert engineer.put("/models/claims/aliases/champion/protection", {"roles": []})[0] == 403
        status, said = decider.put("/models/claims/aliases/champion/protection", {"roles": ["approver"]})
        assert (status, said[0]["protected_to"]) == (200, ["approver"])
        status, problem = engineer.put("/models/claims/aliases/champion", {"version": "1.0.0"})
        assert (status, problem["code"]) == (403, "alias_protected")
        assert engineer.delete("/models/claims/aliases/champion") == 403
        assert AuditRecord.objects.filter(action="alias.set.refused").count() == 2
        assert decider.delete("/models/claims/aliases/champion") == 204
        assert engineer.put("/models/claims/aliases/champion", {"version": "1.0.0"})[0] == 403  # it outlives the alias
        assert decider.put("/models/claims/aliases/champion/protection", {"roles": ["viewer"]})[1]["code"] == "bad_role"
        decider.put("/models/claims/aliases/champion/protection", {"roles": []})
        assert engineer.put("/models/claims/aliases/champion", {"version": "1.0.0"})[0] == 200

    def test_another_teams_are_not_there(self, version: Version, stranger: Person) -> None:
        assert stranger.get("/models/claims/aliases")[0] == 404
        assert stranger.put("/models/claims/aliases/champion", {"version": "1.0.0"})[0] == 404

    def test_a_prediction_may_pin_one(
        self, served: Version, model: RegisteredModel, author: Actor, approver: Actor
    ) -> None:
        machine = Client(headers=bearer(person("claims-app", "service")))
        services.set_alias(model, actor=author, alias="champion", version=served)
        second = services.register_version(model, actor=author, candidate=candidate(1))
        services.move_stage(second, actor=author, target_stage="staging", reason="x")

        def ask(version: str) -> tuple[int, Any]:
            body = {"features": {"age": 51, "visits": 3}, "version": version}
            answer = machine.post("/api/v1/models/claims/predict", body, content_type="application/json")
            return answer.status_code, answer.json().get("version") or answer.json()["code"]

        asked = {name: ask(f"@{name}") for name in ("champion", "production", "staging", "nobody")}
        assert asked == {
            "champion": (200, "1.0.0"), "production": (200, "1.0.0"), "staging": (200, "1.0.1"),
            "nobody": (404, "unknown_version"),
        }  # fmt: skip


@pytest.mark.parametrize("column", [f.column for f in Version._meta.concrete_fields])
def test_no_column_of_a_version_can_be_changed_by_sql(version: Version, column: str) -> None:
    """Not even to what it is: what may be said later stands in tables of its own."""
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE registry_version SET {column} = {column}")


def test_no_version_can_be_deleted_by_sql(version: Version) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM registry_version")
    with pytest.raises(NotFound):
        selectors.version_numbered(version.model, "9.9.9")


def test_an_alias_says_nothing_about_stages(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    services.set_alias(model, actor=author, alias="champion", version=served)
    into_production(model, author=author, approver=approver, seed=1)
    found = selectors.version_numbered(model, "@champion")
    assert (found, found.stage) == (served, "archived")
