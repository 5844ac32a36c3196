"""The ways to run the site agree: supervisord.conf, docker-compose.yml, deploy/start and the Dockerfile."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from supervisor.options import ServerOptions

from mlops_site.core.choices import Queue
from tests.processes import ROOT

WORKERS = {"worker": "default", "worker-cpu": "cpu", "worker-gpu": "gpu"}  # with WORKERS_BY_QUEUE
PROGRAMS = {"web", *WORKERS, "beat", "mlflow"}
SERVERS = {"postgres", "redis"}
NO_DOOR = {"beat", "prepare"}  # nothing to ask for their health


@pytest.fixture(scope="module")
def supervisor() -> RawConfigParser:
    parser = RawConfigParser()
    parser.read(ROOT / "supervisord.conf")
    return parser


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return parsed


def words(command: str | list[str]) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else command


def test_supervisor_and_compose_run_the_same_processes(supervisor: RawConfigParser, compose: dict[str, Any]) -> None:
    sections = {name.split(":")[1] for name in supervisor.sections() if name.startswith("program:")}
    assert sections == PROGRAMS
    assert set(compose["services"]) == PROGRAMS | SERVERS | {"prepare"}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_process_has_one_command(name: str, supervisor: RawConfigParser, compose: dict[str, Any]) -> None:
    command = words(supervisor[f"program:{name}"]["command"])
    assert words(compose["services"][name]["command"]) == command
    assert command == ["deploy/start", name]
    assert re.search(rf"^{name}\)$", (ROOT / "deploy/start").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_dead_process_is_started_again(name: str, supervisor: RawConfigParser, compose: dict[str, Any]) -> None:
    program = supervisor[f"program:{name}"]
    assert program["autorestart"] == "true"
    assert program["killasgroup"] == "true"
    assert compose["services"][name]["restart"] == "unless-stopped"


def test_supervisor_itself_reads_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").mkdir()
    monkeypatch.setenv("STEWARD_HOME", str(tmp_path))
    monkeypatch.setenv("RUN_AS", str(os.getuid()))
    monkeypatch.setenv("CPU_WORKER", "true")
    monkeypatch.setenv("GPU_WORKER", "false")
    options = ServerOptions()
    options.realize(["-c", str(ROOT / "supervisord.conf")])
    assert {group.name for group in options.process_group_configs} == PROGRAMS
    begun = {group.name: group.process_configs[0].autostart for group in options.process_group_configs}
    assert [name for name, starts in begun.items() if not starts] == ["worker-gpu"]
    assert options.logfile == str(tmp_path / "log/supervisord.log")


def started(name: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """What deploy/start does, with commands that say how they were called in the place of the real ones."""
    shutil.copytree(ROOT / "deploy", folder / "deploy", dirs_exist_ok=True)
    said = folder / ".venv/bin"
    said.mkdir(parents=True, exist_ok=True)
    for command in ("celery", "supervisord", "python"):
        (said / command).write_text('#!/bin/sh\necho "$@"; echo "cpu $CPU_WORKER gpu $GPU_WORKER"\n')
        (said / command).chmod(0o755)
    clean = {key: value for key, value in os.environ.items() if key not in ("REDIS_URL", "WORKERS_BY_QUEUE")}
    called: list[str | Path] = [folder / "deploy/start", name]
    return subprocess.run(called, env={**clean, **env}, capture_output=True, text=True, check=False)


def queues_of(command: str) -> tuple[set[str], str]:
    options = shlex.split(command)
    taken = options[options.index("--queues") + 1].split(",")
    return set(taken), options[options.index("--concurrency") + 1]


def test_a_worker_alone_takes_every_queue_and_compose_gives_each_queue_its_own(
    tmp_path: Path, compose: dict[str, Any]
) -> None:
    alone = started("worker", tmp_path, WORKER_CONCURRENCY="3").stdout
    assert queues_of(alone) == (set(Queue.values), "3")
    env = compose["services"]["worker"]["environment"]
    env = {"WORKERS_BY_QUEUE": env["WORKERS_BY_QUEUE"], "CPU_CONCURRENCY": "5", "GPU_CONCURRENCY": "1"}
    found = {name: queues_of(started(name, tmp_path, **env).stdout) for name in WORKERS}
    assert {name: taken for name, (taken, _) in found.items()} == {name: {queue} for name, queue in WORKERS.items()}
    assert (found["worker-cpu"][1], found["worker-gpu"][1]) == ("5", "1")
    assert set(WORKERS.values()) == set(Queue.values)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "cpu false gpu false"),
        ({"WORKERS_BY_QUEUE": "1"}, "cpu true gpu false"),
        ({"WORKERS_BY_QUEUE": "1", "GPU_CONCURRENCY": "2"}, "cpu true gpu true"),
    ],
)
def test_supervisor_starts_the_workers_that_are_asked_for(tmp_path: Path, env: dict[str, str], said: str) -> None:
    assert started("site", tmp_path, **env).stdout.splitlines()[-1] == said


def test_a_word_that_is_no_answer_starts_no_worker(tmp_path: Path) -> None:
    done = started("worker", tmp_path, WORKERS_BY_QUEUE="maybe")
    assert (done.returncode, done.stdout) == (2, "")
    assert "WORKERS_BY_QUEUE must be true or false but got 'maybe'" in done.stderr


def test_compose_opens_ports_on_the_loopback_only(compose: dict[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert ports["web"] == ["127.0.0.1:${PORT:-8007}:8007"]
    assert ports["mlflow"] == ["127.0.0.1:${MLFLOW_PORT:-5000}:5000"]
    assert not [name for name, opened in ports.items() if opened and name not in {"web", "mlflow"}]


def test_compose_has_no_secret_and_refuses_to_start_without_them(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("SECRET_KEY", "AUDIT_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        uses = re.findall(rf"\$\{{{name}(.)", text)
        assert uses, f"{name} must come from the environment"
        assert set(uses) == {":"}, f"{name} must be used as ${{{name}:?}}"
        assert f"{name}: ${{{name}:?" in text or f"${{{name}:?" in text


def test_compose_waits_for_healthy_servers_and_a_migrated_database(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name in PROGRAMS - {"mlflow"}:
        assert services[name]["depends_on"]["prepare"] == {"condition": "service_completed_successfully"}
    for name in ("prepare", "mlflow"):
        assert services[name]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    assert {name for name in services if "healthcheck" not in services[name]} == NO_DOOR


def test_compose_declares_the_volumes_that_it_mounts(compose: dict[str, Any]) -> None:
    mounted = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith("./")
    }
    assert mounted == set(compose["volumes"])
    assert (ROOT / "deploy/postgres-init.sql").is_file()


def test_the_image_installs_from_the_hashed_lock_and_is_not_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["steward"]
    assert any("--require-hashes -r requirements.lock" in line for line in lines)
    assert any(line.startswith("FROM python:3.11") for line in lines)


def test_an_unknown_process_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "deploy/start", "nonsense"],
        env={**os.environ, "STEWARD_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    for name in PROGRAMS | {"prepare", "site"}:
        assert name in done.stderr
