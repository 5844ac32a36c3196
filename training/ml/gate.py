"""The statistical gate: is a challenger good enough, and no worse than the champion on the same holdout rows?"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import scipy  # loads its parts at their first use
from numpy.typing import ArrayLike

from mlops_site.stats import intervals, metrics
from mlops_site.stats.intervals import Interval
from mlops_site.stats.scored import ScoredRows
from training.ml.slices import Slices, large

Level = Literal["pass", "fail", "remark"]


@dataclass(frozen=True)
class Policy:
    """What a model's owner asks of a challenger.

    `threshold` bounds the metric's holdout estimate (from below where greater is better, else from above).
    `need` is what the comparison must show: "non_inferior" (worse by less than `margin`) or "superior".
    """

    metric: str
    threshold: float | None = None
    need: Literal["non_inferior", "superior"] = "non_inferior"
    margin: float = 0.01
    min_rows: int = 200
    min_class_rows: int = 20
    min_slice_rows: int = 100
    alpha: float = 0.05
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.need not in ("non_inferior", "superior"):
            raise ValueError(f'need must be "non_inferior" or "superior" but got {self.need!r}')
        if self.margin < 0 or not 0 < self.alpha < 1:
            raise ValueError(f"margin must be at least 0 and alpha in (0, 1) but got {self.margin}, {self.alpha}")


@dataclass(frozen=True)
class Check:
    """One condition: `level` is "remark" where it does not apply, and then `passed` is None."""

    name: str
    level: Level
    message: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool | None:
        return None if self.level == "remark" else self.level == "pass"


@dataclass(frozen=True)
class Gate:
    """All checks; the gate is passed when none failed."""

    checks: tuple[Check, ...]
    policy: Policy

    @property
    def passed(self) -> bool:
        return all(check.level != "fail" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        checks = [{**asdict(check), "passed": check.passed} for check in self.checks]
        return {"passed": self.passed, "checks": checks, "policy": asdict(self.policy)}


def judge(
    challenger: ScoredRows,
    *,
    champion: ScoredRows | None,
    policy: Policy,
    groups: ArrayLike | None = None,
    slices: Slices | None = None,
) -> Gate:
    """Judge two models' answers on the same n holdout rows; `groups` and each of `slices` are (n,).

    Groups (persons) are resampled whole. Without a champion the comparisons are remarks, never passes.

    Raises:
        ValueError: the metric is not one of the task, or the rows of the two models differ.
    """
    metrics.metric_named(policy.metric, task_type=challenger.task_type)
    if champion is None:
        names = ("comparison", "calibration", "slices")
        message = "Not applicable: no version is in production to compare with."
        return Gate((_rows(challenger, policy), _threshold(challenger, policy, groups),
                     *(Check(name, "remark", message) for name in names)), policy)  # fmt: skip
    if not np.array_equal(challenger.truth, champion.truth) or challenger.classes != champion.classes:
        raise ValueError("challenger and champion must answer the same rows but their truth or classes differ")
    return Gate(
        (
            _rows(challenger, policy),
            _threshold(challenger, policy, groups),
            compared(challenger, champion, policy, groups),
            _calibration(challenger, champion, policy, groups),
            _slices(challenger, champion, policy, groups, slices or {}),
        ),
        policy,
    )


def _level(passed: bool) -> Level:
    return "pass" if passed else "fail"


def _uncomputable(name: str, problem: ValueError) -> Check:
    return Check(name, "fail", f"Cannot be computed on this holdout: {problem}.")


def _rows(rows: ScoredRows, policy: Policy) -> Check:
    values: dict[str, Any] = {"rows": len(rows), "min_rows": policy.min_rows}
    enough, message = len(rows) >= policy.min_rows, f"The holdout has {len(rows):,} rows"
    if rows.classes:
        fewest = int(np.bincount(rows.truth, minlength=len(rows.classes)).min())
        values |= {"fewest_of_a_class": fewest, "min_class_rows": policy.min_class_rows}
        enough = enough and fewest >= policy.min_class_rows
        message += f", {fewest:,} of the rarest class"
    message += f"; at least {policy.min_rows:,}" + (f" and {policy.min_class_rows:,}" if rows.classes else "")
    return Check("holdout_rows", _level(enough), f"{message} are needed.", values)


def _threshold(rows: ScoredRows, policy: Policy, groups: ArrayLike | None) -> Check:
    try:
        found = intervals.bootstrap(
            policy.metric, rows, groups=groups, draws=policy.draws, level=1 - policy.alpha, seed=policy.seed
        )
    except ValueError as problem:
        return _uncomputable("threshold", problem)
    values = {**_values(found), "threshold": policy.threshold}
    said = f"{policy.metric} on the holdout is {found.estimate:.4f} ({_range(found)})"
    if policy.threshold is None:
        return Check("threshold", "remark", f"{said}; no threshold was set.", values)
    greater = metrics.METRICS[policy.metric].greater_is_better
    enough = found.estimate >= policy.threshold if greater else found.estimate <= policy.threshold
    asked = f"at {'least' if greater else 'most'} {policy.threshold:.4f} is needed"
    return Check("threshold", _level(enough), f"{said}; {asked}.", values)


def compared(challenger: ScoredRows, champion: ScoredRows, policy: Policy, groups: ArrayLike | None = None) -> Check:
    """The comparison alone: is the challenger no worse, or better, as the policy needs? It errs in alpha / 2 of cases:
    the lower end of a two-sided interval decides (benchmarks/gate.py measures it)."""
    try:
        gain = _gain(policy.metric, challenger, champion, policy, groups)
    except ValueError as problem:
        return _uncomputable("comparison", problem)
    superior = policy.need == "superior"
    bound = 0.0 if superior else -policy.margin
    message = (
        f"Against the champion the gain in {policy.metric} is {gain.estimate:+.4f} ({_range(gain, sign='+')}); "
        f"to be {'better' if superior else 'no worse'} the lower end must lie above {bound:+.4f}."
    )
    values = {**_values(gain), "need": policy.need, "bound": bound, "p_value": gain.p_value}
    return Check("comparison", _level(gain.lower > bound), message, values)


def _calibration(challenger: ScoredRows, champion: ScoredRows, policy: Policy, groups: ArrayLike | None) -> Check:
    if challenger.score is None or champion.score is None:
        return Check("calibration", "remark", "Not applicable: the models give values, not probabilities.")
    try:
        gain = _gain("brier", challenger, champion, policy, groups)
    except ValueError as problem:
        return _uncomputable("calibration", problem)
    message = (
        f"The gain in the Brier score is {gain.estimate:+.4f} ({_range(gain, sign='+')}); "
        "it is worse only if the whole interval lies below 0."
    )
    return Check("calibration", _level(gain.upper >= 0), message, _values(gain))


def _slices(
    challenger: ScoredRows, champion: ScoredRows, policy: Policy, groups: ArrayLike | None, slices: Slices
) -> Check:
    """One-sided tests for harm, each by the bootstrap's standard error, under Holm."""
    tested: list[dict[str, Any]] = []
    skipped: list[str] = []
    for label, mask in large(slices, policy.min_slice_rows):
        part = None if groups is None else np.asarray(groups)[mask]
        try:
            gain = _gain(policy.metric, challenger.take(mask), champion.take(mask), policy, part)
        except ValueError:
            skipped.append(label)
            continue
        tested.append({"slice": label, "rows": int(mask.sum()), "gain": gain.estimate, "p_value": _harm(gain)})
    if not tested:
        message = f"Not applicable: no slice has {policy.min_slice_rows:,} rows on which the metric has a value."
        return Check("slices", "remark", message)
    for entry, adjusted in zip(tested, intervals.holm([entry["p_value"] for entry in tested]), strict=True):
        entry["adjusted"] = float(adjusted)
    worse = [entry["slice"] for entry in tested if entry["adjusted"] <= policy.alpha]
    lowest = min(tested, key=lambda entry: entry["gain"])
    message = (
        f"{len(worse)} of {len(tested)} slices are significantly worse"
        + (f" ({', '.join(worse)})" if worse else "")
        + f"; the largest loss is {lowest['gain']:+.4f} in {lowest['slice']} "
        f"({lowest['rows']:,} rows, adjusted p = {lowest['adjusted']:.3f})."
    )
    return Check("slices", _level(not worse), message, {"slices": tested, "not_computable": skipped})


def _gain(
    metric: str, challenger: ScoredRows, champion: ScoredRows, policy: Policy, groups: ArrayLike | None
) -> Interval:
    """How much better the challenger is, positive for better whichever way the metric points."""
    pair = (champion, challenger) if metrics.METRICS[metric].greater_is_better else (challenger, champion)
    return intervals.paired_bootstrap(
        metric, *pair, groups=groups, draws=policy.draws, level=1 - policy.alpha, seed=policy.seed
    )


def _harm(gain: Interval) -> float:
    # Not the share of draws: its smallest value, 1 / (draws + 1), cannot survive Holm over many slices.
    if gain.se == 0:
        return float(gain.estimate >= 0)
    return float(scipy.special.ndtr(gain.estimate / gain.se))


def _values(found: Interval) -> dict[str, Any]:
    return {key: getattr(found, key) for key in ("estimate", "lower", "upper", "se")}


def _range(found: Interval, *, sign: str = "") -> str:
    return f"{100 * found.level:g} % interval {found.lower:{sign}.4f} to {found.upper:{sign}.4f}"
