"""JSON as RFC 8259 says, and no deeper than sense."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_site.core.api import parsers
from mlops_site.core.api.parsers import MAX_DEPTH, load_json
from mlops_site.core.errors import Malformed, TooLarge


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the body must be JSON"),
        (b"{", "the body must be JSON"),
        (b"{'a': 1}", "the body must be JSON"),
        (b'{"a": 1,}', "the body must be JSON"),
        (b'{"a": 1} x', "the body must be JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": Infinity}', "Infinity is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1e400}', "1e400 is beyond what a double holds"),
        (b'{"a": -1e400}', "-1e400 is beyond what a double holds"),
        (b'{"a": 1' + b"0" * 400 + b"}", "is beyond what a double holds"),
        (b'{"a": 1' + b"0" * 9000 + b"}", "is beyond what a double holds"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        (b'{"x": {"a": 1, "a": 1}}', "the key 'a' stands twice"),
        (b'{"a": "\xff"}', "the body must be UTF-8 but byte 7 is not"),
        (b'\xff\xfe{\x00"\x00', "the body must be UTF-8 but byte 0 is not"),
        (b'{"a": "\\u0000"}', "holds a NUL or half a surrogate pair"),
        (b'{"a\\u0000": 1}', "holds a NUL or half a surrogate pair"),
        (b'[["\\ud800"]]', "holds a NUL or half a surrogate pair"),
        (b'{"a": "\x00"}', "the body must be JSON"),
    ],
)
def test_what_is_not_json_is_refused_with_the_reason(text: bytes, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        load_json(text)
    assert message in caught.value.detail
    assert len(caught.value.detail) <= 300


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_bounded(depth: int, opening: str, closing: str) -> None:
    with pytest.raises(Malformed, match="must not be nested deeper than 32") as caught:
        load_json(f"{opening * depth}1{closing * depth}".encode())
    assert caught.value.code == "too_deep"


def test_depth_within_the_bound_is_fine() -> None:
    text = "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH
    assert load_json(text.encode()) == json.loads(text)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert load_json(b'"\\ud83d\\ude00"') == "😀"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=1)), inner),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_every_json_value_comes_back(value: Any, ensure_ascii: bool) -> None:
    assert load_json(json.dumps(value, ensure_ascii=ensure_ascii).encode()) == value


@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail_otherwise(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        load_json(data)


CELLS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.sampled_from('a0e+":\\ \t{}[],.N'), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.sampled_from('ae0":'), max_size=2), inner),
    max_leaves=8,
)
MARKS = st.sampled_from(['"', ":", " ", ",", "{", "}", "[", "]", "1", "e", "99", "0" * 200, "\\", '"a":1,', "NaN"])


@given(CELLS, st.sampled_from([None, 1]), st.booleans(), st.data())
def test_the_short_way_reads_what_the_careful_one_reads(
    value: Any, indent: Any, escaped: bool, data: st.DataObject
) -> None:
    """With a text that is right and with one that a mark was put into."""
    text = json.dumps(value, indent=indent, ensure_ascii=escaped)
    at = data.draw(st.integers(0, len(text)))
    for sent in (text, text[:at] + data.draw(MARKS) + text[at:]):
        short = parsers._plain(sent.encode())
        if short is not parsers._UNSURE:
            assert repr(short) == repr(parsers._careful(sent.encode()))


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a" : 2}', '{"a": 1, "a"\n: 2}', "1" + "0" * 250 + "e99", "1e999", "[1E+309]"]
)
def test_the_short_way_leaves_the_rest(text: str) -> None:
    assert parsers._plain(text.encode()) is parsers._UNSURE


def test_the_short_way_is_taken() -> None:
    assert parsers._plain(b'[{"a": 1.5, "at": "10:00:00Z", "c": {"d": [null, -0.1e-5]}}]') is not parsers._UNSURE


def test_millions_of_lists_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsers, "MAX_PARTS", 10)
    assert len(load_json(b"[" + b"[]," * 8 + b"{}]")) == 9
    for text in (b"[" + b"[]," * 9 + b"{}]", b'{"a": [' + b"{}," * 9 + b'"\\n"]}'):
        with pytest.raises(Malformed, match="at most 10 objects and lists"):
            load_json(text)
    (line,) = parsers.LinesParser().parse(io.BytesIO(b"[" * 11))
    assert line.code == "too_many_parts"


def test_lines_beyond_a_batch_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bytes] = []
    monkeypatch.setattr(parsers, "_line", looked.append)
    assert len(parsers.LinesParser().parse(io.BytesIO(b"1\r\n\n \n" * 10_000))) == 10_000
    with pytest.raises(TooLarge) as refused:
        parsers.LinesParser().parse(io.BytesIO(b"1\n" * 1_000_000))
    assert (refused.value.code, len(looked)) == ("too_many_rows", 20_000)
