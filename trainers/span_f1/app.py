"""The metric's page as a Space."""

from pathlib import Path

import evaluate
from evaluate.utils import launch_gradio_widget

# The file beside this one, whatever the Space is called.
launch_gradio_widget(evaluate.load(str(Path(__file__).with_name("span_f1.py"))))
