"""`plmarker evaluate MODEL ...`: the Ent / Rel / Rel+ table of a split."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.documents import raw_document, write_documents
from ..data.extractions import annotated_extraction
from ..data.files import whole_file
from ..modeling.schema_plmarker import PLMarkerError
from ..reports.evaluation import evaluation_page
from ..reports.page import documents_page
from .options import Dataset, ModelOptions, must_exist, needs, one_of, without_effect


def evaluate(
    context: typer.Context,
    model: Annotated[
        list[str],
        typer.Argument(metavar="MODEL", help="A Hub id or a folder; or two, for an entity model and a relation model."),
    ],
    dataset: Dataset,
    options: ModelOptions,
    split: Annotated[str, typer.Option(help="The split to evaluate on.")] = "test",
    entity_types: Annotated[
        str | None,
        one_of(
            "--entity_types",
            ("relation", "input"),
            "Whose entity types Rel+ compares: the relation model's or those of the given entities. By default the "
            "choice that was saved with the model.",
        ),
    ] = None,
    given_entities: Annotated[
        bool,
        typer.Option(
            "--given_entities",
            help="Find relations between the documents' own predicted_ner, not between the entities that the entity "
            "model finds.",
        ),
    ] = False,
    candidates_from: Annotated[
        str | None,
        typer.Option(
            "--candidates_from", metavar="MODEL", help="An entity model; only its likeliest spans are scored."
        ),
    ] = None,
    max_candidates: Annotated[
        int | None,
        typer.Option("--max_candidates", metavar="N", help="How many of them in a sentence, by default 256."),
    ] = None,
    joined_sentences: Annotated[
        int,
        typer.Option(
            "--joined_sentences",
            metavar="N",
            min=0,
            help="Make so many sentences, each of two unrelated ones, and count the false relations across the border.",
        ),
    ] = 0,
    predictions: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Write ent_pred_SPLIT.json and pred_results.json, as the original does."),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Write pages: figures, errors and charts, and all sentences beside gold."),
    ] = None,
) -> Any:
    """Compute the Ent / Rel / Rel+ table of a split."""
    needs(context, "--candidates_from", candidates_from is not None, "max_candidates")
    without_effect(context, "--given_entities", given_entities, "candidates_from")
    must_exist(*model, dataset)
    from ..data.loading import load_split
    from ..modeling.windows_plmarker import WordTokenizer
    from ..original.results import write_relation_results
    from ..trainers.candidates import MAX_CANDIDATES, predict_candidates
    from ..trainers.evaluation import evaluate_documents
    from ..trainers.report import constraints_tables, errors_tables, false_relations_table, figures_tables, pruner_line
    from .models import load_models
    from .quiet import quiet_models
    from .tables import print_tables

    context.with_resource(quiet_models())

    models = load_models(model, options.device, options.compat, options.dtype)
    of_relations = ("entity_types", "given_entities", "joined_sentences")
    needs(context, "a relation model", models.relation is not None, *of_relations)
    documents: Any = load_split(dataset, split, models.parts[-1].config.schema)
    if candidates_from:
        first = load_models([candidates_from], options.device, options.compat, options.dtype)
        if models.entity is None or first.entity is None or models.entity.config.method == "bio":
            raise PLMarkerError("--candidates_from takes an entity model, and restricts one that scores spans")
        tokenize = WordTokenizer(first.tokenizer)
        documents = list(
            predict_candidates(
                first.entity,
                tokenize,
                documents,
                MAX_CANDIDATES if max_candidates is None else max_candidates,
                options.batch_tokens,
            )
        )
    if given_entities and any(document.get("predicted_ner") is None for document in documents):
        raise PLMarkerError(f"{dataset}: --given_entities needs predicted_ner in every document")
    result = evaluate_documents(
        documents,
        models.tokenizer,
        None if given_entities else models.entity,
        models.relation,
        entity_types,
        options.batch_tokens,
        show_progress=sys.stderr.isatty(),
        unpruned=True,
        joined_sentences=joined_sentences,
    )
    for task, coverage in result.coverage.items():
        print(f"{dataset}, {split}, {task}: {coverage}")
    if predictions:
        folder = Path(predictions)
        if result.documents and result.documents[0]["predicted_ner"] is not None:
            write_documents(folder / f"ent_pred_{split}.json", result.documents)
        if models.relation is not None:
            write_relation_results(folder / "pred_results.json", result.documents)
    names = " and ".join(model)
    if report:
        write_report(Path(report), result, f"{names} on {dataset}, {split}")
    print(f"{names} on {dataset}, {split}: {len(documents)} documents, in percent\n")
    print_tables(figures_tables(result.metrics))
    if pruner_line(result.metrics):
        print("\n" + pruner_line(result.metrics))
    results: dict[str, Any] = dict(result.metrics)
    if result.excluded is not None:
        print()
        print_tables(constraints_tables(result.constraints, result.metrics))
        print("\n".join(["", *result.excluded.lines()]).rstrip())
        changes = {source: {"by_label": found.rows(), **found.added} for source, found in result.constraints.items()}
        results["constraints"] = {"excluded_gold": result.excluded.to_dict(), **changes}
    if result.false_relations:
        print()
        print_tables([false_relations_table(result.false_relations)])
        results["false_relations"] = {f"{k}, {s}": found.to_dict() for (k, s), found in result.false_relations.items()}
    print()
    print_tables(errors_tables(result.errors))
    return results


def write_report(folder: Path, result: Any, title: str) -> None:
    """Write the pages of an evaluation."""
    from ..trainers.findings import scores_of
    from ..trainers.report import constraints_tables, false_relations_table

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
    scores = {name: scores_of(findings) for name, findings in result.findings.items()}
    tables = constraints_tables(result.constraints, result.metrics)
    if result.false_relations:
        tables.append(false_relations_table(result.false_relations))
    more = [table.to_page() for table in tables]
    with whole_file(folder / "index.html") as file:
        file.write(evaluation_page(result.metrics, result.errors, result.documents, title, scores, more))
    print(f"{folder / 'index.html'}: the report\n")
