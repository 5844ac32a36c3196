"""Telling MLflow: in order, one at a time, as often as it takes."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from mlops_site.core import leases, mlflow
from registry.models import MirrorChange
from registry.pipeline.mirror import register, set_stage
from registry.services.mirror import keep_name, next_change, postpone, told

if TYPE_CHECKING:
    from mlflow import MlflowClient

LEASE, LEASE_SECS = "mlflow", 120.0  # longer than any one change takes


def catch_up() -> int:
    """Tell MLflow of everything that is due; how many changes it took. Nothing is raised for an MLflow that is down:
    the changes wait, and say why. Nothing happens while another process is at it."""
    holder, count = f"{socket.gethostname()}:{os.getpid()}", 0
    client: MlflowClient | None = None
    try:
        while leases.hold(LEASE, holder=holder, secs=LEASE_SECS) and (change := next_change()) is not None:
            try:
                client = client or mlflow.opened()
                _tell(client, change)
                count += 1
            except Exception as error:  # whatever MLflow, its server, its database or its store raise
                is_down = client is None or not _answers(client)
                postpone(change, error=mlflow.told(error), everything=is_down)
                if is_down:
                    break
    finally:
        leases.let_go(LEASE, holder=holder)
    return count


def _tell(client: MlflowClient, change: MirrorChange) -> None:
    """Each may be told twice, where a process ended between MLflow's write and ours: the second changes nothing."""
    if change.interval is None:
        number, run_id = register(client, change.version)
        told(change, number=number, run_id=run_id)
        return
    if not hasattr(change.version, "mirrored"):  # registered before there was a mirror
        keep_name(change.version, *register(client, change.version))
    set_stage(client, change.version, change.interval)
    told(change)


def _answers(client: MlflowClient) -> bool:
    try:
        mlflow.ping(client)
    except Exception:  # as above
        return False
    return True
