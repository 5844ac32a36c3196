"""The law of one model in plain Python, beside the real one: what each deed must come to, and what is left by it.

Every method answers the outcome that the services must have (`done`, or the code of the refusal) and, when the deed is
lawful, does it. People, versions, requests and policies are names and positions; nothing here knows a database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

DONE = "done"
TIERS = ("low", "medium", "high")
QUORUM = {"low": {"approver"}, "medium": {"approver"}, "high": {"approver", "validator"}}
SCIENCE, ENGINEERING = {"data_scientist", "ml_engineer"}, {"ml_engineer"}
MOVES = {"development": {"staging", "archived"}, "staging": {"development", "archived"}}
REPORTING = SCIENCE | {"approver", "validator"}
ARCHIVING = {"ml_engineer", "approver"}
CLOSED_BY = {"reject": "rejected", "request_changes": "changes_requested"}


@dataclass
class Version:
    content: int
    artifact: int
    author: str
    trainer: str


@dataclass
class Request:
    version: int
    requester: str
    replaces: int | None
    late: bool = False  # its time is over
    status: str = "pending"
    reviews: dict[str, tuple[str, str]] = field(default_factory=dict)  # person -> role, decision; not the void ones


@dataclass
class Law:
    tier: str
    roles: dict[str, str]  # in the model's team
    versions: list[Version] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    policies: list[tuple[str, str]] = field(default_factory=list)  # reach, set by
    log: list[tuple[int, str, str]] = field(default_factory=list)  # version, stage, cause: in the order of events
    damaged: set[int] = field(default_factory=set)  # artifacts
    archived: bool = False

    def stage(self, version: int) -> str:
        return next(stage for v, stage, _ in reversed(self.log) if v == version)

    @property
    def serving(self) -> int | None:
        return next((v for v in range(len(self.versions)) if self.stage(v) == "production"), None)

    def targets(self) -> Iterator[int]:
        """Where a rollback may go, the latest first: what served, and was not taken out by a rollback since."""
        seen = {self.serving}
        for place in range(len(self.log) - 1, -1, -1):
            version, stage, _ = self.log[place]
            later = {cause for v, _, cause in self.log[place + 1 :] if v == version}
            if stage == "production" and version not in seen and "withdrawn" not in later:
                seen.add(version)
                yield version

    def register(self, who: str, content: int, *, artifact: int, trainer: str) -> str:
        if self.roles.get(who) not in SCIENCE:
            return "forbidden"
        self.damaged.discard(artifact)  # the right bytes, stored again, repair the file
        if any(version.content == content for version in self.versions):
            return DONE
        if self.archived:
            return "model_archived"
        self.versions.append(Version(content, artifact, who, trainer))
        self.log.append((len(self.versions) - 1, "development", "registered"))
        return DONE

    def move(self, who: str, version: int, target: str) -> str:
        if self.roles.get(who) not in ENGINEERING:
            return "forbidden"
        if self.archived:
            return "model_archived"
        if target not in MOVES.get(self.stage(version), set()):
            return "illegal_move"
        for request in self._pending(version):
            request.status = "void"
        self.log.append((version, target, "moved"))
        return DONE

    def request(self, who: str, version: int, *, late: bool) -> str:
        if self.roles.get(who) not in SCIENCE:
            return "forbidden"
        if self.archived:
            return "model_archived"
        if self.stage(version) != "staging":
            return "illegal_move"
        for request in self._pending(version):
            if not request.late:
                return "already_requested"
            request.status = "expired"
        self.requests.append(Request(version, who, self.serving, late))
        return DONE

    def sweep(self) -> int:
        late = [request for request in self.requests if request.status == "pending" and request.late]
        for request in late:
            request.status = "expired"
        return len(late)

    def attach(self, who: str, version: int) -> str:
        """A report, which no approval that waits for others has seen."""
        if self.roles.get(who) not in REPORTING:
            return "forbidden"
        for request in self._pending(version):
            request.reviews.clear()
        return DONE

    def review(self, who: str, number: int, decision: str) -> str:
        request = self.requests[number]
        if who in self.own(request):
            return "four_eyes"
        if self.roles.get(who) not in {"approver", "validator"}:
            return "forbidden"
        if request.status != "pending":
            return "request_closed"
        if request.late:
            return "request_expired"
        if who in request.reviews:
            return "reviewed_already"
        approves = decision.startswith("approve")
        if approves and self.versions[request.version].artifact in self.damaged:
            return "preflight_failed"
        if approves and request.replaces != self.serving:
            request.status = "void"
            return "evidence_outdated"
        request.reviews[who] = (self.roles[who], decision)
        if not approves:
            request.status = CLOSED_BY[decision]
        elif self.has_quorum(request):
            request.status = "approved"
            self._swap(request.version, "approved")
        return DONE

    def own(self, request: Request) -> set[str]:
        """Those who brought the request about; registering and training count from medium risk on."""
        version = self.versions[request.version]
        return {request.requester} | (set() if self.tier == "low" else {version.author, version.trainer})

    def has_quorum(self, request: Request) -> bool:
        """Of those who hold today the role in which they approved."""
        given = request.reviews.items()
        approving = {role for who, (role, said) in given if said.startswith("approve") and self.roles.get(who) == role}
        return approving >= QUORUM[self.tier]

    def withdraw(self, who: str, number: int) -> str:
        request = self.requests[number]
        if request.requester != who:
            return "not_requester"
        if request.status != "pending":
            return "request_closed"
        request.status = "withdrawn"
        return DONE

    def roll_back(self, who: str) -> str:
        if self.roles.get(who) != "approver":
            return "forbidden"
        if self.serving is None or not list(self.targets()):
            return "nothing_to_roll_back_to"
        return DONE if self.sound_targets() else "preflight_failed"

    def sound_targets(self) -> list[int]:
        return [version for version in self.targets() if self.versions[version].artifact not in self.damaged]

    def lands_on(self, version: int) -> None:
        self._swap(version, "rolled_back")

    def archive(self, who: str) -> str:
        role, serving = self.roles.get(who), self.serving
        if role not in ARCHIVING:
            return "forbidden"
        if self.archived:
            return "model_archived"
        if serving is not None and role != "approver":
            return "forbidden"
        for version in range(len(self.versions)):
            for request in self._pending(version):
                request.status = "void"
            if version == serving or self.stage(version) == "staging":
                self.log.append((version, "archived", "retired" if version == serving else "moved"))
        self.archived = True
        return DONE

    def restore(self, who: str) -> str:
        if self.roles.get(who) not in ARCHIVING:
            return "forbidden"
        was, self.archived = self.archived, False
        return DONE if was else "model_not_archived"

    def set_tier(self, who: str, tier: str) -> str:
        if tier == self.tier:
            return DONE
        lowers, role = TIERS.index(tier) < TIERS.index(self.tier), self.roles.get(who)
        if role != "approver" and (lowers or role not in ENGINEERING):
            return "forbidden"
        if any(request.status == "pending" for request in self.requests):
            return "requests_pending"
        self.tier = tier
        return DONE

    def set_policy(self, who: str, reach: str) -> str:
        role = self.roles.get(who)
        if role != "approver" and (reach == "production" or role not in ENGINEERING):
            return "forbidden"
        if reach == "production" and self.tier == "high":
            return "high_risk"
        self.policies.append((reach, who))
        return DONE

    def deploy(self, who: str, number: int, *, gate_passed: bool) -> str:
        if self.archived:
            return "model_archived"
        version, (reach, set_by) = self.versions[number], self.policies[-1]
        held = version.artifact in self.damaged or self.stage(number) != "development" or reach == "none"
        if held or not gate_passed:
            return "held_back"
        if reach == "production" and self._may_decide(set_by, version):
            self.log.append((number, "staging", "policy"))
            self._swap(number, "policy")
            return "promoted"
        if self.roles.get(who) not in SCIENCE:
            return "forbidden"
        self.log.append((number, "staging", "policy"))
        self.requests.append(Request(number, who, self.serving))
        return "pending_approval"

    def _may_decide(self, set_by: str, version: Version) -> bool:
        own = set() if self.tier == "low" else {version.author, version.trainer}
        return self.tier != "high" and set_by not in own and self.roles.get(set_by) == "approver"

    def _pending(self, version: int) -> list[Request]:
        return [request for request in self.requests if request.version == version and request.status == "pending"]

    def _swap(self, version: int, cause: str) -> None:
        if (replaced := self.serving) is not None:
            left = ("staging", "withdrawn") if cause == "rolled_back" else ("archived", "replaced")
            self.log.append((replaced, *left))
        self.log.append((version, "production", cause))
