"""The whole table, written a second time by hand, and three people with fixed roles."""

from __future__ import annotations

from itertools import product

import pytest

from mlops_site.core.choices import Role
from mlops_site.core.errors import Forbidden, Invalid
from mlops_site.core.models import Membership, Team
from mlops_site.core.permissions import ROLE_ACTIONS, Action, Actor, person, require, team_for, visible
from tests import people

#                     viewer scientist engineer validator approver auditor admin service
TABLE = {
    "view":             ("x", "x", "x", "x", "x", "x", "x", " "),
    "schema.view":      ("x", "x", "x", "x", "x", "x", "x", "x"),
    "metrics.view":     ("x", "x", "x", "x", "x", "x", "x", "x"),
    "model.create":     (" ", " ", "x", " ", " ", " ", " ", " "),
    "model.edit":       (" ", " ", "x", " ", " ", " ", " ", " "),
    "model.archive":    (" ", " ", "x", " ", "x", " ", " ", " "),
    "model.transfer":   (" ", " ", " ", " ", " ", " ", "x", " "),
    "annotate":         (" ", "x", "x", "x", "x", " ", " ", " "),
    "alias.set":        (" ", "x", "x", " ", "x", " ", " ", " "),
    "version.deprecate": (" ", " ", "x", " ", "x", " ", " ", " "),
    "policy.set":       (" ", " ", " ", " ", "x", " ", " ", " "),
    "version.register": (" ", "x", "x", " ", " ", " ", " ", " "),
    "stage.move":       (" ", " ", "x", " ", " ", " ", " ", " "),
    "promotion.request": (" ", "x", "x", " ", " ", " ", " ", " "),
    "report.attach": (" ", "x", "x", "x", "x", " ", " ", " "),
    "promotion.review": (" ", " ", " ", "x", "x", " ", " ", " "),
    "promotion.decide": (" ", " ", " ", " ", "x", " ", " ", " "),
    "rollback":         (" ", " ", " ", " ", "x", " ", " ", " "),
    "incident.close":   (" ", " ", "x", "x", "x", " ", " ", " "),
    "evidence.export":  (" ", " ", "x", "x", "x", "x", " ", " "),
    "dataset.create":   (" ", "x", "x", " ", " ", " ", " ", " "),
    "dataset.keep":     (" ", " ", "x", " ", " ", " ", " ", " "),
    "dataset.hold":     (" ", " ", " ", " ", "x", " ", " ", " "),
    "prediction.keep":  (" ", " ", "x", " ", " ", " ", " ", " "),
    "prediction.hold":  (" ", " ", " ", " ", "x", " ", " ", " "),
    "source.set":       (" ", " ", "x", " ", " ", " ", " ", " "),
    "dataset.check":    (" ", "x", "x", "x", " ", " ", " ", " "),
    "expectations.set": (" ", " ", "x", "x", " ", " ", " ", " "),
    "gate.waive":       (" ", " ", " ", "x", "x", " ", " ", " "),
    "feature.define":   (" ", "x", "x", " ", " ", " ", " ", " "),
    "feature.load":     (" ", "x", "x", " ", " ", " ", " ", "x"),
    "dataset.download": (" ", "x", "x", "x", " ", " ", " ", " "),
    "run.request":      (" ", "x", "x", " ", " ", " ", " ", " "),
    "input.view":       (" ", "x", "x", "x", "x", "x", " ", " "),
    "predict":          (" ", " ", "x", " ", " ", " ", " ", "x"),
    "prediction.log":   (" ", " ", "x", " ", " ", " ", " ", "x"),
    "label.log":        (" ", " ", "x", " ", " ", " ", " ", "x"),
    "monitoring.run":   (" ", "x", "x", "x", " ", " ", " ", " "),
    "alert.handle":     (" ", "x", "x", " ", "x", " ", " ", " "),
    "slices.set":       (" ", " ", "x", "x", " ", " ", " ", " "),
    "alarm.set":        (" ", " ", "x", " ", " ", " ", " ", " "),
    "limits.set":       (" ", " ", "x", "x", " ", " ", " ", " "),
    "alert.rules":      (" ", " ", "x", "x", " ", " ", " ", " "),
    "channel.set":      (" ", " ", "x", " ", " ", " ", " ", " "),
    "retrain.set":      (" ", " ", "x", " ", " ", " ", " ", " "),
    "experiment.shadow": (" ", "x", "x", " ", " ", " ", " ", " "),
    "experiment.live":  (" ", " ", "x", " ", " ", " ", " ", " "),
    "audit.view":       (" ", " ", " ", " ", " ", "x", " ", " "),
    "people.manage":    (" ", " ", " ", " ", " ", " ", "x", " "),
}  # fmt: skip
ROLES = ("viewer", "data_scientist", "ml_engineer", "validator", "approver", "auditor", "admin", "service")


