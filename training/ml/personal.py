"""Which columns look like personal data, by their names and by what their cells look like. A suggestion, no proof."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pandas as pd

SAMPLE = 1_000  # cells of a column that are looked at
ENOUGH = 0.8  # share of the cells that must look alike

_NAMES = {
    "e-mail address": r"e_?mail",
    "phone number": r"(tele)?phone|mobile|fax",
    "national id": r"ssn|nino|(national|personal|tax)_id|social_security(_number)?|passport(_(no|number))?|ahv(_?nr)?",
    "name": r"(first|last|family|given|middle|full)_?name|surname|forename",
    "date of birth": r"dob|(date_of_)?birth(_?(date|day))?",
    "address": r"street|address|postal_code|post_?code|zip(_?code)?",
    "bank account": r"iban|account_(no|number)",
    "card number": r"(credit_?)?card_(no|number)|pan",
    "IP address": r"ip(_address)?",
}
_NAMED = {kind: re.compile(rf"(.*_)?({pattern})(_.*)?") for kind, pattern in _NAMES.items()}


class Suggestion(NamedTuple):
    """A column that may hold personal data: of which kind, and why it is thought so."""

    column: str
    kind: str
    why: str


def suggested(frame: pd.DataFrame) -> list[Suggestion]:
    """At most one suggestion a column of a canonical frame, in order; what cells look like goes before a name.

    >>> suggested(pd.DataFrame({"contact": ["a@b.org", "c@d.org"], "phone_home": [1, 2], "age": [3, 4]}))
    [Suggestion(column='contact', kind='e-mail address', why='2 of 2 values look like one'), \
Suggestion(column='phone_home', kind='phone number', why='its name')]
    """
    return [found for name in frame.columns if (found := _suggestion(str(name), frame[name]))]


def _suggestion(name: str, column: pd.Series[Any]) -> Suggestion | None:
    cells = _sample(column)
    for kind, looks in _LOOKS.items():
        like = sum(map(looks, cells))
        if cells and like >= ENOUGH * len(cells):
            return Suggestion(name, kind, f"{like:,} of {len(cells):,} values look like one")
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
    kinds = (kind for kind, pattern in _NAMED.items() if pattern.fullmatch(plain))
    return next((Suggestion(name, kind, "its name") for kind in kinds), None)


def _sample(column: pd.Series[Any]) -> list[str]:
    """Texts from all over the column; numbers are told by their name alone, but for long whole ones."""
    present = column.dropna()
    picked = present.iloc[:: max(1, len(present) // SAMPLE)].head(SAMPLE)
    if pd.api.types.is_float_dtype(picked):
        return []
    return [str(cell).strip() for cell in picked]


def _matching(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda cell: bool(compiled.fullmatch(cell))


def _is_iban(cell: str) -> bool:
    """ISO 13616: the rest of a division by 97 is 1."""
    plain = cell.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", plain):
        return False
    return int("".join(str(int(mark, 36)) for mark in plain[4:] + plain[:4])) % 97 == 1


def _is_card(cell: str) -> bool:
    """ISO/IEC 7812: 13 to 19 digits whose Luhn sum is a multiple of 10.

    >>> _is_card("4111 1111 1111 1111"), _is_card("4111 1111 1111 1112")
    (True, False)
    """
    plain = re.sub(r"[ -]", "", cell)
    return bool(re.fullmatch(r"[2-6][0-9]{12,18}", plain)) and sum(_luhn(plain)) % 10 == 0


def _luhn(digits: str) -> Iterator[int]:
    for place, mark in enumerate(reversed(digits)):
        doubled = int(mark) * (1 + place % 2)
        yield doubled - 9 * (doubled > 9)


_LOOKS: dict[str, Callable[[str], bool]] = {
    "e-mail address": _matching(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"),
    "bank account": _is_iban,
    "card number": _is_card,
    "national id": _matching(
        r"[0-9]{3}-[0-9]{2}-[0-9]{4}"  # United States
        r"|[A-CEGHJ-PR-TW-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"  # United Kingdom
        r"|756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}"  # Switzerland
    ),
    "IP address": _matching(r"((25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"),
    "phone number": _matching(
        r"\+[0-9][0-9 ()./-]{6,18}[0-9]|0[0-9]{1,4}[ /-][0-9 /-]{5,12}[0-9]|\(?[0-9]{3}\)?[ -][0-9]{3}-[0-9]{4}"
    ),
}
