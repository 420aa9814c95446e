"""`plmarker evaluate MODEL ...`: the Ent / Rel / Rel+ table of a split."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..data.documents import raw_document, write_documents
from ..data.extractions import annotated_extraction
from ..data.files import whole_file
from ..modeling.schema_plmarker import PLMarkerError
from ..reports.evaluation import evaluation_page
from ..reports.page import documents_page
from .options import model_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    model_options(parser)
    parser.add_argument(
        "model", nargs="+", help="a Hub id or a folder; or two, for an entity model and a relation model"
    )
    parser.add_argument("--dataset", required=True, help="a Hub id, a folder, a file, or sample")
    parser.add_argument("--split", default="test", help="(%(default)s)")
    parser.add_argument(
        "--entity_types",
        choices=("relation", "input"),
        help="whose entity types Rel+ compares: the relation model's or those of the given entities (by default the "
        "choice that was saved with the model)",
    )
    parser.add_argument(
        "--given_entities",
        action="store_true",
        help="relations between the documents' own predicted_ner, not between those that the entity model finds",
    )
    parser.add_argument(
        "--candidates_from", metavar="MODEL", help="an entity model; only its likeliest spans are scored"
    )
    parser.add_argument("--max_candidates", type=int, help="how many of them in a sentence (256)")
    parser.add_argument(
        "--predictions", metavar="FOLDER", help="write ent_pred_SPLIT.json and pred_results.json, as the original does"
    )
    parser.add_argument(
        "--report", metavar="FOLDER", help="write pages: figures, errors and charts, and all sentences beside gold"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Any:
    """Evaluate, print figures and errors, and return the figures."""
    from ..data.loading import load_split
    from ..modeling.windows_plmarker import WordTokenizer
    from ..original.results import write_relation_results
    from ..trainers.candidates import MAX_CANDIDATES, predict_candidates
    from ..trainers.evaluation import evaluate_documents
    from ..trainers.report import constraints_table, errors_table, false_relations_table, figures_table, pruner_line
    from .models import load_models

    models = load_models(options.model, options.device, options.compat, options.dtype)
    documents: Any = load_split(options.dataset, options.split, models.parts[-1].config.schema)
    if options.candidates_from:
        first = load_models([options.candidates_from], options.device, options.compat, options.dtype)
        if models.entity is None or first.entity is None or models.entity.config.method == "bio":
            raise PLMarkerError("--candidates_from takes an entity model, and restricts one that scores spans")
        tokenize = WordTokenizer(first.tokenizer)
        documents = list(
            predict_candidates(
                first.entity,
                tokenize,
                documents,
                MAX_CANDIDATES if options.max_candidates is None else options.max_candidates,
                options.batch_tokens,
            )
        )
    if options.given_entities and any(document.get("predicted_ner") is None for document in documents):
        raise PLMarkerError(f"{options.dataset}: --given_entities needs predicted_ner in every document")
    result = evaluate_documents(
        documents,
        models.tokenizer,
        None if options.given_entities else models.entity,
        models.relation,
        options.entity_types,
        options.batch_tokens,
        show_progress=sys.stderr.isatty(),
        unpruned=True,
        cooccurrence=True,
    )
    for task, coverage in result.coverage.items():
        print(f"{options.dataset}, {options.split}, {task}: {coverage}")
    if options.predictions:
        folder = Path(options.predictions)
        if result.documents and result.documents[0]["predicted_ner"] is not None:
            write_documents(folder / f"ent_pred_{options.split}.json", result.documents)
        if models.relation is not None:
            write_relation_results(folder / "pred_results.json", result.documents)
    names = " and ".join(options.model)
    if options.report:
        write_report(Path(options.report), result, f"{names} on {options.dataset}, {options.split}")
    print(f"{names} on {options.dataset}, {options.split}: {len(documents)} documents, in percent\n")
    print(figures_table(result.metrics))
    if pruner_line(result.metrics):
        print("\n" + pruner_line(result.metrics))
    results: dict[str, Any] = dict(result.metrics)
    if result.excluded is not None:
        print("\n" + constraints_table(result.constraints, result.metrics))
        print("\n".join(["", *result.excluded.lines()]).rstrip())
        changes = {source: {"by_label": found.rows(), **found.added} for source, found in result.constraints.items()}
        results["constraints"] = {"excluded_gold": result.excluded.to_dict(), **changes}
    if result.false_relations:
        print("\n" + false_relations_table(result.false_relations))
        results["false_relations"] = {f"{k}, {s}": found.to_dict() for (k, s), found in result.false_relations.items()}
    print("\n" + errors_table(result.errors))
    return results


def write_report(folder: Path, result: Any, title: str) -> None:
    """Write the pages of an evaluation."""
    gold, found = {}, []
    for document in result.documents:
        raw = raw_document(document)
        gold[str(raw["doc_key"])] = annotated_extraction(raw)
        predicted = {"ner": raw.get("predicted_ner"), "relations": raw.get("predicted_relations")}
        if predicted["ner"] is None:
            # The relations join gold entities then.
            predicted["ner"] = raw.get("ner")
        found.append(annotated_extraction({**raw, **predicted}))
    with whole_file(folder / "documents.html") as file:
        file.write(documents_page(found, title, gold))
    with whole_file(folder / "index.html") as file:
        file.write(evaluation_page(result.metrics, result.errors, result.documents, title))
    print(f"{folder / 'index.html'}: the report\n")
