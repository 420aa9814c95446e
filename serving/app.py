"""A page in the browser on which people try a model."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request, Response

from ..modeling.extraction_plmarker import Extraction
from ..modeling.schema_plmarker import NIL, PLMarkerError, one_sentence
from .thresholds import above, needs_new_reading

MOST_CHARACTERS = 50_000
# The browser loads nothing from elsewhere, whatever the page says.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'self'"
)
EXAMPLE = "Ines Tavarro founded the Brellin Observatory in 1974. She later led the Institute of Optics in Turin."
Given = list[tuple[int, int, str | None]]


@dataclass(frozen=True)
class Reading:
    """What a model has found in a text without thresholds.

    Args:
        extraction: all of it.
        language: code of the text.
        given: the entities that were given; None where the model looked for them.
    """

    extraction: Extraction
    language: str
    given: Given | None


class Demo:
    """The functions behind the page.

    Args:
        model: a model that extracts. It is not changed.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        entity, relation = model.readers
        schema = model.config.schema
        self.labels = {
            "entities": list(schema.entity_labels),
            "relations": [] if relation is None else list(schema.relation_labels),
        }
        parts = {"entities": entity, "relations": relation}
        self.own = {kind: {} if part is None else dict(part.config.thresholds) for kind, part in parts.items()}
        # The thresholds of NIL have no slider. They stay as the model has them.
        self.nil = {kind: {NIL: own[NIL]} if NIL in own else {} for kind, own in self.own.items()}

    def read(self, text: str, language: str, lines: str) -> Reading:
        """Read a text without thresholds.

        Raises:
            PLMarkerError: for a text that is too long, and for given entities that are not in it.
        """
        if len(text) > MOST_CHARACTERS:
            raise PLMarkerError(f"the text has {len(text)} characters, and this page takes at most {MOST_CHARACTERS}")
        given = find_given(text, lines) if lines.strip() else None
        found = self._extract(text, language, given, 0.0, 0.0)
        return Reading(found, language, given)

    def show(self, reading: Reading | None, scores: Sequence[float]) -> tuple[str, str]:
        """The view and the JSON of what has at least these scores: one for each entity label, then relation label."""
        if reading is None:
            return "", ""
        names = self.labels["entities"]
        entities = dict(zip(names, scores, strict=False))
        relations = dict(zip(self.labels["relations"], scores[len(names) :], strict=True))
        extraction = reading.extraction
        # The model takes given entities without a threshold, so that none of them makes room for another one.
        competing = entities if reading.given is None else {}
        if any(self.nil.values()) or needs_new_reading(self.model, extraction, competing, relations):
            extraction = self._extract(
                extraction.text,
                reading.language,
                reading.given,
                entities | self.nil["entities"],
                relations | self.nil["relations"],
            )
        extraction = above(extraction, entities, relations)
        found = json.dumps(extraction.to_dict(), ensure_ascii=False, indent=1)
        return frame(extraction.to_html()), found

    def _extract(self, text: str, language: str, given: Given | None, entities: Any, relations: Any) -> Extraction:
        found: Extraction = self.model.extract(
            text,
            entities=given,
            language=language.strip() or "en",
            entity_threshold=entities,
            relation_threshold=relations if self.labels["relations"] else None,
        )
        return found


def create_app(model: Any) -> FastAPI:
    """An ASGI application with the page, for `plmarker.serving.running.run`.

    Args:
        model: a model that extracts. It is not changed.
    """
    app = FastAPI(openapi_url=None)

    @app.middleware("http")
    async def stay_here(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return gr.mount_gradio_app(
        app,
        create_page(Demo(model)),
        path="/",
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        footer_links=[],
        max_file_size="1kb",
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
    )


def create_page(demo: Demo) -> gr.Blocks:
    """The page: a text and thresholds on the left, the view on the right."""
    with gr.Blocks(title="plmarker", analytics_enabled=False) as page:
        reading = gr.State(None)
        with gr.Row():
            with gr.Column(scale=2):
                text = gr.Textbox(EXAMPLE, label="Text", lines=8, max_length=MOST_CHARACTERS, elem_id="text")
                given = gr.Textbox(
                    label="Entities that you have already",
                    lines=2,
                    placeholder="Ines Tavarro = Person",
                    info="One a line: its text, and its label behind =. The model looks for no others.",
                    elem_id="given",
                )
                language = gr.Textbox("en", label="Language", info="ISO 639-1 code", max_lines=1)
                button = gr.Button("Extract", variant="primary", elem_id="extract")
                sliders: list[Any] = []
                masters: list[tuple[Any, list[Any]]] = []
                for kind, labels in demo.labels.items():
                    if labels:
                        master = gr.Slider(
                            0, 1, 0, step=0.01, label=f"Least score of all {kind}", elem_id=f"all-{kind}"
                        )
                        with gr.Accordion(f"Least score of {kind} by label", open=False):
                            own = demo.own[kind]
                            made = [gr.Slider(0, 1, own.get(label, 0.0), step=0.01, label=label) for label in labels]
                        sliders += made
                        masters.append((master, made))
            with gr.Column(scale=3):
                view = gr.HTML(elem_id="view")
                found = gr.Code(label="JSON", language="json", interactive=False, max_lines=16, elem_id="json")

        def read(text: str, given: str, language: str, *scores: float) -> tuple[Any, ...]:
            try:
                new = demo.read(text, language, given)
                return (new, *demo.show(new, scores))
            except PLMarkerError as error:
                # gradio renders messages as HTML.
                raise gr.Error(html.escape(one_sentence(error)), print_exception=False) from None

        def show(reading: Reading | None, *scores: float) -> tuple[str, str]:
            return demo.show(reading, scores)

        button.click(read, [text, given, language, *sliders], [reading, view, found], api_name="extract")
        for slider in sliders:
            slider.input(
                show,
                [reading, *sliders],
                [view, found],
                trigger_mode="always_last",
                show_progress="hidden",
                api_name=False,
            )
        for master, made in masters:
            # The sliders of the labels follow, and then the view.
            master.input(
                partial(repeated, len(made)),
                master,
                made,
                trigger_mode="always_last",
                show_progress="hidden",
                api_name=False,
            ).then(show, [reading, *sliders], [view, found], show_progress="hidden", api_name=False)
    return page


def find_given(text: str, lines: str) -> Given:
    """The places of entities that are named by their text: each occurrence of `TEXT = LABEL` or `TEXT`, one a line.

    Raises:
        PLMarkerError: for an entity that is not in the text.
    """
    given: Given = []
    for line in filter(str.strip, lines.splitlines()):
        name, equals, label = line.rpartition("=") if "=" in line else (line, "", "")
        places = [match.span() for match in re.finditer(re.escape(name.strip()), text)] if name.strip() else []
        if not places:
            raise PLMarkerError(f"{name.strip()!r} is given as an entity, but the text does not hold it")
        given += [(start, end, label.strip() if equals else None) for start, end in places]
    return given


def repeated(count: int, score: float) -> Any:
    """The values of several sliders, or of one."""
    return [score] * count if count > 1 else score


def frame(page: str) -> str:
    """A page in a frame, which can reach nothing around it."""
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="allow-scripts" title="entities and relations" '
        'style="width: 100%; height: 70vh; border: 0"></iframe>'
    )
