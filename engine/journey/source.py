"""What a reader of YAML needs: the text as a tree with its places, models held against it, mistakes as Problems."""

from __future__ import annotations

from engine.journey.mistakes import Fault, fault, faults, first_of, not_built, validate
from engine.journey.nearest import THERE_ARE, hint_for, nearest
from engine.journey.yaml_text import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    MAX_PROBLEMS,
    NOTHING,
    Sourced,
    Tree,
    read,
    read_file,
    snippet,
)

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "MAX_PROBLEMS",
    "NOTHING",
    "THERE_ARE",
    "Fault",
    "Sourced",
    "Tree",
    "fault",
    "faults",
    "first_of",
    "hint_for",
    "nearest",
    "not_built",
    "read",
    "read_file",
    "snippet",
    "validate",
]
