"""Everything that is wrong in an installation's files, gathered in one run: config, audience, journeys, texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from channels import registry
from channels.errors import Misconfigured
from engine.app import App
from engine.audience.book import read_audience
from engine.cli.explained import codes
from engine.cli.installation import files_only
from engine.decide.quiet import never_open
from engine.decide.route import unserved_countries
from engine.journey import source
from engine.journey.catalog import Catalog, Names, load_catalog
from engine.journey.lint.head import strange_tag, wrong_caps
from engine.journey.parts import CALL, SMS, WEBHOOK
from engine.journey.problems import Position, Problem, Severity
from engine.journey.salvage import salvage
from engine.journey.silence import Silenced
from engine.message.templates import load_texts
from engine.settings import Policy, Settings, load_settings
from engine.work.publishing.drafts import AUDIENCE_FILE, load_drafts
from engine.work.publishing.trial import Length

CHANNELS = ("email", "sms", "push", "wechat", "inbox")
REACH = (*CHANNELS, CALL)
WAYS_OUT = (*CHANNELS, WEBHOOK)
NAMED = 8  # countries that are told one by one
#: what may well be the fault of a config.yaml that could be read in part only
DOUBTFUL = frozenset({"no-rate", "undefined-name", "missing-kind", "unknown-wording"})


@dataclass(frozen=True)
class Findings:
    """What there is, and what is wrong with it."""

    journeys: tuple[str, ...] = ()  # those with mistakes too
    messages: int = 0
    texts: int = 0  # of messages, one for each channel and language
    files: tuple[Path, ...] = ()  # what was read
    problems: tuple[Problem, ...] = field(default=())
    silenced: tuple[Silenced, ...] = field(default=())  # what authors allow
    sms: tuple[Length, ...] = ()

    @property
    def errors(self) -> int:
        return sum(problem.severity is Severity.error for problem in self.problems)

    @property
    def warnings(self) -> int:
        return len(self.problems) - self.errors

    def inside(self, home: Path, paths: Sequence[Path]) -> Findings:
        """Only what concerns these files or folders."""
        wanted = [path.resolve() for path in paths]

        def concerned(file: Path) -> bool:
            place = file.resolve()
            return any(path == place or path in place.parents for path in wanted)

        kept = tuple(one for one in self.problems if concerned(place_of(one, home)))
        silenced = tuple(one for one in self.silenced if concerned(place_of(one.problem, home)))
        return replace(self, problems=kept, silenced=silenced, files=tuple(filter(concerned, self.files)))


def place_of(problem: Problem, home: Path) -> Path:
    """The file a problem is about: told from the shop's folder, but config.yaml as it was typed."""
    inside = home / problem.position.file
    return inside if inside.exists() else Path(problem.position.file)


def findings(config: Path) -> Findings:
    """Read everything, and say everything that is wrong."""
    return replace(_findings(config), files=tuple(_files(config)))


def folders_of(config: Path) -> tuple[Path, ...]:
    """Where everything stands that is checked: config.yaml, the journeys, the texts."""
    home = config.parent
    return config, home / "journeys", home / "templates"


def _files(config: Path) -> Iterator[Path]:
    for root in folders_of(config):
        inside = sorted(root.rglob("*")) if root.is_dir() else [root]
        hidden = (any(part.startswith(".") for part in path.relative_to(root).parts) for path in inside)
        yield from (path for path, hide in zip(inside, hidden, strict=True) if path.is_file() and not hide)


def _findings(config: Path) -> Findings:
    settings, problems = load_settings(config)
    sourced = source.read_file(config)
    if settings is None:
        return _as_far_as_possible(config, sourced, problems)
    problems += _in_config(settings, sourced)
    if any(problem.code == "bad-url" for problem in problems):
        return _as_far_as_possible(config, sourced, problems)
    with files_only(config) as app:
        return _in_files(app, problems, sourced)


def _in_files(app: App, problems: Sequence[Problem], sourced: source.Sourced) -> Findings:
    drafts = load_drafts(app, problems, codes())
    strange = list(_strange_tags(app.policy, drafts.names, sourced))
    texts = sum(map(len, drafts.names.locales.values()))
    return Findings(
        journeys=tuple(sorted(drafts.sources)),
        messages=len(drafts.names.messages),
        texts=texts,
        problems=_in_order([*drafts.problems, *strange]),
        silenced=drafts.silenced,
        sms=drafts.sms,
    )


