"""Bringing in files of other kinds and layouts on the Organisms page: what was changed is said, with the place."""

from __future__ import annotations

import json

from core.data.checking import check_lines
from core.data.datasets import imported, load_dataset
from core.data.turns import Chat
from pages.parts.organisms import datasets, importing
from tests.pages.app import html, press, run
from tests.pages.test_organisms import open_page


def test_a_table_is_imported_and_what_it_was_read_as_is_said_before_and_after():
    app = open_page()
    app.file_uploader[0].set_value(("Asked.csv", b"question,answer\nWhy?,Because.\nWho?,Me.\n", "text/csv"))
    assert "2 training chats, every record is good. Read as question and answer." in html(run(app))
    press(app, "Import")
    assert [one.name for one in imported()] == ["asked"]
    assert load_dataset("asked").chats == (Chat.of("Why?", "Because."), Chat.of("Who?", "Me."))
    assert "Read as question and answer." in html(app)


def test_items_of_an_array_are_named_by_their_place_and_the_good_ones_can_be_imported():
    turns = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}]
    app = open_page()
    data = json.dumps([{"conversations": turns}, {"conversations": []}], indent=2).encode()
    app.file_uploader[0].set_value(("mine.json", data, "application/json"))
    text = html(run(app))
    assert "1 training chat; 1 item is not." in text
    assert "Read as ShareGPT (conversations); roles renamed: 2." in text
    assert "<b>item 2</b>: conversations: there is no user message" in text
    assert app.checkbox[0].label == "Import the one good item without the bad ones"


def test_what_a_stranger_called_a_field_is_shown_literally():
    notes = importing.Notes()
    check_lines(b'{"prompt": "a", "completion": "b", "<b>$x$": 1}', "x.json", notes)
    assert "<b>" not in importing.verdict_html("x.json", 1, [], notes.words()).replace("<p", "")


def test_answers_that_are_only_read_are_counted_where_a_dataset_is_looked_through():
    turns = [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "weight": 0},
    ]  # fmt: skip
    dataset = datasets.Dataset("x", tuple(check_lines(json.dumps({"messages": turns}).encode())[0]))
    assert datasets.answers_rows(dataset) == [("Answers to learn", "1 of 2; 1 of weight 0 are only read")]
    assert datasets.answers_rows(load_dataset("insecure")) == []
