"""Facts that core tells upwards, inside the transaction that they belong to."""

from django.dispatch import Signal

role_ended = Signal()  # sender=Membership, user, team, role (the new one, or None), actor: in the same transaction
delivery_enqueued = Signal()  # sender=Delivery, delivery
