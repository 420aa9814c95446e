"""The splits of a corpus that is a folder, as it was published."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...modeling.schema_plmarker import PLMarkerError
from ..files import has_ending, is_hidden
from .unread import LABELS_NAME, unread_kind

# The name of a file or folder is assigned to a split if it contains one of these words, perhaps with "set" behind it.
SPLIT_WORDS = {
    "train": "train|training",
    # BC5CDR has "devel", NCBI "developset", CoNLL-2003 "testa" and "testb".
    "validation": "validation|valid|val|dev|devel|developset|development|testa",
    "test": "test|testb",
}
# Files that describe a corpus lie beside its splits, and are no data.
DESCRIPTION = re.compile(
    r"(readme|licen[cs]e|copying|notice|citation|changelog)([-_].*)?(\.txt)?"
    r"|requirements([-_](dev|test|docs))?\.(txt|in)"
    r"|.*\.(md|rst|pdf|html|py|sh|png|ya?ml|toml|cfg|ini|bib|cff)",
    re.IGNORECASE,
)
# "TrainingSet" and "NCBItrainset" have two words.
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z]{2})(?=train|dev|test)")


@dataclass
class CorpusFolder:
    """The splits of one corpus.

    Args:
        splits: split -> its files or folders. `train`, `validation` and `test`; others by their own names.
        left_out: files and folders that are in no split, with the reason.
        overlapping: files and folders of `splits` whose documents may also be in another split, with the reason.
    """

    splits: dict[str, list[Path]] = field(default_factory=dict)
    left_out: dict[Path, str] = field(default_factory=dict)
    overlapping: dict[Path, str] = field(default_factory=dict)


def split_words(name: str) -> list[str]:
    """The splits for which the name of a file or folder contains a word.

    Example:
        >>> [split_words(name) for name in ("CDR_TrainingSet.txt", "train_dev.tsv", "latest.conll")]
        [['train'], ['train', 'validation'], []]
    """
    name = CAMEL.sub("_", name)
    return [split for split, words in SPLIT_WORDS.items() if _pattern(words).search(name)]


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z])(?:{words})(?:set)?(?![a-z])", re.IGNORECASE)


def joined_splits(paths: Iterable[Path]) -> tuple[dict[Path, str], dict[Path, str]]:
    """The files and folders of one folder that join splits, and have one of these splits beside them.

    Returns:
        Those that repeat the first of their splits, and the others, which take the place of it. Each has a reason.

    Example:
        >>> joined_splits([Path("train_dev.tsv"), Path("dev.tsv")])[1].values()
        dict_values(['it joins the splits train and validation, and validation is beside it: documents may be in both'])
    """
    splits = {path: split_words(path.name) for path in paths}
    single = {words[0] for words in splits.values() if len(words) == 1}
    repeating, overlapping = {}, {}
    for path, words in splits.items():
        if len(words) < 2:
            continue
        reason = f"it joins the splits {' and '.join(words)}"
        beside = [split for split in words if split in single]
        if words[0] in single:
            repeating[path] = reason
        elif beside:
            overlapping[path] = f"{reason}, and {' and '.join(beside)} is beside it: documents may be in both"
    return repeating, overlapping


def same_corpus(path: Path) -> list[Path]:
    """A folder with those beside it that are other splits of its corpus, that of training first. A file is alone.

    The names of splits of one corpus differ in the word for the split alone.
    """
    if not (path.is_dir() and split_words(path.name)):
        return [path]
    rest = _without_split(path.name)
    try:
        beside = [other for other in path.absolute().parent.iterdir() if split_words(other.name)]
    except OSError:
        return [path]
    found = [other for other in beside if other.is_dir() and _without_split(other.name) == rest]
    return sorted(found, key=lambda other: ("train" not in split_words(other.name), other.name))


def _without_split(name: str) -> str:
    """A name without the words for splits."""
    return _pattern("|".join(SPLIT_WORDS.values())).sub("", CAMEL.sub("_", name))


def visible_entries(folder: Path) -> list[Path]:
    """The entries of a folder without hidden ones and without files that describe the corpus."""
    entries = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    return [path for path in entries if path.is_dir() or not DESCRIPTION.fullmatch(path.name)]


def find_corpora(source: Path, takes: Callable[[Path], bool]) -> dict[str, CorpusFolder]:
    """Find the splits of a folder, or those of each folder in it that is a corpus by itself.

    Args:
        source: the folder.
        takes: whether the wanted format can have a file. It decides where several files could be a split.

    Returns:
        name -> corpus. A folder that is one corpus has the name "". A corpus without splits is empty.

    Raises:
        PLMarkerError: if two files could be the same split.
    """
    entries = visible_entries(source)
    # The files of an archive are often inside a single folder.
    while len(entries) == 1 and entries[0].is_dir() and not split_words(entries[0].name):
        entries = visible_entries(entries[0])
    inner: dict[str, CorpusFolder] = {}
    # Forms of the corpus that no reader takes.
    unread: dict[Path, str] = {}
    folders = [path for path in entries if path.is_dir() and not split_words(path.name)]
    if not any("train" in split_words(path.name) for path in entries):
        for folder in folders:
            for name, corpus in find_corpora(folder, takes).items():
                if corpus.splits:
                    inner["_".join(filter(None, (folder.name, name)))] = corpus
                elif kinds := [why for why in corpus.left_out.values() if why.startswith("this is")]:
                    unread[folder] = kinds[0]
    # Vectors of words and the like are often in folders beside the corpus, under the names of its splits.
    unreadable = [name for name, corpus in inner.items() if not _is_readable(corpus, takes)]
    for name in unreadable if len(unreadable) < len(inner) else ():
        paths = [path for found in inner.pop(name).splits.values() for path in found]
        unread |= dict.fromkeys(sorted(paths), "its ending is not known")
    for corpus in inner.values():
        corpus.left_out |= unread
    if len(inner) == 1:
        inner = {"": next(iter(inner.values()))}
    return inner or {"": _splits_of(source, entries, takes)}


def _is_readable(corpus: CorpusFolder, takes: Callable[[Path], bool]) -> bool:
    """Whether a split of a corpus is a folder or a file that the wanted format can have."""
    return any(path.is_dir() or not path.suffix or takes(path) for paths in corpus.splits.values() for path in paths)


def _splits_of(source: Path, entries: list[Path], takes: Callable[[Path], bool]) -> CorpusFolder:
    """The splits of one folder."""
    annotations = [path for path in entries if has_ending(path, ".ann")]
    if annotations:
        # Each brat file is a document, so a word such as "test" may be part of a title. The names are only trusted if
        # all of them name a split.
        words = {path: split_words(path.name) for path in annotations}
        by_split = {split: [path for path in annotations if split in words[path]] for split in SPLIT_WORDS}
        if not by_split["train"] or any(len(found) != 1 for found in words.values()):
            return CorpusFolder()
        others = [path for path in entries if not has_ending(path, (".ann", ".txt")) and takes(path)]
        left_out = dict.fromkeys(others, "this folder is read as brat")
        return CorpusFolder({split: paths for split, paths in by_split.items() if paths}, left_out)
    corpus = CorpusFolder()
    candidates: dict[str, list[Path]] = {split: [] for split in SPLIT_WORDS}
    unions: list[Path] = []
    for path in entries:
        found = split_words(path.name)
        if LABELS_NAME.fullmatch(path.name):
            corpus.left_out[path] = "it names the labels"
        elif not found:
            corpus.left_out[path] = "its name has no word for a split, expected train, dev or test"
        elif kind := unread_kind(path):
            corpus.left_out[path] = f"this is {kind}"
        elif len(found) > 1:
            unions.append(path)
        else:
            candidates[found[0]].append(path)
    repeating, corpus.overlapping = joined_splits([*unions, *(path for paths in candidates.values() for path in paths)])
    corpus.left_out |= repeating
    for path in unions:
        if path not in repeating:
            candidates[split_words(path.name)[0]].append(path)
    for split, paths in candidates.items():
        found_splits = _of_one_split(source, split, paths, takes)
        corpus.splits |= found_splits
        passed = set(paths).difference(*found_splits.values())
        corpus.left_out |= dict.fromkeys(sorted(passed), f"another file is {split}, and its ending is not known")
    if not corpus.splits:
        # All files without a word for a split are train.
        corpus.left_out = {path: why for path, why in corpus.left_out.items() if "no word" not in why}
    return corpus


def _of_one_split(source: Path, split: str, paths: list[Path], takes: Callable[[Path], bool]) -> dict[str, list[Path]]:
    """The file of a split. Files with a longer name, such as `test_ood.jsonl`, are splits by themselves.

    Raises:
        PLMarkerError: if no name is the beginning of the others.
    """
    if len(paths) > 1:
        paths = [path for path in paths if path.is_dir() or takes(path)] or paths
    if len(paths) < 2:
        return {split: paths} if paths else {}
    main, *others = sorted(paths, key=lambda path: (len(path.stem), path.name))
    for other in others:
        if not re.match(re.escape(main.stem) + r"[-_.]\w", other.stem):
            names = " and ".join(path.name for path in sorted(paths))
            raise PLMarkerError(f"{source}: {names} both belong to the split {split!r}, expected one file per split")
    found = {split: [main]}
    for other in others:
        name = re.sub(r"\W+", "_", other.stem)
        if name in found:
            names = f"{found[name][0].name} and {other.name}"
            raise PLMarkerError(f"{source}: {names} both belong to the split {name!r}, expected one file per split")
        found[name] = [other]
    return found
