"""How tests write corpora in the layouts of the real ones."""

from pathlib import Path


def put(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def put_ace(folder: Path, name: str, said: str = "Lund", kind: str = "GPE") -> None:
    """A source that says where Ada is, and its one mention."""
    text = f"Ada is in {said}."
    start = text.index(said)
    mention = f'<charseq START="{start}" END="{start + len(said) - 1}">{said}</charseq>'
    put(folder / f"{name}.sgm", f"<DOC><TEXT>{text}</TEXT></DOC>")
    put(
        folder / f"{name}.apf.xml",
        '<!DOCTYPE source_file SYSTEM "apf.v5.1.1.dtd">',
        f'<source_file><document DOCID="{name}"><entity ID="E1" TYPE="{kind}">',
        f'<entity_mention ID="E1-1"><extent>{mention}</extent><head>{mention}</head></entity_mention>',
        "</entity></document></source_file>",
    )