def test_the_table_names_every_role_and_action() -> None:
    assert set(TABLE) == set(Action)
    assert set(ROLES) == set(Role.values) == set(ROLE_ACTIONS)


@pytest.mark.parametrize(("action", "role"), list(product(TABLE, ROLES)))
def test_a_role_may_do_exactly_what_the_table_says(action: str, role: str) -> None:
    actor = Actor(name="somebody", roles={1: role})
    assert actor.may(Action(action), 1) == (TABLE[action][ROLES.index(role)] == "x")
    assert not actor.may(Action(action), 2)


def test_the_system_may_nothing_by_itself() -> None:
    assert not any(Actor.system("beat").may(action, 1) for action in Action)


def test_a_narrow_token_leaves_of_the_role_only_its_scopes() -> None:
    actor = Actor(name="somebody", roles={1: "ml_engineer"}, scopes=frozenset({"predict", "people.manage"}))
    assert [a for a in Action if actor.may(a, 1)] == [Action.PREDICT]


@pytest.mark.django_db
class TestThreePeople:
    @pytest.fixture(autouse=True)
    def three(self) -> None:
        self.author = people.actor("ana", "data_scientist")
        self.approver = people.actor("bo", "approver")
        self.outsider = people.actor("cy", "approver", team="other")
        self.team = Team.objects.get(name="claims")

    def test_rows_of_another_team_do_not_exist(self) -> None:
        rows = Membership.objects.filter(team=self.team)
        assert visible(self.author, rows).count() == 2
        assert visible(self.outsider, rows).count() == 0
        assert visible(self.author, rows, action=Action.AUDIT_VIEW).count() == 0

    def test_each_is_refused_what_only_the_other_may(self) -> None:
        require(self.author, Action.RUN_REQUEST, self.team)
        require(self.approver, Action.PROMOTION_DECIDE, self.team)
        with pytest.raises(Forbidden, match="decide in team claims is not allowed to data_scientist ana"):
            require(self.author, Action.PROMOTION_DECIDE, self.team)
        with pytest.raises(Forbidden, match="not allowed to approver bo"):
            require(self.approver, Action.RUN_REQUEST, self.team)
        with pytest.raises(Forbidden, match="not allowed to no role cy"):
            require(self.outsider, Action.VIEW, self.team)

    def test_somebody_inactive_has_no_roles(self) -> None:
        assert self.author.user is not None
        self.author.user.is_active = False
        assert Actor.of(self.author.user).roles == {}

    def test_a_superuser_has_no_roles_either(self) -> None:
        user = people.person("root", "viewer")
        user.is_superuser = True
        user.save(update_fields=["is_superuser"])
        assert not Actor.of(user).may(Action.PROMOTION_DECIDE, self.team.pk)

    def test_the_only_team_may_be_left_out(self) -> None:
        assert team_for(self.author, None, Action.RUN_REQUEST) == self.team

    def test_anothers_team_is_answered_like_one_that_does_not_exist(self) -> None:
        messages = []
        for name in ("other", "nowhere"):
            with pytest.raises(Invalid) as caught:
                team_for(self.author, name, Action.VIEW)
            messages.append(caught.value.detail.replace(name, "?"))
        assert messages[0] == messages[1] == "no team '?' of yours; yours: claims"

    def test_somebody_in_two_teams_names_one(self) -> None:
        both = people.actor("ana", "viewer", team="other")
        with pytest.raises(Invalid, match="team must be given; yours: claims, other"):
            team_for(both, None, Action.VIEW)
        with pytest.raises(Forbidden):
            team_for(both, "other", Action.RUN_REQUEST)

    def test_a_service_that_needs_a_person_refuses_the_system(self) -> None:
        assert person(self.author).username == "ana"
        with pytest.raises(Forbidden, match="system:jobs has no user"):
            person(Actor.system("jobs"))
