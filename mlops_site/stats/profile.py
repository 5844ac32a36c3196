"""A window of rows as counts on the reference's bins: small, frozen, and it adds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mlops_site.stats import codec
from mlops_site.stats.bins import Bins, CategoryBins, Counts, FeatureBins, NumericBins
from mlops_site.stats.cells import Cells, read_cells
from mlops_site.stats.exact import Moments
from mlops_site.stats.reference import reference_bins

__all__ = ["Bins", "CategoryBins", "Moments", "NumericBins", "Profile", "profile", "reference_bins"]


@dataclass(frozen=True, eq=False)
class Profile:
    """`rows` rows counted on `bins`: one int64 array of all features' counts, and moments of the numbers.

    Profiles on the same bins form a group: `+` is associative and commutative, `-` undoes it, and both
    are exact, so that a correction is the profile of the new rows minus that of the old ones (counts may
    then be negative) and folded profiles equal a recomputation. Each feature's counts sum to `rows`.
    """

    bins: Bins
    rows: int
    counts: Counts
    moments: Mapping[str, Moments]

    @classmethod
    def empty(cls, bins: Bins) -> Profile:
        """No rows: the neutral element of `+`."""
        numbers = [name for name, feature in bins.features.items() if feature.kind == "number"]
        return cls(bins, 0, np.zeros(bins.width, dtype=np.int64), {name: Moments() for name in numbers})

    def counts_of(self, name: str) -> Counts:
        """Counts of one feature, in the layout of its bins."""
        return self.counts[self.bins.slices[name]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return (
            self.bins.digest == other.bins.digest
            and self.rows == other.rows
            and np.array_equal(self.counts, other.counts)
            and self.moments == other.moments
        )

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Profile) -> Profile:
        check_same_bins(self.bins, other.bins)
        moments = {name: own + other.moments[name] for name, own in self.moments.items()}
        return Profile(self.bins, self.rows + other.rows, self.counts + other.counts, moments)

    def __sub__(self, other: Profile) -> Profile:
        check_same_bins(self.bins, other.bins)
        moments = {name: own - other.moments[name] for name, own in self.moments.items()}
        return Profile(self.bins, self.rows - other.rows, self.counts - other.counts, moments)

    @property
    def digest(self) -> str:
        """sha256 of what equality compares, in hexadecimal: neither extremes nor compression matter."""
        return hashlib.sha256(codec.payload(self._header(extremes=False), self.counts)).hexdigest()

    def to_bytes(self, *, with_bins: bool = True) -> bytes:
        """Compact bytes without pickle. Without the bins only their digest travels (for many windows)."""
        bins = {"bins": self.bins.as_json()} if with_bins else {}
        return codec.pack(self._header(extremes=True) | bins, self.counts)

    def _header(self, *, extremes: bool) -> dict[str, Any]:
        moments = {name: own.to_json(extremes=extremes) for name, own in self.moments.items()}
        return {"rows": self.rows, "digest": self.bins.digest, "moments": moments}

    @classmethod
    def from_bytes(cls, data: bytes, bins: Bins | None = None) -> Profile:
        """The reverse of `to_bytes`. `bins` must be given for bytes that were written without them.

        Raises ValueError for bytes that are cut, altered or too large, and for other bins than theirs.
        """
        header, counts = codec.unpack(data)
        try:
            own = Bins.from_json(header["bins"]) if "bins" in header else bins
            rows, digest = int(header["rows"]), str(header["digest"])
            moments = {str(name): Moments.from_json(fields) for name, fields in header["moments"].items()}
        except (AttributeError, KeyError, OverflowError, TypeError, ZeroDivisionError) as error:
            raise ValueError(f"profile must have a complete header but got {error!r}") from error
        if own is None:
            raise ValueError(f"bins must be given for a profile without them, of digest {digest}")
        if own.digest != digest or (bins is not None and bins.digest != digest):
            raise ValueError(f"bins must have the digest {digest} but got {(bins or own).digest}")
        found = cls(own, rows, counts, moments)
        found._check()
        return found

    @classmethod
    def sum_of_bytes(cls, parts: Iterable[bytes], bins: Bins) -> Profile:
        """Sum of profiles that were written without their bins: what `from_bytes` and `+` give, several times as fast.

        Raises ValueError as `from_bytes` does.
        """
        rows, counts = 0, np.zeros(bins.width, dtype=np.int64)
        moments: dict[str, list[list[Any]]] = {name: [] for name in cls.empty(bins).moments}
        try:
            for data in parts:
                header, own = codec.unpack(data)
                if header["digest"] != bins.digest:
                    raise ValueError(f"bins must have the digest {header['digest']} but got {bins.digest}")
                _check_sums(bins, int(header["rows"]), own)
                rows, counts = rows + int(header["rows"]), counts + own
                for name, known in moments.items():
                    known.append(header["moments"][name])
            sums = {name: Moments.sum_of_json(known) for name, known in moments.items()}
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ZeroDivisionError) as error:
            raise ValueError(f"profile must have a complete header but got {error!r}") from error
        return cls(bins, rows, counts, sums)

    def _check(self) -> None:
        _check_sums(self.bins, self.rows, self.counts)
        if self.moments.keys() != Profile.empty(self.bins).moments.keys():
            raise ValueError(f"profile must hold the moments of its numbers but got {[*self.moments]}")


def _check_sums(bins: Bins, rows: int, counts: Counts) -> None:
    if len(counts) != bins.width:
        raise ValueError(f"profile must hold {bins.width} counts but got {len(counts)}")
    sums = np.add.reduceat(counts, bins.starts).tolist() if bins.features else []
    for name, found in zip(bins.features, sums, strict=True):
        if found != rows:
            raise ValueError(f'counts of "{name}" must sum to {rows} but got {found}')


def profile(frame: pd.DataFrame, bins: Bins) -> Profile:
    """Count the rows of a raw or canonical frame on `bins`; raises nothing.

    Cells that cannot be read (text in a number, an infinite value, an absent column) are counted as
    unreadable in their own column and leave the others alone.

    >>> bins = reference_bins(pd.DataFrame({"age": [20, 30, 40]}), {"age": "number"}, salt="m")
    >>> profile(pd.DataFrame({"age": [25, 70, None]}), bins).counts_of("age").tolist()
    [0, 0, 1, 0, 1, 1, 0]
    """
    columns = {}
    for name, own in bins.features.items():
        columns[name] = Column.of(read_cells(name, frame.get(name), own.kind, rows=len(frame)), own)
    return profile_of(columns, bins, len(frame))


class Column(NamedTuple):
    """The part of a profile that is one feature's: its counts, and moments of a number."""

    counts: Counts
    moments: Moments | None

    @classmethod
    def of(cls, cells: Cells, bins: FeatureBins) -> Column:
        return cls(bins.count(cells), Moments.of(cells.present) if bins.kind == "number" else None)


def profile_of(columns: Mapping[str, Column], bins: Bins, rows: int) -> Profile:
    """A profile of `rows` rows from its columns, by name."""
    counts = np.zeros(bins.width, dtype=np.int64)
    for name, place in bins.slices.items():
        counts[place] = columns[name].counts
    moments = {name: own.moments for name, own in columns.items() if own.moments is not None}
    return Profile(bins, rows, counts, moments)


def check_same_bins(first: Bins, second: Bins) -> None:
    """ValueError that names the first feature whose bins differ."""
    if first is second or first.digest == second.digest:
        return
    for name in [*first.features, *second.features]:
        if first.features.get(name) != second.features.get(name):
            raise ValueError(f'profiles must have the same bins but those of "{name}" differ')
    raise ValueError(f"profiles must have their features in one order but got {[*second.features]}")
