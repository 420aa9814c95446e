"""Words to subwords, and sentences to windows: pure functions on lists (as the original has them)."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import AddedToken, PreTrainedTokenizerBase

BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}

# A stream of documents must not fill the memory with words.
MAX_KNOWN_WORDS = 500_000

# Families of unused tokens that tokenizers reserve; markers are taken from them.
UNUSED_TOKENS = (r"\[unused\d+\]", r"madeupword\d+")


def is_unused(token: str) -> bool:
    """Whether a token is one that a tokenizer keeps for later use."""
    return any(re.fullmatch(pattern, token) for pattern in UNUSED_TOKENS)


def is_reserved(token: AddedToken) -> bool:
    """Whether an added token stands for no text: a special one, or an unused one."""
    return token.special or is_unused(token.content)


@dataclass(frozen=True)
class Subwords:
    """A document as subwords.

    Args:
        ids: subword ids of the whole document, without special tokens.
        word_starts: index in `ids` of each word's first subword, and len(ids) at the end; length words + 1.
    """

    ids: list[int]
    word_starts: list[int]


@dataclass(frozen=True)
class Window:
    """What the encoder reads for one sentence, or for one piece of a sentence that is too long for it.

    Args:
        first_word, last_word: the words, both inclusive, whose spans this window is read for (document level).
        start, stop: the subwords that it holds, as a slice of `Subwords.ids`; context included.
    """

    first_word: int
    last_word: int
    start: int
    stop: int


class WordTokenizer:
    """Tokenises words one by one, as the original does, and remembers them.

    Byte-level tokenizers (RoBERTa's) get a space before a word, except one that starts with `'` or is a single
    punctuation character. A word without subwords, or one spelled like a marker token, becomes the unknown token.

    Args:
        tokenizer: the encoder's tokenizer.
        map_brackets: read `-LRB-` and its kin as the brackets that they stand for. The original's relation scripts
            do not (docs/original.md, Q1).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, map_brackets: bool = True) -> None:
        self.tokenizer = tokenizer
        self.brackets = BRACKETS if map_brackets else {}
        self.wants_space = tokenizer.tokenize("a") != tokenizer.tokenize(" a")
        self.first_id = tokenizer.bos_token_id if tokenizer.cls_token_id is None else tokenizer.cls_token_id
        self.last_id = tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
        # Byte-level vocabularies may have no unknown token; any word has subwords there.
        spare = (tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.pad_token_id)
        self.unknown_id = next(token_id for token_id in spare if token_id is not None)
        reserved = {index for index, token in tokenizer.added_tokens_decoder.items() if is_reserved(token)}
        self.forbidden = {*tokenizer.all_special_ids, *reserved} - {self.unknown_id}
        self._known: dict[str, list[int]] = {}
        self._raw: WordTokenizer | None = None

    def raw(self) -> WordTokenizer:
        """The same without mapping brackets."""
        if not self.brackets:
            return self
        self._raw = self._raw or WordTokenizer(self.tokenizer, map_brackets=False)
        return self._raw

    def __call__(self, words: Sequence[str]) -> Subwords:
        """Tokenise the words of a document."""
        if len(self._known) > MAX_KNOWN_WORDS:
            self._known.clear()
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        if new:
            texts = [self._text(word) for word in new]
            ids_of_words = self.tokenizer(
                texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
            )["input_ids"]
            self._known.update((word, self._clean(ids)) for word, ids in zip(new, ids_of_words, strict=True))
        ids: list[int] = []
        word_starts = [0]
        for word in words:
            ids += self._known[word]
            word_starts.append(len(ids))
        return Subwords(ids, word_starts)

    def with_special_tokens(self, ids: Sequence[int]) -> list[int]:
        """`[CLS] ids [SEP]`, or what the tokenizer has in their place."""
        return [self.first_id, *ids, self.last_id]

    def _text(self, word: str) -> str:
        # A lone surrogate cannot be encoded; it becomes a question mark.
        word = self.brackets.get(word, word).encode("utf-8", "replace").decode("utf-8")
        is_punctuation = len(word) == 1 and word in string.punctuation
        return f" {word}" if self.wants_space and not is_punctuation and not word.startswith("'") else word

    def _clean(self, ids: list[int]) -> list[int]:
        return [self.unknown_id if index in self.forbidden else index for index in ids] or [self.unknown_id]


def windows_of_sentence(word_starts: Sequence[int], first_word: int, last_word: int, max_subwords: int) -> list[Window]:
    """Choose the window of a sentence: all of its subwords and as much context as fits, from both sides.

    The shorter side gives min(its length, half of the room), the other side what is then left (as in the original).
    A sentence of more than `max_subwords` subwords is read in pieces that overlap by half; a word that is longer
    than a window by itself is in none of them.

    Args:
        word_starts: as in [`Subwords`].
        first_word, last_word: the sentence, both inclusive.
        max_subwords: room for text in a window, without special tokens and solid markers.
    """
    return [
        _with_context(word_starts, first, last, max_subwords)
        for first, last in _pieces(word_starts, first_word, last_word, max_subwords)
    ]


def find_window(
    windows: list[Window], word_starts: Sequence[int], first_word: int, last_word: int, max_subwords: int
) -> int | None:
    """Which window reads the words `first_word` to `last_word`; one of their own is added where they have none.

    Returns:
        Index of the window, or None when these words do not fit into any.
    """
    index = best_window(windows, word_starts, first_word, last_word)
    if index is None and word_starts[last_word + 1] - word_starts[first_word] <= max_subwords:
        windows.append(_with_context(word_starts, first_word, last_word, max_subwords))
        index = len(windows) - 1
    return index


def _with_context(word_starts: Sequence[int], first_word: int, last_word: int, max_subwords: int) -> Window:
    """The window of a range of words that fits into it."""
    start, stop = word_starts[first_word], word_starts[last_word + 1]
    room = max_subwords - (stop - start)
    left, right = start, word_starts[-1] - stop
    if left < right:
        left = min(left, room // 2)
        right = min(right, room - left)
    else:
        right = min(right, room // 2)
        left = min(left, room - right)
    return Window(first_word, last_word, start - left, stop + right)


def _pieces(word_starts: Sequence[int], first_word: int, last_word: int, max_subwords: int) -> list[tuple[int, int]]:
    """Ranges of words, both inclusive, of at most `max_subwords` subwords each, that overlap by half."""
    if word_starts[last_word + 1] - word_starts[first_word] <= max_subwords:
        return [(first_word, last_word)]
    pieces: list[tuple[int, int]] = []
    first = first_word
    while first <= last_word:
        last = first
        while last < last_word and word_starts[last + 2] - word_starts[first] <= max_subwords:
            last += 1
        if word_starts[first + 1] - word_starts[first] > max_subwords:
            first += 1
            continue
        if not pieces or last > pieces[-1][1]:
            pieces.append((first, last))
        if last == last_word:
            break
        middle = (word_starts[first] + word_starts[last + 1]) // 2
        first = max(first + 1, next(word for word in range(first, last + 2) if word_starts[word] >= middle))
    return pieces


def best_window(windows: Sequence[Window], word_starts: Sequence[int], first_word: int, last_word: int) -> int | None:
    """Which window reads the words `first_word` to `last_word` with most text on the poorer side.

    Returns:
        Index of the window, the first of equals, or None when no window is read for all of these words.
    """
    start, stop = word_starts[first_word], word_starts[last_word + 1]
    best, best_margin = None, -1
    for index, window in enumerate(windows):
        if window.first_word <= first_word and last_word <= window.last_word:
            margin = min(start - window.start, window.stop - stop)
            if margin > best_margin:
                best, best_margin = index, margin
    return best
