"""Dataset repositories: a folder of Parquet files and a card, which plain `load_dataset` reads, here or on the Hub."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, DatasetCard, DatasetCardData, HfApi, get_token
from yaml import YAMLError

from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from .builders import CorpusBuilder
from .card import card_text, size_category
from .files import whole_folder
from .report import own_errors
from .statistics import Statistics, collect_statistics

CARD = "README.md"
# What marks a card as one of these, and holds the labels.
CARD_KEY = "plmarker"
BYTES_OF_SHARD = 500_000_000
LOAD_LINE = re.compile(r'(load_dataset\()"[^"]*"')


def build_repository(builders: Sequence[CorpusBuilder], out: str | Path, overwrite: bool = False) -> dict[str, Any]:
    """Write a dataset repository. It appears whole or not at all.

    Args:
        builders: one for each config of the dataset, such as the folds of ACE 2004; of one corpus.
        out: the folder, such as `plmarker/ace05`.
        overwrite: replace an earlier build.

    Returns:
        JSON-ready: `out`, `splits` with their counts by config, `alignment` (what was aligned, widened or left out)
        and `warnings`.

    Raises:
        PLMarkerError: for problems in the files, listing the first ten, and for a folder that is something else.
    """
    out = Path(out)
    if out.exists() and not overwrite:
        raise PLMarkerError(f"{out}: exists; --overwrite replaces an earlier build")
    if out.exists() and not is_repository(out):
        raise PLMarkerError(f"{out}: no dataset that was built here; it is not overwritten")
    with whole_folder(out, replace=overwrite) as partial:
        statistics: dict[str, dict[str, Statistics]] = {}
        configs: list[dict[str, Any]] = []
        for builder in builders:
            name = builder.config.name
            datasets = _prepare(builder, partial.with_name("cache"))
            statistics[name] = {split: collect_statistics(dataset) for split, dataset in datasets.items()}
            files = []
            for split, dataset in datasets.items():
                shards = _write_parquet(dataset, partial / name, split)
                files.append({"split": split, "path": [f"{name}/{shard}" for shard in shards]})
            configs.append({"config_name": name, "data_files": files, **({} if configs else {"default": True})})
        # Where somebody keeps files is nobody's business: of a path only the name stands on the card.
        shown = out.as_posix() if not out.is_absolute() and len(out.parts) <= 2 else out.name
        _write_card(partial / CARD, builders, statistics, configs, shown)
    warnings = [str(problem) for builder in builders for problem in builder.report.problems if not problem.fatal]
    return {
        "out": str(out),
        "splits": {
            name: {split: dict(found.counts) for split, found in splits.items()} for name, splits in statistics.items()
        },
        "alignment": {builder.config.name: dict(builder.report.counts) for builder in builders},
        "warnings": list(dict.fromkeys(warnings)),
    }


def push_repository(folder: str | Path, repo: str, public: bool = False, token: str | None = None) -> dict[str, Any]:
    """Upload a built repository to the Hub. It is private, unless `public` says otherwise.

    Args:
        repo: `owner/name`.
        token: of the Hub; by default the one that `hf auth login` stored.

    Returns:
        JSON-ready: `repo`, `private` and `url`.

    Raises:
        PLMarkerError: without a token, for a folder that was not built here, for `public` where the licence forbids to
            publish, for a repository that is public already when `public` was not asked for, and for one that holds
            something else; nothing is uploaded then.
    """
    folder = Path(folder)
    card = read_card(folder)
    if CARD_KEY not in card:
        raise PLMarkerError(f"{folder}: no dataset that `plmarker data build` made")
    if public and card[CARD_KEY].get("restricted"):
        raise PLMarkerError(f"{folder}: not to be published, its licence is: {card[CARD_KEY]['restricted']}")
    if token is None and get_token() is None:
        raise PLMarkerError(f"{repo}: no token for the Hub; `hf auth login` stores one, HF_TOKEN gives one")
    api = HfApi(token=token)
    api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
    is_private = bool(api.repo_info(repo, repo_type="dataset").private)
    if not is_private and not public:
        raise PLMarkerError(f"{repo}: the repository is public; nothing was uploaded (--public, if that is meant)")
    there = api.list_repo_files(repo, repo_type="dataset")
    if set(there) - {".gitattributes"}:
        known = CARD in there and read_card(Path(api.hf_hub_download(repo, CARD, repo_type="dataset")).parent)
        if not known or CARD_KEY not in known:
            raise PLMarkerError(f"{repo}: holds something that was not built here; nothing was uploaded")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    text = LOAD_LINE.sub(rf'\g<1>"{repo}"', (folder / CARD).read_text(encoding="utf-8"))
    # One commit, so that no state of the repository has a card whose files are not there.
    operations: list[Any] = [CommitOperationAdd(CARD, text.encode())]
    operations += [CommitOperationAdd(name, folder / name) for name in files if name not in there]
    operations += [CommitOperationDelete(name) for name in there if name.endswith(".parquet") and name not in files]
    commit = api.create_commit(repo, operations, commit_message="Upload the dataset", repo_type="dataset")
    return {"repo": repo, "private": is_private, "url": str(commit.repo_url)}


def is_repository(folder: Path) -> bool:
    """Whether a folder was made by `build_repository`."""
    return CARD_KEY in read_card(folder)


def read_card(folder: Path) -> dict[str, Any]:
    """The metadata of a folder's card; empty where there is none that can be read."""
    try:
        return DatasetCard.load(folder / CARD).data.to_dict() if (folder / CARD).is_file() else {}
    except (ValueError, YAMLError):
        return {}


