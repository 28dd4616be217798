"""The methods, `assets/methods.md`, as a page; and links to its sections from wherever a term is shown.

A link names its section as `?term=broken`, and the page shows that one first: a browser that is sent to `#broken` gets
there before the formulas above have their height, and ends up elsewhere. Links are relative, so that they also hold
behind a proxy's path, and open beside the page they are on, whose choices stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import streamlit as st

from core import paths
from pages.parts.shell import literal_markdown

_HEADING = re.compile(r"^(#{2,3}) (.+)$", re.M)
GROUP = 2  # a heading's level; sections are one deeper


@dataclass(frozen=True)
class Section:
    """A heading of the file, and the Markdown under it."""

    title: str
    level: int
    text: str

    @property
    def anchor(self) -> str:
        """What a link calls it: the heading in small letters, as GitHub makes it too."""
        return re.sub(r"[^\w -]", "", self.title.lower()).replace(" ", "-")


def term(anchor: str, label: str = "") -> str:
    """A link to a section in Markdown, such as a help text: `[Methods: broken](Methods?term=broken)`."""
    return f"[{label or f'Methods: {_words(anchor)}'}]({_address(anchor)})"


def term_html(*anchors: str) -> str:
    """Links to sections for `st.html`, such as `Methods: spillover, clean`."""
    links = [f'<a href="{_address(anchor)}" target="_blank">{_words(anchor)}</a>' for anchor in anchors]
    return f"Methods: {', '.join(links)}"


def sections() -> list[Section]:
    """Groups and sections in order; none where the file is missing."""
    return _read()[1]


def show_methods() -> None:
    """The section that the link asks for, what the page is, its contents, and every section under its anchor."""
    st.html(f"<style>{_STYLE}</style>")
    about, found = _read()
    st.title("Methods", anchor=False)
    if not found:
        st.caption("The methods are not in this copy. Restore `assets/methods.md`.")
        return
    _show_asked(found)
    contents, text = st.columns([3, 8], gap="large")
    with contents, st.container(key="methods-contents"):
        st.markdown(contents_of(found))
    with text, st.container(key="methods-text"):
        st.markdown(about)
        for section in found:
            if section.level == GROUP:
                st.header(section.title, anchor=False)
            else:
                st.subheader(section.title, anchor=section.anchor)
                st.markdown(section.text)


def contents_of(found: list[Section]) -> str:
    """A paragraph a group, with a link to each of its sections."""
    groups: list[tuple[str, list[str]]] = []
    for section in found:
        if section.level == GROUP:
            groups.append((section.title, []))
        else:
            groups[-1][1].append(f"[{section.title}](#{section.anchor})")
    return "\n\n".join(f"**{title}**  \n{' · '.join(links)}" for title, links in groups)


def _show_asked(found: list[Section]) -> None:
    """What a link asks for, above everything; a note where there is no such section."""
    asked = st.query_params.get("term")
    if asked is None:
        return
    section = next((item for item in found if item.anchor == asked and item.level > GROUP), None)
    if section is None:
        said = f"The link's term {asked[:40]!r} is not explained here. Look for it in the contents."
        st.info(literal_markdown(said), icon=":material/link_off:")
        return
    with st.container(border=True, key="methods-asked"):
        st.subheader(section.title, anchor=False)
        st.markdown(section.text)


def _read() -> tuple[str, list[Section]]:
    """What stands between the title and the first group; and the groups and sections."""
    try:
        text = (paths.ASSETS / "methods.md").read_text(encoding="utf-8")
    except OSError:
        return "", []
    first, *rest = _HEADING.split(text)
    pieces = zip(rest[0::3], rest[1::3], rest[2::3], strict=True)
    found = [Section(title.strip(), len(signs), body.strip()) for signs, title, body in pieces]
    return first.partition("\n")[2].strip(), found


def _address(anchor: str) -> str:
    return f"Methods?term={anchor}"


def _words(anchor: str) -> str:
    return anchor.replace("-", " ")


# On a wide screen the contents stay in sight; long formulas move inside themselves, not the page.
_STYLE = """
.st-key-methods-text, .st-key-methods-asked { max-width: 48rem; }
:is(.st-key-methods-text, .st-key-methods-asked) .katex-display { overflow-x: auto; overflow-y: hidden; }
@media (min-width: 800px) {
  .stColumn:has(.st-key-methods-contents) { position: sticky; top: 1rem; align-self: flex-start; }
}
"""
