"""`plmarker data stats DATASET`: what a corpus holds, what limits would lose, and a picture."""

from __future__ import annotations

import argparse
from typing import Any

from .quiet import quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("dataset", help="a Hub id, a folder, a file, or sample")
    parser.add_argument("--config", help="a configuration of the dataset, such as a fold")
    parser.add_argument("--encoder", help="encoder whose subwords are counted: a Hub id, a folder, or minilm")
    parser.add_argument("--picture", metavar="FILE", help="such as corpus.png")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Count, print a table, and return the counts."""
    from ..data.loading import load_documents
    from ..data.picture import draw_statistics
    from ..data.statistics import collect_statistics, statistics_table
    from ..encoders.loading import load_tokenizer
    from ..modeling.windows_plmarker import WordTokenizer

    tokenizer = WordTokenizer(load_tokenizer(options.encoder)) if options.encoder else None
    with quiet():
        loaded = load_documents(options.dataset, annotated=False, config_name=options.config)
    found = {split: collect_statistics(documents, tokenizer) for split, documents in loaded.items()}
    print(statistics_table(found))
    if tokenizer is None:
        print("\nwhat windows would lose: give --encoder")
    if options.picture:
        draw_statistics(options.picture, found, title=str(options.dataset))
        print(f"\n{options.picture}")
    return {split: statistics.to_dict() for split, statistics in found.items()}
