"""manage.py mirror_mlflow: tell MLflow of every run, version and stage that it does not know."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mlops_site.core import child
from registry import pipeline as versions
from registry.services import mirror
from training.pipeline import mirror as runs
from training.selectors.mirror import lag
from training.services import records


class Command(BaseCommand):
    requires_system_checks = []  # the worker that starts it has passed them
    help = "Tell MLflow what it does not know yet. The worker does this by itself every ten seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--now", action="store_true", help="also what waits because the last try failed")
        parser.add_argument("--missing", action="store_true", help="also what is older than the mirror")
        parser.add_argument("--watcher", type=int, help="pid of the worker; this ends when that does")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watcher"]:
            child.die_with(options["watcher"])
        if options["missing"]:
            said = f"{records.note_missing_runs()} runs and {mirror.note_missing()} versions are new to the mirror."
            self.stdout.write(said)
        if options["now"]:
            records.hurry_records()
            mirror.hurry()
        told = runs.catch_up() + versions.catch_up()  # runs first: a version hangs on the record of its run
        left = lag()
        if told or not options["watcher"]:
            self.stdout.write(f"Told MLflow of {told} changes; {left.waiting} wait. {left.error}".rstrip())
