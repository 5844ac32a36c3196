"""A bad value in the environment stops the start and names the variable, its value and what was expected."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from mlops_site.core import env
from tests.processes import ROOT

KEY = "k" * 32
WEB, PLACE = "http:// or https://", "a host and port or a file"
DATABASES = "sqlite:/// or postgresql:// or postgres:// or postgresql+psycopg2://"
SERVER = {"DATABASE_URL": "postgresql://steward:pass-word@db/steward", "SECRET_KEY": KEY, "AUDIT_KEY": KEY}


def start(home: Path, **variables: str) -> str:
    """What a process that reads the real settings in this environment says, or nothing when it starts."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", "import mlops_site.settings"],
        cwd=ROOT,
        env=clean | {"STEWARD_HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def test_nothing_set_is_embedded(tmp_path: Path) -> None:
    assert start(tmp_path / "new" / "home") == ""
    assert (tmp_path / "new/home/secret_key").stat().st_mode & 0o777 == 0o600


def test_a_server_starts_with_keys_of_its_own(tmp_path: Path) -> None:
    assert start(tmp_path, **SERVER) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"METRICS_NETWORKS": "10.0.0.1/8"},
            "METRICS_NETWORKS must be networks such as 10.0.0.0/8, separated by commas, with no bit beyond the mask "
            "but got '10.0.0.1/8'",
        ),
        (
            {"EVIDENTLY_WORKSPACE": "reports/../x"},
            "EVIDENTLY_WORKSPACE must be an absolute path without .. but got 'reports/../x'",
        ),
        ({"HTTPS": "maybe"}, "HTTPS must be true or false but got 'maybe'"),
        ({"MAX_UPLOAD_MB": "0"}, "MAX_UPLOAD_MB must be a whole number from 1 to 10000 but got '0'"),
        ({"MAX_UPLOAD_MB": "1.5"}, "MAX_UPLOAD_MB must be a whole number from 1 to 10000 but got '1.5'"),
        ({"MODEL_CACHE_MB": "lots"}, "MODEL_CACHE_MB must be a whole number from 16 to 1000000 but got 'lots'"),
        ({"JOB_LEASE_SECS": "nan"}, "JOB_LEASE_SECS must be a number from 1 to 3600 but got 'nan'"),
        ({"JOB_SWEEP_SECS": "inf"}, "JOB_SWEEP_SECS must be a number from 0.5 to 600 but got 'inf'"),
        (
            {"JOB_LEASE_SECS": "10", "JOB_HEARTBEAT_SECS": "6"},
            "JOB_HEARTBEAT_SECS must be at most half of JOB_LEASE_SECS (10.0) but got 6.0",
        ),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR but got 'loud'"),
        ({"REDIS_URL": "localhost:6379"}, "REDIS_URL must start with redis:// or rediss:// but got"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY must be set to at least 32 characters but got 5;"),
        ({**SERVER, "SECRET_KEY": ""}, "SECRET_KEY must be set to at least 32 characters on a server"),
        ({**SERVER, "AUDIT_KEY": "x" * 31}, "AUDIT_KEY must be set to at least 32 characters on a server"),
        ({**SERVER, "DATABASE_URL": "mysql://u:pass-word@h/d"}, "DATABASE_URL must start with postgresql:// but got"),
        ({**SERVER, "DATABASE_URL": "postgresql://u:pass-word@h:port/d"}, "DATABASE_URL must be postgresql://user:"),
        ({**SERVER, "DATABASE_URL": "postgresql://u:pass-word@h"}, "DATABASE_URL must name a database"),
        ({"STEWARD_HOME": "/dev/null/home"}, "STEWARD_HOME must be a folder that can be made and written but got"),
    ],
)  # fmt: skip
def test_a_bad_value_stops_the_start(tmp_path: Path, variables: dict[str, str], message: str) -> None:
    said = start(tmp_path, **variables)
    assert said.startswith(f"django.core.exceptions.ImproperlyConfigured: {message}")
    assert "pass-word" not in said


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MLFLOW_TRACKING_URI", "mlflow:5000", f"start with {WEB} or {DATABASES} but got 'mlflow:5000'"),
        ("MLFLOW_TRACKING_URI", "http://", f"name {PLACE} but got 'http://'"),
        ("OPTUNA_STORAGE", "redis://cache", f"start with {DATABASES} but got 'redis://cache'"),
        ("OPTUNA_STORAGE", "mysql://u:pass-word@h/d", f"start with {DATABASES} but got 'mysql://…'"),
        ("MONITORING_WEBHOOK_URL", "notify:8000/pass-word", f"start with {WEB} but got 'notify:8000'"),
        ("MONITORING_WEBHOOK_URL", "file:///etc/pass-word", f"start with {WEB} but got 'file://'"),
        ("MONITORING_WEBHOOK_URL", "http:///pass-word", f"name {PLACE} but got 'http://'"),
        ("MONITORING_WEBHOOK_URL", "http://h:port/pass-word", f"name {PLACE} but got 'http://h:port'"),
        ("MONITORING_WEBHOOK_URL", "http://[h/pass-word", f"name {PLACE} but got 'http://[h'"),
        ("PUBLIC_URL", "steward.example", "start with https:// or http:// but got 'steward.example'"),
        ("EMAIL_PORT", "smtp", "be a whole number from 1 to 65535 but got 'smtp'"),
        ("APPRISE_URLS", "json://u:pass-word@h", "be [team:]name=scheme://... but 'json' is not"),
        ("APPRISE_URLS", "pager=pass-word", "be [team:]name=scheme://... but 'pager' is not"),
        ("DRIFT_THRESHOLD", "10%", "be a number from 0 to 1 but got '10%'"),
        ("DRIFT_THRESHOLD", "nan", "be a number from 0 to 1 but got 'nan'"),
        ("PERFORMANCE_DEGRADATION_THRESHOLD", "5", "be a number from 0 to 1 but got '5'"),
        ("MIN_SAMPLES_FOR_MONITORING", "0", "be a whole number from 1 to 1000000 but got '0'"),
        ("MIN_SAMPLES_FOR_MONITORING", "1e3", "be a whole number from 1 to 1000000 but got '1e3'"),
    ],
)
def test_a_bad_value_of_monitoring_and_its_stores_stops_the_start(
    tmp_path: Path, name: str, value: str, expected: str
) -> None:
    said = start(tmp_path, **{name: value})
    assert said.removeprefix("django.core.exceptions.ImproperlyConfigured: ") == f"{name} must {expected}"


