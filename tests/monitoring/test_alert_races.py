"""Several workers at one alert: one alert, one end, one step of escalation, no count lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from mlops_site.core import audit
from mlops_site.core.errors import Conflict
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring import services
from monitoring.models import Alert, AlertRule
from monitoring.services.silent import watch_silence
from registry import services as registry
from registry.models import Version
from tests import factories
from tests.monitoring.parts import finding, raised, scheduled
from tests.people import actor

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
WORKERS = 6


def together(*works: Callable[[], Any]) -> list[BaseException]:
    """Do all of it at the same moment, each on a connection of its own; what was raised."""
    start, failures = threading.Barrier(len(works)), list[BaseException]()

    def run(work: Callable[[], Any]) -> None:
        try:
            start.wait()
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def recorded(action: str) -> int:
    return AuditRecord.objects.filter(action=action).count()


def steps(watched: Version, author: Actor, count: int = 3) -> None:
    plan = [{"after": f"{10 * (n + 1)}m", "severity": "critical", "role": "approver"} for n in range(count)]
    services.set_alert_rules(watched.model, actor=author, rules={"drift": {"escalation": plan}})


def test_findings_at_once_are_one_group_and_no_count_is_lost(watched: Version) -> None:
    """Without the model's lock reports that begin together begin groups of their own (tried)."""

    def report(number: int) -> Callable[[], Any]:
        return lambda: scheduled(watched, number, finding("quality", f"x{number}"), finding("volume"))

    assert together(*map(report, range(1, WORKERS + 1))) == []
    rows = dict(Alert.objects.order_by().values_list("subject_key", "count"))
    assert rows == {"": WORKERS, **{f"x{number}": 1 for number in range(1, WORKERS + 1)}}
    assert len(set(Alert.objects.values_list("group_key", flat=True))) == 1
    assert (recorded("alert.raised"), list(audit.faults())) == (WORKERS + 1, [])


def test_clean_reports_on_one_window_count_once_and_end_it_once(watched: Version) -> None:
    (alert,) = raised(watched)
    for hour, counted in ((1, 1), (2, 2), (3, 3)):
        assert together(*[lambda hour=hour: scheduled(watched, hour)] * WORKERS) == []
        alert.refresh_from_db()
        assert alert.clean_reports == counted
    assert (alert.status, recorded("alert.resolved")) == ("resolved", 1)


def test_a_step_is_taken_by_one_of_many_sweeps(watched: Version, author: Actor) -> None:
    """Without the row's lock and a second look at `escalates_at` there are several (tried)."""
    steps(watched, author)
    raised(watched), raised(watched, finding("drift", "age"))
    for step in (1, 2):
        due = timezone.now() + timedelta(minutes=10 * step, seconds=30)
        assert together(*[lambda due=due: services.escalate_alerts(due)] * WORKERS) == []
        assert set(Alert.objects.values_list("escalations", flat=True)) == {step}
        assert recorded("alert.escalated") == 2 * step
    assert list(audit.faults()) == []


def test_acknowledged_or_escalated_first_never_escalated_after(watched: Version, author: Actor) -> None:
    steps(watched, author, count=1)
    for _ in range(5):
        (alert,) = raised(watched)
        due = timezone.now() + timedelta(hours=1)

        def acknowledge(alert: Alert = alert) -> None:
            services.acknowledge_alert(alert, actor=author)

        def escalate(due: Any = due) -> None:
            services.escalate_alerts(due)

        assert together(acknowledge, escalate, escalate) == []
        told = list(AuditRecord.objects.filter(subject=alert.subject).order_by("seq").values_list("action", flat=True))
        assert told in (
            ["alert.raised", "alert.acknowledged"],
            ["alert.raised", "alert.escalated", "alert.acknowledged"],
        )
        alert.refresh_from_db()
        assert (alert.status, alert.escalates_at, alert.escalations) == ("acknowledged", None, len(told) - 2)
        services.resolve_alert(alert, actor=author)


def test_a_person_and_a_clean_report_end_it_once(watched: Version, author: Actor) -> None:
    services.set_alert_rules(watched.model, actor=author, rules={"drift": {"resolve_after": 1}})
    for hour in range(1, 6):
        (alert,) = raised(watched)

        def clean(hour: int = hour) -> None:
            scheduled(watched, hour)

        def resolve(alert: Alert = alert) -> None:
            services.resolve_alert(alert, actor=author)

        failures = together(clean, resolve)
        assert all(isinstance(error, Conflict) for error in failures)
        assert AuditRecord.objects.filter(subject=alert.subject, action="alert.resolved").count() == 1
    assert set(Alert.objects.values_list("status", flat=True)) == {"resolved"}


def test_rules_set_at_once_keep_both_changes(watched: Version, author: Actor) -> None:
    def put(fields: dict[str, Any]) -> Callable[[], Any]:
        return lambda: services.set_alert_rules(watched.model, actor=author, rules={"drift": fields})

    assert together(put({"severity": "low"}), put({"threshold": 0.3}), put({"resolve_after": 9})) == []
    assert AlertRule.objects.get().overrides == {"severity": "low", "threshold": 0.3, "resolve_after": 9}


def test_silence_of_a_model_is_raised_by_one_of_many_sweeps(author: Actor) -> None:
    model = registry.create_model(actor=author, name="quiet", task_type="classification")
    version = factories.version(model, author, None, seed=1)
    factories.into_production(version, author, actor("ben", "approver"))
    later = timezone.now() + timedelta(days=2)
    assert together(*[lambda: watch_silence(later)] * WORKERS) == []
    assert sorted(Alert.objects.values_list("subject_key", "count")) == [("predictions", 1), ("reports", 1)]
