"""The metric `span_f1`, as a module of `evaluate`: a folder that `evaluate.load` reads, here or as a Space."""

from pathlib import Path

# What `evaluate.load` takes.
FOLDER = str(Path(__file__).parent)
