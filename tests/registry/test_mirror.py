"""A real MLflow server has every version and the alias `production`; its outage loses and blocks nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.db.models.functions import Now
from django.test import Client
from mlflow import MlflowClient
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier

from mlops_site.core import mlflow, store
from mlops_site.core.permissions import Actor
from registry import pipeline, selectors, services
from registry.artifacts.formats import dump_skops
from registry.artifacts.scorer import load
from registry.models import MirrorChange, MirroredVersion, RegisteredModel, Version
from registry.services.mirror import hurry, note_missing
from tests import servers
from tests.processes import free_port
from tests.registry.http import Person
from tests.registry.parts import artifact, candidate, into_production
from training import tasks

pytestmark = pytest.mark.django_db
DOWN = "http://steward:secret@127.0.0.1:9"
ROWS = pd.DataFrame({"age": [31.0, 55.5, 62.0], "visits": [0.0, 3.0, 9.0]})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.mlflow(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    """MLflow warns while it is imported and used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def client(server: str, settings: Any) -> MlflowClient:
    """A client of the server, which is the one that Steward knows."""
    settings.MLFLOW_TRACKING_URI = server
    return MlflowClient(tracking_uri=server)


@pytest.fixture
def model(author: Actor, request: pytest.FixtureRequest) -> RegisteredModel:
    """Of a name of its own: the server keeps what tests told it."""
    name = request.node.name.removeprefix("test_").split("[")[0][:60]
    return services.create_model(actor=author, name=name, task_type="classification", description="Which?")


def alias(client: MlflowClient, model: RegisteredModel) -> str:
    return str(client.get_model_version_by_alias(model.name, "production").version)


def tags(client: MlflowClient, version: Version) -> dict[str, str]:
    number = MirroredVersion.objects.get(version=version).number
    return dict(client.get_model_version(version.model.name, str(number)).tags)


def test_what_serves_is_loaded_with_mlflow_and_answers_the_same(
    client: MlflowClient, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"age": random.normal(50, 10, 300), "visits": random.poisson(3, 300).astype(float)})
    forest = RandomForestClassifier(20, random_state=0).fit(frame, (frame["age"] > 55).astype(int))
    parts = {"artifact_bytes": dump_skops(forest)}
    version = into_production(model, author=author, approver=approver, seed=0, **parts)
    assert pipeline.catch_up() == 3  # registered, to staging, to production
    import mlflow as theirs
    from mlflow import sklearn as flavour

    theirs.set_tracking_uri(client.tracking_uri)
    loaded = flavour.load_model(f"models:/{model.name}@production")
    scorer = load(version.artifact_id, "skops", version.signature)
    rows: Any = frame.to_dict("records")
    np.testing.assert_array_equal(loaded.predict_proba(frame)[:, 1], scorer.score(scorer.check_rows(rows)).score)
    found = tags(client, version)
    assert (found["steward.version"], found["steward.stage"]) == ("1.0.0", "production")
    assert (found["steward.digest"], found["steward.approved_by"]) == (version.artifact_id, "approver")
    assert found["steward.request"] == str(version.requests.get().pk)
    assert client.get_registered_model(model.name).tags["steward.team"] == "claims"


