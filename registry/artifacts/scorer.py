"""Scorers of stored artifacts: loaded by digest, kept in memory, proven before they go to production."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from django.conf import settings

from mlops_site.core import store
from mlops_site.core.errors import StewardError, Unavailable
from registry.artifacts import memory
from registry.artifacts.archive import Format, refused
from registry.artifacts.cache import BoundedCache
from registry.artifacts.engines import Scorer, Scores, golden, open_scorer
from registry.artifacts.signature import Signature

__all__ = ["Scorer", "Scores", "cached", "golden", "keep_ready", "load", "loaded", "preflight", "using"]

TOLERANCE = 1e-5
"""More than `graphs.exact` allows, for a golden row may be answered by another processor than it was made on."""

_GRAPH_FACTOR = 6  # memory of ONNX Runtime per byte of a graph, measured: its memory is its own


class ArtifactLike(Protocol):
    """A stored file: its sha256 and its format."""

    @property
    def digest(self) -> str: ...
    @property
    def format(self) -> str: ...


class VersionLike(Protocol):
    """What `preflight` needs of a version; `serving` is its ONNX form, if it has one."""

    @property
    def artifact(self) -> ArtifactLike: ...
    @property
    def serving(self) -> ArtifactLike | None: ...
    @property
    def signature(self) -> Mapping[str, Any]: ...
    @property
    def golden(self) -> Sequence[Mapping[str, Any]]: ...


def load(digest: str, form: str, signature: Mapping[str, Any] | Signature) -> Scorer:
    """The scorer of a stored artifact; NotFound, ArtifactDamaged, or Invalid if it does not fit."""
    return _load(digest, form, signature)[0]


def cached(digest: str, form: str, signature: Mapping[str, Any] | Signature, *, key: Hashable = None) -> Scorer:
    """The same, from this process's memory if it is there; see `settings.MODEL_CACHE_MB`.

    `key` (a version's id) tells apart versions that share an artifact; without it the signature's digest does.
    """
    return _cache().get(_key(digest, signature, key), lambda: _load(digest, form, signature))


@contextmanager
def using(
    digest: str, form: str, signature: Mapping[str, Any] | Signature, *, key: Hashable = None
) -> Iterator[Scorer]:
    """The same, which stays in memory while it is used."""
    with _cache().using(_key(digest, signature, key), lambda: _load(digest, form, signature)) as scorer:
        yield scorer


def keep_ready(version: VersionLike, *, key: Hashable) -> None:
    """Load what the version serves with, so that whoever asks this process first does not wait for it."""
    served = version.serving or version.artifact
    cached(served.digest, served.format, version.signature, key=key)


def loaded() -> list[Hashable]:
    """The `key` of everything that this process has in memory."""
    return [key for _, key in _cache().held()]


def _key(digest: str, signature: Mapping[str, Any] | Signature, key: Hashable) -> tuple[str, Hashable]:
    return digest, _signature(signature).digest if key is None else key


def preflight(version: VersionLike, *, tolerance: float = TOLERANCE, ready_as: Hashable = None) -> list[str]:
    """Why the version cannot serve: digest, load and golden rows of each artifact; nothing if it can. Then what it
    serves with stays in memory under the key `ready_as`: whoever asks this process first does not wait for a second
    load. Unavailable if the store is."""
    failures: list[str] = []
    for served in [version.artifact] + ([version.serving] if version.serving is not None else []):
        place = f"{served.format} artifact {served.digest[:12]}"
        try:
            ready = _load(served.digest, served.format, version.signature)
            if wrong := _wrong(ready[0], version, tolerance):
                failures.append(f"{place}: {wrong}")
        except Unavailable:  # of the version it says nothing
            raise
        except StewardError as error:
            failures.append(f"{place}: {error.detail}")
    if ready_as is not None and not failures:
        _cache().get(_key(served.digest, version.signature, ready_as), lambda: ready)
    return failures


def _wrong(scorer: Scorer, version: VersionLike, tolerance: float) -> str:
    """How the golden rows are not answered as they were; empty if they are."""
    answers = golden(scorer, [row["features"] for row in version.golden]) if version.golden else []
    pairs = enumerate(zip(version.golden, answers, strict=True))
    values = [abs(float(row["prediction"])) for row in version.golden if row["score"] is None]
    wrong = [i for i, (row, answer) in pairs if not _agrees(row, answer, tolerance, max([1.0, *values]))]
    if not wrong:
        return ""
    row, answer = version.golden[wrong[0]], answers[wrong[0]]
    example = f"row {wrong[0]} answers {answer['prediction']!r} ({answer['score']})"
    expected = f"must answer {row['prediction']!r} ({row['score']})"
    return f"{len(wrong)} of {len(answers)} golden rows differ, e.g. {example} but {expected}"


def _agrees(row: Mapping[str, Any], answer: Mapping[str, Any], tolerance: float, scale: float) -> bool:
    if row["score"] is None:
        return abs(float(answer["prediction"]) - float(row["prediction"])) <= tolerance * scale
    score = float(answer["score"])
    # At a score of one half the two classes of a binary model are equally likely: either label is right.
    same = answer["prediction"] == row["prediction"] or abs(score - 0.5) <= tolerance
    return same and abs(score - float(row["score"])) <= tolerance


def _load(digest: str, form: str, signature: Mapping[str, Any] | Signature) -> tuple[Scorer, int]:
    formats: dict[str, Format] = {"onnx": "onnx", "skops": "skops"}
    if form not in formats:
        raise refused("unknown_format", f"format must be one of {sorted(formats)} but got {form!r:.80}")
    data = store.read(digest)
    scorer = open_scorer(data, formats[form], _signature(signature))
    return scorer, _GRAPH_FACTOR * len(data) if form == "onnx" else max(memory.size_of(scorer), len(data))


def _signature(signature: Mapping[str, Any] | Signature) -> Signature:
    return signature if isinstance(signature, Signature) else Signature.from_json(signature)


@functools.cache
def _cache() -> BoundedCache[tuple[str, Hashable], Scorer]:
    return BoundedCache(max_bytes=settings.MODEL_CACHE_MB << 20)
