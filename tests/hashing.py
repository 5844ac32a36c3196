"""Password hashing for tests: the site's own algorithm at its lowest cost."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2(Argon2PasswordHasher):
    """Argon2 that takes no time; a real site process still accepts these hashes."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1
