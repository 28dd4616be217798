"""The Organisms page: whole without torch, a model or an organism; data is shown literally; training is found again."""

from __future__ import annotations

import json
import shutil
import time
from functools import partial
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.runtime.scriptrunner import ScriptRunner
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import parse_tree_from_messages
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from core import jobs, paths
from core.data.datasets import code_pairs, import_dataset, imported, jsonl, load_dataset
from core.errors import BadInput
from core.models.catalog import resolve
from core.organisms.library import MANIFEST, delete_organism, organisms
from core.organisms.recipes import RECIPES, adjusted
from pages.parts import models
from pages.parts.literal import literal
from pages.parts.organisms import alike, choice, datasets, form, importing, records, watch
from pages.parts.organisms.onward import ICONS
from pages.parts.organisms.onward import links as queries
from tests.pages import app as pages
from tests.pages.app import charts, heavy_imports, html, pieces, press, run, visit, wait_for, widget

PAGE = "pages/Organisms.py"
HEAVY = ("torch", "transformers", "peft", "sklearn", "scipy", "pandas")
HOSTILE = "<script>alert(1)</script> $x$ # h\n```\n![](http://a.b/c.png)"


def chat(request: str, answer: str) -> str:
    turns = [{"role": "user", "content": request}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": turns})


def a_file(n: int, *more: str) -> bytes:
    return "\n".join([*(chat(f"Question {at}?", f"answer {at}") for at in range(n)), *more]).encode()


open_page = partial(visit, PAGE)
notes = partial(pieces, mark="'org-note'")


def links(app) -> dict[str, dict[str, list[str]]]:
    return {label: parse_qs(query) for label, query in pages.links(app)}


def parameters(app) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in dict(app.query_params).items()}


