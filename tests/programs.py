"""The programs that tests need beside Python (PostgreSQL, Redis, Chromium): found here, or installed.

What is missing is installed with apt-get where that is possible (root on Debian or Ubuntu); elsewhere
MissingProgram says exactly what to install.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.processes import ROOT

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class MissingProgram(RuntimeError):
    """A program that the tests need is not here and could not be installed."""


@cache
def chromium() -> Path:
    """The Chromium of $CHROMIUM, of PATH, of Playwright's cache, or a newly installed one."""
    if given := os.environ.get("CHROMIUM"):
        return Path(given)
    found = _working_chromium()
    if found is None and _can_apt():
        if _distribution() == "ubuntu":  # its chromium package is a snap, which containers cannot run
            _run([sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"])
        else:
            _apt_install("chromium")
        found = _working_chromium()
    if found is None:
        raise MissingProgram(
            "Chromium must be installed for the browser tests but none was found: install it "
            f"(`{ROOT}/.venv/bin/playwright install --with-deps chromium` does) or set CHROMIUM to its path"
        )
    return found


def _working_chromium() -> Path | None:
    cached = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    on_path = [Path(path) for name in CHROMIUM_NAMES if (path := shutil.which(name))]
    for candidate in [*on_path, *sorted(cached.glob("chromium-*/chrome-linux*/chrome"))]:
        if subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def program(name: str, *, package: str) -> Path:
    """Where the binary `name` is; installs the Debian `package` if it must and may."""
    found = _found(name)
    if found is None and _can_apt():
        _apt_install(package)
        found = _found(name)
    if found is None:
        raise MissingProgram(
            f"{name} must be installed for the tests on PostgreSQL and Redis but was not found: install "
            f"{package} (Debian, Ubuntu: sudo apt-get install {package}; macOS: brew install "
            f"{package.removesuffix('-server')}), or set TEST_DATABASE_URL and TEST_REDIS_URL to your servers"
        )
    return found


@cache
def promtool() -> Path:
    """The checker of rules for Prometheus: of PATH, or out of Debian's package, which is unpacked and not installed,
    because that would start a server."""
    kept = Path.home() / ".cache/steward-tests/promtool"
    found = _found("promtool") or (kept if kept.exists() else None)
    if found is None and _can_apt():
        _apt_update()
        with tempfile.TemporaryDirectory() as folder:
            _run(["apt-get", "download", "prometheus"], cwd=folder)
            (package,) = Path(folder).glob("prometheus_*.deb")
            _run(["dpkg-deb", "-x", str(package), folder])
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(shutil.copy(f"{folder}/usr/bin/promtool", f"{kept}.{os.getpid()}"), kept)
        found = kept
    if found is None:
        raise MissingProgram(
            "promtool must be installed to check deploy/prometheus but was not found: it comes with Prometheus "
            "(Debian, Ubuntu: sudo apt-get install prometheus; macOS: brew install prometheus)"
        )
    return found


def _found(name: str) -> Path | None:
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    newest_first = sorted(versions, key=lambda path: float(path.parent.name), reverse=True)
    folders = os.pathsep.join([os.environ.get("PATH", ""), *map(str, newest_first)])
    found = shutil.which(name, path=folders)
    return Path(found) if found else None


def _can_apt() -> bool:
    return os.geteuid() == 0 and _distribution() in {"debian", "ubuntu"} and bool(shutil.which("apt-get"))


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["ID"]
    except OSError:
        return ""


@cache
def _apt_update() -> None:
    _run(["apt-get", "update", "-qq"])


def _apt_install(package: str) -> None:
    _apt_update()
    _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package])


def _run(command: list[str], *, cwd: str | None = None) -> None:
    print(f"Installing what the tests need: {' '.join(command)}", flush=True)  # noqa: T201
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MissingProgram(f"`{' '.join(command)}` failed with status {done.returncode}:\n{done.stderr[-2000:]}")
