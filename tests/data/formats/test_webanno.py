"""Tests of the reader of WebAnno TSV."""

from pathlib import Path

import pytest
from reading import counts, entities

from plmarker.data.formats import guess_format, read_corpus
from plmarker.data.report import ReadingReport

GUM = """\
#FORMAT=WebAnno TSV 3.2
#T_SP=webanno.custom.Referent|entity|infstat
#T_RL=webanno.custom.Coref|type|BT_webanno.custom.Referent


#Text=The mayor of Oslo sings .
1-1\t0-3\tThe\tperson[1]\tnew[1]\t_\t_
1-2\t4-9\tmayor\tperson[1]\tnew[1]\t_\t_
1-3\t10-12\tof\tperson[1]\tnew[1]\t_\t_
1-4\t13-17\tOslo\tperson[1]|place\tnew[1]|giv\t_\t_
1-5\t18-23\tsings\t_\t_\t_\t_
1-6\t24-25\t.\t_\t_\t_\t_

#Text=She left .
2-1\t26-29\tShe\tperson\tgiv\tana\t1-1[1_0]
2-2\t30-34\tleft\tevent[7]\t_\t_\t_
2-3\t35-36\t.\t_\t_\t_\t_
"""
INCEPTION = """\
#FORMAT=WebAnno TSV 3.3
#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue
#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value
#T_RL=webanno.custom.Relation|label|BT_de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity

#Text=Ada works for A\\|B
1-1\t0-3\tAda\tNNP\t*\tPER\t_\t_
1-2\t4-9\tworks\tVBZ\t_\t_\t_\t_
1-3\t10-13\tfor\tIN\t_\t_\t_\t_
1-4\t14-17\tA|B\tNNP\t_\tORG\\_X\tworks for\t1-1
1-4.1\t14-15\tA\t_\t_\t_\t_\t_
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "doc.tsv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_nested_entities_and_relations_of_gum_are_read(write):
    path, report = write(GUM), ReadingReport()
    assert guess_format(path).name == "webanno"
    (document,) = read_corpus(path, report)
    # Coreference crosses sentences, which costs recall and is reported.
    assert [problem.fatal for problem in report.problems] == [False]
    assert [len(words) for words in document["sentences"]] == [6, 3]
    assert entities(document) == [
        ("The mayor of Oslo", "person"),
        ("Oslo", "place"),
        ("She", "person"),
        ("left", "event"),
    ]
    assert [list(row.values()) for rows in document["relations"] for row in rows] == [[0, 3, 6, 6, "ana"]]
    assert counts(report)["relations across sentences"] == 1


def test_named_entities_are_chosen_among_layers(write):
    report = ReadingReport()
    (document,) = read_corpus(write(INCEPTION), report)
    assert report.problems == []
    assert document["sentences"] == [["Ada", "works", "for", "A|B"]]
    assert entities(document) == [("Ada", "PER"), ("A|B", "ORG_X")]
    assert [list(row.values()) for row in document["relations"][0]] == [[0, 0, 3, 3, "works for"]]
    assert report.counts["layers left out, such as POS"] == 1


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [(GUM.replace("1-5\t18-23\tsings\t_\t_\t_\t_", "1-5 sings"), 11, "columns of a token"), (GUM[:60], 0, "no tokens")],
)
def test_what_cannot_be_read_is_reported_once(write, text, line, part):
    report = ReadingReport()
    list(read_corpus(write(text), report, "webanno", annotated=False))
    assert any(problem.line == line and part in problem.message for problem in report.problems)
    assert len(report.problems) <= 2


PARTS = """\
#FORMAT=WebAnno TSV 3.3
#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value
#T_CH=de.tudarmstadt.ukp.dkpro.core.api.coref.type.CoreferenceLink|referenceRelation|referenceType
#T_RL=webanno.custom.Works|Kind|BT_de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity


#Text=Anna joined Acme-backed Zed
1-1\t0-4\tAnna\t*\tPER\t*->1-1\tname[1]\t_\t_\t
1-2\t5-11\tjoined\t_\t_\t_\t_\t_\t_\t
1-3\t12-23\tAcme-backed\t_\t_\t_\t_\t_\t_\t
1-3.1\t12-16\tAcme\t*\tORG\t_\t_\tworks\t1-1\t
1-4\t24-27\tZed\t*\t*\t_\t_\t_\t_\t
"""


def test_parts_of_tokens_chains_and_entities_without_a_value(write):
    report = ReadingReport()
    (document,) = read_corpus(write(PARTS), report)
    assert entities(document) == [("Anna", "PER"), ("Acme-backed", "ORG"), ("Zed", "NamedEntity")]
    (relation,) = document["relations"][0]
    assert (relation["head_start"], relation["tail_start"], relation["label"]) == (0, 2, "works")
    assert report.counts["widened"] == 1
    assert report.counts["entities without a value, with the name of their layer"] == 1


def test_a_layer_without_features_has_one_column(write):
    text = (
        "#FORMAT=WebAnno TSV 3.3\n#T_SP=webanno.custom.Person\n\n#Text=Anna ran\n"
        "1-1\t0-4\tAnna\t*\t\n1-2\t5-8\tran\t_\t\n"
    )
    (document,) = read_corpus(write(text), ReadingReport())
    assert entities(document) == [("Anna", "Person")]


def test_the_feature_that_is_read_as_the_type_is_named(write):
    text = (
        "#FORMAT=WebAnno TSV 3.3\n#T_SP=webanno.custom.Mention|Comment|Kind\n\n#Text=Anna ran\n"
        "1-1\t0-4\tAnna\tsure\tPER\t\n1-2\t5-8\tran\t_\t_\t\n"
    )
    report = ReadingReport()
    list(read_corpus(write(text), report))
    assert "the feature 'Comment' of the layer Mention" in report.problems[0].message


def test_relations_without_features_have_a_column_before_their_ends(write):
    text = (
        "#FORMAT=WebAnno TSV 3.3\n#T_SP=webanno.custom.Person|kind\n"
        "#T_RL=webanno.custom.Knows|BT_webanno.custom.Person\n\n#Text=Anna Bob\n"
        "1-1\t0-4\tAnna\tPER\t_\t_\t\n1-2\t5-8\tBob\tPER\t*\t1-1\t\n"
    )
    (document,) = read_corpus(write(text), ReadingReport())
    (relation,) = document["relations"][0]
    assert (relation["head_start"], relation["tail_start"], relation["label"]) == (0, 1, "Knows")
