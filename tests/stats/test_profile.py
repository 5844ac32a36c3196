"""Profiles add, subtract and travel."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_site.stats import codec
from mlops_site.stats.columns import Kind
from mlops_site.stats.profile import Bins, NumericBins, Profile, profile, reference_bins

KINDS: dict[str, Kind] = {"amount": "number", "site": "category"}
REFERENCE = pd.DataFrame({"amount": [0.0, 1.5, 3.0, 10.0], "site": ["a", "b", "b", None]})
BINS = reference_bins(REFERENCE, KINDS, salt="m")

rows = st.tuples(
    st.none() | st.floats(-1e151, 1e151) | st.sampled_from([np.inf, "text", True]),
    st.none() | st.sampled_from(["a", "b", "new", 3, ("odd",)]),
)
windows = st.lists(rows, max_size=12)


def window(cells: list[tuple[object, object]]) -> Profile:
    columns = zip(*cells, strict=True) if cells else ([], [])
    frame = {name: pd.Series(list(column), dtype=object) for name, column in zip(KINDS, columns, strict=True)}
    return profile(pd.DataFrame(frame), BINS)


@given(windows, windows, windows)
def test_profiles_form_a_group_and_add_up_to_the_profile_of_all_rows(
    first: list[tuple[object, object]], second: list[tuple[object, object]], third: list[tuple[object, object]]
) -> None:
    a, b, c = window(first), window(second), window(third)
    assert (a + b) + c == a + (b + c) == window([*first, *second, *third])
    assert a + b == b + a
    assert a + Profile.empty(BINS) == a
    assert a + (b - a) == b
    assert a - a == Profile.empty(BINS)


@given(windows, windows)
def test_bytes_return_the_same_profile_even_of_a_correction(
    first: list[tuple[object, object]], second: list[tuple[object, object]]
) -> None:
    for one in (window(first), window(first) - window(second)):
        data, short = one.to_bytes(), one.to_bytes(with_bins=False)
        assert Profile.from_bytes(data) == Profile.from_bytes(short, BINS) == one
        assert Profile.from_bytes(data).to_bytes() == data
        assert Profile.from_bytes(short, BINS).digest == one.digest


def test_a_correction_moves_one_row() -> None:
    folded = window([(1.0, "a"), (2.0, "b")]) + (window([(9.0, "b")]) - window([(1.0, "a")]))
    assert folded == window([(2.0, "b"), (9.0, "b")])
    assert folded.digest == window([(2.0, "b"), (9.0, "b")]).digest
    assert folded.moments["amount"].mean == 5.5
    assert folded.moments["amount"].low == 1.0  # extremes are bounds: a correction cannot narrow them


def test_a_bad_column_is_counted_and_breaks_no_other() -> None:
    seen = profile(pd.DataFrame({"amount": ["x", 2.0, np.inf], "other": [1, 2, 3]}), BINS)
    assert seen.counts_of("amount").tolist() == [0, 0, 0, 1, 0, 0, 0, 2]
    assert seen.counts_of("site").tolist() == [0, 0, 0, 0, 0, 3]
    assert seen.rows == 3


def test_a_raw_and_a_canonical_frame_have_the_same_profile_in_any_order() -> None:
    frame = pd.DataFrame({"amount": [3, 0], "site": pd.Categorical(["b", None])})
    assert profile(frame, BINS) == profile(frame.iloc[::-1], BINS) == window([(3.0, "b"), (0.0, "")])


def test_profiles_on_other_bins_do_not_add() -> None:
    other = Bins({**BINS.features, "amount": NumericBins((0.0, 1.0))})
    turned = Bins(dict(reversed([*BINS.features.items()])))
    for combine in (Profile.__add__, Profile.__sub__):
        with pytest.raises(ValueError, match='must have the same bins but those of "amount" differ'):
            combine(Profile.empty(BINS), Profile.empty(other))
        with pytest.raises(ValueError, match="must have their features in one order"):
            combine(Profile.empty(BINS), Profile.empty(turned))
    assert Profile.empty(BINS) != Profile.empty(turned)
    assert Profile.empty(BINS) != 0


def test_bytes_without_bins_need_theirs() -> None:
    short = window([(1.0, "a")]).to_bytes(with_bins=False)
    assert len(short) < len(window([(1.0, "a")]).to_bytes())
    with pytest.raises(ValueError, match="bins must be given"):
        Profile.from_bytes(short)
    other = Bins({"amount": NumericBins((0.0, 1.0))})
    for data in (short, window([]).to_bytes()):
        with pytest.raises(ValueError, match=r"bins must have the digest .* but got"):
            Profile.from_bytes(data, other)


@given(st.data())
def test_altered_bytes_are_refused(data: st.DataObject) -> None:
    good = bytearray(window([(1.0, "a"), (None, "b")]).to_bytes())
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):
        Profile.from_bytes(bytes(good))


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    for content in (data, codec.MAGIC + data, codec.MAGIC + zlib.compress(data)):
        with pytest.raises(ValueError):
            Profile.from_bytes(content)


def valid_header() -> dict[str, object]:
    return window([(1.0, "a")])._header(extremes=True) | {"bins": BINS.as_json()}


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 2},
        {"rows": None},
        {"digest": "0"},
        {"bins": 3},
        {"bins": []},
        {"bins": [["amount", "number", [1.0]]]},
        {"bins": [["site", "category", [], ["x"], False, 0]]},
        {"moments": []},
        {"moments": {}},
        {"moments": {"amount": [1, "1e999999999", "1"]}},
        {"moments": {"amount": [1, "1/0", "1"]}},
        {"moments": {"amount": [1, 1, 1]}},
        {"moments": {"amount": [1]}},
    ],
    ids=str,
)
def test_a_header_that_lies_is_refused(change: dict[str, object]) -> None:
    counts = window([(1.0, "a")]).counts
    assert Profile.from_bytes(codec.pack(valid_header(), counts)) == window([(1.0, "a")])
    with pytest.raises(ValueError):
        Profile.from_bytes(codec.pack(valid_header() | change, counts))


def test_missing_fields_wrong_counts_and_endless_content_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = window([(1.0, "a")]).counts
    for name in valid_header():
        with pytest.raises(ValueError):
            Profile.from_bytes(codec.pack({k: v for k, v in valid_header().items() if k != name}, counts))
    with pytest.raises(ValueError, match="profile must hold 14 counts but got 13"):
        Profile.from_bytes(codec.pack(valid_header(), counts[:-1]))
    text = json.dumps([]).encode()
    for inner in (len(text).to_bytes(4, "little") + text, (99).to_bytes(4, "little"), b"\0\0\0\0" + b"[" * 99_999):
        with pytest.raises(ValueError):
            codec.unpack(codec.MAGIC + zlib.compress(inner))
    with pytest.raises(ValueError, match="must be whole"):
        Profile.from_bytes(window([]).to_bytes() + b"more")
    deep = b"[" * 200_000
    with pytest.raises(ValueError):
        codec.unpack(codec.MAGIC + zlib.compress(len(deep).to_bytes(4, "little") + deep))
    monkeypatch.setattr(codec, "LARGEST_BYTES", 10)
    with pytest.raises(ValueError, match="must be whole and up to 10 bytes"):
        Profile.from_bytes(window([]).to_bytes())


def test_many_profiles_as_bytes_add_up_like_the_profiles() -> None:
    random = np.random.default_rng(7)
    frame = pd.DataFrame({"age": random.normal(50, 10, 300), "site": random.choice(["a", "b", "c"], 300)})
    bins = reference_bins(frame, {"age": "number", "site": "category"}, salt="m")
    parts = [profile(frame.iloc[start : start + 40], bins) for start in range(0, 300, 40)]
    kept = [part.to_bytes(with_bins=False) for part in parts]
    found = Profile.sum_of_bytes(kept, bins)
    assert found == sum(parts, Profile.empty(bins)) == profile(frame, bins)
    assert (found.moments["age"].low, found.moments["age"].high) == (frame["age"].min(), frame["age"].max())
    assert Profile.sum_of_bytes([], bins) == Profile.empty(bins)


def test_one_bad_part_spoils_the_sum() -> None:
    bins = reference_bins(pd.DataFrame({"age": [20.0, 30.0]}), {"age": "number"}, salt="m")
    others = reference_bins(pd.DataFrame({"age": [20.0, 31.0]}), {"age": "number"}, salt="m")
    good = profile(pd.DataFrame({"age": [25.0]}), bins)
    header = {"rows": 1, "digest": bins.digest, "moments": {"age": [1, "25", "625/0"]}}
    bad = [
        good.to_bytes(with_bins=False)[:-2],
        Profile.empty(others).to_bytes(with_bins=False),
        codec.pack({**header, "rows": 2}, good.counts),
        codec.pack(header, good.counts),
        codec.pack({**header, "moments": {}}, good.counts),
        codec.pack(header, good.counts[:-1]),
    ]
    for data in bad:
        with pytest.raises(ValueError, match=r"must"):
            Profile.sum_of_bytes([good.to_bytes(with_bins=False), data], bins)
