"""Models that are archived, and models that change their team."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord, Team, User
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import PromotionRequest, RegisteredModel, Transfer, Version
from registry.services.intervals import current_stage
from tests.kept import kept_fixture
from tests.people import actor as somebody
from tests.people import bearer, person
from tests.registry.http import Person
from tests.registry.parts import candidate, into_production, user


def predict(client: Client, **more: Any) -> int:
    body = {"features": {"age": 51, "visits": 3}, **more}
    return client.post("/api/v1/models/claims/predict", body, content_type="application/json").status_code


class TestArchive:
    def test_it_takes_out_what_serves_and_leaves_the_lists(
        self, served: Version, model: RegisteredModel, author: Actor, approver: Actor, decider: Person
    ) -> None:
        staged = services.register_version(model, actor=author, candidate=candidate(1))
        services.move_stage(staged, actor=author, target_stage="staging", reason="x")
        request = services.request_promotion(staged, actor=author, reason="x")
        machine = Client(headers=bearer(person("claims-app", "service")))
        assert predict(machine) == predict(machine, version="1.0.1") == 200
        status, said = decider.post("/models/claims/archive", {"reason": "no longer sold"})
        assert status == 200
        assert said["archived_at"] is not None
        assert [current_stage(version) for version in (served, staged)] == ["archived", "archived"]
        assert selectors.in_production(model) is None
        request.refresh_from_db()
        assert request.status == "void"
        assert predict(machine) == predict(machine, version="1.0.1") == 409
        assert decider.get("/models")[1]["count"] == 0
        assert decider.get("/models", archived="yes")[1]["count"] == 1
        assert decider.get("/models/claims")[0] == 200
        record = AuditRecord.objects.get(action="model.archived")
        assert (record.data["reason"], record.data["production"]) == ("no longer sold", "1.0.0")

    def test_it_takes_nothing_new(self, model: RegisteredModel, version: Version, author: Actor) -> None:
        services.move_stage(version, actor=author, target_stage="staging", reason="x")
        services.move_stage(version, actor=author, target_stage="development", reason="x")
        services.archive_model(model, actor=author, reason="x")
        model.refresh_from_db()
        version = selectors.version_numbered(model, "1.0.0")
        for attempt in (
            lambda: services.register_version(model, actor=author, candidate=candidate(1)),
            lambda: services.move_stage(version, actor=author, target_stage="staging", reason="x"),
            lambda: services.request_promotion(version, actor=author, reason="x"),
            lambda: services.archive_model(model, actor=author, reason="again"),
            lambda: services.set_alias(model, actor=author, alias="champion", version=version),
        ):
            with pytest.raises(Conflict, match="was archived on") as raised:
                attempt()
            assert raised.value.code == "model_archived"

    def test_it_comes_back_but_nothing_serves_by_itself(
        self, served: Version, model: RegisteredModel, author: Actor, approver: Actor
    ) -> None:
        services.archive_model(model, actor=approver, reason="x")
        services.restore_model(model, actor=author, reason="sold again")
        assert selectors.in_production(model) is None
        with pytest.raises(Conflict):
            services.rollback(model, actor=approver, reason="x")
        again = into_production(model, author=author, approver=approver, seed=2)
        assert selectors.in_production(model) == again
        with pytest.raises(Conflict, match="is not archived"):
            services.restore_model(model, actor=author, reason="x")

    def test_what_serves_is_taken_out_by_an_approver_only(
        self, served: Version, model: RegisteredModel, author: Actor, engineer: Person
    ) -> None:
        status, problem = engineer.post("/models/claims/archive", {"reason": "x"})
        assert (status, problem["code"]) == (403, "forbidden")
        assert selectors.in_production(model) == served
        with pytest.raises(Forbidden):
            services.archive_model(model, actor=somebody("sofia", "data_scientist"), reason="x")
        with pytest.raises(Invalid):
            services.archive_model(model, actor=author, reason=" ")

    def test_no_run_is_trained_for_it(self, model: RegisteredModel, author: Actor, engineer: Person) -> None:
        services.archive_model(model, actor=author, reason="x")
        order = {"model_name": "claims", "dataset": "any"}
        assert engineer.post("/training/start", order)[1]["code"] == "model_archived"


@kept_fixture
def admin(db: None) -> Actor:
    return somebody("admin", "admin")


@kept_fixture
def receiver(outsider: Actor) -> Actor:
    """An admin of the team elsewhere."""
    return somebody("receiver", "admin", team="elsewhere")


@kept_fixture
def offer(request_: PromotionRequest, model: RegisteredModel, admin: Actor, receiver: Actor) -> Transfer:
    """Of claims, with a pending request, to elsewhere."""
    return services.offer_transfer(model, actor=admin, to_team="elsewhere", reason="they own claims now")


class TestTransfer:
    def test_the_receiving_admin_takes_the_model_over(
        self, offer: Transfer, model: RegisteredModel, author: Actor, outsider: Actor, receiver: Actor
    ) -> None:
        machine = Client(headers=bearer(person("claims-app", "service")))
        assert predict(machine) == 409  # nothing is in production, but it is there
        status, said = Person(receiver).post(f"/transfers/{offer.pk}/accept", {"owner": "outsider"})
        assert (status, said["status"], said["decided_by"]) == (200, "accepted", "receiver")
        found = selectors.model_named(outsider, "claims")
        assert (found.team.name, found.owner.username) == ("elsewhere", "outsider")
        with pytest.raises(NotFound):
            selectors.model_named(author, "claims")
        assert predict(machine) == 404
        assert PromotionRequest.objects.get().status == "void"
        policy = selectors.policy(found)
        assert policy is not None
        assert (policy.reach, policy.set_by) == ("none", receiver.user)

    def test_both_teams_have_it_in_their_records(self, offer: Transfer, receiver: Actor) -> None:
        services.accept_transfer(offer, actor=receiver, owner="outsider")
        for action in ("model.transfer_offered", "model.transferred"):
            assert set(AuditRecord.objects.filter(action=action).values_list("team", flat=True)) == {
                "claims",
                "elsewhere",
            }

    def test_who_comes_too_late_to_take_it_back_hears_so(
        self, offer: Transfer, receiver: Actor, admin: Actor, author: Actor
    ) -> None:
        services.accept_transfer(offer, actor=receiver, owner="outsider")
        with pytest.raises(Conflict, match="accepted"):
            services.withdraw_transfer(offer, actor=admin)
        with pytest.raises(Forbidden):
            services.withdraw_transfer(offer, actor=author)

    def test_who_may_offer(self, version: Version, model: RegisteredModel, author: Actor, approver: Actor) -> None:
        Team.objects.get_or_create(name="elsewhere")
        with pytest.raises(Forbidden):
            services.offer_transfer(model, actor=approver, to_team="elsewhere", reason="x")
        made = services.offer_transfer(model, actor=author, to_team="elsewhere", reason="x")  # its owner
        with pytest.raises(Conflict, match="offered to a team already"):
            services.offer_transfer(model, actor=author, to_team="elsewhere", reason="x")
        services.withdraw_transfer(made, actor=author)
        for name in ("claims", "nowhere"):
            with pytest.raises(Invalid, match="must be another team"):
                services.offer_transfer(model, actor=author, to_team=name, reason="x")

    def test_who_may_accept(
        self, offer: Transfer, model: RegisteredModel, admin: Actor, author: Actor, outsider: Actor, receiver: Actor
    ) -> None:
        for who in (admin, author, outsider):
            with pytest.raises(Forbidden):
                services.accept_transfer(offer, actor=who, owner="outsider")
        for gone in ("left", "machine"):
            somebody(gone, "service" if gone == "machine" else "data_scientist", team="elsewhere")
        User.objects.filter(username="left").update(is_active=False)
        for owner in ("author", "left", "machine"):
            with pytest.raises(Invalid, match="owner must be an active person in team elsewhere"):
                services.accept_transfer(offer, actor=receiver, owner=owner)
        model.refresh_from_db()
        assert model.team.name == "claims"
        stranger = Person(somebody("far", "admin", team="third"))
        assert stranger.get(f"/transfers/{offer.pk}")[0] == 404
        assert stranger.post(f"/transfers/{offer.pk}/accept", {"owner": "far"})[0] == 404

    def test_it_is_decided_once(self, offer: Transfer, model: RegisteredModel, receiver: Actor) -> None:
        services.decline_transfer(offer, actor=receiver, comment="not ours")
        for attempt in (
            lambda: services.accept_transfer(offer, actor=receiver, owner="outsider"),
            lambda: services.decline_transfer(offer, actor=receiver, comment="x"),
        ):
            with pytest.raises(Conflict, match="is declined") as raised:
                attempt()
            assert raised.value.code == "transfer_closed"
        model.refresh_from_db()
        assert model.team.name == "claims"

    def test_an_old_transfer_opens_no_way_by_sql(
        self, offer: Transfer, model: RegisteredModel, receiver: Actor
    ) -> None:
        services.accept_transfer(offer, actor=receiver, owner="outsider")
        for team in (offer.from_team, Team.objects.create(name="third")):
            with pytest.raises(DatabaseError, match="accepted transfer"), transaction.atomic():
                RegisteredModel.objects.update(team=team)

    def test_the_new_team_promotes_by_its_own_people(
        self, offer: Transfer, model: RegisteredModel, author: Actor, approver: Actor, receiver: Actor, outsider: Actor
    ) -> None:
        services.accept_transfer(offer, actor=receiver, owner="outsider")
        found = selectors.model_named(outsider, "claims")
        engineer = somebody("engineer", "ml_engineer", team="elsewhere")
        staged = selectors.version_numbered(found, "1.0.0")
        request = services.request_promotion(staged, actor=engineer, reason="ours now")
        with pytest.raises(Forbidden):
            services.review_request(request, actor=approver, decision="approve")
        services.review_request(request, actor=outsider, decision="approve")
        assert selectors.in_production(found) == staged
        assert user(outsider) in {interval.by for interval in selectors.intervals(staged)}

    def test_over_http(self, version: Version, engineer: Person, receiver: Actor) -> None:
        status, said = engineer.post("/models/claims/transfers", {"to_team": "elsewhere", "reason": "theirs"})
        assert (status, said["status"], said["to_team"]) == (201, "pending", "elsewhere")
        other = Person(receiver)
        assert other.get("/transfers")[1]["results"] == engineer.get("/transfers")[1]["results"] == [said]
        assert other.post(f"/transfers/{said['id']}/decline", {"comment": ""})[1]["errors"][0]["field"] == "comment"
        assert engineer.post(f"/transfers/{said['id']}/withdraw", {})[1]["status"] == "withdrawn"
        assert other.post(f"/transfers/{said['id']}/accept", {"owner": "outsider"})[0] == 409

    def test_who_offers_does_not_learn_who_is_in_the_other_team(
        self, offer: Transfer, admin: Actor, receiver: Actor, outsider: Actor
    ) -> None:
        page = reverse("transfer", args=[offer.pk])
        there, here = Client(), Client()
        there.force_login(user(receiver))
        here.force_login(user(admin))
        assert 'value="outsider"' in there.get(page).content.decode()
        assert "outsider" not in here.get(page).content.decode()
        sent = {"decision": "accept", "owner": "outsider", "comment": ""}
        assert here.post(page, sent).status_code == 403
        assert here.post(page, {"decision": "withdraw", "comment": ""}).status_code == 302
        offer.refresh_from_db()
        assert offer.status == "withdrawn"
