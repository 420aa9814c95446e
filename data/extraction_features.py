"""The types of the columns `entities` and `relations` of an extraction, as `Extraction.to_dict` has them."""

from __future__ import annotations

from datasets import Features, List, Value

EXTRACTION_FEATURES = Features(
    entities=List(
        {
            "text": Value("string"),
            "label": Value("string"),
            "start": Value("int64"),
            "end": Value("int64"),
            "score": Value("float64"),
            "sentence": Value("int64"),
        }
    ),
    relations=List(
        {"head": Value("int64"), "tail": Value("int64"), "label": Value("string"), "score": Value("float64")}
    ),
)
