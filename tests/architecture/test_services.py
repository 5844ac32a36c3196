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
}


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


@pytest.mark.parametrize("app", ["registry", "training"])
def test_every_service_has_an_endpoint(app: str) -> None:
    reached = named(ROOT / "registry" / "api") | named(ROOT / "training" / "api")
    left_out = [name for name in services(app) if THROUGH.get(name, name) not in reached]
    assert services(app)
    assert not left_out, f"no endpoint calls {', '.join(left_out)}"
