"""Examples in the documentation: what is shown of a journey, made whole."""

from __future__ import annotations

import re

REST = {
    "title": "title: An example\n",
    "topic": "topic: care\n",
    "enter": "enter: {every: month, on: 1, at: '10:00', segment: silent}\n",
    "goal": "goal: {event: Order Completed, within: 30d}\n",
    "steps": "steps: [{send: how_to_use, via: [email]}]\n",
}


def whole(kind: str, text: str) -> str:
    """What is shown, with the rest of a journey around it."""
    if kind == "journey":
        return text
    if kind == "steps":
        text = "steps:\n" + "".join(f"  {line}\n" for line in text.splitlines())
    written = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    return "".join(line for key, line in REST.items() if key not in written) + text
