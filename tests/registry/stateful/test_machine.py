"""The registry under a Hypothesis state machine: 20 examples of 25 steps, and 500 of 50 on each engine in `make drill`.

That the machine can fail is tested too: with one law taken out of the database it finds a violation.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from mlops_site.core import audit
from mlops_site.core.models import User
from registry.models import LAWS
from tests.people import person
from tests.registry.stateful.deeds import PEOPLE
from tests.registry.stateful.machine import Besieged, Registry
from tests.registry.test_laws import drop, execute, undone

pytestmark = pytest.mark.django_db

# Without these the machine must find a way that the judge refuses. The others stand behind a constraint or another law.
NEEDED = [
    "registry_version_no_update", "registry_review_no_update", "registry_review_no_delete", "interval_follows_a_move",
    "production_needs_quorum", "interval_only_closes", "request_is_true",
    "request_only_decided", "approved_needs_quorum", "review_copies_are_true", "review_by_its_role",
    "tier_stays_while_pending", "interval_no_delete", "request_no_delete",
]  # fmt: skip


FOUND = "the database let|instead of|came to|changed from|is gone"


@pytest.fixture
def people(db: None) -> dict[str, User]:
    roles = {name: (role, "claims") if role else ("approver", "elsewhere") for name, role in PEOPLE.items()}
    return {name: person(name, role, team=team) for name, (role, team) in roles.items()}


def run(
    people: dict[str, User], *, examples: int, steps: int, kind: type[Registry] = Registry
) -> Counter[tuple[str, str]]:
    """How often each deed came to what; raises what the first violation raised. The same in every run."""
    tally: Counter[tuple[str, str]] = Counter()
    machine = type("Machine", (kind,), {"people": people, "tally": tally})
    phases = [Phase.generate, Phase.shrink] if kind is Registry else [Phase.generate]
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, derandomize=True, database=None, deadline=None, phases=phases,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=chosen)
    return tally


def test_no_violation(people: dict[str, User]) -> None:
    tally = run(people, examples=12, steps=25)
    assert tally["step", "judged"] >= 12 * 25
    assert tally["request became", "approved"] > 10
    assert sum(count for (what, _), count in tally.items() if what == "roll_back") > 0
    assert sum(count for (what, end), count in tally.items() if what.startswith("write") and end == "refused") > 20


@pytest.mark.slow
def test_no_violation_in_500_examples_of_50_steps(people: dict[str, User]) -> None:
    """Each deed came to each of its ends, so that what was judged is worth judging."""
    tally = run(people, examples=500, steps=50)
    assert sum(count for (what, _), count in tally.items() if what == "example") >= 500
    assert tally["step", "judged"] >= 500 * 50
    ends = {
        "register": {"done", "forbidden"},
        "move": {"done", "forbidden", "illegal_move", "model_archived"},
        "request": {"done", "forbidden", "illegal_move", "already_requested"},
        "review": {
            "done", "forbidden", "four_eyes", "request_closed", "reviewed_already", "preflight_failed",
            "evidence_outdated", "request_expired",
        },
        "request became": {"approved", "rejected", "changes_requested", "void", "withdrawn", "pending", "expired"},
        "withdraw": {"done", "not_requester", "request_closed"},
        "roll_back": {"done", "forbidden", "nothing_to_roll_back_to", "preflight_failed"},
        "archive": {"done", "forbidden"},
        "restore": {"done", "forbidden"},
        "attach": {"done", "forbidden"},
        "set_tier": {"done", "forbidden", "requests_pending"},
        "set_policy": {"done", "forbidden", "high_risk"},
        "deploy came to": {"promoted", "pending_approval", "held_back"},
        **{f"write {kind}": {"passed", "refused"} for kind in ("interval", "review", "status", "request", "tier")},
        "write change": {"passed", "refused"},
        "write delete": {"refused"},
    }  # fmt: skip
    missing = {f"{what}: {end}" for what, wanted in ends.items() for end in wanted if not tally[what, end]}
    assert missing == set()
    assert list(audit.faults()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDED)
def test_without_a_law_it_finds_the_way(name: str, people: dict[str, User]) -> None:
    (law,) = [law for law in LAWS if law.name == name]
    with undone():
        drop(law)
        with pytest.raises(AssertionError, match=FOUND):
            run(people, examples=300, steps=40, kind=Besieged)


@pytest.mark.slow
def test_without_its_index_it_finds_two_versions_in_production(people: dict[str, User]) -> None:
    """With the law on history gone as well, for it too looks whether another version serves."""
    with undone():
        drop(next(law for law in LAWS if law.name == "interval_follows_history"))
        execute("DROP INDEX one_production_per_model")
        with pytest.raises(AssertionError, match=r"two versions are in production|overlaps"):
            run(people, examples=300, steps=40, kind=Besieged)
