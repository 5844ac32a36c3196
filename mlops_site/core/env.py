"""Reads the environment once, loudly: a bad value stops the start with its name, its value and what was expected."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Protocol

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent.parent


class _Parse(Protocol):
    def __call__(self, raw: str, /) -> Any: ...


def _read(name: str, default: Any, parse: _Parse, expected: str) -> Any:
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    try:
        return parse(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be {expected} but got {raw!r}") from None


def text(name: str, default: str = "") -> str:
    return str(_read(name, default, str, "text"))


def words(name: str, default: tuple[str, ...] = ()) -> list[str]:
    return list(_read(name, list(default), lambda raw: [w.strip() for w in raw.split(",") if w.strip()], "words"))


def flag(name: str, default: bool) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

    def parse(raw: str) -> bool:
        if raw.lower() not in known:
            raise ValueError(raw)
        return known[raw.lower()]

    return bool(_read(name, default, parse, "true or false"))


def integer(name: str, default: int, *, low: int, high: int) -> int:
    def parse(raw: str) -> int:
        if not low <= int(raw) <= high:
            raise ValueError(raw)
        return int(raw)

    return int(_read(name, default, parse, f"a whole number from {low} to {high}"))


def number(name: str, default: float, *, low: float, high: float) -> float:
    def parse(raw: str) -> float:
        if not low <= float(raw) <= high:
            raise ValueError(raw)
        return float(raw)

    return float(_read(name, default, parse, f"a number from {low} to {high}"))


def home() -> Path:
    """Where everything that the site writes lives when embedded; made on first use, for the owner only."""
    path = Path(text("STEWARD_HOME", str(BASE_DIR / "var"))).expanduser().resolve()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def secret(name: str, *, server: bool) -> str:
    """A key from the environment; embedded, one made for this install and kept in its home (mode 600)."""
    given = text(name)
    if given or server:
        if len(given) < 32:
            raise ImproperlyConfigured(
                f"{name} must be set to at least 32 characters on a server (DATABASE_URL is set) but got {len(given)}"
            )
        return given
    path = home() / name.lower()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _settled(path)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text()


def _settled(path: Path) -> str:
    """The key that another process may be writing this very moment."""
    for _ in range(1000):
        if value := path.read_text():
            return value
    raise ImproperlyConfigured(f"{path} is empty; delete it and start again")


def database(sqlite: Path) -> dict[str, Any]:
    """DATABASE_URL as Django wants it; without one, SQLite in WAL mode with immediate transactions."""
    url = text("DATABASE_URL")
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(sqlite),
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
            },
        }
    if not url.startswith(("postgres://", "postgresql://")):
        raise ImproperlyConfigured(f"DATABASE_URL must start with postgresql:// but got {url.split('://')[0]!r}")
    return {**dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)}
