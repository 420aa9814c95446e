"""Dataset repositories: a folder of Parquet files and a card, which plain `load_dataset` reads, here or on the Hub."""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.exceptions import DatasetGenerationError
from huggingface_hub import DatasetCard, DatasetCardData, HfApi

from ..modeling.schema_plmarker import LabelSchema, PLMarkerError
from .builders import CorpusBuilder
from .card import card_text, size_category
from .statistics import Statistics, collect_statistics

CARD = "README.md"
# What marks a card as one of these, and holds the labels.
CARD_KEY = "plmarker"
BYTES_OF_SHARD = 500_000_000


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
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
        partial = Path(temporary) / "repository"
        statistics: dict[str, dict[str, Statistics]] = {}
        configs: list[dict[str, Any]] = []
        for builder in builders:
            name = builder.config.name
            datasets = _prepare(builder, Path(temporary) / "cache")
            statistics[name] = {split: collect_statistics(dataset) for split, dataset in datasets.items()}
            folder = "data" if len(builders) == 1 else name
            files = []
            for split, dataset in datasets.items():
                shards = _write_parquet(dataset, partial / folder, split)
                files.append({"split": split, "path": [f"{folder}/{shard}" for shard in shards]})
            configs.append({"config_name": name, "data_files": files, **({} if configs else {"default": True})})
        _write_card(partial / CARD, builders, statistics, configs, str(out))
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
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
        JSON-ready: `repo`, `private`, `url`, and `license` where it forbids to publish what is public now.

    Raises:
        PLMarkerError: for a folder that was not built here, and for a repository that is public already when
            `public` was not asked for; nothing is uploaded then.
    """
    folder = Path(folder)
    if not is_repository(folder):
        raise PLMarkerError(f"{folder}: no dataset that `plmarker data build` made")
    metadata = DatasetCard.load(folder / CARD).data.to_dict()
    api = HfApi(token=token)
    api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
    is_private = bool(api.repo_info(repo, repo_type="dataset").private)
    if not is_private and not public:
        raise PLMarkerError(f"{repo}: the repository is public; nothing was uploaded (--public, if that is meant)")
    url = api.upload_folder(
        repo_id=repo,
        repo_type="dataset",
        folder_path=folder,
        allow_patterns=[CARD, "*.parquet"],
        # Of an earlier build.
        delete_patterns=["*.parquet"],
        commit_message="Upload the dataset",
    )
    restricted = metadata[CARD_KEY].get("restricted") if not is_private else None
    return {"repo": repo, "private": is_private, "url": str(url), **({"license": restricted} if restricted else {})}


def is_repository(folder: Path) -> bool:
    """Whether a folder was made by `build_repository`."""
    return CARD_KEY in read_card(folder)


def read_card(folder: Path) -> dict[str, Any]:
    """The metadata of a folder's card; empty where there is none that can be read."""
    try:
        return DatasetCard.load(folder / CARD).data.to_dict() if (folder / CARD).is_file() else {}
    except ValueError:
        return {}


def _prepare(builder: CorpusBuilder, cache: Path) -> Mapping[str, Dataset]:
    # A cache of its own: what is built is what lies there now, and its report is told.
    builder._cache_dir_root = str(cache)
    try:
        builder.download_and_prepare(output_dir=str(cache / builder.config.name))
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, PLMarkerError):
            raise error.__cause__ from None
        raise
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
    data[CARD_KEY] = {**schema.to_dict(), **({"restricted": corpus.license} if corpus.restricted else {})}
    text = card_text(corpus, builders, statistics, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{text}").save(path)
