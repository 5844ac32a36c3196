"""What an uploaded model answered to rows held out from its training, as its uploader sends it."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_site.core.errors import Invalid
from mlops_site.core.events import digest_of
from registry.artifacts.signature import Signature

LONGEST_KEY = 200


def holdout_of(rows: Sequence[Mapping[str, Any]], signature: Signature, *, field: str = "holdout") -> bytes | None:
    """Rows as the Parquet that a version keeps; None without rows. Each has a `label` and the `score` of the positive
    class, of two classes, else the `prediction`; and, where versions are to be compared on it, a `row_key`.

    Invalid names the first row that does not fit the signature.
    """
    import pandas as pd  # not needed by whoever uploads none

    if not rows:
        return None
    said = "score" if len(signature.classes or ()) == 2 else "prediction"
    for place, row in enumerate(rows):
        if wrong := _wrong(row, said, signature):
            raise Invalid.on(f"{field}.{place}", f"{field}.{place} {wrong}", code="bad_holdout")
    own = digest_of([dict(row) for row in rows])[:16]  # rows without a key are nobody else's
    keys = [str(row.get("row_key", f"{own}:{place}")) for place, row in enumerate(rows)]
    if len(set(keys)) < len(keys):
        raise Invalid.on(field, f"{field} must name each row_key once", code="bad_holdout")
    columns = {"row_key": keys, **{name: [row[name] for row in rows] for name in ("label", said)}}
    sink = io.BytesIO()
    pd.DataFrame(columns).to_parquet(sink, index=False)
    return sink.getvalue()


def _wrong(row: Mapping[str, Any], said: str, signature: Signature) -> str:
    """What is wrong with a row; empty where nothing is."""
    if not {"label", said} <= row.keys() <= {"label", said, "row_key"}:
        return f"must have label, {said} and at most a row_key but got {sorted(map(str, row))[:5]}"
    if len(str(row.get("row_key", ""))) > LONGEST_KEY:
        return f"must have a row_key of at most {LONGEST_KEY} characters"
    if signature.classes is None:
        bad = [name for name in ("label", said) if not _is_number(row[name])]
        return f"must have numbers but got {bad[0]} {row[bad[0]]!r:.40}" if bad else ""
    named = ["label"] if said == "score" else ["label", said]
    unknown = [name for name in named if not any(_same(row[name], known) for known in signature.classes)]
    if unknown:
        return f"must have a {unknown[0]} of {list(signature.classes)!r:.80} but got {row[unknown[0]]!r:.40}"
    if said == "score" and not (_is_number(row[said]) and 0 <= row[said] <= 1):
        return f"must have a score between 0 and 1 but got {row[said]!r:.40}"
    return ""


def _same(value: object, known: object) -> bool:
    """Alike, and of one kind: 1 and True are not."""
    return (
        isinstance(value, bool) == isinstance(known, bool) and isinstance(value, type(known) | int) and value == known
    )


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e150 and math.isfinite(value)
    )
