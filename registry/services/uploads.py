"""An uploaded artifact: inspected in a process of its own, tried on golden rows, then registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_site.core import events
from mlops_site.core.permissions import Action, Actor, require
from mlops_site.stats.profile import profile, reference_bins
from registry.artifacts.engines import open_scorer
from registry.artifacts.inspection import Inspection, inspect_upload
from registry.artifacts.schema import sample_row
from registry.artifacts.scorer import golden
from registry.artifacts.signature import Signature
from registry.artifacts.summary import told
from registry.models import RegisteredModel, Version
from registry.services.numbering import parse
from registry.services.versions import Candidate, normal_metrics, register_version

if TYPE_CHECKING:
    import pandas as pd

GOLDEN_ROWS = 20


def upload_version(
    model: RegisteredModel,
    *,
    actor: Actor,
    content: bytes,
    metrics: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    signature: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    reference: Sequence[Mapping[str, Any]] = (),
    threshold: float = 0.5,
    number: str | None = None,
) -> Version:
    """The version of a .skops or .onnx file. Without a signature one is derived from the file.

    `reference` are feature rows of the training data: their profile is kept, the first are golden
    rows, and explanations compare with up to 100 of them.
    """
    with events.atomic():  # nobody else's file is worth a process
        require(actor, Action.VERSION_REGISTER, model.team, subject=model.subject)
    normal_metrics(metrics or {})  # what is cheap to refuse is refused before the file is tried
    if number is not None:
        parse(number)
    given = None if signature is None else Signature.from_json(dict(signature))
    found = inspect_upload(content, signature=given)
    scorer = open_scorer(content, found.format, found.signature)
    examples = golden(scorer, list(reference[:GOLDEN_ROWS]) or [sample_row(found.signature)])
    frame = scorer.check_rows(list(reference), single=False).frame() if reference else None
    candidate = Candidate(
        artifact_bytes=content,
        format=found.format,
        signature=found.signature.to_json(),
        metrics=metrics or {},
        params=params or {},
        tags=tags or {},
        threshold=threshold,
        golden=examples,
        **({} if frame is None else _told(content, found, frame)),
    )
    return register_version(model, actor=actor, candidate=candidate, number=number)


def _told(content: bytes, found: Inspection, frame: pd.DataFrame) -> dict[str, Any]:
    """What only rows can give: their profile, and what the model looks at in them."""
    kinds = found.signature.kinds
    reference = profile(frame, reference_bins(frame, kinds, salt="reference")).to_bytes()
    return {"reference": reference, **told(content, found.format, found.signature, frame)._asdict()}
