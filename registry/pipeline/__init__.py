"""Telling MLflow: in order, one at a time, as often as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_site.core.mirror import tell_all
from registry.models import MirrorChange
from registry.pipeline.mirror import register, set_stage
from registry.services.mirror import keep_name, next_change, postpone, told

if TYPE_CHECKING:
    from mlflow import MlflowClient


def catch_up() -> int:
    """Tell MLflow of every version and stage that is due; how many changes it took (see `mirror.tell_all`)."""
    return tell_all(next_change, _tell, postpone)


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