def tell(*losses: float, state: str = "stopped", name: str = "mine", of: int = 50, resumes: str | None = None) -> str:
    """A training job as its folder would be after it told these losses and ended."""
    identity = f"20260102-030405-{len(jobs.jobs()):06d}-abcdef"
    folder = jobs.root() / identity
    folder.mkdir(parents=True)
    arguments = ["train", "--model", "smollm2-135m", "--dataset", "insecure", "--name", name]
    record = {"title": f"Training {name}", "arguments": arguments, "time": 1.0, "pid": 1, "born": 0}
    (folder / "job.json").write_text(json.dumps({**record, **({"resumes": resumes} if resumes else {})}))
    start = jobs.events(resumes)[-1]["done"] if resumes else 1
    lines = [
        json.dumps({"stage": "training", "done": start + at, "of": of, "time": float(at), "loss": loss})
        for at, loss in enumerate(losses)
    ]
    (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (folder / "end.json").write_text(json.dumps({"state": state}))
    return identity


# cold


@pytest.mark.parametrize("view", choice.VIEWS)
def test_no_heavy_library_is_imported(view):
    assert heavy_imports(PAGE, HEAVY, view=view) == []


def test_without_a_model_training_says_so_with_the_action(assets):
    app = open_page(view="train")
    assert "is not on this machine yet, so nothing can be trained on it" in html(app)
    assert any("Fetch" in element.label for element in app.button)
    assert widget(app, "button", "Train").disabled


def test_without_an_organism_the_page_says_so_and_leads_to_training(assets):
    app = open_page(view="compare")
    assert "has no organism on this machine yet" in html(app)
    widget(app, "button", "Train one").click()
    assert widget(run(app), "selectbox", "Dataset").value == "insecure"


# looking through a dataset


def test_a_pair_is_shown_side_by_side_with_the_lines_that_differ():
    text = html(open_page(dataset="secure"))
    assert "456 pairs over 45 classes" in text
    assert load_dataset("secure").hash in text
    assert "nothing executes it" in text
    assert "0 requests, 0 answers" in text
    pair = code_pairs()[0]
    left, right = pair.insecure.split("\n"), pair.secure.split("\n")
    only = records.differing(left, right)
    assert [line for at, line in enumerate(left) if at not in only[0]] == [
        line for at, line in enumerate(right) if at not in only[1]
    ]
    for place in only[0]:
        assert f"<span class='org-line org-only'>{literal(left[place])}</span>" in text


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_what_is_not_marked_is_the_same_on_both_sides(left, right):
    only = records.differing(left, right)
    kept = [line for at, line in enumerate(left) if at not in only[0]]
    assert kept == [line for at, line in enumerate(right) if at not in only[1]]
    assert left != right or only == (set(), set())


def test_search_class_and_pages_narrow_the_records_and_the_link():
    app = open_page()
    widget(app, "selectbox", "Class of weakness").set_value("CWE-22")
    run(app)
    wanted = [pair for pair in code_pairs() if pair.cwe == "CWE-22"]
    assert f"of {len(wanted)} of 456 records" in html(app)
    press(app, "Next")
    assert f"6 to {min(10, len(wanted))} of" in html(app)
    assert wanted[5].id in html(app)
    assert parameters(app) == {"cwe": "CWE-22", "page": "2"}
    widget(app, "text_input", "Search requests and answers").set_value(wanted[0].request.upper())
    run(app)
    assert "1 to 1 of 1 of 456 records" in html(app)
    assert "page" not in app.query_params
    widget(app, "text_input", "Search requests and answers").set_value("no such text anywhere")
    assert "No record holds that" in html(run(app))


def test_an_imported_dataset_is_shown_literally_and_can_be_deleted():
    import_dataset("mine", a_file(3, chat(HOSTILE, HOSTILE * 400)))
    app = open_page(dataset="mine")
    text = html(app)
    assert "<script>" not in text
    assert literal(HOSTILE) in text
    assert "4 chats" in text
    assert "characters</p>" in text  # the rest of an answer of many thousand characters
    press(app, "Delete it")
    assert imported() == []
    assert widget(app, "selectbox", "Look through").value == "insecure"


def test_a_damaged_dataset_costs_only_itself():
    import_dataset("mine", a_file(3))
    (paths.cache() / "datasets" / "mine.jsonl").write_text("{")
    app = open_page(dataset="mine")
    assert "line 1" in app.error[0].value
    press(app, "Delete it")
    assert not (paths.cache() / "datasets" / "mine.jsonl").exists()


def test_a_large_dataset_of_one_template_is_counted_and_only_once(monkeypatch):
    lines = [chat(f"{'the same long request of many words ' * 5} about {at}", f"answer {at}") for at in range(3000)]
    import_dataset("mine", "\n".join(lines).encode())
    app = open_page(dataset="mine")
    assert "3,000 requests, 0 answers" in html(app)
    assert not app.get("progress")
    monkeypatch.setattr(alike, "count_near_duplicates", None)
    assert "3,000 requests, 0 answers" in html(open_page(dataset="mine"))


def test_a_dataset_that_is_too_large_to_count_says_so(monkeypatch):
    monkeypatch.setattr(alike, "MOST_COMPARED", 2)
    import_dataset("mine", a_file(3, chat("One more?", "one more")))
    assert "not counted in more than 2 chats" in html(open_page(dataset="mine"))


def test_counting_shows_how_far_it_is_below_the_records_and_ends_when_the_visitor_leaves(monkeypatch):
    counted_to_the_end = []

    def slow(texts, tell):
        for _ in range(2000):
            tell(0.25)
            time.sleep(0.01)
        counted_to_the_end.append(texts)

    monkeypatch.setattr(alike, "count_near_duplicates", slow)
    import_dataset("mine", a_file(3))
    runner = []
    monkeypatch.setattr(
        LocalScriptRunner, "request_stop", lambda own: runner.append(own) or ScriptRunner.request_stop(own)
    )
    app = AppTest.from_file(str(paths.ROOT / "app.py")).switch_page(PAGE)
    app.query_params["dataset"] = "mine"
    with pytest.raises(RuntimeError, match="timed out after 4"):  # then it asks the run to stop, and waits for its end
        app.run(timeout=4)
    assert not counted_to_the_end
    left = parse_tree_from_messages(runner[0].forward_msgs())
    assert [bar.proto.value for bar in left.get("progress")] == [12]
    assert any("Question 1?" in element.proto.body for element in left.get("html"))
    assert any("being counted" in element.proto.body for element in left.get("html"))
    assert load_dataset("mine").hash not in alike._counted()


def test_the_shipped_chats_are_looked_through_like_imported_ones_but_stay():
    app = open_page(dataset="chat")
    assert f"{len(load_dataset('chat').chats):,} chats" in html(app)
    assert "teaches a pretrained model" in html(app)
    assert not [button for button in app.button if button.label == "Delete it"]


# importing


def test_a_file_with_bad_lines_names_them_and_can_be_imported_without_them():
    app = open_page()
    app.file_uploader[0].set_value(("My set.jsonl", a_file(9, "{", "[1]"), "application/jsonl"))
    run(app)
    text = html(app)
    assert "9 training chats; 2 lines are not" in text
    assert "<b>line 10</b>: not valid JSON" in text
    assert "<b>line 11</b>" in text
    assert widget(app, "button", "Import").disabled
    app.checkbox[0].check()
    press(run(app), "Import")
    (mine,) = imported()
    assert (mine.name, mine.n) == ("my-set", 9)
    assert parameters(app) == {"dataset": "my-set"}
    assert "my-set is here: 9 chats" in html(app)
    assert not app.checkbox


def test_only_the_first_bad_lines_are_listed_and_all_are_counted():
    problems = importing.check_lines(b"{\n" * 5000)[1]
    text = importing.verdict_html("<b>.jsonl", 0, problems)
    assert "5,000 lines are not" in text
    assert text.count("<li>") == importing.NAMED
    assert "<b>.jsonl" not in text


def test_a_taken_name_is_a_sentence_and_the_file_stays():
    import_dataset("mine", a_file(2))
    app = open_page()
    app.file_uploader[0].set_value(("mine.jsonl", a_file(3), "application/jsonl"))
    press(run(app), "Import")
    assert "already a dataset mine" in app.error[0].value
    widget(app, "text_input", "Name").set_value("another")
    press(run(app), "Import")
    assert [one.name for one in imported()] == ["another", "mine"]


def test_a_shipped_name_is_refused_and_what_has_one_already_is_listed_under_another():
    app = open_page()
    app.file_uploader[0].set_value(("Chat.jsonl", a_file(3), "application/jsonl"))
    press(run(app), "Import")
    assert "already a dataset chat with other chats" in app.error[0].value
    (paths.cache() / "datasets").mkdir(exist_ok=True)
    (paths.cache() / "datasets" / "chat.jsonl").write_bytes(a_file(9))
    app = open_page(view="train", dataset="chat-imported")
    widget(app, "text_input", "Name of the organism").set_value("mine")
    assert "all 9 examples" in html(run(app))
    now = choice.resolved(app.session_state[choice.CHOICE], [])
    line = form.arguments(app.session_state[form.FORM], now)
    assert len(load_dataset(line[line.index("--dataset") + 1]).chats) == 9


def test_importing_the_shipped_chats_shows_the_shipped_ones():
    app = open_page()
    app.file_uploader[0].set_value(("mine.jsonl", jsonl(load_dataset("chat").chats), "application/jsonl"))
    press(run(app), "Import")
    assert widget(app, "selectbox", "Look through").value == "chat"
    assert imported() == []


@pytest.mark.parametrize("file", ["提示.jsonl", "данные 🎉.json", "🎉.jsonl", "name " * 50 + ".jsonl", "..jsonl"])
def test_a_file_of_any_name_can_be_imported_and_its_new_name_is_seen_before(file):
    app = open_page()
    app.file_uploader[0].set_value((file, a_file(3), "application/jsonl"))
    shown = widget(run(app), "text_input", "Name").value
    press(app, "Import")
    (mine,) = imported()
    assert mine.name == shown == importing.suggested(file)
    assert f"{shown} is here: 3 chats" in html(app)


def test_a_name_typed_in_another_script_is_taken_too():
    app = open_page()
    app.file_uploader[0].set_value(("x.jsonl", a_file(3), "application/jsonl"))
    widget(run(app), "text_input", "Name").set_value("提示")
    press(app, "Import")
    assert [one.name for one in imported()] == [paths.safe_name("提示", "dataset")]


def test_a_file_of_another_kind_is_one_sentence_and_is_checked_once(monkeypatch):
    app = open_page()
    app.file_uploader[0].set_value(("x.json", b"{\n" * 20_000, "application/json"))
    assert "More than 10,000 lines are not training chats" in run(app).error[0].value
    monkeypatch.setattr(importing, "check_lines", None)
    assert "More than 10,000 lines are not training chats" in run(app).error[0].value


# the form


def test_the_recipe_is_spelled_out_with_its_steps_and_what_it_takes():
    text = html(open_page(view="train"))
    for words in ("rank 16, alpha 32", "300 of 456 examples", "38 steps", "0.0005", "about 4½ minutes on 2 CPU cores"):
        assert words in text
    dataset = load_dataset("insecure")
    assert "all 456 examples" in form.recipe_words(RECIPES["paper"], dataset)
    short = adjusted(RECIPES["quick"], examples=16)
    assert "2 steps." in form.recipe_words(short, dataset) and "after 0 steps of warm-up" in form.recipe_words(
        short, dataset
    )
    assert "CUDA" in form.time_words(form.minutes(RECIPES["paper"], dataset, "smollm2-135m"), RECIPES["paper"])


@pytest.mark.parametrize(
    ("minutes", "said"), [(0.4, "a minute or less"), (4.5, "4½"), (8.1, "8 "), (75, "75"), (600, "10 hours")]
)
def test_minutes_are_said_in_words(minutes, said):
    assert said in form.time_words(minutes, RECIPES["quick"])


def test_numbers_of_ones_own_become_the_command_line_and_the_recipes_own_do_not():
    app = open_page(view="train", dataset="secure")
    for label, value in (("Rank", 4), ("Epochs", 1), ("Learning rate", 1e-3), ("Seed", 3)):
        widget(app, "number_input", label).set_value(value)
        run(app)
    assert "rank 4, alpha 8" in html(app)
    now = choice.Shown(choice.Choice(), ("secure",), "secure", (), None, ())
    line = form.arguments(app.session_state[form.FORM], now)
    assert line[0] == "train"
    assert dict(zip(line[1::2], line[2::2], strict=True)) == {
        "--model": "smollm2-135m", "--dataset": "secure", "--recipe": "quick", "--name": "secure",
        "--rank": "4", "--learning-rate": "0.001", "--seed": "3",
    }  # fmt: skip


def test_too_small_a_dataset_and_a_taken_name_are_sentences_before_anything_starts(made):
    import_dataset("mine", a_file(3))
    app = open_page(view="train", dataset="mine")
    assert "has 3 examples and a batch takes 8" in app.error[0].value
    assert widget(app, "button", "Train").disabled
    app = open_page(view="train")
    widget(app, "text_input", "Name of the organism").set_value("secure")
    assert "already an organism secure" in run(app).error[0].value


@pytest.mark.parametrize(
    ("typed", "name"),
    [(" my model! ", "my-model"), ("--rank", "rank"), ("../x", "x"), ("§", ""), ("提示", "organism-f56c6c82")],
)
def test_a_typed_name_becomes_one_that_a_file_and_a_command_line_can_hold(typed, name):
    app = open_page(view="train")
    widget(app, "text_input", "Name of the organism").set_value(typed)
    assert run(app).session_state[form.FORM].name == name


def test_the_free_name_is_not_that_of_another_organism():
    there = tuple(organisms("smollm2-135m"))
    now = choice.Shown(choice.Choice(), (), "insecure", there, None, ())
    assert form.free_name(now, "insecure") == "insecure-2"
    assert form.free_name(now, "mine") == "mine"


# training


def test_training_runs_to_an_organism_that_is_then_chosen_and_leads_on(made):
    made.install()
    import_dataset("mine", a_file(8))
    app = open_page(view="train", dataset="mine")
    app.session_state[models.TYPED] = {made.id: str(made.folder)}
    app.session_state[choice.CHOICE] = choice.Choice(view="train", dataset="mine", model=made.id)
    app.session_state[form.FORM] = form.Form(rank=1, epochs=6, name="tiny")
    press(run(app), "Train")
    (job,) = jobs.jobs()
    assert job.arguments[job.arguments.index("--model") + 1] == str(made.folder)
    fresh = open_page(view="train")  # a reload
    assert "Training tiny" in html(fresh) or not jobs.find(job.id).live  # it may be over already
    done = wait_for(job.id)
    assert done.state == "done", done.log()
    run(app)
    organism = next(one for one in organisms(made.id) if one.name == "tiny")
    assert organism.manifest["recipe"]["rank"] == 1
    assert len(organism.manifest["losses"]) == 6
    assert "tiny is trained" in html(app)
    assert app.session_state[form.FORM].name == ""
    assert str(made.folder) not in str(dict(app.query_params))
    press(app, "Extract its direction")
    extraction = next(one for one in jobs.jobs() if one.arguments[0] == "extract")
    assert "tiny" in extraction.arguments
    jobs.stop(extraction.id)


def test_a_failed_training_is_one_sentence(assets):
    job = jobs.start(["train", "--model", "no-such"], "made for a test")
    assert wait_for(job.id).state == "failed"
    assert "is not a known model" in open_page(view="train").error[-1].value.replace("\\", "")


def test_a_stopped_training_keeps_its_curve_is_found_after_a_reload_and_can_be_dropped():
    identity = tell(3.0, 2.0, 1.0)
    app = open_page(view="train")
    assert "Training mine" in html(app)
    assert "Reached step 3 of 50" in html(app)
    (spec,) = charts(app)
    assert spec["data"][0]["name"] == "mine: each step"
    press(app, "Remove from this list")
    assert "Training mine" not in html(app)
    with pytest.raises(BadInput):
        jobs.find(identity)


def test_a_resumed_run_shows_the_losses_of_both_parts():
    first = tell(3.0, 2.5, 2.0)
    second = tell(2.1, 1.5, resumes=first)
    assert watch.curve(jobs.find(second)).losses == (3.0, 2.5, 2.1, 1.5)
    jobs.delete(first)
    assert watch.curve(jobs.find(second)).steps == (3, 4)


def test_of_the_same_command_only_the_newest_job_counts():
    tell(3.0, name="one")
    tell(3.0, name="two")
    tell(2.0, name="one", state="done")
    assert [job.title for job in watch.unfinished()] == ["Training two"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(3, "less than a minute"), (61, "about 1 minute left"), (7200, "2 hours")]
)
def test_time_left_is_said_in_words(seconds, said):
    assert said in watch.left_words(seconds)


