"""Files made to run code, read files or take the site down: nothing of them runs, each is refused with a reason, and
web and worker serve on.

They go through the real endpoint of a real web process, whose inspections run in their children; and past it, planted
as versions by somebody who can write rows, into the load paths of the web process, of the worker and of a job's child.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests
from onnx import helper, numpy_helper

from mlops_site.core import store
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from mlops_site.core.tasks import execute_job
from registry import services
from registry.artifacts.engines import open_scorer
from registry.artifacts.signature import Signature
from registry.models import Artifact, RegisteredModel, Version
from tests.jobsapp.models import Chore, Errand
from tests.people import actor, bearer
from tests.processes import ROOT, Process, free_port, listens
from tests.registry import hostile
from tests.registry.hostile import graphs
from tests.registry.parts import SIGNATURE, artifact, candidate, user

ENV = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONWARNINGS": "ignore", "LOG_LEVEL": "INFO"}
ROW = {"age": 50, "visits": 3}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """Whatever runs writes it."""
    return tmp_path / "executed"


def built(name: str, marker: Path) -> bytes:
    return hostile.FILES[name][0](marker)


@pytest.mark.parametrize("name", hostile.CARRIES_CODE)
def test_the_gadgets_work_where_somebody_does_unpickle(name: str, marker: Path) -> None:
    content = built(name, marker)
    code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
    subprocess.run([sys.executable, "-c", code], input=content, check=True, capture_output=True)
    assert marker.exists(), "a gadget that does nothing would show nothing"


@pytest.mark.parametrize("name", hostile.FILES)
def test_a_load_refuses_it_and_stays_whole(name: str, marker: Path) -> None:
    """In a process of its own, for it might fall. There an alarm ends what does not end."""
    content, (out, into) = built(name, marker), os.pipe()
    if (pid := os.fork()) == 0:
        os.write(into, _loaded(content, hostile.form_of(name)).encode())
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as answers:
        said = answers.read().decode()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert said.startswith("refused"), said
    assert not marker.exists()


def _loaded(content: bytes, form: Any) -> str:
    signal.alarm(60)
    try:
        open_scorer(content, form, Signature.from_json(SIGNATURE))
    except Invalid as error:
        return f"refused {error.code}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "loaded"


class Site:
    """A web process and a worker as supervisord.conf starts them."""

    def __init__(self, processes: Callable[..., Process], tmp_path: Path, headers: dict[str, str]) -> None:
        self.address, self.headers = f"http://127.0.0.1:{(port := free_port())}", headers
        one = {**ENV, "PORT": str(port), "WEB_PROCESSES": "1", "WEB_THREADS": "4", "WORKER_CONCURRENCY": "1"}
        start = [ROOT / "deploy" / "start"]
        log = tmp_path / "worker.log"
        self.web = processes([*start, "web"], env=one, log=tmp_path / "web.log", ready=lambda: listens(port))
        self.worker = processes([*start, "worker"], env=one, log=log, ready=lambda: " ready." in log.read_text())
        self.pids = self.running()

    def running(self) -> dict[str, list[int]]:
        """gunicorn's and Celery's own processes, without the children that do one inspection or job."""
        found = {}
        for name, process in (("web", self.web), ("worker", self.worker)):
            family = psutil.Process(process.pid).children(recursive=True)
            lasting = [
                part for part in family if any(word in " ".join(_command(part)) for word in ("gunicorn", "celery"))
            ]
            found[name] = sorted([process.pid, *(part.pid for part in lasting)])
        return found

    def upload(self, name: str, content: bytes) -> requests.Response:
        files = {"artifact": (name, content)}
        path = f"{self.address}/api/v1/models/claims/versions"
        return requests.post(path, files=files, headers=self.headers, timeout=180)

    def predict(self, number: str) -> requests.Response:
        path = f"{self.address}/api/v1/models/claims/predict"
        body = {"version": number, "features": ROW, "dry_run": True}
        return requests.post(path, json=body, headers=self.headers, timeout=180)

    def check_alive(self, name: str) -> None:
        assert self.running() == self.pids, f"a process was lost or replaced after {name}"
        assert requests.get(f"{self.address}/livez", timeout=10).status_code == 200, name
        assert self.predict("1.0.0").status_code == 200, f"the good version must serve on after {name}"


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@pytest.fixture
def author(transactional_db: None) -> Actor:
    return actor("author", "ml_engineer")


@pytest.fixture
def model(author: Actor) -> RegisteredModel:
    return services.create_model(actor=author, name="claims", task_type="classification")


@pytest.fixture
def site(model: RegisteredModel, author: Actor, processes: Callable[..., Process], tmp_path: Path) -> Site:
    """With 1.0.0, which is good, in staging, where a caller may pin it."""
    staged(model, author, artifact(), "skops")
    return Site(processes, tmp_path, bearer(user(author)))


def staged(model: RegisteredModel, author: Actor, content: bytes, form: str) -> Version:
    """A version that nobody inspected, as somebody makes it who can write rows."""
    made = candidate(artifact_bytes=content, format=form, onnx_bytes=None)
    version = services.register_version(model, actor=author, candidate=made)
    services.move_stage(version, actor=author, target_stage="staging", reason="planted")
    return version


def ended(job: Any) -> Any:
    deadline = time.monotonic() + 180
    while (found := type(job).objects.get(pk=job.pk)).state not in (JobState.SUCCEEDED, JobState.FAILED):
        assert time.monotonic() < deadline, f"{job} did not end: {found.state}, {found.error}"
        time.sleep(0.05)
    return found


ONE_OF_EACH = list({code: name for name, (_, code) in hostile.FILES.items()}.values())
"""A file for each reason to refuse one. Each file there is goes through the same load in a process of its own above."""


def ring(job: Any) -> Any:
    execute_job.delay(str(job.pk))
    return job


@pytest.mark.postgres
@pytest.mark.broker
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "names", [ONE_OF_EACH, pytest.param([*hostile.FILES], marks=pytest.mark.slow)], ids=["one of each", "all"]
)
def test_nothing_runs_everything_is_refused_and_web_and_worker_serve_on(
    site: Site, model: RegisteredModel, author: Actor, marker: Path, names: list[str]
) -> None:
    assert len(hostile.FILES) >= 25
    files = {name: hostile.FILES[name] for name in names}
    site.check_alive("the good file")
    for name, (build, code) in files.items():
        answer = site.upload(name, build(marker))
        problem = answer.json()
        assert (answer.status_code, problem.get("code")) == (422, code), (name, problem)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert problem["errors"][0]["field"] == "artifact"
        assert len(problem["detail"]) > 20, name
        site.check_alive(name)
    assert (Version.objects.count(), Artifact.objects.count(), len(list(store.digests()))) == (1, 1, 1)
    chores = {}
    for name, (build, _) in files.items():
        content, form = build(marker), hostile.form_of(name)
        version = staged(model, author, content, form)
        answer = site.predict(version.number)
        assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json"), name
        site.check_alive(f"{name}, planted")
        chores[name] = ring(Chore.objects.create(orders=[f"load {form} {version.artifact_id}"]))
    for name, chore in chores.items():
        found = ended(chore)
        assert (found.state, found.attempt) == (JobState.FAILED, 1), (name, found.error)
        assert found.error, name
    version = Version.objects.get(major=1, minor=0, patch=1)
    assert ended(ring(Errand.objects.create(orders=[f"load skops {version.artifact_id}"]))).state == JobState.FAILED
    assert ended(ring(Errand.objects.create(orders=["succeed after all of them"]))).state == JobState.SUCCEEDED
    site.check_alive("all of them")
    assert not marker.exists(), "something was executed"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_large_upload_is_never_whole_in_the_web_process(site: Site, author: Actor) -> None:
    services.create_model(actor=author, name="costs", task_type="regression")
    content = large_graph(90 << 20)
    (worker,) = psutil.Process(site.web.pid).children()
    site.upload("warm-up.onnx", b"\x08")
    before, peak, done = worker.memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, worker.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    path = f"{site.address}/api/v1/models/costs/versions"
    answer = requests.post(path, files={"artifact": ("large.onnx", content)}, headers=site.headers, timeout=180)
    done.set()
    watcher.join()
    assert answer.status_code == 201, answer.text
    assert answer.json()["artifact"]["size"] == len(content)
    assert peak - before < 40 << 20, f"{(peak - before) >> 20} MB for an upload of 90 MB"


def large_graph(size: int) -> bytes:
    ballast = numpy_helper.from_array(np.ones(size // 4, np.float32), "ballast")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["flat"]),
        helper.make_node("ReduceMax", ["ballast"], ["most"], keepdims=0),
        helper.make_node("Add", ["flat", "most"], ["y"]),
    ]
    weights = graphs.constant("w", [[1.0], [1.0]], np.float32)
    return bytes(graphs.graph(*nodes, initializers=[ballast, weights]).SerializeToString())
