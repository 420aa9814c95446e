"""Other libraries' entity models, timed in environments of their own.

price.py starts this file with the interpreter of such an environment (`--spanmarker PYTHON`, `--gliner PYTHON`), since
these libraries and plmarker want different versions of transformers:

    python -m venv spanmarker; spanmarker/bin/pip install span_marker "transformers<5"
    python -m venv gliner; gliner/bin/pip install gliner

It reads a line of JSON with `library`, `encoder` (a folder), `labels`, `sentences` (lists of words), `max_span_length`,
`batch` and `threads`, and answers with a line of JSON: the versions. Then it reads all sentences once for each further
line, and answers with the seconds. Both models have the encoder's structure. What their heads find is noise, so no F1
is given. Each sentence is read alone, without context, in batches of sentences of similar length.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

Sentences = list[list[str]]


def spanmarker(job: dict[str, Any]) -> Callable[[Sentences], Any]:
    """SpanMarker by its `predict`, with its defaults for lengths but for the widest span."""
    from span_marker import SpanMarkerModel

    model = SpanMarkerModel.from_pretrained(
        job["encoder"], labels=["O", *job["labels"]], model_max_length=256, entity_max_length=job["max_span_length"]
    ).eval()
    return lambda sentences: model.predict(sentences, batch_size=job["batch"])


def gliner(job: dict[str, Any]) -> Callable[[Sentences], Any]:
    """GLiNER's span model by its batched inference, with the labels as its prompt."""
    from gliner import GLiNER

    config = {
        "model_name": job["encoder"],
        "max_width": job["max_span_length"],
        "span_mode": "markerV0",
        "hidden_size": 384,
        "max_len": 256,
    }
    model = GLiNER.from_config(config).eval()
    labels = [label.lower() for label in job["labels"]]
    return lambda sentences: model.inference([" ".join(words) for words in sentences], labels, batch_size=job["batch"])


LIBRARIES = {"spanmarker": (spanmarker, "span_marker"), "gliner": (gliner, "gliner")}


def main() -> None:
    import torch

    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(job["threads"])
    make, package = LIBRARIES[job["library"]]
    answers, sys.stdout = sys.stdout, sys.stderr
    predict = make(job)
    sentences = sorted(job["sentences"], key=len)
    print(json.dumps({name: version(name) for name in (package, "transformers", "torch")}), file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        with torch.inference_mode():
            predict(sentences)
        print(json.dumps(time.perf_counter() - start), file=answers, flush=True)


if __name__ == "__main__":
    main()
