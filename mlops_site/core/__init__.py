"""What every app stands on: environment, errors, people, permissions, jobs and the audit chain."""
