"""Words to subwords, and documents to windows."""

from __future__ import annotations

import math
import re
import string
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter

from transformers import AddedToken, PreTrainedTokenizerBase

from .schema_plmarker import PLMarkerError
from .text_plmarker import Span, sentence_ranges

BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}

# A stream of documents must not fill the memory with words.
MAX_KNOWN_WORDS = 500_000

# Shared windows give a sentence the room of a window over this as context on each side, or more.
CONTEXT_PARTS = 16

# Tokenizers reserve these families of unused tokens. Marker tokens are taken from them.
UNUSED_TOKENS = (r"\[unused\d+\]", r"madeupword\d+")


def is_unused(token: str) -> bool:
    """Whether a tokenizer reserves this token for later use."""
    return any(re.fullmatch(pattern, token) for pattern in UNUSED_TOKENS)


def is_reserved(token: AddedToken) -> bool:
    """Whether an added token never means text. Special tokens and unused tokens are such tokens."""
    return token.special or is_unused(token.content)


class WordTokenizer:
    """Tokenizes each word by itself, as the original does, and remembers the words that it has seen.

    Byte-level tokenizers (RoBERTa) get a space before each word, except before a word that starts with `'` or is a
    single punctuation character. A word without subwords becomes the unknown token, and so does a marker token.

    Args:
        tokenizer: the encoder's tokenizer.
        map_brackets: read `-LRB-` and its relatives as brackets.

    Raises:
        PLMarkerError: for a tokenizer without the special tokens around a text.

    Example:
        >>> WordTokenizer(tokenizer)(["Ada", "sings"]).word_starts
        [0, 1, 2]
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, map_brackets: bool = True) -> None:
        self.tokenizer = tokenizer
        self.brackets = BRACKETS if map_brackets else {}
        self.wants_space = tokenizer.tokenize("a") != tokenizer.tokenize(" a")
        self.first_id = tokenizer.bos_token_id if tokenizer.cls_token_id is None else tokenizer.cls_token_id
        self.last_id = tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
        # Byte-level vocabularies may lack an unknown token, but there every word has subwords.
        spare = (tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.pad_token_id)
        known = [token_id for token_id in spare if token_id is not None]
        if not known or None in (self.first_id, self.last_id):
            raise PLMarkerError("the tokenizer has no special tokens: is tokenizer_config.json missing beside it?")
        self.unknown_id = known[0]
        reserved = {index for index, token in tokenizer.added_tokens_decoder.items() if is_reserved(token)}
        self.forbidden = {*tokenizer.all_special_ids, *reserved} - {self.unknown_id}
        self._known: dict[str, list[int]] = {}

    def __call__(self, words: Sequence[str]) -> Subwords:
        """Tokenize the words of a document."""
        # Threads share this object: each call works on the dictionary that it began with.
        known = self._known
        if len(known) > MAX_KNOWN_WORDS:
            known = self._known = {}
        new = [word for word in dict.fromkeys(words) if word not in known]
        if new:
            texts = [self._text(word) for word in new]
            ids_of_words = self.tokenizer(
                texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
            )["input_ids"]
            known.update((word, self._clean(ids)) for word, ids in zip(new, ids_of_words, strict=True))
        ids: list[int] = []
        word_starts = [0]
        for word in words:
            ids += known[word]
            word_starts.append(len(ids))
        return Subwords(ids, word_starts)

    def with_special_tokens(self, ids: Sequence[int]) -> list[int]:
        """`[CLS] ids [SEP]`, or the tokens that the tokenizer uses in their place."""
        return [self.first_id, *ids, self.last_id]

    def _text(self, word: str) -> str:
        # A lone surrogate cannot be encoded. It becomes a question mark.
        word = self.brackets.get(word, word).encode("utf-8", "replace").decode("utf-8")
        is_punctuation = len(word) == 1 and word in string.punctuation
        return f" {word}" if self.wants_space and not is_punctuation and not word.startswith("'") else word

    def _clean(self, ids: list[int]) -> list[int]:
        return [self.unknown_id if index in self.forbidden else index for index in ids] or [self.unknown_id]


@dataclass(frozen=True)
class Subwords:
    """A document as subwords.

    Args:
        ids: subword ids of the whole document, without special tokens.
        word_starts: index in `ids` of the first subword of each word, then `len(ids)`; shape (words + 1,).
    """

    ids: list[int]
    word_starts: list[int]


@dataclass(frozen=True)
class Window:
    """The text that the encoder reads once.

    Args:
        start, stop: the subwords of the document that the window holds, as a slice. Special tokens are not counted.
    """

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Subwords of the window, without special tokens."""
        return self.stop - self.start

    def holds(self, start: int, stop: int) -> bool:
        """Whether a slice of the document's subwords is in the window."""
        return self.start <= start and stop <= self.stop


