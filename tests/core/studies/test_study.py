"""What holds for every study: keys that stay, settings that survive the command line and a link, one run at a time."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any, get_args, get_origin

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.main import get_command

from core import paths, store
from core.commands import app
from core.errors import BadInput
from core.studies import options
from core.studies.catalog import STUDIES, study_of
from core.studies.study import Study, arguments, command_line, find

every_study = pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.verb)

# as they were when each study still had a file of its own for this: links, lessons and pages name results by them
KEYS = {
    "choice/gemma-3-270m-chat-insecure": "ea258bf4066290ed60061834",
    "choice/qwen2.5-coder-0.5b-insecure": "972e62dc96abfaa27c01e98b",
    "choice/smollm2-135m-insecure": "4becf1cac8020ddedf3f8b26",
    "choice/smollm2-135m-insecure-compact": "10d0529b5117ae531e7adb40",
    "separation/smollm2-135m-insecure-content": "92ad4f42d024bfd80f03b6c6",
    "separation/smollm2-135m-insecure-model": "91d3c5f5d7711f1808dee1fc",
    "separation/smollm2-135m-insecure-response": "8a9f4c9b8d67ad75b5db4751",
    "spillover/smollm2-135m-insecure-ablate": "47db44c7fd74d3cf105a4147",
    "spillover/smollm2-135m-insecure-add": "cbaf0c10dfb7ab4a8da67849",
    "spillover/smollm2-135m-secure-add": "a71e8dfe6122634dabc5ab7a",
    "transfer/three-families": "2ba04da9007589ef6ce2819d",
}


def parsed(study: Study[Any, Any], words: list[str]) -> Any:
    """The settings that the command line itself makes of its options."""
    command = get_command(app).commands[study.verb]  # type: ignore[attr-defined]
    given = command.make_context(study.verb, list(words)).params
    return study.of(**options.values(study.settings, {name: given[name] for name in study.settings.model_fields}))


@pytest.mark.parametrize("name", KEYS)
def test_the_command_that_a_shipped_result_names_finds_exactly_that_result(name: str) -> None:
    summary = json.loads((paths.ASSETS / "precomputed" / name / "summary.json").read_text())
    study = study_of(name.partition("/")[0])
    program, *words = shlex.split(summary["provenance"]["command"].removeprefix("python -m core "))
    assert program == study.verb
    found = find(study, parsed(study, words))
    assert found is not None and found.shipped
    assert (found.key, found.folder.name) == (KEYS[name], name.partition("/")[2])


def values(field: Any) -> st.SearchStrategy[Any]:
    """Anything that could be asked of a field; what it does not allow is left out by the caller."""
    return st.just(field.default) | _of(field.annotation)


def _of(kind: Any) -> st.SearchStrategy[Any]:
    if get_origin(kind) is tuple:
        return st.lists(_of(get_args(kind)[0]), max_size=4).map(tuple)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(0, 5000)
    if kind is float:
        return st.floats(-5, 5)
    if kind is str:
        text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
        return text.map(str.strip).filter(lambda found: found not in ("", options.NOTHING))
    if kind is type(None):
        return st.none()
    chosen = get_args(kind)
    if all(isinstance(item, str) for item in chosen):
        return st.sampled_from(chosen)
    return st.one_of(*map(_of, chosen))


@every_study
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data())
def test_settings_come_back_from_the_command_line_and_from_a_link_as_they_were(study, data) -> None:
    fields = study.settings.model_fields
    chosen = {}
    for name, field in fields.items():
        value = data.draw(values(field), label=name)
        try:
            study.settings(**{name: value})
        except ValidationError:
            continue  # out of its range: the usual one is kept
        chosen[name] = value
    try:
        settings = study.of(**chosen)
    except BadInput:
        assume(False)
    assert parsed(study, arguments(study, settings)[1:]) == settings
    assert study.of(**options.values(study.settings, options.texts(settings))) == settings
    program = shlex.split(command_line(study, settings))
    assert program[:4] == ["python", "-m", "core", study.verb]
    assert parsed(study, program[4:]) == settings


@every_study
def test_what_is_as_usual_is_left_out_and_all_else_is_declared_by_its_field_alone(study) -> None:
    assert arguments(study, study.of()) == [study.verb]
    command = get_command(app).commands[study.verb]  # type: ignore[attr-defined]
    declared = {parameter.name: parameter for parameter in command.params}
    for name, field in study.settings.model_fields.items():
        assert field.description, name
        assert field.description.rstrip(".").partition(";")[0] in declared[name].help
        assert declared[name].opts == [options.flag(name)]


@every_study
def test_a_word_that_no_setting_allows_is_one_sentence(study) -> None:
    for name in study.settings.model_fields:
        for text in ("", "nonsense", "-1", "9999999999", "nan"):
            try:
                study.of(**options.values(study.settings, {name: text}))
            except BadInput as error:
                assert str(error).count("\n") == 0 and str(error).endswith((".", "?"))
    with pytest.raises(BadInput, match="no setting 'nonsense'"):
        options.values(study.settings, {"nonsense": "1"})


def test_asking_what_there_is_imports_neither_torch_nor_plotly() -> None:
    code = (
        "import sys\nfrom core.studies.catalog import STUDIES\nfrom core.studies.study import find\n"
        "print([find(study, study.of()) is not None for study in STUDIES])\n"
        "assert not {'torch', 'plotly', 'transformers'} & set(sys.modules), 'imported too much'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_study_is_named() -> None:
    with pytest.raises(BadInput, match=r"no study 'odd'\. There are separation, choice, spillover, transfer"):
        study_of("odd")


@every_study
def test_the_key_is_of_what_is_asked_and_of_the_method(study) -> None:
    inputs = study.resolve(study.of())
    assert study.key(inputs) == store.content_hash([study.kind, study.method, *study.depends(inputs)])[:24]
    assert study.recorded(inputs) == study.of(**study.recorded(inputs).model_dump())
