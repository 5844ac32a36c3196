"""Every service can be reached over HTTP: by an endpoint of its own, or through another service that has one."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THROUGH = {
    "register_version": "upload_version",
    "request_promotion": "move_stage",
    "deploy_by_policy": "request_run",  # what a run does once its gate is passed
    "open_incident": "rollback",
    "note_use": "predict",
    "keep_dataset": "create_dataset_version",
    "prepare_dataset": "create_dataset_version",
    "answers_kept": "predict",
    "log_answers": "predict",
    "explain_prediction": "explain_predictions",
    "keep_report": "request_report",
    "raise_alerts": "request_report",
    "resolve_revalidation": "close_condition",
    "set_schedule": "set_retrain_policy",  # people's schedules are edited in the admin, which calls it
}
# what nobody asks for: Beat rings
SYSTEM = {
    "compact", "fold", "fold_all", "forget_pieces", "sweep_approvals", "raise_revalidation", "raise_experiment",
    "resolve_experiment", "check_running", "stop_for_transfer", "stop_for_version", "settle", "erase_expired",
    "end_expired", "end_deliveries", "fetch_on_schedule", "request_due_checks", "request_scheduled", "due_calibrations",
    "escalate_alerts", "watch_silence", "send_held", "count_totals",
}  # fmt: skip


def services(app: str) -> list[str]:
    names: list[str] = import_module(f"{app}.services").__all__
    return [name for name in names if name[0].islower()]


def named(folder: Path) -> set[str]:
    """Every name and attribute that stands in the code of a folder."""
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
    return found


@pytest.mark.parametrize("app", ["registry", "training", "monitoring", "abtesting"])
def test_every_service_has_an_endpoint(app: str) -> None:
    edges = ("registry/api", "training/api", "monitoring/api", "abtesting/api", "mlops_site/api")
    reached = set().union(*(named(ROOT / edge) for edge in edges))
    left_out = [name for name in services(app) if name not in SYSTEM and THROUGH.get(name, name) not in reached]
    assert services(app)
    assert not left_out, f"no endpoint calls {', '.join(left_out)}"
