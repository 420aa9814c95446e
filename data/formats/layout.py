"""Which columns of a file hold the word and the tags."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise

from ...modeling.schema_plmarker import PLMarkerError
from ..tags import OUTSIDE, entities_from_tags, guess_scheme, is_tag

# Names of columns in a header row, in lower case.
WORD_NAMES = ("token", "tokens", "word", "words", "form", "text")
TAG_NAMES = re.compile(r"ne([-_ ].*)?|ner([-_ ].*)?|tags?|labels?|entity|entities|bio|iob", re.IGNORECASE)
KEY = re.compile(r"(?:^|\|)(name|ne|ner|entity)=([^|]*)", re.IGNORECASE)
# Phrases are in a column beside that of the entities in CoNLL-2003, in English and German.
CHUNK = re.compile(r"[A-Z]{1,5}P|SBAR|PRT|INTJ|LST|UCP|[NVPA]C")
# CoNLL-U also has lines for several words at once, and for words that are left out.
NO_WORD = re.compile(r"\d+[-.]\d+")
# The number of a word, with what is before it: `3`, `2-3`, `t3`, `3.`.
NUMBER = re.compile(r"(\D*|.*\D)([0-9]{1,12})[.)]?")
# A column that holds tags in nearly all rows.
MOST = 0.95
LANGUAGE = re.compile(r"([a-z]{2,3}(?:-[a-z]+)*:)(?=\S)")
EXAMPLE = "such as --columns word=1,tag=2"
# Two columns with this share of equal entities are no layers, which have few.
REPEATED = 0.25


@dataclass(frozen=True)
class Layout:
    """The columns of a file.

    Args:
        word: index of the word's column.
        tags: index of each column of tags. Several columns are layers of nested entities. -1 is the last column.
        key: the key of the tag where the tag's column holds `key=value|key=value`; empty where it holds the tag alone.
        header: the names of the columns in the header row; empty without one.
        brackets: whether brackets in place of tags begin and end entities, as GUM has it.
        pairs: whether the rows of words have pairs of numbers, such as `2-3` for a sentence and a word. In CoNLL-U
            these are rows without a word.
        prefix: what all words begin with and that is no part of them, such as `en:` in WikiANN.
    """

    word: int = 0
    tags: tuple[int, ...] = (-1,)
    key: str = ""
    header: tuple[str, ...] = field(default=())
    brackets: bool = False
    pairs: bool = False
    prefix: str = ""

    def is_word(self, columns: Sequence[str]) -> bool:
        """Whether a row has a word: numbered rows also have comments, and lines that repeat words."""
        first = columns[0].strip()
        is_comment = first.startswith("#") and len(columns) <= self.word
        return not self.word or not (is_comment or (not self.pairs and NO_WORD.fullmatch(first)))

    def unfit(self, sentences: Sequence[Sequence[Sequence[str]]]) -> str:
        """Why no row of a file can have these columns; empty where a row can."""
        rows = [row for sentence in sentences for row in sentence]
        width = max(map(len, rows), default=0)
        if width == 1:
            mark = next((mark for mark in ",;|" if sum(mark in row[0] for row in rows) >= MOST * len(rows)), None)
            if mark is not None:
                return f"{mark!r} separates the columns, expected tabs or spaces, as in {rows[0][0]!r}"
        least = max(self.word, *self.tags) + 1
        if rows and self.word in self.tags:
            return f"column {self.word + 1} cannot be the word and its tag"
        if width > 1 and least > width:
            return f"the columns {self} are not all there, since the rows have {width} columns at most"
        return ""

    def word_of(self, columns: Sequence[str]) -> str:
        """The word of a row; empty where the row is too short."""
        return columns[self.word].strip().removeprefix(self.prefix) if self.word < len(columns) else ""

    def tags_of(self, columns: Sequence[str]) -> list[str]:
        """The tags of a row; an empty string where the row is too short."""
        found = []
        for index in self.tags:
            last = len(columns) - 1
            place = last if index < 0 else index
            # The only column of a row is its word.
            value = columns[place].strip() if place <= last and place != self.word else ""
            if self.key:
                value = next((text for key, text in KEY.findall(value) if key.lower() == self.key), "O")
            found.append(value)
        return found

    def __str__(self) -> str:
        names = [f"word={self.word + 1}", *(f"tag={'last' if index < 0 else index + 1}" for index in self.tags)]
        return ",".join(names) + (f":{self.key}" if self.key else "")


def layout_of_option(option: str, header: Sequence[str]) -> Layout:
    """The layout that a user names.

    Example:
        >>> str(layout_of_option("word=2,tag=3,tag=4", []))
        'word=2,tag=3,tag=4'

    Args:
        option: `word=COLUMN` and `tag=COLUMN`, separated by commas. A column is a number from 1, `last`, or a name of
            the header row. `tag=COLUMN:KEY` reads `KEY=tag` inside the column. Several tags are layers.
        header: the cells of the file's first row.

    Raises:
        PLMarkerError: for anything else, naming it.
    """
    word, tags, key, named = 0, [], "", False
    for part in option.split(","):
        kind, _, place = part.strip().partition("=")
        place, _, inner = place.partition(":")
        if place == "last":
            index = -1
        elif place.isdecimal() and int(place) > 0:
            index = int(place) - 1
        elif place in header:
            index, named = list(header).index(place), True
        else:
            known = f"; the first row has {', '.join(header[:12])}" if header else ""
            message = f"names no column, expected word=COLUMN or tag=COLUMN with a number from 1 or a name{known}"
            raise PLMarkerError(f"columns: {part.strip()!r} {message}")
        if kind == "word" and index >= 0:
            word = index
        elif kind == "tag":
            tags.append(index)
            key = inner.lower() or key
        else:
            raise PLMarkerError(f"columns: expected word=COLUMN or tag=COLUMN, got {part.strip()!r}")
    if not tags:
        raise PLMarkerError(f"columns: {option!r} names no tag, {EXAMPLE}")
    return Layout(word, tuple(tags), key, tuple(header) if named else ())


def guess_layout(sentences: Sequence[Sequence[Sequence[str]]]) -> Layout | str:
    """Guess the layout from the first rows of a file.

    Known layouts: a word first and a tag last (CoNLL-2003); a header row (HIPE); running numbers first (GermEval
    with two layers, UniversalNER), or places in a text; a tag that other columns follow (flair); `name=TAG` in the
    last column (NorNE); brackets of `Entity=` there (GUM); several columns of tags, which are layers of nested
    entities (GENIA).

    Args:
        sentences: the cells of each row of each sentence.

    Returns:
        The layout, or a sentence that says why there is no plausible one.
    """
    rows = [row for sentence in sentences for row in sentence]
    if not rows:
        return Layout()
    if have_pairs(sentences):
        # The second number counts the words of a sentence.
        counted = [[[re.split(r"[-.]", row[0].strip())[1], *row[1:]] for row in sentence] for sentence in sentences]
        found = guess_layout(counted)
        return found if isinstance(found, str) else replace(found, pairs=True)
    header = _header(rows[0])
    lines = sum(len(row) == 2 and _is_sentence_with_tags(row) for row in rows)
    if lines >= MOST * len(rows):
        return "each line is a sentence with its tags, expected a line for each word"
    borders = [name for name in (header.header if header is not None else ()) if name.lower().startswith("sentence")]
    if borders and len(sentences) == 1:
        return f"the column {borders[0]!r} has the borders of sentences, expected an empty line between sentences"
    if header is not None:
        return header
    word = 1 if _counts(sentences) else _behind_offsets(sentences)
    if word is None:
        return f"the first column has numbers that do not grow, such as {rows[0][0]!r}: name the columns, {EXAMPLE}"
    rows = [row for row in rows if Layout(word).is_word(row)]
    width = max(len(row) for row in rows)
    if width <= word + 1:
        return Layout(word)
    # Two words may be equal by chance.
    least = 2 if width >= 3 and len(sentences) > 1 else 3
    same = [{row[0].strip() for row in sentence} for sentence in sentences if len(sentence) >= least]
    if word == 0 and same and all(len(found) == 1 for found in same):
        value = next(iter(same[0]))
        return f"the first column has one value in a whole sentence, such as {value!r}: name the columns, {EXAMPLE}"
    values = [Counter(row[index].strip() for row in rows if index < len(row)) for index in range(width)]
    # Columns that a few rows alone have are parts of words with spaces.
    usual = [index for index in range(word + 1, width) if values[index].total() >= 0.5 * len(rows)]
    tagged = [index for index in usual if _share(values[index], is_tag) >= MOST]
    # Words outside of entities may have other keys alone, or none.
    keyed = [
        index
        for index in range(word + 1, width)
        if any(KEY.search(text) for text in values[index])
        and _share(values[index], lambda text: text == "_" or "=" in text) >= MOST
    ]
    if keyed:
        match = next(KEY.search(text) for text in values[keyed[-1]] if KEY.search(text))
        assert match is not None
        key = match[1].lower()
        brackets = all(re.search(r"[()]", match[2]) for match in map(KEY.search, values[keyed[-1]]) if match)
        return Layout(word, (keyed[-1],), key, brackets=brackets)
    last = Counter(row[-1].strip() for row in rows if len(row) > word + 1)
    layers = [index for index in tagged if not _are_phrases(values[index])] or tagged
    is_last = layers[-1:] == [width - 1]
    ends_with_phrases = layers != tagged and not is_last
    if word == 0 and _share(last, is_tag) >= MOST and not ends_with_phrases and (len(layers) < 2 or not is_last):
        return Layout()
    widths = Counter(len(row) for row in rows if len(row) > word + 1)
    if layers and word == 0 and max(widths.values()) < MOST * widths.total():
        # Labels with spaces would be cut.
        return _uneven(widths)
    plain = [index for index in range(word + 1, width) if values[index][OUTSIDE]]
    if repeated := _repeated(sentences, word, layers or plain):
        return repeated
    if layers:
        # The layers lie side by side.
        first = next(index for index in reversed(layers) if index - 1 not in layers)
        return Layout(word, tuple(index for index in layers if index >= first) if not word else tuple(layers))
    return _plain(word, width, last, widths)


def _repeated(sentences: Sequence[Sequence[Sequence[str]]], word: int, columns: Sequence[int]) -> str:
    """A sentence where two columns have the same entities, as files for conlleval do; else nothing."""
    of_column = {index: _entities(sentences, word, index) for index in columns}
    for first, second in combinations(columns, 2):
        both = of_column[first] & of_column[second]
        if len(both) >= 2 and len(both) >= REPEATED * max(len(of_column[first]), len(of_column[second])):
            return (
                f"the columns {first + 1} and {second + 1} have entities in common, as annotated and predicted tags "
                f"do: name one of them, such as --columns word={word + 1},tag={first + 1}, or both as layers"
            )
    return ""


def _entities(sentences: Sequence[Sequence[Sequence[str]]], word: int, column: int) -> set[tuple[int, int, int, str]]:
    """The entities of a column of tags, as (sentence, first word, last word, label)."""
    tags = []
    for sentence in sentences:
        cells = [row[column].strip() for row in sentence if Layout(word).is_word(row) and column < len(row)]
        tags.append([OUTSIDE if cell == "_" else cell for cell in cells])
    scheme = guess_scheme(tags)
    return {(n, *entity) for n, found in enumerate(tags) for entity in entities_from_tags(found, scheme)[0]}


def _plain(word: int, width: int, last: Counter[str], widths: Counter[int]) -> Layout | str:
    """The layout of a file whose tags have no prefixes, or the reason why the last column holds no tags."""
    outside, n_rows = last["O"] + last["0"] + last["o"], last.total()
    shown = ", ".join(repr(text) for text, _ in last.most_common(3))
    if max(widths.values()) < MOST * n_rows:
        return _uneven(widths)
    if not outside:
        return f"the last column is never 'O', its values are {shown} ...: name the columns, {EXAMPLE}"
    if n_rows >= 20 and len(last) > max(100, n_rows // 4):
        return f"the last column has {len(last)} different values, such as {shown}: name the columns, {EXAMPLE}"
    return Layout(word, (-1,) if word == 0 else (width - 1,))


def _uneven(widths: Counter[int]) -> str:
    found = ", ".join(str(columns) for columns in sorted(widths)[:4])
    return (
        f"the lines have different numbers of columns, such as {found}; raw text has no annotations to read, and words "
        "or labels with spaces need tabs between the columns"
    )


def _are_phrases(values: Counter[str]) -> bool:
    """Whether the tags of a column are phrases such as `B-NP`."""
    labels = {text[2:] for text in values if text[1:2] == "-"}
    return bool(labels) and sum(bool(CHUNK.fullmatch(label)) for label in labels) >= MOST * len(labels)


def _header(row: Sequence[str]) -> Layout | None:
    names = [cell.strip() for cell in row]
    words = [index for index, name in enumerate(names) if name.lower() in WORD_NAMES]
    tags = [index for index, name in enumerate(names) if TAG_NAMES.fullmatch(name)]
    return Layout(words[0], (tags[0],), header=tuple(names)) if len(names) > 1 and words and tags else None


def common_prefix(words: Iterable[str]) -> str:
    """The code of a language that all words begin with, as in WikiANN; empty where there is none.

    Example:
        >>> common_prefix(["en:Ada", "en:sings"]), common_prefix(["en:Ada", "sings"])
        ('en:', '')
    """
    found = {match[1] if (match := LANGUAGE.match(word)) else "" for word in words}
    return found.pop() if len(found) == 1 else ""


def have_pairs(sentences: Sequence[Sequence[Sequence[str]]]) -> bool:
    """Whether all rows begin with a pair of numbers."""
    rows = [row for sentence in sentences for row in sentence]
    return bool(rows) and all(NO_WORD.fullmatch(row[0].strip()) for row in rows)


def _counts(sentences: Sequence[Sequence[Sequence[str]]]) -> bool:
    """Whether the first column counts the words of each sentence, or goes on counting in the next sentence."""
    words = Layout(1)
    numbers = [
        [row[0].strip() for row in sentence if words.is_word(row)]
        for sentence in sentences
        if any(len(row) > 2 for row in sentence)
    ]
    longer = [found for found in numbers if found]
    matching = 0
    for found in longer:
        numbered = [NUMBER.fullmatch(text) for text in found]
        if not all(numbered) or len({match[1] for match in numbered if match}) > 1:
            continue
        counted = [int(match[2]) for match in numbered if match]
        may_begin = len(found) > 1 or counted[0] in (0, 1)
        matching += may_begin and counted == list(range(counted[0], counted[0] + len(counted)))
    return bool(longer) and matching > 0.5 * len(longer)


def _behind_offsets(sentences: Sequence[Sequence[Sequence[str]]]) -> int | None:
    """The column of the words behind columns of growing numbers, which are places of the words in a text.

    Returns:
        0 where the first column has no numbers, and None where its numbers are no places.
    """
    rows = [row for sentence in sentences for row in sentence]
    if max(map(len, sentences)) < 2 or min(map(len, rows)) < 3:
        return 0
    for column in range(min(map(len, rows)) - 1):
        cells = [row[column].strip() for row in rows]
        if sum(cell.isdecimal() for cell in cells) < MOST * len(cells):
            return column
        for sentence in sentences:
            places = [int(row[column]) for row in sentence if row[column].strip().isdecimal()]
            if any(first >= second for first, second in pairwise(places)):
                return None
    return None


def _is_sentence_with_tags(row: Sequence[str]) -> bool:
    """Whether two cells are a whole sentence and a tag for each of its words."""
    words, tags = row[0].split(), row[1].split()
    return len(words) == len(tags) > 1 and all(map(is_tag, tags))


def _share(values: Counter[str], matches: object) -> float:
    """The share of values that match, where some of them are not the same as all others."""
    assert callable(matches)
    total = values.total()
    return sum(count for text, count in values.items() if matches(text)) / total if total else 0.0
