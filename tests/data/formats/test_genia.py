"""The XML of GENIA's term annotation."""

from pathlib import Path
from typing import Any

import pytest

from plmarker.data.formats import ReadingOptions, folder_corpora, guess_format, read_corpus
from plmarker.data.formats.genia import is_genia
from plmarker.data.report import ReadingReport

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE set SYSTEM "gpml.dtd">\n<set>\n'
ARTICLE = """<article>
<articleinfo><bibliomisc>MEDLINE:95369245</bibliomisc></articleinfo>
<title><sentence><cons lex="IL-2_gene_expression" sem="G#other_name"><cons lex="IL-2_gene" sem="G#DNA_region">\
IL-2 gene</cons> expression</cons> &amp; more.</sentence></title>
<abstract><sentence>Activation of <cons lex="(AND T_cell B_cell)" sem="(AND G#cell_type G#cell_type)">\
<cons lex="T*">T</cons> and <cons lex="B*">B</cons> <cons lex="*cell">cells</cons></cons> by \
<cons lex="CD28" sem="G#protein_molecule">CD28</cons>. \
It is so.</sentence></abstract>
</article>
"""


def read(path: Path, **options: Any) -> tuple[list[Any], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, options=ReadingOptions(**options))), report


def test_articles_have_their_sentences_and_nested_terms(tmp_path: Path) -> None:
    path = tmp_path / "GENIAcorpus3.02.xml"
    path.write_text(HEAD + ARTICLE + ARTICLE.replace("MEDLINE:95369245", "") + "</set>\n")
    assert guess_format(path).name == guess_format(tmp_path).name == "genia"
    (document, other), report = read(path)
    assert report.problems == []
    assert (document["doc_key"], other["doc_key"]) == ("95369245", "GENIAcorpus3.02-2")
    assert document["sentences"] == [
        ["IL-2", "gene", "expression", "&", "more", "."],
        ["Activation", "of", "T", "and", "B", "cells", "by", "CD28", ".", "It", "is", "so", "."],
    ]
    assert document["ner"] == [
        [
            {"start": 0, "end": 1, "label": "DNA_region"},
            {"start": 0, "end": 2, "label": "other_name"},
        ],
        [{"start": 13, "end": 13, "label": "protein_molecule"}],
    ]
    assert report.counts["coordinations left out"] == 2
    assert report.counts["parts of terms left out"] == 6
    assert read(path, words="spaces")[0][0]["sentences"][1][-1] == "so."


def test_every_type_of_genia_is_a_label(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        f'{HEAD}<article><sentence><cons lex="x" sem="G#protein_N/A">kinase</cons></sentence></article></set>'
    )
    (document,), report = read(path)
    assert document["ner"] == [[{"start": 0, "end": 0, "label": "protein_N/A"}]]
    assert "parts of terms left out" not in report.counts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD, True),
        ("\ufeff<?xml version='1.0'?><!-- a > b --><!-- c -->\n<set\nid='1'>", True),
        ("<?xml version='1.0'?><annotations><set>", False),
        ("<p>The <set> element</p>", False),
        ("<setting>", False),
        ("<!-- -->" * 240, False),
    ],
)
def test_the_root_shows_genia(tmp_path: Path, text: str, expected: bool) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    assert is_genia(path) is expected


def test_words_with_parts_of_speech_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "merged.xml"
    words = '<w c="NN">IL-2-induced</w> <cons lex="x" sem="G#cell_line"><w c="NN">Jurkat</w> <w c="*">cells</w></cons>'
    path.write_text(f'{HEAD}<article><sentence>{words}<w c=".">.</w></sentence></article></set>')
    (document,), report = read(path)
    assert document["sentences"] == [["IL-2-induced", "Jurkat", "cells", "."]]
    assert document["ner"] == [[{"start": 1, "end": 2, "label": "cell_line"}]]
    assert dict(report.counts)["exact"] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "<article>", "invalid XML: no element found"),
        (
            f"{HEAD}<article><sentence>{'<cons>' * 5000}{'</cons>' * 5000}</sentence></article></set>",
            "nested too deeply",
        ),
        (HEAD + "</set>", "the file has no documents"),
        (HEAD.replace('"gpml.dtd"', '"g" [<!ENTITY a "b">]') + "</set>", "unsafe and not allowed"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    documents, report = read(path)
    assert documents == []
    assert any(expected in problem.message for problem in report.fatal)


def test_other_xml_beside_a_corpus_is_no_news(tmp_path: Path) -> None:
    for name in ("settings", "train"):
        (tmp_path / f"{name}.xml").write_text("<?xml version='1.0'?><settings/>")
    (tmp_path / "train.conll").write_text("Ada\tB-PER\nsings\tO\n\n")
    documents, report = read(tmp_path)
    assert (len(documents), report.problems) == (1, [])
    assert folder_corpora(tmp_path)[""].splits == {"train": [tmp_path / "train.conll"]}
