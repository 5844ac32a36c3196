"""manage.py create_token NAME [--team TEAM] [--scope ..] [--days N]: prints the token, alone on the last line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlops_site.core import tokens
from mlops_site.core.errors import StewardError
from mlops_site.core.models import Team, User


class Command(BaseCommand):
    help = "Make a token for a person or a machine; it is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--team", help="needed only for somebody in several teams")
        parser.add_argument(
            "--scope", action="append", default=[], help="an action; all that the role allows if left out"
        )
        parser.add_argument("--days", type=int, default=90)

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"]).first()
        team = Team.objects.filter(name=options["team"]).first()
        if user is None:
            raise CommandError(f"no user {options['name']!r}; make one with create_user")
        if options["team"] and team is None:
            raise CommandError(f"no team {options['team']!r}")
        try:
            token, text = tokens.create_token(user, team=team, scopes=options["scope"], days=options["days"])
        except StewardError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(
            f"Token of {user.username} in {token.team.name} until {token.expires_at:%Y-%m-%d} (not shown again):"
        )
        self.stdout.write(text)