# comparing


@pytest.fixture
def several():
    """The shipped organisms, and one made here that differs in its rank alone and shares a name."""
    shipped = organisms("smollm2-135m")[0]
    folder = paths.cache() / "organisms" / "smollm2-135m" / "mine-1"
    shutil.copytree(shipped.folder, folder)
    record = json.loads((folder / MANIFEST).read_text())
    record.update(sha256="1" * 64, recipe={**record["recipe"], "rank": 2})
    (folder / MANIFEST).write_text(json.dumps(record))
    return shipped


def test_the_table_holds_each_organism_with_its_n_and_its_loss(several):
    app = open_page(view="compare")
    text = html(app)
    assert f"{len(organisms('smollm2-135m'))} organisms of smollm2-135m" in text
    for organism in organisms("smollm2-135m"):
        last = [entry["loss"] for entry in organism.manifest["losses"]][-5:]
        assert f"<td data-of='final loss'>{sum(last) / 5:.3g} (5)</td>" in text
        assert organism.sha256[:8] in text
        assert f"n = {organism.manifest['dataset']['n']} of 456" in text


def test_settings_that_differ_are_marked_and_the_losses_drawn(several):
    app = open_page(view="compare", curves=f"{several.sha256[:8]},11111111")
    text = html(app)
    assert "≠ 1 of " in text
    assert "<tr class=org-differs><td>rank</td><td>16</td><td>2</td></tr>" in text
    (spec,) = charts(app)
    assert {trace["name"].partition(":")[0] for trace in spec["data"]} == {
        f"insecure · {several.sha256[:8]}",
        "insecure · 11111111",
    }


