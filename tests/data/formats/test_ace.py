"""Tests of the ACE reader, on generated documents in the layouts of ACE 2004 and ACE 2005."""

import re
import time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from reading import entities

from plmarker.data import PLMarkerError
from plmarker.data.formats import ReadingOptions, read_corpus
from plmarker.data.report import ReadingReport

NAME = "TINY_20030401.0001"
DOCTYPE_05 = '<!DOCTYPE source_file SYSTEM "apf.v5.1.1.dtd">'
DOCTYPE_04 = '<!DOCTYPE source_file SYSTEM "/home/annot/dtd/apf.v4.0.1.dtd">'

# Headers and speakers are in tags of their own, without a full stop at the end.
SOURCE = """<DOC>
<DOCID> TINY_20030401.0001 </DOCID>
<DOCTYPE SOURCE="broadcast news"> NEWS STORY </DOCTYPE>
<DATETIME> 2003-04-01T10:00:00 </DATETIME>
<BODY>
<HEADLINE>
Old mill reopens
</HEADLINE>
<TEXT>
<TURN>
<SPEAKER> Ida Brun </SPEAKER>
The young owner of the paper mill in Lund hired Karl
Berg of Brun &amp; Sons on Monday. He starts in May with 20 percent more.
</TURN>
<TURN>
<SPEAKER> Per Holm </SPEAKER>
Thanks, Ida
</TURN>
</TEXT>
</BODY>
</DOC>
"""
OWNER = "The young owner of the paper mill in Lund"
# ID of each mention -> type, full extent, head.
MENTIONS = {
    "E1-1": ("PER", OWNER, "owner"),
    "E2-1": ("ORG", "the paper mill in Lund", "mill"),
    "E3-1": ("GPE", "Lund", "Lund"),
    "E4-1": ("PER", "Karl\nBerg of Brun &amp; Sons", "Karl\nBerg"),
    "E5-1": ("ORG", "Brun &amp; Sons", "Brun &amp; Sons"),
    "E4-2": ("PER", "He", "He"),
}
RELATIONS = {"R1": ("PHYS", [("E2-1", "E3-1")]), "R2": ("ORG-AFF", [("E1-1", "E2-1"), ("E4-1", "E5-1")])}

Mentions = dict[str, tuple[str, str, str]]
Relations = dict[str, tuple[str, list[tuple[str, str]]]]


def charseq(source: str, text: str, within: str = "") -> str:
    """Return the element for the first occurrence of `text` in a source, at or after the first `within`."""
    characters = re.sub(r"<[^>]*>", "", source)
    start = characters.index(text, characters.index(within))
    assert characters[start : start + len(text)] == text
    # The annotation has `&` for the `&amp;` of the source. XML writes that `&` as `&amp;` again.
    return f'<charseq START="{start}" END="{start + len(text) - 1}">{text}</charseq>'


def entity_elements(source: str, mentions: Mentions) -> list[str]:
    lines = []
    for name, (kind, extent, head) in mentions.items():
        covered = charseq(source, head, extent)
        lines += [
            f'<entity ID="{name.split("-")[0]}" TYPE="{kind}" SUBTYPE="Other" CLASS="SPC">',
            f'<entity_mention ID="{name}" TYPE="NAM" LDCTYPE="NAM">',
            f"<extent>{charseq(source, extent)}</extent>",
            f"<head>{covered}</head>",
            "</entity_mention>",
            f'<entity_attributes><name NAME="{escape(head)}">{covered}</name></entity_attributes>',
            "</entity>",
        ]
    return lines


def apf(doctype: str, *lines: str) -> str:
    head = [
        '<?xml version="1.0"?>',
        doctype,
        f'<source_file URI="{NAME}.sgm" TYPE="text">',
        f'<document DOCID="{NAME}">',
    ]
    return "\n".join([*head, *lines, "</document>", "</source_file>", ""])


