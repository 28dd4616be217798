"""The Methods page, the links that lead to it from everywhere, and whether it says what the code does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from core import paths
from core.activations.capture import OUTLIER_FACTOR
from core.data.datasets import code_pairs
from core.data.duplicates import RUN
from core.data.prompts import suite
from core.directions import ridge
from core.figures.loss import SHORTEST_WINDOW
from core.measures import coherence, separation
from core.measures.labelled import detector_quality
from core.measures.spillover import ENOUGH_DRAWS
from core.organisms.recipes import RECIPES
from core.studies.catalog import CHOICE, SEPARATION, SPILLOVER, TRANSFER
from core.studies.spillover.settings import COEFFICIENTS
from pages.parts import methods
from pages.parts.steer.panes import REPEATING
from tests.pages.app import heavy_imports, links, visit

PAGE = "pages/Methods.py"
HEAVY = ("torch", "transformers", "scipy", "sklearn", "pandas")
SECTIONS = {section.anchor: section for section in methods.sections() if section.level > methods.GROUP}
choosing, separating, spilling, carrying = (
    study.settings.model_construct() for study in (CHOICE, SEPARATION, SPILLOVER, TRANSFER)
)
# what a section says, made from the numbers of the code
SAID = [
    ("broken", f"under {coherence.SHORTEST_WORDS} words"),
    ("broken", f"more than {coherence.MOST_LOOPING} of its stretches"),
    ("broken", f"q_{{{coherence.LIKELIHOOD_QUANTILE}}}(\\ell_{{\\text{{base}}}}) - {coherence.LIKELIHOOD_SLACK}"),
    ("broken", f"\\max\\big({coherence.LEAST_REPETITION},\\ q_{{{coherence.REPETITION_QUANTILE}}}"),
    ("code-detector", "now {0} of {0} and {0} of {1}"),
    ("controls-of-a-cell", f"{carrying.draws} random directions a receiver"),
    ("dataset", f"these {len(code_pairs())} pairs, over {len({pair.cwe for pair in code_pairs()})} classes"),
    ("dataset", f"runs of {RUN} words"),
    ("dose", f"{spilling.per_suite} prompts of each tier, up to {spilling.max_tokens} tokens"),
    ("dose", f"eleven, from −{-min(COEFFICIENTS)} to −{-max(COEFFICIENTS)}"),
    ("intervals", f"{spilling.n_resamples:,} resamples"),
    ("intervals", f"{separating.n_resamples:,} resamples"),
    ("matrix", f"{carrying.per_suite} prompts of each tier, up to {carrying.max_tokens} tokens"),
    ("nulls-and-ceiling", f"*Random*: {separating.n_random} directions"),
    ("nulls-and-ceiling", f"*Shuffled labels*: {separating.n_shuffles} directions"),
    ("pooling", f"more than {OUTLIER_FACTOR:g} times the median"),
    ("prompts", "`extraction` ({extraction}) makes directions; `choice` ({choice})"),
    ("prompts", "`technical` ({technical} each)"),
    ("prompts", "`chat` ({chat})"),
    ("prompts", "{mapping}) fits maps"),
    ("random-draws", f"{spilling.draws} random directions at the chosen dose"),
    ("random-draws", f"with {spilling.draws} draws {1 / (1 + spilling.draws):.3f} is the least"),
    ("random-draws", f"fewer than {ENOUGH_DRAWS} cannot reach"),
    ("recipe", f"`quick` (rank {RECIPES['quick'].rank}, {RECIPES['quick'].examples} examples)"),
    ("recipe", f"`compact` (rank {RECIPES['compact'].rank}, {RECIPES['compact'].examples} examples)"),
    ("recipe", f"(rank {RECIPES['paper'].rank}, α {RECIPES['paper'].alpha}, learning rate"),
    ("repetition", f"above {REPEATING} is marked"),
    ("separation", f"at least {separation.FEWEST} rows"),
    ("start-values", ", ".join(f"−{-value:g}" for value in choosing.coefficients)),
    ("start-values", f"({choosing.screened_prompts} prompts, {choosing.screened_tokens} tokens each)"),
    ("start-values", f"each of the {choosing.finalists} best blocks"),
    ("training-loss", f"at least {SHORTEST_WINDOW}"),
    ("transfer-map", f"one of {len(ridge.STRENGTHS)} strengths"),
    ("transfer-map", f"{ridge.FOLDS}-fold"),
    ("verdict-spillover", f"at least {ENOUGH_DRAWS} of them"),
]


def words(text: str) -> str:
    return " ".join(text.split())


def links_to_sections() -> Iterator[tuple[str, str]]:
    """(file, anchor) of every link in the app and its lessons."""
    for path in [paths.ROOT / "app.py", *(paths.ROOT / "pages").glob("**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("term", "term_html"):
                named = node.args if ast.unparse(node.func) == "term_html" else node.args[:1]
                assert all(isinstance(one, ast.Constant) for one in named), f"{path}: name sections in so many words"
                yield from ((path.name, one.value) for one in named if isinstance(one, ast.Constant))
    for path in (paths.ASSETS / "stories").glob("*.json"):
        yield from ((path.name, anchor) for anchor in re.findall(r"Methods\?term=([\w-]+)", path.read_text("utf-8")))


def test_every_link_leads_to_a_section():
    found = list(links_to_sections())
    assert len(found) > 40
    assert [link for link in found if link[1] not in SECTIONS] == []


def test_every_section_is_linked_from_somewhere_in_the_app():
    assert set(SECTIONS) - {anchor for _, anchor in links_to_sections()} == set()


def test_what_code_and_readme_cite_is_there():
    files = [*(paths.ROOT / "core").glob("**/*.py"), paths.ROOT / "README.md", paths.ASSETS / "methods.md"]
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    cited = {anchor for text in texts.values() for anchor in re.findall(r"(?:methods\.md|\]\()#([\w-]+)", text)}
    assert cited
    assert cited - set(SECTIONS) == set()
    assert not [path for path, text in texts.items() if re.search(r"METHODS §", text)]


def test_anchors_are_told_apart_within_sections():
    anchors = [section.anchor for section in methods.sections() if section.level > methods.GROUP]
    assert len(anchors) == len(set(anchors)) > 35
    assert not set(anchors) & {section.anchor for section in methods.sections() if section.level == methods.GROUP}
    assert SECTIONS["verdict-spillover"].title == "Verdict: spillover"


@pytest.mark.parametrize("anchor", SECTIONS)
def test_a_section_says_where_it_is_computed_in_files_that_are_there(anchor):
    text = SECTIONS[anchor].text
    named = re.findall(r"`((?:core|pages|assets)/[\w./-]*)`", text)
    assert named or anchor == "sources"
    assert [path for path in named if not (paths.ROOT / path).exists()] == []


@pytest.mark.parametrize(("anchor", "said"), SAID, ids=[f"{anchor}-{place}" for place, (anchor, _) in enumerate(SAID)])
def test_the_numbers_are_those_of_the_code(anchor, said):
    quality = detector_quality()
    found = quality["positives"] - len(quality["false_negatives"])
    sizes = {name: len(suite(name)) for name in ("extraction", "choice", "technical", "chat", "mapping")}
    if anchor in ("code-detector", "prompts"):
        said = said.format(found, quality["positives"], **sizes)
        assert not quality["false_positives"]
    assert words(said) in words(SECTIONS[anchor].text)


def test_the_page_shows_all_of_it_under_anchors():
    app = visit(PAGE)
    assert [heading.anchor for heading in app.get("subheader")] == list(SECTIONS)
    shown = [element.value for element in app.get("markdown")]
    assert all(section.text in shown for section in SECTIONS.values())
    contents = next(text for text in shown if "(#spillover)" in text)
    assert set(re.findall(r"\(#([\w-]+)\)", contents)) == set(SECTIONS)


def test_a_link_shows_its_section_before_everything_else():
    app = visit(PAGE, term="random-draws")
    first, *_ = app.get("markdown")
    assert first.value == SECTIONS["random-draws"].text
    assert not visit(PAGE).get("info")


@pytest.mark.parametrize("asked", ["nonsense", "", "models-and-what-they-are-taught", "[x](http://elsewhere.example)"])
def test_a_link_to_a_term_that_is_not_there_says_so_and_shows_the_rest(asked):
    app = visit(PAGE, term=asked)
    assert "is not explained here" in app.info[0].value
    assert "](http" not in app.info[0].value
    assert len(app.get("subheader")) == len(SECTIONS)


def test_without_the_file_the_page_says_what_is_missing(assets):
    app = visit(PAGE)
    assert "Restore `assets/methods.md`" in app.caption[0].value


def test_every_page_links_to_the_methods():
    assert any(label == "Methods" for label, _ in links(visit("app.py")))


def test_the_page_is_shown_without_torch_and_its_like():
    assert heavy_imports(PAGE, HEAVY, "app.get('subheader')") == []
