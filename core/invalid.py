"""What pydantic found wrong with a value, in words for whoever typed it."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

_WORDS = {
    "greater_than": "should be more than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than": "should be less than {lt}",
    "less_than_equal": "should be at most {le}",
    "finite_number": "should be a finite number",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "int_parsing_size": "is too large a number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "bool_parsing": "should be true or false",
    "string_type": "should be a text",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "too_short": "needs {min_length} or more",
    "too_long": "takes {max_length} at most",
    "missing": "is missing",
    "extra_forbidden": "is not a setting",
    "literal_error": "should be {expected}",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
}


def reason(error: ValidationError) -> tuple[str, str]:
    """(name of the value, what is wrong with it) of the first fault; the name is empty for the whole.

    Example: `("top_p", "should be at most 1")`
    """
    first: Any = error.errors()[0]
    said = _WORDS.get(first["type"])
    words = said.format(**first.get("ctx", {})) if said else first["msg"].removeprefix("Value error, ")
    return ".".join(map(str, first["loc"]))[:80], words