def apf_2005(source: str, mentions: Mentions, relations: Relations | None = None, *others: str) -> str:
    lines = []
    for name, (kind, pairs) in (relations or {}).items():
        lines.append(f'<relation ID="{name}" TYPE="{kind}" TENSE="Unspecified" MODALITY="Asserted">')
        first = pairs[0] if pairs else ("E1-1", "E2-1")
        lines += [f'<relation_argument REFID="{end[:2]}" ROLE="Arg-{n}"/>' for n, end in enumerate(first, start=1)]
        for number, (one, two) in enumerate(pairs, start=1):
            lines += [
                f'<relation_mention ID="{name}-{number}" LEXICALCONDITION="Other">',
                # The reader ignores the order of the arguments, and arguments with other roles.
                f'<relation_mention_argument REFID="{two}" ROLE="Arg-2"/>',
                f'<relation_mention_argument REFID="{one}" ROLE="Arg-1"/>',
                '<relation_mention_argument REFID="T1-1" ROLE="Time-Within"/>',
                "</relation_mention>",
            ]
        lines.append("</relation>")
    return apf(DOCTYPE_05, *entity_elements(source, mentions), *others, *lines)


def apf_2004(source: str, mentions: Mentions, relations: Relations) -> str:
    lines = []
    for name, (kind, pairs) in relations.items():
        lines.append(f'<relation ID="{name}" TYPE="{kind}">')
        lines += [f'<rel_entity_arg ENTITYID="{end[:2]}" ARGNUM="{n}"/>' for n, end in enumerate(pairs[0], start=1)]
        for number, pair in enumerate(pairs, start=1):
            lines.append(f'<relation_mention ID="{name}-{number}" LDCLEXICALCONDITION="Verbal">')
            lines += [f'<rel_mention_arg ENTITYMENTIONID="{e}" ARGNUM="{n}"/>' for n, e in enumerate(pair, start=1)]
            lines.append("</relation_mention>")
        lines.append("</relation>")
    return apf(DOCTYPE_04, *entity_elements(source, mentions), *lines)


def write(folder: Path, source: str, annotations: str, name: str = NAME) -> Path:
    (folder / f"{name}.sgm").write_bytes(source.encode())
    (folder / f"{name}.apf.xml").write_bytes(annotations.encode())
    return folder / f"{name}.sgm"


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], ReadingReport]:
    report = ReadingReport()
    return list(read_corpus(path, report, "ace", ReadingOptions(**{"words": "spacy", **options}))), report


def read_one(path: Path, **options: Any) -> tuple[dict[str, Any], ReadingReport]:
    """Read a file with one document and without problems."""
    documents, report = read(path, **options)
    assert report.fatal == []
    assert len(documents) == 1
    return documents[0], report


def problems_of(path: Path) -> list[tuple[str, int, str]]:
    """Return file name, line and message of each problem. All problems must be fatal."""
    _, report = read(path)
    assert all(problem.fatal for problem in report.problems)
    return [(Path(problem.path).name, problem.line, problem.message) for problem in report.problems]


def line_of(path: Path, text: str) -> int:
    """Return the number of the only line that contains a text."""
    lines = path.read_text(encoding="utf-8").split("\n")
    [number] = [number for number, line in enumerate(lines, start=1) if text in line]
    return number


