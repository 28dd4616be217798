"""Files as what they are: the records of a JSON, JSONL, CSV, Parquet or plain text file, each with its place."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

from core import paths
from core.errors import BadInput

MOST_CHARACTERS = 1_000_000  # of a record
TURN_FIELDS = ({"role", "content"}, {"from", "value"})
MOST_UNPACKED = 2_000_000_000  # bytes of a Parquet file's values
ENDINGS = ("jsonl", "json", "csv", "tsv", "parquet")  # of files of chats; prompts can be plain text too
JSONS = (".json", ".jsonl", ".ndjson")
# longer marks first: UTF-32's begins as UTF-16's does
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
OTHERS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook. Unpack it, or save the sheet as CSV."),
    (b"\x1f\x8b", "compressed with gzip. Unpack it."),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard. Unpack it."),
    (b"%PDF", "a PDF. Save its text as a text file."),
)


@dataclass(frozen=True)
class Record:
    """One record of a file.

    Attributes:
        kind: what `number` counts from 1: lines of the file, rows below a table's header, or items of a JSON array.
        value: what stands there, as JSON has it.
        problem: why it cannot be read; None where it can.
    """

    kind: Literal["line", "row", "item"]
    number: int
    value: Any = None
    problem: str | None = None

    @property
    def place(self) -> str:
        return f"{self.kind} {self.number}"


def content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        BadInput: names the file and the reason.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {paths.shown(path)}. Check the path.") from error
    except IsADirectoryError as error:
        raise BadInput(f"{paths.shown(path)} is a folder. Name a file.") from error
    except (OSError, ValueError) as error:  # no permission, a name that no file can have
        raise BadInput(f"{paths.shown(path)} cannot be read ({error}). Choose another file.") from error


def records(data: bytes, name: str, plain: bool = False, strict: bool = True) -> Iterator[Record]:
    """The records of a file in their order; blank lines are none. A record that cannot be read says why.

    What the file is, its first bytes and its name's ending say: a table with named columns (CSV, Parquet), one JSON
    value (of an array each item is a record), or JSON values one a line.

    Args:
        name: of the file, for its ending and for errors.
        plain: a file that is none of these is plain text, a record a line; a file that begins as JSON never is.
        strict: else bytes that are not UTF-8 cost only their line, where a file has JSON values one a line.

    Raises:
        BadInput: the file as a whole cannot be read; names the line where there is one.
    """
    ending = PurePath(name).suffix.lower()
    if data.startswith(b"PAR1") or ending == ".parquet":
        return _parquet(data, name)
    if ending in (".csv", ".tsv"):
        return _table(text_of(data, name), name, ending)
    one_array = data.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    return _lines(text_of(data, name, strict or one_array), name, plain and ending not in JSONS)


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Non-blank lines of a text file with their 1-based numbers.

    Raises:
        BadInput: names the file and the reason.
    """
    return iter(_numbered(text_of(content(path), paths.shown(path))))


