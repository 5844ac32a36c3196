"""What each design needs is said from what is known of the versions, and from the traffic that there really is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from abtesting.selectors.baselines import known_of, together_of
from abtesting.selectors.planning import plan_experiment
from abtesting.selectors.traffic import traffic_of
from abtesting.stats.assignment import RAMP
from abtesting.stats.baseline import Baseline, baseline, baseline_of_shares, cells_told, effect_of, together
from abtesting.stats.measures import Costs, measures
from abtesting.stats.power import Aim, Effect, Traffic, cells_at, correlation_of, labels_needed
from abtesting.stats.proposal import propose
from mlops_site.core.errors import Conflict, Invalid, NotFound
from mlops_site.core.permissions import Actor
from monitoring.models import Label, Prediction
from monitoring.services import fold_all
from registry import services
from registry.models import RegisteredModel, Version
from tests.abtesting.stats.arms import BINARY, arm_of, pairs_of
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.http import Person
from tests.registry.parts import candidate, holdout, into_production, user

KNOWN = measures(BINARY, paired=False, costs=Costs(1, 10))
RECALL = KNOWN["recall"]
ROWS = 4_000


@kept_fixture
def engineer(db: None) -> Actor:
    return actor("ada", "ml_engineer")


@kept_fixture
def model(engineer: Actor) -> RegisteredModel:
    return services.create_model(actor=engineer, name="high_cost", task_type="classification")


def scores(skill: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A tenth is positive, and scored higher by `skill`; noise that versions share in part."""
    truth = (np.random.default_rng(1).random(ROWS) < 0.1).astype(int)
    shared, own = np.random.default_rng(2).normal(size=ROWS), np.random.default_rng(seed).normal(size=ROWS)
    return 1 / (1 + np.exp(-(skill * truth - skill / 2 + shared + 0.3 * own))), truth


def held_out(skill: float, seed: int) -> bytes:
    found, truth = scores(skill, seed)
    return holdout(found, label=truth)


@kept_fixture
def served(model: RegisteredModel, engineer: Actor) -> Version:
    return into_production(
        model, author=engineer, approver=actor("ben", "approver"), seed=0, holdout_bytes=held_out(3.0, 3)
    )


@kept_fixture
def rival(model: RegisteredModel, engineer: Actor, served: Version) -> Version:
    made = candidate(1, holdout_bytes=held_out(3.3, 4))
    return services.register_version(model, actor=engineer, candidate=made)


def ask(version: Version, by: Actor, *, days: int, a_day: int, labelled: float = 1.0, after: float = 0.0) -> None:
    """So many claims on each of the last days, the older part of them labelled after some days."""
    now, claims, labels = timezone.now(), [], []
    about: dict[str, Any] = {"model": version.model, "request_id": ""}
    for day in range(days):
        for n in range(a_day):
            at = now - timedelta(days=day + 0.5)
            name = f"{day}-{n}"
            row = {**about, "version": version, "request_id": name, "predicted_at": at, "received_at": at}
            claims.append(Prediction(**row, payload_digest="0" * 64, features={}, prediction=n % 2, score=0.5))
            came = at + timedelta(days=after)
            if n < labelled * a_day and came <= now:
                said = {"revision": 1, "label": int(n % 3 == 0), "observed_at": came, "received_at": came}
                labels.append(Label(**{**about, "request_id": name}, **said, created_by=user(by)))
    Prediction.objects.bulk_create(claims)
    Label.objects.bulk_create(labels)
    fold_all()


# the pure parts


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1_score", "cost"])
def test_variances_are_those_of_the_power_calculation(name: str) -> None:
    cells = cells_at(0.2, 0.80, 0.55)
    wanted = Effect.of_cells(KNOWN[name], cells, cells)
    counted = baseline(KNOWN[name], arm_of((cells * 100_000).round().astype(int)))
    shares = baseline_of_shares(KNOWN[name], cells)
    assert counted is not None
    assert shares is not None
    assert shares.variance == pytest.approx(wanted.variance_a)
    assert counted.variance == pytest.approx(wanted.variance_a, rel=1e-3)
    assert counted.value == pytest.approx(shares.value, abs=1e-4)


def test_three_metrics_tell_the_four_cells() -> None:
    cells = cells_at(0.13, 0.71, 0.42)
    accuracy = float(cells[0] + cells[3])
    assert cells_told(0.71, 0.42, accuracy) == pytest.approx(cells)
    assert cells_told(0.71, 0.42, 0.2) is None


