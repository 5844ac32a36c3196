"""Reads the environment once, loudly: a bad value stops the start with its name, its value and what was expected."""

from __future__ import annotations

import errno
import os
import re
import secrets
import tempfile
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

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


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Addresses and networks ("10.0.0.0/8, ::1"), or none."""

    def parse(raw: str) -> list[IPv4Network | IPv6Network]:
        return [ip_network(word.strip()) for word in raw.split(",") if word.strip()]

    return list(_read(name, [], parse, "networks such as 10.0.0.0/8, separated by commas, with no bit beyond the mask"))


def folder(name: str) -> Path | None:
    """An absolute path, or nothing. Whether it can be written is found out by who writes."""
    path = text(name)
    if path and (not path.startswith("/") or "\0" in path or ".." in path.split("/")):
        raise ImproperlyConfigured(f"{name} must be an absolute path without .. but got {path!r:.200}")
    return Path(path) if path else None


def choice(name: str, default: str, known: tuple[str, ...]) -> str:
    """One of the known words, whatever its case."""

    def parse(raw: str) -> str:
        if raw.upper() not in known:
            raise ValueError(raw)
        return raw.upper()

    return str(_read(name, default, parse, f"one of {', '.join(known)}"))


def address(name: str, default: str = "", *, schemes: tuple[str, ...]) -> str:
    """An address that begins with one of the schemes ("https://"), or nothing."""
    url = text(name, default)
    if url and not url.startswith(schemes):
        raise ImproperlyConfigured(f"{name} must start with {' or '.join(schemes)} but got {_public(url)!r}")
    if url and not _names_a_place(url):
        raise ImproperlyConfigured(f"{name} must name a host and port or a file but got {_public(url)!r}")
    return url


def _names_a_place(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_server = bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, say
        return False
    return is_server or (not parts.scheme.startswith("http") and bool(parts.path.strip("/")))


def redis_url(name: str) -> str:
    """The address of a Redis server, or nothing."""
    return address(name, schemes=("redis://", "rediss://"))


def _public(url: str) -> str:
    """Scheme and host at most: an address may hold a password, and its path be a secret."""
    scheme, found, rest = url.partition("://") if "://" in url else ("", "", url)
    host = "…" if "@" in rest else rest.partition("/")[0].partition("?")[0]
    return f"{scheme}{found}{host}"[:80]


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
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ImproperlyConfigured(
            f"STEWARD_HOME must be a folder that can be made and written but got {str(path)!r}: {error.strerror}"
        ) from None
    return path


def secret(name: str, *, server: bool) -> str:
    """A key from the environment; embedded, one made for this install and kept in its home (mode 600)."""
    given = text(name)
    if given or server:
        if len(given) < 32:
            where = " on a server (DATABASE_URL is set)" if server else ""
            raise ImproperlyConfigured(
                f"{name} must be set to at least 32 characters{where} but got {len(given)}; "
                "`python -c 'import secrets; print(secrets.token_urlsafe(48))'` makes one"
            )
        return given
    path = home() / name.lower()
    return path.read_text() if path.exists() else _make_secret(path)


def _make_secret(path: Path) -> str:
    """Several processes start at once: the key appears whole under its name, and the first one there wins."""
    handle, draft = tempfile.mkstemp(dir=path.parent)  # mode 600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
    return path.read_text()


def database(sqlite: Path) -> dict[str, Any]:
    """DATABASE_URL as Django wants it; without one, SQLite in WAL mode with immediate transactions."""
    url = text("DATABASE_URL")
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(sqlite),
            "CONN_MAX_AGE": None,  # opening the file and, in WAL mode, closing it costs more than a whole prediction
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                # without recursive triggers INSERT OR REPLACE would slip past the triggers that refuse DELETE
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
                "PRAGMA recursive_triggers=ON; "
                # a checkpoint each 1,000 pages would be met by one prediction in a hundred
                "PRAGMA wal_autocheckpoint=10000;",
            },
        }
    if not url.startswith(("postgres://", "postgresql://")):
        raise ImproperlyConfigured(f"DATABASE_URL must start with postgresql:// but got {_public(url)!r}")
    try:
        parsed = {**dj_database_url.parse(url, conn_max_age=3600, conn_health_checks=True)}
    except ValueError:  # its text may repeat a part of the password
        raise ImproperlyConfigured(
            "DATABASE_URL must be postgresql://user:password@host:port/name but is not"
        ) from None
    if not parsed.get("NAME"):
        raise ImproperlyConfigured("DATABASE_URL must name a database after the last / but names none")
    return parsed


def artifacts(folder: Path) -> dict[str, Any]:
    """Where artifacts are kept, as Django's STORAGES wants it: the folder, or with S3_BUCKET an S3-compatible store."""
    bucket = text("S3_BUCKET")
    if not bucket:
        alone = sorted(name for name in os.environ if name.startswith("S3_") and os.environ[name].strip())
        if alone and not text("DATA_BUCKETS"):
            raise ImproperlyConfigured(f"S3_BUCKET must be set where {alone[0]} is, or DATA_BUCKETS")
        options = {"location": str(folder), "file_permissions_mode": 0o600}
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        raise ImproperlyConfigured(f"S3_BUCKET must be the name of a bucket but got {bucket!r:.80}")
    if find_spec("storages") is None or find_spec("boto3") is None:
        raise ImproperlyConfigured("S3_BUCKET needs django-storages[s3]: install this package with its extra s3")
    return {"BACKEND": "mlops_site.core.objects.ObjectStorage", "OPTIONS": {"bucket_name": bucket, **_object_store()}}


def data_store() -> dict[str, Any]:
    """How the buckets of DATA_BUCKETS are reached, each whole: as that of the artifacts is."""
    if not text("DATA_BUCKETS"):
        return {}
    if find_spec("storages") is None or find_spec("boto3") is None:
        raise ImproperlyConfigured("DATA_BUCKETS needs django-storages[s3]: install this package with its extra s3")
    return {**_object_store(), "location": ""}


def _object_store() -> dict[str, Any]:
    endpoint = address("S3_ENDPOINT", schemes=("https://", "http://"))
    if "@" in endpoint:
        raise ImproperlyConfigured("S3_ENDPOINT must hold no password; S3_SECRET_ACCESS_KEY does")
    key, hidden = text("S3_ACCESS_KEY_ID"), text("S3_SECRET_ACCESS_KEY")
    if bool(key) != bool(hidden):
        raise ImproperlyConfigured("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY must both be set, or neither")
    prefix = text("S3_PREFIX")
    if not re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*)?", prefix) or len(prefix) > 200:
        raise ImproperlyConfigured(f"S3_PREFIX must be names joined by / but got {prefix!r:.80}")
    return {
        "endpoint_url": endpoint or None,
        "region_name": text("S3_REGION") or None,
        "access_key": key or None,  # without one boto3 asks the machine for its role
        "secret_key": hidden or None,
        "location": prefix,
        "timeout_secs": number("S3_TIMEOUT_SECS", 10.0, low=0.1, high=300),
    }
