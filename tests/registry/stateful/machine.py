"""A Hypothesis state machine over one model: people act through the services, files are damaged, rows are written past
the services. After each step the database is judged, and its stages and requests are those of the law beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlops_site.core.audit import _fault
from mlops_site.core.models import AuditRecord, ChainHead, User
from registry.choices import Decision
from tests.registry.stateful import writes
from tests.registry.stateful.deeds import ARTIFACTS, PEOPLE, Deeds
from tests.registry.stateful.judge import faults, history_faults
from tests.registry.stateful.law import TIERS
from tests.registry.stateful.rows import Rows, rows_of

chance = st.integers(0, 255)  # which one of those that fit; every fourth one of all
contents = st.integers(0, 11)
artifacts = st.integers(0, ARTIFACTS - 1)
decisions = st.sampled_from(["approve", "approve", "approve", *Decision.values])
SCIENTISTS, ENGINEERS, REVIEWERS = {"data_scientist", "ml_engineer"}, {"ml_engineer"}, {"approver", "validator"}

ROLES = ["data_scientist", "ml_engineer", "approver", "approver", "validator", "viewer"]
T = TypeVar("T")


def choice(number: int, fitting: Iterable[T], every: Sequence[T]) -> T:
    """Mostly one that fits, so that deeds get somewhere; sometimes any, so that they are refused."""
    from_ = (list(fitting) if number % 4 else []) or every
    return from_[number // 4 % len(from_)]


class Registry(RuleBasedStateMachine):
    """Each example is a transaction that is rolled back. `people` and `tally` are set by whoever runs it."""

    people: ClassVar[dict[str, User]]
    tally: ClassVar[Counter[tuple[str, str]]]

    def __init__(self) -> None:
        super().__init__()
        self.deeds: Deeds | None = None
        self.transaction = transaction.atomic()
        self.transaction.__enter__()

    @initialize(tier=st.sampled_from(TIERS), served=st.integers(0, 3))
    def begin(self, tier: str, served: int) -> None:
        """A model with a version in development, after some that have been in production."""
        self.tally["example", tier] += 1
        self.deeds = Deeds(self.people, tier, self.tally)
        self.before = rows_of(self.deeds.model)
        self.audited, self.digest = _head()
        for content in range(served):
            self._promote(content, asks="emil", decides="ben")
        self.deeds.register("emil", served, "sofia")

    def teardown(self) -> None:
        if self.deeds is not None:
            for artifact in range(ARTIFACTS):
                self.deeds.repair(artifact)
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @property
    def now(self) -> Deeds:
        assert self.deeds is not None
        return self.deeds

    def _person(self, number: int, roles: set[str]) -> str:
        every = sorted(PEOPLE)
        return choice(number, (name for name in every if self.now.law.roles.get(name) in roles), every)

    def _version(self, number: int, *stages: str) -> int:
        every = range(len(self.now.versions))
        return choice(number, (version for version in every if self.now.law.stage(version) in stages), every)

    def _request(self, number: int) -> int:
        requests = self.now.law.requests
        return choice(
            number, (i for i, request in enumerate(requests) if request.status == "pending"), range(len(requests))
        )

    def asked(self) -> bool:
        return self.deeds is not None and bool(self.deeds.law.requests)

    @rule(who=chance, content=contents, trainer=st.sampled_from(sorted(PEOPLE)))
    def register(self, who: int, content: int, trainer: str) -> None:
        self.now.register(self._person(who, SCIENTISTS), content, trainer)

    @rule(who=chance, number=chance, to=st.sampled_from(["staging", "staging", "development"]))
    def move(self, who: int, number: int, to: str) -> None:
        self.now.move(self._person(who, ENGINEERS), self._version(number, "development"), to)

    @rule(who=chance, number=chance)
    def retire(self, who: int, number: int) -> None:
        self.now.move(self._person(who, ENGINEERS), self._version(number, "staging", "development"), "archived")

    @rule(who=chance, number=chance, late=st.sampled_from([False, False, False, True]))
    def request(self, who: int, number: int, late: bool) -> None:
        self.now.request(self._person(who, SCIENTISTS), self._version(number, "staging"), late=late)

    @precondition(asked)
    @rule()
    def sweep(self) -> None:
        self.now.sweep()

    @rule(who=chance, number=chance)
    def attach(self, who: int, number: int) -> None:
        self.now.attach(self._person(who, SCIENTISTS | REVIEWERS), self._version(number, "staging"))

    @rule(who=chance)
    def archive_or_restore(self, who: int) -> None:
        """Restored soon, so that the rest goes on."""
        person = self._person(who, {"approver", "ml_engineer"})
        if self.now.law.archived:
            self.now.restore(person)
        elif who % 8 == 1:
            self.now.archive(person)

    @precondition(asked)
    @rule(who=chance, number=chance, decision=decisions)
    def review(self, who: int, number: int, decision: str) -> None:
        self.now.review(self._person(who, REVIEWERS), self._request(number), decision)

    @precondition(asked)
    @rule(who=chance, number=chance)
    def withdraw(self, who: int, number: int) -> None:
        request = self._request(number)
        asked = [self.now.law.requests[request].requester]
        self.now.withdraw(choice(who, asked, sorted(PEOPLE)), request)

    @rule(who=chance)
    def roll_back(self, who: int) -> None:
        self.now.roll_back(self._person(who, {"approver"}))

    @rule(content=contents, asks=chance, decides=chance)
    def promote(self, content: int, asks: int, decides: int) -> None:
        if content not in [version.content for version in self.now.law.versions]:
            self._promote(content, asks=self._person(asks, SCIENTISTS), decides=self._person(decides, REVIEWERS))

    @rule(
        content=contents,
        asks=chance,
        late=st.sampled_from([False, False, True]),
        meanwhile=st.sampled_from(["", "", "damage", "promote"]),
        answers=st.lists(st.tuples(chance, decisions), max_size=2),
    )
    def ask(self, content: int, asks: int, late: bool, meanwhile: str, answers: list[tuple[int, str]]) -> None:
        """As `promote`, but the request often waits, for what else can become of it."""
        if content not in [version.content for version in self.now.law.versions]:
            said = [(self._person(who, REVIEWERS), decision) for who, decision in answers]
            self._asked(content, self._person(asks, SCIENTISTS), said, late=late, meanwhile=meanwhile)

    def _promote(self, content: int, *, asks: str, decides: str) -> None:
        self._asked(content, asks, [(who, "approve") for who in (decides, "vik", "ada")])

    def _asked(
        self, content: int, asks: str, answers: list[tuple[str, str]], *, late: bool = False, meanwhile: str = ""
    ) -> None:
        """A new version, its request and the answers to it, as far as the law lets these people. In between its file
        may be damaged, or another version go into production."""
        deeds, number = self.now, len(self.now.versions)
        deeds.register("emil", content, "sofia")
        if deeds.law.archived:
            return
        deeds.move("emil", number, "staging")
        deeds.request(asks, number, late=late)
        self.the_database_is_lawful()
        if not deeds.law.requests or deeds.law.requests[-1].version != number:
            return
        request = len(deeds.law.requests) - 1
        if meanwhile == "damage":
            deeds.damage(content % ARTIFACTS, content)
        if meanwhile == "promote":
            self._promote(content + 12, asks="emil", decides="ben")
        for who, decision in answers:
            deeds.review(who, request, decision)
            self.the_database_is_lawful()

    @rule(who=chance, tier=st.sampled_from(TIERS))
    def set_tier(self, who: int, tier: str) -> None:
        self.now.set_tier(self._person(who, {"approver", "ml_engineer"}), tier)

    @rule(who=chance, reach=st.sampled_from(["production", "production", "staging", "none"]))
    def set_policy(self, who: int, reach: str) -> None:
        self.now.set_policy(self._person(who, {"approver"}), reach)

    @rule(who=chance, number=chance, gate_passed=st.sampled_from([True, True, True, False]))
    def deploy(self, who: int, number: int, gate_passed: bool) -> None:
        self.now.deploy(self._person(who, SCIENTISTS), self._version(number, "development"), gate_passed=gate_passed)

    @rule(who=st.sampled_from(["sofia", "eva", "ada", "ben", "vik"]), role=st.sampled_from(ROLES))
    def appoint(self, who: str, role: str) -> None:
        self.now.appoint(who, role)

    @rule(artifact=artifacts, place=st.integers(0, 10_000))
    def damage(self, artifact: int, place: int) -> None:
        self.now.damage(artifact, place)

    @rule(artifact=artifacts)
    def repair(self, artifact: int) -> None:
        self.now.repair(artifact)

    @rule(attack=st.lists(writes.WRITES, min_size=1, max_size=4))
    def write(self, attack: list[tuple[str, dict[str, Any]]]) -> None:
        self._attack(attack)

    @rule(review=writes.REVIEW, status=writes.STATUS, interval=writes.INTERVAL)
    def seize_production(self, review: Any, status: Any, interval: Any) -> None:
        """The three rows that would do it, in their order."""
        self._attack([review, status, interval])

    def _attack(self, attack: list[tuple[str, dict[str, Any]]]) -> None:
        """Writes, judged one by one; whatever was let pass is undone."""
        before = rows_of(self.now.model)
        with transaction.atomic():
            for kind, parts in attack:
                passed = writes.attempt(self.now, kind, parts)
                self.tally[f"write {kind}", "passed" if passed else "refused"] += 1
                if passed:
                    after = rows_of(self.now.model)
                    found = faults(before, after)
                    assert not found, f"the database let {kind} {parts} pass: {'; '.join(found)}"
                    before = after
            transaction.set_rollback(True)

    @invariant()
    def the_database_is_lawful(self) -> None:
        if self.deeds is None:
            return
        after: Rows = rows_of(self.deeds.model)
        found = [*faults(self.before, after), *history_faults(after), *self.deeds.differences(after)]
        found += self._chain_faults()
        assert not found, "; ".join(found)
        self.before = after
        self.tally["step", "judged"] += 1

    def _chain_faults(self) -> list[str]:
        """Of what the last step added to the chain, and of its head."""
        found = []
        for row in AuditRecord.objects.filter(seq__gt=self.audited).order_by("seq"):
            self.audited += 1
            found.append(_fault(row, self.audited, self.digest))
            self.digest = row.digest
        if _head() != (self.audited, self.digest):
            found.append(f"the chain ends at {self.audited} but its head says {_head()[0]}")
        return [fault for fault in found if fault]


def _head() -> tuple[int, str]:
    head = ChainHead.objects.filter(pk=1).first()
    return (0, "") if head is None else (head.seq, head.digest)


class Besieged(Registry):
    """The same under many more writes past the services, for a database that has lost a law."""

    @rule(attack=st.lists(writes.WRITES, min_size=6, max_size=12))
    def write_much(self, attack: list[tuple[str, dict[str, Any]]]) -> None:
        self._attack(attack)
