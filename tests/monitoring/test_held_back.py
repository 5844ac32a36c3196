"""New labels that a quality gate blocks: kept, found from the decision, and trained on once they pass."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse

from monitoring.choices import Outcome
from monitoring.models import Alert, RetrainDecision
from monitoring.services import set_retrain_policy
from monitoring.services.retraining import evaluate, evaluate_policies
from tests.monitoring.trained import Production, alert, answered, production
from tests.people import actor
from tests.training.test_data_pages import browser, text
from training.models import DatasetVersion
from training.services import set_expectations, waive_check

pytestmark = pytest.mark.django_db


@pytest.fixture
def site() -> Production:
    return production()


def outcomes(site: Production) -> list[str]:
    rows = RetrainDecision.objects.filter(model=site.model).order_by("decided_at")
    return list(rows.values_list("outcome", flat=True))


def blocked(site: Production, **fields: Any) -> Alert:
    """Nobody may be over 40, which everybody is."""
    set_retrain_policy(site.model, actor=site.engineer, fields={"min_labels": 60, **fields})
    document = {"columns": {"age": {"range": {"min": 0, "max": 40, "severity": "block"}}}}
    set_expectations(site.dataset.dataset, actor=site.engineer, document=document, comment="Young people.")
    answered(site, 70)
    seen = alert(site)
    assert evaluate(seen) is None
    return seen


def test_the_decision_leads_to_what_blocked_it(site: Production) -> None:
    blocked(site)
    decision = RetrainDecision.objects.get()
    assert (decision.outcome, decision.dataset, decision.run_id) == (Outcome.REFUSED, "hie@2", None)
    assert "blocked by its quality gate" in decision.detail
    client = browser(site.engineer)
    link = reverse("dataset_gates", args=["hie@2"])
    for page in (reverse("retrain_decisions"), reverse("retrain_policy", args=[site.model.name])):
        assert f'href="{link}"' in text(client, page)
    assert "be between 0 and 40" in text(client, link)


def test_it_is_not_made_again_every_hour(site: Production) -> None:
    blocked(site)
    answered(site, 5, start=100)
    for _ in range(3):
        assert evaluate_policies() == []
    assert outcomes(site) == [Outcome.REFUSED]
    assert DatasetVersion.objects.filter(dataset=site.dataset.dataset).count() == 2


def test_after_the_cool_down_the_next_one_has_the_labels_since(site: Production) -> None:
    blocked(site, cool_down="0m")
    answered(site, 5, start=100)
    assert evaluate_policies() == []
    assert [row.dataset for row in RetrainDecision.objects.order_by("decided_at")] == ["hie@2", "hie@3"]
    newest = DatasetVersion.objects.get(version=3)
    assert (newest.lineage["labels"], newest.lineage["parent"], newest.rows) == (75, "hie@1", 375)


def test_once_it_is_waived_the_same_alert_starts_the_run(site: Production) -> None:
    seen = blocked(site)
    asked = {"check": "schema_range", "column": "age", "reason": "They are right."}
    until = datetime.now(UTC).date()
    waive_check(site.dataset.dataset, actor=actor("vito", "validator"), until=until, **asked)
    (run,) = evaluate_policies()
    assert (str(run.dataset), run.trigger["alert"]) == ("hie@2", str(seen.pk))
    assert DatasetVersion.objects.filter(dataset=site.dataset.dataset).count() == 2
    assert RetrainDecision.objects.get(outcome=Outcome.TAKEN).detail == "70 new labels"
