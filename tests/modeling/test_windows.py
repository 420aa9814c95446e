"""Words to subwords, sentences to windows."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from plmarker.modeling import windows_plmarker
from plmarker.modeling.windows_plmarker import Window, WordTokenizer, best_window, windows_of_sentence

# Subwords of each word; a sentence; room in the window.
LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=30)


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[int], int, int, int]:
    lengths = draw(LENGTHS)
    first = draw(st.integers(0, len(lengths) - 1))
    last = draw(st.integers(first, len(lengths) - 1))
    return [0, *accumulate(lengths)], first, last, draw(st.integers(1, 24))


def reads(window: Window, word: int) -> bool:
    return window.first_word <= word <= window.last_word


@given(sentences())
def test_windows_hold_at_most_the_room_and_all_of_their_words(case):
    word_starts, first, last, room = case
    for window in windows_of_sentence(word_starts, first, last, room):
        assert 0 <= window.start <= word_starts[window.first_word]
        assert word_starts[window.last_word + 1] <= window.stop <= word_starts[-1]
        assert window.stop - window.start == min(room, word_starts[-1])
        assert first <= window.first_word <= window.last_word <= last


@given(sentences())
def test_every_word_that_fits_by_itself_is_read_and_no_other(case):
    word_starts, first, last, room = case
    windows = windows_of_sentence(word_starts, first, last, room)
    for word in range(first, last + 1):
        fits = word_starts[word + 1] - word_starts[word] <= room
        assert any(reads(window, word) for window in windows) == fits


@given(sentences())
def test_every_span_of_at_most_half_a_window_is_read_whole(case):
    word_starts, first, last, room = case
    windows = windows_of_sentence(word_starts, first, last, room)
    for start in range(first, last + 1):
        for end in range(start, last + 1):
            size = word_starts[end + 1] - word_starts[start]
            if size <= room / 2 or word_starts[last + 1] - word_starts[first] <= room:
                assert best_window(windows, word_starts, start, end) is not None


@given(sentences())
def test_a_sentence_that_fits_has_one_window_with_the_specified_context(case):
    word_starts, first, last, room = case
    start, stop = word_starts[first], word_starts[last + 1]
    if stop - start > room:
        return
    (window,) = windows_of_sentence(word_starts, first, last, room)
    left, right = start, word_starts[-1] - stop
    half = int((room - (stop - start)) / 2)
    # The original's rule, for the side that is shorter and for the other one.
    shorter = min(left, right, half)
    longer = min(max(left, right), room - (stop - start) - shorter)
    contexts = (shorter, longer) if left < right else (longer, shorter)
    assert window == Window(first, last, start - contexts[0], stop + contexts[1])


@pytest.mark.parametrize(
    ("room", "slice_"),
    [(4, (4, 8)), (6, (3, 9)), (7, (3, 10)), (12, (0, 12)), (15, (0, 15)), (50, (0, 20))],
)
def test_context_comes_from_both_sides(room, slice_):
    (window,) = windows_of_sentence(list(range(21)), 4, 7, room)
    assert (window.start, window.stop) == slice_


def test_a_word_longer_than_the_window_is_left_out_alone():
    windows = windows_of_sentence([0, 1, 2, 12, 13, 14], 0, 4, 4)
    assert [(window.first_word, window.last_word) for window in windows] == [(0, 1), (3, 4)]


def test_no_window_is_made_for_a_sentence_of_one_word_that_does_not_fit():
    assert windows_of_sentence([0, 9], 0, 0, 4) == []


@given(sentences())
def test_the_best_window_leaves_most_text_on_the_poorer_side(case):
    word_starts, first, last, room = case
    windows = windows_of_sentence(word_starts, first, last, room)
    for word in range(first, last + 1):
        margins = [
            min(word_starts[word] - window.start, window.stop - word_starts[word + 1])
            for window in windows
            if reads(window, word)
        ]
        best = best_window(windows, word_starts, word, word)
        if best is None:
            assert not margins
        else:
            window = windows[best]
            assert min(word_starts[word] - window.start, window.stop - word_starts[word + 1]) == max(margins)


def test_words_are_tokenised_one_by_one(minilm_tokenizer):
    words = ["Levitated", "markers", "Levitated", "naïve-ish", "."]
    subwords = WordTokenizer(minilm_tokenizer)(words)
    alone = [minilm_tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    assert [subwords.ids[a:b] for a, b in zip(subwords.word_starts, subwords.word_starts[1:], strict=False)] == alone
    assert subwords.word_starts[-1] == len(subwords.ids)


def test_what_was_tokenised_before_changes_nothing(minilm_tokenizer):
    used = WordTokenizer(minilm_tokenizer)
    used(["some", "other", "-LRB-", "words"])
    words = ["words", "-LRB-", "new", "ones"]
    assert used(words) == WordTokenizer(minilm_tokenizer)(words)


def test_forgetting_words_changes_nothing(minilm_tokenizer, monkeypatch):
    monkeypatch.setattr(windows_plmarker, "MAX_KNOWN_WORDS", 1)
    forgetful = WordTokenizer(minilm_tokenizer)
    for words in (["some", "words"], ["other", "words", "some"], ["some"]):
        assert forgetful(words) == WordTokenizer(minilm_tokenizer)(words)


def test_no_words_are_no_subwords(minilm_tokenizer):
    subwords = WordTokenizer(minilm_tokenizer)([])
    assert (subwords.ids, subwords.word_starts) == ([], [0])


@pytest.mark.parametrize("pair", ["-LRB- (", "-RRB- )", "-LSB- [", "-RSB- ]", "-LCB- {", "-RCB- }"])
def test_treebank_brackets_are_read_as_brackets_unless_told_otherwise(minilm_tokenizer, pair):
    word, bracket = pair.split()
    mapped, plain = (WordTokenizer(minilm_tokenizer, map_brackets=choice) for choice in (True, False))
    assert mapped([word]) == mapped([bracket])
    assert plain([word]) != plain([bracket])


@pytest.mark.parametrize(
    "word", ["", " ", "\u200b", "\ufe0f", "[SEP]", "[MASK]", "[CLS]", "[PAD]", "[unused0]", "日本語🙂"]
)
def test_every_word_has_a_subword_and_none_is_a_special_token(minilm_tokenizer, word):
    subwords = WordTokenizer(minilm_tokenizer)(["a", word, "b"])
    assert subwords.word_starts[2] > subwords.word_starts[1]
    forbidden = {*minilm_tokenizer.all_special_ids, 1, 2, 3, 4} - {minilm_tokenizer.unk_token_id}
    assert not forbidden & set(subwords.ids)


def test_a_word_without_subwords_is_the_unknown_token(minilm_tokenizer):
    assert WordTokenizer(minilm_tokenizer)([""]).ids == [minilm_tokenizer.unk_token_id]


def test_special_tokens_surround_the_text(minilm_tokenizer):
    ids = WordTokenizer(minilm_tokenizer).with_special_tokens([7, 8])
    assert ids == [minilm_tokenizer.cls_token_id, 7, 8, minilm_tokenizer.sep_token_id]


@pytest.fixture(scope="module")
def byte_level_tokenizer():
    vocabulary = {token: n for n, token in enumerate(["<s>", "</s>", "<unk>", *pre_tokenizers.ByteLevel.alphabet()])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize(
    ("word", "pieces"),
    [("ab", "Ġab"), ("'s", "'s"), (".", "."), ("(", "("), ("...", "Ġ..."), ("-LRB-", "("), ("“", "Ġâ\u0122ľ")],
)
def test_byte_level_tokenizers_get_a_space_before_a_word_but_not_before_punctuation(byte_level_tokenizer, word, pieces):
    ids = WordTokenizer(byte_level_tokenizer)([word]).ids
    assert "".join(byte_level_tokenizer.convert_ids_to_tokens(ids)) == pieces


def test_a_tokenizer_without_cls_and_sep_lends_its_ends_of_text(byte_level_tokenizer):
    assert WordTokenizer(byte_level_tokenizer).with_special_tokens([7]) == [0, 7, 1]
