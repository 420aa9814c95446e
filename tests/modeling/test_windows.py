"""Words to subwords, documents to windows."""

from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from plmarker.modeling import windows_plmarker
from plmarker.modeling.encoders_plmarker import add_marker_tokens
from plmarker.modeling.schema_plmarker import PLMarkerError
from plmarker.modeling.windows_plmarker import (
    Reading,
    SegmentedDocument,
    Subwords,
    Window,
    WordTokenizer,
    few_windows,
    segment,
    sentence_ranges,
    window_around,
)


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[int], int, int, int]:
    """Words of one to five subwords each; the first and the last word of a sentence; the room of a window."""
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=30))
    first = draw(st.integers(0, len(lengths) - 1))
    last = draw(st.integers(first, len(lengths) - 1))
    return [0, *accumulate(lengths)], first, last, draw(st.integers(1, 24))


def document_of(word_starts: list[int], first: int, last: int, room: int) -> SegmentedDocument:
    """A document whose only sentence is a range of its words. The other words are context."""
    return SegmentedDocument(Subwords(list(range(word_starts[-1])), word_starts), [(first, last)], room)


def readings_of(word_starts: list[int], first: int, last: int, room: int) -> list[Reading]:
    return document_of(word_starts, first, last, room).readings(0)


def reads(reading: Reading, word: int) -> bool:
    return reading.first_word <= word <= reading.last_word


@given(sentences())
def test_windows_hold_at_most_the_room_and_all_of_their_words(case):
    word_starts, first, last, room = case
    for reading in readings_of(*case):
        window = reading.window
        assert 0 <= window.start <= word_starts[reading.first_word]
        assert word_starts[reading.last_word + 1] <= window.stop <= word_starts[-1]
        assert window.length == window.stop - window.start == min(room, word_starts[-1])
        assert first <= reading.first_word <= reading.last_word <= last


@given(sentences())
def test_every_word_that_fits_by_itself_is_read_and_no_other(case):
    word_starts, first, last, room = case
    readings = readings_of(*case)
    for word in range(first, last + 1):
        fits = word_starts[word + 1] - word_starts[word] <= room
        assert any(reads(reading, word) for reading in readings) == fits


@given(sentences())
def test_every_span_of_at_most_half_a_window_is_in_a_window_of_its_sentence(case):
    word_starts, first, last, room = case
    readings = readings_of(*case)
    for start in range(first, last + 1):
        for end in range(start, last + 1):
            size = word_starts[end + 1] - word_starts[start]
            if size <= room / 2 or word_starts[last + 1] - word_starts[first] <= room:
                assert any(reads(reading, start) and reads(reading, end) for reading in readings)


@given(sentences())
def test_every_span_of_at_most_the_room_has_a_window_and_no_wider_one(case):
    word_starts, first, last, room = case
    document = document_of(*case)
    for start in range(first, last + 1):
        for end in range(start, last + 1):
            window = document.window_of(0, start, end)
            assert (window is not None) == (word_starts[end + 1] - word_starts[start] <= room)
            if window is not None:
                assert window.start <= word_starts[start]
                assert word_starts[end + 1] <= window.stop
                assert window.length <= room
                # The same question has the same answer.
                assert document.window_of(0, start, end) == window


@given(sentences())
def test_few_windows_read_words_with_any_other_word_that_is_near_enough(case):
    word_starts, first, last, room = case
    document = document_of(*case)
    for start in range(first, last + 1):
        windows = document.windows_around(0, start, start)
        assert len(windows) <= 5
        for end in range(start, last + 1):
            inside = document.best_of(windows, start, end)
            assert (inside is not None) == (word_starts[end + 1] - word_starts[start] <= room)
            before = document.best_of(document.windows_around(0, end, end), start, end)
            assert (before is not None) == (inside is not None)
            if inside is not None:
                assert inside.length == min(room, word_starts[-1])


