"""Which provider a name means: classes announced under the entry point group `outreach.providers`, ours like any."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from channels.contract import Provider
from channels.errors import Misconfigured

GROUP = "outreach.providers"


def installed() -> tuple[str, ...]:
    """The names of all providers that are installed, in order."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


@dataclass(frozen=True)
class Listed:
    """A provider that a package announces."""

    name: str
    channels: tuple[str, ...]  # it can serve; none when it cannot be loaded
    package: str  # and its version
    problem: str = ""


def listed() -> list[Listed]:
    """All that is installed, in the order of their names."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    return [_listed(points[name]) for name in sorted(points)]


def _listed(point: EntryPoint) -> Listed:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else ""
    try:
        return Listed(point.name, tuple(sorted(_load(point).channels)), package)
    except Misconfigured as error:
        return Listed(point.name, (), package, str(error))


def find(name: str) -> type[Provider]:
    """The class of a provider. Misconfigured, naming what is installed, when there is none of that name."""
    for point in entry_points(group=GROUP, name=name):
        return _load(point)
    names = installed()
    if not names:
        raise Misconfigured(f"There is no provider {name}, nor any other: install the project (pip install -e .).")
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise Misconfigured(f"There is no provider {name}. Installed: {', '.join(names)}.{hint}")


def _load(point: EntryPoint) -> type[Provider]:
    """The class behind an entry point, or a sentence about the package that promised it."""
    package = point.dist.name if point.dist else "its package"
    try:
        found = point.load()
    except Exception as error:  # a stranger's package may fail in any way when it is imported
        raise Misconfigured(
            f"The provider {point.name} of {package} cannot be loaded ({point.value}): {type(error).__name__}: {error}."
        ) from error
    if not (isinstance(found, type) and issubclass(found, Provider)):
        raise Misconfigured(f"The provider {point.name} of {package} is no Provider class ({point.value}).")
    return found
