"""What passes between us and a worker, and the worker's loop, without a model."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from benchmarks import worker
from benchmarks.pairs import PeerFailed
from benchmarks.peers import AS_OURS, INSTALLED, NEEDED, OURS, PEERS, alike, parse_answer
from benchmarks.programs import padded
from core import paths


def test_an_answer_is_what_the_worker_found():
    assert parse_answer(b'{"seconds": 1.5, "ids": [[1]]}\n') == {"seconds": 1.5, "ids": [[1]]}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"error": "ValueError: odd"}\n', "^ValueError: odd$"),
        (b"Loading weights\n", "not an answer"),
        (b"[1]\n", "not an answer"),
        (b"", "without a word"),
    ],
)
def test_anything_else_is_a_failure_with_a_message(line, said):
    with pytest.raises(PeerFailed, match=said):
        parse_answer(line)


def test_a_worker_that_died_has_its_last_words_quoted(tmp_path):
    log = tmp_path / "log"
    log.write_text("Traceback\nMemoryError: too large\n\n")
    with pytest.raises(PeerFailed, match=r"^MemoryError: too large$"):
        parse_answer(b"", log)


class Program:
    device = "cpu"

    def __init__(self, *_: str) -> None:
        pass

    def versions(self) -> dict[str, str]:
        return {"program": "1"}

    def prepare(self, do: str, asked: dict):
        if do == "fail":
            raise ValueError("odd\nsecond line")
        return lambda: {"sum": sum(asked["numbers"])}


def test_the_loop_answers_each_line_and_goes_on_after_a_failure(monkeypatch):
    monkeypatch.setitem(worker.PROGRAMS, "test", (__name__, "Program"))
    load = {"do": "load", "folder": "", "id": "", "device": "cpu", "dtype": "bfloat16", "threads": 1}
    asked = [load, {"do": "fail"}, {"do": "add", "numbers": [1, 2]}, {"do": "add", "numbers": [], "watch": True}]
    answers = io.StringIO()
    worker.serve("test", io.StringIO("".join(json.dumps(line) + "\n" for line in asked) + "not json\n"), answers)
    loaded, failed, added, watched, odd = map(json.loads, answers.getvalue().splitlines())
    assert loaded == {"versions": {"program": "1"}}
    assert failed == {"error": "ValueError: odd"}
    assert added["sum"] == 3 and added["seconds"] >= 0
    assert watched["peak"] >= watched["before"] > 0
    assert odd["error"].startswith("JSONDecodeError")


WORKER = """
import sys
from benchmarks import programs, worker

def serve(name, questions, answers):
    print("noise of a library")
    answers.write(" ".join({module.split(".")[0] for module in sys.modules} & {"core", "transformers"}) + "\\n")

worker.serve = serve
worker.main()
"""


def test_a_workers_standard_output_holds_answers_alone_and_it_imports_nothing_of_ours():
    done = subprocess.run(
        [sys.executable, "-c", WORKER, "repeng"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout) == (0, "transformers\n"), done.stderr
    assert "noise of a library" in done.stderr


def test_every_installed_peer_is_pinned_and_known_to_the_worker():
    files = (OURS, NEEDED, PEERS)
    pinned = [line.split("==")[0] for file in files for line in file.read_text().splitlines() if "==" in line]
    assert set(pinned) >= {*INSTALLED, *AS_OURS} and set(INSTALLED) <= set(worker.PROGRAMS)
    assert len(pinned) == len(set(pinned)), "a version is declared twice"


def test_prompts_are_padded_on_the_left():
    found = padded([[5], [6, 7, 8]], pad=0, device="cpu")
    assert found["input_ids"].tolist() == [[0, 0, 5], [6, 7, 8]]
    assert found["attention_mask"].tolist() == [[0, 0, 1], [1, 1, 1]]


def test_agreement_counts_tokens_until_texts_part():
    assert alike([[1, 2, 3], [1, 2, 3], [9, 9, 9]], [[1, 2, 4], [1, 2, 3], [1, 9, 9]]).startswith("the first 2 of 3")
