"""Tests of the conversion of character annotations into word annotations."""

from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plmarker.data import PLMarkerError
from plmarker.data.alignment import WORDS, TextDocument, align, sentences_of_tokens, word_locator
from plmarker.data.report import ReadingReport
from plmarker.modeling.text_plmarker import locate_words

TEXT = "Ada met Bob-Jones. She\n left  New York."


def aligned(
    text: str,
    entities: dict[Any, tuple[int, int, str]],
    relations: list[tuple[Any, Any, str]] | None = None,
    words: str = "plmarker",
) -> tuple[dict[str, Any], dict[str, int]]:
    """Align a text. Return the document, and the counts that are not zero."""
    report = ReadingReport()
    document = align(TextDocument("a", text, entities, relations or []), word_locator(words), report)
    assert report.problems == []
    return document, {what: count for what, count in report.counts.items() if count}


def entity_at(part: str, label: str = "X", text: str = TEXT) -> tuple[int, int, str]:
    """Return the entity that covers the first occurrence of a part of the text."""
    start = text.index(part)
    return start, start + len(part), label


def test_annotations_on_word_borders_are_exact():
    document, counts = aligned(TEXT, {1: entity_at("York", "Y"), 2: entity_at("New York"), 3: entity_at("Ada")})
    assert document == {
        "doc_key": "a",
        "sentences": [["Ada", "met", "Bob-Jones", "."], ["She", "left", "New", "York", "."]],
        "ner": [
            [{"start": 0, "end": 0, "label": "X"}],
            [{"start": 6, "end": 7, "label": "X"}, {"start": 7, "end": 7, "label": "Y"}],
        ],
        "relations": [[], []],
        "predicted_ner": None,
        "predicted_relations": None,
    }
    assert counts == {"exact": 3}


def test_an_example_shows_what_was_widened() -> None:
    report = ReadingReport()
    entities = {1: entity_at("Ada"), 2: entity_at("Jones"), 3: entity_at("Yor")}
    align(TextDocument("a", TEXT, entities, []), word_locator(), report)
    assert report.summary() == "1 exact, 2 widened ('Jones' became 'Bob-Jones' in 'a')"


@pytest.mark.parametrize("part", ["d", "Ad", "da", "da m", "Ada me", "Bob", "-Jones"])
def test_an_annotation_that_ends_inside_a_word_is_widened_to_the_word(part):
    document, counts = aligned(TEXT, {1: entity_at(part)})
    assert counts == {"widened": 1}
    start, end, _ = entity_at(part)
    words = [(0, 3), (4, 7), (8, 17)]
    row = document["ner"][0][0]
    assert words[row["start"]][0] <= start < words[row["start"]][1]
    assert words[row["end"]][0] < end <= words[row["end"]][1]


@pytest.mark.parametrize("part", [" met", "met ", " met ", "\n left ", " New York", " left  New"])
def test_white_space_at_the_ends_of_an_annotation_is_ignored(part):
    document, counts = aligned(TEXT, {1: entity_at(part)})
    assert counts == {"exact": 1}
    words = [word for sentence in document["sentences"] for word in sentence]
    (row,) = [row for rows in document["ner"] for row in rows]
    assert words[row["start"] : row["end"] + 1] == part.split()


@pytest.mark.parametrize("span", [(3, 4), (22, 24), (5, 5), (9, 8), (3, 3)])
def test_an_annotation_without_a_word_is_dropped_with_its_relations(span):
    entities = {1: (*span, "X"), 2: entity_at("Ada")}
    document, counts = aligned(TEXT, entities, [(1, 2, "R"), (2, 1, "R"), (2, 2, "R")])
    assert counts == {"dropped": 1, "exact": 1, "dropped relations": 2}
    assert [len(rows) for rows in document["ner"]] == [1, 0]
    assert [len(rows) for rows in document["relations"]] == [1, 0]


def test_invisible_characters_alone_are_not_a_word():
    assert aligned("a \u200b b", {1: (2, 3, "X")})[1] == {"dropped": 1}


