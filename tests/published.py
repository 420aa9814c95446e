"""Small corpora of made-up text in the layouts of published ones: name of the layout -> path -> text of the file."""

import json
from pathlib import Path
from typing import Any

WORDS = ["Ada", "Bell", "runs", "Acme", "."]
ROWS = "Ada\t{0}B-PER\nBell\t{0}I-PER\nruns\t{0}O\nAcme\t{0}B-ORG\n.\t{0}O\n\n"


def spert(number: int) -> dict[str, Any]:
    return {
        "tokens": WORDS,
        "entities": [{"type": "Peop", "start": 0, "end": 2}, {"type": "Org", "start": 3, "end": 4}],
        "relations": [{"type": "Work_For", "head": 0, "tail": 1}],
        "orig_id": number,
    }


def dygie(name: str, **keys: Any) -> str:
    ner = [[[0, 1, "Method"], [3, 3, "Task"]]]
    return lines({keys.pop("key", "doc_id"): name, "sentences": [WORDS], keys.pop("ner", "ner"): ner, **keys})


def lines(*entries: Any) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def mention(start: int, end: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"{kind}-{start}",
        "start": start,
        "end": end,
        "entity_type": kind,
        "text": " ".join(WORDS[start:end]),
    }


ARGUMENTS = [{"entity_id": "protein-0", "role": "Arg-1"}, {"entity_id": "DNA-3", "role": "Arg-2"}]
ONE_IE = {
    "doc_id": "d",
    "sent_id": "d-1",
    "tokens": WORDS,
    "entity_mentions": [mention(0, 2, "protein"), mention(1, 2, "protein"), mention(3, 4, "DNA")],
    "relation_mentions": [{"id": "r", "relation_type": "BINDS", "arguments": ARGUMENTS}],
}
PUBTATOR = (
    "{0}|t|Ada cures gout.\n{0}|a|Bell has gout.\n{0}\t0\t3\tAda\tChemical\tD1\n{0}\t10\t14\tgout\tDisease\tD2\n"
    "{0}\t25\t29\tgout\tDisease\tD2\n{0}\tCID\tD1\tD2\n\n"
)
BRAT = {
    "txt": "Ada Bell runs Acme.\n",
    "ann": "T1\tTask 0 8\tAda Bell\nT2\tMaterial 14 18\tAcme\n*\tSynonym-of T1 T2\n",
}
CONLLU = """\
# newdoc id = GUM_news_one
# global.Entity = GRP-etype-infstat-link
# sent_id = GUM_news_one-1
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t0\troot\t_\t_
2\tn't\tnot\tPART\tRB\t_\t1\tadvmod\t_\t_
3\tthe\tthe\tDET\tDT\t_\t4\tdet\t_\tEntity=(2-event-new-coref(1-place-giv-coref
4\tisland\tisland\tNOUN\tNN\t_\t1\tobj\t_\tEntity=1)
5\tgames\tgame\tNOUN\tNN\t_\t1\tobj\t_\tEntity=2)|SpaceAfter=No
5.1\tend\tend\tVERB\tVB\t_\t_\t_\t_\t_
6\tOslo\tOslo\tPROPN\tNNP\t_\t1\tobj\t_\tEntity=(3-place-new-sgl-Oslo%2C_Norway)

"""
WEBANNO = """\
#FORMAT=WebAnno TSV 3.2
#T_SP=webanno.custom.Referent|entity|infstat

#Text=Ada runs Acme
1-1\t0-3\tAda\tperson\tnew
1-2\t4-8\truns\t_\t_
1-3\t9-13\tAcme\torganization\tnew
"""
HIPE = """\
TOKEN\tNE-COARSE-LIT\tNE-COARSE-METO\tNE-FINE-LIT\tNE-NESTED\tNEL-LIT\tMISC
# hipe2022:document_id = one
# hipe2022:language = en
Ada\tB-pers\tO\tB-pers.ind\tO\tNIL\tNoSpaceAfter
Bell\tI-pers\tO\tI-pers.ind\tO\tNIL\t_
left\tO\tO\tO\tO\t_\tEndOfSentence
Oslo\tB-loc\tB-org\tB-loc.adm\tO\tQ1\t_

"""
GERMEVAL = """\
#\thttp://example.org/Ada [2009-10-17]
1\tAda\tB-PER\tO
2\tbeim\tO\tO
3\tVfL\tB-ORG\tO
4\tHalle\tI-ORG\tB-LOC

"""
NORNE = """\
# sent_id = 1
1\tAda\tAda\tPROPN\t_\t_\t2\tnsubj\t_\tname=B-PER
2\tbor\tbo\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No|name=O
3\tOslo\tOslo\tPROPN\t_\t_\t2\tobl\t_\tname=B-GPE_LOC

"""

