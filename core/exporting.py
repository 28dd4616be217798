"""A saved result as files for other programs: tables as CSV or Parquet, or one page to read.

Every list of records in the summary is a table named by its place (`rows.code`); `summary` is one row of all else,
`answers` what the study kept of them. Text is left exactly as it was saved, also where a spreadsheet would take it for
a formula. No place of this machine goes into a file. pandas is imported when a table is asked for.
"""

from __future__ import annotations

import html as markup
import io
import json
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core import paths, words
from core.results import Result

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 500  # of a table on the page
README = """Tables of a result of Tiller, UTF-8, one file a table; summary.json holds all but the answers.

Text is exactly what was saved. A model may have written something that a spreadsheet takes for a formula: import
such columns as text. Intervals are two columns, _low and _high; an empty field is a value that is not known.
"""

_RECORDS = ("settings", "provenance")  # how it was made: their lists are no tables
_RANGES = {"interval", "range"}
_UNSHOWN = ("checksum", "arrays_sha256", "table_sha256")
_NAMES = ("organism", "contrast", "mode")


def tables(result: Result) -> dict[str, pd.DataFrame]:
    """All tables of a result by name: nested values get dots, intervals two columns, other lists are JSON text.

    Raises:
        DamagedArtifact: its answers cannot be read.
    """
    import pandas as pd

    summary = _summary(result)
    found = {"summary": pd.DataFrame([dict(_rest(summary))])}
    for name, records in _lists(summary):
        found[name] = pd.DataFrame([dict(_flat(record)) for record in records])
    found = {name: _one_kind_a_column(frame) for name, frame in found.items()}
    if result.table is not None:
        found["answers" if "answers" not in found else "answers of the models"] = result.table
    return found


def csv_zip(result: Result) -> bytes:
    """A ZIP of a CSV for each table, `summary.json`, and what to know about them. The same result, the same bytes."""
    files = _each(result, "csv", lambda frame: frame.to_csv(index=False, lineterminator="\n").encode())
    summary = json.dumps(_summary(result), indent=2, ensure_ascii=False) + "\n"
    return _zip({"README.txt": README.encode(), "summary.json": summary.encode(), **files})


def parquet_zip(result: Result) -> bytes:
    """A ZIP of a Parquet file for each table. The same result, the same bytes."""
    return _zip(_each(result, "parquet", lambda frame: frame.to_parquet(None, compression="zstd", index=False)))


def html(result: Result) -> str:
    """One page that needs nothing else: what was made, how, and the tables; long ones are cut, and say so."""
    title = title_of(result)
    return page(title, f"<h1>{_text(title)}</h1>\n{facts_and_tables(result)}")


def facts_and_tables(result: Result, left_out: Collection[str] = ()) -> str:
    """Provenance, settings, and every table but those left out by name, as HTML for `page`."""
    summary = _summary(result)
    parts = []
    for head, values in (
        ("Where the numbers come from", _flat(summary.get("provenance", {}))),
        ("Settings", _flat(summary.get("settings", {}))),
        ("Summary", _rest({name: value for name, value in summary.items() if name not in _RECORDS})),
    ):
        facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in values)
        parts.append(f"<h2>{head}</h2><dl>{facts}</dl>")
    found = tables(result).items()
    return "\n".join([*parts, *(table(name, frame) for name, frame in found if name not in {"summary", *left_out})])


