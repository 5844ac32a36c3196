"""Facts that the registry tells upwards, inside the transaction of the service; a receiver that fails undoes it."""

from django.dispatch import Signal

version_registered = Signal()  # sender=Version, version
stage_changed = Signal()  # sender=Version, version, stage, before, cause, interval
model_transferred = Signal()  # sender=RegisteredModel, model, before: the team that had it, actor: who accepted it
incident_opened = Signal()  # sender=Incident, incident, body: what is told of it
incident_closed = Signal()  # likewise
request_filed = Signal()  # sender=PromotionRequest, request
reviewers_told = Signal()  # sender=PromotionRequest, request, kind: a NoticeKind, told: list[Told], each once a kind
request_decided = Signal()  # sender=PromotionRequest, request: by people, withdrawn, expired or void
revalidation_due = Signal()  # sender=Review, review: its condition is open and its date has passed; said at each sweep
condition_closed = Signal()  # sender=Review, review, actor, note
evidence_wanted = Signal()  # sender=Version, version: a receiver answers sections of evidence by name
