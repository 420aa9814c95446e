"""Labels are shown with a count and an example."""

from plmarker.data.labels import EXAMPLE_LENGTH, LabelCounts


def document(
    words: list[str], ner: list[tuple[int, int, str]], relations: list[tuple[int, int, int, int, str]]
) -> dict:
    names = ("head_start", "head_end", "tail_start", "tail_end", "label")
    return {
        "doc_key": words[0].lower(),
        "sentences": [words],
        "ner": [[dict(zip(("start", "end", "label"), row, strict=True)) for row in ner]],
        "relations": [[dict(zip(names, row, strict=True)) for row in relations]],
    }


def test_each_label_has_its_count_and_its_first_example():
    counts = LabelCounts()
    counts.add(document(["Ada", "Bell", "met", "Bob"], [(0, 1, "PER"), (3, 3, "PER")], [(0, 1, 3, 3, "MET")]))
    counts.add(document(["Acme", "hired", "Eve"], [(2, 2, "PER"), (0, 0, "ORG")], []))
    assert counts.lines() == [
        "ner: PER 3 (Ada Bell, ada), ORG 1 (Acme, acme)",
        "relations: MET 1 (Ada Bell - Bob, ada)",
    ]


def test_a_long_example_is_cut_and_a_document_may_lack_annotations():
    counts = LabelCounts()
    counts.add(document(["word"] * 30, [(0, 29, "X")], []))
    counts.add({"doc_key": "a", "sentences": [["a"]], "ner": None, "relations": None})
    assert len(counts.examples["ner", "X"]) == EXAMPLE_LENGTH + len(", word")
    assert counts.lines()[1] == "relations: none"
