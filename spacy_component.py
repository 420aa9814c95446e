"""The spaCy component `plmarker`: entities and relations of spaCy's documents. spaCy is an optional extra."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from .data.alignment import sentences_of_tokens
from .hub.loading import load_model
from .modeling.extraction_plmarker import Entity, Extraction
from .modeling.given_plmarker import with_given
from .modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerModel
from .modeling.prediction_plmarker import BATCH_TOKENS
from .modeling.schema_plmarker import PLMarkerError, Threshold
from .modeling.text_plmarker import Offsets, locate_words, located_document, split_sentences

try:
    from spacy.language import Language
    from spacy.pipeline import Pipe
    from spacy.tokens import Doc, Span, SpanGroup
    from spacy.util import filter_spans, is_same_func, minibatch
    from thinc.api import get_torch_default_device
except ImportError as error:
    raise ImportError("plmarker.spacy_component needs spaCy: pip install 'plmarker[spacy]'") from error

logger = logging.getLogger(__name__)

NAME = "plmarker"
EXTENSION = "relations"
# The key of `doc.user_data` for the rows of the relations.
USER_DATA = "plmarker_relations"


@dataclass(frozen=True)
class SpanRelation:
    """A relation between two entities of a spaCy document.

    Args:
        head, tail: the entities, with their types as labels.
        label: the relation type.
        score: between 0 and 1, see [`Relation`].
    """

    head: Span
    tail: Span
    label: str
    score: float


def relations_of(doc: Doc) -> list[SpanRelation]:
    """Compute `doc._.relations`: component by component, then by sentence, then by score, highest first."""
    return [
        SpanRelation(_span(doc, head), _span(doc, tail), label, score)
        for rows in doc.user_data.get(USER_DATA, {}).values()
        for head, tail, label, score in rows
    ]


def _span(doc: Doc, place: Sequence[Any]) -> Span:
    start, end, label = place
    # A retokenizer may have joined tokens since.
    return cast(Span, doc.char_span(start, end, label=label, alignment_mode="expand"))


class PLMarkerComponent(Pipe):
    """Writes the entities and relations that a plmarker model finds into spaCy documents.

    The words are the document's own tokens, without white space. In scripts without spaces each character of a token is
    a word. An entity that covers a part of a token is written as the whole token, with a warning. The sentences are
    the document's own. A document without sentences gets those of plmarker's sentence splitter. The component writes:

    - `doc.spans[spans_key]`: all entities, nested ones too, by sentence, then by place; their scores in
      `doc.spans[spans_key].attrs["scores"]`, an array of shape (entities,), as spaCy's `spancat` has them.
    - `doc.ents`: the same entities, in place of earlier ones. It cannot hold overlaps, so it has only the longest of
      overlapping entities (`spacy.util.filter_spans`).
    - `doc._.relations`: a list of [`SpanRelation`]. It is computed from plain rows in `doc.user_data`, so that
      documents can be saved, and sent between processes.

    The component is never trained, and saves nothing: the pipeline's config names the model.

    Args:
        model: the model; it stays on its device.
        name: the component's name in the pipeline.
        entity_threshold, relation_threshold: least score of what is written, for all labels or by label. None takes
            those of the model.
        spans_key: the group of `doc.spans` for the entities.
        batch_tokens: most text tokens of a batch.
        given_entities: `ents` or a key of `doc.spans`: relations are found between these entities, and no others are
            looked for. Their labels are the model's. None lets the model find the entities.
    """

    def __init__(
        self,
        model: PLMarkerModel,
        name: str = NAME,
        *,
        entity_threshold: Threshold | None = None,
        relation_threshold: Threshold | None = None,
        spans_key: str = NAME,
        batch_tokens: int = BATCH_TOKENS,
        given_entities: str | None = None,
    ) -> None:
        self.name = name
        self.given_entities = given_entities
        self.model = model
        self.entity_threshold = entity_threshold
        self.relation_threshold = relation_threshold
        self.spans_key = spans_key
        self.batch_tokens = batch_tokens
        # One warning for a component, not one for each document.
        self._has_warned = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity types."""
        return tuple(self.model.config.schema.entity_labels)

    def __call__(self, doc: Doc) -> Doc:
        """Annotate one document, in place."""
        self._annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream of documents, in order.

        Args:
            batch_size: documents that are read ahead. They share batches of `batch_tokens` tokens.
        """
        for docs in minibatch(stream, size=batch_size):
            try:
                self._annotate(docs)
                yield from docs
            except Exception as error:
                self.get_error_handler()(self.name, self, docs, error)

    def _annotate(self, docs: Sequence[Doc]) -> None:
        documents = [located_document("", doc.text, _locate_tokens(doc)) for doc in docs]
        if self.given_entities is not None:
            documents = [
                self._with_given(doc, document, f"document {number}")
                for number, (doc, document) in enumerate(zip(docs, documents, strict=True))
            ]
        thresholds = self.entity_threshold, self.relation_threshold, None
        found = self.model.read_texts(documents, self.batch_tokens, *thresholds, self.given_entities is not None)
        for doc, (_, extraction) in zip(docs, found, strict=True):
            self._write(doc, extraction)

    def _with_given(self, doc: Doc, document: dict[str, Any], name: str) -> dict[str, Any]:
        """A document with the entities that spaCy's document has already."""
        key = self.given_entities
        if key != "ents" and key not in doc.spans:
            raise PLMarkerError(f"{name}: given_entities is {key!r}, but doc.spans has {sorted(doc.spans)}")
        spans = doc.ents if key == "ents" else doc.spans[key]
        rows = [(span.start_char, span.end_char, span.label_ or None) for span in spans]
        return with_given(document, rows, self.model.config.schema, name)

    def _write(self, doc: Doc, extraction: Extraction) -> None:
        spans = [_span(doc, _place(entity)) for entity in extraction.entities]
        if not self._has_warned:
            self._has_warned = _warn_of_widened(extraction.entities, spans)
        scores = np.array([entity.score for entity in extraction.entities])
        doc.spans[self.spans_key] = SpanGroup(doc, name=self.spans_key, attrs={"scores": scores}, spans=spans)
        doc.set_ents(filter_spans(spans))
        rows = [[_place(r.head), _place(r.tail), r.label, r.score] for r in extraction.relations]
        # By the group of spans, since another component may have found relations with another model.
        doc.user_data[USER_DATA] = {**doc.user_data.get(USER_DATA, {}), self.spans_key: rows}