def test_sentences_with_an_annotation_across_their_border_are_joined():
    text = "One. Two. Three. Four. Five."
    entities = {
        1: entity_at("Two. Three. Four", text=text),
        2: entity_at("Five", text=text),
        3: entity_at("Three", text=text),
    }
    document, counts = aligned(text, entities, [(3, 1, "R")])
    assert document["sentences"] == [["One", "."], ["Two", ".", "Three", ".", "Four", "."], ["Five", "."]]
    assert [[row["start"] for row in rows] for rows in document["ner"]] == [[], [2, 4], [8]]
    assert [len(rows) for rows in document["relations"]] == [0, 1, 0]
    # The relation is inside one sentence after the join, so no relation across sentences is counted.
    assert counts == {"exact": 3, "joined sentences": 2}


def test_a_relation_across_sentences_is_in_the_sentence_of_its_head():
    document, counts = aligned(TEXT, {1: entity_at("Ada"), 2: entity_at("New York")}, [(2, 1, "R"), (1, 2, "R")])
    row = {"head_start": 6, "head_end": 7, "tail_start": 0, "tail_end": 0, "label": "R"}
    assert document["relations"][1] == [row]
    assert len(document["relations"][0]) == 1
    assert counts == {"exact": 2, "relations across sentences": 2}


def test_duplicate_annotations_are_kept_once_and_counted():
    entities = {
        1: entity_at("Ada"),
        2: entity_at("Ada"),
        3: entity_at("Ad"),
        4: entity_at("Ada", "Y"),
        5: entity_at("met"),
    }
    relations = [(1, 5, "R"), (2, 5, "R"), (4, 5, "R"), (1, 5, "R"), (1, 5, "Q")]
    document, counts = aligned(TEXT, entities, relations)
    assert [(row["start"], row["label"]) for row in document["ner"][0]] == [(0, "X"), (0, "Y"), (1, "X")]
    assert [row["label"] for row in document["relations"][0]] == ["R", "Q"]
    assert counts == {"exact": 4, "widened": 1, "duplicates": 2 + 3}


def test_the_words_of_the_source_are_used():
    report = ReadingReport()
    word_offsets = [[(0, 3), (3, 6)], [(7, 8)]]
    document = TextDocument("a", "AdaBob x", {1: (0, 6, "X"), 2: (7, 8, "X")}, word_offsets=word_offsets)
    result = align(document, word_locator(), report)
    assert result["sentences"] == [["Ada", "Bob"], ["x"]]
    assert report.counts["exact"] == 2


def test_a_text_without_words_is_a_document_without_sentences():
    for text in ("", " \n\t "):
        for words in WORDS:
            assert aligned(text, {}, words=words)[0]["sentences"] == []


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        ("plmarker", [["Ann", "'s", "well-known", "dog", "barks", "."], ["It", "'ll", "stay", "."]]),
        ("spaces", [["Ann's", "well-known", "dog", "barks.", "It'll"], ["stay."]]),
        ("spacy", [["Ann", "'s", "well", "-", "known", "dog", "barks", "."], ["It", "'ll", "stay", "."]]),
    ],
)
def test_words_are_split_by_three_rules(words, sentences):
    text = "Ann's well-known dog barks. It'll\nstay.\n\n"
    assert aligned(text, {}, words=words)[0]["sentences"] == sentences


def test_white_space_of_every_kind_separates_words():
    text = "a\u00a0b\u2003c\x1cd\x85e\u2028f\r\ng"
    assert aligned(text, {}, words="spaces")[0]["sentences"] == [["a", "b", "c", "d", "e", "f"], ["g"]]


def test_an_unknown_rule_and_an_unknown_language_are_reported():
    with pytest.raises(PLMarkerError) as error:
        word_locator("nltk")
    assert all(name in str(error.value) for name in (*WORDS, "'nltk'"))
    with pytest.raises(PLMarkerError, match=r"spaCy .*'qq'"):
        word_locator("spacy", "qq")
    # sentencex has general rules for unknown languages.
    assert word_locator("plmarker", "qq")("Ada. Bob.") == [[(0, 3), (3, 4)], [(5, 8), (8, 9)]]


