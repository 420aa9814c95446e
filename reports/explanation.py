"""Why a relation was found: the words that its markers attended to, and its score without each of them.

Levitated attention never makes weights. So each relation that was found is read once more, with attention that keeps
them, and then once for each of the words with most attention, in which the word is masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..modeling.attention_plmarker import LEVITATED, Heads, MarkerLayout, TextLayout
from ..modeling.decoding_plmarker import log_softmax
from ..modeling.extraction_plmarker import ExplainedWord, Explanation, Extraction, Relation
from ..modeling.internals_plmarker import attention_implementation
from ..modeling.pair_tasks_plmarker import PairTask
from ..modeling.prediction_plmarker import Scorer, evaluation_view
from ..modeling.rows_plmarker import PairRow
from ..modeling.schema_plmarker import PLMarkerError
from ..modeling.states_plmarker import TextStates, call_encoder
from ..modeling.task_plmarker import SPECIAL_TOKENS, Example, Scored
from ..modeling.text_plmarker import Offsets
from ..modeling.windows_plmarker import Span, Subwords, WordTokenizer

# The words of an explanation. Each of them is masked once.
MOST_WORDS = 8
Array = NDArray[np.floating]
Place = tuple[Example[PairRow], int]


def explain_relations(model: Any, extraction: Extraction, located: Sequence[Sequence[Offsets]]) -> Extraction:
    """An extraction whose relations have explanations.

    The attention is that of the reading in which the head is the subject: of its solid markers or levitated ones, and
    of the markers of the tail. It is the mean over the heads of a layer and over the two markers, added up over the
    subwords of a word. What is missing to 1 went to other words, to special tokens and to markers.

    Args:
        model: the model that found the relations.
        located: character offsets of the words of every sentence.

    Raises:
        PLMarkerError: for a model with another attention than `levitated`, and for `compat`.

    Example:
        >>> model.extract(text, explain=True).relations[0].explanation.words[0]  # doctest: +SKIP
        ExplainedWord(text='founded', start=13, end=20, head=(0.05, ...), tail=(0.11, ...), drop=0.41)
    """
    relation = model.readers[1]
    if relation is None or not extraction.relations:
        return extraction
    if attention_implementation(relation) != LEVITATED:
        raise PLMarkerError('explain=True needs levitated attention: set_attn_implementation("levitated")')
    if relation.config.compat is not None:
        raise PLMarkerError("explain=True cannot imitate another implementation: set compat to None")
    explainer = _Explainer(evaluation_view(relation), WordTokenizer(model.tokenizer), extraction, located)
    return replace(extraction, relations=[explainer.explained(found) for found in extraction.relations])


class _Explainer:
    """Explains the relations of one text."""

    def __init__(
        self, model: Any, tokenize: WordTokenizer, extraction: Extraction, located: Sequence[Sequence[Offsets]]
    ) -> None:
        self.model, self.task, self.tokenize = model, model.task, tokenize
        self.extraction = extraction
        self.words = [offsets for sentence in located for offsets in sentence]
        self.starts = {start: number for number, (start, _) in enumerate(self.words)}
        self.ends = {end: number for number, (_, end) in enumerate(self.words)}
        mask_id = tokenize.tokenizer.mask_token_id
        self.mask_id = tokenize.unknown_id if mask_id is None else mask_id

    def explained(self, found: Relation) -> Relation:
        """The relation with its explanation."""
        head, tail = ((self.starts[end.start], self.ends[end.end]) for end in (found.head, found.tail))
        label = self.model.config.schema.relation_class(found.label)
        document = self._document(found)
        places = places_of(self.task, document, self.tokenize, head, tail)
        of_head, of_tail = self._attention(document, *places[0])
        total = (of_head + of_tail).mean(axis=0)
        chosen = [int(word) for word in np.argsort(-total, kind="stable")[:MOST_WORDS] if total[word] > 0]
        readings = [places]
        for word in chosen:
            readings.append(
                places_of(self.task, document, MaskedTokenizer(self.tokenize, word, self.mask_id), head, tail)
            )
        scores = scores_of(self.model, readings, label)
        words = []
        for word, score in zip(chosen, scores[1:], strict=True):
            start, end = self.words[word]
            head_shares, tail_shares = (
                tuple(round(float(share), 6) for share in part[:, word]) for part in (of_head, of_tail)
            )
            text = self.extraction.text[start:end]
            words.append(ExplainedWord(text, start, end, head_shares, tail_shares, scores[0] - score))
        return replace(found, explanation=Explanation(tuple(words)))

    def _document(self, found: Relation) -> dict[str, Any]:
        """The document with the entities of the relation's sentence: all of them, since markers may see each other."""
        sentences = self.extraction.sentences
        given: list[list[dict[str, Any]]] = [[] for _ in sentences]
        for entity in self.extraction.entities:
            if entity.sentence == found.head.sentence:
                span = {"start": self.starts[entity.start], "end": self.ends[entity.end]}
                given[entity.sentence].append({**span, "label": entity.label})
        return {"sentences": sentences, "predicted_ner": given}

    def _attention(self, document: Mapping[str, Any], example: Example[PairRow], number: int) -> tuple[Array, Array]:
        """The attention of the markers of head and tail to the words of the document; shape (layers, words) each."""
        row = example.row
        starts = self.tokenize([word for words in document["sentences"] for word in words]).word_starts
        # The row says where the subject is in its window. The window begins that many subwords before it.
        place = example.first + number
        begin = starts[row.subject_word_starts[place]] - (row.subject_starts[place] - 1)
        read = np.arange(begin, begin + len(row.input_ids) - SPECIAL_TOKENS)
        word_of = np.array([-1, *(np.searchsorted(starts, read, side="right") - 1), -1])
        if self.task.n_text_states:
            first, last = row.subject_starts[example.first], row.subject_ends[example.first]
            word_of = np.insert(word_of, [first, last + 1], -1)
        weights = marker_attention(self.model, example, number)
        tokens = np.flatnonzero(word_of >= 0)
        found = []
        for part in (weights.subject, weights.object):
            shares = np.zeros((len(part), len(self.words)))
            np.add.at(shares.T, word_of[tokens], part.mean(axis=1)[:, tokens].T)
            found.append(shares)
        return found[0], found[1]


