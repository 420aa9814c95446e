"""The spaCy component: what the model finds on the tokens of spaCy."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from transformers import BertConfig, PreTrainedTokenizerBase

from plmarker import (
    PLMarkerError,
    PLMarkerForEntityRecognition,
    PLMarkerForRelationExtraction,
    PLMarkerModel,
)
from plmarker.modeling.decoding_plmarker import ScoredRelation, ScoredSpan
from plmarker.modeling.prediction_plmarker import BATCH_TOKENS
from plmarker.spacy_component import PLMarkerComponent, SpanRelation, relations_of

TEXTS = [
    "Ann Bell met Bob of Acme. Acme grew, and Bob married Ann in Oslo on a Monday.",
    "",
    " \n\t ",
    "\n\nAnn  married\n\nBob 😀 in Oslo 👩‍🚀.  \n",
    "Acme owns Initech.",
]
WORDS = [["Ann", "Bell", "met", "Bob", "of", "Acme", "."], ["Acme", "owns", "Initech", "and", "😀", "."]]


@pytest.fixture
def parts(
    make_tiny_model: Callable[..., Any],
) -> tuple[PLMarkerForEntityRecognition, PLMarkerForRelationExtraction]:
    """A model whose entities nest, and one that finds relations."""
    entity = make_tiny_model(PLMarkerForEntityRecognition, max_seq_length=64, max_span_length=4)
    return entity, make_tiny_model(PLMarkerForRelationExtraction, seed=3, max_seq_length=64)


@pytest.fixture
def folder(
    tmp_path: Path,
    parts: tuple[PLMarkerForEntityRecognition, PLMarkerForRelationExtraction],
    minilm_tokenizer: PreTrainedTokenizerBase,
) -> str:
    """A checkpoint with both models."""
    PLMarkerModel.from_models(*parts, minilm_tokenizer).save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


@pytest.fixture
def nlp(folder: str) -> Language:
    english = spacy.blank("en")
    english.add_pipe("plmarker", config={"model": folder})
    return english


def found(doc: Doc, key: str = "plmarker") -> dict[str, Any]:
    """Entities and relations of a document, in the form of `Extraction.to_dict`, without sentence numbers."""
    group = doc.spans[key]
    entities = [
        (span.text, span.label_, span.start_char, span.end_char, pytest.approx(score))
        for span, score in zip(group, group.attrs["scores"], strict=True)
    ]
    relations = [
        (r.head.start_char, r.head.end_char, r.tail.start_char, r.tail.end_char, r.label, pytest.approx(r.score))
        for r in doc._.relations
    ]
    return {"entities": entities, "relations": relations}


def expected(model: PLMarkerModel, words: list[list[str]]) -> dict[str, Any]:
    result = model.extract(words=words)
    return {
        "entities": [(e.text, e.label, e.start, e.end, e.score) for e in result.entities],
        "relations": [(r.head.start, r.head.end, r.tail.start, r.tail.end, r.label, r.score) for r in result.relations],
    }


def of_words(nlp: Language, words: list[list[str]]) -> Doc:
    """A document with the given sentences. Its text is that of `extract(words=...)`, without line ends."""
    tokens = [word for sentence in words for word in sentence]
    begins = [number == 0 for sentence in words for number in range(len(sentence))]
    return Doc(nlp.vocab, words=tokens, spaces=[True] * (len(tokens) - 1) + [False], sent_starts=begins)


def test_finds_what_extract_finds_in_the_same_words(nlp: Language) -> None:
    component = nlp.get_pipe("plmarker")
    doc = component(of_words(nlp, WORDS))
    assert found(doc) == expected(component.model, WORDS)
    assert doc.spans["plmarker"]
    assert {r.label for r in doc._.relations} > {"MARRIED"}
    assert all(isinstance(r, SpanRelation) and r.head.doc is doc and r.head.label_ for r in doc._.relations)
    assert doc._.relations == relations_of(doc)
    assert nlp.pipe_labels == {"plmarker": ["PER", "ORG"]}


def test_sentences_are_the_documents_own_or_those_of_its_text(nlp: Language) -> None:
    component = nlp.get_pipe("plmarker")
    text = "Ann met Bob.  Acme owns\nInitech.\n"
    halves = [["Ann", "met", "Bob", "."], ["Acme", "owns", "Initech", "."]]
    split = nlp(text)
    assert not split.has_annotation("SENT_START")
    thirds = nlp.make_doc(text)
    for token in thirds:
        # A sentence that begins with white space, and one that holds nothing else.
        token.is_sent_start = token.text == "met" or token.is_space
    component(thirds)
    for doc, words in ((split, halves), (thirds, [["Ann"], ["met", "Bob", "."], ["Acme", "owns"], ["Initech", "."]])):
        # The texts are compared without spaces, since extract joins words with single spaces.
        extraction = component.model.extract(words=words)
        spans = doc.spans["plmarker"]
        assert [("".join(span.text.split()), span.label_) for span in spans] == [
            ("".join(entity.text.split()), entity.label) for entity in extraction.entities
        ]
        assert spans.attrs["scores"] == pytest.approx([entity.score for entity in extraction.entities])
        assert [r.score for r in doc._.relations] == pytest.approx([r.score for r in extraction.relations])


@pytest.mark.parametrize("text", TEXTS)
def test_spans_begin_and_end_with_words_of_the_text(nlp: Language, text: str) -> None:
    doc = nlp(text)
    for span in doc.spans["plmarker"]:
        assert text[span.start_char : span.end_char] == span.text
        assert not span[0].is_space
        assert not span[-1].is_space
    assert bool(doc.spans["plmarker"]) == bool(text.strip())
    assert len(doc.spans["plmarker"].attrs["scores"]) == len(doc.spans["plmarker"])
    if not text.strip():
        assert doc.ents == ()
        assert doc._.relations == []


def test_ents_are_the_longest_of_nested_spans(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = [ScoredSpan(0, 1, 1, 0.9), ScoredSpan(0, 3, 2, 0.5), ScoredSpan(3, 3, 1, 0.8), ScoredSpan(5, 5, 2, 0.7)]
    relation = ScoredRelation((0, 1), (3, 3), 1, 0.6, 1, 1)
    component = nlp.get_pipe("plmarker")
    monkeypatch.setattr(
        component.model, "read_documents", lambda documents, *_, **__: ((d, [spans], [[relation]]) for d in documents)
    )
    doc = nlp("Ann Bell and Bob met Acme")
    doc.ents = [doc[4:5]]
    component(doc)
    assert [(span.text, span.label_) for span in doc.spans["plmarker"]] == [
        ("Ann Bell", "PER"),
        ("Ann Bell and Bob", "ORG"),
        ("Bob", "PER"),
        ("Acme", "ORG"),
    ]
    assert doc.spans["plmarker"].attrs["scores"].tolist() == [0.9, 0.5, 0.8, 0.7]
    assert [(span.text, span.label_) for span in doc.ents] == [("Ann Bell and Bob", "ORG"), ("Acme", "ORG")]
    (married,) = doc._.relations
    assert (married.head.text, married.head.label_, married.tail.text, married.label) == (
        "Ann Bell",
        "PER",
        "Bob",
        "MARRIED",
    )
    # Two components do not overwrite each other, and a second run of a component replaces its first.
    other = PLMarkerComponent(component.model, spans_key="other")
    assert len(other(component(doc))._.relations) == 2


def test_a_stream_gives_what_single_documents_give(nlp: Language) -> None:
    one_by_one = [found(nlp(text)) for text in TEXTS]
    for batch_size in (2, 1000):
        assert [found(doc) for doc in nlp.pipe(TEXTS, batch_size=batch_size)] == one_by_one


def test_documents_share_batches(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    component = nlp.get_pipe("plmarker")
    calls = []
    read = component.model.read_texts
    monkeypatch.setattr(
        component.model, "read_texts", lambda *given, **options: calls.append(given[1:]) or read(*given, **options)
    )
    list(nlp.pipe(TEXTS, batch_size=len(TEXTS)))
    assert calls == [(BATCH_TOKENS, None, None, None, False)]


def test_an_error_handler_gets_the_documents_that_fail(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    component = nlp.get_pipe("plmarker")
    monkeypatch.setattr(component.model, "tokenizer", None)
    with pytest.raises(PLMarkerError, match="no tokenizer"):
        list(nlp.pipe(TEXTS))
    failed: list[Doc] = []
    nlp.set_error_handler(lambda name, proc, docs, error: failed.extend(docs))
    assert list(nlp.pipe(TEXTS)) == []
    assert [doc.text for doc in failed] == TEXTS


def test_thresholds_and_the_key_are_options(folder: str) -> None:
    english = spacy.blank("en")
    options = {
        "entity_threshold": 0.99,
        "relation_threshold": 1,
        "spans_key": "sc",
        "batch_tokens": 64,
        "device": "cpu",
    }
    component = english.add_pipe("plmarker", config={"model": folder, **options})
    doc = english(TEXTS[0])
    extraction = component.model.extract(
        words=[[token.text for token in sentence] for sentence in (doc[:7], doc[7:])], entity_threshold=0.99
    )
    spans = [(span.text.replace(" ", ""), span.label_) for span in doc.spans["sc"]]
    assert spans == [(entity.text.replace(" ", ""), entity.label) for entity in extraction.entities]
    assert min(doc.spans["sc"].attrs["scores"]) >= 0.99
    assert "plmarker" not in doc.spans
    assert doc._.relations == []


def test_a_pipeline_is_saved_as_its_config_and_documents_with_what_was_found(nlp: Language, tmp_path: Path) -> None:
    doc = nlp(TEXTS[0])
    nlp.to_disk(tmp_path / "pipeline")
    assert not (tmp_path / "pipeline" / "plmarker").exists()
    assert found(spacy.load(tmp_path / "pipeline")(TEXTS[0])) == found(doc)
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "a.spacy")
    (read,) = DocBin().from_disk(tmp_path / "a.spacy").get_docs(nlp.vocab)
    assert found(read) == found(doc)
    before = found(doc)["relations"]
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[-3:-1])
    assert len(doc._.relations) == len(before)


def test_an_entity_model_alone_gives_entities(
    parts: tuple[PLMarkerForEntityRecognition, PLMarkerForRelationExtraction],
    tmp_path: Path,
    minilm_tokenizer: PreTrainedTokenizerBase,
) -> None:
    entity, relation = parts
    english = spacy.blank("en")
    entity.tokenizer = None
    entity.save_pretrained(tmp_path / "entity")
    with pytest.raises(PLMarkerError, match=r"entity: .*no tokenizer"):
        english.add_pipe("plmarker", config={"model": str(tmp_path / "entity")})
    minilm_tokenizer.save_pretrained(tmp_path / "entity")
    english.add_pipe("plmarker", config={"model": str(tmp_path / "entity")})
    doc = english(TEXTS[0])
    assert doc.ents
    assert doc._.relations == []
    relation.save_pretrained(tmp_path / "relation")
    with pytest.raises(PLMarkerError, match=r"relation: .*'plmarker-re'.*plmarker-ner"):
        english.add_pipe("plmarker", name="second", config={"model": str(tmp_path / "relation")})


def test_another_model_gives_one_sentence(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    BertConfig().save_pretrained(tmp_path / "bert")
    for name, message in (
        ("empty", "empty: "),
        ("missing", "missing: "),
        ("bert", "bert: .*'bert'.*plmarker-ner"),
    ):
        with pytest.raises(PLMarkerError, match=message) as error:
            spacy.blank("en").add_pipe("plmarker", config={"model": str(tmp_path / name)})
        assert "\n" not in str(error.value)
    with pytest.raises(PLMarkerError, match="'toaster'"):
        spacy.blank("en").add_pipe("plmarker", config={"model": folder, "device": "toaster"})


def test_an_extension_of_another_component_is_kept(folder: str) -> None:
    old = Doc.remove_extension("relations")
    try:
        Doc.set_extension("relations", default=None)
        with pytest.raises(PLMarkerError, match=r"doc\._\.relations"):
            spacy.blank("en").add_pipe("plmarker", config={"model": folder})
    finally:
        Doc.set_extension("relations", getter=old[2], force=True)


def test_a_saved_pipeline_is_loaded_in_another_process(folder: str, tmp_path: Path) -> None:
    english = spacy.blank("en")
    english.add_pipe("plmarker", config={"model": folder})
    english.to_disk(tmp_path / "pipeline")
    # The package has no entry point for spaCy: with one, spaCy would import torch for every pipeline.
    lines = [
        "import sys, spacy",
        "import plmarker.spacy_component",
        "doc = spacy.load(sys.argv[1])(sys.argv[2])",
        "print(len(doc.spans['plmarker']), len(doc._.relations))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines), str(tmp_path / "pipeline"), TEXTS[0]], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    doc = english(TEXTS[0])
    assert done.stdout.split() == [str(len(doc.spans["plmarker"])), str(len(doc._.relations))]


def test_no_other_module_imports_spacy_before_it_needs_it() -> None:
    root = Path(__file__).parents[2]
    for path in [
        *root.glob("*.py"),
        *(path for room in ("modeling", "data", "trainers") for path in root.glob(f"{room}/**/*.py")),
    ]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert path.name == "spacy_component.py" or not {"spacy", "spacy_component"} & {
                part for name in names for part in name.split(".")
            }


@pytest.mark.parametrize("key", ["ents", "names"])
def test_relations_join_the_entities_that_a_document_has(folder: str, key: str) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("plmarker", config={"model": folder, "given_entities": key})
    doc = nlp.make_doc("Ann met Bob of Acme in St. Petersburg.")
    spans = [Span(doc, 0, 1, "PER"), Span(doc, 2, 3, "PER"), Span(doc, 4, 5, "ORG")]
    if key == "ents":
        doc.set_ents(spans)
    else:
        doc.spans["names"] = spans
    nlp.get_pipe("plmarker")(doc)
    assert [(span.text, span.label_) for span in doc.spans["plmarker"]] == [
        ("Ann", "PER"),
        ("Bob", "PER"),
        ("Acme", "ORG"),
    ]
    assert list(doc.spans["plmarker"].attrs["scores"]) == [1.0, 1.0, 1.0]
    assert doc._.relations
    other = nlp.make_doc("Ann left.")
    if key == "ents":
        other.set_ents([Span(other, 0, 1, "Person")])
    with pytest.raises(PLMarkerError, match="does not know the label" if key == "ents" else "doc.spans has"):
        nlp.get_pipe("plmarker")(other)


def test_entities_inside_a_token_are_written_with_a_warning(folder: str, caplog: pytest.LogCaptureFixture) -> None:
    nlp = spacy.blank("xx")
    nlp.add_pipe("plmarker", config={"model": folder, "entity_threshold": 0.0})
    doc = nlp("\u6771\u4eac\u90fd\u306b\u884c\u304f" * 3)
    assert len(doc) == 1
    assert len(doc.spans["plmarker"]) > 1
    assert "cover a part of a token" in caplog.text
    caplog.clear()
    nlp("Ann met Bob.")
    assert "cover a part" not in caplog.text
