"""How the tests of readers look at what was read."""

from typing import Any

from plmarker.data.report import ReadingReport


def entities(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Words and label of every entity."""
    words = [word for sentence in document["sentences"] for word in sentence]
    rows = [row for rows in document["ner"] for row in rows]
    return [(" ".join(words[row["start"] : row["end"] + 1]), row["label"]) for row in rows]


def counts(report: ReadingReport) -> dict[str, int]:
    """What a report counted, without zeros."""
    return {what: count for what, count in report.counts.items() if count}


def found(report: ReadingReport) -> list[tuple[int, bool, str]]:
    """Line, weight and message of every problem."""
    return [(problem.line, problem.fatal, problem.message) for problem in report.problems]
