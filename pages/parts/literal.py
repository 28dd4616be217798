"""Model text as HTML that shows exactly the text: nothing in it is rendered, fetched or run.

Line breaks become character references, because `st.html` dedents what it is given and would change blank lines.
Control characters, which a browser would drop, become their pictures (␀ … ␡).
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from core.words import number

if TYPE_CHECKING:
    from core.directions.library import DirectionCard
    from core.generation.rows import Token
    from core.measures.code import Evidence

LEVELS = 10
_PICTURES = {code: chr(0x2400 + code) for code in range(32)} | {0x7F: "\u2421", 9: "&#9;", 10: "&#10;"}


@dataclass(frozen=True)
class Tint:
    """How projections become colours: none at `centre`, the base model's mean; full at `scale` from it.

    The scale belongs to the direction and the block, so it is the same in every pane and while text arrives.
    """

    block: int
    centre: float
    scale: float

    @classmethod
    def of(cls, card: DirectionCard, block: int) -> Tint:
        """Full colour at the direction's own length, or at a quarter of the mean residual norm if that is more."""
        return cls(block, card.base_projections[block], max(card.norms[block], card.residual_norms[block] / 4))

    def level(self, projection: float) -> int:
        """From −`LEVELS` to `LEVELS`."""
        share = (projection - self.centre) / self.scale
        return round(max(-1.0, min(1.0, share)) * LEVELS) if share == share else 0


def literal(text: str) -> str:
    """`text` as HTML text."""
    return html.escape(text.encode("utf-8", "replace").decode()).translate(_PICTURES)


def answer_html(
    text: str, tokens: Sequence[Token] = (), evidence: Sequence[Evidence] = (), tint: Tint | None = None
) -> str:
    """The text with its evidence underlined and, given a tint, each token on the colour of its projection."""
    pieces = []
    for start, end, token in _cut(text, tokens if tint else (), evidence):
        found = next((item for item in evidence if item.start <= start < item.end), None)
        classes = ["evidence"] if found else []
        title = ""
        if token is not None and tint is not None:
            level = 0 if token.projection is None else tint.level(token.projection)
            classes += ["token", *([f"{'plus' if level > 0 else 'minus'}{abs(level)}"] if level else [])]
            title = f' title="{token_title(token, tint)}"'
        shown = literal(text[start:end])
        pieces.append(f'<span class="{" ".join(classes)}"{title}>{shown}</span>' if classes else shown)
    return "".join(pieces)


def token_title(token: Token, tint: Tint) -> str:
    """What a token's tooltip says."""
    if token.projection is None:
        return f"log-probability {number(token.logprob)}"
    return (
        f"{number(token.projection - tint.centre, sign=True)} from the base mean (projection "
        f"{number(token.projection)}), log-probability {number(token.logprob)}"
    )


def _cut(text: str, tokens: Sequence[Token], evidence: Sequence[Evidence]) -> Iterator[tuple[int, int, Token | None]]:
    """Pieces (start, end, token) that cover `text` and cross no border of a token or of evidence."""
    borders: dict[int, Token | None] = {}
    place = 0
    for token in tokens:
        if token.text:
            borders[place] = token
            place += len(token.text)
    borders[place] = None
    cuts = {0, len(text), *borders, *(end for item in evidence for end in (item.start, item.end))}
    points = sorted(cut for cut in cuts if 0 <= cut <= len(text))
    owner: Token | None = None
    for start, end in pairwise(points):
        owner = borders.get(start, owner)
        yield start, end, owner
