"""Schemes of tags: telling them apart, reading them, and what is wrong with them."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker.data.tags import SCHEMES, TagSpan, guess_scheme, iob2_tags, spans_of_tags

# Ada Bell met Ada in New York City: neighbours of one type, neighbours of two, one word, several words.
SPANS = [(0, 1, "PER"), (2, 2, "PER"), (3, 3, "ORG"), (5, 7, "LOC")]
TAGS = {
    "iob1": "I-PER I-PER B-PER I-ORG O I-LOC I-LOC I-LOC O",
    "iob2": "B-PER I-PER B-PER B-ORG O B-LOC I-LOC I-LOC O",
    "bioes": "B-PER E-PER S-PER S-ORG O B-LOC I-LOC E-LOC O",
    "bilou": "B-PER L-PER U-PER U-ORG O B-LOC I-LOC L-LOC O",
}
BMES = "B-PER E-PER S-PER S-ORG O B-LOC M-LOC E-LOC O"


@pytest.mark.parametrize(("scheme", "tags"), [*TAGS.items(), ("bioes", BMES)])
def test_each_scheme_tells_its_entities_and_is_told_by_them(scheme, tags):
    assert spans_of_tags(tags.split(), scheme) == (SPANS, [])
    assert guess_scheme([tags.split()]) == scheme


def test_without_prefixes_neighbours_of_one_type_are_one_entity():
    tags = ["PER", "PER", "ORG", "O", "art-film", "art-film", "B-girl"]
    spans = [(0, 1, "PER"), (2, 2, "ORG"), (4, 5, "art-film"), (6, 6, "B-girl")]
    assert spans_of_tags(tags, "none") == (spans, [])
    assert guess_scheme([tags]) == "none"


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        ([], "iob2"),
        (["O O"], "iob2"),
        (["B-X I-X", "I-X O", "B-X"], "iob2"),
        (["I-X I-X", "O B-Y", "I-X O I-X"], "iob1"),
        # A begin is needed in iob1 where two entities of one type touch, and says nothing there.
        (["I-X B-X", "I-X B-X B-X"], "iob1"),
        # The type changes: iob1 needs no B- for that.
        (["B-X B-Y"], "iob2"),
        (["I-X I-Y"], "iob1"),
        (["B-X I-X O", "S-X"], "bioes"),
        (["B-X I-X O", "B-X E-X"], "bioes"),
        (["B-X I-X O", "U-X"], "bilou"),
        (["PER O B-X PER"], "none"),
        (["PER B-X I-X"], "iob2"),
    ],
)
def test_the_scheme_is_told_from_the_whole_corpus(sentences, scheme):
    assert guess_scheme(sentence.split() for sentence in sentences) == scheme


@pytest.mark.parametrize(
    ("scheme", "tags", "spans"),
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
def test_tags_that_break_their_scheme_are_read_as_seqeval_reads_them(scheme, tags, spans):
    """As recorded from `get_entities` of seqeval 1.2.2; twenty thousand random sentences of each agreed as well."""
    assert spans_of_tags(tags.split(), scheme)[0] == spans


@pytest.mark.parametrize(
    ("scheme", "tags", "mistakes"),
    [
        ("iob2", "O I-X I-X", [(1, "tag 'I-X' begins an entity, which iob2 does with B-", False)]),
        ("iob2", "B-X I-Y", [(1, "tag 'I-Y' begins an entity, which iob2 does with B-", False)]),
        ("iob2", "B-X S-X", [(1, "tag 'S-X' is none of the scheme iob2", True)]),
        ("iob2", "B-X X", [(1, "tag 'X' is none of the scheme iob2", True)]),
        ("iob2", "B- o I", [(place, f"tag {tag!r} is none of the scheme iob2", True) for place, tag in
                            enumerate(["B-", "o", "I"])]),
        ("iob1", "I-X I-Y B-Y", []),
        ("iob1", "E-X", [(0, "tag 'E-X' is none of the scheme iob1", True)]),
        ("bioes", "B-X I-X O", [(1, "the entity of type 'X' has no end tag", False)]),
        ("bioes", "B-X", [(0, "the entity of type 'X' has no end tag", False)]),
        ("bioes", "B-X S-X", [(0, "the entity of type 'X' has no end tag", False)]),
        ("bioes", "E-X", [(0, "tag 'E-X' begins an entity, which bioes does with B-", False)]),
        ("bioes", "U-X", [(0, "tag 'U-X' is none of the scheme bioes", True)]),
        ("bilou", "B-X I-X", [(1, "the entity of type 'X' has no end tag", False)]),
        ("bilou", "O L-X", [(1, "tag 'L-X' begins an entity, which bilou does with B-", False)]),
        ("bilou", "B-X M-X", [(0, "the entity of type 'X' has no end tag", False),
                              (1, "tag 'M-X' is none of the scheme bilou", True)]),
        ("none", "I-X O o", []),
    ],
)  # fmt: skip
def test_every_mistake_is_told_with_its_word(scheme, tags, mistakes):
    assert spans_of_tags(tags.split(), scheme)[1] == mistakes


def test_a_tag_outside_the_scheme_ends_the_entity_before_it_and_is_none():
    assert spans_of_tags(["B-X", "?", "I-X"], "iob2")[0] == [(0, 0, "X"), (2, 2, "X")]


@pytest.mark.parametrize("entities", [[(0, 2, "X"), (1, 1, "Y")], [(0, 1, "X"), (1, 2, "X")], [(1, 1, "X")] * 2])
def test_entities_that_share_a_word_cannot_be_tags(entities):
    with pytest.raises(ValueError, match="nested or overlapping"):
        iob2_tags(entities, 3)


@st.composite
def flat_entities(draw: st.DrawFn) -> tuple[list[TagSpan], int]:
    """Entities that share no words, often neighbours of one type, and the number of words of their sentence."""
    n_words = draw(st.integers(0, 9))
    cuts = sorted(draw(st.sets(st.integers(0, n_words))))
    label = st.sampled_from(["X", "Y", "I-X", "O", " "])
    pieces = [(start, end - 1, draw(label)) for start, end in pairwise(cuts)]
    return [piece for piece in pieces if draw(st.integers(0, 3))], n_words


def begin_only_between_neighbours(entities: list[TagSpan], n_words: int) -> list[str]:
    tags = ["O"] * n_words
    for start, end, label in entities:
        touches = any(entity[1] == start - 1 and entity[2] == label for entity in entities)
        tags[start : end + 1] = [f"{'B' if touches else 'I'}-{label}"] + [f"I-{label}"] * (end - start)
    return tags


def with_ends(inside: str, last: str, single: str) -> Callable[[list[TagSpan], int], list[str]]:
    def tags_of(entities: list[TagSpan], n_words: int) -> list[str]:
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
        ("iob1", begin_only_between_neighbours),
        ("bioes", with_ends("I", "E", "S")),
        ("bioes", with_ends("M", "E", "S")),
        ("bilou", with_ends("I", "L", "U")),
    ],
)
@given(drawn=flat_entities())
def test_entities_survive_the_tags_of_a_scheme(scheme, tags_of, drawn):
    assert spans_of_tags(tags_of(*drawn), scheme) == (drawn[0], [])


@given(tags=st.lists(st.one_of(st.text(max_size=4), st.sampled_from("BIMESLU").map(lambda letter: f"{letter}-X"))))
def test_no_tag_makes_a_scheme_fail_and_no_word_is_in_two_entities(tags):
    for scheme in {*SCHEMES, guess_scheme([tags])}:
        spans, mistakes = spans_of_tags(tags, scheme)
        words = [word for start, end, _ in spans for word in range(start, end + 1)]
        assert len(set(words)) == len(words)
        assert all(0 <= word < len(tags) for word in [*words, *(word for word, _, _ in mistakes)])
