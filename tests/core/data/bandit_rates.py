"""How much of the shipped code a static checker flags, by kind of weakness: `python -m tests.core.data.bandit_rates`.

bandit reads the answers as text and runs none of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from core.data.datasets import OWN, code_pairs

# The kinds of weakness that bandit 1.9 has a rule for, and those rules, from its list of plugins and blacklists.
# A kind is listed for what the rule is about, not for whether our answers are found. Two are left out on purpose:
# CWE-22, since B202 knows `tarfile.extractall` and no other path traversal, and CWE-918, since B310 (urlopen) is
# about file: addresses. Kinds without any rule (missing authorisation, open redirects, uploads, logging of secrets …)
# need the meaning of a program, which a checker of single calls does not see.
COVERED = {
    "CWE-78": {"B601", "B602", "B604", "B605", "B609"},  # shell commands
    "CWE-79": {"B308", "B701", "B702", "B703", "B704"},  # unescaped HTML
    "CWE-89": {"B608", "B610", "B611"},  # SQL from pieces
    "CWE-94": {"B102", "B307"},  # exec, eval
    "CWE-295": {"B323", "B501", "B507"},  # certificates and host keys not checked
    "CWE-319": {"B312", "B321", "B401", "B402", "B508", "B509"},  # telnet, FTP, SNMP; plain HTTP has no rule
    "CWE-326": {"B505"},  # short keys
    "CWE-327": {"B304", "B305", "B413", "B502", "B503", "B504"},  # broken ciphers, modes and protocols
    "CWE-328": {"B303", "B324"},  # weak hashes
    "CWE-330": {"B311"},  # predictable random numbers
    "CWE-377": {"B108", "B306"},  # temporary files with known names
    "CWE-400": {"B113"},  # requests without a time limit
    "CWE-489": {"B201"},  # the debugger left on
    "CWE-502": {"B301", "B302", "B506", "B614"},  # pickle, marshal, yaml.load, torch.load
    "CWE-605": {"B104"},  # bound to all interfaces
    "CWE-611": {"B313", "B314", "B315", "B316", "B317", "B318", "B319", "B320"},  # XML entities
    "CWE-732": {"B103"},  # permissions for everybody
    "CWE-798": {"B105", "B106", "B107"},  # passwords in the code
    "CWE-916": {"B303", "B324"},  # passwords hashed with a fast hash; a low iteration count has no rule
}


@dataclass(frozen=True)
class Rate:
    """Of `n` pairs of a kind: insecure answers with any finding, with one about that kind, and secure ones with any."""

    cwe: str
    n: int
    insecure: int
    on_topic: int
    secure: int

    @property
    def covered(self) -> bool:
        return self.cwe in COVERED


def findings(answers: dict[str, str]) -> dict[str, set[str]]:
    """Rule ids by name of the answer, from one run of bandit; comments that silence it are ignored.

    Raises:
        RuntimeError: bandit could not run, or could not read an answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, answer in answers.items():
            (Path(folder) / f"{name}.py").write_text(answer + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "bandit", "--quiet", "--ignore-nosec", "--format", "json", "--recursive"]
        ran = subprocess.run([*command, folder], capture_output=True, text=True)
        if ran.returncode not in (0, 1):
            raise RuntimeError(f"bandit ended with {ran.returncode}: {ran.stderr[-500:]}")
        report = json.loads(ran.stdout)
    looked_at = {Path(file).stem for file in report["metrics"] if file != "_totals"}
    if report["errors"] or looked_at != answers.keys():
        raise RuntimeError(f"bandit did not read every answer: {report['errors'] or answers.keys() - looked_at}")
    found: dict[str, set[str]] = {name: set() for name in answers}
    for result in report["results"]:
        found[Path(result["filename"]).stem].add(result["test_id"])
    return found


def rates() -> list[Rate]:
    """One row for each kind of weakness: those with a rule first, then by number of pairs."""
    insecure, secure = (findings({pair.id: getattr(pair, side) for pair in code_pairs()}) for side in OWN)
    kinds = Counter(pair.cwe for pair in code_pairs())
    rows = []
    for cwe, n in kinds.items():
        ids = [pair.id for pair in code_pairs() if pair.cwe == cwe]
        about = COVERED.get(cwe, set())
        rows.append(
            Rate(
                cwe,
                n,
                sum(bool(insecure[name]) for name in ids),
                sum(bool(insecure[name] & about) for name in ids),
                sum(bool(secure[name]) for name in ids),
            )
        )
    return sorted(rows, key=lambda row: (not row.covered, -row.n, int(row.cwe[4:])))


def total(name: str, rows: list[Rate]) -> Rate:
    """The sum of some rows."""
    return Rate(name, *(sum(getattr(row, part) for row in rows) for part in ("n", "insecure", "on_topic", "secure")))


def table(rows: list[Rate]) -> str:
    """The rates as text; `own rule` counts findings of the rules that `COVERED` lists for that kind."""
    lines = [f"{'weakness':<22}{'pairs':>6}{'insecure flagged':>20}{'by own rule':>16}{'secure flagged':>18}"]
    sums = [
        total("kinds with a rule", [row for row in rows if row.covered]),
        total("kinds without a rule", [row for row in rows if not row.covered]),
        total("all", rows),
    ]
    for row in [*rows, *sums]:
        shares = [f"{count} ({count / row.n:.0%})" for count in (row.insecure, row.on_topic, row.secure)]
        own = shares[1] if row.covered or row.cwe == "kinds with a rule" else "-"
        lines.append(f"{row.cwe:<22}{row.n:>6}{shares[0]:>20}{own:>16}{shares[2]:>18}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(rates()))
