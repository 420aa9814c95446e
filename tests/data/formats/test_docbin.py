"""Tests of the DocBin reader."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from reading import entities
from spacy.tokens import Doc, DocBin, Span

from plmarker.data import PLMarkerError
from plmarker.data.formats import ReadingOptions, read_corpus
from plmarker.data.report import ReadingReport


@pytest.fixture(scope="module")
def english() -> Any:
    return spacy.blank("en")


def written(folder: Path, *documents: Doc) -> Path:
    path = folder / "corpus.spacy"
    DocBin(docs=documents, store_user_data=True).to_disk(path)
    return path


def read(path: Path, language: str = "en", **options: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, "docbin", ReadingOptions(language=language), **options)), report


def annotated(english: Any) -> Doc:
    document = english("Ada Bell runs Acme Labs. She isn't in New\n\nYork today.")
    words = [token.text for token in document]
    york = words.index("York")
    document.ents = [Span(document, 0, 2, "PER"), Span(document, york - 2, york + 1, "LOC")]
    document.spans["sc"] = [
        Span(document, 3, 5, "ORG"),
        Span(document, 3, 4, "NAME"),
        Span(document, 0, 2, "PER"),
    ]
    document.spans["more"] = [Span(document, 0, 5, "EVENT")]
    return document


def test_entities_and_nested_spans_are_read_with_the_words_of_the_file(tmp_path, english):
    (document,), report = read(written(tmp_path, annotated(english)))
    assert report.problems == []
    assert document["doc_key"] == "corpus-1"
    assert document["sentences"][0] == ["Ada", "Bell", "runs", "Acme", "Labs", "."]
    # spaCy has a token for the line breaks. It is not a word here.
    assert document["sentences"][1][:5] == ["She", "is", "n't", "in", "New"]
    assert entities(document) == [
        ("Ada Bell", "PER"),
        ("Ada Bell runs Acme Labs", "EVENT"),
        ("Acme", "NAME"),
        ("Acme Labs", "ORG"),
        ("New York", "LOC"),
    ]
    assert report.counts["exact"] == 5
    assert document["relations"] == [[] for _ in document["sentences"]]


def test_the_sentences_of_the_file_are_used(tmp_path, english):
    document = english("Ada met\n Bob here. He left.")
    for token in document:
        # The second sentence begins with the token of the line break.
        token.is_sent_start = token.text.isspace() or token.i == 0
    (result,), _ = read(written(tmp_path, document), annotated=False)
    assert result["sentences"] == [["Ada", "met"], ["Bob", "here", ".", "He", "left", "."]]


def test_without_sentences_in_the_file_the_text_is_split(tmp_path, english):
    (result,), _ = read(written(tmp_path, english("\nAda met Bob. He left.\n")), annotated=False)
    assert result["sentences"] == [["Ada", "met", "Bob", "."], ["He", "left", "."]]


def test_sentences_with_a_span_across_their_border_are_joined(tmp_path, english):
    document = english("Ada left. Bob stayed. Eve too.")
    document.spans["sc"] = [Span(document, 0, 5, "X")]
    (result,), report = read(written(tmp_path, document))
    assert [len(words) for words in result["sentences"]] == [6, 3]
    assert report.counts["joined sentences"] == 1


def test_the_words_are_independent_of_the_language(tmp_path, english):
    for language in ("ja", "qq"):
        (document,), report = read(written(tmp_path, annotated(english)), language)
        assert report.problems == []
        assert ("New York", "LOC") in entities(document)


def test_every_problem_is_reported_with_its_document(tmp_path, english):
    document = english("Ada met Bob.")
    document.spans["sc"] = [Span(document, 0, 1), Span(document, 2, 3, "PER")]
    with_line_breaks = english("Ada \n\n left")
    with_line_breaks.spans["sc"] = [Span(with_line_breaks, 1, 2, "X")]
    documents, report = read(written(tmp_path, annotated(english), document, english(""), with_line_breaks))
    assert [document["doc_key"] for document in documents] == ["corpus-1", "corpus-2", "corpus-3", "corpus-4"]
    [problem] = report.problems
    assert problem.fatal
    assert "document 2" in problem.message
    assert "'Ada'" in problem.message
    assert entities(documents[1]) == [("Bob", "PER")]
    assert documents[2]["sentences"] == entities(documents[3]) == []
    assert report.counts["dropped"] == 1


def test_a_file_without_documents_is_reported(tmp_path):
    documents, report = read(written(tmp_path))
    assert documents == []
    [problem] = report.problems
    assert (problem.line, problem.fatal) == (0, True)
    assert "no documents" in problem.message


@pytest.mark.parametrize("content", [b"", b"no DocBin", b"\x80\x04K\x01."])
def test_an_invalid_file_is_an_error_of_one_line(tmp_path, english, content):
    path = tmp_path / "corpus.spacy"
    path.write_bytes(content)
    with pytest.raises(PLMarkerError, match=r"corpus\.spacy.*DocBin") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_a_truncated_file_is_an_error(tmp_path, english):
    path = written(tmp_path, annotated(english))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(PLMarkerError, match=r"corpus\.spacy.*DocBin"):
        read(path)


def test_a_folder_without_files_is_an_error(tmp_path):
    with pytest.raises(PLMarkerError, match=r"\.spacy"):
        read(tmp_path)


def test_relations_of_the_tutorial_are_read_and_other_values_are_named(tmp_path: Path, english: Any) -> None:
    for name in ("rel", "topic"):
        Doc.set_extension(name, default=None, force=True)
    document = annotated(english)
    document._.rel = {(0, 3): {"LEADS": 1.0, "OWNS": 0.0}, (3, 0): {"LEADS": 0.2}}
    document._.topic = "work"
    (found,), report = read(written(tmp_path, document))
    assert report.problems == []
    assert report.counts["documents whose doc._.topic is not read"] == 1
    words = [word for sentence in found["sentences"] for word in sentence]
    ((relation, *more), *rest) = found["relations"]
    assert not more
    assert not any(rest)
    assert words[relation["head_start"] : relation["head_end"] + 1] == ["Ada", "Bell"]
    assert words[relation["tail_start"] : relation["tail_end"] + 1] == ["Acme", "Labs"]
    assert relation["label"] == "LEADS"


@pytest.mark.parametrize(
    "value",
    [
        {(0, 1): {"LEADS": 1.0}},
        [1, 2],
        {3: {"LEADS": 1.0}},
        {(0, 3): ["LEADS"]},
        0.5,
        {(0, 3): {"LEADS": 1.0}, (0, 1): {"LEADS": 1.0}},
    ],
)
def test_relations_of_another_form_are_counted_and_the_document_is_read(
    tmp_path: Path, english: Any, value: Any
) -> None:
    Doc.set_extension("rel", default=None, force=True)
    document = annotated(english)
    document._.rel = value
    (found,), report = read(written(tmp_path, document))
    assert report.problems == []
    assert not any(found["relations"])
    assert report.counts["documents whose doc._.rel is not read"] == 1


def test_values_may_be_arrays(tmp_path: Path, english: Any) -> None:
    Doc.set_extension("vector_of_topics", default=None, force=True)
    document = annotated(english)
    document._.vector_of_topics = np.zeros(3)
    _, report = read(written(tmp_path, document))
    assert report.counts["documents whose doc._.vector_of_topics is not read"] == 1