UNER = "# sent_id = 1\n# text = x\n1\tAda\tB-PER\t-\tblv\n2\truns\tO\t-\tblv\n3\tAcme\tB-ORG\t-\tblv\n\n"
LAYERS = "Ada\tB-protein\tB-DNA\tO\nBell\tI-protein\tO\tO\nruns\tO\tO\tO\n\n"
SPLITS = ("train", "dev", "test")
SCIENCE_IE = ("scienceie2017_train/train2", "scienceie2017_dev/dev", "semeval_articles_test")

LAYOUTS: dict[str, dict[str, str]] = {
    "conll04": {
        **{f"conll04_{split}.json": json.dumps([spert(number)]) for number, split in enumerate(SPLITS)},
        "conll04_train_dev.json": json.dumps([spert(0), spert(1)]),
        "conll04_types.json": json.dumps(
            {"entities": {"Peop": {"short": "Peop", "verbose": "People"}}, "relations": {}}
        ),
    },
    "scier": {
        "README.md": "# A corpus\n",
        **{
            f"PLM/{split}.jsonl": dygie(split, rel=[[[0, 1, 3, 3, "Used-For"]]])
            for split in ("train", "dev", "test", "test_ood")
        },
        **{
            f"LLM/{split}.jsonl": lines({"doc_id": "a", "sentence": "Ada runs.", "ner": [["Ada", "Method"]], "rel": []})
            for split in ("train", "dev", "test", "test_ood")
        },
    },
    "scienceie": {
        "README.txt": "A corpus\n",
        **{
            f"{folder}/S{number}.{ending}": text
            for number, folder in enumerate(
                ("scienceie2017_train/train2", "scienceie2017_dev/dev", "semeval_articles_test")
            )
            for ending, text in {**BRAT, "xml": "<article/>"}.items()
        },
    },
    "bc5cdr": {
        "README.txt": "A corpus\n",
        **{
            f"CDR.Corpus.v010516/CDR_{split}Set.{kind}": text.format(number)
            for number, split in enumerate(("Training", "Development", "Test"))
            for kind, text in {"PubTator.txt": PUBTATOR, "BioC.xml": "<collection/>"}.items()
        },
    },
    "bc5cdr-iob": {f"{name}.tsv": ROWS.format("") for name in ("train", "train_dev", "devel", "test")},
    "crossner": {
        f"ner_data/{domain}/{split}.txt": ROWS.format("")
        for domain in ("ai", "conll2003", "literature")
        for split in SPLITS
    },
    "genia-oneie": {f"{split}.json": lines(ONE_IE) for split in SPLITS},
    "genia-spert": {
        "genia_train_dev_context.json": json.dumps([{**spert(0), "ltokens": ["A"], "rtokens": []}]),
        "genia_test_context.json": json.dumps([spert(1)]),
        "genia_types.json": json.dumps({"entities": {}, "relations": {}}),
    },
    "genia-jsonlines": {f"{split}.jsonlines": dygie(split, key="doc_key", ner="ners") for split in SPLITS},
    "genia-layers": {
        f"{split}.txt": "Ada\tB-protein\tB-DNA\tO\nBell\tI-protein\tO\tO\nruns\tO\tO\tO\n\n" for split in SPLITS
    },
    "gum-tsv": {"GUM_news_one.tsv": WEBANNO, "GUM_news_two.tsv": WEBANNO},
    "gum-conllu": {"GUM_news_one.conllu": CONLLU, "GUM_news_two.conllu": CONLLU.replace("one", "two")},
    "germeval": {f"NER-de-{split}.tsv": GERMEVAL for split in SPLITS},
    "hipe": {f"HIPE-2022-v2.1-x-{split}-en.tsv": HIPE for split in SPLITS},
    "norne": {f"no_bokmaal-ud-{split}.conllu": NORNE for split in SPLITS},
    "uner": {f"en_ewt-ud-{split}.iob2": UNER for split in SPLITS},
    "wikiner": {"aij-wikiner-en-wp3": "\nAda|NNP|I-PER Bell|NNP|I-PER runs|VBZ|O Acme|NNP|I-ORG .|.|O\n\n"},
    "flair": {f"{split}.txt": ROWS.format("NN\t") for split in SPLITS},
}


def put_layout(name: str, folder: Path) -> Path:
    """Write the files of a layout; return their folder."""
    for place, text in LAYOUTS[name].items():
        path = folder / name / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / name


if __name__ == "__main__":
    import sys

    for layout in LAYOUTS:
        put_layout(layout, Path(sys.argv[1]))