def test_the_labels_are_those_of_the_documented_case() -> None:
    """Recall from .80 to .75 at 5 % prevalence, as the power calculation has it by itself."""
    found = baseline_of_shares(RECALL, cells_at(0.05, 0.80, 0.5))
    assert found is not None
    alike = correlation_of(0.80, 0.75, 0.15)
    effect = effect_of(RECALL, found, -0.05, correlation=alike)
    wanted = Effect.of_shares(0.80, 0.75, base=0.05, correlation=alike)
    aim = Aim(sides=1, sequential=False)
    needed = [labels_needed(effect, share_b=share, aim=aim) for share in (0.1, None)]
    assert needed == pytest.approx([labels_needed(wanted, share_b=share, aim=aim) for share in (0.1, None)], rel=1e-3)


def test_the_correlation_is_that_of_the_hits() -> None:
    pairs = pairs_of(np.array([0, 0, 0, 40, 0, 90, 0, 870]))  # positives alone: A right on 960, B on 910 of 1,000
    arms = arm_of(np.array([960, 0, 40, 0])), arm_of(np.array([910, 0, 90, 0]))
    one, two = (baseline(RECALL, arm) for arm in arms)
    assert one is not None
    assert two is not None
    found = together(RECALL, one, two, pairs)
    assert found is not None
    assert found.gain == pytest.approx(-0.05)
    assert found.correlation == pytest.approx(correlation_of(0.96, 0.91, 0.13), abs=0.05)


def test_the_cheapest_comes_first_and_says_why() -> None:
    effect = effect_of(RECALL, Baseline(0.8, 3.2, 1000), -0.05, correlation=0.577)
    found = propose(RECALL, effect, Traffic(360, 1.0), share_b=0.1, days_each=1.0, aim=Aim(sides=1, sequential=False))
    labels = [option.plan.labels for option in found.options]
    assert labels == sorted(labels)
    assert found.options[0].plan.design == "shadow"
    assert found.words.startswith("Take a paired shadow test: it needs 7,")
    assert "labelled claims, about 3 weeks" in found.words
    assert "14 times as many" in found.words


def test_what_cannot_be_paired_is_left_out() -> None:
    effect = Effect(0.02, 0.2, 0.2)
    found = propose(KNOWN["roc_auc"], effect, Traffic(0), share_b=0.1, days_each=1.0, steps=RAMP, aim=Aim())
    assert {option.plan.design for option in found.options} == {"ab", "ramp"}
    assert "hold no ranking" in found.left_out
    assert found.options[0].takes == "no traffic yet"


# what is read


@pytest.mark.django_db
def test_traffic_is_counted_over_the_days_that_there_were(engineer: Actor, served: Version) -> None:
    ask(served, engineer, days=10, a_day=12, labelled=0.5, after=2.0)
    found = traffic_of(served.model)
    assert found.claims == 120
    assert 120 / 10.5 <= found.per_day <= 120 / 9.5  # the first claims' bucket is their day, whatever its hour
    assert found.label_days == pytest.approx(2.0, abs=0.01)
    assert found.label_share == pytest.approx(0.5)  # of those old enough, not of all
    assert "50% get a label; half of the labels come within 2 days" in found.says


@pytest.mark.django_db
def test_labels_of_claims_logged_afterwards_take_as_long_as_it_took_to_know(engineer: Actor, served: Version) -> None:
    ask(served, engineer, days=3, a_day=4, after=1.0)
    Prediction.objects.update(received_at=timezone.now())
    Label.objects.all()  # append-only: they keep when they came
    assert traffic_of(served.model).label_days == pytest.approx(1.0, abs=0.01)


@pytest.mark.django_db
def test_no_traffic_is_said_plainly(engineer: Actor, served: Version) -> None:
    assert traffic_of(served.model).says.startswith("No traffic yet")
    found = plan_experiment(engineer, model_name="high_cost", success_metrics=["recall"])
    assert found.proposed.plan.days is None
    assert any("No traffic yet" in line for line in found.words)


@pytest.mark.django_db
def test_the_baseline_is_that_of_the_holdout(served: Version) -> None:
    found, (said, truth) = known_of(served, RECALL), scores(3.0, 3)
    assert found is not None
    assert found.found.value == pytest.approx(float((said[truth == 1] >= 0.5).mean()))
    assert found.source == "the 4,000 rows held out when 1.0.0 was trained"


@pytest.mark.django_db
def test_production_says_more_than_the_holdout(engineer: Actor, served: Version) -> None:
    ask(served, engineer, days=5, a_day=120)
    found = known_of(served, KNOWN["accuracy"])
    assert found is not None
    assert "600 claims that 1.0.0 answered" in found.source
    assert found.found.value == pytest.approx(np.mean([n % 2 == (n % 3 == 0) for n in range(120)]))