def _prepare(builder: CorpusBuilder, cache: Path) -> Mapping[str, Dataset]:
    # A place of its own: what is built is what lies there now, and its report is told.
    with own_errors():
        builder.download_and_prepare(output_dir=str(cache / builder.config.name))
    return builder.as_dataset()


def _write_parquet(dataset: Dataset, folder: Path, split: str) -> list[str]:
    """Write the files of a split, and return their names, which tell their contents apart.

    What datasets (5.2) takes from its cache is told by the card alone, not by the folder or its files: under equal
    names a folder that was built anew would be read as it was before, and so would another one of the same name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = max(1, math.ceil(dataset.data.nbytes / BYTES_OF_SHARD))
    names = []
    for number in range(count):
        shard = dataset.shard(count, number, contiguous=True) if count > 1 else dataset
        path = folder / "shard"
        shard.to_parquet(path)
        digest = hashlib.sha256()
        with path.open("rb") as file:
            for block in iter(lambda: file.read(2**20), b""):
                digest.update(block)
        names.append(f"{split}-{number:05d}-of-{count:05d}-{digest.hexdigest()[:16]}.parquet")
        path.rename(folder / names[-1])
    return names


def _write_card(
    path: Path,
    builders: Sequence[CorpusBuilder],
    statistics: Mapping[str, Mapping[str, Statistics]],
    configs: list[dict[str, Any]],
    name: str,
) -> None:
    corpus = builders[0].corpus
    entity_labels = {label for splits in statistics.values() for s in splits.values() for label in s.entity_labels}
    relation_labels = {label for splits in statistics.values() for s in splits.values() for label in s.relation_labels}
    # A corpus of one's own has no order of labels, and does not say which are symmetric.
    schema = corpus.schema or LabelSchema(tuple(sorted(entity_labels)), tuple(sorted(relation_labels)))
    n_documents = sum(found.counts["documents"] for found in next(iter(statistics.values())).values())
    data = DatasetCardData(
        language=[corpus.language],
        license=corpus.license_id,
        pretty_name=corpus.title,
        task_categories=["token-classification"],
        task_ids=["named-entity-recognition"],
        tags=["plmarker", "named-entity-recognition", *(["relation-extraction"] if schema.relation_labels else [])],
        size_categories=[size_category(n_documents)],
        configs=configs,
    )
    if corpus.license_id == "other":
        data["license_name"], data["license_link"] = "see-text", corpus.homepage
    data[CARD_KEY] = {**schema.to_dict(), **({"restricted": corpus.license} if corpus.restricted else {})}
    text = card_text(corpus, builders, statistics, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{text}").save(path)