def test_an_empty_value_is_an_unset_one(tmp_path: Path) -> None:
    assert start(tmp_path, DATABASE_URL="", REDIS_URL=" ", HTTPS="", MAX_UPLOAD_MB="") == ""


class TestReading:
    @pytest.fixture(autouse=True)
    def clear(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch
        monkeypatch.delenv("X", raising=False)

    def set(self, value: str) -> None:
        self.patch.setenv("X", value)

    def test_flags(self) -> None:
        assert env.flag("X", True) is True
        for value, meant in {"1": True, "TRUE": True, "on": True, "no": False, " 0 ": False}.items():
            self.set(value)
            assert env.flag("X", not meant) is meant

    def test_numbers(self) -> None:
        assert env.integer("X", 5, low=1, high=9) == 5
        self.set("9")
        assert (env.integer("X", 5, low=1, high=9), env.number("X", 5, low=1, high=9)) == (9, 9.0)
        self.set("10")
        with pytest.raises(ImproperlyConfigured, match="X must be a number from 1 to 9 but got '10'"):
            env.number("X", 5, low=1, high=9)

    def test_words(self) -> None:
        assert env.words("X", ("a",)) == ["a"]
        self.set(" a, b,,c ")
        assert env.words("X") == ["a", "b", "c"]

    def test_choices(self) -> None:
        self.set("info")
        assert env.choice("X", "WARNING", ("INFO", "WARNING")) == "INFO"


class TestSecret:
    def test_it_is_made_once_and_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STEWARD_HOME", str(tmp_path))
        monkeypatch.delenv("X_KEY", raising=False)
        first = env.secret("X_KEY", server=False)
        assert len(first) >= 32
        assert env.secret("X_KEY", server=False) == first
        assert [path.name for path in tmp_path.iterdir()] == ["x_key"]

    def test_all_who_start_at_once_get_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STEWARD_HOME", str(tmp_path))
        monkeypatch.delenv("X_KEY", raising=False)
        start, made = threading.Barrier(16), []

        def read() -> None:
            start.wait()
            made.append(env.secret("X_KEY", server=False))

        threads = [threading.Thread(target=read) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 16
        assert len(set(made)) == 1
        assert len(made[0]) >= 32