def relations(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    words = [word for sentence in document["sentences"] for word in sentence]
    rows = [row for rows in document["relations"] for row in rows]
    return [
        (
            " ".join(words[row["head_start"] : row["head_end"] + 1]),
            row["label"],
            " ".join(words[row["tail_start"] : row["tail_end"] + 1]),
        )
        for row in rows
    ]


HEADS = [
    ("owner", "PER"),
    ("mill", "ORG"),
    ("Lund", "GPE"),
    ("Karl Berg", "PER"),
    ("Brun & Sons", "ORG"),
    ("He", "PER"),
]


def test_ace_2005_gives_heads_and_relations_and_sentences_end_at_tags(tmp_path):
    document, report = read_one(write(tmp_path, SOURCE, apf_2005(SOURCE, MENTIONS, RELATIONS)))
    assert document["doc_key"] == NAME
    assert [" ".join(words) for words in document["sentences"]] == [
        "TINY_20030401.0001",
        "NEWS STORY",
        "2003 - 04 - 01T10:00:00",
        "Old mill reopens",
        "Ida Brun",
        "The young owner of the paper mill in Lund hired Karl Berg of Brun & Sons on Monday .",
        "He starts in May with 20 percent more .",
        "Per Holm",
        "Thanks , Ida",
    ]
    assert entities(document) == HEADS
    # The second relation has two mentions.
    assert relations(document) == [
        ("mill", "PHYS", "Lund"),
        ("owner", "ORG-AFF", "mill"),
        ("Karl Berg", "ORG-AFF", "Brun & Sons"),
    ]
    assert report.counts["exact"] == 6
    assert report.counts["widened"] == report.counts["joined sentences"] == 0


def test_full_extents_are_read_and_may_be_nested(tmp_path):
    document, report = read_one(write(tmp_path, SOURCE, apf_2005(SOURCE, MENTIONS, RELATIONS)), extent="full")
    assert entities(document) == [
        ("The young owner of the paper mill in Lund", "PER"),
        ("the paper mill in Lund", "ORG"),
        ("Lund", "GPE"),
        ("Karl Berg of Brun & Sons", "PER"),
        ("Brun & Sons", "ORG"),
        ("He", "PER"),
    ]
    assert relations(document)[0] == ("the paper mill in Lund", "PHYS", "Lund")
    assert report.counts["exact"] == 6


def test_ace_2004_gives_heads_and_relations_without_discourse_relations(tmp_path):
    discourse: Relations = {**RELATIONS, "R3": ("DISC", [("E1-1", "E3-1"), ("E4-1", "E5-1")])}
    document, report = read_one(write(tmp_path, SOURCE, apf_2004(SOURCE, MENTIONS, discourse)))
    assert entities(document) == HEADS
    assert relations(document) == [
        ("mill", "PHYS", "Lund"),
        ("owner", "ORG-AFF", "mill"),
        ("Karl Berg", "ORG-AFF", "Brun & Sons"),
    ]
    assert report.counts["ignored DISC relations"] == 2


def test_arguments_are_ordered_by_their_number(tmp_path):
    annotations = apf_2004(SOURCE, MENTIONS, {"R1": ("PHYS", [("E2-1", "E3-1")])})
    turned = annotations.replace('"E2-1" ARGNUM="1"', '"E2-1" ARGNUM="2"').replace(
        '"E3-1" ARGNUM="2"', '"E3-1" ARGNUM="1"'
    )
    assert turned != annotations
    document, _ = read_one(write(tmp_path, SOURCE, turned))
    assert relations(document) == [("Lund", "PHYS", "mill")]


def test_values_times_and_events_are_counted_but_not_read(tmp_path):
    others = [
        '<value ID="V1" TYPE="Numeric" SUBTYPE="Percent">',
        f'<value_mention ID="V1-1"><extent>{charseq(SOURCE, "20 percent")}</extent></value_mention>',
        "</value>",
        '<timex2 ID="T1" VAL="2003-05">',
        f'<timex2_mention ID="T1-1"><extent>{charseq(SOURCE, "May")}</extent></timex2_mention>',
        f'<timex2_mention ID="T1-2"><extent>{charseq(SOURCE, "Monday")}</extent></timex2_mention>',
        "</timex2>",
        '<event ID="EV1" TYPE="Personnel" SUBTYPE="Start-Position">',
        '<event_argument REFID="E4" ROLE="Person"/>',
        '<event_mention ID="EV1-1">',
        f"<extent>{charseq(SOURCE, 'hired Karl')}</extent>",
        f"<ldc_scope>{charseq(SOURCE, 'hired Karl')}</ldc_scope>",
        f"<anchor>{charseq(SOURCE, 'hired')}</anchor>",
        '<event_mention_argument REFID="E4-1" ROLE="Person"/>',
        "</event_mention>",
        "</event>",
    ]
    document, report = read_one(write(tmp_path, SOURCE, apf_2005(SOURCE, MENTIONS, RELATIONS, *others)))
    assert entities(document) == HEADS
    assert len(relations(document)) == 3
    assert report.counts["value mentions, not read"] == 1
    assert report.counts["timex2 mentions, not read"] == 2
    assert report.counts["event mentions, not read"] == 1
    assert "2 timex2 mentions, not read" in report.summary()


def test_a_relation_without_mentions_is_left_out(tmp_path):
    annotations = apf_2005(SOURCE, MENTIONS, {"R1": ("METONYMY", [])})
    document, _ = read_one(write(tmp_path, SOURCE, annotations))
    assert relations(document) == []


def test_every_line_end_counts_as_one_character(tmp_path):
    annotations = apf_2005(SOURCE, MENTIONS, RELATIONS)
    unix, _ = read_one(write(tmp_path, SOURCE, annotations))
    for ending in ("\r\n", "\r"):
        changed = SOURCE.replace("\n", ending)
        # The annotation file may have other line ends than the source.
        for written in (annotations, annotations.replace("\n", ending)):
            assert read_one(write(tmp_path, changed, written))[0] == unix


@pytest.mark.parametrize("annotated", ["&amp;", "&amp;amp;", "&amp;AMP;"])
def test_an_escape_is_one_character_of_the_text(tmp_path, annotated):
    source = "<DOC>\n<TEXT>\nBrun &amp; Sons sold it to R&AMP;D &lt;one&gt; in Lund.\n</TEXT>\n</DOC>\n"
    # "Lund" follows several escapes, so its offsets are right only if every character of an escape counts.
    mentions: Mentions = {
        "E1-1": ("ORG", "Brun &amp; Sons", "Brun &amp; Sons"),
        "E2-1": ("GPE", "Lund", "Lund"),
    }
    annotations = apf_2005(source, mentions).replace("Brun &amp; Sons</charseq>", f"Brun {annotated} Sons</charseq>")
    document, report = read_one(write(tmp_path, source, annotations))
    assert [" ".join(words) for words in document["sentences"]] == ["Brun & Sons sold it to R&D < one > in Lund ."]
    assert entities(document) == [("Brun & Sons", "ORG"), ("Lund", "GPE")]
    assert report.counts["exact"] == 2


def test_characters_of_tags_are_not_counted(tmp_path):
    quote = '<QUOTE PREVIOUSPOST="Karl &amp;\nBerg"/>'
    source = f'<DOC>\n<POST\nAUTHOR="Ida"\n>\nLund<BR/>wins\n{quote}\nso Lund wins\n</POST></DOC>'
    annotations = apf_2005(source, {"E1-1": ("GPE", "Lund wins", "Lund")})
    document, _ = read_one(write(tmp_path, source, annotations))
    assert document["sentences"] == [["Lund"], ["wins"], ["so", "Lund", "wins"]]
    assert document["ner"][2] == [{"start": 3, "end": 3, "label": "GPE"}]


def test_a_mention_inside_a_word_is_widened_to_the_word(tmp_path):
    source = "<DOC><TEXT>\nThe ex-mayor of Lundtown met pro-Lund voters.\n</TEXT></DOC>\n"
    mentions: Mentions = {
        "E1-1": ("PER", "ex-mayor of Lundtown", "mayor"),
        "E2-1": ("GPE", "Lundtown", "Lund"),
        "E3-1": ("GPE", "Lund voters", "Lund"),
    }
    path = write(tmp_path, source, apf_2005(source, mentions))
    document, report = read_one(path)
    # spaCy splits words at hyphens.
    assert entities(document) == [("mayor", "PER"), ("Lundtown", "GPE"), ("Lund", "GPE")]
    assert (report.counts["exact"], report.counts["widened"]) == (2, 1)
    document, report = read_one(path, words="plmarker")
    assert entities(document) == [("ex-mayor", "PER"), ("Lundtown", "GPE"), ("pro-Lund", "GPE")]
    assert (report.counts["exact"], report.counts["widened"]) == (0, 3)


def test_sentences_are_joined_if_a_mention_crosses_their_border_or_a_tag(tmp_path):
    source = "<DOC><TEXT>\nIt was Mill <BR/>\n and Sons. Inc of Lund\n</TEXT></DOC>\n"
    mentions: Mentions = {"E1-1": ("ORG", "Mill \n and Sons. Inc", "Mill \n and Sons. Inc")}
    document, report = read_one(write(tmp_path, source, apf_2005(source, mentions)))
    assert document["sentences"] == [["It", "was", "Mill", "and", "Sons", ".", "Inc", "of", "Lund"]]
    assert entities(document) == [("Mill and Sons . Inc", "ORG")]
    assert report.counts["joined sentences"] == 2


def test_a_relation_across_sentences_is_kept_in_the_sentence_of_its_head_and_counted(tmp_path):
    annotations = apf_2005(SOURCE, MENTIONS, {"R1": ("PER-SOC", [("E4-2", "E1-1")])})
    [document], report = read(write(tmp_path, SOURCE, annotations))
    assert relations(document) == [("He", "PER-SOC", "owner")]
    assert [problem.fatal for problem in report.problems] == [False]
    sentence = next(number for number, words in enumerate(document["sentences"]) if words[0] == "He")
    assert len(document["relations"][sentence]) == 1
    assert report.counts["relations across sentences"] == 1


@pytest.mark.parametrize("shift", [(-1, 0), (1, 0), (0, -1), (0, 1), (1, 1)])
def test_an_offset_that_is_off_by_one_is_reported_with_the_line_of_its_mention(tmp_path, shift):
    annotations = apf_2005(SOURCE, MENTIONS)
    right = f"<head>{charseq(SOURCE, 'owner')}</head>"
    start, end = (int(number) for number in re.findall(r'"(\d+)"', right))
    # White space at the ends of a mention is ignored, so this mention gets letters on both sides.
    source = SOURCE.replace("young owner of", "youngownerof")
    start, end = start - 1 + shift[0], end - 1 + shift[1]
    wrong = f'<head><charseq START="{start}" END="{end}">owner</charseq></head>'
    assert annotations.count(right) == 1
    path = write(tmp_path, source, annotations.replace(right, wrong))
    file, line, message = problems_of(path)[0]
    apf_file = path.with_name(f"{NAME}.apf.xml")
    assert (file, line) == (apf_file.name, line_of(apf_file, '<entity_mention ID="E1-1"'))
    covered = "youngownerof"[5 + shift[0] : 10 + shift[1]]
    assert all(part in message for part in ("E1-1", f"{start} to {end}", repr(covered), "'owner'"))


def test_white_space_at_the_ends_of_a_mention_is_ignored(tmp_path):
    wide = charseq(SOURCE, " owner ").replace("> owner <", ">owner<")
    annotations = apf_2005(SOURCE, MENTIONS).replace(charseq(SOURCE, "owner"), wide)
    assert wide in annotations
    document, report = read_one(write(tmp_path, SOURCE, annotations))
    assert entities(document) == HEADS
    assert report.counts["exact"] == 6


SPAN = r'<head><charseq START="\d+" END="\d+"'


@pytest.mark.parametrize(
    ("correct", "wrong", "parts"),
    [
        (rf"{SPAN}>owner", '<head><charseq START="5" END="900">owner', ["5 to 900"]),
        (rf"{SPAN}>owner", '<head><charseq START="9" END="5">owner', ["9 to 5"]),
        (rf"{SPAN}>owner", "<head><charseq>owner", ["START ''", "END ''"]),
        (rf"{SPAN}>owner", '<head><charseq START="-5" END="1e1">owner', ["START '-5'", "END '1e1'"]),
        (rf"{SPAN}>owner</charseq></head>", "", ["'head'"]),
        (rf"{SPAN}>owner</charseq></head>", "<head/>", ["'head'"]),
        ("owner</charseq></head>", "miller</charseq></head>", ["'owner'", "'miller'"]),
        (">owner</charseq></head>", "/></head>", ["'owner'", "''"]),
    ],
)
def test_an_invalid_mention_is_reported_with_its_line_in_the_annotations(tmp_path, correct, wrong, parts):
    annotations = re.sub(correct, wrong, apf_2005(SOURCE, MENTIONS), count=1)
    path = write(tmp_path, SOURCE, annotations)
    apf_file = path.with_name(f"{NAME}.apf.xml")
    [(file, line, message)] = problems_of(path)
    assert (file, line) == (apf_file.name, line_of(apf_file, '<entity_mention ID="E1-1"'))
    assert all(part in message for part in ["E1-1", *parts])


def test_the_extent_that_is_not_read_is_not_checked(tmp_path):
    annotations = apf_2005(SOURCE, MENTIONS).replace(">owner</charseq></head>", ">miller</charseq></head>")
    path = write(tmp_path, SOURCE, annotations)
    read_one(path, extent="full")
    assert len(problems_of(path)) == 1


def test_two_mentions_with_one_id_are_reported(tmp_path):
    annotations = apf_2005(SOURCE, MENTIONS).replace('<entity_mention ID="E4-2"', '<entity_mention ID="E4-1"')
    [(_, _, message)] = problems_of(write(tmp_path, SOURCE, annotations))
    assert "E4-1" in message


@pytest.mark.parametrize("make", [apf_2004, apf_2005])
def test_a_relation_with_an_unknown_mention_is_reported_with_its_line(tmp_path, make):
    # In ACE 2004 a relation mention and an entity mention may have the same ID.
    annotations = make(SOURCE, MENTIONS, {"E1": ("PHYS", [("E2-1", "E9-1")])})
    path = write(tmp_path, SOURCE, annotations)
    apf_file = path.with_name(f"{NAME}.apf.xml")
    [(file, line, message)] = problems_of(path)
    assert (file, line) == (apf_file.name, line_of(apf_file, '<relation_mention ID="E1-1"'))
    assert "relation mention E1-1" in message
    assert "'E9-1'" in message


def test_a_relation_with_one_argument_is_reported(tmp_path):
    annotations = apf_2005(SOURCE, MENTIONS, {"R1": ("PHYS", [("E2-1", "E3-1")])})
    path = write(tmp_path, SOURCE, annotations.replace('REFID="E3-1" ROLE="Arg-2"', 'REFID="E3-1" ROLE="Place"'))
    [(_, _, message)] = problems_of(path)
    assert "R1-1" in message
    assert "''" in message


def test_invalid_xml_is_reported_with_its_line(tmp_path):
    annotations = apf_2005(SOURCE, MENTIONS).replace("</entity>", "</entitee>", 1)
    path = write(tmp_path, SOURCE, annotations)
    apf_file = path.with_name(f"{NAME}.apf.xml")
    [(file, line, message)] = problems_of(path)
    assert (file, line) == (apf_file.name, line_of(apf_file, "</entitee>"))
    assert "mismatched tag" in message


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-16", "big5", "of-our-own"])
def test_the_encoding_in_the_xml_declaration_is_ignored(tmp_path, encoding):
    source = "<DOC>\nZoë is in Malmö.\n</DOC>\n"
    annotations = apf_2005(source, {"E1-1": ("GPE", "Malmö", "Malmö")})
    named = annotations.replace('version="1.0"', f'version="1.0" encoding="{encoding}"')
    document, _ = read_one(write(tmp_path, source, named))
    assert entities(document) == [("Malmö", "GPE")]


def test_a_source_in_another_encoding_is_an_error(tmp_path):
    path = write(tmp_path, SOURCE, apf_2005(SOURCE, MENTIONS))
    path.write_bytes(SOURCE.replace("Lund", "Malmö").encode("latin-1"))
    with pytest.raises(PLMarkerError, match=r"\.sgm.* UTF-8"):
        read(path)


# Each entity expands to ten of the one before it.
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "doctype",
    [
        f'<!DOCTYPE source_file [<!ENTITY l0 "ha">{LAUGHS}]>',
        '<!DOCTYPE source_file [<!ENTITY l11 SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE source_file [<!ENTITY % l11 SYSTEM "file:///etc/hostname"> %l11;]>',
        '<!DOCTYPE source_file SYSTEM "apf.v5.1.1.dtd" [<!ENTITY l11 "">]>',
    ],
)
def test_declared_entities_are_refused_without_delay(tmp_path, doctype):
    annotations = apf_2005(SOURCE, MENTIONS).replace(DOCTYPE_05, doctype).replace("owner</", "&l11;</")
    path = write(tmp_path, SOURCE, annotations)
    start = time.perf_counter()
    [(file, _, message)] = problems_of(path)
    assert time.perf_counter() - start < 5
    assert file == f"{NAME}.apf.xml"
    assert "EntitiesForbidden" in message