def test_a_pair_is_read_with_context_on_both_sides():
    # One subword a word; the sentence is longer than a window of 40.
    document = SegmentedDocument(Subwords(list(range(200)), list(range(201))), [(0, 199)], 40)
    windows = document.windows_around(0, 100, 100)
    for distance in range(40):
        window = document.best_of(windows, 100, 100 + distance)
        margin = min(100 - window.start, window.stop - 101 - distance)
        # What is left over is shared by both sides, but for the steps between the windows.
        assert margin >= (39 - distance) // 2 - 5


@given(st.integers(60, 400), st.integers(8, 40))
def test_windows_of_a_long_sentence_are_linear_in_its_words(n_words, room):
    document = SegmentedDocument(Subwords(list(range(n_words)), list(range(n_words + 1))), [(0, n_words - 1)], room)
    pairs = [(a, b) for a in range(0, n_words, 3) for b in range(a, min(a + room, n_words), 3)]
    windows = {document.window_of(0, a, b) for a, b in pairs}
    # Windows begin at steps of an eighth of their length. Words that fill a window have one of their own.
    assert len(windows) <= n_words * (8 / room + 1)


@given(sentences())
def test_a_sentence_that_fits_has_one_window_with_the_specified_context(case):
    word_starts, first, last, room = case
    start, stop = word_starts[first], word_starts[last + 1]
    if stop - start > room:
        return
    (reading,) = readings_of(*case)
    left, right = start, word_starts[-1] - stop
    half = int((room - (stop - start)) / 2)
    # The original has one rule for the shorter side, and one for the other side.
    shorter = min(left, right, half)
    longer = min(max(left, right), room - (stop - start) - shorter)
    contexts = (shorter, longer) if left < right else (longer, shorter)
    assert reading == Reading(first, last, Window(start - contexts[0], stop + contexts[1]))


@pytest.mark.parametrize(
    ("room", "slice_"),
    [(4, (4, 8)), (6, (3, 9)), (7, (3, 10)), (12, (0, 12)), (15, (0, 15)), (50, (0, 20))],
)
def test_context_comes_from_both_sides(room, slice_):
    word_starts = list(range(21))
    assert window_around(word_starts, 4, 7, room) == Window(*slice_)
    (reading,) = readings_of(word_starts, 4, 7, room)
    assert (reading.window.start, reading.window.stop) == slice_


def test_a_word_longer_than_the_window_is_left_out_alone():
    readings = readings_of([0, 1, 2, 12, 13, 14], 0, 4, 4)
    assert [(reading.first_word, reading.last_word) for reading in readings] == [(0, 1), (3, 4)]


def test_a_sentence_of_one_word_that_does_not_fit_has_no_window():
    assert readings_of([0, 9], 0, 0, 4) == []


def test_a_sentence_without_words_has_no_window():
    document = SegmentedDocument(Subwords([1, 2], [0, 1, 2]), [(0, 0), (1, 0), (1, 1)], 8)
    assert [len(document.readings(sentence)) for sentence in range(3)] == [1, 0, 1]


@given(sentences())
def test_the_chosen_window_leaves_most_text_on_the_poorer_side(case):
    word_starts, first, last, _ = case
    document = document_of(*case)
    for word in range(first, last + 1):
        margins = [
            min(word_starts[word] - reading.window.start, reading.window.stop - word_starts[word + 1])
            for reading in document.readings(0)
            if reads(reading, word)
        ]
        window = document.window_of(0, word, word)
        if window is None:
            assert not margins
        else:
            assert min(word_starts[word] - window.start, window.stop - word_starts[word + 1]) == max(margins)


