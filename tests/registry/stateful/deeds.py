"""What people do to one model, done through the services and judged by `law` at the same time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from django.core.files.storage import storages
from django.test import override_settings
from django.utils import timezone

from mlops_site.core.errors import StewardError
from mlops_site.core.models import AuditRecord, Membership, User
from mlops_site.core.permissions import Actor
from registry import services
from registry.choices import Decision
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
    "attach": "report.attached", "archive": "model.archived", "restore": "model.restored",
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
        self._numbers = itertools.count()
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
        if expected != "forbidden":
            self.damaged.pop(artifact, None)
        if expected != DONE:
            return
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

    def request(self, who: str, version: int, *, late: bool = False) -> None:
        """A late one has waited for too long when it is filed."""
        expected = self.law.request(who, version, late=late)
        asked: dict[str, Any] = {"actor": self.actor(who), "reason": "what changed is material"}
        with override_settings(APPROVAL_DAYS=-1 if late else 14):
            self._try("request", expected, lambda: services.request_promotion(self.versions[version], **asked))

    def sweep(self) -> None:
        expected = self.law.sweep()
        assert self._try("sweep", DONE, services.sweep_approvals)["expired"] == expected

    def attach(self, who: str, version: int) -> None:
        expected, number = self.law.attach(who, version), next(self._numbers)
        asked: dict[str, Any] = {"actor": self.actor(who), "name": "report.txt", "content": BytesIO(b"%d" % number)}
        self._try("attach", expected, lambda: services.attach_report(self.versions[version], **asked))

    def review(self, who: str, number: int, decision: str) -> None:
        expected = self.law.review(who, number, decision)
        asked: dict[str, Any] = {"actor": self.actor(who), "decision": decision, "comment": "looked at closely"}
        if decision == Decision.APPROVE_WITH_CONDITIONS:
            soon = timezone.now().date() + timedelta(days=30)
            asked |= {"condition": "look again at the rare claims", "revalidate_on": soon}
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

    def archive(self, who: str) -> None:
        expected, actor = self.law.archive(who), self.actor(who)
        self._live("archive", expected, lambda: services.archive_model(self.model, actor=actor, reason="unused"))

    def restore(self, who: str) -> None:
        expected, actor = self.law.restore(who), self.actor(who)
        self._live("restore", expected, lambda: services.restore_model(self.model, actor=actor, reason="in use"))

    def _live(self, deed: str, expected: str, call: Callable[[], RegisteredModel]) -> None:
        """Whoever asks for something reads first whether the model is archived."""
        if (row := self._try(deed, expected, call)) is not None:
            for version in self.versions:
                version.model.archived_at = row.archived_at

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
        refusal = expected if expected in ("forbidden", "model_archived") else DONE
        row, actor = self.versions[version], self.actor(who)
        done = self._try("deploy", refusal, lambda: services.deploy_by_policy(row, actor=actor, gate=gate))
        if refusal == DONE:
            self.tally["deploy came to", done.status] += 1
            assert done.status == expected

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
        given = Counter(review.request_id for review in rows.reviews.values() if review.voided_at is None)
        stand = ([given[pk] for pk in rows.requests], [len(request.reviews) for request in self.law.requests])
        live = (rows.archived, self.law.archived)
        return [f"{found} instead of {wanted}" for found, wanted in (stages, asked, stand, live) if found != wanted]
