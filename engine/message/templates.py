"""Reads templates/ once: every text compiled, every mistake in one run, at its file, line and column.

    templates/<message>/<channel>.<locale>.<ext>     front matter between two lines of ---, then the body
    templates/_layout/<name>                         what texts extend or include
    templates/_locale/<locale>/messages.po           translations of {% trans %}

The author's page about all this is docs/templates.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from channels.fields import field_of, room_in
from engine.journey.problems import Position, Problem, Severity
from engine.journey.source import hint_for, read, validate
from engine.message import locale as locales
from engine.message.approved import OF_SMS, OF_WECHAT, approved, names_in
from engine.message.catalogues import Catalogues
from engine.message.compiled import Part
from engine.message.compiler import OF_MAIL, Compiler, Shared
from engine.message.folder import File, Folder, Head
from engine.message.forms import BriefForm, EmailForm, Form, PushForm, SmsForm, WeChatForm
from engine.message.heads import (
    EmailHead,
    ProviderKind,
    PushHead,
    SmsHead,
    TaskHead,
    TextHead,
    WeChatHead,
    WeChatTextHead,
)
from engine.message.letter import letter, with_preheader
from engine.message.limits import LARGEST_EMAIL_TEXT, LARGEST_HTML, LARGEST_TEXT
from engine.message.links import bad_scheme
from engine.message.pieces import Kind, Piece, Unreadable, kept_apart
from engine.message.refused import LONGEST_SUBJECT, LONGEST_TITLE, length
from engine.message.sms import costly_sign
from engine.message.texts import Texts
from engine.settings import Settings

__all__ = ["Texts", "load_texts", "no_texts"]

EXTENSIONS: Final[dict[str, tuple[str, ...]]] = {
    "email": ("mjml", "html", "txt"),
    "sms": ("txt",),
    "push": ("txt",),
    "inbox": ("txt",),
    "wechat": ("yaml", "txt"),
    "task": ("md",),
}
_SAFE: Final = "links begin with https:, http:, mailto: or tel:"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FILE = re.compile(r"([A-Za-z]\w*)\.([A-Za-z0-9_-]+)\.(\w+)")


def load_texts(folder: Path, settings: Settings) -> tuple[Texts, list[Problem]]:
    """Read and compile every text under `folder`. Never raises for what stands in the files."""
    loader = _Loader(Folder(folder), settings)
    if folder.is_dir():
        loader.load()
    problems = sorted(dict.fromkeys(loader.folder.problems), key=lambda p: (p.position, p.code, p.sentence))
    shop = settings.shop
    kept = tuple(problems)
    return Texts(loader.forms, shop.currency, shop.locale, kept, settings.sms, settings.links, shop.url), problems


def no_texts(settings: Settings) -> Texts:
    """For who needs none of them."""
    return Texts({}, settings.shop.currency, settings.shop.locale)


@dataclass
class _Loader:
    """Loads one folder. Each text alone: what is wrong in one never hides another."""

    folder: Folder
    settings: Settings
    forms: dict[tuple[str, str], dict[str, Form]] = field(default_factory=dict)
    shared: Shared = field(init=False)

    def __post_init__(self) -> None:
        shop, root = self.settings.shop, self.folder.path
        brand = {"name": shop.name, "url": shop.url, "address": shop.address, **self.settings.brand}
        catalogues = Catalogues(root / "_locale", f"{root.name}/_locale")
        self.folder.problems += catalogues.problems
        self.shared = Shared(self.folder.environment, catalogues, brand, self.folder.problems)

    def load(self) -> None:
        for path in sorted(self.folder.path.iterdir()):
            if path.name.startswith((".", "_")):
                continue
            at = Position(self.folder.shown(path))
            if not path.is_dir():
                hint = "texts live in a folder per message: thanks/email.en.mjml"
                sentence = f"{path.name} lies outside of every message"
                self.folder.note("stray-file", sentence, at, hint, Severity.warning)
            elif not _NAME.fullmatch(path.name):
                sentence = f"`{path.name}` cannot be the name of a message"
                self.folder.note("bad-message-name", sentence, at, "use a-z, 0-9, _ and -, such as second_order")
            else:
                self._message(path)

    def _message(self, folder: Path) -> None:
        files: dict[tuple[str, str], dict[str, Path]] = {}
        for path in sorted(folder.iterdir()):
            found = None if path.name.startswith(".") else self._place_of(path)
            if found:
                channel, locale, extension = found
                files.setdefault((channel, locale), {})[extension] = path
        for (channel, locale), paths in files.items():
            try:
                form = self._form(channel, locale, paths)
            except Unreadable as error:
                self.folder.problems.append(error.problem)
                continue
            if form is not None:
                self.forms.setdefault((folder.name, channel), {})[locale] = form

    def _place_of(self, path: Path) -> tuple[str, str, str] | None:
        """Channel, locale and extension that a file's name tells."""
        at, note = Position(self.folder.shown(path)), self.folder.note
        found = _FILE.fullmatch(path.name)
        if not found or not path.is_file():
            hint = "a text is named channel.locale.ext: email.en.mjml, sms.zh-CN.txt"
            note("unknown-channel-file", f"`{path.name}` is no text", at, hint)
            return None
        channel, locale, extension = found[1], found[2], found[3]
        if channel not in EXTENSIONS:
            note("unknown-channel-file", f"`{channel}` is not a channel", at, hint_for(channel, EXTENSIONS))
            return None
        if extension not in EXTENSIONS[channel]:
            hint = f"name it {channel}.{locale}" + " or ".join(f".{one}" for one in EXTENSIONS[channel])
            note("wrong-extension", f"texts for {channel} do not end in .{extension}", at, hint)
            return None
        try:
            locales.parse_locale(locale)
        except ValueError:
            dashed = f"write it with a dash: {locale.replace('_', '-')}"
            note(
                "bad-locale-name",
                f"`{locale}` is not a locale",
                at,
                dashed if "_" in locale else "write one like zh-CN",
            )
            return None
        return channel, locale, extension

    # --- one function per channel

    def _form(self, channel: str, locale: str, paths: Mapping[str, Path]) -> Form | None:
        match channel:
            case "email":
                return self._email(locale, paths)
            case "sms":
                return self._sms(locale, self.folder.file(paths["txt"]))
            case "push" | "inbox":
                return self._push(locale, self.folder.file(paths["txt"]))
            case "wechat":
                return self._wechat(locale, paths)
            case _:
                return self._brief(locale, self.folder.file(paths["md"]))

    def _email(self, locale: str, paths: Mapping[str, Path]) -> Form | None:
        main = self._one_mail(locale, paths)
        if main is None:
            return None
        file = self.folder.file(main)
        compiler = self._compiler(locale, file, OF_MAIL)
        head = self.folder.head(EmailHead, file)
        if not head.wrong and not head.value.subject.strip():
            hint = "write `subject:` between two lines of --- at the top"
            self.folder.note("missing-subject", "a mail needs a subject", head.at(()), hint)
        names = ("subject", "preheader", "sender_name", "reply_to")
        words = ("subject", "preheader")
        form = {name: compiler.line(getattr(head.value, name), head.at((name,)), name, name in words) for name in names}
        self._fixed_length("the subject", form["subject"], LONGEST_SUBJECT)
        body = self.folder.body(file)
        made = letter(body.pieces, file.start, main.suffix == ".mjml", locale)
        self.folder.problems += made.problems
        own_text = self._own_text(paths.get("txt"))
        if made.is_wrong:
            return None
        html = [*body.first, *(with_preheader(made.html) if head.value.preheader else made.html)]
        html_part = compiler.part(html, "body.html", LARGEST_HTML)
        text_part = compiler.part(own_text or [*body.first, *made.text], "text", LARGEST_EMAIL_TEXT)
        if head.value.purpose == "marketing" and not compiler.reads.unsubscribe and compiler.is_readable:
            sentence = "a marketing mail needs a way out that can be seen"
            hint = "show {{ links.unsubscribe }}; a mail that is never marketing says `purpose: transactional`"
            self.folder.note("missing-unsubscribe", sentence, file.start, hint)
        return compiler.done(
            EmailForm(
                file.shown, html=html_part, text=text_part, purpose=head.value.purpose, reads=compiler.reads, **form
            )
        )

    def _one_mail(self, locale: str, paths: Mapping[str, Path]) -> Path | None:
        """The file that is the mail, beside its text part."""
        if "mjml" in paths and "html" in paths:
            sentence = f"the same mail is written twice, as MJML and as HTML, for {locale}"
            self.folder.note("two-formats", sentence, Position(self.folder.shown(paths["html"])), "delete one of them")
        main = paths.get("mjml") or paths.get("html")
        if main is None:
            at, hint = Position(self.folder.shown(paths["txt"])), f"write email.{locale}.mjml beside it"
            self.folder.note("text-without-mail", "there is a text part and no mail", at, hint)
        return main

    def _own_text(self, path: Path | None) -> list[Piece] | None:
        """The text part that an author wrote."""
        if path is None:
            return None
        file = self.folder.file(path)
        self.folder.head(TextHead, file)
        return list(kept_apart(self.folder.body(file).all))

    def _sms(self, locale: str, file: File) -> Form | None:
        compiler, head = self._compiler(locale, file), self.folder.head(SmsHead, file)
        params = {
            name: compiler.line(text, head.at(("params", name)), f"params.{name}")
            for name, text in head.value.params.items()
        }
        body = self.folder.body(file).all
        has_tags = any(piece.kind is not Kind.data for piece in body)
        words = "".join(piece.text for piece in body).strip()
        template = head.value.template
        if not words and not template:
            self.folder.note("empty-text", "this text says nothing", Position(file.shown), "write what it shall say")
        self._places(template, words, has_tags, file.start)
        self._costly(body)
        text = compiler.part(kept_apart(body) if has_tags or not template else (), "body", LARGEST_TEXT)
        wording, kind = self._approved("sms", head, "" if has_tags else words, file.start)
        return compiler.done(
            SmsForm(file.shown, text, template, params, None if has_tags else wording, kind, compiler.reads)
        )

    def _places(self, template: str | None, words: str, has_tags: bool, at: Position) -> None:
        """Places of an approved wording stand in one, and tags do not."""
        if template and has_tags and OF_SMS.search(words):
            hint = "write its places alone, and what goes into them under `params:`"
            self.folder.note("mixed-wording", "an approved wording and tags of ours stand in the same text", at, hint)
        elif not template and "${" in words and (found := OF_SMS.search(words)):
            sentence, hint = (
                f"`{found[0]}` is a place of a provider's template",
                "name the template, or write {{ ... }}",
            )
            self.folder.note("mixed-wording", sentence, at, hint)

    def _approved(self, channel: str, head: Head, own: str, at: Position) -> tuple[str | None, ProviderKind | None]:
        """The wording and the kind of a provider's template, from the text itself or from config.yaml."""
        known = (self.settings.sms if channel == "sms" else self.settings.wechat).templates
        found, problems = approved(channel, head, own, at, known)
        self.folder.problems += problems
        return found

    def _costly(self, body: Sequence[Piece]) -> None:
        """A sign for its looks alone that more than halves the room of every part."""
        own = [piece for piece in body if piece.kind is Kind.data]
        found = costly_sign("".join(piece.text for piece in own))
        if found is None:
            return
        offset, sign, plain = found
        for piece in own:
            if offset < len(piece.text):
                sentence = f"{sign} leaves room for 70 signs in each part of this SMS instead of 160"
                self.folder.note("costly-sign", sentence, piece.place(offset), plain, Severity.warning)
                return
            offset -= len(piece.text)

    def _push(self, locale: str, file: File) -> Form | None:
        compiler, head = self._compiler(locale, file), self.folder.head(PushHead, file)
        if not head.wrong and not head.value.title.strip():
            hint = "write `title:` between two lines of --- at the top"
            self.folder.note("missing-title", "what is shown in an app needs a title", head.at(()), hint)
        title = compiler.line(head.value.title, head.at(("title",)), "title", is_words=True)
        self._fixed_length("the title", title, LONGEST_TITLE)
        image = self._address(compiler, head.value.image, head.at(("image",)), "image")
        link = self._address(compiler, head.value.link, head.at(("link",)), "link")
        text = compiler.part(kept_apart(self.folder.body(file).all), "body", LARGEST_TEXT)
        return compiler.done(PushForm(file.shown, title, text, image, link, compiler.reads))

    def _wechat(self, locale: str, paths: Mapping[str, Path]) -> Form | None:
        if len(paths) > 1:
            sentence = f"the same message is written twice, as a template and as words, for {locale}"
            self.folder.note("two-formats", sentence, Position(self.folder.shown(paths["txt"])), "delete one of them")
            return None
        if "txt" in paths:
            return self._wechat_words(locale, self.folder.file(paths["txt"]))
        return self._wechat_template(locale, paths["yaml"])

    def _wechat_words(self, locale: str, file: File) -> Form | None:
        compiler, head = self._compiler(locale, file), self.folder.head(WeChatTextHead, file)
        if not file.body.strip():
            self.folder.note("empty-text", "this text says nothing", Position(file.shown), "write what it shall say")
        text = compiler.part(kept_apart(self.folder.body(file).all), "body", LARGEST_TEXT)
        page = self._address(compiler, head.value.page, head.at(("page",)), "page")
        return compiler.done(WeChatForm(file.shown, text=text, page=page, reads=compiler.reads))

    def _wechat_template(self, locale: str, path: Path) -> Form | None:
        shown = self.folder.shown(path)
        compiler = Compiler(self.shared, locale, shown)
        sourced = read(self.folder.text(path), shown)
        self.folder.problems += sourced.problems
        head, problems = validate(WeChatHead, sourced) if not sourced.problems else (None, [])
        self.folder.problems += problems
        if head is None:
            return None
        wording, kind = self._approved(
            "wechat",
            Head(head, sourced.at, at_key=partial(sourced.at, key=True)),
            head.wording,
            sourced.at(("wording",)),
        )
        if head.page and (scheme := bad_scheme(head.page)):
            self.folder.note("bad-link-scheme", f"a link begins with `{scheme}:`", sourced.at(("page",)), _SAFE)
        page = compiler.line(head.page, sourced.at(("page",)), "page") if head.page else None
        values = {}
        for name, text in head.values.items():
            values[name] = compiler.line(text, sourced.at(("values", name)), f"values.{name}")
            if not wording or name in names_in(wording, OF_WECHAT):
                self._check_field(name, values[name], sourced.at(("values", name), key=True))
        return compiler.done(
            WeChatForm(shown, head.template, kind or "notice", None, page, values, wording, compiler.reads)
        )

    def _check_field(self, name: str, part: Part, at: Position) -> None:
        if field_of(name) is None:
            hint = "fields are called thing1, amount2, phrase3, as in the template that WeChat approved"
            self.folder.note("bad-wechat-field", f"`{name}` is not a field of WeChat", at, hint)
        elif part.fixed is not None:
            text = part.fixed.strip()
            self.folder.problems += length(f"`{name}`", text, room_in(name, text), part)

    def _brief(self, locale: str, file: File) -> Form | None:
        compiler, head = self._compiler(locale, file), self.folder.head(TaskHead, file)
        title = compiler.line(head.value.title, head.at(("title",)), "title", is_words=True)
        text = compiler.part(kept_apart(self.folder.body(file).all), "body", LARGEST_TEXT)
        return compiler.done(BriefForm(file.shown, title, text, compiler.reads))

    # --- what they share

    def _compiler(self, locale: str, file: File, more: frozenset[str] = frozenset()) -> Compiler:
        return Compiler(self.shared, locale, file.shown, more)

    def _address(self, compiler: Compiler, text: str | None, at: Position, name: str) -> Part | None:
        """A link from the front matter; one without tags is checked now."""
        if text is not None and "{" not in text and (bad_scheme(text) or ":" not in text):
            self.folder.note("bad-link-scheme", f"`{name}` is not a safe link", at, _SAFE)
        return None if text is None else compiler.line(text, at, name)

    def _fixed_length(self, what: str, part: Part, most: int) -> None:
        if part.fixed is not None:
            self.folder.problems += length(what, part.fixed.strip(), most, part)
