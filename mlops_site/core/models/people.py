"""Who acts: people and machines, the teams they are in, the tokens they carry."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from mlops_site.core.choices import Role

TEAM_NAME = r"[a-z][a-z0-9-]{0,62}"


class User(AbstractUser):
    """A person or a machine. What one may do comes from memberships alone; `is_superuser` grants nothing."""

    takes_mail = models.BooleanField(
        default=True
    )  # what comes to the inbox comes by e-mail too, if there is an address


class Team(models.Model):
    name = models.CharField(max_length=63, unique=True, validators=[RegexValidator(f"^{TEAM_NAME}$")])
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "team"], name="one_role_per_team"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} in {self.team}"


class TokenQuerySet(models.QuerySet["Token"]):
    def usable(self) -> TokenQuerySet:
        return self.filter(revoked_at=None, expires_at__gt=timezone.now(), user__is_active=True)


class Token(models.Model):
    """A bearer token: bound to a person and a team, shown once, stored as a keyed hash."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="tokens")
    prefix = models.CharField(max_length=16, unique=True)  # found by it, then compared by digest
    digest = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)  # actions; empty never means all
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = TokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.user}"