def test_a_promotion_moves_the_alias_and_a_rollback_moves_it_back(
    client: MlflowClient, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    first = into_production(model, author=author, approver=approver, seed=1)
    second = into_production(model, author=author, approver=approver, seed=2)
    pipeline.catch_up()
    assert (alias(client, model), tags(client, first)["steward.stage"]) == ("2", "archived")
    services.rollback(model, actor=approver, reason="worse")
    pipeline.catch_up()
    assert (alias(client, model), tags(client, first)["steward.stage"]) == ("1", "production")
    assert tags(client, second)["steward.stage"] == "staging"
    assert not MirrorChange.objects.exists()


def test_the_answer_about_a_version_names_mlflows(
    client: MlflowClient, model: RegisteredModel, author: Actor, server: str
) -> None:
    services.register_version(model, actor=author, candidate=candidate(3))
    engineer = Person(author)
    assert engineer.get(f"/models/{model.name}/1.0.0")[1]["mlflow"] == {}
    assert engineer.get("/mlflow")[1]["waiting"] == 1
    pipeline.catch_up()
    said = engineer.get(f"/models/{model.name}/1.0.0")[1]["mlflow"]
    assert said["version"] == "1"
    assert said["url"] == f"{server}/#/models/{model.name}/versions/1"
    assert client.get_run(said["run_id"]).data.metrics["roc_auc"] == 0.75
    assert engineer.get("/mlflow")[1] == {"waiting": 0, "oldest_at": None, "lag_secs": 0.0, "error": ""}


def test_the_run_that_training_logged_is_the_versions_run(
    client: MlflowClient, model: RegisteredModel, author: Actor
) -> None:
    run = client.create_run(mlflow.experiment(client, model.name))
    told = {"run_id": run.info.run_id, "url": "http://run"}
    version = services.register_version(model, actor=author, candidate=candidate(4, mlflow=told))
    pipeline.catch_up()
    assert version.mirrored.run_id == run.info.run_id
    assert selectors.in_mlflow(version)["url"] == "http://run"
    lost = candidate(5, mlflow={"run_id": "0" * 32, "url": "http://gone"})
    other = services.register_version(model, actor=author, candidate=lost)
    pipeline.catch_up()
    assert selectors.in_mlflow(other)["url"] != "http://gone"


def test_a_graph_is_kept_in_the_onnx_flavour(client: MlflowClient, model: RegisteredModel, author: Actor) -> None:
    from mlflow import pyfunc

    random = np.random.default_rng(0)
    frame = pd.DataFrame({"age": random.normal(50, 10, 60), "visits": random.poisson(3, 60).astype(float)})
    fitted = RandomForestClassifier(5, random_state=0).fit(frame.to_numpy(), (frame["age"] > 50).astype(int))
    kinds = [("inputs", FloatTensorType([None, 2]))]
    graph = to_onnx(fitted, initial_types=kinds, options={id(fitted): {"zipmap": False}}).SerializeToString()
    version = services.register_version(model, actor=author, candidate=candidate(artifact_bytes=graph, format="onnx"))
    pipeline.catch_up()
    import mlflow as theirs

    theirs.set_tracking_uri(client.tracking_uri)
    loaded = pyfunc.load_model(f"models:/{model.name}/{version.mirrored.number}")
    answer = loaded.predict(ROWS.to_numpy(np.float32))
    np.testing.assert_allclose(answer["probabilities"], fitted.predict_proba(ROWS.to_numpy()), atol=1e-6)


def test_a_process_killed_between_the_two_writes_leaves_one_version(
    client: MlflowClient, model: RegisteredModel, author: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = services.register_version(model, actor=author, candidate=candidate(6))

    class Killed(BaseException):
        """Not an Exception: nothing here catches it."""

    def die(*args: Any, **kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "told", die)
        with pytest.raises(Killed):
            pipeline.catch_up()
    assert MirrorChange.objects.count() == 1
    pipeline.catch_up()
    assert len(client.search_model_versions(f"name = '{model.name}'")) == 1
    assert version.mirrored.number == 1


class TestOutage:
    def test_nothing_is_blocked_or_lost_and_it_catches_up_in_order(
        self, author: Actor, approver: Actor, settings: Any, tmp_path: Path
    ) -> None:
        settings.MLFLOW_TRACKING_URI = DOWN
        made = services.create_model(actor=author, name="through_an_outage", task_type="classification")
        into_production(made, author=author, approver=approver, seed=7)
        second = into_production(made, author=author, approver=approver, seed=8)
        assert pipeline.catch_up() == 0
        lag = selectors.lag(author)
        assert lag.waiting == 7
        assert lag.oldest_at is not None
        assert "secret" not in lag.error
        assert "127.0.0.1" in lag.error
        assert pipeline.catch_up() == 0  # not due: it backs off
        assert MirrorChange.objects.exclude(attempts=0).count() == 1
        port = free_port()
        settings.MLFLOW_TRACKING_URI = f"http://127.0.0.1:{port}"
        with servers.mlflow(tmp_path, port=port) as address:
            hurry()
            assert pipeline.catch_up() == 7
            client = MlflowClient(tracking_uri=address)
            assert alias(client, made) == str(second.mirrored.number) == "2"
        assert selectors.lag(author) == (0, None, "")

    def test_the_longer_it_is_down_the_rarer_it_is_asked(self, version: Version, settings: Any) -> None:
        settings.MLFLOW_TRACKING_URI = DOWN
        waits = []
        for _ in range(7):
            MirrorChange.objects.update(next_at=Now() - timedelta(seconds=1))
            assert pipeline.catch_up() == 0
            change = MirrorChange.objects.annotate(now=Now()).get()
            waits.append(round((change.next_at - change.now).total_seconds(), -1))
        assert waits == [10, 20, 40, 80, 160, 300, 300]

    def test_the_lag_is_shown(self, version: Version, author: Actor, outsider: Actor, settings: Any) -> None:
        settings.MLFLOW_TRACKING_URI = DOWN
        MirrorChange.objects.update(created_at=Now() - timedelta(minutes=5))
        pipeline.catch_up()
        status, said = Person(author).get("/mlflow")
        assert (status, said["waiting"]) == (200, 1)
        assert said["lag_secs"] >= 300
        assert said["error"]
        assert Person(outsider).get("/mlflow")[1]["waiting"] == 0
        ready = Client().get("/readyz")
        assert (ready.status_code, ready.json()["behind"]["mlflow"] >= 300) == (200, True)
        page = Client()
        assert author.user is not None
        page.force_login(author.user, backend="django.contrib.auth.backends.ModelBackend")
        text = page.get(f"/models/{version.model.name}/{version.number}").content.decode()
        assert "MLflow is behind" in text
        assert "secret" not in text


def test_one_version_that_cannot_be_told_holds_up_its_own_model_only(
    client: MlflowClient, model: RegisteredModel, author: Actor
) -> None:
    broken = services.register_version(model, actor=author, candidate=candidate(9))
    after = services.register_version(model, actor=author, candidate=candidate(10))
    other = services.create_model(actor=author, name="beside_a_broken_one", task_type="classification")
    good = services.register_version(other, actor=author, candidate=candidate(11))
    store.delete(broken.artifact_id)
    assert pipeline.catch_up() == 1
    assert MirroredVersion.objects.filter(version=good).exists()
    assert selectors.lag(version=broken).error.startswith("NotFound")
    assert not MirroredVersion.objects.filter(version=after).exists()
    store.put(artifact(9), max_bytes=1 << 20)
    hurry()
    assert pipeline.catch_up() == 2


def test_versions_from_before_the_mirror_are_found(
    client: MlflowClient, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    version = into_production(model, author=author, approver=approver, seed=12)
    MirrorChange.objects.all().delete()
    assert note_missing() == 1
    assert note_missing() == 0
    pipeline.catch_up()
    assert alias(client, model) == str(version.mirrored.number)


def test_a_rollback_of_the_change_leaves_nothing_to_tell(model: RegisteredModel, author: Actor) -> None:
    from django.db import transaction

    class Undone(Exception):
        pass

    with pytest.raises(Undone), transaction.atomic():
        services.register_version(model, actor=author, candidate=candidate(13))
        assert MirrorChange.objects.count() == 1
        raise Undone
    assert not MirrorChange.objects.exists()


def test_two_processes_do_not_tell_at_once(model: RegisteredModel, author: Actor) -> None:
    from mlops_site.core import leases, mirror

    services.register_version(model, actor=author, candidate=candidate(14))
    assert leases.hold(mirror.LEASE, holder="somebody else", secs=60)
    assert pipeline.catch_up() == 0
    assert MirrorChange.objects.get().attempts == 0


@pytest.mark.django_db(transaction=True)
def test_the_worker_tells_it_in_a_process_of_its_own(
    client: MlflowClient, model: RegisteredModel, author: Actor, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = services.register_version(model, actor=author, candidate=candidate(15))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "mlops_site.settings")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    tasks.mirror()
    assert not MirrorChange.objects.exists()
    assert tags(client, version)["steward.version"] == "1.0.0"
