"""Files appear whole, and replace nothing but files."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from plmarker.data import PLMarkerError
from plmarker.data.files import file_to_write, whole_file
from plmarker.data.outputs import write_resumable
from plmarker.data.records import Record


def test_a_device_and_a_pipe_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("a")
    for path, expected in ((tmp_path / "pipe", "a device or a pipe"), (tmp_path / "file" / "b", "file is a file")):
        with pytest.raises(PLMarkerError, match=expected):
            file_to_write(path)
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_leads_to_the_file_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with whole_file(tmp_path / "link") as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv"])
def test_what_predict_does_not_write_is_refused_by_its_ending(tmp_path: Path, name: str) -> None:
    with pytest.raises(PLMarkerError, match="predict writes JSONL"):
        write_resumable(tmp_path / name, [], lambda records, start: [], {})
    assert list(tmp_path.iterdir()) == []


def test_lines_of_an_unknown_model_are_not_removed_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jsonl.partial").write_text("{}\n")
    assert write_resumable(tmp_path / "a.jsonl", [], lambda records, start: [], {}) == 0
    assert "begun anew" in caplog.text


def test_a_line_that_was_changed_is_refused_by_its_digest(tmp_path: Path) -> None:
    records = [Record(f"f:{n}", f"k{n}", "text", False) for n in range(3)]

    def process(rest: Iterator[Record], start: int) -> Iterator[tuple[str, str]]:
        for record in rest:
            if record.key == "k2":
                raise KeyboardInterrupt
            yield record.checksum, json.dumps({"key": record.key, "mark": "\u2028ä"}, ensure_ascii=False)

    with pytest.raises(KeyboardInterrupt):
        write_resumable(tmp_path / "a.jsonl", records, process, {"language": "en", "models": "x"})
    partial = tmp_path / "a.jsonl.partial"
    right = partial.read_text()
    partial.write_text(right.replace("k1", "K1"))
    with pytest.raises(PLMarkerError, match=r"partial:2: the line was changed"):
        write_resumable(tmp_path / "a.jsonl", records, process, {"language": "en", "models": "x"})
    partial.write_bytes(right.encode().replace(b"k0", b"\xff0"))
    with pytest.raises(PLMarkerError, match=r"partial:1: the line was changed"):
        write_resumable(tmp_path / "a.jsonl", records, process, {"language": "en", "models": "x"})
    partial.write_text(right)
    with pytest.raises(PLMarkerError, match=r"another value of language \('en', now 'de'\)"):
        write_resumable(tmp_path / "a.jsonl", records, process, {"language": "de", "models": "x"})
    with pytest.raises(PLMarkerError, match=r"begun with another value of models; remove"):
        write_resumable(tmp_path / "a.jsonl", records, process, {"language": "en", "models": "y"})
    (tmp_path / "a.jsonl.partial.settings").write_text("[]")
    with pytest.raises(PLMarkerError, match="holds no settings"):
        write_resumable(tmp_path / "a.jsonl", records, process, {"language": "en", "models": "x"})
    (tmp_path / "a.jsonl.partial.settings").write_text('{"language": "en", "models": "x"}')
    # The words of an earlier version have no digests.
    words = tmp_path / "a.jsonl.partial.words"
    words.write_text("".join(f"{line.split()[0]}\n" for line in words.read_text().splitlines()))
    done = write_resumable(tmp_path / "a.jsonl", records, lambda rest, start: ((r.checksum, "{}") for r in rest),
                           {"language": "en", "models": "x"})  # fmt: skip
    assert (done, (tmp_path / "a.jsonl").read_text()) == (3, right + "{}\n")


def test_lines_that_were_changed_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.partial").write_text("{}\n\n{}\n")
    (tmp_path / "a.jsonl.partial.settings").write_text("{}")
    with pytest.raises(PLMarkerError, match=r"partial:2: the line is empty"):
        write_resumable(tmp_path / "a.jsonl", [], lambda records, start: [], {})
