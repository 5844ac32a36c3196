"""The first load of anything that a person uploaded: in a process of its own, without secrets, limited.

A file that crashes native code, takes all memory or never ends takes only that process with it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from mlops_site.core.errors import FieldError, Invalid, TooManyRequests, Unavailable
from registry.artifacts.archive import Format, refused, sniff
from registry.artifacts.signature import Signature
from registry.artifacts.summary import Told
from registry.artifacts.trial import inspect_here
from registry.artifacts.trust import trusted

__all__ = ["Inspection", "Limits", "inspect_here", "inspect_upload"]

log = logging.getLogger(__name__)
_ROOT = str(Path(__file__).resolve().parents[2])

# The limits are set before anything but the standard library is imported; a hard limit cannot be raised.
_CHILD = """
import json, resource, signal, sys
root, limits = sys.argv[1], json.loads(sys.argv[2])
signal.alarm(int(sys.argv[3]))  # its own end, should the process that waits for it be gone
for name, value in limits.items():
    resource.setrlimit(getattr(resource, name), (value, value))
sys.path.insert(0, root)
from registry.artifacts.summary import Told
from registry.artifacts.trial import answer
answer()
"""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent", **dict.fromkeys(_THREADS, "1")}
_CHUNK_BYTES = 1 << 20
TURN_SECS = 30.0
_TURNS = threading.BoundedSemaphore(2)  # of each web process: a child may take as much memory as the limit says


class Limits(NamedTuple):
    """What an inspection may take; it may never write a file."""

    cpu_secs: int = 60
    memory_bytes: int = 4 << 30
    timeout_secs: float = 120.0


DEFAULT_LIMITS = Limits()
_TOO_SLOW = (-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGALRM)


class Inspection(NamedTuple):
    """What an accepted file is: its own `features` and `classes`, the signature that it fits, what it answers to rows,
    the profile of the reference rows, and which types it needs that the operator added to the trust list.

    `told` is what the model looks at in the reference rows; None without rows, or where the limits left no time for it.
    """

    format: Format
    features: list[str]
    classes: list[Any] | None
    signature: Signature
    golden: list[dict[str, Any]]
    reference: bytes | None
    operator_types: list[str]
    told: Told | None = None
    correlations: dict[str, Any] | None = None  # of the numbers of the reference rows


def inspect_upload(
    content: IO[bytes] | bytes,
    *,
    signature: Signature | None = None,
    reference: Sequence[Mapping[str, Any]] = (),
    trust: Collection[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Inspection:
    """Load and try an uploaded file in a limited process, and say what it is; Invalid says why it is refused.

    The file is passed on in pieces: this process never holds it whole, and loads nothing of it. Without `signature` one
    of numbers only is derived from the file, `signature_needed` if that does not fit.
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    file.seek(0)
    sniff(file.read(64))
    header = {
        "signature": signature.to_json() if signature else None,
        "trust": list(trusted() if trust is None else trust),
        "reference": list(reference),
    }
    with _turn(), tempfile.TemporaryFile() as handed:
        handed.write(json.dumps(header).encode() + b"\n")
        file.seek(0)
        shutil.copyfileobj(file, handed, _CHUNK_BYTES)
        handed.seek(0)
        return _verdict(_run(handed, limits), limits)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    if not _TURNS.acquire(timeout=TURN_SECS):
        raise TooManyRequests("two other uploads are being inspected; try again in a minute", retry_after_secs=60)
    try:
        yield
    finally:
        _TURNS.release()


def _run(handed: IO[bytes], limits: Limits) -> subprocess.CompletedProcess[bytes]:
    alarm = str(int(limits.timeout_secs) + 5)
    command = [sys.executable, "-I", "-B", "-c", _CHILD, _ROOT, json.dumps(_rlimits(limits)), alarm]
    try:
        return subprocess.run(
            command,
            stdin=handed,
            capture_output=True,
            env=_ENVIRONMENT,
            cwd="/",
            timeout=limits.timeout_secs,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(command, -signal.SIGALRM, late.stdout or b"", late.stderr or b"")


def _rlimits(limits: Limits) -> dict[str, int]:
    return {
        "RLIMIT_CPU": limits.cpu_secs,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
    }


def _verdict(done: subprocess.CompletedProcess[bytes], limits: Limits) -> Inspection:
    said = _said(done.stdout, b"inspection ")
    if done.returncode in _TOO_SLOW and (said is None or "code" in said):
        message = (
            f"the artifact must load and score in {limits.cpu_secs} s of processor time and {limits.timeout_secs} s "
            "in all but did not"
        )
        raise refused("too_slow", message)
    if done.returncode < 0 and done.returncode not in _TOO_SLOW:
        name = signal.Signals(-done.returncode).name
        raise refused("crashed", f"loading and trying the artifact ended its process with {name}")
    if said is None or done.returncode > 0:
        log.error("an inspection could not run: %s", done.stderr.decode(errors="replace")[-4000:])
        raise Unavailable("the inspection could not run; the log of the site says why", retry_after_secs=60)
    if "code" in said:
        raise Invalid(said["detail"], code=said["code"], errors=[FieldError(*error) for error in said["errors"]])
    profile = said["reference"] and base64.b64decode(said["reference"])
    told = _told(_said(done.stdout, b"told "))
    return Inspection(**{**said, "signature": Signature.from_json(said["signature"]), "reference": profile}, told=told)


def _said(output: bytes, what: bytes) -> dict[str, Any] | None:
    """The last line of that kind, whole; whatever else the file's code printed is passed over."""
    lines = [line for line in output.split(b"\n")[:-1] if line.startswith(what)]
    found: dict[str, Any] | None = json.loads(lines[-1].removeprefix(what)) if lines else None
    return found


def _told(said: dict[str, Any] | None) -> Told | None:
    if said is None:
        return None
    parts: dict[str, Any] = {
        name: base64.b64decode(part) if name.endswith("_bytes") else part for name, part in said.items()
    }
    return Told(**parts)
