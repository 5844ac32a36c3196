"""Real processes for tests: each in a session of its own, logged to a file, ended with all its children."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
STOP_SECS = 15.0


class Process:
    """A running command; leaving its `with` block stops it and whatever it started."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.popen = popen
        self.log = log

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def output(self) -> str:
        """Everything the process wrote so far, both streams."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL to the process and its group, as a crash of the machine would end them."""
        self._signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self, *, first: signal.Signals = signal.SIGTERM, within_secs: float = STOP_SECS) -> None:
        """The signal `first` and time to finish, then SIGKILL to what is left of the group."""
        if self.is_alive:
            self.popen.send_signal(first)
        try:
            self.popen.wait(within_secs)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.popen.pid, number)  # the pid leads a session of its own, so it names the group too
        except ProcessLookupError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_process(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    ready: Callable[[], bool] | None = None,
    within_secs: float = 60.0,
    user: str | None = None,
) -> Process:
    """Start `command` and return once `ready()` is true (asked ten times a second).

    `env` is added to the inherited environment. Raises RuntimeError with the end of the log if the process
    ends or `within_secs` pass first; nothing is left running then.
    """
    with log.open("ab") as out:
        popen = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
    process = Process(popen, log)
    try:
        _wait(process, ready, within_secs)
    except BaseException:
        process.stop()
        raise
    return process


def _wait(process: Process, ready: Callable[[], bool] | None, within_secs: float) -> None:
    deadline = time.monotonic() + within_secs
    while ready is not None and not ready():
        said = f"{shlex.join(map(str, process.popen.args))}; it wrote:\n{process.output()[-2000:]}"  # type: ignore[arg-type]
        if not process.is_alive:
            raise RuntimeError(f"exit status {process.popen.returncode} before it was ready: {said}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ready after {within_secs:.0f} s: {said}")
        time.sleep(0.1)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago; whoever uses it must be ready to ask again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`; made for `ready=lambda: listens(port)`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def exit_on_sigterm() -> None:
    """Make SIGTERM unwind the stack like any exception, so that `with` blocks stop what they started."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
