"""Fields of alert rules that are refused, each by name."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_site.core.errors import Invalid
from monitoring.services.rules import checked

ESCALATION = [{"after": "30m", "severity": "critical", "role": "approver"}]


@pytest.mark.parametrize(
    ("kind", "field", "value", "code"),
    [
        ("rain", "", {}, "unknown_rule"),
        ("drift", "colour", 1, "unknown_field"),
        ("quality", "threshold", 0.1, "not_for_this_rule"),
        ("revalidation", "enabled", False, "not_for_this_rule"),
        ("drift", "enabled", "no", "invalid"),
        ("drift", "severity", "dire", "invalid"),
        ("drift", "threshold", 0, "invalid"),
        ("drift", "threshold", 1.5, "invalid"),
        ("drift", "threshold", float("nan"), "invalid"),
        ("drift", "threshold", True, "invalid"),
        ("drift", "threshold", "0.1", "invalid"),
        ("quality", "persistence", [3, 2], "invalid"),
        ("quality", "persistence", [0, 2], "invalid"),
        ("quality", "persistence", [1, 49], "invalid"),
        ("quality", "persistence", [True, 2], "invalid"),
        ("quality", "persistence", "2 of 3", "invalid"),
        ("quality", "subjects", "age", "invalid"),
        ("quality", "subjects", ["a\x00"], "invalid"),
        ("quality", "subjects", [""], "invalid"),
        ("quality", "subjects", ["x"] * 101, "invalid"),
        ("quality", "resolve_after", -1, "invalid"),
        ("quality", "resolve_after", 2.0, "invalid"),
        ("performance", "metric", "luck", "invalid"),
        ("drift", "escalation", {}, "invalid"),
        ("drift", "escalation", [{"after": "30m"}], "invalid"),
        ("drift", "escalation", [{"after": "soon", "role": "approver"}], "invalid"),
        ("drift", "escalation", [{"after": "1m", "role": "approver"}], "invalid"),
        ("drift", "escalation", [{"after": "1h", "role": "service"}], "invalid"),
        ("drift", "escalation", [{"after": "1h", "role": "approver", "who": "ben"}], "invalid"),
        ("drift", "escalation", [{"after": "2h", "role": "approver"}, {"after": "1h", "role": "admin"}], "invalid"),
        ("drift", "escalation", ESCALATION * 4, "invalid"),
        ("drift", "runbook", "http://wiki.example.org/", "invalid"),
        ("drift", "runbook", "javascript:alert(1)", "invalid"),
        ("drift", "runbook", "https://", "invalid"),
        ("drift", "runbook", "https://user:pass@wiki.example.org/", "invalid"),
        ("drift", "runbook", 'https://a.example/"onclick=', "invalid"),
        ("drift", "runbook", "https://a.example:x/", "invalid"),
        ("drift", "runbook", "https://a.example/" + "x" * 500, "invalid"),
        ("no_data", "no_data", "panic", "invalid"),
        ("no_data", "no_data_after", "5m", "invalid"),
        ("no_data", "no_data_after", "31d", "invalid"),
    ],
)
def test_what_is_wrong_is_named(kind: str, field: str, value: Any, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked({kind: {field: value} if field else {}})
    (error,) = caught.value.errors
    assert (caught.value.code, error.code) == (code, code)
    assert error.field == (f"rules.{kind}.{field}" if field else f"rules.{kind}")


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        checked({"drift": {"threshold": 2, "severity": "dire"}, "rain": {}})
    assert len(caught.value.errors) == 3


def test_what_is_right_is_kept_as_it_is_written_down() -> None:
    steps = [{"after": "90m", "role": "approver"}, {"after": "48h", "severity": "critical"}]
    said = {"persistence": {"k": 2, "m": 3}, "subjects": ["age", "age"], "escalation": steps, "threshold": None}
    assert next(iter(checked({"drift": said}).values())) == {
        "persistence": [2, 3],
        "subjects": ["age"],
        "escalation": [
            {"after": "90m", "severity": "", "role": "approver"}, {"after": "2d", "severity": "critical", "role": ""},
        ],
        "threshold": None,
    }  # fmt: skip
