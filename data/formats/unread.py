"""Files that no reader takes, by what shows them: what such a file is, and what to do with it."""

from __future__ import annotations

import re
from pathlib import Path

from ..files import has_ending, partner
from .genia import is_genia
from .json_entries import first_keys

JSON_ENDINGS = (".json", ".jsonl", ".jsonlines")
# ACE is read from files like these.
MARKUP_THAT_IS_READ = (".sgm", ".apf.xml")
CHEMPROT = "a table of ChemProt or DrugProt: write its texts and annotations as .txt and .ann files (brat)"
BIONLP = "a text of BioNLP's shared tasks: join the .a1 and .a2 file of each text into one .ann file (brat)"
WEBANNO = "INCEpTION and WebAnno also export WebAnno TSV 3, which is read"

# What a file begins with.
FIRST_BYTES = (
    (rb"\d+\t\"[^\n]*<e1>", "SemEval-2010 task 8, which has one relation a sentence and not all entities of it"),
    (
        rb"\d+\|[^\n|]+\|[^\n|]+\|\d+\|\d+\|",
        "the corpus ADE, which has one relation a row: its form in SpERT's JSON is read",
    ),
    (rb"\d+\t(?:T\d+\t[A-Z-]+\t\d+\t\d+|CPR:\d+|[A-Z-]+\tArg1:T\d+)\t", CHEMPROT),
    (rb"\xff\xfe|\xfe\xff|\0\0\xfe\xff", "text in UTF-16 or UTF-32: save it as UTF-8"),
    (
        rb"PK\x03\x04|\x1f\x8b|BZh|7z\xbc\xaf|\xfd7zXZ",
        "an archive: unpack it; `plmarker data build` takes some archives as they are",
    ),
    # PAR1 is also a gene, whose name may begin a text.
    (
        rb"PAR1[\x00-\x08\x0e-\x1f]|ARROW1\x00",
        "Parquet or Arrow: `load_documents` and `datasets.load_dataset` take the folder of such files",
    ),
    (rb"#FORMAT=WebAnno TSV [12]", "WebAnno TSV 1 or 2: version 3 is read"),
)
# What a file begins with that begins with "<".
FIRST_MARKUP = (
    (rb"(?s).*<xmi:XMI", f"XMI of UIMA: {WEBANNO}"),
    (rb"(?s).*<collection", "BioC XML: PubTator is read, so take the PubTator files of the corpus"),
    (
        rb"(?i)\s*(?:<!DOCTYPE html|<html|<head|<body)",
        "a page of HTML: the annotations of an export are in other files",
    ),
    (
        rb"(?s).*<(?:ENAMEX|NUMEX|TIMEX) TYPE=",
        "text with entities as markup (MUC): brat, columns or JSON are read",
    ),
    (
        rb"(?s)\s*(?:\xef\xbb\xbf)?<\?xml|\s*<!DOCTYPE",
        "XML, which is read only from ACE and GENIA: brat or JSON are read",
    ),
)
NAMED_BY_TEXT = "a form whose entities are named by their text, without a place; SciER has its places in the folder PLM"
# The keys of the first object of a JSON file.
FIRST_KEYS = (
    ({"%FEATURE_STRUCTURES"}, f"JSON of UIMA: {WEBANNO}"),
    ({"_context", "_views"}, f"JSON of UIMA: {WEBANNO}"),
    ({"sentence", "ner", "doc_id"}, NAMED_BY_TEXT),
    ({"context", "query"}, "questions and answers (MRC), one entity type each: take the corpus before that change"),
    ({"context", "span_position"}, "questions and answers (MRC): take the corpus before that change"),
    ({"vertexSet", "sents"}, "DocRED, whose relations join clusters of mentions and no spans"),
    ({"token", "subj_start"}, "TACRED, which has one relation a row and not all entities of a sentence"),
    ({"token", "h", "t"}, "FewRel or Wiki80, which have one relation a row and not all entities of a sentence"),
    (
        {"paragraphs"},
        "JSON of spaCy 2 or SQuAD: `python -m spacy convert` makes a .spacy file, which is read",
    ),
    ({"words", "sentences", "n_ary_relations"}, "SciREX, whose sentences are places and whose relations join clusters"),
    ({"documents", "source"}, "BioC JSON: PubTator is read, so take the PubTator files of the corpus"),
    ({"sentText"}, "the JSON of NYT, or of UniRE: if its entities have places, write them as SpERT's JSON"),
    ({"triple_list"}, "triples: entities and relations are named by their text, without a place"),
    ({"sentence", "ner", "rel"}, NAMED_BY_TEXT),
    ({"sentence", "ner"}, "the form of W2NER, whose entities are lists of words: write 'tokens' and a tag for each"),
    ({"input", "output"}, "training data of GLiNER2, whose entities have no place: write 'text' and 'entities'"),
    ({"PubTator3"}, "BioC JSON: PubTator is read, so take the PubTator files of the corpus"),
    ({"Entities", "File"}, "the output of Amazon Comprehend, which does not have the text"),
    ({"documentName", "document", "tokens"}, "the JSON of UBIAI: its exports for spaCy and with IOB tags are read"),
    ({"example_id", "content"}, "the JSON of LightTag: write 'text' and 'entities' with 'start', 'end' and 'label'"),
    ({"examples", "relations"}, "the JSON of LightTag: write 'text' and 'entities' with 'start', 'end' and 'label'"),
    ({"annotatable", "anncomplete"}, "the annotations of tagtog, which do not have the text"),
)
# The keys of a file that holds all splits of a corpus.
SPLIT_KEYS = {"train", "dev", "valid", "validation", "test"}
# Files that name the labels of a corpus lie beside its splits.
LABELS_NAME = re.compile(r"(.*[-_.])?(types|labels|tags|classes|schema|label2id|id2label)\.(json|txt)", re.IGNORECASE)


def unread_kind(path: Path) -> str | None:
    """What a file is that no reader takes, with what to do; None for all others.

    Example:
        `unread_kind(Path("CDR_TrainingSet.BioC.xml"))` begins with "BioC XML".

    Args:
        path: an existing file. Its first bytes, or the keys of its first JSON object, decide.
    """
    if not path.is_file() or has_ending(path, MARKUP_THAT_IS_READ) or is_genia(path):
        return None
    has_text = has_ending(path, ".txt") and not partner(path, ".txt", ".ann").is_file()
    if has_text and partner(path, ".txt", ".a1").is_file():
        return BIONLP
    if has_ending(path, "_abstracts.tsv") and partner(path, "_abstracts.tsv", "_entities.tsv").is_file():
        return CHEMPROT
    with path.open("rb") as file:
        start = file.read(2000)
    if has_ending(path, ".gz") and start.startswith(b"\x1f\x8b") and has_ending(path.stem, JSON_ENDINGS):
        return None
    is_markup = start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")
    for pattern, kind in FIRST_MARKUP if is_markup else FIRST_BYTES:
        if re.match(pattern, start):
            return kind
    if has_ending(path, JSON_ENDINGS):
        keys = first_keys(path)
        if keys and keys <= SPLIT_KEYS:
            return (
                f"one object with the splits {', '.join(sorted(keys))}: write the list of each into a file of its own"
            )
        return next((kind for wanted, kind in FIRST_KEYS if wanted <= keys), None)
    return None
