"""An uploaded artifact: inspected and tried on golden rows in a process of its own, then registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from mlops_site.core import events
from mlops_site.core.permissions import Action, Actor, require
from registry.artifacts.inspection import inspect_upload
from registry.artifacts.signature import Signature
from registry.models import RegisteredModel, Version
from registry.services.heldout import holdout_of
from registry.services.numbering import parse
from registry.services.versions import Candidate, normal_metrics, register_version


def upload_version(
    model: RegisteredModel,
    *,
    actor: Actor,
    content: IO[bytes] | bytes,
    metrics: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    signature: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    reference: Sequence[Mapping[str, Any]] = (),
    holdout: Sequence[Mapping[str, Any]] = (),
    threshold: float = 0.5,
    number: str | None = None,
    feature_sets: Sequence[str] = (),
) -> Version:
    """The version of a .skops or .onnx file. Without a signature one is derived from the file, which no process of the
    site itself loads before it is asked for an answer.

    `reference` are feature rows of the training data: their profile is kept, the first are golden
    rows, and explanations compare with up to 100 of them. `holdout` are answers to rows that it was not trained on (see
    `heldout.holdout_of`): versions are compared on them, and performance is estimated by them. `feature_sets`
    (claim_history@2) are read for features that a caller leaves out.
    """
    with events.atomic():  # nobody else's file is worth a process
        require(actor, Action.VERSION_REGISTER, model.team, subject=model.subject)
    normal_metrics(metrics or {})  # what is cheap to refuse is refused before the file is tried
    if number is not None:
        parse(number)
    given = None if signature is None else Signature.from_json(dict(signature))
    found = inspect_upload(content, signature=given, reference=reference)
    candidate = Candidate(
        artifact_bytes=content,
        format=found.format,
        signature=found.signature.to_json(),
        metrics=metrics or {},
        params=params or {},
        tags=tags or {},
        threshold=threshold,
        feature_sets=tuple(feature_sets),
        holdout_bytes=holdout_of(holdout, found.signature),
        golden=found.golden,
        reference=found.reference,
        facts={"correlations": found.correlations} if found.correlations else {},
        **(found.told._asdict() if found.told else {}),
    )
    return register_version(model, actor=actor, candidate=candidate, number=number)
