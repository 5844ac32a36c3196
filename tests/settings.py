"""The site's settings for one test process: its own folder, its own database, its own Redis database.

The environment is set before the real settings are read, and stays set, so that a child process which a test
or the code under test starts works on the same data. Without TEST_DATABASE_URL it is SQLite and without
TEST_REDIS_URL the embedded broker, whatever DATABASE_URL and REDIS_URL say (they may be in use).
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
NUMBER = int(WORKER.removeprefix("gw")) if WORKER.startswith("gw") else 0


def _folder() -> Path:
    given = os.environ.get("STEWARD_TEST_HOME")
    if given is None:
        given = os.environ["STEWARD_TEST_HOME"] = tempfile.mkdtemp(prefix="steward-tests-")
        atexit.register(shutil.rmtree, given, ignore_errors=True)
    return Path(given)


def _database_url(given: str) -> str:
    parts = urlsplit(given)
    return parts._replace(path=f"/test_{parts.path.lstrip('/') or 'steward'}_{WORKER}").geturl()


def _redis_url(given: str) -> str:
    parts = urlsplit(given)
    return parts._replace(path=f"/{int(parts.path.lstrip('/') or 0) + NUMBER}").geturl()


def _prepare() -> None:
    for name in (
        "DATABASE_URL",
        "REDIS_URL",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_ARTIFACTS",
        "OPTUNA_STORAGE",
        "HTTPS",
        "TRUSTED_TYPES",
        "DATA_FOLDERS",
        "DATA_BUCKETS",
        "SOURCE_DATABASES",
        "MONITORING_WEBHOOK_URL",
        "APPROVAL_WEBHOOK_URL",
        "PUBLIC_URL",
        "EMAIL_HOST",
        "CHANNEL_HOSTS",
        "APPRISE_URLS",
    ):
        os.environ.pop(name, None)
    for name in [name for name in os.environ if name.startswith("S3_")]:
        del os.environ[name]
    for name in [name for name in os.environ if name.startswith(("TEST_S3_", "TEST_DATA_"))]:  # of a test's own
        os.environ[name.removeprefix("TEST_")] = os.environ[name]
    os.environ["STEWARD_HOME"] = str(_folder() / WORKER)
    if given := os.environ.get("TEST_DATABASE_URL"):
        os.environ["DATABASE_URL"] = _database_url(given)
    if given := os.environ.get("TEST_REDIS_URL"):
        os.environ["REDIS_URL"] = _redis_url(given)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when MLflow is imported, which a test may do by itself
    for name in ("SECRET_KEY", "AUDIT_KEY"):
        os.environ[name] = f"a {name} that guards nothing but tests"


_prepare()
gc.set_threshold(50_000, 20, 50)  # thousands of modules are imported, for good: look at them less often

from mlops_site.settings import *  # noqa: E402, F403
from mlops_site.settings import DATABASES, INSTALLED_APPS, STATIC_ROOT  # noqa: E402

# The test database is the one that DATABASE_URL (or STEWARD_HOME) names, so that child processes find it.
DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"]}
if "init_command" in DATABASES["default"].get("OPTIONS", {}):  # SQLite: a test's file need not outlive the power
    DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous = OFF;"
PASSWORD_HASHERS = ["tests.hashing.QuickArgon2"]
INSTALLED_APPS = [*INSTALLED_APPS, "tests.jobsapp"]  # a kind of job whose rows say what it does
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns of a missing one, and warnings are errors
