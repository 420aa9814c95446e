"""Raw text to sentences of words, with offsets."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plmarker.modeling.schema_plmarker import PLMarkerError
from plmarker.modeling.text_plmarker import join_words, locate_words

TEXTS = st.text("ab AB.!?\n\r\t\u00a0\u3000\u200b。中é\u0301'’s-()12…😀\ufe0f", max_size=20)


def words_of(text: str) -> list[list[str]]:
    return [[text[start:end] for start, end in sentence] for sentence in locate_words(text)]


# The splitter sentencex dies of a lone capital, a wide space and a full stop.
@example("We take vitamin C\u00a0.")
@example("Plan B\u3000. Then")
@given(TEXTS)
def test_every_visible_character_is_in_exactly_one_word(text):
    offsets = [word for sentence in locate_words(text) for word in sentence]
    assert all(start < end for start, end in offsets)
    assert all(before[1] <= after[0] for before, after in pairwise(offsets))
    covered = {place for start, end in offsets for place in range(start, end)}
    # Joiners and combining marks belong to a word where there is one for them.
    invisible = {"Cf", "Mn", "Mc", "Me"}
    seen = {place for place, character in enumerate(text) if not character.isspace()}
    assert {place for place in seen if unicodedata.category(text[place]) not in invisible} <= covered <= seen


@given(TEXTS)
def test_no_sentence_is_empty(text):
    assert all(locate_words(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ada's state-of-the-art CoNLL-2003 run.", ["Ada", "'s", "state-of-the-art", "CoNLL-2003", "run", "."]),
        ("She doesn’t, ok?", ["She", "doesn", "’t", ",", "ok", "?"]),
        ("中国 Go", ["中", "国", "Go"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("नमस्ते", ["नमस्ते"]),
        ("🙂x🙂", ["🙂", "x", "🙂"]),
        ("(a)", ["(", "a", ")"]),
    ],
)
def test_words_are_cut_as_annotated_corpora_cut_them(text, words):
    assert words_of(text) == [words]


def test_sentences_are_split():
    assert words_of("Ada works. Dr. Bell sleeps!") == [
        ["Ada", "works", "."],
        ["Dr", ".", "Bell", "sleeps", "!"],
    ]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t"])
def test_text_without_words_has_no_sentences(text):
    assert locate_words(text) == []


def test_the_splitter_is_the_caller_s_choice():
    located = locate_words("a. b; c", lambda text: text.split(";"))
    assert located == [[(0, 1), (1, 2), (3, 4)], [(6, 7)]]


def test_repeated_sentences_are_found_each_at_its_own_place():
    assert locate_words("ab ab ab", str.split) == [[(0, 2)], [(3, 5)], [(6, 8)]]


def test_a_splitter_that_rewrites_the_text_is_an_error():
    with pytest.raises(ValueError, match="'A B', which the text does not hold"):
        locate_words("a b", lambda text: [text.upper()])


@pytest.mark.parametrize("returned", [None, 5, "a b", [5], [None], ["b", "a"], [["a"]]])
def test_a_splitter_that_returns_nonsense_is_one_sentence(returned):
    with pytest.raises(PLMarkerError, match="splitter"):
        locate_words("a b", lambda text: returned)


@given(st.lists(st.lists(st.text(max_size=4), max_size=4), max_size=4))
def test_joined_words_stand_where_they_are_said_to(sentences):
    text, located = join_words(sentences)
    assert [[text[start:end] for start, end in sentence] for sentence in located] == sentences


def test_an_emoji_with_its_skin_tone_is_one_word():
    text = "a 👩🏽\u200d🚀 b 👍🏿!"
    assert [text[start:end] for sentence in locate_words(text) for start, end in sentence] == [
        "a",
        "👩🏽\u200d🚀",
        "b",
        "👍🏿",
        "!",
    ]


def test_control_characters_are_no_words():
    text = "a\x1cb \x00 c"
    assert [text[start:end] for sentence in locate_words(text) for start, end in sentence] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("田中さんはトヨタ", ["田", "中", "さ", "ん", "は", "ト", "ヨ", "タ"]),
        # The mark of a long vowel and voiced marks belong to the kana before them.
        ("ガーナ", ["ガー", "ナ"]),
        ("か\u3099く", ["か\u3099", "く"]),
        ("ไทยแลนด์", ["ไ", "ท", "ย", "แ", "ล", "น", "ด์"]),
        ("ພາສາ", ["ພ", "າ", "ສ", "າ"]),
        ("ខ្មែរ", ["ខ្", "មែ", "រ"]),
        ("ꦗꦮ", ["ꦗ", "ꦮ"]),
        ("ᨻᩣ", ["ᨻᩣ"]),
        ("២០២៤", ["២", "០", "២", "៤"]),
        ("ㄅㄆ", ["ㄅ", "ㄆ"]),
        ("Nissanは2024年", ["Nissan", "は", "2024", "年"]),
        ("철수는 간다", ["철수는", "간다"]),
    ],
)
def test_scripts_without_spaces_are_cut_into_characters(text, words):
    assert [text[start:end] for start, end in locate_words(text, lambda text: [text])[0]] == words
