"""The metric `span_f1`, loaded as a user loads it."""

import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import evaluate
import pytest
from huggingface_hub import SpaceCard
from hypothesis import given
from hypothesis import strategies as st

from plmarker.data import LabelSchema
from plmarker.modeling.decoding_plmarker import ScoredRelation, ScoredSpan
from plmarker.trainers.metrics import EntityMetrics, RelationMetrics
from plmarker.trainers.span_f1 import FOLDER

SCHEMA = LabelSchema(("PER", "ORG"), ("MARRIED", "WORKS_FOR", "OWNS"), ("MARRIED",))
PAGE = Path(FOLDER)


@pytest.fixture(scope="module")
def entities() -> Any:
    return evaluate.load(FOLDER)


@pytest.fixture(scope="module")
def relations() -> Any:
    return evaluate.load(FOLDER, "relations")


def test_the_snippet(entities: Any) -> None:
    found = entities.compute(predictions=[[(0, 1, "Method")]], references=[[(0, 1, "Method")]])
    assert found["ent_precision"] == found["ent_recall"] == found["ent_f1"] == 1.0
    # Nothing is left over of a computation.
    found = entities.compute(predictions=[[(0, 1, "Method")]], references=[[(0, 1, "Method"), (3, 3, "Task")]])
    assert found["ent_f1"] == pytest.approx(2 / 3)


def test_micro_macro_by_label_and_boundary(entities: Any) -> None:
    found = entities.compute(
        predictions=[[(0, 1, "A"), (3, 3, "B")], [], [(0, 0, "C")]],
        references=[[(0, 1, "A"), (3, 3, "A"), (5, 5, "A")], [(0, 0, "B")], []],
    )
    assert found == {
        "ent_precision": pytest.approx(1 / 3),
        "ent_recall": pytest.approx(1 / 4),
        "ent_f1": pytest.approx(2 / 7),
        "ent_f1/A": pytest.approx(2 / 4),
        "ent_f1/B": 0.0,
        "ent_f1/C": 0.0,
        "ent_macro_f1": pytest.approx(1 / 6),
        "ent_boundary_precision": pytest.approx(2 / 3),
        "ent_boundary_recall": pytest.approx(2 / 4),
        "ent_boundary_f1": pytest.approx(4 / 7),
    }


def test_nested_spans_count_each_and_duplicates_once(entities: Any) -> None:
    gold = [(0, 3, "A"), (0, 3, "B"), (1, 2, "A")]
    found = entities.compute(predictions=[[*gold, *gold]], references=[[*gold, gold[0]]])
    assert found["ent_f1"] == found["ent_macro_f1"] == found["ent_boundary_f1"] == 1.0
    found = entities.compute(predictions=[[gold[0], gold[0], (1, 1, "A")]], references=[gold])
    assert (found["ent_precision"], found["ent_recall"]) == (pytest.approx(1 / 2), pytest.approx(1 / 3))
    # Of one place with two labels there is one boundary.
    assert found["ent_boundary_recall"] == pytest.approx(1 / 2)


def test_nothing_at_all_is_zero(entities: Any, relations: Any) -> None:
    for sentences in ([], [[]], [[], []]):
        assert entities.compute(predictions=sentences, references=sentences)["ent_f1"] == 0.0
        assert relations.compute(predictions=sentences, references=sentences)["rel_macro_f1"] == 0.0


@pytest.mark.parametrize("kind", ["predictions", "references"])
@pytest.mark.parametrize("keep_in_memory", [False, True])
def test_flat_refuses_overlaps_and_the_metric_goes_on(kind: str, keep_in_memory: bool) -> None:
    entities = evaluate.load(FOLDER, keep_in_memory=keep_in_memory)
    good, bad = [[(0, 1, "A")], [(0, 1, "A"), (2, 2, "B")]], [[(0, 1, "A")], [(1, 2, "B"), (0, 1, "A")]]
    sentences = {"predictions": good, "references": good, kind: bad}
    message = f"{kind} of sentence 1 hold (0, 1, 'A') and (1, 2, 'B'), which overlap"
    with pytest.raises(ValueError, match=re.escape(message)):
        entities.compute(**sentences, flat=True)
    assert entities.compute(predictions=good, references=good, flat=True)["ent_f1"] == 1.0
    assert entities.compute(**sentences)["ent_boundary_f1"] == pytest.approx(4 / 6)