def _warn_of_widened(entities: Sequence[Entity], spans: Sequence[Span]) -> bool:
    """Warn if entities cover a part of a token. Whether there is a warning."""
    widened = [entity for entity, span in zip(entities, spans, strict=True) if len(entity.text) < len(span.text)]
    if widened:
        logger.warning(
            "%d of %d entities, such as %r, cover a part of a token, and are written as whole tokens: the pipeline "
            "needs a tokenizer for the language of its texts",
            len(widened),
            len(spans),
            widened[0].text,
        )
    return bool(widened)


def _place(entity: Entity) -> list[Any]:
    return [entity.start, entity.end, entity.label]


def _locate_tokens(doc: Doc) -> list[list[Offsets]]:
    """Character offsets of the words of every sentence; a word belongs to the sentence that it begins in."""
    if doc.has_annotation("SENT_START"):
        begins = [sentence.start_char for sentence in doc.sents]
    else:
        splitter = partial(split_sentences, language=doc.lang_)
        begins = [words[0][0] for words in locate_words(doc.text, splitter)]
    return sentences_of_tokens(doc, begins)


def load_extractor(name: str, device: str | None = None) -> PLMarkerModel:
    """Load a model that finds entities: one with both tasks, or an entity model alone. No remote code is run.

    Args:
        name: a Hub id or a local folder.
        device: where the model runs; where spaCy does, if it is None (see `spacy.prefer_gpu`).

    Raises:
        PLMarkerError: for a name where no such model with its tokenizer is, and for a device that cannot be used.
    """
    model, tokenizer = load_model(name, device or get_torch_default_device(), ("plmarker", "plmarker-ner"))
    if isinstance(model, PLMarkerForEntityRecognition):
        return PLMarkerModel.from_models(model, None, tokenizer)
    return cast(PLMarkerModel, model)


if not Doc.has_extension(EXTENSION):
    Doc.set_extension(EXTENSION, getter=relations_of)


@Language.factory(
    NAME,
    default_config={
        "entity_threshold": None,
        "relation_threshold": None,
        "spans_key": NAME,
        "batch_tokens": BATCH_TOKENS,
        "device": None,
        "given_entities": None,
    },
    assigns=["doc.spans", "doc.ents", f"doc._.{EXTENSION}"],
)
def make_component(
    nlp: Language,
    name: str,
    model: str,
    entity_threshold: float | dict[str, float] | None,
    relation_threshold: float | dict[str, float] | None,
    spans_key: str,
    batch_tokens: int,
    device: str | None,
    given_entities: str | None,
) -> PLMarkerComponent:
    """What `nlp.add_pipe("plmarker", config={"model": ...})` calls.

    Args:
        nlp, name: spaCy's.
        model, device: see `load_extractor`.
        entity_threshold, relation_threshold, spans_key, batch_tokens, given_entities: see [`PLMarkerComponent`].

    Raises:
        PLMarkerError: as in `load_extractor`, and where another component has set an extension `relations`.
    """
    getter = Doc.get_extension(EXTENSION)[2]
    if getter is None or not is_same_func(getter, relations_of):
        raise PLMarkerError(
            f"doc._.{EXTENSION} is an extension of another component: "
            f"call Doc.remove_extension({EXTENSION!r}) before plmarker.spacy_component is imported"
        )
    return PLMarkerComponent(
        load_extractor(model, device),
        name,
        entity_threshold=entity_threshold,
        relation_threshold=relation_threshold,
        spans_key=spans_key,
        batch_tokens=batch_tokens,
        given_entities=given_entities,
    )
