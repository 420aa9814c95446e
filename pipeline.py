"""The pipeline `entity-relation-extraction`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from transformers import Pipeline

from .modeling.modeling_plmarker import PLMarkerForEntityRecognition, PLMarkerForRelationExtraction, PLMarkerModel
from .modeling.schema_plmarker import PLMarkerError

TASK = "entity-relation-extraction"
# A stream is read this many texts at a time. `batch_tokens` bounds the memory, and not this number.
TEXTS_AT_ONCE = 256


class EntityRelationExtractionPipeline(Pipeline):
    """Finds entities and relations in raw text, and returns plain dictionaries.

    Example:
        `pipeline("entity-relation-extraction", model="org/plmarker-scierc")("We apply a BiLSTM to parsing.")`

    The model makes its own batches, by tokens, so `batch_size` and `num_workers` have no effect. A list gives a list. A
    dataset or a generator gives a generator, which reads a few hundred texts at a time.

    Args of a call (or of the pipeline, for all calls):
        inputs: a text; `{"words": [["We", "apply"], ...]}`, the sentences of a document, cut into words; either with
            `"entities"`, as `PLMarkerModel.extract` takes them; a row of a dataset with a column `text`, whose other
            columns are not read; or a list, a dataset or a generator of such.
        options: `entity_threshold`, `relation_threshold`, `pruner_threshold`, `constraints`, `sentence_splitter`,
            `language`, `batch_tokens`, `show_progress` and `explain`, as `PLMarkerModel.extract` takes them.

    Returns:
        For each input a dictionary with `text`, `entities` and `relations`, see `Extraction.to_dict`.
    """

    _load_processor: Any = False
    _load_image_processor: Any = False
    _load_feature_extractor: Any = False
    _load_tokenizer: Any = True
    model: Any

    def __init__(
        self, model: PLMarkerModel | PLMarkerForEntityRecognition, tokenizer: Any = None, **kwargs: Any
    ) -> None:
        """Take a combined model or an entity model.

        Raises:
            PLMarkerError: for a relation model alone.
        """
        if isinstance(model, PLMarkerForRelationExtraction):
            raise PLMarkerError(
                "a relation model finds no entities: PLMarkerModel.from_models joins it with an entity model"
            )
        if not isinstance(model, PLMarkerModel | PLMarkerForEntityRecognition):
            raise PLMarkerError(f"the pipeline takes a plmarker model, got a {type(model).__name__}")
        super().__init__(model=model, tokenizer=tokenizer, **kwargs)
        if model.tokenizer is None:
            model.tokenizer = self.tokenizer

    def __call__(self, inputs: Any, *args: Any, num_workers: Any = None, batch_size: Any = None, **options: Any) -> Any:
        _, options, _ = self._sanitize_parameters(**options)
        options = {**self._forward_params, **options}
        if isinstance(inputs, (str, Mapping)):
            return self.forward(inputs, **options)
        if isinstance(inputs, (list, tuple)):
            return self._extract(inputs, options)
        try:
            stream = iter(inputs)
        except TypeError:
            raise PLMarkerError(f"expected a text, or several of them, got {type(inputs).__name__}") from None
        return self._stream(stream, options)

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        """Save the model with its tokenizer. The pipeline has nothing else to save."""
        self.model.save_pretrained(save_directory, **kwargs)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> Any:
        """Push the model with its tokenizer."""
        return self.model.push_to_hub(repo_id, **kwargs)

    def _stream(self, stream: Iterator[Any], options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        while chunk := list(islice(stream, TEXTS_AT_ONCE)):
            yield from self._extract(chunk, options)

    def _extract(self, inputs: Iterable[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Extract from all inputs of a kind together. The order is that of the inputs."""
        items = [_arguments_of(item) for item in inputs]
        numbers: dict[tuple[str, ...], list[int]] = {}
        for number, item in enumerate(items):
            numbers.setdefault(tuple(item), []).append(number)
        found: dict[int, dict[str, Any]] = {}
        with self.device_placement():
            for names, members in numbers.items():
                lists = {name: [items[number][name] for number in members] for name in names}
                # A document without sentences must not be taken for a sentence without words.
                lists |= {"words": [document or [[]] for document in lists["words"]]} if "words" in lists else {}
                results = self.model.extract(**lists, **options)
                found |= {number: result.to_dict() for number, result in zip(members, results, strict=True)}
        return [found[number] for number in range(len(items))]

    def _sanitize_parameters(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return {}, options, {}

    def preprocess(self, input_: Any, **preprocess_parameters: Any) -> Any:
        """Return the input unchanged: the model tokenizes texts itself."""
        return input_

    def forward(self, model_inputs: Any, **forward_params: Any) -> Any:
        """Extract from one input, on the pipeline's device."""
        with self.device_placement():
            return self._forward(model_inputs, **forward_params)

    def _forward(self, input_tensors: Any, **forward_parameters: Any) -> Any:
        return self._extract([input_tensors], forward_parameters)[0]

    def postprocess(self, model_outputs: Any, **postprocess_parameters: Any) -> Any:
        """Return the output unchanged: extractions are dictionaries already."""
        return model_outputs


def _arguments_of(item: Any) -> dict[str, Any]:
    """The arguments of `extract` for one input, in the order of their names.

    Raises:
        PLMarkerError: for an input that is neither a text, nor words, nor a row with a text.
    """
    if not isinstance(item, Mapping):
        return {"text": item}
    if set(item) in ({"words"}, {"words", "entities"}, {"text", "entities"}):
        return {name: item[name] for name in sorted(item)}
    if "words" not in item and isinstance(item.get("text"), str):
        return {"text": item["text"]}
    raise PLMarkerError(f"expected a text, {{'words': ...}} or {{'text': ...}}, got keys {sorted(map(str, item))}")
