"""Published corpora, as their folders are: nothing is edited or renamed before they are read."""

import json
from pathlib import Path
from typing import Any

import pytest
from published import LAYOUTS, WORDS, put_layout
from reading import entities

from plmarker import PLMarkerError, load_documents
from plmarker.data.builders import FilesBuilder
from plmarker.data.formats import folder_corpora, guess_format, read_corpus
from plmarker.data.report import ReadingReport

PEOPLE = [("Ada Bell", "PER"), ("Acme", "ORG")]
SPLITS = ("train", "validation", "test")
# Layout -> format, splits, entities and relations of each document.
EXPECTED: dict[str, tuple[str, tuple[str, ...], list[tuple[str, str]], int]] = {
    "conll04": ("words", SPLITS, [("Ada Bell", "Peop"), ("Acme", "Org")], 1),
    "scier": ("jsonl", (*SPLITS, "test_ood"), [("Ada Bell", "Method"), ("Acme", "Task")], 1),
    "scienceie": ("brat", SPLITS, [("Ada Bell", "Task"), ("Acme", "Material")], 1),
    "bc5cdr": ("pubtator", SPLITS, [("Ada", "Chemical"), ("gout", "Disease"), ("gout", "Disease")], 0),
    "bc5cdr-iob": ("conll", SPLITS, PEOPLE, 0),
    "genia-oneie": ("words", SPLITS, [("Ada Bell", "protein"), ("Bell", "protein"), ("Acme", "DNA")], 1),
    "genia-spert": ("words", ("train", "test"), [("Ada Bell", "Peop"), ("Acme", "Org")], 1),
    "genia-jsonlines": ("jsonl", SPLITS, [("Ada Bell", "Method"), ("Acme", "Task")], 0),
    "genia-layers": ("conll", SPLITS, [("Ada", "DNA"), ("Ada Bell", "protein")], 0),
    "germeval": ("conll", SPLITS, [("Ada", "PER"), ("VfL Halle", "ORG"), ("Halle", "LOC")], 0),
    "hipe": ("conll", SPLITS, [("Ada Bell", "pers"), ("Oslo", "loc")], 0),
    "norne": ("conll", SPLITS, [("Ada", "PER"), ("Oslo", "GPE_LOC")], 0),
    "uner": ("conll", SPLITS, [("Ada", "PER"), ("Acme", "ORG")], 0),
    "flair": ("conll", SPLITS, PEOPLE, 0),
    # These have no splits.
    "gum-tsv": ("webanno", (), [("Ada", "person"), ("Acme", "organization")], 0),
    "gum-conllu": ("conll", (), [("the island", "place"), ("the island games", "event"), ("Oslo", "place")], 0),
    "wikiner": ("conll", (), PEOPLE, 0),
}


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, **options)), report


@pytest.mark.parametrize("name", EXPECTED)
def test_a_published_folder_is_read_as_it_is(name, tmp_path):
    folder = put_layout(name, tmp_path)
    format, splits, expected, n_relations = EXPECTED[name]
    (corpus,) = folder_corpora(folder).values()
    assert tuple(corpus.splits) == splits
    files = [path for paths in corpus.splits.values() for path in paths] or [folder]
    n_documents = 0
    for path in files:
        assert guess_format(path).name == format
        documents, report = read(path)
        assert report.fatal == []
        for document in documents:
            assert sorted(entities(document)) == sorted(expected)
            assert sum(map(len, document["relations"] or ())) == n_relations
        n_documents += len(documents)
    # The whole folder has the same documents, and none of them twice.
    documents, report = read(folder)
    assert report.fatal == []
    assert len({document["doc_key"] for document in documents}) == len(documents) == n_documents


def test_a_folder_of_several_corpora_is_told_apart(tmp_path):
    folder = put_layout("crossner", tmp_path)
    corpora = folder_corpora(folder)
    assert list(corpora) == ["ai", "conll2003", "literature"]
    assert all(tuple(corpus.splits) == SPLITS for corpus in corpora.values())
    documents, report = read(folder)
    assert (len(documents), report.fatal) == (9, [])
    with pytest.raises(PLMarkerError, match="ai, conll2003, literature"):
        load_documents(folder)


