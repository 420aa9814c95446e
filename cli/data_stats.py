"""`plmarker data stats DATASET`: what a corpus holds, what limits would lose, and a picture."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import must_exist


def stats(
    dataset: Annotated[str, typer.Argument(help="A Hub id, a folder, a file, or sample.")],
    config: Annotated[str | None, typer.Option(help="A configuration of the dataset, such as a fold.")] = None,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Encoder whose subwords are counted: a Hub id, a folder, or minilm."),
    ] = None,
    picture: Annotated[str | None, typer.Option(metavar="FILE", help="A picture, such as corpus.png.")] = None,
) -> Any:
    """Count what a corpus holds and what limits would lose, and draw a picture."""
    must_exist(dataset)
    from ..data.loading import load_documents
    from ..data.picture import draw_statistics
    from ..data.statistics import collect_statistics, statistics_table
    from ..encoders.loading import load_tokenizer
    from ..modeling.windows_plmarker import WordTokenizer
    from .quiet import quiet_corpora
    from .tables import print_markdown

    tokenizer = WordTokenizer(load_tokenizer(encoder)) if encoder else None
    with quiet_corpora():
        loaded = load_documents(dataset, annotated=False, config_name=config)
    found = {split: collect_statistics(documents, tokenizer) for split, documents in loaded.items()}
    print_markdown(statistics_table(found))
    if tokenizer is None:
        print("\nwhat windows would lose: give --encoder")
    if picture:
        draw_statistics(picture, found, title=dataset)
        print(f"\n{picture}")
    return {split: statistics.to_dict() for split, statistics in found.items()}
