"""Facts that core tells upwards, inside the transaction that they belong to."""

from django.dispatch import Signal

delivery_enqueued = Signal()  # sender=Delivery, delivery