def test_documents_of_any_format_are_loaded_by_split(tmp_path):
    found = load_documents(put_layout("conll04", tmp_path))
    assert {split: dataset["doc_key"][:] for split, dataset in found.items()} == {
        "train": ["conll04_train-1"],
        "validation": ["1"],
        "test": ["2"],
    }
    scier = load_documents(put_layout("scier", tmp_path))
    assert list(scier) == [*SPLITS, "test_ood"]
    assert scier["test_ood"][0]["relations"][0][0]["label"] == "Used-For"


def test_what_is_left_out_has_a_reason(tmp_path):
    left_out = folder_corpora(put_layout("conll04", tmp_path))[""].left_out
    assert {path.name: why for path, why in left_out.items()} == {
        "conll04_types.json": "it names the labels",
        "conll04_train_dev.json": "it joins the splits train and validation",
    }
    left_out = folder_corpora(put_layout("bc5cdr", tmp_path))[""].left_out
    assert len(left_out) == 3
    assert all(path.name.endswith(".BioC.xml") and "BioC XML" in why for path, why in left_out.items())
    left_out = folder_corpora(put_layout("scier", tmp_path))[""].left_out
    assert [(path.name, "PLM" in why) for path, why in left_out.items()] == [("LLM", True)]


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("a.json", json.dumps({"%TYPES": {}, "%FEATURE_STRUCTURES": []}), "WebAnno TSV 3"),
        ("a.jsonl", LAYOUTS["scier"]["LLM/train.jsonl"], "PLM"),
        ("a.json", json.dumps([{"context": "x", "query": "y", "span_position": []}]), "MRC"),
        ("a.json", json.dumps([{"vertexSet": [], "sents": [WORDS], "title": "x"}]), "DocRED"),
        ("a.json", json.dumps([{"id": 0, "paragraphs": []}]), "spacy convert"),
        ("a.xml", "<?xml version='1.0'?><xmi:XMI/>", "WebAnno TSV 3"),
        ("a.xml", "<?xml version='1.0'?>\n<annotations/>", "XML, which is read only from ACE and GENIA"),
        ("a.json", json.dumps({"entities": {}, "relations": {}}), "names the labels"),
        ("a.conll", "PK\x03\x04", "archive"),
    ],
)
def test_a_file_that_nobody_reads_is_named(name, text, part, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(PLMarkerError, match=part):
        read(tmp_path / name)


def test_a_file_is_not_read_in_another_format_than_it_shows(tmp_path):
    for name, format in (("bc5cdr", "pubtator"), ("gum-tsv", "webanno")):
        path = next(path for path in sorted(put_layout(name, tmp_path).rglob("*")) if path.suffix in (".txt", ".tsv"))
        path = next(path.parent.glob("*TestSet.PubTator.txt"), path)
        with pytest.raises(PLMarkerError, match=f"the format {format} reads it"):
            read(path, format="conll")


def test_gum_in_conll_u_has_its_words_once_and_its_documents(tmp_path):
    documents, report = read(put_layout("gum-conllu", tmp_path))
    assert [document["doc_key"] for document in documents] == ["GUM_news_one", "GUM_news_two"]
    assert documents[0]["sentences"] == [["Do", "n't", "the", "island", "games", "Oslo"]]
    assert report.counts["lines without a word of their own"] == 4


def test_brackets_that_do_not_match_are_problems(tmp_path):
    folder = put_layout("gum-conllu", tmp_path)
    path = folder / "GUM_news_one.conllu"
    path.write_text(path.read_text().replace("Entity=1)", "Entity=9)"))
    report = read(path)[1]
    assert [(problem.line, "9" in problem.message or "'1'" in problem.message) for problem in report.fatal] == [
        (8, True),
        (7, True),
    ]
    path.write_text(path.read_text().replace("GRP-etype-infstat-link", "GRP-infstat-link"))
    assert "etype" in read(path)[1].fatal[0].message


def test_sentences_of_hipe_end_at_their_flag(tmp_path):
    documents, _ = read(put_layout("hipe", tmp_path) / "HIPE-2022-v2.1-x-test-en.tsv")
    assert documents[0]["sentences"] == [["Ada", "Bell", "left"], ["Oslo"]]
    assert documents[0]["doc_key"] == "one"


def test_columns_of_phrases_are_no_layers(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("Ada NNP B-NP B-PER\nruns VBZ B-VP O\nAcme NNP B-NP B-ORG\n")
    (document,), report = read(path)
    assert (entities(document), report.problems) == ([("Ada", "PER"), ("Acme", "ORG")], [])


COLUMNS = "Ada\tB-PER\nsang\tO\n"


def warnings_of(folder: Path) -> dict[str, str]:
    """What is said of each file of a folder that is read as one."""
    _, report = read(folder)
    assert report.fatal == []
    return {Path(problem.path).name: problem.message for problem in report.problems}


def test_a_union_of_splits_in_place_of_train_is_a_leak(tmp_path, caplog):
    cache, tmp_path = tmp_path / "cache", tmp_path / "corpus"
    tmp_path.mkdir()
    for name in ("train_dev.tsv", "dev.tsv", "test.tsv"):
        (tmp_path / name).write_text(COLUMNS, encoding="utf-8")
    corpus = folder_corpora(tmp_path)[""]
    assert list(corpus.splits) == list(SPLITS)
    assert [path.name for path in corpus.overlapping] == ["train_dev.tsv"]
    assert "validation is beside it" in warnings_of(tmp_path)["train_dev.tsv"]
    load_documents(tmp_path)
    assert "validation is beside it" in caplog.text
    builder = FilesBuilder(data_dir=tmp_path, cache_dir=str(cache))
    builder.download_and_prepare()
    assert any("validation is beside it" in problem.message for problem in builder.report.problems)
    # Without the other split there is no leak.
    (tmp_path / "dev.tsv").unlink()
    assert folder_corpora(tmp_path)[""].overlapping == {}
    assert "train_dev.tsv" not in warnings_of(tmp_path)


def test_a_folder_that_is_read_as_one_names_what_is_left_out(tmp_path):
    files = {
        "train.conll": COLUMNS,
        "train_dev.conll": COLUMNS,
        "types.json": "{}",
        "more.jsonl": json.dumps({"doc_key": "a", "sentences": [["Ada"]], "ner": [[[0, 0, "PER"]]]}),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    documents, report = read(tmp_path, format="conll")
    assert [document["doc_key"] for document in documents] == ["train-1"]
    found = {Path(problem.path).name: problem.message for problem in report.problems}
    assert set(found) == {"train_dev.conll", "types.json", "more.jsonl"}
    assert "joins the splits" in found["train_dev.conll"]
    assert "read as conll" in found["more.jsonl"]


def test_data_is_not_taken_for_something_else_by_a_word(tmp_path):
    # A name that begins like that of a description, and a gene that begins like Parquet.
    (tmp_path / "citations.conll").write_text(COLUMNS, encoding="utf-8")
    (tmp_path / "par.conll").write_text("PAR1\tB-GENE\nis\tO\n", encoding="utf-8")
    documents, report = read(tmp_path)
    assert ([document["doc_key"] for document in documents], report.problems) == (["citations-1", "par-1"], [])


def test_two_files_with_one_name_of_a_split_are_not_one(tmp_path):
    for name in ("test.conll", "test-x.conll", "test_x.conll"):
        (tmp_path / name).write_text(COLUMNS, encoding="utf-8")
    with pytest.raises(PLMarkerError, match=r"test-x\.conll and test_x\.conll both belong"):
        folder_corpora(tmp_path)


def test_words_for_splits_are_found_in_names_without_borders(tmp_path: Path) -> None:
    names = {"train": "NCBItrainset_corpus.txt", "validation": "NCBIdevelopset_corpus.txt", "test": "NCBItestset.txt"}
    for name in (*names.values(), "requirements-dev.txt"):
        (tmp_path / name).write_text(COLUMNS, encoding="utf-8")
    splits = folder_corpora(tmp_path)[""].splits
    assert {split: path.name for split, (path,) in splits.items()} == names


def test_vectors_beside_the_splits_are_no_corpus(tmp_path: Path) -> None:
    for name in ("json/train.conll", "json/test.conll", "elmo/train.hdf5", "elmo/test.hdf5"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(COLUMNS, encoding="utf-8")
    (corpus,) = folder_corpora(tmp_path).values()
    assert [path.name for paths in corpus.splits.values() for path in paths] == ["train.conll", "test.conll"]
    assert {path.parent.name for path in corpus.left_out} == {"elmo"}