# The tokenizer of spaCy takes a while to build.
cached_locator = cache(word_locator)
PIECES = st.sampled_from(
    ["a", "Ada", " ", "  ", "\t", "\n", "\r\n", ".", ". ", "?", "-", "'s", "e\u0301", "\u0301", "👩🏽\u200d🚀", "🙂",
     "أب", "שלום", "中文", "\u200b", "\u00a0", "\u2028", "\x1c", "\ufeff", "\x00", "U.S."]
)  # fmt: skip
TEXTS = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=15))


@pytest.mark.parametrize("words", WORDS)
@given(text=TEXTS, data=st.data())
def test_spans_on_word_borders_are_preserved(words, text, data):
    located = cached_locator(words)(text)
    flat = [offsets for sentence in located for offsets in sentence]
    assert all(before[1] <= after[0] for before, after in pairwise(flat))
    if not flat:
        return
    word_ranges = st.tuples(st.integers(0, len(flat) - 1), st.integers(0, len(flat) - 1)).map(sorted)
    drawn = data.draw(st.lists(word_ranges, max_size=4, unique_by=tuple))
    entities = {key: (flat[first][0], flat[last][1], "X") for key, (first, last) in enumerate(drawn)}
    report = ReadingReport()
    document = align(TextDocument("a", text, entities), lambda _: located, report)
    rows = [(row["start"], row["end"]) for rows in document["ner"] for row in rows]
    # A word of white space, such as U+001C, cannot be annotated.
    if all(text[start:end].strip() == text[start:end] for start, end in flat):
        assert sorted(rows) == sorted(map(tuple, drawn))
        assert report.counts["exact"] == len(drawn)
        assert [text[start:end] for start, end in flat] == [
            word for sentence in document["sentences"] for word in sentence
        ]


@pytest.mark.parametrize("words", WORDS)
@given(text=TEXTS, data=st.data())
@example(text="", data=None)
def test_a_span_anywhere_is_covered_by_words_or_counted_as_dropped(words, text, data):
    offsets = st.integers(0, len(text))
    drawn = data.draw(st.lists(st.tuples(offsets, offsets), max_size=4)) if data else [(0, 0)]
    entities = {key: (start, end, str(key)) for key, (start, end) in enumerate(drawn)}
    relations = [(head, tail, "R") for head in entities for tail in entities]
    located = cached_locator(words)(text)
    report = ReadingReport()
    document = align(TextDocument("a", text, entities, relations), lambda _: located, report)
    flat = [offsets for sentence in located for offsets in sentence]
    rows = {int(row["label"]): row for rows in document["ner"] for row in rows}
    counts = report.counts
    assert counts["exact"] + counts["widened"] == len(rows) == len(entities) - counts["dropped"]
    assert sum(map(len, document["relations"])) + counts["dropped relations"] + counts["duplicates"] == len(relations)
    for key, (start, end) in enumerate(drawn):
        touched = [number for number, (first, last) in enumerate(flat) if first < end and start < last]
        inside = [number for number in touched if text[max(start, flat[number][0]) : min(end, flat[number][1])].strip()]
        if start < end and inside:
            assert rows[key]["start"] <= inside[0]
            assert inside[-1] <= rows[key]["end"]
        else:
            assert key not in rows
    # Every entity is inside one sentence.
    first = 0
    for sentence, ner in zip(document["sentences"], document["ner"], strict=True):
        assert all(first <= row["start"] <= row["end"] < first + len(sentence) for row in ner)
        first += len(sentence)


@pytest.mark.parametrize("text", ["田中さんはトヨタで働く。", "สมชายทำงานที่ Acme", "カフェーへ行く 3 times", "ខ្ញុំទៅ"])
def test_spacy_s_tokens_of_scripts_without_spaces_are_cut_as_extract_cuts_them(text):
    spacy = pytest.importorskip("spacy")
    assert sentences_of_tokens(spacy.blank("xx")(text), [0]) == locate_words(text, lambda text: [text])
