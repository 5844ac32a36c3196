"""Inspects one file after the other, each in a fork under the limits of an inspection: `Inspector().outcome(...)`.

The process forks before anything computes: a fork of one whose OpenMP has threads would wait for them for ever.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from registry.artifacts.signature import Signature
from tests.processes import ROOT

ALARM_SECS = 60


class Inspector:
    """The process; leaving its `with` block ends it."""

    def __init__(self) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **threads},
        )

    def outcome(self, data: bytes, signature: Signature | None) -> str:
        """`taken`, `refused CODE`, or what should not be: `fell: ...`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        header = {"size": len(data), "signature": signature and signature.to_json()}
        self.process.stdin.write(json.dumps(header).encode() + b"\n" + data)
        self.process.stdin.flush()
        return str(json.loads(self.process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


def serve() -> None:
    import onnxruntime  # noqa: F401
    import pandas as pd  # noqa: F401
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.pipeline  # noqa: F401
    import skops.io  # noqa: F401

    import registry.artifacts.trial  # noqa: F401

    while line := sys.stdin.buffer.readline():
        header = json.loads(line)
        said = forked(sys.stdin.buffer.read(header["size"]), header["signature"])
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def forked(data: bytes, signature: Any) -> str:
    from registry.artifacts.inspection import DEFAULT_LIMITS

    out, into = os.pipe()
    if (pid := os.fork()) == 0:
        resource.setrlimit(resource.RLIMIT_AS, (DEFAULT_LIMITS.memory_bytes,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        signal.alarm(ALARM_SECS)
        os.write(into, inspected(data, signature).encode()[:4000])
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as answers:
        said = answers.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return said if status == 0 else f"fell: status {status}"


def inspected(data: bytes, signature: Any) -> str:
    from mlops_site.core.errors import Invalid
    from registry.artifacts.trial import inspect_here
    from registry.artifacts.trust import TRUSTED

    try:
        found = inspect_here(data, signature and Signature.from_json(signature), TRUSTED)
        json.dumps(found, allow_nan=False)
    except Invalid as error:
        return f"refused {error.code}"
    except MemoryError:
        return "refused too_large_unpacked"
    except BaseException as error:
        import traceback

        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"fell: {type(error).__name__}: {error} at {last.filename}:{last.lineno}"
    return "taken"


if __name__ == "__main__":
    serve()
