"""What reading a corpus found wrong, and what it had to change or leave out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datasets.exceptions import DatasetGenerationError

from ..modeling.schema_plmarker import PLMarkerError

# How many problems an error message lists.
LISTED_PROBLEMS = 10
KEPT_WARNINGS = 1000


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file.

    Args:
        path: the file.
        line: line number from 1; 0 for what concerns the whole file.
        message: what was found and what was expected.
        fatal: False for what is only reported, such as an annotation given twice.
    """

    path: str
    line: int
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.message}" if self.fatal else f"{place}: warning: {self.message}"


@dataclass
class ReadingReport:
    """Filled by a reader while it yields documents.

    Args:
        problems: in the order in which they were found.
        counts: how often something was changed or left out, by what it was; `exact` is the number of annotations
            that fall on word borders as they stand.
    """

    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def problem(self, path: str | Path, line: int, message: str, fatal: bool = True) -> None:
        """Note a problem; of very many that are not fatal only the number is kept."""
        if not fatal and len(self.problems) >= KEPT_WARNINGS:
            self.counts["further warnings"] += 1
            return
        self.problems.append(Problem(str(path), line, message, fatal))

    @property
    def fatal(self) -> list[Problem]:
        """The problems that make a file unusable."""
        return [problem for problem in self.problems if problem.fatal]

    def summary(self) -> str:
        """The counts in one line; empty where nothing was aligned, changed or left out."""
        return ", ".join(f"{count} {what}" for what, count in self.counts.items() if count)


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise what a generator of `datasets` raised, in place of its general error."""
    try:
        yield
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, PLMarkerError):
            raise error.__cause__ from None
        raise


def raise_problems(problems: list[Problem]) -> None:
    """Raise the first problems as one error; do nothing where there are none.

    Raises:
        PLMarkerError: listing the first ten, and how many more there are.
    """
    if problems:
        lines = [str(problem) for problem in problems[:LISTED_PROBLEMS]]
        if len(problems) > LISTED_PROBLEMS:
            lines.append(f"... and {len(problems) - LISTED_PROBLEMS} more problems")
        raise PLMarkerError("\n".join(lines))
