"""The builders of corpora, on small files in the layouts of the real corpora."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict
from datasets.exceptions import DatasetGenerationError
from published import put_layout
from reading import entities
from writing import put, put_ace

from plmarker.data import DOCUMENT_FEATURES, PLMarkerError, typed_document, write_documents
from plmarker.data.builders import (
    BUILDERS,
    Ace04Builder,
    Ace05Builder,
    Conll2003Builder,
    CorpusBuilder,
    FewNerdBuilder,
    FilesBuilder,
    OntoNotesBuilder,
    SciERCBuilder,
)
from plmarker.data.builders.ace import document_names
from plmarker.data.formats import ReadingOptions, read_corpus
from plmarker.data.report import ReadingReport

FOLDS = [f"fold{number}" for number in range(5)]


def build(builder: CorpusBuilder, folder: Path) -> DatasetDict:
    """Prepare a builder, and return its splits."""
    builder.download_and_prepare(output_dir=str(folder / "prepared"))
    splits = builder.as_dataset()
    assert all(dataset.features == DOCUMENT_FEATURES for dataset in splits.values())
    return splits


def cached(builder_class: type[CorpusBuilder], tmp_path: Path, **options: Any) -> CorpusBuilder:
    """Make a builder whose cache is in `tmp_path`."""
    return builder_class(cache_dir=str(tmp_path / "cache"), **options)


def cause_of(builder: CorpusBuilder, folder: Path) -> str:
    """Return the message of the `PLMarkerError` that stops the build."""
    with pytest.raises(DatasetGenerationError) as error:
        builder.download_and_prepare(output_dir=str(folder / "prepared"))
    assert isinstance(error.value.__cause__, PLMarkerError)
    return str(error.value.__cause__)


def keys(splits: DatasetDict) -> dict[str, list[str]]:
    return {split: dataset["doc_key"][:] for split, dataset in splits.items()}


def warnings_of(builder: CorpusBuilder) -> list[str]:
    """Return the messages of a report without fatal problems."""
    assert builder.report.fatal == []
    return [problem.message for problem in builder.report.problems]


def assert_mentions(message: str, *values: str) -> None:
    """Check that a message contains every value."""
    assert all(value in message for value in values), message


# ACE 2005


@pytest.fixture
def ace05(tmp_path: Path) -> Path:
    """Make the folders of the release with two train documents, a validation document and a conversation."""
    folder = tmp_path / "ace_2005_td_v7" / "data" / "English"
    names = document_names("ace05")
    first, second = names["train"][:2]
    # The name of the last stage is neither the first nor the last one in alphabetical order.
    for stage, said in (("adj", "Oslo"), ("fp1", "Oslo"), ("timex2norm", "Lund"), ("zz", "Oslo")):
        put_ace(folder / "nw" / stage, first, said)
    # This document has no copy of the last stage.
    put_ace(folder / "nw" / "adj", second, "Rome", "LAND")
    put_ace(folder / "bc" / "timex2norm", names["validation"][0])
    put_ace(folder / "cts" / "timex2norm", "fsh_00001")
    return tmp_path / "ace_2005_td_v7"


def test_ace05_reads_the_last_annotation_stage_of_each_document(ace05, tmp_path):
    builder = Ace05Builder(data_dir=ace05)
    splits = build(builder, tmp_path)
    names = document_names("ace05")
    assert keys(splits) == {"train": names["train"][:2], "validation": names["validation"][:1]}
    assert entities(splits["train"][0]) == [("Lund", "GPE")]
    assert entities(splits["train"][1]) == [("Rome", "LAND")]
    assert splits["train"][0]["relations"] == [[]]
    assert builder.report.counts["exact"] == 3
    assert builder.split_counts["train"] == Counter(documents=2, sentences=2, words=10, entities=2)


def test_missing_documents_and_unknown_labels_are_warnings(ace05, tmp_path, caplog):
    names = document_names("ace05")
    builder = Ace05Builder(data_dir=ace05)
    with caplog.at_level(logging.WARNING):
        build(builder, tmp_path)
    expected = [
        ("train: 349 of 351 documents", names["train"][2]),
        ("validation: 79 of 80 documents", names["validation"][1]),
        ("test: 80 of 80 documents", names["test"][0]),
        ("train: 1 entities", "'LAND'"),
    ]
    warnings = warnings_of(builder)
    for warning, (start, value) in zip(warnings, expected, strict=True):
        assert warning.startswith(start)
        assert value in warning
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("plmarker")]
    assert logged == [f"ACE 2005, {warning}" for warning in warnings]


def test_the_extent_of_ace05_mentions_is_part_of_the_cache_key(ace05, tmp_path):
    builder = cached(Ace05Builder, tmp_path, data_dir=ace05)
    builder.download_and_prepare()
    full = cached(Ace05Builder, tmp_path, data_dir=ace05, reading=ReadingOptions(words="spacy", extent="full"))
    full.download_and_prepare()
    assert full.split_counts["train"]["documents"] == 2
    assert full.cache_dir != builder.cache_dir


def test_each_of_the_511_documents_of_ace05_is_in_one_split():
    names = document_names("ace05")
    assert {split: len(documents) for split, documents in names.items()} == {"train": 351, "validation": 80, "test": 80}
    assert len({name for documents in names.values() for name in documents}) == 511


# ACE 2004


def test_the_folds_of_ace04_are_disjoint_and_have_348_documents():
    names = document_names("ace04")
    assert list(names) == FOLDS
    assert all(not set(names[one]) & set(names[other]) for one, other in combinations(FOLDS, 2))
    assert sum(len(set(documents)) for documents in names.values()) == 348
    assert sum(len(documents) for documents in names.values()) == 348


def test_each_fold_of_ace04_has_every_document_once(tmp_path):
    folds = document_names("ace04")
    every = {name for names in folds.values() for name in names}
    for name in every:
        put(tmp_path / "data" / "English" / ("nwire" if name.startswith("A") else "bnews") / f"{name}.sgm")
    for fold in FOLDS:
        builder = Ace04Builder(data_dir=tmp_path, config_name=fold)
        splits = {
            split: [path.name.removesuffix(".sgm") for path in paths] for split, paths in builder.split_files().items()
        }
        assert list(splits) == ["train", "validation", "test"]
        assert splits["test"] == folds[fold]
        assert Counter(name for names in splits.values() for name in names) == Counter(every)
        n_others = len(every) - len(folds[fold])
        assert len(splits["validation"]) == n_others // 7
        assert warnings_of(builder) == []


def test_a_document_of_ace04_is_in_test_of_only_one_fold(tmp_path):
    names = document_names("ace04")
    put_ace(tmp_path / "tree" / "nwire", names["fold0"][0])
    put_ace(tmp_path / "tree" / "bnews", names["fold1"][0])
    for fold, test, other in (("fold0", "fold0", "fold1"), ("fold1", "fold1", "fold0")):
        builder = Ace04Builder(data_dir=tmp_path / "tree", config_name=fold)
        splits = keys(build(builder, tmp_path / fold))
        assert splits.pop("test") == [names[test][0]]
        assert list(splits.values()) == [[names[other][0]]]
        missing = f"test: {len(names[fold]) - 1} of {len(names[fold])} documents"
        assert any(warning.startswith(missing) for warning in warnings_of(builder))
    with pytest.raises(PLMarkerError, match=r"ACE 2004 .*'fold5', only fold0, fold1, fold2, fold3, fold4"):
        Ace04Builder(data_dir=tmp_path, config_name="fold5")


# OntoNotes


def ontonotes_lines(name: str, *words: str) -> list[str]:
    rows = [f"{name} 0 0 {word} NN * - - - - {'(GPE)' if word == 'Lund' else '*'} -" for word in words]
    return [f"#begin document ({name}); part 000", *rows, "", "#end document"]


@pytest.mark.parametrize("development", ["development", "dev"])
def test_ontonotes_reads_english_without_the_testaments(tmp_path, development):
    data = tmp_path / "conll-2012" / "v12" / "data"
    for split in ("train", development, "test"):
        english = data / split / "data" / "english" / "annotations"
        put(english / "nw/wsj/00/wsj_0001.gold_conll", *ontonotes_lines(f"nw/{split}", "Lund", "won"))
        put(english / "bc/cnn/00/cnn_0001.v4_gold_conll", *ontonotes_lines(f"bc/{split}", "Yes"))
        put(english / "pt/nt/40/nt_4001.gold_conll", *ontonotes_lines(f"pt/{split}", "Lund"))
        put(english / "nw/wsj/00/wsj_0001.parse", "(TOP no columns)")
        for language in ("arabic", "chinese"):
            path = data / split / "data" / language / "annotations/nw/xin/00/xin_0001.gold_conll"
            put(path, *ontonotes_lines(f"{language}/{split}", "Lund"))
    builder = OntoNotesBuilder(data_dir=tmp_path / "conll-2012")
    splits = build(builder, tmp_path)
    assert keys(splits) == {
        "train": ["bc/train_0", "nw/train_0"],
        "validation": [f"bc/{development}_0", f"nw/{development}_0"],
        "test": ["bc/test_0", "nw/test_0"],
    }
    assert entities(splits["test"][1]) == [("Lund", "GPE")]
    assert splits["test"][1]["relations"] is None
    assert builder.report.counts["files of pt/, left out"] == 3
    first, second = warnings_of(builder)[:2]
    assert_mentions(first, "train: ", "2 sentences", "59924")
    assert_mentions(second, "train: ", "1 entities", "81828")


# CoNLL-2003

DOCSTART = "-DOCSTART- -X- -X- O"
# Two documents. The last two entities are adjacent.
IOB2 = [DOCSTART, "", "Ada NNP I-NP B-PER", "Bell NNP I-NP I-PER", "won VBD I-VP O", "", "Yes UH O O", "", DOCSTART, ""]
IOB2 += ["Rome NNP I-NP B-LOC", "Lund NNP I-NP B-LOC", "city NN I-NP I-LOC", ""]
IOB1 = [line.replace("Ada NNP I-NP B", "Ada NNP I-NP I").replace("Rome NNP I-NP B", "Rome NNP I-NP I") for line in IOB2]


@pytest.mark.parametrize("names", [("eng.train", "eng.testa", "eng.testb"), ("train.txt", "valid.txt", "test.txt")])
@pytest.mark.parametrize("lines", [IOB1, IOB2], ids=["iob1", "iob2"])
def test_conll2003_reads_both_schemes_and_both_file_names(tmp_path, names, lines):
    for name in names:
        put(tmp_path / "conll2003" / name, *lines)
        # A file in a deeper folder is not used.
        put(tmp_path / "conll2003" / "old" / "eng.train", "Ada B-PER")
    builder = Conll2003Builder(data_dir=tmp_path / "conll2003")
    splits = build(builder, tmp_path)
    assert list(splits) == ["train", "validation", "test"]
    for dataset in splits.values():
        assert dataset["sentences"][:] == [[["Ada", "Bell", "won"], ["Yes"]], [["Rome", "Lund", "city"]]]
        assert [entities(document) for document in dataset] == [
            [("Ada Bell", "PER")],
            [("Rome", "LOC"), ("Lund city", "LOC")],
        ]
    expected = [
        ("train: ", "3 sentences", "14041"),
        ("train: ", "3 entities", "23499"),
        ("validation: ", "3 sentences", "3250"),
        ("validation: ", "3 entities", "5942"),
        ("test: ", "3 sentences", "3453"),
        ("test: ", "3 entities", "5648"),
    ]
    for warning, values in zip(warnings_of(builder), expected, strict=True):
        assert_mentions(warning, *values)


# Few-NERD


@pytest.fixture
def fewnerd(tmp_path: Path) -> Path:
    for config_name, word in (("supervised", "Lund"), ("inter", "Rome"), ("intra", "Oslo")):
        for name in ("train.txt", "dev.txt", "test.txt"):
            put(
                tmp_path / "data" / config_name / name,
                *("The\tO", f"{word}\tlocation-GPE", "Town\tlocation-GPE", "", "Ada\tperson-actor"),
            )
    return tmp_path / "data"


@pytest.mark.parametrize(("config_name", "word"), [("supervised", "Lund"), ("inter", "Rome"), ("intra", "Oslo")])
def test_fewnerd_has_three_configurations_and_a_document_per_sentence(fewnerd, tmp_path, config_name, word):
    # `data_dir` is the folder of all configurations or of one.
    for number, folder in enumerate((fewnerd, fewnerd / config_name)):
        builder = FewNerdBuilder(data_dir=folder, config_name=config_name)
        splits = build(builder, tmp_path / str(number))
        assert list(splits) == ["train", "validation", "test"]
        for dataset in splits.values():
            assert [entities(document) for document in dataset] == [
                [(f"{word} Town", "location-GPE")],
                [("Ada", "person-actor")],
            ]
        published = [message for message in warnings_of(builder) if "published" in message]
        assert len(published) == (6 if config_name == "supervised" else 0)


def test_the_folder_of_another_configuration_of_fewnerd_is_an_error(fewnerd, tmp_path):
    with pytest.raises(PLMarkerError, match=r"intra: .*Few-NERD"):
        build(FewNerdBuilder(data_dir=fewnerd / "intra"), tmp_path)


def test_real_fewnerd_data_gives_its_sentences_and_entities(shared):
    path = shared / "data" / "fewnerd" / "slice.txt"
    sentences: list[list[list[str]]] = [[]]
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.strip():
            sentences[-1].append(line.split("\t"))
        elif sentences[-1]:
            sentences.append([])
    sentences = [rows for rows in sentences if rows]
    labels = Counter(label for rows in sentences for label, _ in groupby(tag for _, tag in rows) if label != "O")
    report = ReadingReport()
    documents = list(read_corpus(path, report, options=ReadingOptions(scheme="none")))
    assert report.problems == []
    assert [document["sentences"] for document in documents] == [[[word for word, _ in rows]] for rows in sentences]
    assert Counter(label for document in documents for _, label in entities(document)) == labels
    assert labels.total() > len(documents) > 10
    # The reader guesses the same scheme.
    assert list(read_corpus(path, ReadingReport())) == documents


# SciERC


def test_scierc_has_the_published_counts(shared, tmp_path):
    builder = SciERCBuilder(data_dir=shared / "data" / "scierc")
    splits = build(builder, tmp_path)
    counted = {split: (c["sentences"], c["entities"], c["relations"]) for split, c in builder.split_counts.items()}
    assert counted == {"train": (1861, 5598, 3219), "validation": (275, 811, 455), "test": (551, 1685, 974)}
    assert {split: len(dataset) for split, dataset in splits.items()} == {"train": 350, "validation": 50, "test": 100}
    assert not [message for message in warnings_of(builder) if "published" in message]
    # A difference from the published counts would name the whole folder.
    assert str(builder.source) not in {problem.path for problem in builder.report.problems}


# Files of a user


COLUMNS = ["Ada\tB-PER", "won\tO"]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("wnut17train.conll", "emerging.dev.conll", "emerging.test.conll"), {"train": 0, "validation": 1, "test": 2}),
        (("my-training_2.conll", "VALID.conll"), {"train": 0, "validation": 1}),
        (("development.conll", "test-a.conll"), {"validation": 0, "test": 1}),
        # Names of published corpora.
        (("train.tsv", "devel.tsv", "test.tsv"), {"train": 0, "validation": 1, "test": 2}),
        (("eng.train", "eng.testa", "eng.testb"), {"train": 0, "validation": 1, "test": 2}),
        # Descriptions are no data.
        (("train.conll", "dev.conll", "README_data_dev.md", "LICENSE-train.txt"), {"train": 0, "validation": 1}),
        # A word for a split inside other letters does not count.
        (("latest.conll",), {}),
        (("constrained.conll", "devices.conll", "contest.conll", "invalid.conll"), {}),
        (("train.conll", "latest.conll", ".test.conll"), {"train": 0}),
    ],
)
def test_a_file_belongs_to_the_split_that_its_name_contains_as_a_word(tmp_path, names, splits):
    for name in names:
        put(tmp_path / name, *COLUMNS)
    expected = {split: [tmp_path / names[number]] for split, number in splits.items()}
    builder = FilesBuilder(data_dir=tmp_path, format="conll")
    # Without such a name the whole folder is train.
    assert builder.split_files() == (expected or {"train": [tmp_path]})


def test_files_of_a_user_are_read_by_split(tmp_path):
    put(tmp_path / "wnut" / "wnut17train.conll", *COLUMNS, "", "Lund\tB-GPE")
    put(tmp_path / "wnut" / "emerging.dev.conll", *COLUMNS)
    builder = FilesBuilder(data_dir=tmp_path / "wnut")
    splits = build(builder, tmp_path)
    assert keys(splits) == {"train": ["wnut17train-1", "wnut17train-2"], "validation": ["emerging.dev-1"]}
    assert warnings_of(builder) == []
    assert (builder.corpus.title, builder.format) == ("wnut", "conll")


def test_a_single_file_is_train_and_can_have_a_title(tmp_path):
    path = put(tmp_path / "names.test.conll", *COLUMNS)
    builder = FilesBuilder(data_dir=path, title="Names")
    assert keys(build(builder, tmp_path)) == {"train": ["names.test-1"]}
    assert builder.info.description.startswith("Names, ")


def test_brat_folders_are_splits_but_a_brat_document_with_such_a_name_is_not(tmp_path):
    for folder in ("train", "dev"):
        put(tmp_path / "split" / folder / "a.txt", "Ada won.")
        put(tmp_path / "split" / folder / "a.ann", "T1\tPER 0 3\tAda")
    put(tmp_path / "flat" / "fitness test.txt", "Ada won.")
    put(tmp_path / "flat" / "fitness test.ann", "T1\tPER 0 3\tAda")
    assert FilesBuilder(data_dir=tmp_path / "flat").split_files() == {"train": [tmp_path / "flat"]}
    splits = build(FilesBuilder(data_dir=tmp_path / "split"), tmp_path)
    assert keys(splits) == {"train": ["a"], "validation": ["a"]}
    assert entities(splits["validation"][0]) == [("Ada", "PER")]


def test_two_files_of_one_split_are_an_error(tmp_path):
    for name in ("train.conll", "wnut17train.conll", "dev.conll"):
        put(tmp_path / name, *COLUMNS)
    with pytest.raises(PLMarkerError, match=r"train\.conll and wnut17train\.conll .*'train'"):
        FilesBuilder(data_dir=tmp_path)


def test_a_missing_path_or_unknown_format_is_an_error(tmp_path):
    with pytest.raises(PLMarkerError, match="nowhere: no such file or folder"):
        FilesBuilder(data_dir=tmp_path / "nowhere")
    with pytest.raises(PLMarkerError, match=r"'xml', .*jsonl, conll"):
        FilesBuilder(data_dir=tmp_path, format="xml")
    with pytest.raises(PLMarkerError, match=f"{tmp_path.name}: .*format"):
        FilesBuilder(data_dir=tmp_path)


# All builders


@pytest.mark.parametrize("name", BUILDERS)
def test_a_missing_folder_and_a_folder_without_files_of_the_corpus_are_errors(name, tmp_path):
    builder_class = BUILDERS[name]
    with pytest.raises(PLMarkerError, match="nowhere: no such file or folder"):
        builder_class(data_dir=tmp_path / "nowhere")
    put(tmp_path / "corpus" / "README", "nothing")
    with pytest.raises(PLMarkerError, match=f"corpus: no files of {builder_class.corpus.title}"):
        build(builder_class(data_dir=tmp_path / "corpus"), tmp_path)


@pytest.fixture
def bad_files(tmp_path: Path) -> Path:
    put(tmp_path / "bad" / "train.conll", *COLUMNS, *["alone"] * 7)
    put(tmp_path / "bad" / "dev.conll", *COLUMNS)
    put(tmp_path / "bad" / "test.conll", *["alone"] * 6, *COLUMNS)
    return tmp_path / "bad"


def test_the_problems_of_all_splits_are_listed_in_one_error(bad_files, tmp_path):
    lines = cause_of(FilesBuilder(data_dir=bad_files), tmp_path).split("\n")
    expected = [f"{bad_files / 'train.conll'}:{number}: " for number in range(3, 10)]
    expected += [f"{bad_files / 'test.conll'}:{number}: " for number in range(1, 4)]
    assert all(line.startswith(place) for line, place in zip(lines[:10], expected, strict=True))
    assert lines[10:] == ["... and 3 more problems"]
    assert not (tmp_path / "prepared").exists()


def test_a_problem_in_a_later_split_stops_the_build(bad_files, tmp_path):
    put(bad_files / "train.conll", *COLUMNS)
    assert cause_of(FilesBuilder(data_dir=bad_files), tmp_path).startswith(f"{bad_files / 'test.conll'}:1: ")


def test_an_error_does_not_list_warnings(ace05, tmp_path):
    name = document_names("ace05")["validation"][0]
    apf = next(ace05.rglob(f"{name}.apf.xml"))
    put(apf, apf.read_text(encoding="utf-8").replace(">Lund<", ">Rome<"))
    message = cause_of(Ace05Builder(data_dir=ace05), tmp_path)
    assert message.startswith(f"{apf}:3: ")
    assert "\n" not in message
    assert_mentions(message, "E1-1", "'Lund'", "'Rome'")


def test_two_documents_of_a_split_with_the_same_name_are_an_error(tmp_path):
    folder = tmp_path / "data" / "train" / "english"
    first, second = (put(folder / f"{name}.gold_conll", *ontonotes_lines("nw/x", "Lund")) for name in "ab")
    message = cause_of(OntoNotesBuilder(data_dir=tmp_path / "data"), tmp_path)
    assert message.startswith(f"{second}: ")
    assert_mentions(message, "train", "'nw/x_0'")
    assert first.is_file()


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[tuple[Path, CorpusBuilder]]:
    """Make a file, and a builder that has put it into the cache."""
    path = put(tmp_path / "own" / "train.conll", *COLUMNS)
    builder = cached(FilesBuilder, tmp_path, data_dir=path.parent)
    builder.download_and_prepare()
    return path, builder


def test_unchanged_files_come_from_the_cache(prepared, tmp_path):
    path, builder = prepared
    again = cached(FilesBuilder, tmp_path, data_dir=path.parent)
    assert (again.hash, again.cache_dir) == (builder.hash, builder.cache_dir)
    again.download_and_prepare()
    assert again.split_counts == {}
    assert again.as_dataset()["train"]["sentences"][:] == [[["Ada", "won"]]]


@pytest.mark.parametrize("change", ["content", "time", "new file"])
def test_changed_files_are_read_again(prepared, tmp_path, change):
    path, builder = prepared
    if change == "content":
        put(path, "Eva\tB-PER", "won\tO", "")
    elif change == "time":
        os.utime(path, ns=(1, 1))
    else:
        put(path.with_name("test.conll"), *COLUMNS)
    changed = cached(FilesBuilder, tmp_path, data_dir=path.parent)
    assert changed.hash != builder.hash
    changed.download_and_prepare()
    assert changed.split_counts["train"]["documents"] == 1
    first = changed.as_dataset()["train"][0]["sentences"][0][0]
    assert first == ("Eva" if change == "content" else "Ada")


def test_files_are_read_again_with_another_format_or_other_options(tmp_path):
    path = put(tmp_path / "own.txt", "Ada\tPER", "Bell\tPER", "sings\tO")
    plain = cached(FilesBuilder, tmp_path, data_dir=path)
    plain.download_and_prepare()
    assert entities(plain.as_dataset()["train"][0]) == [("Ada Bell", "PER")]
    scheme = cached(FilesBuilder, tmp_path, data_dir=path, reading=ReadingOptions(scheme="iob2"))
    assert "iob2" in cause_of(scheme, tmp_path / "scheme")
    assert scheme.cache_dir != plain.cache_dir
    other = cached(FilesBuilder, tmp_path, data_dir=path, format="jsonl")
    assert other.cache_dir != plain.cache_dir
    with pytest.raises(DatasetGenerationError):
        other.download_and_prepare()


def test_a_missing_split_is_a_warning(tmp_path):
    (tmp_path / "source").mkdir()
    document = {"doc_key": "d", "sentences": [["Parsing"]], "ner": [[[0, 0, "Task"]]]}
    write_documents(tmp_path / "source" / "train.json", [typed_document(document)])
    builder = SciERCBuilder(data_dir=tmp_path / "source")
    assert set(build(builder, tmp_path)) == {"train"}
    missing = [warning for warning in warnings_of(builder) if "no file" in warning]
    assert [warning.split(":")[0] for warning in missing] == ["validation", "test"]
    assert "551 sentences, 1685 entities, 974 relations" in missing[1]


def test_a_file_whose_name_has_no_split_is_a_warning(tmp_path):
    source = tmp_path / "corpus"
    (source / "inner").mkdir(parents=True)
    for name in ("mytrain.conll", "dev.conll", "test.conll", "README.md"):
        (source / "inner" / name).write_text("Ann\tB-PER\n")
    builder = FilesBuilder(data_dir=source, format="conll")
    # The only folder in a folder is searched instead.
    assert set(build(builder, tmp_path)) == {"validation", "test"}
    assert warnings_of(builder)
    assert [Path(problem.path).name for problem in builder.report.problems] == ["mytrain.conll"]


def test_a_folder_of_several_corpora_needs_a_name(tmp_path):
    source = put_layout("crossner", tmp_path)
    with pytest.raises(PLMarkerError, match="ai, conll2003, literature"):
        FilesBuilder(data_dir=source)
    builder = FilesBuilder(data_dir=source, corpus_folder="ai")
    assert keys(build(builder, tmp_path)) == {"train": ["train-1"], "validation": ["dev-1"], "test": ["test-1"]}
    assert builder.config.name == "ai"
    assert [line.split(": ")[1] for line in builder.taken_for()] == [
        f"{split}, read as conll (words and tags in columns)" for split in ("train", "validation", "test")
    ]


def test_brat_documents_are_assigned_to_splits_if_all_their_names_contain_one(tmp_path):
    source = tmp_path / "flat"
    source.mkdir()
    for name in ("train-1", "train-2", "my_dev", "test"):
        (source / f"{name}.txt").write_text("Ann sings.")
        (source / f"{name}.ann").write_text("T1\tPER 0 3\tAnn\n")
    assert keys(build(FilesBuilder(data_dir=source, format="brat"), tmp_path)) == {
        "train": ["train-1", "train-2"],
        "validation": ["my_dev"],
        "test": ["test"],
    }
