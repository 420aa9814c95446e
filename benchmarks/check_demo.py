"""Check what `make demo` has trained: figures on test, and what it finds in the README's example and the paragraph.

    python benchmarks/check_demo.py out/demo

The lists here are what README.md prints. The exit status is 1 where something is missing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from plmarker import PLMarkerModel

LEAST_REL_STRICT_F1 = 0.65
EXAMPLE = "Ines Tavarro founded the Brellin Observatory in 1974."
PARAGRAPH = Path(__file__).parents[1] / "data" / "sample" / "paragraph.txt"
EXPECTED: dict[str, tuple[set[tuple[str, str]], set[tuple[str, str, str]]]] = {
    "example": (
        {("Ines Tavarro", "Person"), ("Brellin Observatory", "Organization"), ("1974", "Date")},
        {("Ines Tavarro", "FOUNDED", "Brellin Observatory")},
    ),
    "paragraph": (
        {
            ("Ines Tavarro", "Person"),
            ("Brellin Observatory", "Organization"),
            ("1974", "Date"),
            ("Tomas Quill", "Person"),
            ("Brellin", "Place"),
            ("Lena Quill", "Person"),
        },
        {("Ines Tavarro", "FOUNDED", "Brellin Observatory")},
    ),
}


def missing(folder: str) -> list[str]:
    """What the demo's model does not reach; empty where all is as the README prints it."""
    problems = []
    metrics = json.loads((Path(folder) / "metrics.json").read_text(encoding="utf-8"))
    if metrics["rel_strict_f1"] <= LEAST_REL_STRICT_F1:
        problems.append(f"rel_strict_f1 on test is {metrics['rel_strict_f1']:.3f}, expected over {LEAST_REL_STRICT_F1}")
    model = PLMarkerModel.from_pretrained(folder)
    texts = {"example": EXAMPLE, "paragraph": PARAGRAPH.read_text(encoding="utf-8")}
    for name, text in texts.items():
        found = model.extract(text)
        entities = {(entity.text, entity.label) for entity in found.entities}
        relations = {(r.head.text, r.label, r.tail.text) for r in found.relations}
        problems += [f"{name}: {item} is not found" for item in EXPECTED[name][0] - entities]
        problems += [f"{name}: {item} is not found" for item in EXPECTED[name][1] - relations]
    return problems


if __name__ == "__main__":
    found_problems = missing(sys.argv[1])
    print("\n".join(found_problems) or f"{sys.argv[1]}: all that the README prints is found")
    sys.exit(bool(found_problems))