def _strange_tags(policy: Policy, names: Names, sourced: source.Sourced) -> Iterator[Problem]:
    for number, cap in enumerate(policy.caps):
        if (strange := strange_tag(cap, names)) is not None:
            at = sourced.at(("policy", "caps", number, "tag"))
            yield Problem("cap-without-journey", strange[0], at, strange[1], Severity.warning)


def _in_order(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda one: (one.position, one.code, one.sentence)))


# --- a config.yaml with mistakes: the other files are read all the same ----------------------------------------------


def _as_far_as_possible(config: Path, sourced: source.Sourced, problems: Sequence[Problem]) -> Findings:
    """What is wrong in the other files in themselves. Names that config.yaml gives are not held against them."""
    settings = salvage(Settings, _with_a_shop(sourced, problems), {}).model or _stand_in()
    home = config.absolute().parent
    folder = home / "journeys"
    path = folder / AUDIENCE_FILE
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    audience, in_audience = read_audience(text, f"{folder.name}/{AUDIENCE_FILE}", settings, folder)
    catalog = load_catalog(folder, audience.trait_names) if folder.is_dir() else Catalog({}, {}, ())
    texts, in_texts = load_texts(home / "templates", settings)
    found = [one for one in (*in_audience, *catalog.problems, *in_texts) if one.code not in DOUBTFUL]
    written = [texts.locales(name, channel) for name in texts.messages for channel in texts.channels(name)]
    return Findings(
        journeys=tuple(sorted(catalog.texts)),
        messages=len(texts.messages),
        texts=sum(map(len, written)),
        problems=_in_order([*problems, *found]),
    )


_SHOP = {"name": "shop", "url": "https://shop.example.com", "zone": "UTC", "country": "US"}
_SHOP |= {"locale": "en", "currency": "USD"}


def _stand_in() -> Settings:
    return Settings.model_validate({"shop": _SHOP, "topics": {}, "channels": {}})


def _with_a_shop(sourced: source.Sourced, problems: Sequence[Problem]) -> source.Sourced:
    """With something that can be read wherever `shop` has a mistake: without it nothing else would be read."""
    if not isinstance(sourced.value, dict):
        return sourced
    shop, wrong = sourced.value.get("shop"), {problem.position for problem in problems}
    told = shop if isinstance(shop, dict) else {}
    right = {key: value for key, value in told.items() if key in _SHOP and sourced.at(("shop", key)) not in wrong}
    return replace(sourced, value={**sourced.value, "shop": {**_SHOP, **right}})


# --- what a config.yaml that can be read still gets wrong ------------------------------------------------------------


def _in_config(settings: Settings, sourced: source.Sourced) -> list[Problem]:
    checks = (_urls, _channel_names, _caps, _always_closed, _providers, _reach)
    return [problem for check in checks for problem in check(settings, sourced)]


def _urls(settings: Settings, sourced: source.Sourced) -> Iterator[Problem]:
    for part, url in (("shop", settings.shop.url), ("web", settings.web.url)):
        try:
            pieces = urlsplit(url)
            good = pieces.scheme in ("https", "http") and bool(pieces.hostname)
        except ValueError:
            good = False
        if not good:
            sentence = f"`{url}` is no address"
            yield Problem("bad-url", sentence, sourced.at((part, "url")), "write it whole: https://shop.example.com")


def _channel_names(settings: Settings, sourced: source.Sourced) -> Iterator[Problem]:
    places: list[tuple[str, tuple[str, ...]]] = [(name, ("channels", name)) for name in settings.channels]
    places += [(name, ("policy", "quiet_hours", name)) for name in settings.policy.quiet_hours]
    places += [(name, ("policy", "gap_by_channel", name)) for name in settings.policy.gap_by_channel]
    places += [(name, ("policy", "sundays", name)) for name in settings.policy.sundays]
    places += [(name, ("policy", "on_holidays", name)) for name in settings.policy.on_holidays]
    for code, one in settings.policy.countries.items():
        for kind in ("quiet_hours", "sundays", "on_holidays"):
            places += [(name, ("policy", "countries", code, kind, name)) for name in getattr(one, kind)]
    for name, path in places:
        if name not in (WAYS_OUT if path[0] == "channels" else REACH):
            yield _no_channel(name, sourced.at(path, key=True))
    for number, cap in enumerate(settings.policy.caps):
        if cap.channel is not None and cap.channel not in REACH:
            yield _no_channel(cap.channel, sourced.at(("policy", "caps", number, "channel")))
    for number, dark in enumerate(settings.policy.blackout):
        for index, name in enumerate(dark.channels):
            if name not in REACH:
                yield _no_channel(name, sourced.at(("policy", "blackout", number, "channels", index)))


