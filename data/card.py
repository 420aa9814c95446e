"""The text of a dataset's card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .builders import Corpus, CorpusBuilder
from .statistics import Statistics, statistics_table

# Problems that a card lists; the command tells all.
LISTED = 20


def card_text(
    corpus: Corpus, builders: Sequence[CorpusBuilder], statistics: Mapping[str, Mapping[str, Statistics]], name: str
) -> str:
    """Markdown: what the data is, how to load it, its fields, counts, licence and citation.

    Args:
        builders: one for each config, after they were prepared.
        statistics: of each split, by config.
        name: what `load_dataset` takes.
    """
    first = next(iter(statistics))
    config = f', "{first}"' if len(statistics) > 1 else ""
    schema = corpus.schema
    symmetric = ", ".join(f"`{label}`" for label in schema.symmetric_labels) if schema else ""
    parts = [
        f"# {corpus.title}",
        f"Source: {corpus.source}." + (f" <{corpus.homepage}>" if corpus.homepage else ""),
        f"License: {corpus.license}.",
        "## Load",
        f'```python\nfrom datasets import load_dataset\n\nds = load_dataset("{name}"{config})\n```',
        "## Fields",
        "One row is a document. Word indices count through the document, and both ends are inclusive; `ner` and "
        "`relations` hold one list for each sentence."
        + (f" Symmetric, so that their direction means nothing: {symmetric}." if symmetric else ""),
        "```\n"
        "doc_key      its name\n"
        "sentences    lists of words\n"
        "ner          start, end, label\n"
        "relations    head_start, head_end, tail_start, tail_end, label\n"
        "predicted_ner, predicted_relations    null; what a model found, where one wrote it\n"
        "```",
        "## Counts",
    ]
    for config_name, splits in statistics.items():
        if len(statistics) > 1:
            parts.append(f"### {config_name}")
        parts.append(statistics_table(splits))
    notes = {builder.config.name: builder.report.summary() for builder in builders if builder.report.summary()}
    warnings = [problem.message for builder in builders for problem in builder.report.problems if not problem.fatal]
    if notes or warnings:
        parts.append("## How it was read")
        parts += [f"{config_name}: {summary}." for config_name, summary in notes.items()]
        distinct = list(dict.fromkeys(warnings))
        parts.append("\n".join(f"- {warning}" for warning in distinct[:LISTED]))
        if len(distinct) > LISTED:
            parts.append(f"... and {len(distinct) - LISTED} more.")
    if corpus.citation:
        parts += ["## Citation", f"```bibtex\n{corpus.citation}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def size_category(count: int) -> str:
    """The Hub's name for a number of rows."""
    limits = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for limit, name in limits if count < limit), "1M<n<10M")
