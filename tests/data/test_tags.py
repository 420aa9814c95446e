"""Tests of the tagging schemes: guessing a scheme, reading entities, reporting problems, and writing tags."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker.data.tags import SCHEMES, TaggedEntity, entities_from_tags, guess_scheme, iob2_tags

# Neighbouring entities with the same label, neighbouring entities with different labels, entities of one word and of
# several words.
ENTITIES = [(0, 1, "PER"), (2, 2, "PER"), (3, 3, "ORG"), (5, 7, "LOC")]
TAGS = {
    "iob1": "I-PER I-PER B-PER I-ORG O I-LOC I-LOC I-LOC O",
    "iob2": "B-PER I-PER B-PER B-ORG O B-LOC I-LOC I-LOC O",
    "bioes": "B-PER E-PER S-PER S-ORG O B-LOC I-LOC E-LOC O",
    "bilou": "B-PER L-PER U-PER U-ORG O B-LOC I-LOC L-LOC O",
}
BMES = "B-PER E-PER S-PER S-ORG O B-LOC M-LOC E-LOC O"


@pytest.mark.parametrize(("scheme", "tags"), [*TAGS.items(), ("bioes", BMES)])
def test_each_scheme_is_guessed_and_its_entities_are_read(scheme, tags):
    assert entities_from_tags(tags.split(), scheme) == (ENTITIES, [])
    assert guess_scheme([tags.split()]) == scheme


def test_without_prefixes_neighbouring_words_with_one_label_are_one_entity():
    tags = ["PER", "PER", "ORG", "O", "art-film", "art-film", "B-girl"]
    entities = [(0, 1, "PER"), (2, 2, "ORG"), (4, 5, "art-film"), (6, 6, "B-girl")]
    assert entities_from_tags(tags, "none") == (entities, [])
    assert guess_scheme([tags]) == "none"


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        ([], "iob2"),
        (["O O"], "iob2"),
        (["B-X I-X", "I-X O", "B-X"], "iob2"),
        (["I-X I-X", "O B-Y", "I-X O I-X"], "iob1"),
        # Here iob1 needs B- to separate neighbouring entities with the same label.
        (["I-X B-X", "I-X B-X B-X"], "iob1"),
        # The label changes, so iob1 would not use B- here.
        (["B-X B-Y"], "iob2"),
        (["I-X I-Y"], "iob1"),
        (["B-X I-X O", "S-X"], "bioes"),
        (["B-X I-X O", "B-X E-X"], "bioes"),
        (["B-X I-X O", "U-X"], "bilou"),
        (["PER O B-X PER"], "none"),
        (["PER B-X I-X"], "iob2"),
    ],
)
def test_the_scheme_is_guessed_from_the_whole_corpus(sentences, scheme):
    assert guess_scheme(sentence.split() for sentence in sentences) == scheme


@pytest.mark.parametrize(
    ("scheme", "tags", "entities"),
    [
        ("iob2", "I-X I-X O I-Y", [(0, 1, "X"), (3, 3, "Y")]),
        ("iob2", "B-X I-Y I-Y", [(0, 0, "X"), (1, 2, "Y")]),
        ("iob1", "B-X I-X B-Y", [(0, 1, "X"), (2, 2, "Y")]),
        ("bioes", "E-X I-X", [(0, 0, "X"), (1, 1, "X")]),
        ("bioes", "B-X B-X E-X", [(0, 0, "X"), (1, 2, "X")]),
        ("bioes", "S-X I-X E-X", [(0, 0, "X"), (1, 2, "X")]),
        ("bioes", "B-X I-X S-X O E-Y", [(0, 1, "X"), (2, 2, "X"), (4, 4, "Y")]),
        ("bioes", "B-X E-Y I-Y", [(0, 0, "X"), (1, 1, "Y"), (2, 2, "Y")]),
    ],
)
def test_tags_that_break_their_scheme_are_read_as_in_seqeval(scheme, tags, entities):
    """The expected entities are the output of `get_entities` in seqeval 1.2.2.

    The two functions also agreed on twenty thousand random sentences per scheme.
    """
    assert entities_from_tags(tags.split(), scheme)[0] == entities


@pytest.mark.parametrize(
    ("scheme", "tags", "expected"),
    [
        ("iob2", "O I-X I-X", [(1, "'I-X'", False)]),
        ("iob2", "B-X I-Y", [(1, "'I-Y'", False)]),
        ("iob2", "B-X S-X", [(1, "'S-X'", True)]),
        ("iob2", "B-X X", [(1, "'X'", True)]),
        ("iob2", "B- o I", [(0, "'B-'", True), (1, "'o'", True), (2, "'I'", True)]),
        ("iob1", "I-X I-Y B-Y", []),
        ("iob1", "E-X", [(0, "'E-X'", True)]),
        ("bioes", "B-X I-X O", [(1, "'X' has no end tag, expected E- or S-", False)]),
        ("bioes", "B-X", [(0, "'X' has no end tag", False)]),
        ("bioes", "B-X S-X", [(0, "'X' has no end tag", False)]),
        ("bioes", "E-X", [(0, "'E-X'", False)]),
        ("bioes", "U-X", [(0, "'U-X'", True)]),
        ("bilou", "B-X I-X", [(1, "'X' has no end tag, expected L- or U-", False)]),
        ("bilou", "O L-X", [(1, "'L-X'", False)]),
        ("bilou", "B-X M-X", [(0, "'X' has no end tag", False), (1, "'M-X'", True)]),
        ("none", "I-X O o", []),
    ],
)
def test_every_problem_is_reported_with_its_word(scheme, tags, expected):
    _, problems = entities_from_tags(tags.split(), scheme)
    assert [(word, fatal) for word, _, fatal in problems] == [(word, fatal) for word, _, fatal in expected]
    assert all(part in message for (_, message, _), (_, part, _) in zip(problems, expected, strict=True))
    assert all(scheme in message for _, message, fatal in problems if fatal)


def test_a_tag_outside_the_scheme_ends_the_entity_before_it_and_begins_none():
    assert entities_from_tags(["B-X", "?", "I-X"], "iob2")[0] == [(0, 0, "X"), (2, 2, "X")]


@pytest.mark.parametrize("entities", [[(0, 2, "X"), (1, 1, "Y")], [(0, 1, "X"), (1, 2, "X")], [(1, 1, "X")] * 2])
def test_entities_that_share_a_word_cannot_be_written_as_tags(entities):
    start, end, label = entities[1]
    with pytest.raises(ValueError, match=f"'{label}' at words {start} to {end}"):
        iob2_tags(entities, 3)


@st.composite
def flat_entities(draw: st.DrawFn) -> tuple[list[TaggedEntity], int]:
    """Draw entities that share no words, and the number of words in their sentence. Many are neighbours."""
    n_words = draw(st.integers(0, 9))
    cuts = sorted(draw(st.sets(st.integers(0, n_words))))
    label = st.sampled_from(["X", "Y", "I-X", "O", " "])
    pieces = [(start, end - 1, draw(label)) for start, end in pairwise(cuts)]
    return [piece for piece in pieces if draw(st.integers(0, 3))], n_words


def iob1_tags(entities: list[TaggedEntity], n_words: int) -> list[str]:
    tags = ["O"] * n_words
    for start, end, label in entities:
        touches = any(entity[1] == start - 1 and entity[2] == label for entity in entities)
        tags[start : end + 1] = [f"{'B' if touches else 'I'}-{label}"] + [f"I-{label}"] * (end - start)
    return tags


def tagger_with_end_tags(inside: str, last: str, single: str) -> Callable[[list[TaggedEntity], int], list[str]]:
    def tags_of(entities: list[TaggedEntity], n_words: int) -> list[str]:
        tags = ["O"] * n_words
        for start, end, label in entities:
            letters = single if start == end else "B" + inside * (end - start - 1) + last
            tags[start : end + 1] = [f"{letter}-{label}" for letter in letters]
        return tags

    return tags_of


@pytest.mark.parametrize(
    ("scheme", "tags_of"),
    [
        ("iob2", iob2_tags),
        ("iob1", iob1_tags),
        ("bioes", tagger_with_end_tags("I", "E", "S")),
        ("bioes", tagger_with_end_tags("M", "E", "S")),
        ("bilou", tagger_with_end_tags("I", "L", "U")),
    ],
)
@given(drawn=flat_entities())
def test_entities_are_preserved_by_the_tags_of_a_scheme(scheme, tags_of, drawn):
    assert entities_from_tags(tags_of(*drawn), scheme) == (drawn[0], [])


@given(tags=st.lists(st.one_of(st.text(max_size=4), st.sampled_from("BIMESLU").map(lambda letter: f"{letter}-X"))))
def test_any_tags_can_be_read_and_no_word_is_in_two_entities(tags):
    for scheme in {*SCHEMES, guess_scheme([tags])}:
        entities, problems = entities_from_tags(tags, scheme)
        words = [word for start, end, _ in entities for word in range(start, end + 1)]
        assert len(set(words)) == len(words)
        assert all(0 <= word < len(tags) for word in [*words, *(word for word, _, _ in problems)])