@given(
    st.lists(st.lists(st.sampled_from(["a", "levitated", "antidisestablishmentarianism"]), max_size=12), max_size=4),
    st.integers(8, 40),
)
def test_a_document_is_cut_at_its_sentences_and_positions_count_from_cls(minilm_tokenizer, document, room):
    tokenize = WordTokenizer(minilm_tokenizer)
    segmented = segment(document, tokenize, room)
    words = [word for sentence in document for word in sentence]
    assert segmented.subwords == tokenize(words)
    assert segmented.sentences == sentence_ranges(document)
    for sentence, (first, last) in enumerate(segmented.sentences):
        readings = segmented.readings(sentence)
        assert {word for r in readings for word in range(r.first_word, r.last_word + 1)} == {*range(first, last + 1)}
        for reading in readings:
            ids = segmented.input_ids(reading.window, tokenize)
            assert (ids[0], ids[-1]) == (minilm_tokenizer.cls_token_id, minilm_tokenizer.sep_token_id)
            assert len(ids) == reading.window.length + 2 <= room + 2
            for word in range(reading.first_word, reading.last_word + 1):
                start, end = (place(reading.window, word) for place in (segmented.position, segmented.last_position))
                assert ids[start : end + 1] == tokenize([words[word]]).ids


def test_sentences_count_words_through_the_document():
    assert sentence_ranges([["a", "b"], [], ["c"]]) == [(0, 1), (2, 1), (2, 2)]


def test_words_are_tokenized_one_by_one(minilm_tokenizer):
    words = ["Levitated", "markers", "Levitated", "naïve-ish", "."]
    subwords = WordTokenizer(minilm_tokenizer)(words)
    alone = [minilm_tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    assert [subwords.ids[a:b] for a, b in zip(subwords.word_starts, subwords.word_starts[1:], strict=False)] == alone
    assert subwords.word_starts[-1] == len(subwords.ids)


def test_words_from_before_change_nothing(minilm_tokenizer):
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
def test_treebank_brackets_are_read_as_brackets_by_default(minilm_tokenizer, pair):
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


def test_words_spelled_like_added_markers_become_unknown():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "a": 2, "[CLS]": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[CLS]"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    marker = add_marker_tokens(fast, ["[unused0]"])
    assert WordTokenizer(fast)(["a", "[unused0]"]).ids == [2, fast.unk_token_id]
    assert marker != [fast.unk_token_id]


@st.composite
def sentences_that_share(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int]], int, int]:
    """Words of one to three subwords, the sentences, the room of a window, and the least context."""
    room = draw(st.integers(6, 16))
    lengths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=60))
    starts = [0, *accumulate(lengths)]
    ranges, first = [], 0
    while first < len(lengths):
        last = min(first + draw(st.integers(0, 5)), len(lengths) - 1)
        while starts[last + 1] - starts[first] > room:
            last -= 1
        ranges.append((first, last))
        first = last + 1
    return starts, ranges, room, draw(st.integers(0, 4))


def poorer_side(window: Window, start: int, stop: int, length: int) -> float:
    """Context on the poorer side, where a border of the document is no lack of it."""
    left = start - window.start if window.start else float("inf")
    return min(left, window.stop - stop if window.stop < length else float("inf"))


def most_context(case, number: int) -> float:
    """The context that a sentence asks for, or the most that fits."""
    starts, ranges, room, least = case
    first, last = ranges[number]
    window = window_around(starts, first, last, room)
    return min(least, poorer_side(window, starts[first], starts[last + 1], starts[-1]))


def is_enough(case, window: Window, number: int) -> bool:
    """Whether a window gives a sentence its context."""
    starts, ranges, *_ = case
    start, stop = (starts[place] for place in (ranges[number][0], ranges[number][1] + 1))
    is_held = window.start <= start and stop <= window.stop
    return is_held and poorer_side(window, start, stop, starts[-1]) >= most_context(case, number)


# The first has a sentence that leaves no room for context, the second one whose window is that of the first sentence.
HARD_CASES = (
    (list(range(12)), [(0, 0), (1, 7), (8, 10)], 8, 1),
    (list(range(42)), [(0, 1), (2, 13), (14, 27), (28, 40)], 16, 3),
)


@given(sentences_that_share())
@example(HARD_CASES[0])
@example(HARD_CASES[1])
def test_shared_windows_give_each_sentence_the_context_that_fits(case):
    starts, ranges, room, least = case
    windows = few_windows(starts, ranges, room, least)
    assert [window.start for window in windows] == sorted({window.start for window in windows})
    for window in windows:
        assert 0 <= window.start < window.stop <= starts[-1]
        assert window.length == min(room, starts[-1])
    for number in range(len(ranges)):
        assert any(is_enough(case, window, number) for window in windows)


