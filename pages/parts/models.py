"""Models by the ids that links and lists hold. What a folder's id stands for, only the session that typed it knows."""

from __future__ import annotations

import streamlit as st

from core.models.catalog import FolderSource, ModelSpec, resolve

TYPED = "typed_folders"  # id of a model: the folder that this session's user typed for it


def take_typed(text: str) -> ModelSpec:
    """The model that the user chose or typed; where its folder lies is kept in the session alone.

    Raises:
        TillerError: it names no model.
    """
    spec = resolve(text)
    if isinstance(spec.source, FolderSource):
        st.session_state.setdefault(TYPED, {})[spec.id] = str(spec.source.path)
    return spec


def by_id(text: str) -> ModelSpec:
    """The model that a link or a list names: of the catalog, of the hub, or a folder that this session knows by id.

    The disk is not asked about `text`, so a link reveals nothing and opens no folder.

    Raises:
        TillerError: it is none of them.
    """
    folder = st.session_state.get(TYPED, {}).get(text)
    return resolve(folder) if folder else resolve(text, folders=False)


def on_command_line(model: str) -> str:
    """What the command line takes as the model of an id: the folder that was typed for it, else the id."""
    return str(st.session_state.get(TYPED, {}).get(model, model))