def test_relations_with_and_without_types(relations: Any) -> None:
    gold, found = [(0, 0, 2, 3, "OWNS"), (4, 4, 0, 0, "WORKS_FOR")], [(0, 0, 2, 3, "OWNS"), (0, 0, 4, 4, "WORKS_FOR")]
    figures = relations.compute(predictions=[found], references=[gold])
    assert figures == {
        "rel_precision": 0.5,
        "rel_recall": 0.5,
        "rel_f1": 0.5,
        "rel_f1/OWNS": 1.0,
        "rel_f1/WORKS_FOR": 0.0,
        "rel_macro_f1": 0.5,
    }
    typed = [(*gold[0], "PER", "ORG"), (*gold[1], "PER", "PER")]
    figures = relations.compute(
        predictions=[[(*gold[0], "PER", "ORG"), (*gold[1], "ORG", "PER")]], references=[[*typed, typed[0]]]
    )
    assert (figures["rel_f1"], figures["rel_strict_f1"], figures["rel_strict_macro_f1"]) == (1.0, 0.5, 0.5)
    # What has no type cannot have the right one.
    figures = relations.compute(predictions=[gold], references=[typed])
    assert (figures["rel_f1"], figures["rel_strict_f1"]) == (1.0, 0.0)


def test_a_symmetric_relation_counts_twice_in_either_direction(relations: Any) -> None:
    sentences = {
        "predictions": [[(2, 2, 0, 0, "MARRIED", "PER", "ORG"), (0, 0, 2, 2, "OWNS", "ORG", "PER")]],
        "references": [[(0, 0, 2, 2, "MARRIED", "ORG", "PER")]],
    }
    figures = relations.compute(**sentences, symmetric_labels=["MARRIED"])
    assert (figures["rel_precision"], figures["rel_recall"]) == (pytest.approx(2 / 3), 1.0)
    assert (figures["rel_strict_precision"], figures["rel_strict_recall"]) == (pytest.approx(2 / 3), 1.0)
    assert relations.compute(**sentences)["rel_f1"] == 0.0
    with pytest.raises(ValueError, match="symmetric_labels is a list of labels, got 'MARRIED'"):
        relations.compute(**sentences, symmetric_labels="MARRIED")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 1)], "predictions of sentence 1: a row is (start, end, label), got (0, 1)"),
        ([(0, 1, "A", "B")], "got (0, 1, 'A', 'B')"),
        (["abc"], "got 'abc'"),
        ([7], "got 7"),
        ([{"start": 0, "end": 1}], "got {'start': 0, 'end': 1}"),
        ([{"start": 0, "end": 1, "label": "A", "score": 1}], "'score': 1}"),
        ([(0, 1, 2)], "got (0, 1, 2): labels are text"),
        ([(0, 1, None)], "got (0, 1, None): labels are text"),
        ([("0", 1, "A")], "got ('0', 1, 'A'): positions are whole numbers"),
        ([(0, 1.5, "A")], "got (0, 1.5, 'A'): positions are whole numbers"),
        ([(2, 1, "A")], "got (2, 1, 'A'): a span ends before it starts"),
        ("abc", "predictions of sentence 1: expected a list, got 'abc'"),
        (None, "predictions of sentence 1: expected a list, got None"),
    ],
)
def test_rows_that_do_not_fit_are_told(entities: Any, rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        entities.compute(predictions=[[], rows], references=[[], []])
    with pytest.raises(ValueError, match=re.escape(message).replace("predictions\\ of\\ sentence\\ 1", "prediction")):
        entities.add(prediction=rows, reference=[])


def test_other_mistakes_are_told(entities: Any, relations: Any) -> None:
    with pytest.raises(ValueError, match="predictions are of 2 sentences, references of 1"):
        entities.compute(predictions=[[], []], references=[[]])
    with pytest.raises(ValueError, match="references: expected a list, got None"):
        entities.compute(predictions=[[]])
    with pytest.raises(ValueError, match=r"a row is \(head_start, .*, tail_type\), got \(0, 0, 1, 1, 'A', 'B'\)"):
        relations.compute(predictions=[[(0, 0, 1, 1, "A", "B")]], references=[[]])
    with pytest.raises(ValueError, match=r"got .*: a span ends before it starts"):
        relations.compute(predictions=[[(0, 0, 2, 1, "A")]], references=[[]])
    with pytest.raises(ValueError, match="span_f1 has the configurations entities, relations, got 'events'"):
        evaluate.load(FOLDER, "events")


def test_sentences_may_come_one_by_one_and_in_batches(entities: Any) -> None:
    entities.add(prediction=[(0, 1, "A")], reference=[{"start": 0, "end": 1, "label": "A"}])
    # A wrong batch does no harm to the right ones.
    with pytest.raises(ValueError, match="got 7"):
        entities.add_batch(predictions=[[7]], references=[[]])
    entities.add_batch(predictions=[[[0, 1, "A"]], []], references=[[], [(2, 2, "B")]])
    figures = entities.compute()
    assert (figures["ent_precision"], figures["ent_recall"], figures["ent_f1/B"]) == (0.5, 0.5, 0.0)


def test_combine(entities: Any) -> None:
    both = evaluate.combine({"ours": entities, "again": evaluate.load(FOLDER, keep_in_memory=True)})
    sentences = {"predictions": [[(0, 1, "A")]], "references": [[(0, 1, "A"), (3, 3, "B")]]}
    for figures in (both.compute(**sentences), both.compute(**sentences, flat=True)):
        assert figures["ours_ent_f1"] == figures["again_ent_f1"] == pytest.approx(2 / 3)


PLACES = [(start, end) for start in range(4) for end in range(start, 4)]
ROWS = st.lists(st.tuples(st.sampled_from(PLACES), st.integers(1, 2)), max_size=6)


def named(rows: Sequence[Any]) -> list[tuple[int, int, str]]:
    return [(*place, SCHEMA.entity_classes[label]) for place, label in rows]


@given(st.lists(st.tuples(ROWS, ROWS), max_size=4))
def test_counts_entities_as_the_trainer_does(entities: Any, sentences: list[tuple[Any, Any]]) -> None:
    ours = EntityMetrics(SCHEMA)
    for gold, found in sentences:
        spans = [ScoredSpan(*place, label, 0.5) for place, label in found]
        ours.add([(*place, label) for place, label in gold], spans, spans)
    figures = entities.compute(
        predictions=[named(found) for _, found in sentences], references=[named(gold) for gold, _ in sentences]
    )
    expected = ours.compute()
    assert figures.items() >= {name: value for name, value in expected.items() if name != "ent_f1_overlap"}.items()


@st.composite
def linked(draw: Any) -> tuple[Any, Any, Any, Any]:
    """Gold types, gold relations, found types and found relations of one sentence; all spans have a type."""
    spans = [(0, 0), (1, 2), (3, 3)]
    pairs = st.tuples(st.sampled_from(spans), st.sampled_from(spans), st.integers(1, 3))
    sides = []
    for _ in range(2):
        types = {span: draw(st.integers(1, 2)) for span in spans}
        sides += [types, draw(st.lists(pairs, max_size=5))]
    return tuple(sides)  # type: ignore[return-value]


def rows_of(types: Any, pairs: Any) -> list[tuple]:
    names = SCHEMA.entity_classes
    return [
        (*head, *tail, SCHEMA.relation_classes[label], names[types[head]], names[types[tail]])
        for head, tail, label in pairs
    ]


@given(st.lists(linked(), max_size=4))
def test_counts_relations_as_the_original_does(relations: Any, sentences: list[Any]) -> None:
    ours = RelationMetrics(SCHEMA)
    for gold_types, gold, types, found in sentences:
        ours.add(
            [(*span, label) for span, label in gold_types.items()],
            [(*head, *tail, label) for head, tail, label in gold],
            [(*span, label) for span, label in types.items()],
            [ScoredRelation(head, tail, label, 0.5, types[head], types[tail]) for head, tail, label in found],
        )
    figures = relations.compute(
        predictions=[rows_of(types, found) for _, _, types, found in sentences],
        references=[rows_of(types, gold) for types, gold, _, _ in sentences],
        symmetric_labels=SCHEMA.symmetric_labels,
    )
    expected = {name: value for name, value in ours.compute().items() if name != "retyped_ent_f1"}
    if "rel_strict_f1" not in figures:
        # Without any row there are no types.
        assert not any(gold or found for _, gold, _, found in sentences)
        expected = {name: value for name, value in expected.items() if "strict" not in name}
    assert figures.items() >= expected.items()


# For each word: whether a span begins at it, and which label it has, if any.
TAGS = st.lists(st.tuples(st.booleans(), st.sampled_from(["", "A", "B", "C"])), min_size=1, max_size=8)


def tags_and_spans(words: list[tuple[bool, str]]) -> tuple[list[str], list[tuple[int, int, str]]]:
    tags: list[str] = []
    spans: list[tuple[int, int, str]] = []
    for number, (begins, label) in enumerate(words):
        inside = not begins and spans and spans[-1][1:] == (number - 1, label)
        if inside:
            spans[-1] = (spans[-1][0], number, label)
        elif label:
            spans.append((number, number, label))
        tags.append(f"{'I' if inside else 'B'}-{label}" if label else "O")
    return tags, spans


@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=4))
def test_agrees_with_seqeval_on_flat_entities(entities: Any, sentences: list[Any]) -> None:
    seqeval = pytest.importorskip("seqeval.metrics", reason="needs seqeval, to compare with")
    pairs = [
        (tags_and_spans(gold), tags_and_spans(found[: len(gold)] + gold[len(found) :])) for gold, found in sentences
    ]
    gold_tags, tags = [gold for (gold, _), _ in pairs], [found for _, (found, _) in pairs]
    figures = entities.compute(
        predictions=[spans for _, (_, spans) in pairs], references=[spans for (_, spans), _ in pairs], flat=True
    )
    if not any(tag != "O" for sentence in gold_tags + tags for tag in sentence):
        assert figures["ent_f1"] == 0.0
        return
    report = seqeval.classification_report(gold_tags, tags, output_dict=True, zero_division=0)
    for name in ("precision", "recall", "f1"):
        theirs = getattr(seqeval, f"{name}_score")(gold_tags, tags, zero_division=0)
        assert figures[f"ent_{name}"] == pytest.approx(theirs)
    labels = {name: row["f1-score"] for name, row in report.items() if not name.endswith(" avg")}
    assert {name.removeprefix("ent_f1/") for name in figures if "/" in name} == set(labels)
    assert figures == figures | {f"ent_f1/{label}": pytest.approx(value) for label, value in labels.items()}
    assert figures["ent_macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])


def test_the_folder_is_a_space() -> None:
    card = SpaceCard.load(PAGE / "README.md", ignore_metadata_errors=False)
    assert (card.data.title, card.data.sdk, card.data.app_file) == ("Span F1", "gradio", "app.py")
    assert {"evaluate", "metric"} <= set(card.data.tags)
    assert {"evaluate", "datasets"} <= set(re.findall(r"^[a-z]+", (PAGE / "requirements.txt").read_text(), re.M))


def test_the_snippets_of_the_card() -> None:
    found: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", (PAGE / "README.md").read_text(encoding="utf-8"), re.S):
        exec(code.replace("plmarker/span_f1", FOLDER), found)
    assert (found["found"]["rel_f1"], found["found"]["rel_strict_f1"]) == (1.0, 0.0)


def test_the_page_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    pages = []

    class Interface(SimpleNamespace):
        def launch(self) -> None:
            pages.append(self)

    # The part of gradio that evaluate uses.
    part = SimpleNamespace(Dataframe=SimpleNamespace, Textbox=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "gradio", SimpleNamespace(Interface=Interface, inputs=part, outputs=part))
    monkeypatch.setattr(sys, "path", [FOLDER, *sys.path])
    runpy.run_path(str(PAGE / "app.py"), run_name="__main__")
    (page,) = pages
    assert page.article.lstrip().startswith("# Span F1")
    typed = pandas.DataFrame({"predictions": ['[[0, 1, "A"]]'], "references": ['[[0, 1, "A"], [3, 3, "B"]]']})
    assert page.fn(typed)["ent_f1"] == pytest.approx(2 / 3)
