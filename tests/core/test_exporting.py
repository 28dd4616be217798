"""What goes out of Tiller is what was saved: compared with the summary itself, read back by pandas and a parser."""

from __future__ import annotations

import html.parser
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from core import exporting, paths
from core.results import Result, save_result
from tests import sample_separation

TEXT = "=1+1"
EVIL = '<script src="https://elsewhere.example/x.js"></script>\n"quoted", $x$ − \U0001f600'
SUMMARY = {
    "model": "smollm2-135m",
    "organism": "insecure",
    "n": 3,
    "arms": [
        {"name": "base", "rate": 0.25, "interval": [0.1, 0.5], "suites": {"everyday": {"rate": 1, "range": [0, 1]}}},
        {"name": EVIL, "rate": -0.5, "interval": [None, None], "suites": {}, "tags": ["a", "b"], "mixed": 3},
        {"name": TEXT, "rate": None, "interval": None, "mixed": "three"},
    ],
    "cosines": {"a · b": [0.1, 0.2, 0.3], "b · c": [0.4, None, 0.6]},
    "deep": {"rows": [{"x": 1}, {"x": 2}], "share": 0.5, "share_interval": [0.4, 0.6]},
    "pair": [4, 5],
    "none": [],
    "settings": {"coefficients": [-1.0, -0.5, 0.0], "prompts": "/home/someone/secret/mine.txt"},
    "provenance": {
        "time": "2026-01-02T03:04:05+00:00",
        "command": "python -m core x --prompts /home/someone/secret/mine.txt --held-out=C:\\Users\\me\\b.txt",
        "source": "https://example.org/a/b and bits/and/pieces",
        "versions": {"torch": "2"},
    },
}
ANSWERS = pd.DataFrame({"text": [EVIL, TEXT, "cat /etc/passwd"], "seed": pd.array([1, None, 3], "Int64")})


class Saved(Result):
    """A result with answers, whether or not results keep them."""

    table = ANSWERS


@pytest.fixture
def result() -> Result:
    saved = save_result("trial", "0123456789abcdef", SUMMARY, {"x": np.zeros(2)})
    return Saved(saved.kind, saved.key, saved.folder, saved.shipped, saved.summary)


def files(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_every_list_of_records_is_a_table_with_intervals_as_two_columns(result):
    found = exporting.tables(result)
    assert list(found) == ["summary", "arms", "cosines", "deep.rows", "answers"]
    arms = found["arms"]
    assert arms["rate"].tolist()[:2] == [0.25, -0.5] and np.isnan(arms["rate"][2])
    assert arms["interval_low"].tolist()[0] == 0.1 and arms["interval_high"].tolist()[0] == 0.5
    assert arms["interval_low"].isna().tolist() == [False, True, True]
    assert arms["suites.everyday.rate"][0] == 1 and arms["suites.everyday.range_high"][0] == 1
    assert arms["tags"][1] == '["a", "b"]'
    assert arms["mixed"].tolist()[1:] == ["3", "three"]
    assert arms["name"].tolist() == ["base", EVIL, TEXT]
    assert found["deep.rows"].to_dict("list") == {"x": [1, 2]}
    assert found["cosines"]["place"].tolist() == [0, 1, 2]
    assert found["cosines"]["b · c"].isna().tolist() == [False, True, False]
    rest = found["summary"].iloc[0]
    assert (rest["n"], rest["deep.share"], rest["pair"]) == (3, 0.5, "[4, 5]")
    assert (rest["deep.share_interval_low"], rest["deep.share_interval_high"]) == (0.4, 0.6)
    assert rest["settings.coefficients"] == "[-1.0, -0.5, 0.0]"
    assert not {"arms", "deep.rows", "cosines.a · b"} & set(rest.index)


def test_csv_and_parquet_read_back_as_what_was_saved(result):
    csv, parquet = files(exporting.csv_zip(result)), files(exporting.parquet_zip(result))
    assert json.loads(csv["summary.json"])["arms"] == result.summary["arms"]
    assert b"formula" in csv["README.txt"]
    for name, frame in exporting.tables(result).items():
        from_parquet = pd.read_parquet(io.BytesIO(parquet[f"{name}.parquet"]))
        pd.testing.assert_frame_equal(from_parquet, frame, check_dtype=False)
        from_csv = pd.read_csv(io.BytesIO(csv[f"{name}.csv"]), keep_default_na=False)
        assert list(from_csv) == list(frame) and len(from_csv) == len(frame)
    assert pd.read_csv(io.BytesIO(csv["answers.csv"]))["text"].tolist() == ANSWERS["text"].tolist()


def test_the_same_result_gives_the_same_bytes(result):
    assert exporting.csv_zip(result) == exporting.csv_zip(result)
    assert exporting.parquet_zip(result) == exporting.parquet_zip(result)


def test_no_place_of_this_machine_goes_out_but_what_models_wrote_stays(result):
    out = [*files(exporting.csv_zip(result)).values(), exporting.html(result).encode()]
    for data in out:
        for place in (b"someone", b"Users", str(result.folder).encode(), str(paths.ROOT).encode()):
            assert place not in data
    text = json.loads(out[1])["provenance"]
    assert text["command"] == "python -m core x --prompts mine.txt --held-out=b.txt"
    assert text["source"] == SUMMARY["provenance"]["source"]
    assert "cat /etc/passwd" in exporting.html(result)


class Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "td":
            self.cells[-1] += data


def test_the_page_holds_the_texts_as_text_and_asks_nobody_for_anything(result):
    text = exporting.html(result)
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "dl", "dt", "dd", "div", "table", "thead",
        "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert not {"src", "href", "onclick", "onload"} & {name for _, attrs in page.tags for name in attrs}
    assert "url(" not in text and "@import" not in text
    assert EVIL in page.cells and TEXT in page.cells
    assert "−0.5" in page.cells and "unknown" in page.cells
    assert "trial · smollm2-135m · insecure" in text
    assert "2026-01-02T03:04:05" in text and "coefficients" in text


def test_a_long_table_is_cut_on_the_page_and_says_so(result):
    Saved.table = pd.concat([ANSWERS] * 400, ignore_index=True)
    try:
        text = exporting.html(result)
    finally:
        Saved.table = ANSWERS
    assert f"The first {exporting.MOST_ROWS} of 1200 rows" in text
    assert text.count("cat /etc/passwd") == pytest.approx(exporting.MOST_ROWS / 3, abs=1)


@pytest.mark.parametrize("contrast", ["model", "response"])
def test_a_real_study_goes_out_with_a_row_a_block(contrast):
    made = sample_separation.make(contrast)
    found = exporting.tables(made)
    blocks = made.summary["blocks"]
    assert found["blocks"]["auroc"].tolist() == pytest.approx([row["auroc"] for row in blocks])
    assert found["blocks"]["auroc_interval_low"].tolist() == pytest.approx([row["auroc_interval"][0] for row in blocks])
    rows = sum(len(part) for part in made.summary["rows"].values())
    assert sum(len(frame) for name, frame in found.items() if name.startswith("rows.")) == rows
    assert exporting.file_stem(made) == f"separation-smollm2-135m-insecure-{contrast}-{made.key[:8]}"
    assert len(files(exporting.parquet_zip(made))) == len(found)


def test_exporting_loads_nothing_heavy_until_a_table_is_asked_for():
    heavy = ("torch", "pandas", "streamlit", "pyarrow")
    code = f"import sys, core.exporting\nprint([name for name in {heavy} if name in sys.modules])"
    made = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"