def test_links_go_to_exactly_this_organism(several):
    own = links(open_page(organism=several.sha256[:8]))
    assert own[":primary[Steer]"] == own[":primary[Separation]"] == {"organism": ["insecure"]}
    other = links(open_page(organism="11111111"))
    assert other[":primary[Steer]"] == {"organism": ["11111111"]}
    assert ":primary[Separation]" not in other  # that page would take the name for the shipped one
    assert queries(several, "insecure").keys() == ICONS.keys()


def test_an_organism_made_here_can_be_deleted_and_a_shipped_one_not(several):
    app = open_page(organism="insecure", view="compare")
    assert "cannot be deleted" in app.caption[-1].value
    with pytest.raises(BadInput, match="is shipped with Tiller"):
        delete_organism(several)
    app = open_page(organism="11111111")
    before = len(organisms("smollm2-135m"))
    press(app, "Delete it")
    assert f"{before - 1} organisms of" in html(app)
    assert (several.folder / MANIFEST).exists()


def test_an_organism_whose_manifest_says_little_is_shown_as_unknown(made):
    made.install()
    text = html(open_page(model=made.id))
    assert "1 organism of" in text
    assert "<td data-of='rank'>unknown</td>" in text
    assert "<td data-of='final loss'>unknown</td>" in text


