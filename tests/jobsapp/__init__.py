"""A kind of job for tests: what it does is written in its row. Installed by tests.settings only."""
