"""manage.py verify_evidence FILE: checks an evidence file against its manifest and this install's keys."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.selectors import evidence_faults


class Command(BaseCommand):
    help = "Verify an evidence file of a version: its digests, its signature, what was decided on, its audit records."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="the ZIP that was downloaded")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with open(options["file"], "rb") as file:
                faults = list(evidence_faults(file))
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}") from error
        if faults:
            raise CommandError("\n".join(faults))
        self.stdout.write("The evidence is whole, and of this install.")
