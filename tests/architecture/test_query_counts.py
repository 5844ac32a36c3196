"""Each endpoint and page that reads takes as many SQL statements as committed, however many rows there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver
from django.utils import timezone

from abtesting import services as experiments
from abtesting.models import Experiment
from mlops_site.core.models import Delivery
from mlops_site.core.permissions import Actor
from monitoring import services as monitoring
from monitoring.models import Prediction, Silence
from registry import services as registry
from tests import factories, query_counts
from tests.architecture.monitored import Monitored
from tests.factories import Scene
from tests.monitoring.parts import finding, raised
from tests.people import bearer, person
from tests.registry.parts import candidate
from tests.training import runs, sources
from tests.training.features import feature_set, known
from training import services as training
from training.models import FeatureUse
from training.selectors.features import plan_of

pytestmark = pytest.mark.django_db
TIMES = 2  # versions, and requests for them, that the scene begins with
COPIED = ("model", "version_a", "version_b", "design", "metrics", "min_samples", "created_by")
Counting = Callable[[str], AbstractContextManager[None]]


class Site(Monitored):
    """The scene, its people's clients, and every reading address in it by the name of its route."""

    def __init__(self) -> None:
        self.scene: Scene = factories.scene()
        self.experiment = experiments.create_experiment(
            actor=self.scene.scientist,
            model_name=self.scene.model.name,
            version_a=self.scene.served.number,
            version_b=self.scene.staged.number,
            metrics=["recall"],
            design="shadow",
        )
        self.test = monitoring.try_channel(self.scene.others["channel"], actor=self.scene.author)
        self.fetch = self.scene.others["source"].fetches.get()
        self.second = runs.dataset_version(self.scene.scientist, rows=320)  # of the scene's data set
        self.history = self.scene.others["feature_set"]
        FeatureUse.objects.create(version=self.scene.served, feature_set=self.history)
        plan_of.cache_clear()  # what a version reads is kept from the first time that it is asked for
        self.reproduction = runs.reproduced_run(self.scene.scientist, self.scene.run)
        pair = (self.scene.dataset, self.second)
        self.comparison = training.request_comparison(*pair, actor=self.scene.author, keys=["person"])
        training.infer_expectations(self.scene.dataset, actor=self.scene.author)
        self._waive("schema_range")
        self.silence = self._silence("volume", "")
        self.note = runs.noted(self.scene.scientist, self.scene.run)
        self.machine = Client(headers=bearer(person("claims-app", "service", team=factories.TEAM)))
        self.engineer = self._api(self.scene.author.user)
        self.auditor = self._api(self.scene.auditor.user)
        people = (self.scene.author, self.scene.auditor, self.scene.approver)
        self.browser, self.auditors_browser, self.approvers_browser = map(self._browser, people)

    def _silence(self, rule: str, subject: str) -> Silence:
        model, by = self.scene.model, self.scene.author
        return monitoring.silence(model, actor=by, reason="It is known.", hours=9, rule=rule, subject=subject)

    def _waive(self, check: str) -> None:
        until = timezone.now().date() + timedelta(days=9)
        data, by = self.scene.dataset.dataset, self.scene.approver
        training.waive_check(data, actor=by, check=check, reason="It is being mended.", until=until)

    def _api(self, user: Any) -> Client:
        return Client(headers=bearer(user))

    def _browser(self, who: Actor) -> Client:
        assert who.user is not None
        browser = Client()
        browser.force_login(who.user, backend="django.contrib.auth.backends.ModelBackend")
        return browser

    def api(self) -> dict[str, str]:
        scene = self.scene
        one, two, model = scene.served.number, scene.staged.number, f"models/{scene.model.name}"
        days = f"from={timezone.now():%Y-%m-%d}&to={timezone.now():%Y-%m-%d}"
        return {
            "models": "models",
            "models/<model:name>": model,
            "models/<model:name>/schema": f"{model}/schema",
            "models/<model:name>/consumers": f"{model}/consumers",
            "models/<model:name>/compare/<version:v1>/<version:v2>": f"{model}/compare/{one}/{two}",
            "models/<model:name>/compare": f"{model}/compare?versions={one},{two}",
            "models/<model:name>/metrics": f"{model}/metrics",
            "models/<model:name>/versions": f"{model}/versions",
            "models/<model:name>/<version:version>": f"{model}/{one}",
            "incidents": "incidents",
            "incidents/<int:pk>": f"incidents/{scene.incident.pk}",
            "models/<model:name>/aliases": f"{model}/aliases",
            "versions": "versions?facets=true",
            "transfers": "transfers",
            "transfers/<int:pk>": f"transfers/{scene.transfer.pk}",
            "models/<model:name>/<version:version>/card": f"{model}/{one}/card",
            "models/<model:name>/<version:version>/card.md": f"{model}/{one}/card.md",
            "models/<model:name>/<version:version>/evidence": f"{model}/{one}/evidence",
            "inventory": "inventory",
            "inventory.csv": "inventory.csv",
            "period-report": f"period-report?{days}",
            "period-report.csv": f"period-report.csv?{days}",
            "models/<model:name>/<version:version>/reports": f"{model}/{two}/reports",
            "validation-reports/<int:pk>": f"validation-reports/{scene.others['report'].pk}",
            "conditions": "conditions",
            "delegations": "delegations",
            "models/<model:name>/<version:version>/explanations": f"{model}/{one}/explanations",
            "mlflow": "mlflow",
            "approvals": "approvals",
            "approvals/<int:pk>": f"approvals/{scene.request.pk}",
            **self.training(),
            **self.data(),
            **self.features(),
            **self.settings(),
            "jobs/<uuid:job_id>": f"jobs/{scene.run.pk}",
            **self.alerts(),
            **self.channels(),
            "monitoring/reports": "monitoring/reports",
            "monitoring/reports/<uuid:pk>": f"monitoring/reports/{scene.alert.report_id}",
            **self.exports(),
            **self.experiments(),
            "scoring": "scoring",
            "scoring/<uuid:pk>": f"scoring/{scene.batch.pk}",
            "scoring/<uuid:pk>/result": f"scoring/{scene.batch.pk}/result",
        }

    def data(self) -> dict[str, str]:
        name, one = self.scene.dataset.dataset.name, f"datasets/{self.scene.dataset.dataset.name}/1"
        return {
            "datasets": "datasets",
            "datasets/<str:name>/<int:version>": one,
            "datasets/<str:name>/<int:version>/gates": f"{one}/gates",
            "datasets/<str:name>/expectations": f"datasets/{name}/expectations",
            "datasets/<str:name>/waivers": f"datasets/{name}/waivers",
            "datasets/<str:name>/keeping": f"datasets/{name}/keeping",
            "datasets/<str:name>/<int:version>/profile": f"{one}/profile",
            "datasets/<str:name>/<int:version>/lineage": f"{one}/lineage",
            "datasets/<str:name>/<int:v1>/diff/<int:v2>": f"{one}/diff/2",
            "models/<model:name>/<version:version>/lineage": f"models/{self.scene.model.name}/1.1.0/lineage",
            "sources": "sources",
            "sources/<str:name>": "sources/warehouse",
            "sources/<str:name>/fetches": "sources/warehouse/fetches",
            "fetches/<uuid:job_id>": f"fetches/{self.fetch.pk}",
            "comparisons/<uuid:job_id>": f"comparisons/{self.comparison.pk}",
        }

    def experiments(self) -> dict[str, str]:
        pk = self.experiment.pk
        return {
            "ab-testing": "ab-testing?status=all",
            "ab-testing/<int:test>": f"ab-testing/{pk}",
            "ab-testing/results/<int:test>": f"ab-testing/results/{pk}",
        }

    def features(self) -> dict[str, str]:
        return {
            "feature-sets": "feature-sets",
            "feature-sets/<str:reference>": f"feature-sets/{self.history}",
            "feature-sets/<str:reference>/values": f"feature-sets/{self.history}/values?unit_id=p1,p2",
            "monitoring/skew/<model:model>": f"monitoring/skew/{self.scene.model.name}",
            "models/<model:name>/drift-alarm": f"models/{self.scene.model.name}/drift-alarm",
        }

    def feature_pages(self) -> dict[str, str]:
        return {
            "feature sets": "/features",
            "feature set": f"/features/{self.history}?unit=p1",
            "skew": f"/models/{self.scene.model.name}/skew",
            "drift_alarm": f"/models/{self.scene.model.name}/drift-alarm",
            "limits": f"/models/{self.scene.model.name}/limits",
        }

    def training(self) -> dict[str, str]:
        run, data = self.scene.run.pk, self.scene.dataset
        return {
            "training/status/<uuid:job_id>": f"training/status/{run}",
            "training/gates/<uuid:job_id>": f"training/gates/{run}",
            "training/reproduce/<uuid:job_id>": f"training/reproduce/{run}",
            "training/reproductions/<uuid:job_id>": f"training/reproductions/{self.reproduction.pk}",
            "training/runs": "training/runs",
            "training/runs/<uuid:job_id>/notes": f"training/runs/{run}/notes",
            "training/figures/<int:pk>": f"training/figures/{self.note.pk}",
            "training/compare": f"training/compare?runs={run},{self.scene.working.pk}",
            "datasets/<str:name>/<int:version>/download": f"datasets/{data.dataset.name}/{data.version}/download",
            "teams/<str:team>/retrain-policy": f"teams/{self.scene.model.team.name}/retrain-policy",
            "monitoring/retrain-decisions": "monitoring/retrain-decisions",
        }

    def pages(self) -> dict[str, str]:
        scene = self.scene
        model, run = f"/models/{scene.model.name}", scene.working.pk
        asked = Prediction.objects.filter(version=scene.served, epoch=None).order_by("-predicted_at")[:1]
        return {
            "home": "/",
            **self.feature_pages(),
            "models": "/models",
            "model": model,
            "version": f"{model}/{scene.served.number}",
            "compare": f"{model}/compare?v1={scene.served.number}&v2={scene.staged.number}",
            "trend": f"{model}/metrics",
            "version card": f"{model}/{scene.served.number}/card",
            "inventory": "/inventory",
            "period report": "/period-report",
            "incident": f"/incidents/{scene.incident.pk}",
            "incidents": "/incidents",
            "versions": "/versions?search=o",
            "transfer": f"/transfers/{scene.transfer.pk}",
            "runs": "/runs",
            "run": f"/runs/{run}",
            "run_progress": f"/runs/{run}/progress",
            **self.records(),
            **self.data_pages(),
            **self.monitoring_pages(),
            **self.alert_pages(),
            **self.channel_pages(),
            "timeline": f"{model}/timeline",
            "explanations": f"{model}/{scene.served.number}/explanations",
            "predictions": f"/predictions?q={asked[0].request_id}",
            "prediction": f"/predictions/{asked[0].pk}",
            "reports": "/reports",
            "report": f"/reports/{scene.alert.report_id}",
            "scoring": "/scoring",
            "scoring run": f"/scoring/{scene.batch.pk}",
            "admin alerts": "/admin/monitoring/alert/",
            "experiments": "/experiments",
            "experiment": f"/experiments/{self.experiment.pk}",
            "experiment live": f"/experiments/{self.experiment.pk}/live",
            "experiment choose": "/experiments/new",
            "experiment new": f"/experiments/new/{scene.model.name}",
            "admin experiments": "/admin/abtesting/experiment/",
            "admin schedules": "/admin/django_celery_beat/periodictask/",
            "retraining": f"{model}/retraining",
            "retraining decisions": "/retraining",
            "retraining of a team": f"/retraining/teams/{scene.model.team.name}",
            "queue": "/approvals",
            "admin approvals": "/admin/registry/promotionrequest/",
            "admin predictions": "/admin/monitoring/prediction/",
        }

    def data_pages(self) -> dict[str, str]:
        return {
            "datasets": "/datasets",
            "dataset": f"/datasets/{self.scene.dataset}",
            "dataset diff": f"/datasets/{self.second}/diff",
            "comparison_progress": f"/comparisons/{self.comparison.pk}/progress",
            "data set gates": f"/datasets/{self.scene.dataset}/gates",
            "expectations": f"/expectations/{self.scene.dataset.dataset.name}",
            "sources": "/sources",
            "source": "/sources/warehouse",
        }

    def records(self) -> dict[str, str]:
        done, data = self.scene.run.pk, self.scene.dataset
        return {
            "run_compare": f"/runs/compare?run={self.scene.working.pk}&run={done}",
            "run_figure": f"/runs/figures/{self.note.pk}",
            "run done": f"/runs/{done}",
            "dataset_download": f"/datasets/{data}/download",
        }

    def approval(self) -> str:
        return f"/admin/registry/promotionrequest/{self.scene.request.pk}/change/"

    def requests(self) -> dict[str, Callable[[], Any]]:
        """Name -> what asks it once."""
        predict = f"/api/v1/models/{self.scene.model.name}/predict"
        rows = [{"features": {"age": 50, "visits": n}} for n in range(9)]
        served = Prediction.objects.filter(version=self.scene.served).order_by("predicted_at")
        ids = ",".join(str(pk) for pk in served.values_list("pk", flat=True)[:9])
        one = f"/api/v1/models/{self.scene.model.name}/{self.scene.served.number}"
        nine = f"{one}/explanations?prediction_ids={ids}"
        ask = partial(self.machine.post, predict, content_type="application/json")
        short = [{"features": {"age": 50 + n}, "unit_id": "p1"} for n in range(9)]
        return {
            "GET /audit": partial(self.auditor.get, "/api/v1/audit"),
            "page admin audit": partial(self.auditors_browser.get, "/admin/core/auditrecord/"),
            "POST /models/<model:name>/predict": partial(ask, data=rows[0]),
            "POST /models/<model:name>/predict of 9 rows": partial(ask, data={"rows": rows}),
            "POST /models/<model:name>/predict that reads a feature set": partial(ask, data=short[0]),
            "POST /models/<model:name>/predict of 9 rows that read it": partial(ask, data={"rows": short}),
            "page queue of an approver": partial(self.approvers_browser.get, "/approvals"),
            "page approval of an approver": partial(self.approvers_browser.get, self.approval()),
            "POST /models/<model:name>/predict with reasons": partial(ask, data={**rows[0], "reasons": 2}),
            "POST /models/<model:name>/predict of 9 rows with reasons": partial(ask, data={"rows": rows, "reasons": 2}),
            "GET explanations of 9 predictions": partial(self.engineer.get, nine),
            **{f"GET /{name}": partial(taken, self.engineer, f"/api/v1/{path}") for name, path in self.api().items()},
            **{f"page {name}": partial(self.browser.get, path) for name, path in self.pages().items()},
        }

    def grow(self) -> None:
        """Ten times as much of everything that lists show."""
        scene = self.scene
        for n in range(9 * TIMES):
            parts = candidate(1, params={"C": 100.0 + n})  # without a holdout: none has to be compared
            version = registry.register_version(scene.model, actor=scene.author, candidate=parts)
            registry.move_stage(version, actor=scene.author, target_stage="staging", reason="another")
            registry.request_promotion(version, actor=scene.author, reason="another")
            registry.attach_report(version, actor=scene.author, name="a.txt", content=BytesIO(b"%d" % n))
            registry.set_tag(version, actor=scene.author, key="site", value=str(n))
            registry.set_tag(scene.model, actor=scene.author, key=f"site-{n}")
            registry.set_alias(scene.model, actor=scene.author, alias=f"alias-{n}", version=version)
            registry.open_incident(version, kind="rolled_back", what="Another.", actor=scene.approver)
        for n in range(9):
            self.grow_features(n)
            runs.reproduced_run(scene.scientist, scene.run)
            registry.create_model(actor=scene.author, name=f"another_{n}", task_type="regression")
            dataset = runs.dataset_version(scene.scientist, name=f"another_{n}", rows=60)
            runs.queued_run(scene.scientist, scene.model, dataset)
            runs.queued_run(scene.scientist, scene.model, dataset)
            factories.scored(scene.served, scene.author, f"age,visits\n{n},1\n")
            self.grow_experiments(n)
            sources.look(sources.source(scene.author, dataset, name=f"another_{n}"), dataset, scene.run)
            sources.look(self.fetch.source, scene.dataset, scene.run)
        for check in ("schema_kind", "schema_missing", "schema_nulls", "schema_levels", "target_copy"):
            self._waive(check)
        document: dict[str, Any] = {"columns": {}}
        for n in range(9):
            document["rows"] = {"min": n + 1, "severity": "warn"}
            training.set_expectations(scene.dataset.dataset, actor=scene.author, document=document, comment="another")
            training.check_dataset(scene.dataset, actor=scene.author)
        raised(scene.served, *(finding("quality", f"feature {n}") for n in range(9)))
        for n in range(9):
            self._silence("quality", f"feature {n}")
            monitoring.comment_alert(scene.alert, actor=scene.author, comment=f"remark {n}")
            rules = {"volume": {"resolve_after": n}}
            monitoring.set_alert_rules(scene.model, actor=scene.author, rules=rules)
        factories.predictions(scene.staged, 270)
        for n in range(9):
            on_call = {"name": f"another {n}", "address": "ada", "models": [scene.model.name]}
            monitoring.create_channel(actor=scene.author, kind="inbox", fields=on_call)
        told, tried = {"team": scene.model.team, "event": "x", "body": {}}, scene.others["channel"]
        for to, subject in (("x", scene.alert.subject), (tried.key, tried.subject)):
            Delivery.objects.bulk_create(Delivery(channel=to, subject=subject, **told) for _ in range(9))

    def grow_features(self, n: int) -> None:
        known(self.history, self.scene.scientist, "p1", {"visits": n, "plan": None}, days_ago=0.5 - n / 100)
        known(
            feature_set(self.scene.scientist, name=f"another_{n}"),
            self.scene.scientist,
            "p1",
            {"visits": n, "plan": ""},
        )
        feature_set(self.scene.scientist, freshness_secs=100 + n)

    def grow_experiments(self, n: int) -> None:
        """Another split of the one that runs, and one that has ended."""
        row, now = self.experiment, timezone.now()
        experiments.change_split(row, actor=self.scene.scientist, traffic_split=0.9 - n / 20, reason="another")
        Experiment.objects.create(
            name=f"earlier {n}", status="stopped", ending="stopped", ended_at=now, ended_by=row.created_by, salt="x",
            **{name: getattr(row, name) for name in COPIED},
        )  # fmt: skip


