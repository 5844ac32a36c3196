"""Telling MLflow what waits: one process at a time, one thing after the other, as often as it takes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from mlops_site.core import leases, mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient

C = TypeVar("C")
LEASE, LEASE_SECS = "mlflow", 120.0  # longer than any one call takes


def tell_all(
    next_one: Callable[[], C | None], tell: Callable[[MlflowClient, C], None], postpone: Callable[[C, str, bool], None]
) -> int:
    """Tell MLflow of everything that is due, one at a time; how many it took. Nothing is raised for an MLflow that is
    down: what waits is told later, and says why. Nothing happens while another process is at it.

    `postpone(one, error, everything)` hears of a failure, `everything` when MLflow itself does not answer.
    """
    count = 0
    client: MlflowClient | None = None
    try:
        while keep() and (one := next_one()) is not None:
            try:
                client = client or mlflow.opened()
                tell(client, one)
                count += 1
            except Exception as error:  # whatever MLflow, its server, its database or its store raise
                is_down = client is None or not _answers(client)
                postpone(one, mlflow.told(error), is_down)
                if is_down:
                    break
    finally:
        leases.let_go(LEASE, holder=_holder())
    return count


def keep() -> bool:
    """Take or keep the right to tell MLflow; false while another process has it."""
    return leases.hold(LEASE, holder=_holder(), secs=LEASE_SECS)


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _answers(client: MlflowClient) -> bool:
    try:
        mlflow.ping(client)
    except Exception:  # as above
        return False
    return True
