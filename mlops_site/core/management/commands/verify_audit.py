"""manage.py verify_audit: walks the chain, names the first bad row, exits 1 when there is one."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mlops_site.core import audit
from mlops_site.core.models import AuditRecord


class Command(BaseCommand):
    help = "Verify the audit chain, its triggers and its checkpoints."

    def handle(self, *args: Any, **options: Any) -> None:
        faults = list(audit.faults())
        if faults:
            raise CommandError("\n".join(faults))
        self.stdout.write(f"The audit chain is whole: {AuditRecord.objects.count()} records.")
