"""Facts that the registry tells upwards, inside the transaction of the service; a receiver that fails undoes it."""

from django.dispatch import Signal

version_registered = Signal()  # sender=Version, version
stage_changed = Signal()  # sender=Version, version, stage, before, cause
model_transferred = Signal()  # sender=RegisteredModel, model, before: the team that had it
incident_opened = Signal()  # sender=Incident, incident
request_filed = Signal()  # sender=PromotionRequest, request
request_decided = Signal()  # sender=PromotionRequest, request: by people, withdrawn or void
