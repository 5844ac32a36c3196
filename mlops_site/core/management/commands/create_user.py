"""manage.py create_user NAME --role ROLE --team TEAM: prints a one-time password, alone on the last line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlops_site.core import teams
from mlops_site.core.choices import Role
from mlops_site.core.errors import StewardError


class Command(BaseCommand):
    help = "Make a person (or a machine, with --role service) with a role in a team; the team is made if it is new."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", required=True, help=", ".join(Role.values))
        parser.add_argument("--team", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user, password = teams.create_user(options["name"], role=options["role"], team=options["team"])
        except StewardError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{user.username} is {options['role']} in {options['team']}.")
        if password:
            self.stdout.write("One-time password (not shown again):")
            self.stdout.write(password)