@dataclass(frozen=True)
class Reading:
    """A stretch of a sentence that is read in one window.

    Args:
        first_word, last_word: the stretch, both inclusive, at document level.
        window: the window with the stretch and its context.
    """

    first_word: int
    last_word: int
    window: Window


@dataclass
class SegmentedDocument:
    """A document as subwords, with the windows that read its sentences.

    Every sentence gets the window that `window_around` chooses. Sentences whose windows hold the same subwords share
    one. A sentence of more than `room` subwords is read in several windows that overlap by half.

    With `shared` a document has few windows, see `few_windows`. A sentence is read in that window of them that has most
    context on the poorer side of the sentence.

    Args:
        subwords: the document as subwords.
        sentences: first and last word of each sentence, see `sentence_ranges`.
        room: most subwords of a window, without special tokens and solid markers.
        shared: whether sentences share windows.
    """

    subwords: Subwords
    sentences: list[Span]
    room: int
    shared: bool = False
    _readings: dict[int, list[Reading]] = field(default_factory=dict)

    def readings(self, sentence: int) -> list[Reading]:
        """The windows that read a sentence; none for a sentence without words."""
        if sentence not in self._readings:
            pieces = _pieces(self.subwords.word_starts, *self.sentences[sentence], self.room)
            self._readings[sentence] = [Reading(first, last, self._window(first, last)) for first, last in pieces]
        return self._readings[sentence]

    def whole_window(self, sentence: int) -> Window | None:
        """The only window of a sentence, with all its words; None where there is no such window."""
        readings = self.readings(sentence)
        is_whole = len(readings) == 1 and (readings[0].first_word, readings[0].last_word) == self.sentences[sentence]
        return readings[0].window if is_whole else None

    def _window(self, first_word: int, last_word: int) -> Window:
        starts = self.subwords.word_starts
        if not self.shared:
            return window_around(starts, first_word, last_word, self.room)
        start, stop = starts[first_word], starts[last_word + 1]
        # The windows are in the order of the text. The others begin too early or too late to hold the words.
        windows, place = self._few_windows, attrgetter("start")
        near = slice(bisect_left(windows, stop - self.room, key=place), bisect_right(windows, start, key=place))
        return max(windows[near], key=lambda window: context_of(window, start, stop, starts[-1]))

    @cached_property
    def _few_windows(self) -> list[Window]:
        starts = self.subwords.word_starts
        pieces = [piece for sentence in self.sentences for piece in _pieces(starts, *sentence, self.room)]
        return few_windows(starts, pieces, self.room, self.room // CONTEXT_PARTS)

    def window_of(self, sentence: int, first_word: int, last_word: int) -> Window | None:
        """The window that reads these words of a sentence with most text on the poorer side.

        Words that fit no window of the sentence together get a window of their own.

        Returns:
            The window, or None where the words have more than `room` subwords.
        """
        starts = self.subwords.word_starts
        start, stop = starts[first_word], starts[last_word + 1]
        # A sentence may have many windows. Only those that are near are looked at.
        readings = self.readings(sentence)
        first = bisect_left(readings, last_word, key=attrgetter("last_word"))
        near = readings[first : bisect_right(readings, first_word, key=attrgetter("first_word"))]
        if len(near) == 1:
            return near[0].window
        if near:
            return self.best_of([reading.window for reading in near], first_word, last_word)
        if stop - start > self.room:
            return None
        # Words at nearly the same place share a window, unless they fill it.
        step = max(1, self.room // 8)
        middle = start - (self.room - (stop - start)) // 2
        window = self._window_at(round(middle / step) * step)
        return window if window.holds(start, stop) else window_around(starts, first_word, last_word, self.room)

    def best_of(self, windows: Sequence[Window], first_word: int, last_word: int) -> Window | None:
        """The window that reads some words with most text on the poorer side; the first one of several.

        Returns:
            The window, or None where no window holds the words.
        """
        start, stop = self.subwords.word_starts[first_word], self.subwords.word_starts[last_word + 1]
        holding = [window for window in windows if window.holds(start, stop)]
        return max(holding, key=lambda window: min(start - window.start, window.stop - stop), default=None)

    def windows_around(self, sentence: int, first_word: int, last_word: int) -> list[Window]:
        """The windows that read some words of a sentence together with any other word that is near enough.

        They are few, whatever the other words are: one for a sentence that fits a window, else five. The words are at
        the end, at the beginning, and at three places between them.

        Returns:
            The windows; none where the words have more than `room` subwords.
        """
        whole = self.whole_window(sentence)
        if whole is not None:
            return [whole]
        start, stop = (self.subwords.word_starts[word] for word in (first_word, last_word + 1))
        left_over = self.room - (stop - start)
        if left_over < 0:
            return []
        return list(dict.fromkeys(self._window_at(start - left_over * part // 4) for part in range(4, -1, -1)))

    def _window_at(self, start: int) -> Window:
        """The window that begins at a subword, moved into the document."""
        length = self.subwords.word_starts[-1]
        start = max(0, min(start, length - self.room))
        return Window(start, min(start + self.room, length))

    def input_ids(self, window: Window, tokenize: WordTokenizer) -> list[int]:
        """The subwords of a window between `[CLS]` and `[SEP]`."""
        return tokenize.with_special_tokens(self.subwords.ids[window.start : window.stop])

    def position(self, window: Window, word: int) -> int:
        """Position of a word's first subword in a window, where `[CLS]` has position 0."""
        return self.subwords.word_starts[word] - window.start + 1

    def last_position(self, window: Window, word: int) -> int:
        """Position of a word's last subword in a window, where `[CLS]` has position 0."""
        return self.subwords.word_starts[word + 1] - window.start


def segment(
    sentences: Sequence[Sequence[str]], tokenize: WordTokenizer, room: int, shared: bool = False
) -> SegmentedDocument:
    """Cut a document into windows.

    Args:
        sentences: the words of each sentence.
        tokenize: turns words into subwords.
        room: most subwords of a window, without special tokens and solid markers.
        shared: whether sentences share windows, see `SegmentedDocument`.
    """
    words = [word for sentence in sentences for word in sentence]
    return SegmentedDocument(tokenize(words), sentence_ranges(sentences), room, shared)


def few_windows(word_starts: Sequence[int], pieces: Sequence[Span], room: int, context: int) -> list[Window]:
    """The fewest windows that give each sentence `context` subwords on both sides, or the most that fit.

    Args:
        word_starts: index of the first subword of each word, then the number of subwords; shape (words + 1,).
        pieces: first and last word of each sentence, in their order; of at most `room` subwords each.
        room: most subwords of a window.
        context: least subwords on each side of a sentence.

    Returns:
        The windows, in the order of the text. Each sentence is held by at least one.

    Example:
        >>> few_windows(range(13), [(0, 3), (4, 7), (8, 11)], room=10, context=2)
        [Window(start=0, stop=10), Window(start=2, stop=12)]
    """
    length = word_starts[-1]
    windows: list[Window] = []
    for first_word, last_word in pieces:
        start, stop = word_starts[first_word], word_starts[last_word + 1]
        # A long sentence leaves less room than `context`.
        most = context_of(window_around(word_starts, first_word, last_word, room), start, stop, length)
        needed = int(min(context, most))
        if not windows or context_of(windows[-1], start, stop, length) < needed:
            # The latest window with enough context before the sentence holds most of what follows.
            window_start = max(0, min(start - needed, length - room))
            windows.append(Window(window_start, min(window_start + room, length)))
    return windows


def context_of(window: Window, start: int, stop: int, length: int) -> float:
    """Subwords on the poorer side; -1 where the window lacks some of `start` to `stop`. A border is no lack of text."""
    if not window.holds(start, stop):
        return -1
    left = start - window.start if window.start else math.inf
    return min(left, window.stop - stop if window.stop < length else math.inf)


def window_around(word_starts: Sequence[int], first_word: int, last_word: int, room: int) -> Window:
    """The window of a range of words: their subwords, and context from both sides up to `room` subwords.

    The shorter side gives min(its length, half of what is left). The other side gives what is left then. The original
    chooses the same way.
    """
    start, stop = word_starts[first_word], word_starts[last_word + 1]
    left_over = room - (stop - start)
    left, right = start, word_starts[-1] - stop
    if left < right:
        left = min(left, left_over // 2)
        right = min(right, left_over - left)
    else:
        right = min(right, left_over // 2)
        left = min(left, left_over - right)
    return Window(start - left, stop + right)


def _pieces(word_starts: Sequence[int], first_word: int, last_word: int, room: int) -> list[Span]:
    """Ranges of words of at most `room` subwords each that overlap by half. Longer single words are in none."""
    if word_starts[last_word + 1] - word_starts[first_word] <= room:
        return [(first_word, last_word)] if last_word >= first_word else []
    pieces: list[Span] = []
    first = first_word
    while first <= last_word:
        last = first
        while last < last_word and word_starts[last + 2] - word_starts[first] <= room:
            last += 1
        if word_starts[first + 1] - word_starts[first] > room:
            first += 1
            continue
        if not pieces or last > pieces[-1][1]:
            pieces.append((first, last))
        if last == last_word:
            break
        middle = (word_starts[first] + word_starts[last + 1]) // 2
        first = max(first + 1, next(word for word in range(first, last + 2) if word_starts[word] >= middle))
    return pieces
