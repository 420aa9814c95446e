"""Read and write CoNLL columns: each line has a word and its tags, and an empty line ends a sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

from ...modeling.schema_plmarker import PLMarkerError
from ..documents import Document, lines_with_numbers
from ..files import has_ending, whole_file
from ..report import ReadingReport
from ..tags import DISCONTINUOUS, OUTSIDE, TaggedEntity, entities_from_tags, guess_scheme, iob2_tags, is_tag, usual_tags
from .layout import MOST, Layout, common_prefix, guess_layout, have_pairs, layout_of_option
from .options import ReadingOptions

COLUMN_ENDINGS = (".conll", ".iob", ".iob2", ".bio", ".bioes", ".bmes", ".ner", ".tsv", ".txt", ".conllu", ".conllup")
# CoNLL-2003 has eng.train, eng.testa and eng.testb; others name their splits in the same way.
SPLIT_ENDINGS = (".train", ".dev", ".valid", ".test", ".testa", ".testb", ".testc")
# The words of lines between two documents.
DOCUMENT_MARKS = ("-DOCSTART-", "-DOCEND-")
# This comment of CoNLL-U begins a document and gives its name.
DOCUMENT_NAME = "# newdoc id = "
# HIPE and GENIA have marks of their own.
DOCUMENT_MARK = re.compile(r"(?:# newdoc(?: id = )?|# (?:hipe2022:)?document_id = |###MEDLINE:)(.*)")
# CoNLL-U and MultiCoNER also have other comments before a sentence. The word "#" does not match: it has only a tag
# after it.
COMMENT = re.compile(r"# (?:\S+ = |id \S|newpar\b)")
# Characters without width. A word of these alone is blank.
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
# This flag of HIPE ends a sentence.
SENTENCE_END = re.compile(r"(?:.*\|)?(?:EndOfSentence|PySBDSegment)(?:\|.*)?")
# A sentence of WikiNER is a line of words such as `Ada|NNP|I-PER`.
BARS = re.compile(r"(?:\S+\|[^\s|]+\|[^\s|]+ *)+")
# The first lines of GUM name the parts of its brackets.
BRACKET_PARTS = "# global.Entity = "
BRACKET = re.compile(r"\(([^()]+)(\))?|([^()]+)\)")
# Where tabs separate the columns, a line with "# " in front and without a tab is a remark. These lines show that.
TAB_LINES = 200
# The layout is guessed from this many sentences.
LAYOUT_SENTENCES = 500

# Line number and the cells of the line.
Row = tuple[int, list[str]]
# Line number, word and the tag of each layer.
TaggedWord = tuple[int, str, list[str]]


def read_columns(path: Path, report: ReadingReport, options: ReadingOptions) -> Iterator[Document]:
    """Stream the documents of a file. By default the first column is the word and the last column is the tag.

    Tabs separate the columns. A line without a tab is split at spaces. A document begins at `-DOCSTART-`, at a comment
    `# newdoc id = NAME`, or at a mark of HIPE or GENIA. In a file without these marks every sentence is a document,
    because neighbouring sentences may be unrelated. Words without a visible character are left out and counted.

    Args:
        path: the file.
        report: receives the problems with their lines, and the number of `comments` and `blank words`.
        options: `scheme` and `columns` apply. `auto` guesses the scheme from the tags of the whole file. Without
            `columns` the layout is guessed, see `guess_layout`.

    Yields:
        Typed documents. Documents without a name are called `corpus-1`, `corpus-2` and so on in a file `corpus.conll`.

    Raises:
        PLMarkerError: if the file does not exist or is not UTF-8 text, or if `columns` names no column of it.
    """
    # The problems go to a temporary report, because the last pass finds them again.
    sample = [[cells for _, cells in rows] for _, rows in islice(_sentences(path, ReadingReport()), LAYOUT_SENTENCES)]
    if options.columns is None:
        layout = guess_layout(sample)
    else:
        layout = layout_of_option(options.columns, [cell.strip() for cell in sample[0][0]] if sample else [])
        layout = replace(layout, pairs=have_pairs(sample))
    if not isinstance(layout, str):
        layout = layout.unfit(sample) or layout
    if isinstance(layout, str):
        report.problem(path, 0, layout)
        return
    words_of_sample = [layout.word_of(row) for rows in sample for row in rows if layout.is_word(row)]
    layout = replace(layout, prefix=common_prefix(words_of_sample) if len(words_of_sample) > 1 else "")
    if layout.prefix:
        report.problem(path, 0, f"all words begin with {layout.prefix!r}, which is left out", fatal=False)
    type_place = _type_place(path) if layout.brackets else None
    if layout.brackets and type_place is None:
        report.problem(path, 0, f"the brackets name no types, expected a line {BRACKET_PARTS + 'GRP-etype-...'!r}")
        return
    if layout.word or layout.tags != (-1,):
        report.problem(path, 0, f"the columns are read as {layout}; --columns names others", fatal=False)
    tags: Counter[str] = Counter()
    # How many lines have a number of columns, and the first of them.
    widths: dict[int, list[Any]] = {}
    for _, rows in () if layout.brackets else _sentences(path, ReadingReport()):
        for number, cells in rows:
            if tuple(cells) != layout.header and layout.is_word(cells):
                tags.update(filter(None, layout.tags_of(cells)))
                widths.setdefault(sum(map(bool, cells)), [0, number, cells])[0] += 1
    _note_widths(path, widths, report)
    if "0" in tags and len(tags) > 1 and all(tag.isdecimal() for tag in tags):
        label = min(tag for tag in tags if tag != "0")
        report.problem(path, 0, f"the tags are numbers, such as {label!r}, expected labels: write their names")
        return
    parts = sorted(tag for tag in tags if DISCONTINUOUS.fullmatch(tag))
    if len({tag[:2] for tag in parts}) >= 2 and options.scheme == "auto":
        message = f"tags such as {parts[0]!r} mark parts of discontinuous entities, which no model can find"
        report.problem(path, 0, f"{message}: write entities without gaps, with B- and I-")
        return
    changes, notes = usual_tags(tags, options.scheme)
    for note in notes:
        report.problem(path, 0, f"{note}; --scheme names how tags are to be read", fatal=False)
    scheme = options.scheme
    if scheme == "auto" and not layout.brackets:
        words = (_words(path, rows, layout, changes, ReadingReport()) for _, rows in _sentences(path, ReadingReport()))
        # Layers share one scheme.
        scheme = guess_scheme(layer for sentence in words for layer in _layers(sentence))
        unusual = sorted(tag for tag in tags if scheme == "none" and is_tag(tag) and changes.get(tag, tag) != OUTSIDE)
        if unusual:
            message = f"most tags have no prefix, but {unusual[0]!r} has one; --scheme names how tags are to be read"
            report.problem(path, 0, message)
    # The ending of a name such as `eng.testa` is kept, because it identifies the split.
    stem = path.stem if has_ending(path, COLUMN_ENDINGS) else path.name
    has_words = False
    for (number, name), group in groupby(_sentences(path, report), key=lambda sentence: sentence[0]):
        sentences: list[list[str]] = []
        entities: list[list[TaggedEntity]] = []
        for _, rows in group:
            tagged = _words(path, rows, layout, changes, report)
            found: dict[TaggedEntity, None] = {}
            for layer in _layers(tagged):
                if type_place is None:
                    layer_entities, problems = entities_from_tags(layer, scheme)
                else:
                    layer_entities, problems = _entities_of_brackets(layer, type_place, report)
                found |= dict.fromkeys(layer_entities)
                for word, message, fatal in problems:
                    report.problem(path, tagged[word][0], message, fatal)
            if tagged:
                sentences.append([word for _, word, _ in tagged])
                entities.append(sorted(found))
        if sentences:
            has_words = True
            yield document_of_words(name or f"{stem}-{number}", sentences, entities)
    if not has_words:
        report.problem(path, 0, f"the file has no words with tags, expected lines such as 'Ada<tab>{OUTSIDE}'")


def _note_widths(path: Path, widths: Mapping[int, list[Any]], report: ReadingReport) -> None:
    """Warn of a few lines with more columns than nearly all others: a word or a label with a space is cut there."""
    usual = max(widths, key=lambda width: widths[width][0], default=0)
    total = sum(count for count, _, _ in widths.values())
    for width, (count, number, cells) in widths.items():
        if width > usual and widths[usual][0] >= MOST * total:
            message = (
                f"more than the usual {usual} columns are in {count} of {total} lines, such as {' '.join(cells)!r}"
            )
            report.problem(path, number, message, fatal=False)


def _words(
    path: Path, rows: Sequence[Row], layout: Layout, changes: Mapping[str, str], report: ReadingReport
) -> list[TaggedWord]:
    """The words of a sentence with their tags. Blank words outside of entities are left out."""
    words: list[TaggedWord] = []
    for number, cells in rows:
        if layout.header and tuple(cell.strip() for cell in cells) == layout.header:
            continue
        if not layout.is_word(cells):
            report.counts["lines without a word of their own"] += 1
            continue
        tags = [changes.get(tag, tag) for tag in layout.tags_of(cells)]
        word = layout.word_of(cells).translate(INVISIBLE).strip()
        if len(cells) == 1 and is_tag(cells[0].strip()) and cells[0][:1].isspace():
            # A blank word before the space that separates the columns.
            word, tags = "", [cells[0].strip()]
        if not word and tags and all(tag == OUTSIDE or tag[:2] in ("I-", "M-") for tag in tags):
            report.counts["blank words"] += 1
        elif not word or not all(tags):
            found = f"only {cells[0].strip()!r}" if word else "no word"
            report.problem(path, number, f"a line is a word and its tag in separate columns, got {found}")
        else:
            words.append((number, layout.word_of(cells), tags))
    return words


def is_wikiner(path: Path) -> bool:
    """Whether the first sentence of a file is a line of words such as `Ada|NNP|I-PER`."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = next((line for line in iter(lambda: file.readline(100_000), b"") if line.strip()), b"")
    text = first.decode("utf-8", "replace").strip()
    return bool(BARS.fullmatch(text)) and all(is_tag(cell.rpartition("|")[2]) for cell in text.split())


