"""A table in parts, in this process or on a Dask cluster: the same file, profile and checks as in one frame."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats import reference
from mlops_site.stats.columns import infer_kinds
from mlops_site.stats.profile import profile, reference_bins
from training.ml import conversion, large, quality, tables
from training.ml.executors import Executor, Here, on_dask
from training.ml.expectations import inferred
from training.ml.refusals import TableError
from training.ml.schemas import infer_schema
from training.ml.stored import Stored

ROWS = 4_000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts, samples and blocks so small that a short table has many."""
    monkeypatch.setattr(reference, "SAMPLE_ROWS", 500)
    monkeypatch.setattr(conversion, "BLOCK_BYTES", 7_000)
    monkeypatch.setattr(conversion, "ROW_GROUP", 300)
    monkeypatch.setattr(tables, "ROW_GROUP", 300)


@pytest.fixture(scope="module")
def dask() -> Iterator[Executor]:
    with on_dask("", processes=1, memory_mb=600) as executor:
        yield executor


@pytest.fixture(params=["here", "dask"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return Here() if request.param == "here" else request.getfixturevalue("dask")


def claims(rows: int = ROWS) -> pd.DataFrame:
    random = np.random.default_rng(0)
    visits = random.poisson(3, rows).astype(float)
    visits[random.random(rows) < 0.05] = np.nan
    target = random.integers(0, 2, rows)
    frame = pd.DataFrame(
        {
            "person": [f"p{at // 2}" for at in range(rows)],
            "year": 1 + np.arange(rows) % 6,
            "age": random.integers(18, 90, rows),
            "visits": visits,
            "dollars": random.normal(1000, 300, rows).round(2),
            "plan": random.choice(["basic", 'pl"us', "full,\nall", ""], rows),
            "code": random.choice([f"{at:03}" for at in range(400)], rows),
            "agreed": random.choice(["true", "FALSE"], rows),
            "unused": [""] * rows,
            "same": ["x"] * rows,
            "id": [f"c{at}" for at in range(rows)],
            "copy": np.where(target == 1, "yes", "no"),
            "late": [1] * (rows - 1) + [2.5],
            "high_cost": target,
        }
    )
    frame.iloc[1500:1520] = frame.iloc[10:30].to_numpy()
    frame.loc[5:9, "high_cost"] = np.nan
    return frame


@pytest.fixture(scope="module")
def text() -> bytes:
    return claims().to_csv(index=False).encode()


@pytest.fixture
def whole(text: bytes) -> pd.DataFrame:
    return tables.read_table(io.BytesIO(text), filename="claims.csv")


@pytest.fixture
def stored(tmp_path: Path, whole: pd.DataFrame) -> Stored:
    path = tmp_path / "claims.parquet"
    path.write_bytes(tables.to_parquet(whole))
    return Stored(path)


def test_a_csv_in_blocks_is_the_same_file(tmp_path: Path, text: bytes, whole: pd.DataFrame, executor: Executor) -> None:
    path = tmp_path / "out.parquet"
    assert conversion.to_canonical(io.BytesIO(text), path, executor, max_rows=10_000) == ROWS
    assert path.read_bytes() == tables.to_parquet(whole)
    assert len(list(Stored(path).parts())) == 14


def test_its_profile_is_the_same_to_the_last_byte(stored: Stored, whole: pd.DataFrame, executor: Executor) -> None:
    kinds = infer_kinds(whole)
    expected = profile(whole, reference_bins(whole, kinds, salt="m")).to_bytes()
    assert large.profile_of(stored, executor, salt="m").to_bytes() == expected
    assert large.profile_of(stored, executor, salt="another").to_bytes() != expected


@pytest.mark.parametrize("expected_of", [None, "its own", "of another"])
def test_its_checks_are_the_same(
    stored: Stored, whole: pd.DataFrame, executor: Executor, expected_of: str | None
) -> None:
    roles: dict[str, Any] = {"target": "high_cost", "time_column": "year", "group_column": "person"}
    if expected_of is not None:
        seen = whole if expected_of == "its own" else whole.head(200).drop(columns="code").assign(gone=1, same=3)
        document = inferred(infer_schema(seen, target="high_cost"))
        document["prediction_time"] = "year"
        document["columns"]["visits"]["available_at"] = {"column": "age", "severity": "warn"}
        document["columns"]["dollars"]["available_at"] = {"column": "plan", "severity": "block"}
        document["duplicates"] = {"max_share": 0.001, "severity": "warn"}
        document["rows"] = {"min": 5_000, "max": None, "severity": "warn"}
        roles |= {"expected": document, "private": ["plan"]}
    expected = quality.check(whole, **roles).to_json()
    found = large.quality_of(stored, executor, **roles).to_json()
    assert sorted(expected.pop("checks"), key=repr) == sorted(found.pop("checks"), key=repr)
    assert found == expected
    said = {check.name for check in quality.check(whole, **roles).checks if not check.passed}
    assert {"duplicate_rows", "target_missing", "empty_column", "constant_column", "many_levels", "target_copy"} <= said


def test_checks_come_in_the_same_order(stored: Stored, whole: pd.DataFrame) -> None:
    assert large.quality_of(stored, Here(), target="high_cost") == quality.check(whole, target="high_cost")
    assert large.quality_of(stored, Here(), target="absent") == quality.check(whole, target="absent")


def test_every_column_is_shown_once(stored: Stored, whole: pd.DataFrame) -> None:
    seen: dict[str, pd.DataFrame] = {}
    large.quality_of(stored, Here(), target="high_cost", on_column=lambda name, frame: seen.update({name: frame}))
    assert sorted(seen) == sorted(whole.columns)
    for name, frame in seen.items():
        pd.testing.assert_frame_equal(frame, whole[[name]])


@pytest.mark.parametrize(
    ("spoilt", "code", "said"),
    [
        ("9,9\n", "ragged_row", "line 4002 has 2 values but the header names 14 columns"),
        ("\0" + "," * 13 + "\n", "nul_byte", "line 4002 has one"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, spoilt: str, code: str, said: str) -> None:
    frame = claims().assign(plan="basic")
    text = frame.to_csv(index=False).encode() + spoilt.encode()
    with pytest.raises(TableError) as refused:
        conversion.to_canonical(io.BytesIO(text), tmp_path / "x", Here(), max_rows=10_000)
    assert refused.value.code == code
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (b"a,b\n" + b"1,2\n" * 3000 + b"3,inf\n", "not_finite", "column 'b' must be finite but row 3001 holds inf"),
        (b"a,b\n" + b"1,2\n" * 3000, "too_many_rows", "at most 2,000 rows"),
        (b"a,b\n", "no_rows", "there is only a header"),
        (b"a,b\n" + b"1,2\n" * 3000 + b'3,"\n', "malformed_csv", "not valid csv"),
        (b"a,b\n" + b"1,2\n" * 1500 + b"3,\xff\n", "not_utf8", "line 1502 is not"),
        (b"", "empty_file", "empty"),
    ],
)
def test_bad_files_are_refused_with_the_reason(tmp_path: Path, text: bytes, code: str, said: str) -> None:
    limit = 2_000 if code == "too_many_rows" else 10_000
    with pytest.raises(TableError) as refused:
        conversion.to_canonical(io.BytesIO(text), tmp_path / "x", Here(), max_rows=limit)
    assert refused.value.code == code
    assert said in refused.value.message


def _once_lost(work: tuple[str, int]) -> int:
    """Ends its process the first time."""
    flag, number = Path(work[0]), work[1]
    if number == 1 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def test_what_a_lost_worker_had_is_sent_again(dask: Executor, tmp_path: Path) -> None:
    work = ((str(tmp_path / "lost"), number) for number in range(4))
    assert list(dask.map(_once_lost, work)) == [0, 1, 4, 9]
    assert (tmp_path / "lost").exists()


def test_a_fault_of_the_work_is_told_at_once(dask: Executor) -> None:
    with pytest.raises(ZeroDivisionError):
        list(dask.map((1).__truediv__, [0]))
