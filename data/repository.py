"""Build dataset repositories and push them to the Hub.

A dataset repository is a folder of Parquet files with a card. `datasets.load_dataset` reads it from a local folder or
from the Hub.
"""

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
from .statistics import Statistics, collect_statistics
from .tables import unwrap_generation_errors

CARD = "README.md"
# This key of the card's metadata has the labels. It also identifies the repositories that this package built.
CARD_KEY = "plmarker"
MAX_SHARD_BYTES = 500_000_000
LOAD_LINE = re.compile(r'(load_dataset\()"[^"]*"')


def build_repository(builders: Sequence[CorpusBuilder], out: str | Path, overwrite: bool = False) -> dict[str, Any]:
    """Write a dataset repository.

    Example:
        `build_repository([Ace05Builder(data_dir="ace_2005_td_v7")], "plmarker/ace05")`

    Args:
        builders: one builder of the same corpus per configuration, such as the folds of ACE04.
        out: the folder. It appears only after it is complete.
        overwrite: if true, replace an earlier build.

    Returns:
        Values that `json.dumps` accepts: `out`; `splits`, the counts of each configuration and split; `alignment`, the
        counts of changed and omitted annotations of each configuration; and `warnings`.

    Raises:
        PLMarkerError: if the files have problems, or if `out` exists and must not be replaced. A folder that was not
            built by this function is never replaced.
    """
    out = Path(out)
    if out.exists() and not overwrite:
        raise PLMarkerError(f"{out}: this path exists already; --overwrite replaces an earlier build")
    if out.exists() and not is_repository(out):
        raise PLMarkerError(f"{out}: this folder is not an earlier build, so it is not overwritten")
    with whole_folder(out, replace=overwrite) as partial:
        statistics: dict[str, dict[str, Statistics]] = {}
        configs: list[dict[str, Any]] = []
        for builder in builders:
            config_name = builder.config.name
            datasets = _prepare_splits(builder, partial.with_name("cache"))
            statistics[config_name] = {split: collect_statistics(dataset) for split, dataset in datasets.items()}
            files = []
            for split, dataset in datasets.items():
                shards = _write_parquet(dataset, partial / config_name, split)
                files.append({"split": split, "path": [f"{config_name}/{shard}" for shard in shards]})
            configs.append({"config_name": config_name, "data_files": files, **({} if configs else {"default": True})})
        # A card may become public, and a path may be private. Only a relative path such as plmarker/ace05 is kept.
        card_name = out.as_posix() if not out.is_absolute() and len(out.parts) <= 2 else out.name
        _write_card(partial / CARD, builders, statistics, configs, card_name)
    warnings = [str(problem) for builder in builders for problem in builder.report.problems if not problem.fatal]
    return {
        "out": str(out),
        "splits": {
            config_name: {split: dict(split_statistics.counts) for split, split_statistics in splits.items()}
            for config_name, splits in statistics.items()
        },
        "alignment": {builder.config.name: dict(builder.report.counts) for builder in builders},
        "warnings": list(dict.fromkeys(warnings)),
    }


def push_repository(folder: str | Path, repo: str, public: bool = False, token: str | None = None) -> dict[str, Any]:
    """Upload a built repository to the Hub in one commit.

    Example:
        `push_repository("plmarker/ace05", "me/ace05")`

    Args:
        folder: a folder that `build_repository` wrote.
        repo: the Hub id, `owner/name`. A missing repository is created.
        public: if false, the repository must be private.
        token: a token of the Hub. None takes the token that `hf auth login` stored, or `HF_TOKEN`.

    Returns:
        Values that `json.dumps` accepts: `repo`, `private` and `url`.

    Raises:
        PLMarkerError: in these cases, in which no file is uploaded:

            - There is no token.
            - The folder was not built by `build_repository`.
            - `public` is true, but the licence of the corpus does not allow publishing it.
            - `public` is false, but the repository is public.
            - The repository has files that are not an earlier build.
    """
    folder = Path(folder)
    card = read_card(folder)
    if CARD_KEY not in card:
        raise PLMarkerError(f"{folder}: no dataset that `plmarker data build` made is in this folder")
    if public and card[CARD_KEY].get("restricted"):
        licence = card[CARD_KEY]["restricted"]
        raise PLMarkerError(f"{folder}: this dataset must not be published because of its licence: {licence}")
    if token is None and get_token() is None:
        raise PLMarkerError(f"{repo}: no token for the Hub; run `hf auth login` or set HF_TOKEN")
    api = HfApi(token=token)
    api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
    is_private = bool(api.repo_info(repo, repo_type="dataset").private)
    if not is_private and not public:
        raise PLMarkerError(f"{repo}: this repository is public, so nothing was uploaded; --public allows it")
    old_files = api.list_repo_files(repo, repo_type="dataset")
    if set(old_files) - {".gitattributes"}:
        old_card = CARD in old_files and read_card(Path(api.hf_hub_download(repo, CARD, repo_type="dataset")).parent)
        if not old_card or CARD_KEY not in old_card:
            raise PLMarkerError(f"{repo}: this repository is not an earlier build, so nothing was uploaded")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    text = LOAD_LINE.sub(rf'\g<1>"{repo}"', (folder / CARD).read_text(encoding="utf-8"))
    # A single commit ensures that every revision of the repository has the files that its card names.
    operations: list[Any] = [CommitOperationAdd(CARD, text.encode())]
    operations += [CommitOperationAdd(name, folder / name) for name in files if name not in old_files]
    operations += [CommitOperationDelete(name) for name in old_files if name.endswith(".parquet") and name not in files]
    commit = api.create_commit(repo, operations, commit_message="Upload the dataset", repo_type="dataset")
    return {"repo": repo, "private": is_private, "url": str(commit.repo_url)}


def is_repository(folder: Path) -> bool:
    """Return true if `build_repository` wrote the folder."""
    return CARD_KEY in read_card(folder)


def read_card(folder: Path) -> dict[str, Any]:
    """Return the metadata of the card in a folder. It is empty if the card is missing or invalid."""
    try:
        return DatasetCard.load(folder / CARD).data.to_dict() if (folder / CARD).is_file() else {}
    except (ValueError, YAMLError):
        return {}


def _prepare_splits(builder: CorpusBuilder, cache: Path) -> Mapping[str, Dataset]:
    # The shared cache could already contain the dataset. Then the files would not be read, and the report would be
    # empty.
    with unwrap_generation_errors():
        builder.download_and_prepare(output_dir=str(cache / builder.config.name))
    if not builder.labels.entities:
        n_documents = sum(counts["documents"] for counts in builder.split_counts.values())
        raise PLMarkerError(f"{builder.source}: zero gold entities in {n_documents} documents, expected at least one")
    return builder.as_dataset()


def _write_parquet(dataset: Dataset, folder: Path, split: str) -> list[str]:
    """Write the Parquet files of a split, and return their names.

    A name contains a hash of the content. `datasets` (5.2) chooses the cache entry of a local folder only by its card,
    which lists the names of the files. Without the hash it would return old data after a new build.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = max(1, math.ceil(dataset.data.nbytes / MAX_SHARD_BYTES))
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
    all_statistics = [split_statistics for splits in statistics.values() for split_statistics in splits.values()]
    entity_labels = {label for found in all_statistics for label in found.entity_labels}
    relation_labels = {label for found in all_statistics for label in found.relation_labels}
    # The files of a user do not define an order of labels, or which labels are symmetric.
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
