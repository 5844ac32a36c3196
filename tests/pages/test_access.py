"""Who may open what: every page, for each of the people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from mlops_site.core.admin import TeamAdmin
from mlops_site.core.beats import interval_of
from mlops_site.core.permissions import Actor
from monitoring.selectors.policies import RETRAINING
from tests.factories import Scene

LogIn = Callable[[Actor], Client]


def pages(site: Scene) -> dict[str, str]:
    """The address of each page that is about something of the team."""
    name, number = site.model.name, site.staged.number
    return {
        "model": reverse("model", args=[name]),
        "compare": reverse("compare", args=[name]),
        "version": reverse("version", args=[name, number]),
        "trend": reverse("trend", args=[name]),
        "card": reverse("version_card", args=[name, number]),
        "edit": reverse("model_edit", args=[name]),
        "run": reverse("run", args=[site.run.pk]),
        "progress": reverse("run_progress", args=[site.working.pk]),
        "cancel": reverse("run_cancel", args=[site.working.pk]),
        **of_data(site),
        "skew": reverse("skew", args=[name]),
        "schedule": reverse("monitoring_schedule", args=[name]),
        "past": reverse("backfill", args=[name]),
        "drift_alarm": reverse("drift_alarm", args=[name]),
        "limits": reverse("quality_limits", args=[name]),
        "retention": reverse("retention", args=[name]),
        "approval": reverse("admin:registry_promotionrequest_change", args=[site.request.pk]),
        "monitoring": reverse("monitoring", args=[name]),
        "timeline": reverse("timeline", args=[name]),
        "explanations": reverse("explanations", args=[name, number]),
        "prediction": reverse("prediction", args=[site.prediction.pk]),
        "report": reverse("report", args=[site.alert.report_id]),
        "batch": reverse("batch", args=[site.batch.pk]),
        "batch_cancel": reverse("batch_cancel", args=[site.batch.pk]),
        "alert": reverse("alert", args=[site.alert.pk]),
        "alert_rules": reverse("alert_rules", args=[name]),
        "alert_rule": reverse("alert_rule", args=[name, "drift"]),
        "channel": reverse("channel", args=[site.others["channel"].pk]),
        "channel_log": reverse("channel_log", args=[site.others["channel"].pk]),
        "channel_change": reverse("channel_change", args=[site.others["channel"].pk]),
        "channel_delete": reverse("channel_delete", args=[site.others["channel"].pk]),
        "rollback": reverse("rollback", args=[name]),
        "policy": reverse("policy", args=[name]),
        "move": reverse("version_move", args=[name, number]),
        "request": reverse("version_request", args=[name, number]),
        "incident": reverse("incident", args=[site.incident.pk]),
        "tag": reverse("model_tag", args=[name]),
        "alias": reverse("alias", args=[name]),
        "protection": reverse("alias_protection", args=[name]),
        "archive": reverse("model_archive", args=[name]),
        "handover": reverse("model_transfer", args=[name]),
        "version_tag": reverse("version_tag", args=[name, number]),
        "describe": reverse("version_describe", args=[name, number]),
        "deprecate": reverse("version_deprecate", args=[name, number]),
    }


def of_data(site: Scene) -> dict[str, str]:
    """The same of its data sets, their source and its feature sets."""
    return {
        "dataset": reverse("dataset", args=[site.dataset]),
        "dataset_diff": reverse("dataset_diff", args=[site.dataset]),
        "keeping": reverse("dataset_keeping", args=[site.dataset.dataset.name]),
        "erase": reverse("dataset_erase", args=[site.dataset]),
        "source": reverse("source", args=[site.others["source"]]),
        "source_edit": reverse("source_edit", args=[site.others["source"]]),
        "source_fetch": reverse("source_fetch", args=[site.others["source"]]),
        "gates": reverse("dataset_gates", args=[site.dataset]),
        "check": reverse("dataset_check", args=[site.dataset]),
        "expectations": reverse("expectations", args=[site.dataset.dataset.name]),
        "infer": reverse("expectations_infer", args=[site.dataset.dataset.name]),
        "expect": reverse("expectations_edit", args=[site.dataset.dataset.name]),
        "waive": reverse("waiver_new", args=[site.dataset.dataset.name]),
        "feature_set": reverse("feature_set", args=[site.others["feature_set"]]),
        "feature_load": reverse("feature_load", args=[site.others["feature_set"]]),
    }


LISTS = [
    "home",
    "models",
    "versions",
    "runs",
    "datasets",
    "sources",
    "feature_sets",
    "alerts",
    "silences",
    "channels",
    "inbox",
    "inbox_settings",
    "reports",
    "inventory",
    "period_report",
    "predictions",
    "batches",
    "experiments",
    "queue",
    "admin:registry_promotionrequest_changelist",
    "admin:monitoring_prediction_changelist",
    "admin:monitoring_alert_changelist",
    "admin:core_delivery_changelist",
    "admin:monitoring_channel_changelist",
]


# each form and who of the scene may send it
FORMS = {
    "check": {"author", "scientist"},
    "infer": {"author"},
    "expect": {"author"},
    "waive": {"approver"},
    "rollback": {"approver"},
    "policy": {"approver", "author"},
    "edit": {"approver", "author"},
    "feature_load": {"author", "scientist"},
    "move": {"author"},
    "request": {"author", "scientist"},
    "tag": {"author", "scientist", "approver"},
    "alias": {"author", "scientist", "approver"},
    "protection": {"approver"},
    "archive": {"author", "approver"},
    "handover": {"author", "admin"},
    "version_tag": {"author", "scientist", "approver"},
    "describe": {"author", "scientist", "approver"},
    "deprecate": {"author", "approver"},
    "keeping": {"author", "approver"},
    "retention": {"author", "approver"},
    "erase": {"author"},
    "source_edit": {"author"},
    "source_fetch": {"author", "scientist"},
    "channel_change": {"author"},
    "channel_delete": {"author"},
}


def test_nobody_sees_anything_before_logging_in(site: Scene, client: Client) -> None:
    for path in [
        *pages(site).values(),
        *map(reverse, LISTS),
        reverse("run_new"),
        reverse("dataset_new"),
        reverse("dataset_register"),
        reverse("source_new"),
        reverse("feature_set_new"),
        reverse("training_set_new"),
        reverse("model_new"),
    ]:
        for answer in (client.get(path), client.post(path)):
            assert answer.status_code == 302, path
            assert answer["Location"].startswith(reverse("admin:login")), path


def test_what_belongs_to_another_team_does_not_exist(site: Scene, as_: LogIn) -> None:
    outsider = as_(site.outsider)
    for name, path in pages(site).items():
        assert outsider.get(path).status_code == 404 or name == "approval", name
        assert outsider.post(path).status_code in (404, 405), name
    assert outsider.get(pages(site)["approval"]).status_code == 404


def test_lists_of_an_outsider_do_not_name_the_team_or_its_models(site: Scene, as_: LogIn) -> None:
    outsider = as_(site.outsider)
    for name in LISTS:
        answer = outsider.get(reverse(name))
        assert answer.status_code == 200, name
        assert site.model.name not in answer.content.decode(), name


def test_a_reader_opens_every_page_that_only_shows(site: Scene, as_: LogIn) -> None:
    auditor = as_(site.auditor)
    shown = [path for name, path in pages(site).items() if name not in FORMS]
    for path in [*shown, *map(reverse, LISTS), reverse("admin:core_auditrecord_changelist")]:
        assert auditor.get(path).status_code == 200, path


@pytest.mark.parametrize(("page", "allowed"), FORMS.items())
def test_forms_are_for_those_who_may_send_them(site: Scene, as_: LogIn, page: str, allowed: set[str]) -> None:
    for role in ("author", "scientist", "approver", "auditor", "admin"):
        status = as_(getattr(site, role)).get(pages(site)[page]).status_code
        assert status == (200 if role in allowed else 403), role


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("run_new", {"author", "scientist"}),
        ("dataset_new", {"author", "scientist"}),
        ("dataset_register", {"author", "scientist"}),
        ("source_new", {"author"}),
        ("feature_set_new", {"author", "scientist"}),
        ("training_set_new", {"author", "scientist"}),
        ("model_new", {"author"}),
    ],
)
def test_new_things_are_made_by_those_who_may(site: Scene, as_: LogIn, name: str, allowed: set[str]) -> None:
    for role in ("author", "scientist", "approver", "auditor", "admin"):
        status = as_(getattr(site, role)).get(reverse(name)).status_code
        assert status == (200 if role in allowed else 403), role


def test_only_an_auditor_reads_the_chain_and_only_an_admin_the_people(site: Scene, as_: LogIn) -> None:
    for role in ("author", "scientist", "approver", "auditor", "admin", "outsider"):
        client = as_(getattr(site, role))
        audit = client.get(reverse("admin:core_auditrecord_changelist")).status_code
        people = client.get(reverse("admin:core_membership_changelist")).status_code
        assert (audit, people) == (200 if role == "auditor" else 403, 200 if role == "admin" else 403), role


def test_is_superuser_grants_nothing(site: Scene, as_: LogIn) -> None:
    user = site.outsider.user
    assert user is not None
    user.is_superuser = True
    user.save(update_fields=["is_superuser"])
    client = as_(site.outsider)
    assert client.get(pages(site)["model"]).status_code == 404
    assert client.get(reverse("admin:core_membership_changelist")).status_code == 403
    assert client.get("/admin/auth/group/").status_code == 404
    assert client.get("/admin/django_celery_beat/crontabschedule/").status_code == 404
    assert client.get("/admin/django_celery_beat/periodictask/add/").status_code == 403
    row = PeriodicTask.objects.create(name=f"{RETRAINING}{site.model.name}", interval=interval_of(timedelta(days=7)))
    listed = "/admin/django_celery_beat/periodictask/"
    assert row.name not in client.get(listed).content.decode()
    assert row.name in as_(site.author).get(listed).content.decode()


def test_every_table_of_the_admin_goes_by_our_permissions() -> None:
    strangers = [model.__name__ for model, page in admin.site._registry.items() if not isinstance(page, TeamAdmin)]
    assert not strangers


def test_no_table_of_the_admin_can_be_changed_or_deleted_from(site: Scene, as_: LogIn) -> None:
    client = as_(site.approver)
    for view in ("delete",):
        path = reverse(f"admin:registry_promotionrequest_{view}", args=[site.request.pk])
        assert client.post(path).status_code in (403, 405), view
    assert client.post(reverse("admin:registry_promotionrequest_add")).status_code == 403


def test_the_admins_index_and_log_in_lead_home(site: Scene, as_: LogIn) -> None:
    client = as_(site.author)
    for path in ("/admin/", "/admin/core/", "/admin/registry/"):
        assert client.get(path)["Location"] == "/"
    assert client.get(reverse("admin:login"), follow=True).redirect_chain[-1][0] == "/"