def answered(ask: Callable[[], Any]) -> Any:
    """The answer, read to its end where it is a stream: its statements come while it is read."""
    answer = ask()
    if answer.streaming:
        b"".join(answer)
    return answer


def taken(client: Client, path: str) -> Any:
    """The answer, a file to its end: else it would be held open."""
    answer = client.get(path)
    if answer.streaming:
        assert b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    return answer


def counted(ask: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert answered(ask).status_code == 200
    return len(query_counts.statements(queries))


def test_every_reading_endpoint_takes_as_many_statements_as_committed(count_queries: Counting) -> None:
    site, wrong = Site(), []
    for name, ask in site.requests().items():
        answer = answered(ask)  # once before, to fill what a process keeps
        assert answer.status_code == 200, f"{name}: {answer.status_code}"
        try:
            with count_queries(name):
                answered(ask)
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, "\n\n".join(wrong)


def test_ten_times_the_rows_take_as_many_statements() -> None:
    site = Site()
    before = {name: (answered(ask), counted(ask))[1] for name, ask in site.requests().items()}
    site.grow()
    after = {name: (answered(ask), counted(ask))[1] for name, ask in site.requests().items()}
    changed = {name: (before[name], count) for name, count in after.items() if count != before[name]}
    assert changed == {}


def test_no_endpoint_that_reads_is_left_out() -> None:
    api = next(p for p in get_resolver().url_patterns if str(p.pattern) == "api/v1/")
    routes = {
        str(pattern.pattern)
        for resolver in get_resolver().url_patterns
        if str(resolver.pattern) == str(api.pattern)
        for pattern in getattr(resolver, "url_patterns", [])
        if isinstance(pattern, URLPattern) and hasattr(getattr(pattern.callback, "view_class", None), "get")
    }
    assert {f"GET /{route}" for route in routes} <= set(query_counts.known())


@pytest.mark.skipif(bool(os.environ.get("REWRITE_QUERY_COUNTS")), reason="the file is being written")
class TestMechanism:
    def test_another_number_fails_and_shows_the_statements(self, count_queries: Counting) -> None:
        count_nothing = count_queries("GET /audit")
        with pytest.raises(AssertionError, match="GET /audit takes 0 statements instead of"), count_nothing:
            pass

    def test_a_new_name_must_be_written(self, count_queries: Counting) -> None:
        with pytest.raises(AssertionError, match="nothing takes 0 statements; write that"), count_queries("nothing"):
            pass
