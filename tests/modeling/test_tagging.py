"""Entities survive being tagged, as far as tags can say them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker.modeling.decoding_plmarker import label_words
from plmarker.modeling.tagging_plmarker import entities_of_tags, tag_classes, tags_of_entities
from plmarker.trainers.candidates import span_probabilities

KINDS = ("bio", "iob1", "io")


@st.composite
def flat_entities(draw: st.DrawFn) -> tuple[list[list[int]], int]:
    """Entities of 3 labels that share no word, and the length of their sentence."""
    entities, word = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = word + draw(st.integers(0, 2))
        end = start + draw(st.integers(0, 3))
        entities.append([start, end, draw(st.integers(1, 3))])
        word = end + 1
    return entities, word + draw(st.integers(1, 3))


@given(flat_entities(), st.sampled_from(KINDS), st.integers(0, 50))
def test_flat_entities_come_back(sentence, tags, first):
    entities, length = sentence
    moved = [[start + first, end + first, label] for start, end, label in entities]
    found = entities_of_tags(tags_of_entities(moved, first, first + length - 1, tags), first, tags)
    if tags == "io":
        # Without a tag for beginnings, neighbours of one label become one.
        assert {word for s, e, _ in found for word in range(s, e + 1)} == {
            word for s, e, _ in moved for word in range(s, e + 1)
        }
    else:
        assert found == moved


@given(st.lists(st.integers(0, 6), max_size=12), st.sampled_from(KINDS))
def test_any_tags_are_read_as_entities_that_share_no_word(found, tags):
    found = [tag % (4 if tags == "io" else 7) for tag in found]
    entities = entities_of_tags(found, 0, tags)
    words = [word for start, end, _ in entities for word in range(start, end + 1)]
    assert words == [word for word, tag in enumerate(found) if tag]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("bio", ["B-A", "I-A", "B-A", "O", "B-B"]),
        ("iob1", ["I-A", "I-A", "B-A", "O", "I-B"]),
        ("io", ["I-A", "I-A", "I-A", "O", "I-B"]),
    ],
)
def test_the_kinds_of_tags(tags, expected):
    classes = tag_classes(["A", "B"], tags)
    entities = [[0, 1, 1], [2, 2, 1], [4, 4, 2]]
    assert [classes[tag] for tag in tags_of_entities(entities, 0, 4, tags)] == expected


def test_of_nested_entities_the_wider_one_is_tagged():
    assert tags_of_entities([[1, 1, 2], [0, 2, 1]], 0, 3, "bio") == [1, 2, 2, 0]


def test_the_score_of_a_tagged_entity_is_the_mean_of_its_words():
    logits = np.log(np.array([[0.2, 0.8, 0.0 + 1e-9], [0.4, 1e-9, 0.6], [0.9, 0.05, 0.05]]))
    (found,) = label_words(7, logits, "bio")
    assert (found.start, found.end, found.label) == (7, 8, 1)
    assert found.score == pytest.approx(0.7, abs=1e-6)
    assert label_words(0, np.zeros((0, 3)), "bio") == []


@pytest.mark.parametrize("tags", KINDS)
def test_the_likeliest_span_is_the_one_that_is_tagged(tags):
    classes = tag_classes(["A", "B"], tags)
    gold = [[1, 2, 2]]
    logits = np.full((5, len(classes)), -4.0)
    for word, tag in enumerate(tags_of_entities(gold, 0, 4, tags)):
        logits[word, tag] = 4.0
    spans, scores = span_probabilities([(word, word) for word in range(5)], logits, tags, 3)
    assert len(spans) == 12
    best = spans[int(scores.argmax())]
    # Where beginnings have no tag of their own, the second word alone is as likely.
    assert best in ([(1, 2)] if tags == "bio" else [(1, 2), (2, 2)])
