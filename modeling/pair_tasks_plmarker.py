"""Relations by subject, by levitated pair (paper, section 3.3), and by the markers of each entity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .configuration_plmarker import PLMarkerRelationConfig
from .constraints_plmarker import Constraints
from .decoding_plmarker import ScoredRelation, ScoredSpan, decode_directed, decode_relations, winning_score
from .rows_plmarker import NO_SUBJECT, Annotations, PairRow, SpanRow
from .schema_plmarker import Threshold, pair_classes
from .task_plmarker import (
    SPECIAL_TOKENS,
    Array,
    Document,
    Example,
    Scored,
    Task,
    columns,
    rows_of_sentences,
    slices,
)
from .windows_plmarker import SegmentedDocument, Span, Window, WordTokenizer, segment

SOLID_MARKERS = 2
Pair = tuple[Span, Span]


class PairTask(Task[PLMarkerRelationConfig, PairRow]):
    """Pairs of a subject and an object among the given entities of each sentence.

    The given entities of a document are its `predicted_ner`, or else its `ner`.
    """

    row_class = PairRow
    # Whether a relation of a span with itself counts.
    keeps_self_pairs = False
    # Whether a symmetric relation counts whole only where it is found in both directions.
    counts_directions = False

    def rows(
        self, document: Document, tokenize: WordTokenizer, training: bool = False, annotated: bool = True
    ) -> list[PairRow]:
        segmented = segment(document["sentences"], tokenize, self.room, self.config.shared_windows)
        annotations = Annotations.of_document(document if annotated else _inputs(document), self.config.schema)
        rows: dict[Window, PairRow] = {}
        for sentence, (first, last) in enumerate(segmented.sentences):
            if last < first:
                continue
            given = {(start, end): label for start, end, label in annotations.given(sentence)}
            gold = {(start, end): label for start, end, label in annotations.entities(sentence)} if annotated else {}
            classes = pair_classes(annotations.relations(sentence), self.config.schema, self.reversed_classes)
            for window, pairs in self.instances(list(given), sentence, segmented, training):
                if window not in rows:
                    ids = segmented.input_ids(window, tokenize)
                    rows[window] = PairRow(str(document.get("doc_key", "")), ids)
                row = rows[window]
                row.examples.extend(len(group) for group in slices(pairs, self.max_pairs))
                row.sentences.extend([sentence] * len(pairs))
                row.labels.extend(classes.get((*subject, *entity), 0) for subject, entity in pairs)
                for kind, spans in zip(("subject", "object"), zip(*pairs, strict=True), strict=True):
                    _append(row, kind, spans, segmented, window, given, gold)
        return list(rows.values())

    @property
    def max_pairs(self) -> int | None:
        """Pairs of one training example. None makes one example of all that are read together."""
        return self.config.max_pair_length

    @property
    def reversed_classes(self) -> range:
        """The classes whose pairs are labelled in the other direction too."""
        raise NotImplementedError

    def instances(
        self, given: Sequence[Span], sentence: int, segmented: SegmentedDocument, training: bool
    ) -> Iterator[tuple[Window, list[Pair]]]:
        """The pairs that are read together in a window."""
        raise NotImplementedError

    def decode(
        self,
        scored: Sequence[Scored[PairRow]],
        n_sentences: int,
        entity_types: str = "relation",
        threshold: Threshold = 0.0,
        constraints: bool = True,
    ) -> list[list[ScoredRelation]]:
        """Find the relations of one document.

        Args:
            scored: all that was read of the document.
            entity_types: `relation` takes the model's own types, where it has any, `input` those of the given
                entities.
            threshold: least score of a relation, for all labels or by label.
            constraints: keep the constraints of the schema, if it has any. They look at the types of the given
                entities, which are those that `extract` returns.

        Returns:
            The relations of each sentence, best first.
        """
        pairs = [pair for item in scored for pair in _pairs(item.example)]
        if not pairs:
            return [[] for _ in range(n_sentences)]
        given = {
            span: label
            for item in scored
            for kind in ("subject", "object")
            for span, label in zip(_spans(item.example, kind), item.example.values(f"{kind}_types"), strict=True)
        }
        heads = [np.concatenate(parts) for parts in zip(*(item.logits for item in scored), strict=True)]
        if self.config.temperature != 1.0:
            heads[0] = heads[0] / self.config.temperature
        types_given = given if entity_types == "input" or not self.config.entity_head else None
        kept = Constraints.of_schema(self.config.schema) if constraints else None
        found: list[list[ScoredRelation]] = []
        for rows in rows_of_sentences(scored, n_sentences):
            logits = [head[rows] for head in heads]
            found.append(
                self.relations([pairs[row] for row in rows], logits, types_given, given, threshold, kept)
                if len(rows)
                else []
            )
        return found

    def relations(
        self,
        pairs: Sequence[Pair],
        logits: Sequence[Array],
        given_types: Mapping[Span, int] | None,
        given: Mapping[Span, int],
        threshold: Threshold,
        constraints: Constraints | None,
    ) -> list[ScoredRelation]:
        """The relations of one sentence.

        Args:
            given_types: the types to take, or None for the model's own.
            given: the types of the given entities, in any case.
            constraints: what the relations must keep.
        """
        raise NotImplementedError


class BothDirectionsTask(PairTask):
    """Both directions of a pair are scored, and may be decided on together."""

    def __init__(self, config: PLMarkerRelationConfig) -> None:
        super().__init__(config)
        self.counts_directions = not config.adds_directions

    @property
    def reversed_classes(self) -> range:
        # Symmetric classes come first.
        schema = self.config.schema
        return range(schema.n_forward if self.config.bidirectional else schema.n_symmetric)

    def relations(
        self,
        pairs: Sequence[Pair],
        logits: Sequence[Array],
        given_types: Mapping[Span, int] | None,
        given: Mapping[Span, int],
        threshold: Threshold,
        constraints: Constraints | None,
    ) -> list[ScoredRelation]:
        config = self.config
        subjects, objects = [subject for subject, _ in pairs], [entity for _, entity in pairs]
        if config.adds_directions:
            return decode_relations(
                subjects,
                objects,
                logits[0],
                None if given_types is not None else logits[1],
                config.schema,
                given_types=given_types,
                threshold=threshold,
                pair_scores=config.pair_scores,
                sorting_score=self.sorting_score,
                constraints=constraints,
                constrained_types=given,
            )
        types = [given[span] for span in objects] if given_types is not None else _best(logits[1])
        # An object without a type has no relation.
        rows = [row for row, label in enumerate(types) if label]
        return decode_directed(
            [subjects[row] for row in rows],
            [objects[row] for row in rows],
            logits[0][rows],
            config.schema,
            [given[subjects[row]] for row in rows],
            [types[row] for row in rows],
            threshold=threshold,
            pair_scores=config.pair_scores,
            constraints=constraints,
            constrained_types=given,
        )

    def sorting_score(self, scores: Array, winner: int, label: int) -> float:
        """The score by which a relation is sorted, see `winning_score`."""
        return winning_score(scores, winner, label)


class SubjectTask(BothDirectionsTask):
    """Solid markers around a subject, levitated markers for all its objects.

    The text of a subject is its own, since the solid markers are written into it.
    """

    n_text_states = 2
    n_markers = 2

    def __init__(self, config: PLMarkerRelationConfig) -> None:
        super().__init__(config)
        self.joined = (config.att_left, config.att_right)
        self.label_columns = ("labels", "object_labels") if config.entity_head else ("labels",)

    @property
    def n_marker_types(self) -> int:
        """How many kinds of markers there are: one, or one for each entity class."""
        return len(self.config.schema.entity_classes) if self.config.type_markers else 1

    @property
    def marker_words(self) -> tuple[str | None, ...]:
        kinds = (None, "subject", None, "object")
        if self.config.type_markers:
            return (None, "subject", *(word for word in kinds for _ in range(self.n_marker_types)))
        return kinds

    @property
    def room(self) -> int:
        return self.config.max_seq_length - SPECIAL_TOKENS - SOLID_MARKERS

    def instances(
        self, given: Sequence[Span], sentence: int, segmented: SegmentedDocument, training: bool
    ) -> Iterator[tuple[Window, list[Pair]]]:
        for subject in given:
            # The subject itself is an object too: so its type is predicted.
            objects = [entity for entity in given if self.config.entity_head or entity != subject]
            windows = segmented.windows_around(sentence, *subject)
            yield from _in_windows([(subject, entity) for entity in objects], partial(segmented.best_of, windows))
        if not training or not self.config.entity_head:
            return
        for reading in segmented.readings(sentence):
            inside = [span for span in given if reading.first_word <= span[0] and span[1] <= reading.last_word]
            # Two solid markers without a subject take the last places of a window.
            if inside and reading.window.length + SPECIAL_TOKENS + SOLID_MARKERS < self.config.max_seq_length:
                yield reading.window, [(NO_SUBJECT, span) for span in inside]

    def examples(self, rows: Sequence[PairRow]) -> list[Example[PairRow]]:
        examples = []
        for row in rows:
            keys = list(zip(row.sentences, row.subjects, strict=True))
            for numbers in _runs(keys):
                if keys[numbers[0]][1] == NO_SUBJECT:
                    continue
                # Objects that see each other are read in the groups of training.
                size = self.config.max_pair_length if any(self.joined) else None
                examples += [self.example(row, group[0], group[-1] + 1) for group in slices(numbers, size)]
        return _with_answers(self, examples)

    def example(self, row: PairRow, first: int, stop: int) -> Example[PairRow]:
        subject = (row.subject_starts[first], row.subject_ends[first], row.subject_types[first])
        # Examples whose objects see each other never share a window: they would see those of the others.
        text = (id(row), *subject, first if any(self.joined) else -1)
        return Example(row, first, stop, text, len(row.input_ids) + SOLID_MARKERS)

    def text(self, example: Example[PairRow]) -> NDArray[np.int64]:
        text = super().text(example)
        first, last = self._subject(example)
        return np.insert(text, [first, last + 1], self._subject_markers(example))

    def text_positions(self, example: Example[PairRow]) -> NDArray[np.int64]:
        first, last = self._subject(example)
        return np.tile(np.array([first, last + 2], dtype=np.int64), (len(example), 1))

    def markers(self, example: Example[PairRow]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        first, last = self._subject(example)
        positions = columns(example, "object_starts", "object_ends")
        # The solid markers before a subword move it.
        positions = positions + (positions >= first) + (positions > last)
        types = example.values("object_types") if self.n_marker_types > 1 else [0] * len(example)
        return self._typed_markers()[2:, types].T, positions

    def _subject(self, example: Example[PairRow]) -> Span:
        """First and last subword of the subject. A missing subject is an empty span behind the text."""
        first, last = example.row.subject_starts[example.first], example.row.subject_ends[example.first]
        length = len(example.row.input_ids)
        return (first, last) if first >= 0 else (length, length - 1)

    def _subject_markers(self, example: Example[PairRow]) -> NDArray[np.int64]:
        if example.row.subject_starts[example.first] < 0:
            return np.asarray(self.config.marker_token_ids[:2], dtype=np.int64)
        kind = example.row.subject_types[example.first] if self.n_marker_types > 1 else 0
        return self._typed_markers()[:2, kind]

    def _typed_markers(self) -> NDArray[np.int64]:
        """Marker ids; shape (4, types): start and end of subjects, start and end of objects."""
        ids = np.asarray(self.config.marker_token_ids, dtype=np.int64)
        return ids[-4 * self.n_marker_types :].reshape(4, self.n_marker_types)


class SharedTask(BothDirectionsTask):
    """Each given entity has one levitated marker pair, which names its type. A pair of entities reads both of theirs.

    The text has no markers in it, so that all sentences and tasks may share it. The markers of a sentence's entities
    see each other.
    """

    n_text_states = 0
    n_markers = 2

    @property
    def n_marker_types(self) -> int:
        """How many kinds of markers there are: one for each entity class."""
        return len(self.config.schema.entity_classes)

    @property
    def marker_words(self) -> tuple[str | None, ...]:
        return tuple(word for word in (None, "entity") for _ in range(self.n_marker_types))

    @property
    def max_pairs(self) -> int | None:
        # The markers of a sentence see each other: an example is a whole sentence.
        return None

    def instances(
        self, given: Sequence[Span], sentence: int, segmented: SegmentedDocument, training: bool
    ) -> Iterator[tuple[Window, list[Pair]]]:
        pairs = [(subject, entity) for subject in given for entity in given if subject != entity]
        yield from _in_windows(pairs, partial(segmented.window_of, sentence))

    def examples(self, rows: Sequence[PairRow]) -> list[Example[PairRow]]:
        return [self.example(row, 0, len(row.labels)) for row in rows if row.labels]

    def text_positions(self, example: Example[PairRow]) -> NDArray[np.int64]:
        return np.zeros((len(example), 0), dtype=np.int64)

    def markers(self, example: Example[PairRow]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        entities, _ = self._entities(example)
        ids = np.asarray(self.config.marker_token_ids, dtype=np.int64).reshape(2, self.n_marker_types)
        return ids[:, entities[:, 5]].T, entities[:, 3:5]

    def row_of(self, row: SpanRow, entities: Sequence[Sequence[ScoredSpan]]) -> PairRow:
        """The pairs of the entities that were found among the candidate spans of a window.

        Args:
            entities: the entities of each sentence of the document.
        """
        labels = {(e.start, e.end, s): e.label for s in dict.fromkeys(row.sentences) for e in entities[s]}
        found: dict[int, list[list[int]]] = {}
        for sentence, *place in zip(row.sentences, row.word_starts, row.word_ends, row.starts, row.ends, strict=True):
            label = labels.get((place[0], place[1], sentence))
            if label is not None:
                found.setdefault(sentence, []).append([*place, label])
        pairs = [(s, a, b) for s, places in found.items() for a in places for b in places if a is not b]
        result = PairRow(row.doc_key, row.input_ids, [s for s, _, _ in pairs], [0] * len(pairs), [len(pairs)])
        names = ("word_starts", "word_ends", "starts", "ends", "types")
        for kind, ends in (("subject", [a for _, a, _ in pairs]), ("object", [b for _, _, b in pairs])):
            for name, column in zip(names, zip(*ends, strict=True), strict=False):
                getattr(result, f"{kind}_{name}").extend(column)
            getattr(result, f"{kind}_labels").extend([0] * len(pairs))
        return result

    def pair_index(self, example: Example[PairRow]) -> NDArray[np.int64]:
        return self._entities(example)[1]

    def marker_groups(self, example: Example[PairRow]) -> NDArray[np.int64]:
        return np.unique(self._entities(example)[0][:, 0], return_inverse=True)[1]

    def _entities(self, example: Example[PairRow]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The entities: sentence, words, subwords and type, shape (entities, 6); and the pairs of them."""
        names = ("word_starts", "word_ends", "starts", "ends", "types")
        kinds = [columns(example, "sentences", *(f"{kind}_{name}" for name in names)) for kind in ("subject", "object")]
        entities, inverse = np.unique(np.concatenate(kinds), axis=0, return_inverse=True)
        return entities, inverse.reshape(2, -1).T


