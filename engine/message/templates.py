"""Reads templates/ once: every text compiled, every mistake in one run, at its file, line and column.

    templates/<message>/<channel>.<locale>.<ext>     front matter between two lines of ---, then the body
    templates/_layout/<name>                         what texts extend or include
    templates/_locale/<locale>/messages.po           translations of {% trans %}

The author's page about all this is docs/templates.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from jinja2 import TemplateSyntaxError, nodes
from pydantic import BaseModel, ConfigDict, Field

from engine.journey.problems import Position, Problem, Severity
from engine.journey.source import Sourced, hint_for, read, validate
from engine.message import locale as locales
from engine.message.catalogues import Catalogues
from engine.message.forms import BriefForm, EmailForm, Form, PushForm, Reads, SmsForm, WeChatForm
from engine.message.letter import letter, with_preheader
from engine.message.links import ANSWER, BadLink, bad_scheme, checked_url
from engine.message.markup import words
from engine.message.pieces import (
    MOST_BLOCKS,
    Kind,
    Piece,
    Pieces,
    Unreadable,
    assemble,
    build,
    cut,
    deepest,
    syntax_problem,
)
from engine.message.render import Brief, RenderError, Values, render, render_brief
from engine.message.sandbox import (
    FILTERS,
    LARGEST_EMAIL_TEXT,
    LARGEST_HTML,
    LARGEST_TEXT,
    TESTS,
    Environment,
    Lines,
    Parsed,
    Part,
    fixed_part,
    parse,
    part_of,
)
from engine.settings import Settings

EXTENSIONS: Final[dict[str, tuple[str, ...]]] = {
    "email": ("mjml", "html", "txt"),
    "sms": ("txt",),
    "push": ("txt",),
    "wechat": ("yaml",),
    "task": ("md",),
}
NAMES: Final = words("person event traits voucher journey step links brand now extra locale")
_OF_MAIL: Final = frozenset({"subject", "preheader"})
_INNER: Final = frozenset({"gettext", "ngettext", "range"})
_LINKS: Final = frozenset({"unsubscribe", "preferences", "click", "answer"})
_VOUCHER: Final = frozenset({"code", "value", "expires_at"})
_LARGEST_FILE: Final = 256 * 1024
_LONGEST_TITLE: Final = 65
_LONGEST_SUBJECT: Final = 150
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FILE = re.compile(r"([A-Za-z]\w*)\.([A-Za-z0-9_-]+)\.(\w+)")
#: WeChat's kinds of value and how many characters each may have
WECHAT_FIELDS: Final[dict[str, int]] = {
    "thing": 20,
    "short_thing": 5,
    "number": 32,
    "letter": 32,
    "symbol": 5,
    "character_string": 32,
    "time": 64,
    "date": 64,
    "amount": 13,
    "phone_number": 17,
    "car_number": 8,
    "name": 20,
    "phrase": 5,
    "const": 20,
    "keyword": 200,
}


# --- what is loaded


@dataclass(frozen=True)
class Texts:
    """All texts of an installation, compiled."""

    forms: Mapping[tuple[str, str], Mapping[str, Form]]  # (message, channel) -> locale -> form
    currency: str
    default_locale: str
    problems: tuple[Problem, ...] = ()

    @cached_property
    def messages(self) -> frozenset[str]:
        """Texts that can be sent."""
        return frozenset(message for message, channel in self.forms if channel != "task")

    @cached_property
    def briefs(self) -> frozenset[str]:
        """Texts for tasks."""
        return frozenset(message for message, channel in self.forms if channel == "task")

    def channels(self, message: str) -> frozenset[str]:
        """The channels a message is written for."""
        return frozenset(channel for name, channel in self.forms if name == message and channel != "task")

    def locales(self, message: str, channel: str) -> frozenset[str]:
        """The locales it is written in."""
        return self._locales.get((message, channel), frozenset())

    def choose(self, message: str, channel: str, locale: str) -> str:
        """The locale it is written in for a reader of `locale`. LookupError when there is no such text at all."""
        found = locales.choose(locale, self.locales(message, channel), self.default_locale)
        if found is None:
            raise LookupError(f"there is no text {message} for {channel}")
        return found

    def form(self, message: str, channel: str, locale: str) -> Form:
        """The compiled text in exactly this locale."""
        return self.forms[message, channel][locale]

    def reads(self, message: str) -> Reads:
        """All names the texts of a message speak of, on any channel, in any locale."""
        found = Reads()
        for (name, _), forms in self.forms.items():
            if name == message:
                for form in forms.values():
                    found |= form.reads
        return found

    def fits(self, message: str, channel: str, marketing: bool) -> list[Problem]:
        """What forbids sending a text for a purpose, with the place in the text."""
        found = []
        for form in self.forms.get((message, channel), {}).values():
            at = Position(form.file)
            if isinstance(form, WeChatForm) and marketing and form.kind == "notice":
                sentence = f"`{message}` uses a notice template of WeChat for a marketing topic"
                found.append(
                    Problem("wechat-kind-purpose", sentence, at, "use a template of kind promotion, or another topic")
                )
            if isinstance(form, EmailForm) and marketing and form.purpose == "transactional":
                sentence = f"`{message}` says `purpose: transactional` and is sent for a marketing topic"
                found.append(Problem("purpose-mismatch", sentence, at, "take the line out and show links.unsubscribe"))
        return found

    def check(self, message: str, channel: str, locale: str, *samples: Values) -> list[Problem]:
        """Write the text for sample people. What fails for all of them is an error, what fails for some a warning."""
        failed: dict[Problem, int] = {}
        for values in samples:
            for problem in dict.fromkeys(self._trial(message, channel, locale, values)):
                failed[problem] = failed.get(problem, 0) + 1
        return [
            problem if count == len(samples) else _for_some(problem, count, len(samples))
            for problem, count in failed.items()
        ]

    def _trial(self, message: str, channel: str, locale: str, values: Values) -> Iterator[Problem]:
        try:
            written = (
                render_brief(self, message, locale, values)
                if channel == "task"
                else render(self, message, channel, locale, values)
            )
        except RenderError as error:
            yield Problem(error.code, error.sentence, error.position, error.hint)
            return
        if not isinstance(written, Brief):
            form = self.form(message, channel, self.choose(message, channel, locale))
            yield from _lengths(form, vars(written))

    @cached_property
    def _locales(self) -> dict[tuple[str, str], frozenset[str]]:
        return {key: frozenset(forms) for key, forms in self.forms.items()}


def _for_some(problem: Problem, count: int, total: int) -> Problem:
    sentence = f"{problem.sentence} (for {count} of {total} sample people)"
    return replace(problem, sentence=sentence, severity=Severity.warning)


def _lengths(form: Form, content: Mapping[str, Any]) -> Iterator[Problem]:
    """What a phone or a provider would cut off or refuse."""
    match form:
        case PushForm():
            yield from _length("the title", content["title"], _LONGEST_TITLE, form.title)
        case EmailForm():
            yield from _length("the subject", content["subject"], _LONGEST_SUBJECT, form.subject)
        case WeChatForm():
            for name, text in content["values"]:
                part = form.values[name]
                yield from _length(f"`{name}`", text, WECHAT_FIELDS.get(_field_kind(name), 200), part)
                if not text:
                    yield Problem("empty-value", f"`{name}` is empty, which WeChat refuses", part.lines.at(1), "")


def _length(what: str, text: str, most: int, part: Part) -> Iterator[Problem]:
    if len(text) > most:
        sentence = f"{what} has {len(text)} characters, {most} are shown"
        yield Problem("too-long", sentence, part.lines.at(1), "say it shorter")


def _field_kind(name: str) -> str:
    return name.rstrip("0123456789")


# --- front matter


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _EmailHead(_Head):
    subject: str = ""
    preheader: str = ""
    sender_name: str = ""
    reply_to: str = ""
    purpose: Literal["marketing", "transactional"] = "marketing"


class _TextHead(_Head):
    """Of an author's own text part: nothing but the body counts."""