@pytest.mark.django_db
def test_versions_that_share_their_holdout_need_fewer_labels(engineer: Actor, served: Version, rival: Version) -> None:
    (a, truth), (b, _) = scores(3.0, 3), scores(3.3, 4)
    hits = [(side[truth == 1] >= 0.5).astype(float) for side in (a, b)]
    found = together_of(served, rival, RECALL)
    assert found is not None
    assert found.gain == pytest.approx(hits[1].mean() - hits[0].mean())
    assert found.correlation == pytest.approx(np.corrcoef(*hits)[0, 1], abs=0.05)
    asked: dict[str, Any] = {"model_name": "high_cost", "success_metrics": ["recall"], "gain": 0.05}
    knowing, assuming = plan_experiment(engineer, **asked, version_b="1.0.1"), plan_experiment(engineer, **asked)
    assert knowing.proposed.plan.labels < assuming.proposed.plan.labels
    assert "shared holdout rows" in " ".join(knowing.words)
    assert "0.5 is assumed" in " ".join(assuming.words)


@pytest.mark.django_db
def test_several_metrics_without_a_margin_need_more(engineer: Actor, served: Version) -> None:
    def needs(*metrics: str, **more: Any) -> int:
        found = plan_experiment(engineer, model_name="high_cost", success_metrics=metrics, **more)
        return found.proposed.plan.labels

    assert needs("recall", "precision", gain=0.05) > needs("recall", gain=0.05)
    assert needs("recall", "precision", margin=0.05) == needs("recall", margin=0.05)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"success_metrics": ["recall", "speed"]}, "success_metrics", "unknown_metric"),
        ({"success_metrics": ["cost"]}, "success_metrics", "unknown_metric"),
        ({"success_metrics": ["recall", "recall"]}, "success_metrics", "repeated_metric"),
        ({"gain": 0.0}, "gain", "out_of_range"),
        ({"success_metrics": ["recall"], "gain": 0.9}, "gain", "out_of_range"),
        ({"margin": -0.1}, "margin", "out_of_range"),
        ({"margin": 0.05, "gain": -0.05}, "gain", "out_of_range"),
        ({"traffic_split": 1.0}, "traffic_split", "out_of_range"),
        ({"holdout": 1.0}, "holdout", "out_of_range"),
        ({"power": 1.0}, "power", "out_of_range"),
        ({"steps": [1.0]}, "steps", "out_of_range"),
        ({"version_b": "1.0.0"}, "version_b", "same_version"),
    ],
)
def test_a_refusal_names_its_field(
    engineer: Actor, served: Version, changes: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        plan_experiment(engineer, model_name="high_cost", **changes)
    assert [(error.field, error.code) for error in caught.value.errors] == [(field, code)]


@pytest.mark.django_db
def test_nothing_is_made_up(engineer: Actor, model: RegisteredModel) -> None:
    with pytest.raises(Conflict) as caught:
        plan_experiment(engineer, model_name="high_cost")
    assert caught.value.code == "no_production_version"
    into_production(model, author=engineer, approver=actor("ben", "approver"), seed=0)
    with pytest.raises(Conflict) as caught:
        plan_experiment(engineer, model_name="high_cost")
    assert caught.value.code == "nothing_known"


@pytest.mark.django_db
def test_the_metrics_of_an_upload_are_enough(engineer: Actor, model: RegisteredModel) -> None:
    said = {name: {"value": at, "ci95": None} for name, at in (("recall", 0.8), ("precision", 0.5), ("accuracy", 0.9))}
    into_production(model, author=engineer, approver=actor("ben", "approver"), seed=0, metrics=said)
    found = plan_experiment(engineer, model_name="high_cost", success_metrics=["f1_score"])
    assert found.baseline.found.value == pytest.approx(2 * 0.8 * 0.5 / 1.3)
    assert found.baseline.source == "the metrics with which 1.0.0 was registered"


@pytest.mark.django_db
def test_another_teams_model_does_not_exist(served: Version) -> None:
    with pytest.raises(NotFound):
        plan_experiment(actor("zoe", "ml_engineer", team="others"), model_name="high_cost")


@pytest.mark.django_db
def test_the_api_answers_the_plan(engineer: Actor, served: Version, rival: Version) -> None:
    ask(served, engineer, days=4, a_day=6)
    person, asked = Person(engineer), {"model_name": "high_cost", "version_b": "1.0.1", "success_metrics": ["recall"]}
    status, body = person.post("/ab-testing/plan", asked)
    assert status == 200
    assert body["proposed"]["mode"] == "shadow"
    assert body["proposed"] == body["options"][0]
    assert body["proposed"]["days"] == pytest.approx(body["proposed"]["labels"] / body["traffic"]["per_day"], rel=0.01)
    assert body["traffic"]["claims"] == 24
    status, body = person.post("/ab-testing/plan", {**asked, "power": "x", "gain": "x"})
    assert status == 422
    assert {error["field"] for error in body["errors"]} == {"power", "gain"}