def _caps(settings: Settings, sourced: source.Sourced) -> Iterator[Problem]:
    policy = settings.policy.model_copy(update={"topics": settings.topics})
    for number, cap in enumerate(policy.caps):
        place = ("policy", "caps", number)
        if cap.topic is not None and cap.topic not in settings.topics:
            hint = source.hint_for(cap.topic, settings.topics)
            yield Problem("unknown-topic", f"there is no topic `{cap.topic}`", sourced.at((*place, "topic")), hint)
        for code, key, sentence, hint in wrong_caps(cap, policy, own=False):
            yield Problem(code, sentence, sourced.at((*place, key)), hint)


def _always_closed(settings: Settings, sourced: source.Sourced) -> Iterator[Problem]:
    policy = settings.policy.model_copy(update={"home": settings.shop.country})
    for channel, country in never_open(policy, settings.channels):
        sentence = f"there is a time from which nobody in {country} could be written to by {channel} for a year"
        hint = "shorten `quiet_hours`, `holidays` or `blackout`; to give up a channel, leave it out of `channels`"
        yield Problem("never-open", sentence, sourced.at(("policy",)), hint)


def _no_channel(name: str, at: Position) -> Problem:
    return Problem("no-such-channel", f"`{name}` is no channel", at, source.hint_for(name, REACH))


def _providers(settings: Settings, sourced: source.Sourced) -> Iterator[Problem]:
    for lane in settings.lanes.values():
        try:
            options = registry.find(lane.provider).Options
        except Misconfigured as error:
            named = lane.way.provider is not None
            at = sourced.at((*lane.place, "provider") if named else lane.place, key=not named)
            said = str(error).partition(". Installed:")[0].rstrip(".")
            hint = source.hint_for(lane.provider, registry.installed())
            if not named:
                hint = f"{hint}; a name of your own needs `provider:` beside it"
            yield Problem("unknown-provider", said[:1].lower() + said[1:], at, hint)
            continue
        yield from _options(options, lane.way.options, sourced, lane.place)
        if lane.channel == "email" and "sender" in options.model_fields and "sender" not in lane.way.options:
            hint = "write `sender: hello@shop.example.com`"
            yield Problem("missing-key", "no mail can go without `sender`", sourced.at(lane.place, key=True), hint)


def _reach(settings: Settings, sourced: source.Sourced) -> Iterator[Problem]:
    """Numbers where there are none; people whom no lane of a channel serves."""
    for lane in settings.lanes.values():
        for key in ("prefixes", "not_prefixes"):
            if getattr(lane.way, key) and lane.channel != SMS:
                sentence, at = f"`{key}` is about telephone numbers", sourced.at((*lane.place, key), key=True)
                yield Problem("bad-combination", sentence, at, f"for {lane.channel} write `countries`")
    for channel in settings.channels:
        missing = unserved_countries(settings, channel)
        if missing:
            sentence = f"nobody in {_some(missing)} could be written to by {channel}: no provider serves them"
            hint = "take `countries` away from one of the providers, or write `not_countries` where you mean it"
            at = sourced.at(("channels", channel), key=True)
            yield Problem("unserved-countries", sentence, at, hint, Severity.warning)


def _some(countries: Sequence[str]) -> str:
    """The first of them, and how many more."""
    told, rest = ", ".join(countries[:NAMED]), len(countries) - NAMED
    return told if rest <= 0 else f"{told} and {rest} countries more"


def _options(
    model: type[BaseModel], options: dict[str, Any], sourced: source.Sourced, place: tuple[str, ...]
) -> Iterator[Problem]:
    """A provider checks its own settings; its complaints get their place here."""
    try:
        model.model_validate(options)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        misspelt = {str(one["loc"][-1]) for one in errors if one["type"] == "extra_forbidden"}
        for one in errors:
            if one["type"] == "missing" and get_close_matches(str(one["loc"][-1]), misspelt):
                continue
            unknown, missing = one["type"] == "extra_forbidden", one["type"] == "missing"
            word = ".".join(map(str, one["loc"]))
            at = sourced.at(place if missing else (*place, *one["loc"]), key=unknown)
            if unknown:
                hint = source.hint_for(word, model.model_fields)
                yield Problem("bad-provider-option", f"its provider has no setting `{word}`", at, hint)
            elif missing:
                yield Problem("bad-provider-option", f"its provider needs `{word}`", at, f"write `{word}:`")
            else:
                said = one["msg"].removeprefix("Value error, ")
                yield Problem("bad-provider-option", f"`{word}`: {said}" if word else said, at)
