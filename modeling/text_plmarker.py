"""Raw text to sentences of words, with character offsets."""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import regex

from .schema_plmarker import PLMarkerError

logger = logging.getLogger(__name__)

# Words are cut as in annotated corpora: hyphenated words stay whole, punctuation and clitics are their own words. In
# scripts without spaces between words (such as Thai and its relatives, class SA of Unicode) each character is a word.
# Combining marks, joiners, the Japanese mark of a long vowel and the skin tones of emoji belong to the character before
# them. Other invisible characters are no words.
UNSPACED = (
    r"(?=\w)[\p{Line_Break=SA}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Javanese}\p{Balinese}"
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}]"
)
WORD = regex.compile(
    r"""(?&unspaced)[\p{M}\u30fc\uff70]*
      | (?&letters)(?:[-.](?&letters))*
      | ['’](?:s|S|re|ve|ll|d|m|t)\b
      | (?&symbol)(?:\u200d(?&symbol))*
      (?(DEFINE)
        (?<unspaced>"""
    + UNSPACED
    + r""")
        (?<letters>(?!(?&unspaced))\w(?:(?!(?&unspaced))[\w\p{M}\u200c\u200d])*)
        (?<symbol>[^\w\s\p{M}\p{Cc}\p{Cf}\p{Cs}][\p{M}\p{Emoji_Modifier}]*)
      )""",
    regex.VERBOSE,
)
# sentencex cannot take lone surrogates, and it panics at spaces of several bytes (1.0.32).
UNSPLITTABLE = regex.compile(r"[\p{Cs}]|(?![\n\r\t])\s")

LANGUAGE = regex.compile(r"[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{1,12})*")
SENTENCE_END = regex.compile(r"(?<=[.!?。！？]['\"”’)\]]*)\s+|\n\s*\n")

Offsets = tuple[int, int]
# First and last word, both inclusive.
Span = tuple[int, int]
# On a CPU larger batches of text are no faster, and their keys and values take more memory.
BATCH_TOKENS = 768
SentenceSplitter = Callable[[str], Sequence[str]]


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Split text into sentences with the library sentencex.

    Args:
        language: a code as in BCP 47. Without sentencex (a checkpoint that carries its code), a sentence ends at an
            empty line, or at a full stop, question mark or exclamation mark before white space.

    Returns:
        Sentences in order, as they are in the text, without the white space around them.

    Raises:
        PLMarkerError: for a name such as `german` in place of a code.
    """
    check_language(language)
    # Character by character, so that the offsets stay.
    clean = UNSPLITTABLE.sub(" ", text)
    sentences, place = [], 0
    for sentence in _segment(language, clean):
        start = clean.index(sentence, place)
        place = start + len(sentence)
        sentences.append(text[start:place].strip())
    return sentences


def check_language(language: Any) -> None:
    """Raise `PLMarkerError` for anything but a code of a language, such as its name."""
    if not isinstance(language, str) or not LANGUAGE.fullmatch(language):
        raise PLMarkerError(f"a language is a code such as 'en' or 'pt-BR', got {language!r}")


def _segment(language: str, text: str) -> list[str]:
    try:
        from sentencex import segment
    except ImportError:
        _warn_of_simple_rules()
        return [sentence for sentence in SENTENCE_END.split(text) if sentence.strip()]
    return segment(language, text)


@cache
def _warn_of_simple_rules() -> None:
    logger.warning("sentencex is not installed: sentences are split by simple rules")


def locate_words(text: str, splitter: SentenceSplitter = split_sentences) -> list[list[Offsets]]:
    """Character offsets of the words of every sentence of a text; `text[start:end]` is the word.

    Args:
        splitter: returns the sentences of a text, in order, as they are in it.

    Raises:
        PLMarkerError: when the splitter returns anything but sentences of the text, in their order.
    """
    sentences = []
    place = 0
    found = splitter(text)
    if isinstance(found, str | bytes) or not isinstance(found, Iterable):
        raise PLMarkerError(f"a sentence splitter returns a list of sentences, this one returned {reprlib.repr(found)}")
    for sentence in found:
        if not isinstance(sentence, str):
            raise PLMarkerError(f"the sentence splitter returned {reprlib.repr(sentence)}, which is no sentence")
        sentence = sentence.strip()
        start = text.find(sentence, place)
        if start < 0:
            raise PLMarkerError(f"the sentence splitter returned {sentence[:40]!r}, which the text does not hold there")
        place = start + len(sentence)
        words = [(match.start(), match.end()) for match in WORD.finditer(text, start, place)]
        if words:
            sentences.append(words)
    return sentences


def join_words(sentences: Sequence[Sequence[str]]) -> tuple[str, list[list[Offsets]]]:
    """Make a text of words, one space between them and one line a sentence, and say where in it each word is."""
    text, located = "", []
    for words in sentences:
        offsets = []
        for number, word in enumerate(words):
            text += " " if number else ""
            offsets.append((len(text), len(text) + len(word)))
            text += word
        text += "\n"
        located.append(offsets)
    return text[:-1], located


def located_document(key: str, text: str, located: Sequence[Sequence[Offsets]]) -> dict[str, Any]:
    """A text as a document: `text`, `located` (character offsets of the words of every sentence) and `sentences`."""
    sentences = [[text[start:end] for start, end in sentence] for sentence in located]
    return {"doc_key": key, "text": text, "located": located, "sentences": sentences}


def sentence_ranges(sentences: Sequence[Sequence[str]]) -> list[Span]:
    """First and last word of every sentence, at document level. In an empty sentence the last is before the first."""
    ranges, first = [], 0
    for words in sentences:
        ranges.append((first, first + len(words) - 1))
        first += len(words)
    return ranges
