"""Ent, Rel and Rel+ F1 of spans and relations, as an evaluate metric."""

# Each import has a line of its own: evaluate reads these lines, and cannot read several names in one line.
import operator
import os
from typing import Any

import datasets
import evaluate

from .counting import Score

_DESCRIPTION = """\
Micro and macro F1 of labelled spans (entities, nested ones too) and of relations between spans.
"""

_KWARGS_DESCRIPTION = """\
Args:
    predictions, references: for each sentence (or document) a list of rows. A row of a span is (start, end, label).
        With the configuration "relations" a row is (head start, head end, tail start, tail end, label). It may also
        have the types of both ends, (..., label, head type, tail type); then Rel+ is computed too. A row may also be an
        object with these names. You choose how positions are counted, as long as both lists count alike.
    flat: refuse spans that overlap inside a sentence. Then `end` must be the last position of a span, and not the
        position behind it. For the configuration "entities".
    symmetric_labels: the relation labels that have no direction. A row with such a label counts twice, in references,
        in predictions and among the correct ones, as PL-Marker counts. For the configuration "relations".
Returns:
    Fractions. Spans: `ent_precision`, `ent_recall`, `ent_f1`, `ent_macro_f1`, `ent_f1/LABEL`, and `ent_boundary_*`,
    which ignore the label. Relations: `rel_*`, which need both spans and the label to be right; with types also
    `rel_strict_*` (Rel+). A repeated row counts once.
Examples:
    >>> metric = evaluate.load("plmarker/span_f1")
    >>> found = metric.compute(predictions=[[(0, 1, "Method")]], references=[[(0, 1, "Method"), (3, 3, "Task")]])
    >>> round(found["ent_f1"], 2)
    0.67
"""

_CITATION = """\
@inproceedings{ye-etal-2022-packed,
  title = {Packed Levitated Marker for Entity and Relation Extraction},
  author = {Ye, Deming and Lin, Yankai and Li, Peng and Sun, Maosong},
  booktitle = {Proceedings of ACL 2022},
  year = {2022}
}
"""

SPAN = ("start", "end", "label")
RELATION = ("head_start", "head_end", "tail_start", "tail_end", "label", "head_type", "tail_type")
FIELDS = {"entities": SPAN, "relations": RELATION}


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class SpanF1(evaluate.Metric):
    """Counts the rows of sentences. `_KWARGS_DESCRIPTION` describes the inputs."""

    def _info(self) -> evaluate.MetricInfo:
        if self.config_name not in ("default", *FIELDS):
            raise ValueError(f"span_f1 has the configurations {', '.join(FIELDS)}, got {self.config_name!r}")
        fields = self._fields
        types = {name: datasets.Value("int64" if name.endswith(("start", "end")) else "string") for name in fields}
        rows = datasets.List(types)
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"predictions": rows, "references": rows}),
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add sentences; rows are tuples, lists or objects with the same fields."""
        # Checked before anything is stored, so that a mistake in one batch does no harm to those before and after it.
        found, truth = (
            [self._rows(rows, name, number) for number, rows in enumerate(_sentences(sentences, name))]
            for name, sentences in (("predictions", predictions), ("references", references))
        )
        if len(found) != len(truth):
            raise ValueError(f"predictions are of {len(found)} sentences, references of {len(truth)}")
        super().add_batch(predictions=found, references=truth, **kwargs)

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Add one sentence."""
        super().add(
            prediction=self._rows(prediction, "prediction"), reference=self._rows(reference, "reference"), **kwargs
        )

    @property
    def _fields(self) -> tuple[str, ...]:
        return FIELDS.get(str(self.config_name), SPAN)

    def _rows(self, rows: Any, name: str, number: int | None = None) -> list[dict[str, Any]]:
        place = name if number is None else f"{name} of sentence {number}"
        return [_row(row, self._fields, place) for row in _sentences(rows, place)]

    def _compute(
        self,
        predictions: list[Any],
        references: list[Any],
        flat: bool = False,
        symmetric_labels: list[str] | tuple[str, ...] = (),
    ) -> dict[str, float]:
        try:
            if isinstance(symmetric_labels, str):
                raise ValueError(f"symmetric_labels is a list of labels, got {symmetric_labels!r}")
            if self._fields is RELATION:
                return _relation_metrics(predictions, references, frozenset(symmetric_labels))
            return _entity_metrics(predictions, references, flat)
        except ValueError:
            self._forget()
            raise

    def _forget(self) -> None:
        """Drop what was added, which `evaluate` leaves to be done after an error: it could compute nothing more."""
        self.data = self.writer = self.buf_writer = None
        if not self.keep_in_memory:
            for path, lock in zip(self.file_paths, self.filelocks, strict=True):
                os.remove(path)
                lock.release()