def _type_place(path: Path) -> int | None:
    """Which part of a bracket is the type of the entity; None where the file does not say it."""
    for _, line in islice(lines_with_numbers(path), 100):
        if line.startswith(BRACKET_PARTS):
            parts = line.removeprefix(BRACKET_PARTS).strip().split("-")
            return parts.index("etype") if "etype" in parts else None
    return None


def _entities_of_brackets(
    cells: Sequence[str], type_place: int, report: ReadingReport
) -> tuple[list[TaggedEntity], list[tuple[int, str, bool]]]:
    """The entities of a sentence whose words have brackets such as `(7-person-new` and `7)`.

    Args:
        cells: the brackets of each word.
        type_place: which part is the type; the first part is the number of the entity.

    Returns:
        As `entities_from_tags`.
    """
    entities: list[TaggedEntity] = []
    problems: list[tuple[int, str, bool]] = []
    # The first word and the type of the open entities of each number.
    opened: dict[str, list[tuple[int, str]]] = {}
    for word, cell in enumerate(cells):
        for begins, closes, ends in BRACKET.findall(cell):
            name = (begins or ends).split("-")[0]
            if "[" in name:
                # A part of a discontinuous entity.
                report.counts["discontinuous"] += bool(begins)
            elif begins:
                parts = begins.split("-")
                label = parts[type_place] if type_place < len(parts) else ""
                if not label:
                    problems.append((word, f"the bracket {begins!r} has no type", True))
                elif closes:
                    entities.append((word, word, label))
                else:
                    opened.setdefault(name, []).append((word, label))
            elif opened.get(name):
                first, label = opened[name].pop()
                entities.append((first, word, label))
            else:
                problems.append((word, f"the bracket {ends!r}) ends no entity of its sentence", True))
    open_ones = [(first, name) for name, rows in opened.items() for first, _ in rows]
    problems += [
        (first, f"the bracket of entity {name!r} does not end in its sentence", True) for first, name in open_ones
    ]
    return entities, problems