class MaskedTokenizer(WordTokenizer):
    """Reads each subword of one word of a document as the mask token.

    Args:
        tokenize: reads all other words.
        word: the number of the masked word in the document.
        mask_id: the id of the mask token.
    """

    def __init__(self, tokenize: WordTokenizer, word: int, mask_id: int) -> None:
        self.tokenize, self.word, self.mask_id = tokenize, word, mask_id

    def __call__(self, words: Sequence[str]) -> Subwords:
        read = self.tokenize(words)
        start, stop = read.word_starts[self.word : self.word + 2]
        return Subwords([*read.ids[:start], *[self.mask_id] * (stop - start), *read.ids[stop:]], read.word_starts)

    def with_special_tokens(self, ids: Sequence[int]) -> list[int]:
        return self.tokenize.with_special_tokens(ids)


def places_of(
    task: PairTask, document: Mapping[str, Any], tokenize: WordTokenizer, head: Span, tail: Span
) -> list[Place]:
    """What scores a relation: an example and a number in it for (head, tail), and where there is one for (tail, head).

    The examples hold other pairs only where markers of several pairs see each other.
    """
    found: dict[tuple[Span, Span], Place] = {}
    for example in task.examples(task.rows(document, tokenize, annotated=False)):
        names = ("subject_word_starts", "subject_word_ends", "object_word_starts", "object_word_ends")
        for number, (a, b, c, d) in enumerate(zip(*(example.values(name) for name in names), strict=True)):
            pair = (a, b), (c, d)
            if pair in ((head, tail), (tail, head)):
                if any(task.joined) or task.marker_groups(example) is not None:
                    found[pair] = example, number
                else:
                    place = example.first + number
                    found[pair] = task.example(example.row, place, place + 1), 0
    pairs = [pair for pair in ((head, tail), (tail, head)) if pair in found]
    return [found[pair] for pair in pairs]


def scores_of(model: Any, readings: Sequence[Sequence[Place]], label: int) -> list[float]:
    """The score of a relation in each reading, also where another class is more probable.

    Args:
        readings: what `places_of` returns.
        label: the class of the relation.
    """
    examples = [example for places in readings for example, _ in places]
    scored = iter(Scorer.of_model(model).score(examples))
    config, schema, scores = model.config, model.config.schema, []
    for places in readings:
        rows = [_log_scores(next(scored), number, config.temperature) for _, number in places]
        if config.adds_directions:
            scores.append(float(np.exp((rows[0][label] + rows[1][schema.inverse(label)]) / 2)))
        else:
            scores.append(float(np.exp(rows[0][label])))
    return scores


