"""Labels and the numbering of relation classes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plmarker.modeling.schema_plmarker import LabelSchema, PLMarkerError

LABELS = st.lists(st.text("abcde", min_size=1, max_size=3), unique=True, max_size=6)


@st.composite
def schemas(draw: st.DrawFn) -> LabelSchema:
    relations = draw(LABELS)
    symmetric = [label for label in relations if draw(st.booleans())]
    return LabelSchema(tuple(draw(LABELS)), tuple(relations), tuple(symmetric))


@given(schemas())
def test_the_inverse_of_the_inverse_is_the_class_itself(schema):
    classes = range(len(schema.relation_classes))
    assert [schema.inverse(schema.inverse(index)) for index in classes] == list(classes)
    assert sorted(schema.inverse_order) == list(classes)
    own = [name for index, name in enumerate(schema.relation_classes) if schema.inverse(index) == index]
    assert own == ["NIL", *schema.symmetric_labels]


@given(schemas())
def test_classes_are_nil_then_symmetric_then_directed_then_inverse(schema):
    n_symmetric = len(schema.symmetric_labels)
    n_directed = len(schema.relation_labels) - n_symmetric
    assert schema.relation_labels[:n_symmetric] == schema.symmetric_labels
    assert len(schema.relation_classes) == 1 + n_symmetric + 2 * n_directed
    for label in schema.relation_labels:
        index = schema.relation_class(label)
        assert schema.relation_classes[index] == label
        assert 0 < index < schema.n_forward
        assert (schema.inverse(index) >= schema.n_forward) == (label not in schema.symmetric_labels)
    assert [schema.entity_class(label) for label in schema.entity_labels] == [*range(1, 1 + len(schema.entity_labels))]


@given(schemas())
def test_a_schema_survives_plain_lists(schema):
    assert LabelSchema(**{name: tuple(labels) for name, labels in schema.to_dict().items()}) == schema


def test_scierc_has_13_relation_classes_and_15_without_symmetry(scierc_schema):
    assert len(scierc_schema.relation_classes) == 13
    assert len(LabelSchema((), scierc_schema.relation_labels).relation_classes) == 15
    # index + len(labels) - len(symmetric incl. NIL), as the original counts.
    assert scierc_schema.inverse(3) == 8
    assert scierc_schema.relation_classes[8] == "PART-OF^-1"


def test_labels_are_collected_from_documents_in_alphabetical_order():
    documents = [
        {"ner": [[{"label": "B"}], [{"label": "A"}]], "relations": None},
        {"ner": [[{"label": "B"}]], "relations": [[{"label": "z"}, {"label": "y"}]]},
        {},
    ]
    assert LabelSchema.from_documents(documents, ["z"]) == LabelSchema(("A", "B"), ("z", "y"), ("z",))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((("A", "A"), (), ()), "entity label 'A' is given twice"),
        ((("NIL",), (), ()), "entity label 'NIL' is reserved"),
        (((), ("r", "r"), ()), "relation label 'r' is given twice"),
        (((), ("NIL",), ()), "relation label 'NIL' is reserved"),
        (((), ("r",), ("s",)), r"symmetric label 's' is not one of the relation labels: 'r'"),
    ],
)
def test_a_wrong_schema_is_an_error(labels, message):
    with pytest.raises(PLMarkerError, match=message):
        LabelSchema(*labels)


@pytest.mark.parametrize("label", ["GPE", "NIL", "MARRIED"])
def test_an_unknown_label_is_an_error_that_lists_the_known_ones(schema, label):
    with pytest.raises(PLMarkerError, match=f"unknown entity label '{label}'; the schema has .*'PER', 'ORG'"):
        schema.entity_class(label)


@pytest.mark.parametrize(
    ("name", "annotation"),
    [("ner", [0, 0, "A"]), ("ner", (0, 0, "A")), ("ner", 5), ("relations", [0, 0, 0, 0, "A"])],
)
def test_annotations_as_the_original_writes_them_are_refused(name, annotation):
    document = {"doc_key": "a", "sentences": [["x"]], "ner": [[]], "relations": [[]], name: [[annotation]]}
    for collect in (LabelSchema.from_documents, LabelSchema(("A",)).learn_constraints):
        with pytest.raises(PLMarkerError, match=f"a: {name} has"):
            collect([document])


def test_an_empty_label_is_refused() -> None:
    with pytest.raises(PLMarkerError, match="entity label '' is empty"):
        LabelSchema(("PER", ""))
