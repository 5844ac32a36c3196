"""Search spaces as data: what may be tried for one parameter, and how a caller narrows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import optuna

Value = float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class IntRange:
    """Whole numbers from `low` to `high`; an override may go from `least` to `most`."""

    low: int
    high: int
    log: bool = False
    least: int = 1
    most: int = 10_000

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        return trial.suggest_int(name, self.low, self.high, log=self.log)

    def __contains__(self, value: Any) -> bool:
        return _is_number(value, int) and self.low <= value <= self.high

    def overridden(self, name: str, override: object) -> Self:
        low, high = _bounds(name, override, int)
        _check_bounds(name, low, high, self.least, self.most)
        return replace(self, low=low, high=high)

    def describe(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Real numbers from `low` to `high`; an override may go from `least` to `most`."""

    low: float
    high: float
    log: bool = False
    least: float = 1e-9
    most: float = 1e9

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def __contains__(self, value: Any) -> bool:
        return _is_number(value, (int, float)) and self.low <= value <= self.high

    def overridden(self, name: str, override: object) -> Self:
        low, high = _bounds(name, override, (int, float))
        _check_bounds(name, low, high, self.least, self.most)
        return replace(self, low=float(low), high=float(high))

    def describe(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values; an override may only drop some."""

    choices: tuple[Value, ...]

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        chosen: Value = trial.suggest_categorical(name, self.choices)
        return chosen

    def __contains__(self, value: Any) -> bool:
        # 1 and True are equal but are not the same parameter.
        return any(value == known and type(value) is type(known) for known in self.choices)

    def overridden(self, name: str, override: object) -> Self:
        values: Any = override.get("choices") if isinstance(override, Mapping) else [override]
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise ValueError(f'{name} must be {{"choices": [...]}} or one value but got {override!r}')
        if unknown := [value for value in values if value not in self]:
            raise ValueError(f"{name} must be among {list(self.choices)} but got {unknown[0]!r}")
        return replace(self, choices=tuple(values))

    def describe(self) -> dict[str, Any]:
        return {"choices": list(self.choices)}


Range = IntRange | FloatRange | Choice
Space = Mapping[str, Range]


def overridden(space: Space, overrides: Mapping[str, object]) -> dict[str, Range]:
    """Return the space with some parameters narrowed, widened within their limits, or fixed to one value.

    Raises:
        ValueError: an unknown parameter, a wrong type or a bound beyond the parameter's limits.

    >>> overridden({"depth": IntRange(2, 6)}, {"depth": {"low": 3, "high": 9}})["depth"].describe()
    {'low': 3, 'high': 9, 'log': False}
    """
    check_names(overrides, space)
    return {name: part.overridden(name, overrides[name]) if name in overrides else part for name, part in space.items()}


def check_names(given: Mapping[str, object], space: Space) -> None:
    """Refuse parameters that the space does not know."""
    if unknown := sorted(set(given) - set(space)):
        raise ValueError(f"parameters must be among {', '.join(sorted(space))} but got {', '.join(unknown)}")


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Value]:
    """Ask Optuna for one point of the space."""
    return {name: part.suggest(trial, name) for name, part in space.items()}


def _is_number(value: object, kinds: Any) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _bounds(name: str, override: object, kinds: Any) -> tuple[Any, Any]:
    pair = (override, override)
    if isinstance(override, Mapping) and set(override) == {"low", "high"}:
        pair = (override["low"], override["high"])
    if not all(_is_number(bound, kinds) for bound in pair):
        whole = "whole numbers" if kinds is int else "numbers"
        raise ValueError(f'{name} must be {{"low", "high"}} in {whole}, or one of them, but got {override!r}')
    return pair


def _check_bounds(name: str, low: float, high: float, least: float, most: float) -> None:
    if not least <= low <= high <= most:
        raise ValueError(f"{name} must have {least} <= low <= high <= {most} but got low {low}, high {high}")
