"""People's schedules: the policy's interval, the hourly reports, and their pages in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django_celery_beat.models import PeriodicTask

from mlops_site.core.beats import length_of
from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from monitoring import tasks
from monitoring.models import MonitoringRun, RetrainPolicy
from monitoring.selectors.schedules import EVERY_MODEL
from monitoring.services import set_retrain_policy, set_schedule
from tests.kept import kept_fixture
from tests.monitoring.trained import Production, production
from tests.people import actor, person
from tests.registry.parts import user

pytestmark = pytest.mark.django_db
LIST = "/admin/django_celery_beat/periodictask/"


@kept_fixture
def site(db: None) -> Production:
    return production()


def row(name: str = "retraining: high_cost_claim") -> PeriodicTask:
    return PeriodicTask.objects.get(name=name)


def test_every_install_has_hourly_reports_and_an_edit_survives() -> None:
    hourly = row(EVERY_MODEL)
    assert (hourly.task, length_of(hourly), hourly.enabled) == ("monitoring.run_all", timedelta(hours=1), True)
    PeriodicTask.objects.filter(pk=hourly.pk).update(enabled=False)
    call_command("migrate", verbosity=0)
    assert not row(EVERY_MODEL).enabled


@pytest.mark.django_db(transaction=True)
def test_every_model_in_production_is_reported_on(site: Production) -> None:
    tasks.run_all()
    run = MonitoringRun.objects.get()
    assert (run.version, run.explicit, run.requested_by) == (site.version, False, None)
    assert timedelta(hours=24) <= run.window_to - run.window_from < timedelta(hours=25)


class TestPolicy:
    def test_the_row_follows_the_policy(self, site: Production) -> None:
        set_retrain_policy(site.model, actor=site.engineer, fields={"scheduled_interval": "36h"})
        assert (row().task, row().args, length_of(row())) == (
            "monitoring.retrain_on_schedule",
            '["high_cost_claim"]',
            timedelta(hours=36),
        )
        set_retrain_policy(site.model, actor=site.engineer, fields={"enabled": False})
        assert not row().enabled
        set_retrain_policy(site.model, actor=site.engineer, fields={"enabled": True})
        assert row().enabled
        set_retrain_policy(site.model, actor=site.engineer, fields={"scheduled_interval": None})
        assert not row().enabled

    def test_the_policy_follows_the_schedule(self, site: Production) -> None:
        set_retrain_policy(site.model, actor=site.engineer, fields={"scheduled_interval": "7d"})
        other = actor("eva", "ml_engineer")
        set_schedule(row(), actor=other, every="14d", enabled=True)
        policy = RetrainPolicy.objects.get()
        assert (policy.scheduled_interval, policy.set_by.username) == (timedelta(days=14), "eva")
        set_schedule(row(), actor=other, enabled=False)
        assert RetrainPolicy.objects.get().scheduled_interval is None
        set_schedule(row(), actor=other, enabled=True)
        assert RetrainPolicy.objects.get().scheduled_interval == timedelta(days=14)

    @pytest.mark.django_db(transaction=True)
    def test_a_tick_without_need_does_nothing(self, site: Production) -> None:
        set_retrain_policy(site.model, actor=site.engineer, fields={"scheduled_interval": "7d"})
        tasks.retrain_on_schedule("high_cost_claim")
        tasks.retrain_on_schedule("a_model_that_is_gone")


class TestRights:
    def test_the_schedule_of_every_model_takes_the_right_in_every_team(self, site: Production) -> None:
        set_schedule(row(EVERY_MODEL), actor=site.engineer, every="2h")
        assert length_of(row(EVERY_MODEL)) == timedelta(hours=2)
        assert AuditRecord.objects.filter(action="schedule.set").count() == 1
        person("otto", "ml_engineer", team="elsewhere")
        with pytest.raises(Forbidden):
            set_schedule(row(EVERY_MODEL), actor=site.engineer, enabled=False)
        assert row(EVERY_MODEL).enabled

    def test_it_is_not_made_too_often(self, site: Production) -> None:
        with pytest.raises(Invalid, match="every must be from 15m"):
            set_schedule(row(EVERY_MODEL), actor=site.engineer, every="1m")

    def test_a_job_of_the_system_is_code(self, site: Production) -> None:
        system = PeriodicTask.objects.create(name="system: x", task="x", interval=row(EVERY_MODEL).interval)
        with pytest.raises(Conflict):
            set_schedule(system, actor=site.engineer, enabled=False)


class TestAdmin:
    @pytest.fixture
    def browser(self, site: Production) -> Client:
        set_retrain_policy(site.model, actor=site.engineer, fields={"scheduled_interval": "7d"})
        client = Client()
        client.force_login(user(site.engineer), backend="django.contrib.auth.backends.ModelBackend")
        return client

    def test_the_list_has_the_team_s_own_and_the_common_ones(self, browser: Client) -> None:
        page = browser.get(LIST).content.decode()
        assert "retraining: high_cost_claim" in page
        assert EVERY_MODEL in page
        stranger = Client()
        other = person("otto", "ml_engineer", team="elsewhere")
        stranger.force_login(other, backend="django.contrib.auth.backends.ModelBackend")
        assert "high_cost_claim" not in stranger.get(LIST).content.decode()
        assert stranger.get(f"{LIST}{row().pk}/change/").status_code == 404

    def test_an_interval_is_edited(self, browser: Client) -> None:
        address = f"{LIST}{row().pk}/change/"
        assert b"7d" in browser.get(address).content
        assert browser.post(address, {"every": "10d", "enabled": "on"}).status_code == 302
        assert RetrainPolicy.objects.get().scheduled_interval == timedelta(days=10)
        answer = browser.post(address, {"every": "often", "enabled": "on"})
        assert b"must be like" in answer.content
        assert browser.post(address, {"every": "10d"}).status_code == 302
        assert RetrainPolicy.objects.get().scheduled_interval is None

    def test_schedules_are_switched_in_the_list(self, browser: Client) -> None:
        chosen = {"_selected_action": [row().pk, row(EVERY_MODEL).pk]}
        browser.post(LIST, {"action": "switch_off", **chosen})
        assert not row().enabled
        assert not row(EVERY_MODEL).enabled
        browser.post(LIST, {"action": "switch_on", **chosen})
        assert row().enabled
        assert RetrainPolicy.objects.get().scheduled_interval == timedelta(days=7)
