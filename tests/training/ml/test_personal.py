"""Which columns look like personal data."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from training.ml.personal import suggested


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("contact", ["ada@example.org", "b.c@example.com"], "e-mail address"),
        ("x", ["+41 44 268 12 12", "(212) 555-0142"], "phone number"),
        ("x", ["123-45-6789", "078-05-1120"], "national id"),
        ("x", ["756.1234.5678.97", "756.9217.0769.85"], "national id"),
        ("x", ["GB82 WEST 1234 5698 7654 32"], "bank account"),
        ("x", ["4111111111111111", "5500 0000 0000 0004"], "card number"),
        ("x", ["192.168.0.1", "10.0.0.255"], "IP address"),
        ("FirstName", ["Ada", "Bo"], "name"),
        ("patient_date_of_birth", ["1970-01-01"], "date of birth"),
        ("phone", [442681212.0, 442681213.0], "phone number"),
        ("home-postcode", [8006, 8001], "address"),
    ],
)
def test_what_looks_like_personal_data(name: str, cells: list[Any], kind: str) -> None:
    assert [found.kind for found in suggested(pd.DataFrame({name: cells}))] == [kind]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("age", [41, 52]),
        ("plan", ["free", "family"]),
        ("provider_type", ["name", "mobile"]),
        ("amount", [4111.11, 5500.04]),
        ("account", ["GB82 WEST 1234 5698 7654 33"]),  # the check digits do not fit
        ("visited_at", ["2026-01-01", "2026-01-02"]),
        ("version", ["1.2.3", "300.1.1.1"]),
        ("panel", [1, 2]),
        ("empty", [None, None]),
    ],
)
def test_what_does_not(name: str, cells: list[Any]) -> None:
    assert suggested(pd.DataFrame({name: cells})) == []