def _log_scores(scored: Scored[PairRow], number: int, temperature: float) -> Array:
    found: Array = log_softmax(np.asarray(scored.logits[0][number], dtype=np.float64) / temperature)
    return found


@dataclass(frozen=True)
class MarkerAttention:
    """The attention of the markers of a pair: the mean over the heads of each layer.

    Args:
        subject, object: what the two markers of each pay to each token of the text, and then to each marker behind it;
            shape (layers, 2, tokens + markers). Each row sums to 1. A solid marker sees the text alone.
    """

    subject: Array
    object: Array


@torch.inference_mode()
def marker_attention(model: Any, example: Example[PairRow], number: int) -> MarkerAttention:
    """Read one example, and keep the weights of the markers of one of its pairs.

    Args:
        model: a relation model, in evaluation mode.
        number: the pair, counted from the first of the example.
    """
    task = model.task
    inputs = {name: tensor.to(model.device) for name, tensor in task.batch([example], labels=False).inputs.items()}
    text = TextStates(TextLayout(inputs["window_sizes"][:, 0].tolist(), model.device))
    markers = inputs["marker_positions"].flatten()
    groups = inputs.get("marker_groups")
    numbers = None if groups is None else groups.repeat_interleave(task.n_markers)
    layout = MarkerLayout(text.layout, (len(markers),), markers, task.n_markers, task.joined, numbers)
    solid = task.text_positions(example)[number]
    read_text, read_markers = _TextWeights(text, solid), _MarkerWeights(text, layout)
    embed, offset = model.encoder.get_input_embeddings(), model.position_offset
    call_encoder(model.encoder, embed(inputs["input_ids"]), text.layout.positions + offset, read_text)
    call_encoder(model.encoder, embed(inputs["marker_ids"].flatten()), markers + offset, read_markers)
    own = torch.stack(read_markers.weights).unflatten(1, (-1, task.n_markers)).float().cpu().numpy()
    if "pair_index" in inputs:
        subject, entity = inputs["pair_index"][number].tolist()
        return MarkerAttention(own[:, subject], own[:, entity])
    if task.n_text_states:
        return MarkerAttention(torch.stack(read_text.weights).float().cpu().numpy(), own[:, number])
    return MarkerAttention(own[:, number, :2], own[:, number, 2:])


def _weights(heads: Heads, key: Tensor, seen: Tensor) -> Tensor:
    """Softmax over the keys that are seen; shape (1, heads, tokens, keys)."""
    scores = heads.query @ key.transpose(-1, -2) * heads.scaling
    return scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)


def _near(positions: Tensor, text: TextLayout, reach: int | None) -> Tensor:
    """Which text tokens are seen from these positions; shape (positions, text)."""
    distances = (positions[:, None] - text.positions[None]).abs()
    return torch.ones_like(distances, dtype=torch.bool) if reach is None else distances < reach


@dataclass
class _TextWeights:
    """The text pass over one window. It keeps the weights of some tokens."""

    states: TextStates
    tokens: NDArray[np.int64]
    weights: list[Tensor] = field(default_factory=list)

    def attend(self, heads: Heads) -> Tensor:
        """See `Reading.attend`."""
        self.states.keys.append(heads.key)
        self.states.values.append(heads.value)
        layout = self.states.layout
        weights = _weights(heads, heads.key, _near(layout.positions, layout, heads.reach))
        self.weights.append(weights[0].mean(dim=0)[torch.as_tensor(self.tokens)])
        return weights @ heads.value


@dataclass
class _MarkerWeights:
    """The marker pass over one window. It keeps all weights."""

    text: TextStates
    layout: MarkerLayout
    weights: list[Tensor] = field(default_factory=list)

    def attend(self, heads: Heads) -> Tensor:
        """See `Reading.attend`."""
        layer = len(self.weights)
        numbers = torch.arange(heads.query.shape[2], device=heads.query.device)
        seen = torch.cat(
            [
                _near(self.layout.positions, self.text.layout, heads.reach),
                self.layout.visible(numbers[:, None], numbers[None]),
            ],
            dim=1,
        )
        weights = _weights(heads, torch.cat([self.text.keys[layer], heads.key], dim=2), seen)
        self.weights.append(weights[0].mean(dim=0))
        return weights @ torch.cat([self.text.values[layer], heads.value], dim=2)