def text_of(data: bytes, name: str, strict: bool = True) -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Args:
        strict: else bytes that are not UTF-8 become half characters, by which their lines are known.

    Raises:
        BadInput: another encoding, or no text at all.
    """
    for begins, what in OTHERS:
        if data.startswith(begins):
            raise BadInput(f"{name} is {what}")
    for mark, encoding in MARKS:
        if data.startswith(mark):
            try:
                return data.removeprefix(mark).decode(encoding)
            except UnicodeDecodeError as error:
                kind = encoding[:6].upper()
                raise BadInput(f"{name} begins as {kind} text does and is none. Save the file as UTF-8.") from error
    if data[:2].count(0) == 1:
        raise BadInput(f"{name} looks like UTF-16 text without a byte order mark. Save the file as UTF-8.")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8", "strict" if strict else "surrogateescape")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{name}, line {number}: not UTF-8 text. Save the file as UTF-8.") from error


def json_of(line: str) -> Any:
    """A line as JSON.

    Raises:
        ValueError: what is wrong with it, in words.
    """
    if len(line) > MOST_CHARACTERS:
        raise ValueError(f"the line has more than {MOST_CHARACTERS:,} characters")
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON ({_reason(error)})") from error


def _lines(text: str, name: str, plain: bool) -> Iterator[Record]:
    """The records of a text that is one JSON value, JSON values one a line, or where `plain` perhaps neither."""
    lines = _numbered(text)
    if not lines:
        return iter(())
    begins = text.lstrip()[0]
    if plain and begins not in "[{" and not (begins == '"' and all(_is_json(line, str) for _, line in lines)):
        return _plain(lines, name)
    if len(lines) > 1 or begins == "[":
        try:
            return _items(json.loads(text), lines[0][0])
        except (ValueError, RecursionError) as error:
            if (number := _one_value_ends(lines, error)) is not None:
                raise BadInput(
                    f"{name}, line {number}: not valid JSON ({_reason(error)}), though the file begins with {begins} "
                    "as JSON does. Correct it, or begin a file of plain prompts with another character."
                ) from error
    return (_line(number, line) for number, line in lines)


def _items(value: Any, line: int) -> Iterator[Record]:
    if not isinstance(value, list):
        return iter((Record("line", line, value),))
    if value and isinstance(value[0], dict) and any(pair <= set(value[0]) for pair in TURN_FIELDS):
        return iter((Record("line", line, {"messages": value}),))  # one chat
    return (Record("item", number, item) for number, item in enumerate(value, 1))


def _one_value_ends(lines: Sequence[tuple[int, str]], error: Exception) -> int | None:
    """Where a file that is meant as one JSON value breaks off; None for a file of values one a line."""
    number = error.lineno if isinstance(error, json.JSONDecodeError) else lines[0][0]
    if lines[0][1].lstrip().startswith("["):
        return None if len(lines) > 1 and _is_json(lines[0][1], list) else number
    if number <= lines[min(1, len(lines) - 1)][0] or any(_is_json(line, dict) for _, line in lines):
        return None
    return number


def _is_json(line: str, kind: type) -> bool:
    try:
        return isinstance(json_of(line), kind)
    except ValueError:
        return False


def _line(number: int, line: str) -> Record:
    try:
        line.encode()
    except UnicodeEncodeError:
        try:
            line.encode("utf-8", "surrogateescape").decode()
        except UnicodeDecodeError as error:
            return Record("line", number, problem=f"not UTF-8 text (byte {error.start + 1})")
    try:
        return Record("line", number, json_of(line))
    except ValueError as error:
        return Record("line", number, problem=str(error))


def _plain(lines: Sequence[tuple[int, str]], name: str) -> Iterator[Record]:
    for number, line in lines:
        if "\0" in line:
            raise BadInput(f"{name}, line {number}: holds a zero byte, so it is no text. Choose a text file.")
        yield Record("line", number, line.strip())


def _table(text: str, name: str, ending: str) -> Iterator[Record]:
    """Rows of a CSV file as objects of texts, with the columns' names in lower case."""
    import pandas as pd  # it takes a second

    header = text.lstrip().partition("\n")[0]
    comma = "\t" if ending == ".tsv" else ";" if ";" in header and "," not in header else ","
    if not header:
        return iter(())
    if "\0" in text:
        number = text.count("\n", 0, text.index("\0")) + 1
        raise BadInput(f"{name}, line {number}: holds a zero byte, so it is no text. Save the file as CSV in UTF-8.")
    try:
        frame = pd.read_csv(io.StringIO(text), sep=comma, dtype=str, keep_default_na=False, na_filter=False)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{name}{_table_problem(str(error))}.") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise BadInput(f"{name}: its rows have more fields than the first line names. Quote texts that hold a comma.")
    columns = [str(column).strip().lower() for column in frame.columns]
    rows = zip(*(frame.iloc[:, place].tolist() for place in range(len(columns))), strict=True)
    return (Record("row", number, dict(zip(columns, row, strict=True))) for number, row in enumerate(rows, 1))


def _table_problem(said: str) -> str:
    """What is wrong with a CSV file, of what pandas says."""
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", said):
        wanted, there = found[1], found[3]
        row = int(found[2]) - 1  # pandas takes a quoted text of several lines for one
        return f", row {row}: {there} fields where the first line names {wanted}. Quote texts that hold a comma"
    if found := re.search(r"EOF inside string starting at row (\d+)", said):
        return f", row {found[1]}: a quote is opened and never closed. Close it"
    return f" cannot be read as a table ({said.strip()}). Save it as CSV"


def _parquet(data: bytes, name: str) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
        size = sum(group.total_byte_size for group in groups)
        if size > MOST_UNPACKED:
            raise BadInput(f"{name} unpacks to {size / 1e9:.1f} GB. Choose a part of it.")
        rows = [row for batch in file.iter_batches(batch_size=1024) for row in batch.to_pylist()]
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise BadInput(f"{name} is no whole Parquet file ({_first_line(error)}). Save or download it again.") from error
    return (
        Record("row", number, {str(column).strip().lower(): value for column, value in row.items()})
        for number, row in enumerate(rows, 1)
    )


def _numbered(text: str) -> list[tuple[int, str]]:
    # split on \n alone: str.splitlines would also break at characters that JSON strings may hold
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it holds a number of too many digits"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
