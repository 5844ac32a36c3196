"""Facts that training tells upwards, inside the transaction of the service; a receiver that fails undoes it."""

from django.dispatch import Signal

dataset_version_created = Signal()  # sender=DatasetVersion, version
run_requested = Signal()  # sender=Run, run
run_succeeded = Signal()  # sender=Run, run, version (of the registry)
