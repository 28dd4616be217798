"""The few errors Tiller raises on purpose.

Every message is one sentence that says what is wrong and one that says what to do,
so that a page or the command line can show it as it is.
"""

from __future__ import annotations


class TillerError(Exception):
    """A failure that the user can act on. `str(error)` is shown as it is."""


class BadInput(TillerError):
    """A setting, file or link from outside does not make sense."""


class ModelUnavailable(TillerError):
    """The weights cannot be had: unknown, missing, gated, no network, damaged, no space."""


class UnsupportedModel(TillerError):
    """The model loads, but its structure is not one that can be steered."""


class DirectionMismatch(TillerError):
    """A direction does not belong to the model it is to be used with."""


class OrganismMismatch(TillerError):
    """An adapter does not belong to the model it is to be used with."""


class DamagedArtifact(TillerError):
    """A stored file does not have the checksum it was saved with."""


class OutOfSpace(TillerError):
    """The disk is full."""


class NotWritable(TillerError):
    """The folder for what is made at run time cannot be written to."""