class _SmsHead(_Head):
    template: str | None = None
    params: dict[str, str] = Field(default_factory=dict)


class _PushHead(_Head):
    title: str = ""
    image: str | None = None
    link: str | None = None


class _WeChatHead(_Head):
    template: str
    kind: str
    page: str | None = None
    values: dict[str, str] = Field(default_factory=dict)


class _TaskHead(_Head):
    title: str = ""


@dataclass(frozen=True)
class _File:
    """One file of templates/, cut into its two halves."""

    shown: str
    head: Sourced | None  # None: there is no front matter
    body: str
    body_line: int


# --- loading


def load_texts(folder: Path, settings: Settings) -> tuple[Texts, list[Problem]]:
    """Read and compile every text under `folder`. Never raises for what stands in the files."""
    loader = _Loader(folder, settings)
    loader.load()
    problems = sorted(dict.fromkeys(loader.problems), key=lambda p: (p.position, p.code, p.sentence))
    texts = Texts(loader.forms, settings.shop.currency, settings.shop.locale, tuple(problems))
    return texts, problems


@dataclass
class _Loader:
    """Loads one folder. Each file alone: what is wrong in one never hides another."""

    folder: Path
    settings: Settings
    environment: Environment = field(default_factory=Environment)
    forms: dict[tuple[str, str], dict[str, Form]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    layouts: dict[str, Pieces] = field(default_factory=dict)

    @cached_property
    def brand(self) -> dict[str, Any]:
        shop = self.settings.shop
        return {"name": shop.name, "url": shop.url, "address": shop.address, **self.settings.brand}

    @cached_property
    def catalogues(self) -> Catalogues:
        catalogues = Catalogues(self.folder / "_locale", f"{self.folder.name}/_locale")
        self.problems += catalogues.problems
        return catalogues

    def note(self, code: str, sentence: str, at: Position, hint: str = "", severity: Severity = Severity.error) -> None:
        self.problems.append(Problem(code, sentence, at, hint, severity))

    def load(self) -> None:
        if not self.folder.is_dir():
            return
        _ = self.catalogues
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith((".", "_")):
                continue
            if path.is_dir():
                self._load_message(path)
            else:
                sentence = f"{path.name} lies outside of every message"
                hint = "texts live in a folder per message: thanks/email.en.mjml"
                self.note("stray-file", sentence, Position(self._shown(path)), hint, Severity.warning)

    def _shown(self, path: Path) -> str:
        return f"{self.folder.name}/{path.relative_to(self.folder).as_posix()}"

    def _load_message(self, folder: Path) -> None:
        if not _NAME.fullmatch(folder.name):
            sentence = f"`{folder.name}` cannot be the name of a message"
            self.note(
                "bad-message-name",
                sentence,
                Position(self._shown(folder)),
                "use a-z, 0-9, _ and -, such as second_order",
            )
            return
        files: dict[tuple[str, str], dict[str, Path]] = {}
        for path in sorted(folder.iterdir()):
            found = None if path.name.startswith(".") else self._place_of(path)
            if found:
                channel, locale, extension = found
                files.setdefault((channel, locale), {})[extension] = path
        for (channel, locale), by_extension in files.items():
            try:
                form = self._form(channel, locale, by_extension)
            except Unreadable as error:
                self.problems.append(error.problem)
                continue
            if form is not None:
                self.forms.setdefault((folder.name, channel), {})[locale] = form

    def _place_of(self, path: Path) -> tuple[str, str, str] | None:
        """Channel, locale and extension that a file's name tells."""
        at = Position(self._shown(path))
        found = _FILE.fullmatch(path.name)
        if not found or not path.is_file():
            hint = "a text is named channel.locale.ext: email.en.mjml, sms.zh-CN.txt"
            self.note("unknown-channel-file", f"`{path.name}` is no text", at, hint)
            return None
        channel, locale, extension = found[1], found[2], found[3]
        if channel not in EXTENSIONS:
            self.note("unknown-channel-file", f"`{channel}` is not a channel", at, hint_for(channel, EXTENSIONS))
            return None
        if extension not in EXTENSIONS[channel]:
            expected = " or ".join(f".{one}" for one in EXTENSIONS[channel])
            self.note(
                "wrong-extension",
                f"texts for {channel} do not end in .{extension}",
                at,
                f"name it {channel}.{locale}{expected}",
            )
            return None
        try:
            locales.parse_locale(locale)
        except ValueError:
            hint = (
                f"write it with a dash: {locale.replace('_', '-')}"
                if "_" in locale
                else "write one like zh-CN, en or de"
            )
            self.note("bad-locale-name", f"`{locale}` is not a locale", at, hint)
            return None
        return channel, locale, extension

    # --- one form

    def _form(self, channel: str, locale: str, paths: Mapping[str, Path]) -> Form | None:
        match channel:
            case "email":
                return self._email(locale, paths)
            case "sms":
                return self._sms(locale, self._read(paths["txt"]))
            case "push":
                return self._push(locale, self._read(paths["txt"]))
            case "wechat":
                return self._wechat(locale, paths["yaml"])
            case _:
                return self._brief(locale, self._read(paths["md"]))

    def _email(self, locale: str, paths: Mapping[str, Path]) -> Form | None:
        main = paths.get("mjml") or paths.get("html")
        if main is None:
            sentence = "there is a text part and no mail"
            self.note(
                "text-without-mail",
                sentence,
                Position(self._shown(paths["txt"])),
                f"write email.{locale}.mjml beside it",
            )
            return None
        if "mjml" in paths and "html" in paths:
            sentence = f"the same mail is written twice, as MJML and as HTML, for {locale}"
            self.note("two-formats", sentence, Position(self._shown(paths["html"])), "delete one of them")
        file = self._read(main)
        head, at = self._head(_EmailHead, file)
        if head is not None and not head.subject.strip():
            self.note(
                "missing-subject",
                "a mail needs a subject",
                at(()),
                "write `subject:` between two lines of --- at the top",
            )
        body = self._body(file)
        made = letter(body.pieces, Position(file.shown, file.body_line), is_mjml="mjml" in paths)
        self.problems += made.problems
        own_text = self._body(self._read(paths["txt"]), _TextHead).all if "txt" in paths else None
        if head is None or made.problems:
            return None
        compiler = _Compiler(self, locale, file.shown, _OF_MAIL)
        html = [*body.first, *(with_preheader(made.html) if head.preheader else made.html)]
        form = EmailForm(
            file.shown,
            subject=compiler.line(head.subject, at(("subject",)), "subject"),
            preheader=compiler.line(head.preheader, at(("preheader",)), "preheader"),
            html=compiler.part(html, "body.html", LARGEST_HTML),
            text=compiler.part(own_text or [*body.first, *made.text], "text", LARGEST_EMAIL_TEXT),
            sender_name=compiler.line(head.sender_name, at(("sender_name",)), "sender_name"),
            reply_to=compiler.line(head.reply_to, at(("reply_to",)), "reply_to"),
            purpose=head.purpose,
            reads=compiler.reads,
        )
        if head.purpose == "marketing" and not compiler.reads.unsubscribe:
            sentence = "a marketing mail needs a way out that can be seen"
            hint = (
                "show {{ links.unsubscribe }}; a mail that is never marketing says `purpose: transactional` at its top"
            )
            self.note("missing-unsubscribe", sentence, Position(file.shown, file.body_line), hint)
        self._fixed_length("the subject", form.subject, _LONGEST_SUBJECT)
        return compiler.done(form)

    def _sms(self, locale: str, file: _File) -> Form | None:
        head, at = self._head(_SmsHead, file)
        body = self._body(file)
        if head is None:
            return None
        compiler = _Compiler(self, locale, file.shown)
        params = {
            name: compiler.line(text, at(("params", name)), f"params.{name}") for name, text in head.params.items()
        }
        text = compiler.part(body.all, "body", LARGEST_TEXT)
        if not body.all and not head.template:
            self.note("empty-text", "this text says nothing", Position(file.shown), "write what it shall say")
        return compiler.done(SmsForm(file.shown, text, head.template, params, compiler.reads))

    def _push(self, locale: str, file: _File) -> Form | None:
        head, at = self._head(_PushHead, file)
        body = self._body(file)
        if head is None:
            return None
        if not head.title.strip():
            self.note(
                "missing-title",
                "a push message needs a title",
                at(()),
                "write `title:` between two lines of --- at the top",
            )
        compiler = _Compiler(self, locale, file.shown)
        title = compiler.line(head.title, at(("title",)), "title")
        text = compiler.part(body.all, "body", LARGEST_TEXT)
        image = self._address(compiler, head.image, at(("image",)), "image")
        link = self._address(compiler, head.link, at(("link",)), "link")
        self._fixed_length("the title", title, _LONGEST_TITLE)
        return compiler.done(PushForm(file.shown, title, text, image, link, compiler.reads))

    def _wechat(self, locale: str, path: Path) -> Form | None:
        shown = self._shown(path)
        sourced = read(self._text(path), shown)
        self.problems += sourced.problems
        if sourced.problems:
            return None
        head, problems = validate(_WeChatHead, sourced)
        self.problems += problems
        if head is None:
            return None
        if head.kind not in ("notice", "promotion"):
            hint = "write notice (something the person set off) or promotion"
            self.note("bad-wechat-kind", f"`{head.kind}` is not a kind of WeChat template", sourced.at(("kind",)), hint)
            return None
        compiler = _Compiler(self, locale, shown)
        page = compiler.line(head.page, sourced.at(("page",)), "page") if head.page else None
        if head.page and (scheme := bad_scheme(head.page)):
            hint = "links begin with https:, http:, mailto: or tel:"
            self.note("bad-link-scheme", f"a link begins with `{scheme}:`", sourced.at(("page",)), hint)
        values = {}
        for name, text in head.values.items():
            part = values[name] = compiler.line(text, sourced.at(("values", name)), f"values.{name}")
            most = WECHAT_FIELDS.get(_field_kind(name)) if name not in ("first", "remark") else 200
            if most is None or (_field_kind(name) == name and name not in ("first", "remark")):
                hint = hint_for(_field_kind(name), WECHAT_FIELDS) + ", followed by its number"
                self.note(
                    "bad-wechat-field",
                    f"`{name}` is not a field of WeChat",
                    sourced.at(("values", name), key=True),
                    hint,
                )
                continue
            self._fixed_length(f"`{name}`", part, most)
        kind: Literal["notice", "promotion"] = "notice" if head.kind == "notice" else "promotion"
        return compiler.done(WeChatForm(shown, head.template, kind, page, values, compiler.reads))

    def _brief(self, locale: str, file: _File) -> Form | None:
        head, at = self._head(_TaskHead, file)
        body = self._body(file)
        if head is None:
            return None
        compiler = _Compiler(self, locale, file.shown)
        title = compiler.line(head.title, at(("title",)), "title")
        return compiler.done(
            BriefForm(file.shown, title, compiler.part(body.all, "body", LARGEST_TEXT), compiler.reads)
        )

    def _address(self, compiler: _Compiler, text: str | None, at: Position, name: str) -> Part | None:
        if text is None:
            return None
        if "{" not in text:
            scheme = bad_scheme(text) or ("" if ":" in text else "no scheme")
            if scheme or ":" not in text:
                hint = "links begin with https:, http:, mailto: or tel:"
                self.note("bad-link-scheme", f"`{name}` is not a safe link", at, hint)
        return compiler.line(text, at, name)

    def _fixed_length(self, what: str, part: Part, most: int) -> None:
        if part.fixed is not None:
            self.problems += _length(what, part.fixed.strip(), most, part)

    # --- files

    def _text(self, path: Path) -> str:
        """A file's text. Unreadable when it lies elsewhere, is too large or no text."""
        at = Position(self._shown(path))
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise Unreadable(
                Problem("outside-folder", "this leads out of the folder of texts", at, "copy the file here")
            )
        raw = path.read_bytes() if path.stat().st_size <= _LARGEST_FILE else None
        if raw is None:
            sentence = f"the file is larger than {_LARGEST_FILE // 1024} KB"
            raise Unreadable(Problem("too-large", sentence, at, "divide it, or take out what is embedded"))
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise Unreadable(
                Problem(
                    "not-utf8", "the file is not UTF-8 text", Position(at.file, line), "save it with the encoding UTF-8"
                )
            ) from None
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _read(self, path: Path) -> _File:
        """Divide a file into front matter and body."""
        text, shown = self._text(path), self._shown(path)
        lines = text.split("\n")
        if lines[0].rstrip() != "---":
            return _File(shown, None, text, 1)
        end = next((index for index, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
        if end is None:
            sentence = "the front matter is opened with --- and never closed"
            raise Unreadable(
                Problem("bad-front-matter", sentence, Position(shown), "write a second line of --- before the body")
            )
        head = read("\n" + "\n".join(lines[1:end]) + "\n", shown)
        return _File(shown, head, "\n".join(lines[end + 1 :]), end + 2)

    def _head(self, model: type[Any], file: _File) -> tuple[Any, Any]:
        """The front matter as a model (None when it is wrong), and where its keys stand."""

        def nowhere(path: Sequence[str | int]) -> Position:
            return Position(file.shown)

        if file.head is None or (file.head.value in (None, "") and _is_blank(file.head)):
            return model(), nowhere
        if file.head.problems:
            self.problems += file.head.problems
            return None, file.head.at
        head, problems = validate(model, file.head)
        self.problems += problems
        return head, file.head.at

    def _body(self, file: _File, model: type[Any] | None = None) -> _Body:
        """The body, put into its layouts."""
        if model is not None:
            self._head(model, file)
        body = file.body.rstrip("\n")
        pieces = cut(self.environment, body, Position(file.shown, file.body_line))
        assembled = assemble(pieces, self._layout)
        self.problems += assembled.problems
        return _Body(assembled.pieces, assembled.first)

    def _layout(self, name: str, at: Position) -> Pieces:
        """A layout by the name that a text writes, from inside the folder only."""
        if name not in self.layouts:
            path = self.folder / name
            inside = path.resolve().is_relative_to(self.folder.resolve()) and not Path(name).is_absolute()
            if not inside:
                sentence = f"`{name}` leads out of the folder of texts"
                raise Unreadable(Problem("outside-folder", sentence, at, "layouts live in _layout/"))
            if not path.is_file():
                known = [self._shown(one).partition("/")[2] for one in sorted((self.folder / "_layout").glob("*"))]
                hint = hint_for(name, known) if known else "layouts live in _layout/"
                raise Unreadable(Problem("unknown-layout", f"there is no layout `{name}`", at, hint))
            self.layouts[name] = cut(self.environment, self._text(path).rstrip("\n"), Position(self._shown(path)))
        return self.layouts[name]


def _is_blank(sourced: Sourced) -> bool:
    return not sourced.text.strip() or all(
        line.strip().startswith("#") or not line.strip() for line in sourced.text.split("\n")
    )


@dataclass(frozen=True)
class _Body:
    pieces: Pieces
    first: Pieces

    @property
    def all(self) -> list[Piece]:
        return [*self.first, *self.pieces]


# --- compiling, with every check that needs no person


@dataclass
class _Compiler:
    """Compiles the parts of one text."""

    loader: _Loader
    locale: str
    file: str
    more_names: frozenset[str] = frozenset()
    reads: Reads = field(default_factory=Reads)
    failed: bool = False

    def line(self, text: str, at: Position, name: str) -> Part:
        """A part from the front matter."""
        try:
            pieces: Iterable[Piece] = cut(self.loader.environment, text.strip("\n"), at)
        except Unreadable as error:
            self._note(error.problem)
            pieces = ()
        return self.part(pieces, name, LARGEST_TEXT, in_mail=False)

    def part(self, pieces: Iterable[Piece], name: str, limit: int, in_mail: bool = True) -> Part:
        """A part from pieces. With mistakes in it, a part that writes nothing."""
        pieces, full_name, environment = tuple(pieces), f"{self.file}#{name}", self.loader.environment
        built = build(pieces)
        if all(piece.kind is Kind.data for piece in pieces):
            text = "".join(piece.text for piece in pieces)
            return fixed_part(environment, text, built.lines, full_name, limit)
        if (deep := deepest(pieces)) is not None:
            sentence = f"blocks stand more than {MOST_BLOCKS} deep inside each other"
            self._note(Problem("too-deep-inside", sentence, deep.at, "say it with fewer, or with `set`"))
            return fixed_part(environment, "", built.lines, full_name, limit)
        try:
            parsed = parse(environment, built.source, full_name)
        except TemplateSyntaxError as error:
            self._note(syntax_problem(error, built.lines.at(error.lineno)))
            return fixed_part(environment, "", built.lines, full_name, limit)
        known = NAMES | _INNER | (self.more_names if in_mail else frozenset())
        for problem in _Look(parsed, built.lines, known, self).problems():
            self._note(problem)
        self.reads |= _reads(parsed.nodes)
        names = {**environment.globals, **self.loader.catalogues.functions(self.locale), "brand": self.loader.brand}
        return part_of(environment, parsed, built.lines, full_name, limit, names)

    def done(self, form: Form) -> Form | None:
        """The form, unless something in it is wrong."""
        return None if self.failed else form

    def _note(self, problem: Problem) -> None:
        self.failed = self.failed or problem.severity is Severity.error
        self.loader.problems.append(problem)


@dataclass(frozen=True)
class _Look:
    """Looks through one template for what can be known to be wrong without a person."""

    parsed: Parsed
    lines: Lines
    known: frozenset[str]
    of: _Compiler

    def problems(self) -> Iterator[Problem]:
        yield from self._words()
        names = self._names()
        fields = self._fields()
        for node in self.parsed.nodes:
            if isinstance(node, nodes.Name):
                yield from names(node)
            elif isinstance(node, nodes.Call):
                yield from self._link(node)
                yield from self._phrase(node)
        yield from fields

    def _words(self) -> Iterator[Problem]:
        for word in self.parsed.strange:
            known = FILTERS if word.kind == "filter" else [one for one in TESTS if one.isalpha()]
            hint = _REFUSED_FILTERS.get(word.name) or hint_for(word.name, known)
            yield Problem(
                f"unknown-{word.kind}", f"there is no {word.kind} `{word.name}`", self.lines.at(word.line), hint
            )

    def _names(self) -> Callable[[nodes.Name], Iterator[Problem]]:
        strange = set(self.parsed.undeclared - self.known)

        def look(node: nodes.Name) -> Iterator[Problem]:
            if node.name in strange:
                strange.discard(node.name)  # the first place is enough
                sentence = f"`{node.name}` is not known in texts"
                yield Problem("undefined-name", sentence, self.lines.at(node.lineno), _name_hint(node.name, self.known))

        return look

    def _fields(self) -> Iterator[Problem]:
        brand = self.of.loader.brand
        closed = {"links": _LINKS, "voucher": _VOUCHER, "brand": frozenset(brand)}
        for owner, name, line, guarded in _field_uses(self.parsed.nodes):
            if owner in closed and name not in closed[owner] and not guarded:
                sentence = f"`{owner}.{name}` is not known in texts"
                hint = hint_for(name, closed[owner])
                if owner == "brand":
                    hint += "; values of the brand stand in config.yaml under `brand:`"
                yield Problem("undefined-name", sentence, self.lines.at(line), hint)

    def _link(self, call: nodes.Call) -> Iterator[Problem]:
        """Addresses and answers that are written out are checked now."""
        node = call.node
        if not (isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "links"):
            return
        if len(call.args) != 1 or not isinstance(call.args[0], nodes.Const):
            return
        word, at = call.args[0].value, self.lines.at(call.lineno)
        if node.attr == "click":
            try:
                checked_url(word)
            except BadLink as error:
                yield Problem("bad-link-scheme", str(error), at, "write it whole: https://shop.example.com/new")
        elif node.attr == "answer" and not (isinstance(word, str) and ANSWER.fullmatch(word)):
            hint = "use a-z, 0-9, - and _, such as too_expensive"
            yield Problem("bad-answer", f"`{word}` is not an answer of one word", at, hint)

    def _phrase(self, call: nodes.Call) -> Iterator[Problem]:
        """Phrases of layouts need a translation; those of a text itself are written in its own language."""
        if not (isinstance(call.node, nodes.Name) and call.node.name in ("gettext", "ngettext") and call.args):
            return
        first, at, locale = call.args[0], self.lines.at(call.lineno), self.of.locale
        if not isinstance(first, nodes.Const) or at.file == self.of.file:
            return
        if not self.of.loader.catalogues.has(locale, first.value):
            sentence = f"there is no {locale} for the phrase `{_short(first.value)}`"
            hint = f"add it to _locale/{locale}/messages.po"
            yield Problem("missing-translation", sentence, at, hint, Severity.warning)


_REFUSED_FILTERS: Final = {
    "safe": "values are always escaped; write markup in the template itself",
    "tojson": "texts hold no scripts",
    "random": "the same values must always give the same text",
    "urlize": "write the link yourself: <a href=...>",
    "datetime": "write `date` and `time`",
    "currency": "write `money`",
}
_OTHER_NAMES: Final = {
    "user": "the person is `person`",
    "customer": "the person is `person`",
    "name": "write person.name",
    "first_name": "write person.first_name",
    "order": "the event's payload is `event`: event.total",
    "shop": "the shop is `brand`",
    "super": "super() stands inside a {% block %} of a layout",
    "unsubscribe": "write links.unsubscribe",
    "unsubscribe_url": "write links.unsubscribe",
    "today": "write now | date",
    "coupon": "the code is voucher.code",
}


def _name_hint(name: str, known: Iterable[str]) -> str:
    return _OTHER_NAMES.get(name) or hint_for(name, [one for one in known if one not in _INNER])


def _short(text: str) -> str:
    return text if len(text) <= 50 else text[:47] + "..."


def _field_uses(found: Sequence[nodes.Node]) -> Iterator[tuple[str, str, int, bool]]:
    """Owner, name and line of every `owner.name`; whether it is only asked for, or has a default."""
    guarded = {
        id(node.node)
        for node in found
        if isinstance(node, nodes.Filter | nodes.Test) and node.name in ("default", "d", "defined", "undefined")
    }
    for node in found:
        if isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Name):
            name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
            if isinstance(name, str):
                yield node.node.name, name, node.lineno, id(node) in guarded


def _reads(found: Sequence[nodes.Node]) -> Reads:
    uses: dict[str, set[str]] = {}
    for owner, name, _, _ in _field_uses(found):
        uses.setdefault(owner, set()).add(name)
    return Reads(
        person=frozenset(uses.get("person", ())),
        event=frozenset(uses.get("event", ())),
        traits=frozenset(uses.get("traits", ())),
        extra=frozenset(uses.get("extra", ())),
        voucher="voucher" in uses,
        unsubscribe="unsubscribe" in uses.get("links", ()),
    )
