"""The rules of a model: defaults, what they change in reports and alerts, and what they refuse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring import services
from monitoring.choices import SEVERITY_OF, NoData, Rule
from monitoring.models import Alert, AlertRule, Prediction
from monitoring.selectors.rules import defaults, governed, history, rules_of
from monitoring.services.silent import watch_silence
from monitoring.stats.findings import Finding
from monitoring.stats.performance import Metric, degradation
from monitoring.stats.tally import Shape
from registry import services as registry
from registry.models import Version
from tests import factories
from tests.monitoring.parts import finding, raised, scheduled
from tests.people import actor

pytestmark = pytest.mark.django_db


def found(rule: str = "quality", subject: str = "age", **changes: Any) -> Finding:
    return Finding(rule, subject, "x", changes.pop("evidence", {}), **changes)


def told(watched: Version, *each: Finding, explicit: bool = False) -> list[tuple[bool, str]]:
    answered = governed(rules_of(watched.model), watched, timezone.now(), list(each), explicit=explicit)
    return [(finding.raised, finding.held) for finding in answered]


class TestDefaults:
    def test_each_kind_has_a_rule_without_a_row(self, watched: Version, settings: Any) -> None:
        settings.PERFORMANCE_DEGRADATION_THRESHOLD, settings.DRIFT_THRESHOLD = 0.07, 0.2
        rules = rules_of(watched.model)
        assert list(rules) == list(Rule)
        assert {rule: each.severity for rule, each in rules.items()} == SEVERITY_OF
        assert (rules[Rule.PERFORMANCE].threshold, rules[Rule.DRIFT].threshold) == (0.07, 0.2)
        assert (rules[Rule.VOLUME].threshold, rules[Rule.VOLUME].resolve_after) == (0.5, 3)
        assert all(each.enabled and each.own is None for each in rules.values())
        assert rules[Rule.NO_DATA].no_data == NoData.ALERT

    def test_a_finding_is_told_as_before(self, watched: Version) -> None:
        assert told(watched, found(), found("drift", "", raised=False)) == [(True, ""), (False, "not persistent yet")]


class TestSetting:
    def test_what_is_set_holds_and_the_rest_follows(self, watched: Version, author: Actor) -> None:
        fields = {"severity": "critical", "threshold": 0.3, "runbook": "https://wiki.example.org/drift"}
        rules = services.set_alert_rules(watched.model, actor=author, rules={"drift": fields}, comment="Known shifts.")
        assert (rules[Rule.DRIFT].severity, rules[Rule.DRIFT].threshold) == ("critical", 0.3)
        assert AlertRule.objects.get().overrides == fields
        services.set_alert_rules(watched.model, actor=author, rules={"drift": {"threshold": None}})
        assert AlertRule.objects.get().overrides == {name: fields[name] for name in ("severity", "runbook")}
        newest, first = history(watched.model)
        assert first.data == {"rule": "drift", "before": {}, "after": fields, "comment": "Known shifts."}
        assert newest.data["before"] == fields
        (alert,) = raised(watched)
        assert alert.severity == "critical"

    def test_nothing_new_is_no_record(self, watched: Version, author: Actor) -> None:
        for _ in range(2):
            services.set_alert_rules(watched.model, actor=author, rules={"volume": {"enabled": False}})
        assert history(watched.model).count() == 1

    def test_it_is_given_up(self, watched: Version, author: Actor) -> None:
        services.set_alert_rules(watched.model, actor=author, rules={"drift": {"severity": "low"}})
        rules = services.drop_alert_rule(watched.model, "drift", actor=author)
        assert (rules[Rule.DRIFT].severity, AlertRule.objects.count()) == ("high", 0)
        with pytest.raises(Conflict, match="nobody has set the drift rule") as caught:
            services.drop_alert_rule(watched.model, "drift", actor=author)
        assert caught.value.code == "no_rule"
        with pytest.raises(Invalid):
            services.drop_alert_rule(watched.model, "rain", actor=author)

    @pytest.mark.parametrize("role", ["viewer", "data_scientist", "approver", "auditor", "admin"])
    def test_who_may_not_changes_nothing_and_is_recorded(self, watched: Version, role: str) -> None:
        with pytest.raises(Forbidden):
            services.set_alert_rules(watched.model, actor=actor("x", role), rules={"drift": {"severity": "low"}})
        assert AlertRule.objects.count() == 0
        assert AuditRecord.objects.filter(action="alert.rules.refused").count() == 1

    @pytest.mark.parametrize(
        ("kind", "field", "value", "code"),
        [
            ("quality", "subjects", ["agee"], "unknown_subject"),
            ("performance", "metric", "mae", "unknown_metric"),
            ("drift", "threshold", 2, "invalid"),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_is_set(
        self, watched: Version, author: Actor, kind: str, field: str, value: Any, code: str
    ) -> None:
        with pytest.raises(Invalid) as caught:
            services.set_alert_rules(
                watched.model, actor=author, rules={kind: {field: value}, "volume": {"severity": "low"}}
            )
        (error,) = caught.value.errors
        assert (caught.value.code, error.code, error.field) == (code, code, f"rules.{kind}.{field}")
        assert AlertRule.objects.count() == 0

    def test_every_default_can_be_said_again(self, watched: Version, author: Actor) -> None:
        said = {rule.value: {n: v for n, v in defaults(rule).items() if v is not None} for rule in Rule}
        rules = services.set_alert_rules(watched.model, actor=author, rules=said)
        assert {rule: each.said for rule, each in rules.items()} == {rule: defaults(rule) for rule in Rule}


class TestTelling:
    def set(self, watched: Version, author: Actor, **rules: Any) -> None:
        services.set_alert_rules(watched.model, actor=author, rules=rules)

    def test_a_rule_that_is_off_is_held(self, watched: Version, author: Actor) -> None:
        self.set(watched, author, quality={"enabled": False})
        assert told(watched, found(), found("volume", "")) == [(False, "the rule is off"), (True, "")]
        assert told(watched, found(), explicit=True) == [(False, "the rule is off")]

    def test_only_named_features_are_told(self, watched: Version, author: Actor) -> None:
        self.set(watched, author, quality={"subjects": ["age"]}, drift={"subjects": ["visits"]})
        away = (False, "outside the rule's scope")
        of_age = {"features": [{"name": "age"}]}
        of_both = {"features": [{"name": "age"}, {"name": "visits"}]}
        assert told(watched, found(), found(subject="visits")) == [(True, ""), away]
        assert told(watched, found("drift", "", evidence=of_age), found("drift", "", evidence=of_both)) == [
            away, (True, ""),
        ]  # fmt: skip

    def test_a_schedule_waits_until_it_has_lasted(self, watched: Version, author: Actor) -> None:
        self.set(watched, author, quality={"persistence": {"k": 2, "m": 3}})
        quiet = (False, "seen in 1 of the last 3 reports, 2 are needed")
        assert told(watched, found()) == [quiet]
        assert told(watched, found(), explicit=True) == [(True, "")]
        scheduled(watched, -2, finding("quality", "age", raised=False))
        assert told(watched, found(), found(subject="visits")) == [(True, ""), quiet]
        scheduled(watched, -1), scheduled(watched, 0)
        assert told(watched, found()) == [quiet]

    def test_persistence_of_drift_is_the_analysis_own_until_it_is_set(self, watched: Version, author: Actor) -> None:
        self.set(watched, author, drift={"persistence": [1, 1]})
        assert told(watched, found("drift", "", raised=False)) == [(True, "")]

    def test_another_metric_is_judged(self) -> None:
        metrics = [Metric("f1_score", 0.7, (0.69, 0.71), 900), Metric("recall", 0.5, (0.48, 0.52), 900)]
        base = {"f1_score": 0.7, "recall": 0.6}
        about: dict[str, Any] = {"shape": Shape("classification", (0, 1), 1), "threshold": 0.05, "min_samples": 100}
        usual, chosen = (degradation(metrics, base, **about, metric=name) for name in ("", "recall"))
        assert usual is not None
        assert chosen is not None
        assert (usual.metric, usual.degraded, chosen.metric, chosen.degraded) == ("f1_score", False, "recall", True)


class TestNoData:
    @pytest.fixture
    def serving(self, author: Actor) -> Version:
        model = registry.create_model(actor=author, name="quiet", task_type="classification")
        version = factories.version(model, author, None, seed=1)
        factories.into_production(version, author, actor("ben", "approver"))
        return version

    def silent(self) -> list[tuple[str, str]]:
        return list(Alert.objects.filter(rule="no_data").order_by("subject_key").values_list("subject_key", "status"))

    def test_silence_raises_once_and_ends_by_itself(self, serving: Version) -> None:
        now = timezone.now()
        assert watch_silence(now + timedelta(hours=23)) == (0, 0)
        later = now + timedelta(hours=25)
        assert (watch_silence(later), watch_silence(later)) == ((2, 0), (0, 0))
        assert self.silent() == [("predictions", "open"), ("reports", "open")]
        first, second = Alert.objects.order_by("subject_key")
        assert (first.group_key, first.severity, first.count) == (second.group_key, "medium", 1)
        assert "no predictions have arrived; 1.0.0 has served since" in first.summary
        factories.predictions(serving, 1)
        Prediction.objects.update(predicted_at=later)
        assert watch_silence(later) == (0, 1)
        assert self.silent() == [("predictions", "resolved"), ("reports", "open")]
        scheduled(serving, 1)
        assert watch_silence(now) == (0, 1)

    def test_the_time_is_the_rules_and_so_is_whether(self, serving: Version, author: Actor) -> None:
        later = timezone.now() + timedelta(hours=3)
        services.set_alert_rules(serving.model, actor=author, rules={"no_data": {"no_data_after": "2h"}})
        assert watch_silence(later) == (2, 0)
        services.set_alert_rules(serving.model, actor=author, rules={"no_data": {"no_data": "keep"}})
        assert watch_silence(later) == (0, 2)
        assert watch_silence(later) == (0, 0)

    def test_only_what_serves_is_expected(self, serving: Version, watched: Version) -> None:
        later = timezone.now() + timedelta(days=9)
        watch_silence(later)
        assert {alert.model_id for alert in Alert.objects.all()} == {serving.model_id}
