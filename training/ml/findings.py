"""What a quality gate found: checks with what was seen and expected, and which of them a waiver covers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

Severity = Literal["block", "warn"]
Stage = Literal["ingest", "training", "registration"]
SHOWN = 5  # rows and samples of a check
MASK = "•••"  # stands for a value of a column with personal data

# what no waiver can make right: without it nothing can be trained, or what is made could not be served
NEVER_WAIVED = frozenset({
    "target_column", "time_column", "group_column", "target_missing", "usable_rows", "target_kind", "constant_target",
    "classes", "group_missing", "time_order", "scores_finite", "signature_columns", "golden_rows", "lapsed_waiver",
})  # fmt: skip

ADVICE = {
    "target_missing": "Fill in the target where it is known; rows without one cannot be learned from.",
    "usable_rows": "Upload more rows that have a target.",
    "target_kind": "Name a column of numbers as the target, or make a model for classification.",
    "constant_target": "Name a target that varies, or upload rows of more than one outcome.",
    "classes": "Name a target with 2 to 100 classes, or upload rows of more than one class.",
    "duplicate_rows": "Remove repeated rows at the source, or waive this if one row may stand for several cases.",
    "group_missing": "Fill in the group of every row, or declare no group column.",
    "time_order": "Write every time as a number or an ISO date, or declare no time column.",
    "empty_column": "Leave the column out, or find out why its source sends nothing.",
    "constant_column": "Leave the column out: nothing can be learned from it.",
    "many_levels": "Leave the column out of the features if it names each case.",
    "target_copy": "Leave the column out of the features unless it is known when predicting.",
    "target_nearly_told": "Make sure that the column is known when predicting; if it is not, leave it out.",
    "schema": "",
    "schema_missing": "Have the source send the column again, or take it out of the expectations.",
    "schema_kind": "Correct the values that are of another type, or change the expectation.",
    "schema_extra": "Add the column to the expectations, or leave it out of the file.",
    "schema_nulls": "Find out why values are missing, or expect a larger share.",
    "schema_range": "Correct the values, or widen the range if they are right.",
    "schema_levels": "Correct the spelling, or add the new levels if they are right.",
    "schema_unique": "Remove the repeated values, or expect the column to repeat.",
    "schema_pattern": "Correct the values, or change the pattern if they are right.",
    "schema_rows": "Make sure that the file is complete, or expect another number of rows.",
    "schema_duplicates": "Remove repeated rows at the source, or expect a larger share.",
    "entity_overlap": "Declare the column as the data set's group, and make the folds by group; in time order, "
    "`group_time` leaves a group's earlier rows out of what is trained on.",
    "rows_overlap": "Remove repeated rows, or declare the group that they come from.",
    "after_prediction": "Leave the column out, or take its value as it was known at the time of the prediction.",
    "known_when": "Fill in when the value became known; until then nothing shows that it was there in time.",
    "scores_finite": "Look at the model type and its parameters: it answered with no number.",
    "scores_vary": "Look at the features and the search: the model answers the same to every row.",
    "predictions_in_range": "Compare the rows named with the training data, or try another model type.",
    "signature_columns": "Train again: the model expects other columns than the data set has.",
    "golden_rows": "Train again: the stored model does not answer as the one that was trained.",
    "too_good": "Look for a feature that is known only after the outcome.",
    "lapsed_waiver": "Have the waiver given again, or correct the data.",
}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One condition on a table, a column or a model; `where` holds the first failing data rows, counted from 1,
    `samples` what stands there, `observed` and `expected` plain values, None where there is nothing to tell."""

    name: str
    column: str | None
    severity: Severity
    passed: bool
    message: str
    where: tuple[int, ...] = ()
    observed: Any = None
    expected: Any = None
    samples: tuple[Any, ...] = ()
    waiver: dict[str, Any] | None = None

    @property
    def blocks(self) -> bool:
        return not self.passed and self.severity == "block" and self.waiver is None

    @property
    def is_waivable(self) -> bool:
        return self.name not in NEVER_WAIVED

    @property
    def advice(self) -> str:
        """What to do about it."""
        return "" if self.passed else ADVICE.get(self.name, "")

    @property
    def query(self) -> str:
        """Which check and column it is, in an address."""
        return urlencode({"check": self.name, **({"column": self.column} if self.column else {})})

    def to_json(self) -> dict[str, Any]:
        said = {**asdict(self), "where": list(self.where), "samples": list(self.samples)}
        return {**said, "advice": self.advice}


