"""The evidence bundle: what it holds of the data, and that it is bound by digest."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.permissions import Actor
from monitoring.models import Prediction
from registry import services
from registry.models import LAWS, PromotionRequest, RegisteredModel, Version
from tests import traffic
from tests.kept import kept_fixture
from tests.registry.parts import candidate, holdout, into_production, user
from tests.registry.test_laws import drop

RANDOM = np.random.default_rng(3)
LABEL = RANDOM.integers(0, 2, 400)


def measured(shift: float = 0.0, *, flip: float = 0.0) -> bytes:
    label = np.where(RANDOM.uniform(size=400) < flip, 1, LABEL)
    return holdout(np.clip(0.4 * label + RANDOM.uniform(0, 0.5, 400) + shift, 0, 1), label=label)


def asked(model: RegisteredModel, author: Actor, **changes: object) -> PromotionRequest:
    version = services.register_version(model, actor=author, candidate=candidate(1, **changes))
    services.move_stage(version, actor=author, target_stage="staging", reason="x")
    return services.request_promotion(version, actor=author, reason="x")


@kept_fixture
def serving(model: RegisteredModel, author: Actor, approver: Actor) -> Version:
    return into_production(
        model, author=author, approver=approver, seed=0, holdout_bytes=measured(), reference=traffic.reference()
    )


def test_a_holdout_like_that_of_production(serving: Version, model: RegisteredModel, author: Actor) -> None:
    said = asked(model, author, holdout_bytes=measured()).evidence["holdout"]
    assert (said["rows"], said["production_rows"], said["drift"]["drifted"]) == (400, 400, 0)
    assert [row["name"] for row in said["drift"]["features"]] == ["label", "score"]


def test_a_holdout_of_other_claims_is_told(serving: Version, model: RegisteredModel, author: Actor) -> None:
    said = asked(model, author, holdout_bytes=measured(0.3, flip=0.6)).evidence["holdout"]
    assert [row["drifted"] for row in said["drift"]["features"]] == [True, True]
    assert said["drift"]["severity"] == "high"


def test_without_anything_to_compare_with_it_says_so(request_: PromotionRequest) -> None:
    evidence = request_.evidence
    assert "without holdout predictions" in evidence["holdout"]["note"]
    assert "no profile" in evidence["production_inputs"]["note"]
    assert evidence["comparison"] is None


@pytest.mark.parametrize(("age", "drifted"), [(50.0, False), (90.0, True)])
def test_what_production_gets_against_the_training_data(
    serving: Version, model: RegisteredModel, author: Actor, age: float, drifted: bool
) -> None:
    now, random = timezone.now(), np.random.default_rng(1)
    Prediction.objects.bulk_create(
        Prediction(
            model=model,
            version=serving,
            request_id=f"claim-{n}",
            payload_digest="0" * 64,
            prediction=0,
            features={"age": float(random.normal(age, 10)), "visits": int(random.poisson(3))},
            predicted_at=now - timedelta(minutes=n),
        )
        for n in range(300)
    )
    said = asked(model, author, reference=traffic.reference()).evidence["production_inputs"]
    assert (said["version"], said["rows"]) == ("1.0.0", 300)
    assert {row["name"]: row["drifted"] for row in said["drift"]["features"]}["age"] is drifted


def test_the_registrys_sections_stand_over_what_was_given(staged: Version, author: Actor) -> None:
    given = {"holdout": "fine", "production_inputs": "fine", "reports": ["none"], "gate": {"passed": True}}
    request = services.request_promotion(staged, actor=author, reason="x", evidence=given)
    assert request.evidence["reports"] == []
    assert isinstance(request.evidence["holdout"], dict)
    assert isinstance(request.evidence["production_inputs"], dict)
    assert request.evidence["gate"] == {"passed": True}
    assert request.evidence_digest == events.digest_of(request.evidence)


def test_one_changed_figure_voids_the_request(request_: PromotionRequest, approver: Actor) -> None:
    drop(next(law for law in LAWS if law.name == "request_only_decided"))
    changed = {**request_.evidence, "metrics": {"roc_auc": {"value": 0.99, "ci95": None}}}
    PromotionRequest.objects.filter(pk=request_.pk).update(evidence=changed)
    client = Client()
    client.force_login(user(approver))
    page = reverse("admin:registry_promotionrequest_change", args=[request_.pk])
    assert client.post(page, {"decision": "approve"}).status_code == 409
    request_.refresh_from_db()
    assert request_.status == "void"


def test_the_page_shows_every_section(serving: Version, model: RegisteredModel, author: Actor, approver: Actor) -> None:
    lineage = {"code": "abc123", "lock": "f" * 64, "run": "r1"}
    request = asked(model, author, holdout_bytes=measured(0.3, flip=0.6), importance={"age": 1.0}, lineage=lineage)
    client = Client()
    client.force_login(user(approver))
    said = client.get(reverse("admin:registry_promotionrequest_change", args=[request.pk])).content.decode()
    for part in ("Is the data like that of production?", "Its holdout", "95 % intervals", "What it looks at", "abc123"):
        assert part in said
    assert request.evidence_digest in said
