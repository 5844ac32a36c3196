"""What the demo prints: steps as they happen, then a table of what every step found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mlops_site.demo.client import StepFailed
from mlops_site.demo.people import Person


class Report:
    """Collects one row a step: what was done, what came of it, how long it took."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.rows: list[tuple[str, str, float]] = []
        self.current = "Set-up"

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """A step; the block appends the sentences of its outcome."""
        outcome: list[str] = []
        self.current, started = title, time.monotonic()
        self.console.print(f"[bold]{title}[/bold]")
        yield outcome
        secs = time.monotonic() - started
        self.rows.append((title, "; ".join(outcome), secs))
        self.console.print(f"  {'; '.join(outcome)} [dim]({secs:.1f} s)[/dim]")

    @contextmanager
    def bar(self) -> Iterator[Any]:
        """A progress bar; the block calls it with a status of GET /training/status."""
        columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task("queued", total=1.0)

            def show(status: dict[str, Any]) -> None:
                progress.update(task, completed=status["progress"], description=status["step"] or status["state"])

            yield show

    def table(self) -> None:
        table = Table(title="What happened", show_lines=False)
        table.add_column("Step")
        table.add_column("Outcome", overflow="fold")
        table.add_column("Time", justify="right")
        for title, outcome, secs in self.rows:
            table.add_row(title, outcome, f"{secs:.1f} s")
        self.console.print(table)

    def failed(self, failure: Exception) -> None:
        self.console.print(f"[bold red]Failed at “{self.current}”:[/bold red]")
        kind = "" if isinstance(failure, StepFailed) else f"{type(failure).__name__}: "
        self.console.print(f"{kind}{failure}", markup=False)

    def logins(self, people: dict[str, Person], address: str) -> None:
        table = Table(title=f"Log in at {address} (passwords are shown this once)")
        for column in ("Name", "Role", "Password"):
            table.add_column(column, no_wrap=True)
        for person in people.values():
            if person.role != "service":
                table.add_row(person.name, person.role, person.password or "as before")
        self.console.print(table)