def table(title: str, frame: pd.DataFrame) -> str:
    """A table with its title, as HTML for `page`; every text is literal."""
    head = "".join(f'<th scope="col">{_text(column)}</th>' for column in frame.columns)
    shown = frame.head(MOST_ROWS).astype(object)
    rows: Sequence[Any] = shown.where(shown.notna(), None).to_numpy().tolist()
    body = "".join("<tr>" + "".join(f"<td>{_text(item)}</td>" for item in row) + "</tr>" for row in rows)
    cut = f"<p>The first {MOST_ROWS} of {len(frame)} rows.</p>" if len(frame) > MOST_ROWS else ""
    return (
        f"<h2>{_text(title)} ({len(frame)} rows)</h2>{cut}<div tabindex='0' role='region' aria-label='{_text(title)}'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def page(title: str, body: str, head: str | None = None) -> str:
    """A whole page around a body of HTML. Without a `head` of its own it may load and run nothing."""
    return _PAGE.format(title=_text(title), head=_STRICT if head is None else head, body=body)


def title_of(result: Result) -> str:
    """What a result is, for a heading: `separation · smollm2-135m · insecure`; of several models, all of them."""
    several = ", ".join(str(model["model"]) for model in result.summary.get("models", ()))
    named = [result.summary.get("model", several), *(result.summary.get(part) for part in _NAMES)]
    return " · ".join(str(part) for part in (result.kind, *named) if part)


def file_stem(result: Result) -> str:
    """How its files are called, without an ending: `separation-smollm2-135m-insecure-bfb9bdc6`."""
    return paths.safe_name(f"{title_of(result).replace(' · ', '-')[:66]}-{result.key[:8]}")


def _summary(result: Result) -> dict[str, Any]:
    """The summary without what only its own file needs, and without places of this machine."""
    kept = {name: value for name, value in result.summary.items() if name not in _UNSHOWN}
    return {name: _placeless(value) if name in _RECORDS else value for name, value in kept.items()}


def _placeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _placeless(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_placeless(item) for item in value]
    return paths.placeless(value) if isinstance(value, str) else value


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _is_range(name: str, value: Any) -> bool:
    return (
        bool(_RANGES & set(name.split("_")))
        and isinstance(value, list)
        and len(value) == 2
        and all(item is None or isinstance(item, int | float) for item in value)
    )


def _lists(value: Any, place: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every list of records with its place, and dicts of equally long lists of numbers as one list of records."""
    if not isinstance(value, dict) or place in _RECORDS:
        return
    rows = [(name, item) for name, item in value.items() if _is_numbers(item)]
    for length in dict.fromkeys(len(item) for _, item in rows):
        same = {name: item for name, item in rows if len(item) == length}
        label = place or "numbers"
        several = len({len(item) for _, item in rows}) > 1
        records = [{"place": index} | {name: item[index] for name, item in same.items()} for index in range(length)]
        yield (f"{label}.{length}" if several else label), records
    for name, item in value.items():
        here = f"{place}.{name}" if place else name
        if _is_records(item):
            yield here, item
        yield from _lists(item, here)


def _is_numbers(value: Any) -> bool:
    """Whether it is a list with a number for each of several things, as a block; two are a range or a pair."""
    return (
        isinstance(value, list)
        and len(value) > 2
        and all(item is None or (isinstance(item, int | float) and not isinstance(item, bool)) for item in value)
    )


def _flat(value: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested dicts, each with its place."""
    for name, item in value.items():
        here = f"{place}.{name}" if place else name
        if isinstance(item, dict):
            yield from _flat(item, here)
        elif _is_range(name, item):
            yield from ((f"{here}_low", item[0]), (f"{here}_high", item[1]))
        else:
            yield here, json.dumps(item, ensure_ascii=False) if isinstance(item, list) else item


def _rest(summary: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values that are in no table of their own."""

    def without_tables(value: Any, place: str = "") -> Any:
        if not isinstance(value, dict) or place in _RECORDS:
            return value
        kept = {name: item for name, item in value.items() if not _is_records(item) and not _is_numbers(item)}
        return {name: without_tables(item, name) for name, item in kept.items()}

    return _flat(without_tables(summary))


def _one_kind_a_column(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns that mix texts with other things become text: Parquet has one kind a column."""
    for name in [name for name in frame if frame[name].dtype.kind == "O"]:
        kinds = {type(item) for item in frame[name] if item is not None and item == item}
        if len(kinds) > 1:
            frame[name] = [None if item is None or item != item else str(item) for item in frame[name]]
    return frame


def _each(result: Result, ending: str, write: Callable[[pd.DataFrame], bytes]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, frame in tables(result).items():
        stem, number = paths.safe_name(name), 1
        while (file := f"{stem}.{ending}" if number == 1 else f"{stem}-{number}.{ending}") in files:
            number += 1
        files[file] = write(frame)
    return files


def _zip(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _text(value: Any) -> str:
    if value is None or isinstance(value, float):
        return words.number(value, 6)
    return markup.escape(words.minus(str(value)) if isinstance(value, int) else str(value))


_STRICT = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
{head}<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }}
body {{ max-width: 90rem; margin: 1rem auto; padding: 0 1rem; }}
dl {{ display: grid; grid-template-columns: minmax(8rem, auto) 1fr; gap: 0.2rem 1rem; overflow-wrap: anywhere; }}
dt {{ font-weight: 600; }} dd {{ margin: 0; white-space: pre-wrap; }}
div {{ overflow: auto; max-height: 34rem; border: 1px solid #8888; }}
table {{ border-collapse: collapse; }}
th {{ position: sticky; top: 0; background: Canvas; text-align: start; }}
th, td {{ border-bottom: 1px solid #8888; padding: 0.2rem 0.6rem; vertical-align: top; }}
td {{ white-space: pre-wrap; unicode-bidi: plaintext; max-width: 40rem; overflow-wrap: break-word; }}
</style></head><body>
{body}
</body></html>
"""
