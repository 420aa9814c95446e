"""The text of a dataset card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .builders import Corpus, CorpusBuilder
from .statistics import Statistics, statistics_table

# A card lists only the first warnings, so that it stays readable. `plmarker data build` prints all of them.
MAX_LISTED_WARNINGS = 20


def card_text(
    corpus: Corpus, builders: Sequence[CorpusBuilder], statistics: Mapping[str, Mapping[str, Statistics]], name: str
) -> str:
    """Write the Markdown text of a dataset card.

    Args:
        corpus: the description of the corpus.
        builders: one prepared builder per configuration.
        statistics: configuration name -> split -> statistics.
        name: the name of the dataset for `load_dataset`.

    Returns:
        The source, licence, loading code, fields, counts, warnings and citation.
    """
    first_config_name = next(iter(statistics))
    config_argument = f', "{first_config_name}"' if len(statistics) > 1 else ""
    schema = corpus.schema
    symmetric = ", ".join(f"`{label}`" for label in schema.symmetric_labels) if schema else ""
    parts = [
        f"# {corpus.title}",
        f"Source: {corpus.source}." + (f" <{corpus.homepage}>" if corpus.homepage else ""),
        f"License: {corpus.license}.",
        "## Load",
        f'```python\nfrom datasets import load_dataset\n\nds = load_dataset("{name}"{config_argument})\n```',
        "## Fields",
        "Each row is a document. Word indices count from the first word of the document, and ends are inclusive. `ner` "
        "and `relations` have one list per sentence."
        + (f" These relation types are symmetric, their direction has no meaning: {symmetric}." if symmetric else ""),
        "```\n"
        "doc_key      name of the document\n"
        "sentences    lists of words\n"
        "ner          start, end, label\n"
        "relations    head_start, head_end, tail_start, tail_end, label\n"
        "predicted_ner, predicted_relations    null; a model can write its predictions here\n"
        "```",
        "## Counts",
    ]
    for config_name, splits in statistics.items():
        if len(statistics) > 1:
            parts.append(f"### {config_name}")
        parts.append(statistics_table(splits))
    summaries = {builder.config.name: builder.report.summary() for builder in builders if builder.report.summary()}
    warnings = [problem.message for builder in builders for problem in builder.report.problems if not problem.fatal]
    if summaries or warnings:
        parts.append("## Changes and warnings while reading")
        parts += [f"{config_name}: {summary}." for config_name, summary in summaries.items()]
        distinct = list(dict.fromkeys(warnings))
        parts.append("\n".join(f"- {warning}" for warning in distinct[:MAX_LISTED_WARNINGS]))
        if len(distinct) > MAX_LISTED_WARNINGS:
            parts.append(f"... and {len(distinct) - MAX_LISTED_WARNINGS} more warnings.")
    if corpus.citation:
        parts += ["## Citation", f"```bibtex\n{corpus.citation}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def size_category(count: int) -> str:
    """Return the size category of the Hub for a number of rows.

    Example:
        >>> size_category(500)
        'n<1K'
    """
    limits = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for limit, name in limits if count < limit), "1M<n<10M")