def test_the_dtd_is_never_opened(tmp_path):
    dtd = tmp_path / "apf.v5.1.1.dtd"
    dtd.write_text('<!ENTITY lund "Lund">')
    annotations = apf_2005(SOURCE, MENTIONS).replace("apf.v5.1.1.dtd", str(dtd))
    read_one(write(tmp_path, SOURCE, annotations))
    [(_, line, message)] = problems_of(write(tmp_path, SOURCE, annotations.replace(">Lund</", ">&lund;</", 1)))
    assert line == line_of(tmp_path / f"{NAME}.apf.xml", "&lund;")
    assert "undefined entity &lund;" in message


def test_a_source_without_annotations_is_reported_and_the_others_are_read(tmp_path):
    write(tmp_path, SOURCE, apf_2005(SOURCE, MENTIONS), "b")
    write(tmp_path, SOURCE, "", "a").with_name("a.apf.xml").unlink()
    (tmp_path / "more").mkdir()
    write(tmp_path / "more", SOURCE, apf_2004(SOURCE, MENTIONS, RELATIONS), "c")
    documents, report = read(tmp_path)
    assert [document["doc_key"] for document in documents] == ["b", "c"]
    [problem] = report.problems
    assert problem.path == str(tmp_path / "a.sgm")
    assert "a.apf.xml" in problem.message


def test_a_folder_without_sources_is_reported(tmp_path):
    documents, report = read(tmp_path)
    assert documents == []
    [problem] = report.problems
    assert problem.path == str(tmp_path)
    assert ".sgm" in problem.message
