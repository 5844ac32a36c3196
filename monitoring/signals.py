"""Facts that monitoring tells upwards, inside the transaction of the service; a receiver that fails undoes it."""

from django.dispatch import Signal

alert_raised = Signal()  # sender=Alert, alert, is_new: False where it was open already and counts up
alert_resolved = Signal()  # sender=Alert, alert
