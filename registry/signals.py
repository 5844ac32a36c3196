"""Facts that the registry tells upwards, inside the transaction of the service; a receiver that fails undoes it."""

from django.dispatch import Signal

version_registered = Signal()  # sender=Version, version
stage_changed = Signal()  # sender=Version, version, stage, before, cause, interval
request_filed = Signal()  # sender=PromotionRequest, request
request_decided = Signal()  # sender=PromotionRequest, request: by people, withdrawn or void