@given(sentences_that_share())
@example(HARD_CASES[0])
@example(HARD_CASES[1])
def test_fewer_windows_do_not_give_that_context(case):
    starts, ranges, room, least = case
    everywhere = [Window(place, min(place + room, starts[-1])) for place in range(max(1, starts[-1] - room + 1))]
    # The fewest windows of the first sentences, by those that the last window reads.
    fewest = [0]
    for stop in range(1, len(ranges) + 1):
        fits = [
            first
            for first in range(stop)
            if any(all(is_enough(case, window, number) for number in range(first, stop)) for window in everywhere)
        ]
        fewest.append(1 + min(fewest[first] for first in fits))
    assert len(few_windows(starts, ranges, room, least)) == fewest[-1]


def shared_document(lengths: list[int], room: int) -> SegmentedDocument:
    """A document of sentences of so many words, one subword each."""
    n_words = sum(lengths)
    subwords = Subwords(list(range(n_words)), list(range(n_words + 1)))
    return SegmentedDocument(subwords, sentence_ranges([["a"] * length for length in lengths]), room, shared=True)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=40), st.integers(20, 80))
def test_sentences_that_share_windows_have_their_best_one(lengths, room):
    document, n_words = shared_document(lengths, room), sum(lengths)
    readings = [document.readings(number) for number in range(len(lengths))]
    windows = {reading.window for (reading,) in readings}
    for number, (first, last) in enumerate(document.sentences):
        (reading,) = readings[number]
        assert (reading.first_word, reading.last_word) == (first, last)
        assert document.window_of(number, first, last) == reading.window
        best = max(poorer_side(w, first, last + 1, n_words) for w in windows if w.start <= first and last < w.stop)
        assert poorer_side(reading.window, first, last + 1, n_words) == best


def test_shared_windows_of_a_long_document_read_little_and_give_a_sixteenth_as_context():
    document = shared_document([20] * 100, 160)
    readings = [document.readings(number)[0] for number in range(100)]
    # 160 - 2 * 10 subwords hold seven sentences: 15 windows for 100.
    assert len({reading.window for reading in readings}) == 15
    context = [poorer_side(r.window, r.first_word, r.last_word + 1, 2000) for r in readings]
    assert min(context) == 10


def test_shared_windows_of_a_small_text():
    # Room 10, two subwords of context: the window of the first sentence has enough for the second one.
    starts = list(range(31))
    assert few_windows(starts, [(0, 3), (4, 7), (8, 11), (12, 15)], 10, 2) == [
        Window(0, 10),
        Window(6, 16),
        Window(10, 20),
    ]


def test_a_sentence_with_little_room_for_context_has_the_most_that_fits():
    # The second sentence leaves six subwords of 48, and three are a sixteenth. The third leaves four.
    document = shared_document([10, 42, 44, 60], 48)
    assert document.readings(1)[0].window == window_around(document.subwords.word_starts, 10, 51, 48) == Window(7, 55)
    assert document.readings(2)[0].window == window_around(document.subwords.word_starts, 52, 95, 48) == Window(50, 98)


def test_a_long_sentence_is_read_in_pieces_that_overlap_by_half_with_shared_windows_too():
    subwords = Subwords(list(range(40)), list(range(41)))
    shared, own = (SegmentedDocument(subwords, [(0, 4), (5, 34), (35, 39)], 10, value) for value in (True, False))
    assert shared.readings(1) == own.readings(1)


def test_a_short_document_has_the_same_window_either_way():
    starts = list(range(8))
    assert few_windows(starts, [(0, 2), (3, 6)], 20, 2) == [window_around(starts, 0, 2, 20)] == [Window(0, 7)]


def test_a_tokenizer_without_special_tokens_is_refused(minilm_tokenizer):
    bare = PreTrainedTokenizerFast(tokenizer_object=minilm_tokenizer.backend_tokenizer)
    with pytest.raises(PLMarkerError, match="no special tokens"):
        WordTokenizer(bare)
