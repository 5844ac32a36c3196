"""A version as it is served: what scoring with it needs, and what it says."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, cast

from django.utils.functional import SimpleLazyObject

from registry.artifacts.rows import Columns
from registry.artifacts.scorer import Scorer, using
from registry.models import Artifact, Version

MOST_FAULTS = 16  # rows that are looked for one by one before a version is taken to fail on all that is left


class Said(NamedTuple):
    """What a version says of one row. `decision` is 1 from `threshold` on; both are None unless there are two classes.
    `probabilities` are those of each class, where there are more."""

    prediction: Any
    score: float | None
    probabilities: dict[str, float] | None
    decision: int | None
    threshold: float | None


class Served(NamedTuple):
    """Columns of a version, which stay as they are for good."""

    version_id: int
    major: int
    minor: int
    patch: int
    threshold: float
    digest: str
    serving_digest: str | None

    @property
    def number(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def scorer(self) -> AbstractContextManager[Scorer]:
        """From this process's memory by digest and version; the signature is read only when it is not there."""
        signature = SimpleLazyObject(
            lambda: Version.objects.values_list("signature", flat=True).get(pk=self.version_id)
        )
        digest = self.serving_digest or self.digest
        return using(digest, _format(digest), cast(Mapping[str, Any], signature), key=self.version_id)

    def say(self, scorer: Scorer, columns: Columns) -> list[Said]:
        """What it says of checked rows. Raises whatever the model stumbles over."""
        scores = scorer.score(columns)
        is_binary, by_class = scorer.signature.is_binary, scores.by_class(scorer.signature)
        said = []
        for i in range(columns.rows):
            score = None if scores.score is None else float(scores.score[i])
            probabilities = None if by_class is None else by_class[i]
            decided = is_binary and score is not None
            decision = int(score >= self.threshold) if decided and score is not None else None
            threshold = self.threshold if decided else None
            said.append(Said(scores.prediction[i].item(), score, probabilities, decision, threshold))
        return said

    def try_each(self, scorer: Scorer, rows: Sequence[Mapping[str, Any]]) -> list[Said | Exception]:
        """The same of rows as they were sent: of each what is said, or what was wrong with this one. Where something
        is, it is looked for half by half, so that no other row suffers from it."""
        found: list[Said | Exception] = []
        faults = 0
        waiting = [rows]
        while waiting:
            part = waiting.pop()
            try:
                found += self.say(scorer, scorer.check_rows(part))
            except Exception as error:
                if len(part) > 1 and faults < MOST_FAULTS:
                    half = len(part) // 2
                    waiting += [part[half:], part[:half]]
                else:
                    faults += 1
                    found += [error] * len(part)
        return found


COLUMNS = ("major", "minor", "patch", "threshold", "artifact_id", "serving_id")  # after the version's id


def served(version_id: int) -> Served:
    """The version as it is served, whatever its stage."""
    return Served(version_id, *Version.objects.values_list(*COLUMNS).get(pk=version_id))


@functools.lru_cache(maxsize=10_000)
def _format(digest: str) -> str:
    """Of an artifact, for good: a digest names one content."""
    return Artifact.objects.values_list("format", flat=True).get(pk=digest)
