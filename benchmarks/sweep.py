"""Throughput of entity inference over sizes of batches, lengths of documents, and words of a sentence.

    python benchmarks/sweep.py --models RUNS --long TEXTS --json benchmarks/sweep.json --plot benchmarks/sweep.svg

RUNS is the folder that price_models.py has written; TEXTS is a brat folder with long documents (LitBank). All cases
read the first 64 sentences of its longest documents:

- `batch_tokens`: batches of so many text tokens. The token classifier takes as many windows as fill them;
- `sentences`: documents cut into pieces of so many sentences; windows of their own, or shared;
- `entities`: relations of one sentence with so many given entities, by the exact relation model and the shared one.
  Both score every ordered pair.

Figures are words a second, and seconds for `entities`; the mean of two turns.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from plots import draw_lines
from price import TokenClassifier, relate_all, seconds

from plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from plmarker.data.formats import read_corpus
from plmarker.data.report import ReadingReport
from plmarker.modeling.prediction_plmarker import predict_spans
from plmarker.modeling.windows_plmarker import WordTokenizer

SENTENCES = 64
BATCH_TOKENS = (256, 1024, 4096)
PIECES = (1, 8, 64)
ENTITIES = (8, 16, 32, 64, 128)
WORDS_AN_ENTITY = 8
TURNS = 2


def long_sentences(folder: str) -> list[list[str]]:
    """The sentences of the longest documents."""
    documents = sorted(read_corpus(folder, ReadingReport()), key=lambda document: -len(document["sentences"]))
    return [words for document in documents for words in document["sentences"]][:SENTENCES]


def pieces(sentences: list[list[str]], length: int) -> list[dict[str, Any]]:
    """Documents of `length` sentences."""
    return [
        {"doc_key": str(first), "sentences": sentences[first : first + length]}
        for first in range(0, len(sentences), length)
    ]


def read(model: Any, tokenize: WordTokenizer, documents: list[Any], **options: Any) -> int:
    """The number of spans that a model finds."""
    return sum(len(spans) for _, found in predict_spans(model, tokenize, documents, **options) for spans in found)


def with_entities(words: list[str], count: int) -> dict[str, Any]:
    """One sentence with an entity at every eighth word."""
    sentence = (words * (count * WORDS_AN_ENTITY // len(words) + 1))[: count * WORDS_AN_ENTITY]
    places = range(0, len(sentence), WORDS_AN_ENTITY)
    ner = [{"start": place, "end": place, "label": "Method"} for place in places]
    return {"doc_key": str(count), "sentences": [sentence], "predicted_ner": [ner]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--relation", type=Path, help="an exact relation model (default: RUNS/relation)")
    parser.add_argument("--long", required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    model = PLMarkerForEntityRecognition.from_pretrained(options.models / "pruned").eval()
    shared_windows = copy.deepcopy(model)
    shared_windows.config.shared_windows = True
    tokenize, sentences = WordTokenizer(model.tokenizer), long_sentences(options.long)
    n_words = sum(map(len, sentences))
    window, whole = model.config.max_seq_length, pieces(sentences, 64)

    batches: dict[str, dict[int, float]] = {"token classifier": {}, "pruned": {}}
    for size in BATCH_TOKENS:
        classifier = TokenClassifier(model, whole, max(1, size // window))
        runs: dict[str, Callable[[], Any]] = {
            "token classifier": classifier.predict,
            "pruned": partial(read, model, tokenize, whole, batch_tokens=size),
        }
        for name, value in seconds(runs, TURNS).items():
            batches[name][size] = n_words / value

    names = ("token classifier", "pruned, own windows", "pruned, shared windows")
    lengths: dict[str, dict[int, float]] = {name: {} for name in names}
    for size in PIECES:
        documents = pieces(sentences, size)
        readers = (
            TokenClassifier(model, documents).predict,
            partial(read, model, tokenize, documents),
            partial(read, shared_windows, tokenize, documents),
        )
        for name, value in seconds(dict(zip(names, readers, strict=True)), TURNS).items():
            lengths[name][size] = n_words / value

    folder = options.relation or options.models / "relation"
    exact = PLMarkerForRelationExtraction.from_pretrained(folder).eval()
    shared = PLMarkerModel.from_pretrained(options.models / "shared").eval().relation
    entities: dict[str, dict[int, float]] = {"exact": {}, "shared encoder": {}}
    for count in ENTITIES:
        document = with_entities(sentences[0], count)
        parts = {"exact": exact, "shared encoder": shared}
        runs = {name: partial(relate_all, part, [document]) for name, part in parts.items()}
        for name, value in seconds(runs, TURNS).items():
            entities[name][count] = value

    report = {"words": n_words, "sentences": len(sentences), "threads": options.threads}
    report |= {"batch_tokens": batches, "document_sentences": lengths, "given_entities_seconds": entities}
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    if options.plot:
        draw_lines(
            options.plot,
            {"text tokens of a batch": batches, "sentences of a document": lengths},
            "words a second",
        )


if __name__ == "__main__":
    main()
