"""manage.py verify_artifacts: reads every stored file against its digest, exits 1 when one is missing or damaged."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlops_site.core import holdings
from mlops_site.core.errors import Conflict, Unavailable


class Command(BaseCommand):
    help = "Verify every stored artifact and data set; with --sweep, delete files that no row names."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sweep", action="store_true", help="delete files older than a day that no row names")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            swept = holdings.sweep() if options["sweep"] else []
            left = [] if options["sweep"] else holdings.orphans()
            faults = list(holdings.faults())
        except (Conflict, Unavailable) as error:
            raise CommandError(error.detail) from error
        for digest in swept:
            self.stdout.write(f"Deleted {digest}: no row names it.")
        if left:
            self.stdout.write(f"No row names {len(left)} files older than a day; --sweep deletes them.")
        if faults:
            raise CommandError("\n".join(faults))
        self.stdout.write(f"All stored files are whole: {len(holdings.named())}.")
