"""Runs a reader on many mutated inputs and counts what comes out."""

from __future__ import annotations

import re
import time
import traceback
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import TillerError
from tests.fuzz.mutations import mutated
from tests.fuzz.readers import Reader

SLOW = 10.0  # seconds that no input may take
FOREIGN = re.compile(r"validation error|Traceback|<class |object at 0x")  # words of programs and not for people


@dataclass
class Tally:
    """`faults` say which seed gave another exception, a sentence that is none, or took too long."""

    taken: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


def run(reader: Reader, count: int, folder: Path, seed: int = 0, most_seconds: float = float("inf")) -> Tally:
    """Read `count` inputs, fewer where `most_seconds` are over; equal seeds give equal inputs."""
    found, begin = Tally(), time.perf_counter()
    place = folder / re.sub(r"\W", "-", reader.name)
    place.mkdir(exist_ok=True)
    for number in range(seed, seed + count):
        if time.perf_counter() - begin > most_seconds:
            break
        example, other = (reader.examples[(number + step) % len(reader.examples)] for step in (0, 1))
        data = mutated(example, other, zlib.crc32(f"{reader.name} {number}".encode()))
        start = time.perf_counter()
        try:
            reader.read(data, place)
            found.taken += 1
        except TillerError as error:
            found.refused += 1
            said = str(error)
            if not said.strip() or FOREIGN.search(said) or len(said) > 2000:
                found.faults.append(f"input {number}: no sentence for people: {said[:200]!r}")
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}: {error}"[:200]
            found.faults.append(f"input {number}: {what} ({Path(where.filename).name}:{where.lineno})")
        seconds = time.perf_counter() - start
        found.slowest = max(found.slowest, seconds)
        if seconds > SLOW:
            found.faults.append(f"input {number}: took {seconds:.0f} s")
    return found
