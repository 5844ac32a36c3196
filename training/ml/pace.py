"""How long the rest of a search may take, at the pace of what is done."""

from collections.abc import Mapping, Sequence

Span = tuple[float, float]
RECENT = 10  # trials that a pace is told by


def seconds_left(spent: Mapping[str, Sequence[Span]], n_trials: int, *, rest: int) -> float | None:
    """Seconds for what `spent`, by model type the start and end of each finished trial, leaves of `n_trials` each.

    A type that has not begun is taken to be as slow as the mean of those that have. `rest` are the trials that are left
    in all: more than the types' own (a nested search) go at the mean pace of all. None before any trial has ended.

    >>> seconds_left({"forest": [(0, 2), (2, 4)], "linear": []}, 4, rest=6)
    12.0
    """
    paces = {name: _pace(spans) for name, spans in spent.items() if spans}
    if not paces:
        return None
    usual = sum(paces.values()) / len(paces)
    todo = {name: max(0, n_trials - len(spans)) for name, spans in spent.items()}
    own = sum(count * paces.get(name, usual) for name, count in todo.items())
    return own + max(0, rest - sum(todo.values())) * usual


def _pace(spans: Sequence[Span]) -> float:
    """Seconds a trial: several workers are quicker than a trial is long, a pause between two attempts is nobody's."""
    last = sorted(spans, key=lambda span: span[1])[-RECENT:]
    alone = sum(end - start for start, end in last) / len(last)
    together = (max(end for _, end in last) - min(start for start, _ in last)) / len(last)
    return min(alone, together)