def _sentences(values: Any, name: str) -> Any:
    """`values`, if it can be a list of sentences or of rows."""
    if values is None or isinstance(values, (str, dict)) or not hasattr(values, "__iter__"):
        raise ValueError(f"{name}: expected a list, got {values!r}")
    return values


def _row(row: Any, fields: tuple[str, ...], place: str) -> dict[str, Any]:
    """A row as an object with all fields: positions as numbers, the types of both ends None where they are missing."""
    # The types of both ends may be missing.
    fewest = len(fields) - 2 if fields is RELATION else len(fields)
    values = _values(row, fields, fewest)
    message = f"{place}: a row is ({', '.join(fields)}), got {row!r}"
    if values is None:
        raise ValueError(message)
    n_positions = fields.index("label")
    try:
        positions = [operator.index(value) for value in values[:n_positions]]
    except TypeError:
        raise ValueError(f"{message}: positions are whole numbers") from None
    labels, types = values[n_positions:fewest], [value for value in values[fewest:] if value is not None]
    if not all(isinstance(value, str) for value in [*labels, *types]):
        raise ValueError(f"{message}: labels are text")
    if any(start > end for start, end in zip(positions[::2], positions[1::2], strict=True)):
        raise ValueError(f"{message}: a span ends before it starts")
    return dict(zip(fields, [*positions, *values[n_positions:]], strict=True))


def _values(row: Any, fields: tuple[str, ...], fewest: int) -> list[Any] | None:
    """The values of all fields, None where there is none; None for what is no row with at least `fewest` of them."""
    if isinstance(row, dict):
        return [row.get(name) for name in fields] if set(fields[:fewest]) <= set(row) <= set(fields) else None
    if isinstance(row, str) or not hasattr(row, "__iter__"):
        return None
    values = [*row]
    return [*values, *[None] * (len(fields) - len(values))] if len(values) in (fewest, len(fields)) else None


def _entity_metrics(predictions: list[Any], references: list[Any], flat: bool) -> dict[str, float]:
    strict, boundary = Score(), Score()
    for number, (found, truth) in enumerate(zip(predictions, references, strict=True)):
        predicted, gold = ({(row["start"], row["end"], row["label"]) for row in rows} for rows in (found, truth))
        if flat:
            for kind, spans in (("predictions", predicted), ("references", gold)):
                _check_flat(spans, kind, number)
        strict.add(*([label for _, _, label in rows] for rows in (gold, predicted, gold & predicted)))
        gold_places, places = ({(start, end) for start, end, _ in rows} for rows in (gold, predicted))
        boundary.add(*([""] * len(rows) for rows in (gold_places, places, gold_places & places)))
    metrics = {**strict.metrics("ent"), "ent_macro_f1": strict.macro_f1()}
    return {**metrics, **boundary.metrics("ent_boundary", by_label=False)}


def _check_flat(spans: set[tuple[int, int, str]], kind: str, number: int) -> None:
    last = None
    for span in sorted(spans):
        if last is not None and span[0] <= last[1]:
            raise ValueError(f"flat=True, but {kind} of sentence {number} hold {last} and {span}, which overlap")
        last = span


def _relation_metrics(predictions: list[Any], references: list[Any], symmetric: frozenset[str]) -> dict[str, float]:
    boundary, strict = Score(), Score()
    typed = False
    for found, truth in zip(predictions, references, strict=True):
        predicted, gold = (_relations(rows, symmetric) for rows in (found, truth))
        typed = typed or any(types != (None, None) for types in [*predicted.values(), *gold.values()])
        right = predicted.keys() & gold.keys()
        boundary.add(*([key[-1] for key in keys] for keys in (gold, predicted, right)))
        right = {key for key in right if predicted[key] == gold[key] and None not in gold[key]}
        strict.add(*([key[-1] for key in keys] for keys in (gold, predicted, right)))
    metrics = {**boundary.metrics("rel"), "rel_macro_f1": boundary.macro_f1()}
    if typed:
        metrics |= {**strict.metrics("rel_strict"), "rel_strict_macro_f1": strict.macro_f1()}
    return metrics


def _relations(rows: list[Any], symmetric: frozenset[str]) -> dict[tuple, tuple]:
    """The types of both ends by (head, tail, label); a symmetric relation in both directions."""
    found: dict[tuple, tuple] = {}
    for row in rows:
        head, tail = (row["head_start"], row["head_end"]), (row["tail_start"], row["tail_end"])
        types = (row["head_type"], row["tail_type"])
        found.setdefault((head, tail, row["label"]), types)
        if row["label"] in symmetric:
            found.setdefault((tail, head, row["label"]), types[::-1])
    return found
