"""Read and write CoNLL columns: each line has a word and its tag, and an empty line ends a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ..documents import Document, lines_with_numbers
from ..files import whole_file
from ..report import ReadingReport
from ..tags import OUTSIDE, TaggedEntity, entities_from_tags, guess_scheme, iob2_tags
from .options import ReadingOptions

COLUMN_ENDINGS = (".conll", ".iob", ".iob2", ".bio", ".tsv", ".txt")
DOCUMENT_START = "-DOCSTART-"
# This comment of CoNLL-U begins a document and gives its name.
DOCUMENT_NAME = "# newdoc id = "
# CoNLL-U and MultiCoNER also have other comments before a sentence. The word "#" does not match: it has only a tag
# after it.
COMMENT = re.compile(r"# (?!newdoc id = )(?:\S+ = |id \S)")

# Line number, word and tag.
TaggedWord = tuple[int, str, str]


def read_columns(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file. The first column is the word and the last column is the tag.

    Tabs separate the columns. A line without a tab is split at spaces. A document begins at `-DOCSTART-` or at a
    comment `# newdoc id = NAME`. In a file without these marks every sentence is a document, because neighbouring
    sentences may be unrelated.

    Args:
        path: the file.
        report: receives the problems with their lines, and the number of `comments`.
        options: `scheme` applies. `auto` guesses it from the tags of the whole file.

    Yields:
        Typed documents. Documents without a name are called `corpus-1`, `corpus-2` and so on in a file `corpus.conll`.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text.
    """
    scheme = options.scheme
    if scheme == "auto":
        # The problems go to a temporary report, because the second pass finds them again.
        scheme = guess_scheme([tag for _, _, tag in rows] for _, rows in _sentences(path, ReadingReport()))
    # The ending of a name such as `eng.testa` is kept, because it identifies the split.
    stem = path.stem if path.suffix in COLUMN_ENDINGS else path.name
    for (number, name), group in groupby(_sentences(path, report), key=lambda sentence: sentence[0]):
        sentences: list[list[str]] = []
        entities: list[list[TaggedEntity]] = []
        for _, rows in group:
            sentence_entities, problems = entities_from_tags([tag for _, _, tag in rows], scheme)
            for word, message, fatal in problems:
                report.problem(path, rows[word][0], message, fatal)
            sentences.append([word for _, word, _ in rows])
            entities.append(sentence_entities)
        yield document_of_words(name or f"{stem}-{number}", sentences, entities)


def document_of_words(key: str, sentences: list[list[str]], entities: Iterable[Iterable[TaggedEntity]]) -> Document:
    """Build a typed document without relations.

    Example:
        >>> document_of_words("a", [["Hello"], ["Ada", "Bell"]], [[], [(0, 1, "PER")]])["ner"]
        [[], [{'start': 1, 'end': 2, 'label': 'PER'}]]

    Args:
        key: the name of the document.
        sentences: the words of each sentence.
        entities: for each sentence, its entities as (start, inclusive end, label). Their word indices count from the
            first word of the sentence.

    Returns:
        The document. Its word indices count from the first word of the document.
    """
    ner, first = [], 0
    for words, sentence_entities in zip(sentences, entities, strict=True):
        ner.append(
            [{"start": first + start, "end": first + end, "label": label} for start, end, label in sentence_entities]
        )
        first += len(words)
    return {
        "doc_key": key,
        "sentences": sentences,
        "ner": ner,
        "relations": None,
        "predicted_ner": None,
        "predicted_relations": None,
    }


def write_columns(path: str | Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Write the entities of documents as IOB2 tags, with a tab between word and tag.

    `read_columns` gives the same documents back, without their empty sentences.

    Example:
        `write_columns("corpus.conll", documents)` writes lines such as `Ada<tab>B-PER`.

    Args:
        path: the file. It appears only after all documents are written.
        documents: typed documents without nested entities and without relations. Predicted annotations are not written.

    Raises:
        PLMarkerError: if columns cannot hold a document. It must have words, no relations, no overlapping entities, no
            word `-DOCSTART-`, no white space in a word or label, and no line break, tab or surrounding white space in
            its name.
    """
    with whole_file(path) as file:
        for document in documents:
            key = document["doc_key"]
            if not any(document["sentences"]):
                raise PLMarkerError(f"document {key!r}: it has no words, so columns cannot hold it")
            if any(document["relations"] or ()):
                raise PLMarkerError(f"document {key!r}: relations cannot be written as columns of tags")
            if any(character in key for character in "\r\n\t") or key != key.strip():
                message = "its name has a line break, a tab or surrounding white space, which columns cannot hold"
                raise PLMarkerError(f"document {key!r}: {message}")
            file.write(f"{DOCUMENT_NAME}{key}\n")
            first = 0
            ner = document["ner"] or [[] for _ in document["sentences"]]
            for words, rows in zip(document["sentences"], ner, strict=True):
                entities = [(row["start"] - first, row["end"] - first, row["label"]) for row in rows]
                try:
                    tags = iob2_tags(entities, len(words))
                except ValueError as error:
                    raise PLMarkerError(f"document {key!r}: {error}") from None
                for word, tag in zip(words, tags, strict=True):
                    if word.split() != [word] or word == DOCUMENT_START or tag.split() != [tag]:
                        message = f"columns cannot hold the word {word!r} with the tag {tag!r}"
                        raise PLMarkerError(f"document {key!r}: {message}")
                    file.write(f"{word}\t{tag}\n")
                file.write("\n" if words else "")
                first += len(words)


def _sentences(path: Path, report: ReadingReport) -> Iterator[tuple[tuple[int, str], list[TaggedWord]]]:
    """Yield each sentence with its document.

    Yields:
        ((number of the document from 1, name of the document), lines of the sentence). The name may be empty.
    """
    document, name, marked = 0, "", False
    rows: list[TaggedWord] = []
    has_words = False
    for number, line in chain(lines_with_numbers(path, keep_empty=True), [(0, "")]):
        # Only plain spaces separate columns. A no-break space is part of a word.
        columns = line.rstrip("\r\n").split("\t") if "\t" in line else line.strip(" \r\n").split(" ")
        word = columns[0].strip() if columns else ""
        if not rows and COMMENT.match(line):
            report.counts["comments"] += 1
            continue
        is_mark = line.startswith(DOCUMENT_NAME) or word == DOCUMENT_START
        if rows and (is_mark or not line.strip()):
            document += not marked
            yield (document, name), rows
            rows = []
        if is_mark:
            document, marked = document + 1, True
            name = line[len(DOCUMENT_NAME) :].strip() if line.startswith(DOCUMENT_NAME) else ""
        elif line.strip() and (len(columns) < 2 or not word or not columns[-1].strip()):
            found = f"only {word!r}" if word else "no word"
            report.problem(path, number, f"a line is a word and its tag in separate columns, got {found}")
        elif line.strip():
            has_words = True
            rows.append((number, word, columns[-1].strip()))
    if not has_words:
        report.problem(path, 0, f"the file has no words with tags, expected lines such as 'Ada<tab>{OUTSIDE}'")