class Waived(NamedTuple):
    """A waiver in force: for one check, of one column or (empty) of the table."""

    id: int
    check: str
    column: str
    by: str
    reason: str
    until: str  # the last day, YYYY-MM-DD

    def covers(self, name: str, column: str | None) -> bool:
        return name == self.check and (column or "") == self.column and name not in NEVER_WAIVED


@dataclass(frozen=True)
class QualityReport:
    """All checks of a table; it may be trained on when no blocking check failed, but for those that are waived."""

    rows: int
    usable_rows: int
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return not self.blocks

    @property
    def blocks(self) -> list[Check]:
        return [check for check in self.checks if check.blocks]

    @property
    def warnings(self) -> list[Check]:
        return [check for check in self.checks if not check.passed and check.severity == "warn"]

    @property
    def waived(self) -> list[Check]:
        return [check for check in self.checks if check.waiver is not None]

    def waive(self, waivers: Iterable[Waived]) -> QualityReport:
        """The same report with the waivers that cover what failed."""
        return replace(self, checks=tuple(_under(check, list(waivers)) for check in self.checks))

    def to_json(self) -> dict[str, Any]:
        checks = [check.to_json() for check in self.checks]
        return {"passed": self.passed, "rows": self.rows, "usable_rows": self.usable_rows, "checks": checks}

    @classmethod
    def of(cls, said: dict[str, Any]) -> QualityReport:
        """A report from its JSON; one that an earlier release wrote has less to tell."""
        names = Check.__dataclass_fields__.keys()
        checks = [{name: value for name, value in each.items() if name in names} for each in said.get("checks", [])]
        rows = said.get("rows", 0)
        return cls(rows, said.get("usable_rows", rows), tuple(Check(**_tupled(each)) for each in checks))


def _tupled(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "where": tuple(said.get("where", ())), "samples": tuple(said.get("samples", ()))}


def _under(check: Check, waivers: Sequence[Waived]) -> Check:
    if check.passed or check.severity != "block":
        return check
    found = next((waiver for waiver in waivers if waiver.covers(check.name, check.column)), None)
    if found is None:
        return replace(check, waiver=None)
    return replace(check, waiver={"id": found.id, "by": found.by, "reason": found.reason, "until": found.until})


def rows_where(mask: Any) -> tuple[int, ...]:
    """The first rows (counted from 1) where a mask (n,) is true."""
    import numpy as np  # which no web process needs to read a report

    return tuple(int(at) + 1 for at in np.flatnonzero(np.asarray(mask))[:SHOWN])


def sampled(values: Iterable[Any], column: str | None, private: Collection[str]) -> tuple[Any, ...]:
    """A few values as JSON holds them, masked where the column has personal data.

    >>> sampled([1, "a"], "age", ()), sampled([1, 2], "name", {"name"})
    ((1, 'a'), ('•••', '•••'))
    """
    few = [value for _, value in zip(range(SHOWN), values, strict=False)]
    return tuple(MASK if column in private else plain(value) for value in few)


def plain(value: Any) -> Any:
    """A cell as JSON holds it: missing is null, long text is cut."""
    value = value.item() if hasattr(value, "item") else value  # one of NumPy's
    if value is None or value != value:
        return None
    return value if isinstance(value, int | float | bool) else str(value)[:80]


def written(value: Any) -> str:
    """A number as somebody would type it, text with its quotes."""
    return f"{value:.10g}" if isinstance(value, float) else repr(value)[:40]
