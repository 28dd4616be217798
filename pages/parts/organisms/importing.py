"""Bring in a dataset: an uploaded file of chats, checked record by record before anything is kept."""

from __future__ import annotations

from pathlib import PurePath

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core import paths
from core.data.checking import Problem, check_lines
from core.data.datasets import MOST_MEGABYTES, import_dataset
from core.data.files import ENDINGS
from core.data.layouts import Notes
from core.errors import BadInput, TillerError
from pages.parts.literal import literal
from pages.parts.organisms.choice import NOTES, choose
from pages.parts.shell import errors, show_error

CHECKED, ROUND, TROUBLE = (f"organisms_import_{name}" for name in ("checked", "round", "trouble"))
NAMED = 10  # bad lines that are listed
LONGEST_REASON = 300
EXAMPLE = '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'


def show_import() -> None:
    """The folded form; open while a file is in it."""
    turn = st.session_state.setdefault(ROUND, 0)
    held = st.session_state.get(f"organisms.file.{turn}") is not None
    with st.expander("Import a dataset", icon=":material/upload_file:", expanded=held):
        st.html(
            "<p class='org-small'>Chats as JSONL, a JSON array, CSV or Parquet, the last message the assistant’s: "
            f"<code>{literal(EXAMPLE)}</code>. ShareGPT, Alpaca, and pairs of prompt and completion, prompt and "
            "response, or question and answer are read too, and what is changed is said. Every answer of a chat is "
            f"learned, unless its weight is 0. At most {MOST_MEGABYTES} MB; a larger file trains from the command "
            "line by its path. The file stays on this machine.</p>"
        )
        upload = st.file_uploader(
            "File of chats", list(ENDINGS), key=f"organisms.file.{turn}", max_upload_size=MOST_MEGABYTES,
            label_visibility="collapsed",
        )  # fmt: skip
        if upload is None:
            st.session_state.pop(CHECKED, None)
            return
        with errors():
            _show_checked(turn, upload)


def _show_checked(turn: int, upload: UploadedFile) -> None:
    good, problems, read = _checked(upload)
    st.html(verdict_html(upload.name, good, problems, read))
    skip = False
    if problems and good:
        kind = problems[0].kind
        many = f"the {good:,} good {kind}s" if good > 1 else f"the one good {kind}"
        skip = st.checkbox(f"Import {many} without the bad ones", key=f"organisms.skip.{turn}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Name", suggested(upload.name), max_chars=80, key=f"organisms.name.{turn}", width=320)
        st.button(
            "Import", type="primary", key="organisms.import", icon=":material/check:",
            disabled=not good or bool(problems and not skip), on_click=_import, args=(turn,),
        )  # fmt: skip
    if trouble := st.session_state.get(TROUBLE):
        show_error(trouble)


def suggested(file: str) -> str:
    """What a dataset can be called that comes in a file of this name."""
    try:
        return paths.safe_name(PurePath(file).stem, "dataset").rstrip("-.").lower()
    except BadInput:
        return "dataset"


def verdict_html(file: str, good: int, problems: list[Problem], read: str = "") -> str:
    """How many records are good, the first bad ones with their numbers and reasons, and what reading changed."""
    chats = "1 training chat" if good == 1 else f"{good:,} training chats"
    if not problems:
        verdict = f"{chats}, every record is good." if good else "no training chats."
        return f"<p role='status'>✓ {literal(file)}: {verdict}{_changed(read)}</p>"
    rows = "".join(
        f"<li><b>{problem.kind} {problem.line:,}</b>: {literal(problem.reason[:LONGEST_REASON])}</li>"
        for problem in problems[:NAMED]
    )
    kind = problems[0].kind
    lines = f"1 {kind} is not" if len(problems) == 1 else f"{len(problems):,} {kind}s are not"
    more = f" The first {NAMED}:" if len(problems) > NAMED else ""
    return (
        f"<div class='org-note' role='status'><p>{literal(file)}: {chats}; {lines}.{more}{_changed(read)}</p>"
        f"<ul>{rows}</ul><p>Correct the file and choose it again, or import the good {kind}s.</p></div>"
    )


def _changed(read: str) -> str:
    return f" {literal(read[:1].upper() + read[1:])}." if read else ""


def _checked(upload: UploadedFile) -> tuple[int, list[Problem], str]:
    """How many chats are in the file, the other records, and what reading changed; once a file, not at every run.

    Raises:
        BadInput: too many other records, or the file as a whole cannot be read.
    """
    kept = st.session_state.get(CHECKED)
    if kept is None or kept[0] != upload.file_id:
        st.session_state[TROUBLE] = None
        try:
            notes = Notes()
            good, problems = check_lines(upload.getvalue(), upload.name, notes)
            kept = (upload.file_id, (len(good), problems, notes.words()), "")
        except BadInput as error:
            kept = (upload.file_id, (0, [], ""), str(error))
        st.session_state[CHECKED] = kept
    if kept[2]:
        raise BadInput(kept[2])
    return kept[1]


def _import(turn: int) -> None:
    """Read from the session, not from arguments: a name may have been typed since the page was drawn."""
    upload = st.session_state[f"organisms.file.{turn}"]
    name = st.session_state[f"organisms.name.{turn}"] or suggested(upload.name)
    st.session_state[TROUBLE] = None
    try:
        skip = st.session_state.get(f"organisms.skip.{turn}", False)
        made = import_dataset(name, upload.getvalue(), skip, upload.name)
    except TillerError as error:
        st.session_state[TROUBLE] = str(error)
        return
    choose(dataset=made.name, q="")
    st.session_state[ROUND] += 1  # an empty uploader
    changed = f" {made.read[:1].upper()}{made.read[1:]}." if made.read else ""
    st.session_state[NOTES] = (f"{made.name} is here: {len(made.chats):,} chats, hash {made.hash[:8]}.{changed}",)
