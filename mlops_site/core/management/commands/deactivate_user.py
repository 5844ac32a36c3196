"""manage.py deactivate_user NAME: let a person in no more."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mlops_site.core import teams
from mlops_site.core.errors import StewardError
from mlops_site.core.models import User


class Command(BaseCommand):
    help = "Deactivate a person: no log-in, no token; what waits for a decision by or of them is closed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"nobody is called {options['name'][:80]!r} here")
        try:
            teams.deactivate_user(user)
        except StewardError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{user} is deactivated.")
