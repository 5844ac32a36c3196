"""Idempotency-Key: one effect, one answer, and neither without the other."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from mlops_site.core import audit, tokens
from mlops_site.core.models import AuditRecord, IdempotencyKey, Team, User
from mlops_site.core.tasks import delete_old_answers
from tests import people
from tests.jobsapp.models import Errand

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.endpoints")]


@pytest.fixture
def eve() -> User:
    return people.person("eve", "viewer")


def post(headers: dict[str, str], path: str = "/teams", key: str | None = "k1", **body: Any) -> Any:
    headers = headers if key is None else {**headers, "Idempotency-Key": key}
    return Client().post(path, body, content_type="application/json", headers=headers)


def test_a_repeated_key_gets_the_first_answer(eve: User) -> None:
    bearer = people.bearer(eve)
    first, second = post(bearer, name="red"), post(bearer, name="red")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert second.headers["Idempotent-Replay"] == "true"
    assert second.headers["Content-Type"] == "application/json"
    assert "Idempotent-Replay" not in first.headers
    assert Team.objects.filter(name="red").count() == 1
    assert AuditRecord.objects.filter(action="team.created", team="red").count() == 1


def test_the_same_key_for_something_else_is_refused(eve: User) -> None:
    bearer = people.bearer(eve)
    post(bearer, name="red")
    other = [
        post(bearer, name="blue"),
        post(bearer, path="/teams?x=1", name="red"),
        post(bearer, path="/echo", name="red"),
    ]
    assert [(r.status_code, r.json()["code"]) for r in other] == [(409, "idempotency_key_reused")] * 3
    assert not Team.objects.filter(name="blue").exists()


def test_keys_are_each_persons_own(eve: User) -> None:
    assert post(people.bearer(eve), name="red").status_code == 201
    assert post(people.bearer(people.person("bo", "viewer")), name="blue").status_code == 201


def test_a_narrower_token_does_not_hear_what_a_wider_one_was_told(eve: User) -> None:
    assert post(people.bearer(eve), name="red").status_code == 201
    assert post(people.bearer(eve, scopes=("view",)), name="red").status_code == 409


def test_another_token_of_the_same_reach_does(eve: User) -> None:
    assert post(people.bearer(eve), name="red").status_code == 201
    assert post(people.bearer(eve), name="red").headers["Idempotent-Replay"] == "true"


def test_a_request_that_failed_is_not_kept_and_left_nothing(eve: User) -> None:
    bearer = people.bearer(eve)
    assert post(bearer, name="wrong").status_code == 409
    assert (IdempotencyKey.objects.count(), Team.objects.filter(name="wrong").count()) == (0, 0)
    assert post(bearer, name="right").status_code == 201


def test_a_key_may_be_used_again_after_a_day(eve: User) -> None:
    bearer = people.bearer(eve)
    post(bearer, name="red")
    delete_old_answers()
    assert IdempotencyKey.objects.count() == 1
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(days=1, seconds=1))
    delete_old_answers()
    assert post(bearer, name="blue").status_code == 201


@pytest.mark.parametrize("where", ["view", "service"])
@pytest.mark.parametrize(("key", "kind"), [("k1", ""), (None, ""), ("k1", "/again")])
def test_a_refusal_is_recorded_once_whatever_is_rolled_back(eve: User, where: str, key: str | None, kind: str) -> None:
    answer = post(people.bearer(eve), path=f"{kind}/refusing/{where}", key=key)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert AuditRecord.objects.filter(action="rollback.refused", actor="eve").count() == 1
    assert not Team.objects.filter(name="gone").exists()
    assert IdempotencyKey.objects.count() == 0
    assert list(audit.faults()) == []


@pytest.mark.parametrize("key", ["", "x" * 129, "a\tb"])
def test_a_key_is_bounded(eve: User, key: str) -> None:
    answer = post(people.bearer(eve), key=key, name="red")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert not Team.objects.filter(name="red").exists()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer stw_0123456789_x"}])
def test_a_stranger_with_a_key_is_a_stranger(headers: dict[str, str]) -> None:
    answer = post(headers, name="red")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert IdempotencyKey.objects.count() == 0


def test_a_session_needs_the_csrf_token_with_a_key_too(eve: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(eve, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/teams", {"name": "red"}, content_type="application/json", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert "CSRF" in answer.json()["detail"]


def test_an_upload_is_known_by_its_content(eve: User) -> None:
    headers = {**people.bearer(eve), "Idempotency-Key": "k1"}

    def upload(content: bytes, name: str = "red") -> Any:
        return Client().post("/upload", {"name": name, "file": SimpleUploadedFile("a.csv", content)}, headers=headers)

    first, again = upload(b"a,b"), upload(b"a,b")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replay"] == "true"
    assert upload(b"a,c").status_code == upload(b"a,b", name="blue").status_code == 409
    assert Team.objects.filter(name="red").count() == 1


def test_a_body_too_large_is_said_as_a_problem(eve: User, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    for key in ("k1", None):
        answer = post(people.bearer(eve), key=key, name="x" * 2000)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_an_answer_that_cannot_be_repeated_is_a_mistake(eve: User) -> None:
    with pytest.raises(TypeError, match="Plain must answer a Response"):
        post(people.bearer(eve), path="/plain")
    assert not Team.objects.filter(name="plain").exists()


class TestOfWhatRepeatsItself:
    """The effect is not in the transaction of the key."""

    def test_a_repeated_key_gets_the_first_answer(self, eve: User) -> None:
        bearer = people.bearer(eve)
        first, second = post(bearer, path="/again", name="red"), post(bearer, path="/again", name="red")
        assert (first.status_code, first.json()["made"], second.headers["Idempotent-Replay"]) == (200, True, "true")
        assert first.content == second.content
        other = post(bearer, path="/again", name="blue")
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
        assert not Team.objects.filter(name="blue").exists()

    def test_a_refusal_frees_the_key_and_keeps_what_was_done(self, eve: User) -> None:
        bearer = people.bearer(eve)
        assert post(bearer, path="/again", name="unready").json()["code"] == "not_yet"
        assert (IdempotencyKey.objects.count(), Team.objects.filter(name="unready").count()) == (0, 1)
        with pytest.raises(RuntimeError):
            post(bearer, path="/again", name="broken")
        assert post(bearer, path="/again", name="red").status_code == 200

    def test_whoever_died_before_the_answer_was_kept_is_repeated(self, eve: User) -> None:
        bearer = people.bearer(eve)
        post(bearer, path="/again", name="red")
        IdempotencyKey.objects.update(status=0, body="")
        second, third = post(bearer, path="/again", name="red"), post(bearer, path="/again", name="red")
        assert (second.json()["made"], "Idempotent-Replay" in second.headers) == (False, False)
        assert (third.content, third.headers["Idempotent-Replay"]) == (second.content, "true")

    @pytest.mark.django_db(transaction=True)
    def test_nothing_is_held_while_it_works(self, eve: User) -> None:
        bearer = {"Authorization": f"Bearer {tokens.create_token(eve)[1]}"}
        assert post(bearer, path="/again", name="red").json()["alone"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_at_once_with_one_key_have_one_effect(eve: User) -> None:
    """Without the constraint one_answer_per_key each of them makes its errand (tried)."""
    bearer = {"Authorization": f"Bearer {tokens.create_token(eve)[1]}"}
    answers: list[Any] = []
    start = threading.Barrier(8)

    def send() -> None:
        start.wait()
        answers.append(post(bearer, path="/errands"))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replay" not in answer.headers for answer in answers) == 1
    assert Errand.objects.count() == 1