class LevitatedPairTask(PairTask):
    """Four levitated markers for every ordered pair. All pairs of a window share its text."""

    n_text_states = 0
    n_markers = 4
    label_columns = ("labels", "object_labels", "subject_labels")

    @property
    def marker_words(self) -> tuple[str | None, ...]:
        return (None, "subject", None, "object")

    @property
    def reversed_classes(self) -> range:
        # A pair is labelled in the annotated order alone.
        return range(0)

    def instances(
        self, given: Sequence[Span], sentence: int, segmented: SegmentedDocument, training: bool
    ) -> Iterator[tuple[Window, list[Pair]]]:
        pairs = [(subject, entity) for subject in given for entity in given]
        yield from _in_windows(pairs, partial(segmented.window_of, sentence))

    def examples(self, rows: Sequence[PairRow]) -> list[Example[PairRow]]:
        return _with_answers(self, [self.example(row, 0, len(row.labels)) for row in rows if row.labels])

    def text_positions(self, example: Example[PairRow]) -> NDArray[np.int64]:
        return np.zeros((len(example), 0), dtype=np.int64)

    def markers(self, example: Example[PairRow]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        ids = np.tile(np.asarray(self.config.marker_token_ids, dtype=np.int64), (len(example), 1))
        return ids, columns(example, "subject_starts", "subject_ends", "object_starts", "object_ends")

    def relations(
        self,
        pairs: Sequence[Pair],
        logits: Sequence[Array],
        given_types: Mapping[Span, int] | None,
        given: Mapping[Span, int],
        threshold: Threshold,
        constraints: Constraints | None,
    ) -> list[ScoredRelation]:
        subjects, objects = [subject for subject, _ in pairs], [entity for _, entity in pairs]
        return decode_directed(
            subjects,
            objects,
            logits[0],
            self.config.schema,
            _best(logits[2]) if given_types is None else [given_types[span] for span in subjects],
            _best(logits[1]) if given_types is None else [given_types[span] for span in objects],
            threshold=threshold,
            pair_scores=self.config.pair_scores,
            self_pairs=self.keeps_self_pairs,
            constraints=constraints,
            constrained_types=given,
        )


def _inputs(document: Document) -> dict[str, Any]:
    """A document without what is annotated for the relation model; the given entities are its input."""
    given = document.get("predicted_ner")
    return {**document, "ner": document.get("ner") if given is None else None, "relations": None}


def _in_windows(
    pairs: Sequence[Pair], window_of: Callable[[int, int], Window | None]
) -> Iterator[tuple[Window, list[Pair]]]:
    """Pairs by the window that reads both spans. A pair that no window holds is left out.

    Args:
        window_of: the window of a range of words, by its first and last word.
    """
    found: dict[Window, list[Pair]] = defaultdict(list)
    for pair in pairs:
        window = window_of(min(pair)[0], max(span[1] for span in pair))
        if window is not None:
            found[window].append(pair)
    yield from sorted(found.items(), key=lambda item: (item[0].start, item[0].stop))


def _append(
    row: PairRow,
    kind: str,
    spans: Sequence[Span],
    segmented: SegmentedDocument,
    window: Window,
    given: Mapping[Span, int],
    gold: Mapping[Span, int],
) -> None:
    """Add the columns of the subjects or the objects of pairs."""
    for start, end in spans:
        missing = (start, end) == NO_SUBJECT
        values = {
            "word_starts": start,
            "word_ends": end,
            "starts": -1 if missing else segmented.position(window, start),
            "ends": -1 if missing else segmented.last_position(window, end),
            "types": given.get((start, end), 0),
            "labels": gold.get((start, end), 0),
        }
        for name, value in values.items():
            getattr(row, f"{kind}_{name}").append(value)


def _runs(keys: Sequence[Any]) -> list[list[int]]:
    """Numbers of consecutive equal keys."""
    return [list(numbers) for _, numbers in groupby(range(len(keys)), key=keys.__getitem__)]


def _with_answers(task: PairTask, examples: Sequence[Example[PairRow]]) -> list[Example[PairRow]]:
    """Leave out sentences with a single entity: their only pair is the entity with itself."""
    if task.keeps_self_pairs:
        return list(examples)
    answering = {
        (id(example.row), sentence)
        for example in examples
        for sentence, (subject, entity) in zip(example.values("sentences"), _pairs(example), strict=True)
        if subject != entity
    }
    return [e for e in examples if any((id(e.row), sentence) in answering for sentence in set(e.values("sentences")))]


def _pairs(example: Example[PairRow]) -> list[Pair]:
    return list(zip(_spans(example, "subject"), _spans(example, "object"), strict=True))


def _spans(example: Example[PairRow], kind: str) -> list[Span]:
    return list(zip(example.values(f"{kind}_word_starts"), example.values(f"{kind}_word_ends"), strict=True))


def _best(logits: Array) -> list[int]:
    classes: list[int] = logits.argmax(axis=-1).tolist()
    return classes