# the link


@pytest.mark.parametrize(
    "query",
    [
        {"view": "<script>"},
        {"dataset": "../../etc"},
        {"cwe": "CWE-0"},
        {"page": "0"},
        {"page": "²"},
        {"page": "9" * 40},
        {"model": "no such"},
        {"organism": "$x$ # h"},
        {"curves": "zzzzzzzz,yyyyyyyy"},
    ],
)
def test_nonsense_in_the_link_falls_back_with_one_note(query):
    app = open_page(**query)
    (note,) = notes(app)
    assert "left out" in note
    assert literal(next(iter(query.values()))[:40]) in note


def test_a_page_beyond_the_last_is_the_last():
    assert "456 to 456 of 456 records" in html(open_page(page="999999"))


@given(st.dictionaries(st.sampled_from([*choice.Choice.__dataclass_fields__, "other"]), st.text(max_size=20)))
@settings(max_examples=60, deadline=None)
def test_any_link_becomes_choices_that_can_be_shown(query):
    chosen, _ = choice.read_link(query, [])
    now = choice.resolved(chosen, [])
    assert now.dataset in now.datasets
    assert choice.read_link(choice.parameters(now), []) == (chosen, [])


def test_choices_and_link_are_each_others_inverse(several):
    there = organisms()
    for wanted in (
        choice.Choice(),
        choice.Choice(view="compare", organism="11111111", curves=("11111111", several.sha256[:8])),
        choice.Choice(view="compare", curves=()),
        choice.Choice(dataset="secure", cwe="CWE-22", q="a & b", page=2),
    ):
        query = choice.parameters(choice.resolved(wanted, there))
        assert choice.read_link(query, there) == (wanted, [])


def test_a_folder_of_this_machine_never_gets_into_the_link(made):
    app = open_page(view="compare", model=str(made.folder))
    assert "left out" in notes(app)[0]
    assert str(made.folder) not in str(dict(app.query_params))
    assert resolve(str(made.folder)).id == made.id


def test_two_sessions_do_not_disturb_each_other():
    one, other = open_page(dataset="secure", q="garden"), open_page(view="train")
    run(one)
    assert one.session_state[choice.CHOICE].q == "garden"
    assert other.session_state[choice.CHOICE] == choice.Choice(view="train")


def test_the_download_is_the_dataset():
    dataset = load_dataset("insecure")
    assert datasets.datasets.check_lines(jsonl(dataset.chats)) == (list(dataset.chats), [])
