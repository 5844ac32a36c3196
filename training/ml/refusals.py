"""The one exception for a table that cannot be used."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason for refusing a table; `field` is the column at fault, or "file"."""

    code: str
    field: str
    message: str


class TableError(ValueError):
    """A table that cannot be used; `problems` holds every reason, `code`, `field` and `message` the first."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
        self.code, self.field, self.message = problems[0].code, problems[0].field, problems[0].message


def refusal(code: str, message: str, *, field: str = "file") -> TableError:
    """Return the exception for one reason."""
    return TableError(Problem(code, field, message))
