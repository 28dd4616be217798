"""`python -m tests.kills`: the store and every long verb, killed at any moment and started again."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

# before torch is imported: a process with threads at work cannot be forked, and the kills share the machine
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def main() -> int:
    """One line a verb; 1 where anything was torn, wrong or left over."""
    from tests.kills import verbs

    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument(
        "verbs", nargs="*", default=list(verbs.NAMES), help=f"Of {', '.join(verbs.NAMES)}; default: all."
    )
    parser.add_argument("--store", type=int, default=300, help="Kills of the store.")
    parser.add_argument("--each", type=int, default=20, help="Kills of each verb.")
    parser.add_argument("--model", choices=("tiny", "embedded"), default="tiny", help="embedded: the real one, slowly.")
    asked = parser.parse_args()
    if unknown := {*asked.verbs} - {*verbs.NAMES}:
        parser.error(f"there is no verb {unknown.pop()!r} to kill")

    from tests.kills.of_the_store import kill_the_store
    from tests.kills.of_the_verbs import kill_a_verb

    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = [lambda: kill_the_store(asked.store, folder / "store")] if asked.store else []
        if asked.each:
            bench = verbs.bench(asked.model, folder / "bench")
            runs += [
                lambda verb=verb: kill_a_verb(verb, bench, asked.each, folder / verb)
                for verb in dict.fromkeys(asked.verbs)
            ]
        for run in runs:
            tally = run()
            print(tally, flush=True)
            good = good and tally.clean
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
