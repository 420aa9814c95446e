"""Problems and counts that the reader of a corpus reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..modeling.schema_plmarker import PLMarkerError

# Number of problems that an error message lists.
MAX_LISTED_PROBLEMS = 10
# A corpus can have millions of warnings. Keeping all of them would need too much memory.
MAX_KEPT_WARNINGS = 1000


@dataclass(frozen=True)
class Problem:
    """A problem of a file.

    Example:
        >>> str(Problem("train.jsonl", 3, "sentence 0 is empty", fatal=False))
        'train.jsonl:3: warning: sentence 0 is empty'

    Args:
        path: the file.
        line: the line number from 1; 0 if the problem concerns the whole file.
        message: what was found and what was expected.
        fatal: true if the file cannot be used; false for a warning.
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
    """The problems and counts of one reading.

    A reader fills the report while it yields documents, so it is complete only after the last document.

    Args:
        problems: the problems in the order in which the reader found them.
        counts: how many annotations were changed or left out, for each kind of change. `exact` counts the annotations
            that needed no change because they begin and end at word borders.
        examples: the first annotation of some of these kinds.
    """

    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def problem(self, path: str | Path, line: int, message: str, fatal: bool = True) -> None:
        """Add a problem.

        After 1,000 problems, further warnings are only counted, as `further warnings`. Fatal problems are always kept.

        Args:
            path: the file.
            line: the line number from 1; 0 if the problem concerns the whole file.
            message: what was found and what was expected.
            fatal: false for a warning.
        """
        if not fatal and len(self.problems) >= MAX_KEPT_WARNINGS:
            self.counts["further warnings"] += 1
            return
        self.problems.append(Problem(str(path), line, message, fatal))

    @property
    def fatal(self) -> list[Problem]:
        """The problems that make a file unusable."""
        return [problem for problem in self.problems if problem.fatal]

    def summary(self) -> str:
        """Return the counts in one line. The line is empty if nothing was counted."""
        return ", ".join(f"{count} {kind}{self.example(kind)}" for kind, count in self.counts.items() if count)

    def example(self, kind: str) -> str:
        """Return the example of a kind in parentheses, with a space before it; empty where there is none."""
        return f" ({self.examples[kind]})" if kind in self.examples else ""


def raise_problems(problems: list[Problem]) -> None:
    """Raise one error for all problems. An empty list raises nothing.

    Raises:
        PLMarkerError: with the first ten problems and the number of further problems.
    """
    if problems:
        lines = [str(problem) for problem in problems[:MAX_LISTED_PROBLEMS]]
        if len(problems) > MAX_LISTED_PROBLEMS:
            lines.append(f"... and {len(problems) - MAX_LISTED_PROBLEMS} more problems")
        raise PLMarkerError("\n".join(lines))