def _layers(words: Sequence[TaggedWord]) -> list[list[str]]:
    """The tags of each layer of a sentence."""
    return [list(layer) for layer in zip(*(tags for _, _, tags in words), strict=True)]


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
            word `-DOCSTART-` or `-DOCEND-`, no white space in a word or label, and no line break, tab or surrounding
            white space in its name.
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
                    if word.split() != [word] or word in DOCUMENT_MARKS or tag.split() != [tag]:
                        message = f"columns cannot hold the word {word!r} with the tag {tag!r}"
                        raise PLMarkerError(f"document {key!r}: {message}")
                    file.write(f"{word}\t{tag}\n")
                file.write("\n" if words else "")
                first += len(words)


def _sentences(path: Path, report: ReadingReport) -> Iterator[tuple[tuple[int, str], list[Row]]]:
    """Yield each sentence with its document.

    Yields:
        ((number of the document from 1, name of the document), rows of the sentence). The name may be empty.
    """
    document, name, marked = 0, "", False
    rows: list[Row] = []
    bars, ended = is_wikiner(path), False
    tabs = any("\t" in line for _, line in islice(lines_with_numbers(path), TAB_LINES))
    for number, line in chain(lines_with_numbers(path, keep_empty=True), [(0, "")]):
        line = line.rstrip("\r\n")
        if bars:
            rows = [(number, word.rsplit("|", 2)) for word in line.split()]
            if rows:
                document += 1
                yield (document, ""), rows
            continue
        cells = _cells(line)
        mark = DOCUMENT_MARK.fullmatch(line)
        is_mark = mark is not None or cells[0].strip() in DOCUMENT_MARKS
        # KLUE has "##", the name of a sentence, a tab and the sentence.
        begins_one = line.startswith("## ") or (line.startswith("# ") and "\t" not in line)
        is_remark = tabs and begins_one and not is_tag(cells[-1].strip())
        if not is_mark and (is_remark or COMMENT.match(line) or _is_comment(cells)):
            report.counts["comments"] += 1
            continue
        # A line of blank characters that only separate columns ends a sentence, as an empty line does.
        is_empty = not line.strip(" \t")
        # HIPE has no empty lines between sentences. An entity may go on behind the flag.
        cut = ended and not any(cell.startswith("I-") for cell in cells[1:])
        if rows and (is_mark or is_empty or cut):
            document += not marked
            yield (document, name), rows
            rows = []
        if is_mark:
            document, marked = document + 1, True
            name = mark[1].strip() if mark is not None else ""
        elif not is_empty:
            rows.append((number, cells))
        ended = bool(SENTENCE_END.fullmatch(cells[-1])) or (ended and not cut)


def _cells(line: str) -> list[str]:
    """The columns of a line. Only plain spaces separate columns: a no-break space is part of a word."""
    if "\t" in line:
        return line.split("\t")
    if line.startswith(" ") and len(line.split()) == 1:
        return [line.rstrip(" ")]
    cells = re.split(" +", line.strip(" "))
    if cells[1:3] == ["-X-", "_"]:
        # Label Studio writes labels with spaces in its last column.
        return [*cells[:3], " ".join(cells[3:])]
    return cells


def _is_comment(cells: Sequence[str]) -> bool:
    """Whether a row is a comment as GermEval has it: "#", then the source of the sentence."""
    return len(cells) == 2 and cells[0] == "#" and not is_tag(cells[1].strip()) and " " in cells[1].strip()
