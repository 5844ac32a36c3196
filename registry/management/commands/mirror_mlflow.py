"""manage.py mirror_mlflow: tell MLflow of every version and stage that it does not know."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mlops_site.core import child
from registry import pipeline
from registry.selectors.mirror import lag
from registry.services import mirror


class Command(BaseCommand):
    requires_system_checks = []  # the worker that starts it has passed them
    help = "Tell MLflow what it does not know yet. The worker does this by itself every ten seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--now", action="store_true", help="also what waits because the last try failed")
        parser.add_argument("--missing", action="store_true", help="also versions from before there was a mirror")
        parser.add_argument("--watcher", type=int, help="pid of the worker; this ends when that does")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watcher"]:
            child.die_with(options["watcher"])
        if options["missing"]:
            self.stdout.write(f"{mirror.note_missing()} versions are new to the mirror.")
        if options["now"]:
            mirror.hurry()
        told = pipeline.catch_up()
        left = lag()
        if told or not options["watcher"]:
            self.stdout.write(f"Told MLflow of {told} changes; {left.waiting} wait. {left.error}".rstrip())
