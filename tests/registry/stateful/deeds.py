"""What people do to one model, done through the services and judged by `law` at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.files.storage import storages

from mlops_site.core.errors import StewardError
from mlops_site.core.models import AuditRecord, Membership, User
from mlops_site.core.permissions import Actor
from registry import services
from registry.models import PromotionRequest, RegisteredModel, Version
from tests.registry.parts import candidate
from tests.registry.stateful.law import DONE, Law
from tests.registry.stateful.rows import Rows

ARTIFACTS = 3
PEOPLE = {  # name -> role in the model's team at first
    "sofia": "data_scientist",
    "emil": "ml_engineer",
    "eva": "ml_engineer",
    "ben": "approver",
    "ada": "approver",
    "vik": "validator",
    "olga": "auditor",
    "otto": "",  # an approver of another team
}
AUDITED = {  # what a deed that was done must have written into the chain
    "move": "version.stage_changed", "request": "promotion.requested", "review": "promotion.reviewed",
    "withdraw": "promotion.withdrawn", "roll_back": "version.rolled_back", "set_policy": "model.policy_set",
}  # fmt: skip


class Deeds:
    """One model, its people, and the law beside it. `tally` counts (deed, outcome)."""

    def __init__(self, people: dict[str, User], tier: str, tally: Counter[tuple[str, str]]) -> None:
        self.people, self.tally = people, tally
        self.law = Law(tier, {name: role for name, role in PEOPLE.items() if role})
        self.team = Membership.objects.select_related("team").get(user=people["emil"]).team
        self.model: RegisteredModel = services.create_model(
            actor=self.actor("emil"), name="claims", task_type="classification", risk_tier=tier, auto_deploy="none"
        )
        self.law.policies.append(("none", "emil"))
        self.versions: list[Version] = []
        self.damaged: dict[int, bytes] = {}

    def actor(self, who: str) -> Actor:
        role = self.law.roles.get(who)
        return Actor(who, self.people[who], {self.team.pk: role} if role else {})

    def requests(self) -> list[int]:
        return list(PromotionRequest.objects.filter(model=self.model).order_by("pk").values_list("pk", flat=True))

    def request_(self, number: int) -> PromotionRequest:
        rows = PromotionRequest.objects.select_related("model__team", "version__model__team", "version__artifact")
        return rows.select_related("version__serving").get(pk=self.requests()[number])

    def _try(self, deed: str, expected: str, call: Callable[[], Any]) -> Any:
        """What the call answered; fails when it came to something else than the law says. Only a StewardError may
        come out of a service: anything else would be a 500."""
        before = AuditRecord.objects.count()
        try:
            answer, outcome = call(), DONE
        except StewardError as error:
            answer, outcome = None, error.code
        self.tally[deed, outcome] += 1
        assert outcome == expected, f"{deed} came to {outcome} but the law says {expected}"
        if outcome == DONE and deed in AUDITED:
            said = AuditRecord.objects.order_by("seq").values_list("action", flat=True)[before:]
            assert AUDITED[deed] in list(said), f"{deed} wrote no {AUDITED[deed]} into the chain"
        return answer

    def register(self, who: str, content: int, trainer: str) -> None:
        artifact = content % ARTIFACTS
        known = len(self.law.versions)
        expected = self.law.register(who, content, artifact=artifact, trainer=trainer)
        made = candidate(artifact, params={"C": content})
        by: dict[str, Any] = {"actor": self.actor(who), "trained_by": self.people[trainer]}
        version = self._try("register", expected, lambda: services.register_version(self.model, candidate=made, **by))
        if expected != DONE:
            return
        self.damaged.pop(artifact, None)
        if len(self.law.versions) > known:
            rows = Version.objects.select_related("model__team", "artifact", "serving", "created_by", "trained_by")
            self.versions.append(rows.get(pk=version.pk))
        else:
            contents = [version.content for version in self.law.versions]
            assert version.pk == self.versions[contents.index(content)].pk

    def move(self, who: str, version: int, target: str) -> None:
        expected = self.law.move(who, version, target)
        asked: dict[str, Any] = {"actor": self.actor(who), "target_stage": target, "reason": "the machine moves it"}
        self._try("move", expected, lambda: services.move_stage(self.versions[version], **asked))

    def request(self, who: str, version: int) -> None:
        expected = self.law.request(who, version)
        asked: dict[str, Any] = {"actor": self.actor(who), "reason": "what changed is material"}
        self._try("request", expected, lambda: services.request_promotion(self.versions[version], **asked))

    def review(self, who: str, number: int, decision: str) -> None:
        expected = self.law.review(who, number, decision)
        asked: dict[str, Any] = {"actor": self.actor(who), "decision": decision, "comment": "looked at closely"}
        self._try("review", expected, lambda: services.review_request(self.request_(number), **asked))
        self.tally["request became", self.law.requests[number].status] += 1

    def withdraw(self, who: str, number: int) -> None:
        expected = self.law.withdraw(who, number)
        asked: dict[str, Any] = {"actor": self.actor(who), "comment": "not now"}
        self._try("withdraw", expected, lambda: services.withdraw_request(self.request_(number), **asked))

    def roll_back(self, who: str) -> None:
        expected, sound = self.law.roll_back(who), self.law.sound_targets()
        asked: dict[str, Any] = {"actor": self.actor(who), "reason": "it was worse"}
        done = self._try("roll_back", expected, lambda: services.rollback(self.model, **asked))
        if done is not None:
            landed = next(i for i, version in enumerate(self.versions) if version.pk == done.version.pk)
            assert landed == sound[0]
            self.law.lands_on(landed)

    def set_tier(self, who: str, tier: str) -> None:
        expected = self.law.set_tier(who, tier)
        actor = self.actor(who)
        self._try("set_tier", expected, lambda: services.edit_model(self.model, actor=actor, risk_tier=tier))

    def set_policy(self, who: str, reach: str) -> None:
        expected = self.law.set_policy(who, reach)
        asked: dict[str, Any] = {"actor": self.actor(who), "reach": reach, "reason": "for the machine"}
        self._try("set_policy", expected, lambda: services.set_deploy_policy(self.model, **asked))

    def deploy(self, who: str, version: int, *, gate_passed: bool) -> None:
        expected, gate = self.law.deploy(who, version, gate_passed=gate_passed), {"passed": gate_passed}
        refusal = expected if expected == "forbidden" else DONE
        row, actor = self.versions[version], self.actor(who)
        done = self._try("deploy", refusal, lambda: services.deploy_by_policy(row, actor=actor, gate=gate))
        if refusal == DONE:
            outcome = "held_back" if done is None else done.status
            self.tally["deploy came to", outcome] += 1
            assert outcome == expected

    def appoint(self, who: str, role: str) -> None:
        Membership.objects.filter(user=self.people[who], team=self.team).update(role=role)
        self.law.roles[who] = role

    def damage(self, artifact: int, place: int) -> None:
        """One byte of a stored file changes, if it is there and whole."""
        file = self._file(artifact)
        if artifact in self.damaged or file is None:
            return
        content = self.damaged[artifact] = file.read_bytes()
        place %= len(content)
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        self.law.damaged.add(artifact)
        self.tally["damage", DONE] += 1

    def repair(self, artifact: int) -> None:
        file = self._file(artifact)
        if (content := self.damaged.pop(artifact, None)) is not None and file is not None:
            file.write_bytes(content)
            self.law.damaged.discard(artifact)

    def _file(self, artifact: int) -> Path | None:
        held = [
            row for row, version in zip(self.versions, self.law.versions, strict=True) if version.artifact == artifact
        ]
        return Path(storages["artifacts"].path(f"{held[0].artifact_id[:2]}/{held[0].artifact_id}")) if held else None

    def differences(self, rows: Rows) -> list[str]:
        """Where the stages and requests of the database are not those of the law."""
        open_ = {row.version_id: row.stage for row in rows.intervals.values() if row.ended_at is None}
        stages = (
            [open_.get(version.pk, "") for version in self.versions],
            list(map(self.law.stage, range(len(open_)))),
        )
        asked = ([row.status for row in rows.requests.values()], [request.status for request in self.law.requests])
        return [f"{found} instead of {wanted}" for found, wanted in (stages, asked) if found != wanted]
