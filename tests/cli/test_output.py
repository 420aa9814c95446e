"""What commands print: tables, and the chatter of libraries."""

import logging
import sys
from collections import Counter
from typing import Any

import pytest
from huggingface_hub.utils import are_progress_bars_disabled
from transformers.utils import logging as messages

from plmarker.cli.quiet import PACKAGE, quiet_models
from plmarker.cli.tables import print_markdown, print_rows, print_tables
from plmarker.trainers.report import errors_tables, figures_tables, runs_table

METRICS = {"ent_precision": 0.5, "ent_recall": 1.0, "ent_f1": 2 / 3, "ent_f1/PER": 0.25}


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")


def test_tables_are_plain_text_in_columns_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables(figures_tables(METRICS))
    assert capsys.readouterr().out.splitlines() == [
        f"{'':<26}{'P':>10}{'R':>10}{'F1':>10}",
        f"{'Ent':<26}{'50.0':>10}{'100.0':>10}{'66.7':>10}",
        "",
        "Ent, F1 by label",
        f"{'  PER':<26}{'':>10}{'':>10}{'25.0':>10}",
    ]
    print_tables(errors_tables({"ent": Counter(missing=3, wrong=12)}))
    assert capsys.readouterr().out.splitlines() == [
        "Ent, errors by kind",
        f"  {'wrong':<30}{12:>6}",
        f"  {'missing':<30}{3:>6}",
    ]
    print_tables([runs_table({"1": {"ent_f1": 0.5}, "2": {"ent_f1": 0.7}})])
    assert capsys.readouterr().out.split() == [
        "F1",
        "1",
        "2",
        "mean",
        "deviation",
        "Ent",
        *["50.0", "70.0", "60.0", "14.1"],
    ]
    print_markdown("| a |\n| --- |")
    assert capsys.readouterr().out == "| a |\n| --- |\n"


def test_tables_have_lines_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch)
    print_tables(figures_tables(METRICS))
    shown = capsys.readouterr().out
    assert "\u2500" in shown
    (row,) = [line.split() for line in shown.splitlines() if "66.7" in line]
    assert row == ["Ent", "50.0", "100.0", "66.7"]
    (row,) = [line.split() for line in shown.splitlines() if "PER" in line]
    assert row == ["PER", "25.0"]
    # Text of a user is no markup.
    print_rows(["text"], [["[bold]x[/bold]"], ["[/]"]])
    assert "[bold]x[/bold]" in capsys.readouterr().out


@pytest.mark.parametrize("verbose", [False, True])
def test_transformers_is_quiet_unless_it_is_asked_for(verbose: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(PACKAGE), "level", logging.DEBUG if verbose else logging.INFO)
    logging.getLogger(PACKAGE).manager._clear_cache()  # type: ignore[attr-defined]

    def state() -> tuple[Any, ...]:
        return messages.get_verbosity(), messages.is_progress_bar_enabled(), are_progress_bars_disabled()

    before = state()
    with quiet_models():
        assert state() == (before if verbose else (messages.ERROR, False, True))
    assert state() == before
