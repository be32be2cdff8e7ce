"""The gallery of a preview: one page with every step of every person, the messages as they look, and all their locales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from engine.app import App
from engine.cli.words import _
from engine.journey.graph import Graph
from engine.simulate.preview import Shown, Stop, Walk, in_every_locale

_STYLE = """
body{margin:0;background:#f4f2ee;color:#24221f;font:15px/1.5 system-ui,-apple-system,'Noto Sans CJK SC',sans-serif}
main{max-width:1080px;margin:0 auto;padding:2rem 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2.5rem 0 .5rem}
.stop{background:#fff;border-radius:10px;padding:.8rem 1rem;margin:.5rem 0;border-left:4px solid #c9c3b8}
.mine{border-left-color:#2f7d5b}.by{color:#8a8378;font-size:.85rem}.place{color:#8a8378;font-size:.8rem;float:right}
.why{color:#555;font-size:.9rem}.sms,.push,.wechat{max-width:360px;background:#eef3ef;border-radius:12px;padding:.7rem 1rem;margin:.6rem 0;white-space:pre-wrap}
.push b{display:block}iframe{width:100%;height:560px;border:1px solid #ddd;border-radius:8px;background:#fff;margin:.6rem 0}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:1rem}.grid iframe{height:420px}
@media(prefers-color-scheme:dark){body{background:#1c1b19;color:#eee}.stop{background:#272522}.why{color:#bbb}.sms,.push,.wechat{background:#2c332e}}
"""


def write_gallery(folder: Path, app: App, graph: Graph, walks: Sequence[Walk], at: datetime) -> Path:
    """Write index.html and one page per mail into a folder; the index."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [f"<h1>{escape(graph.head.title or graph.journey)}</h1>"]
    parts.append(f"<p class=why>{escape(graph.file)} · {at:%Y-%m-%d %H:%M} UTC · {_('links do nothing here')}</p>")
    number = 0
    for walk in walks:
        parts.append(f"<h2>{escape(walk.person)} · {escape(walk.locale)} · {escape(walk.zone)}</h2>")
        held = f" <b>{_('in the holdout: gets nothing')}</b>" if walk.holdout else ""
        parts.append(f"<p class=why>{escape(walk.entry)}{held}</p>")
        for stop in walk.stops:
            number += 1
            parts.append(_stop(folder, stop, number))
    if walks:
        parts.append(f"<h2>{_('Every text in every language')}</h2><div class=grid>")
        for shown in in_every_locale(app, graph, walks[0].person, at):
            number += 1
            parts.append(
                f"<div><b>{escape(shown.message)}</b> {shown.channel} {shown.locale}{_shown(folder, shown, number)}</div>"
            )
        parts.append("</div>")
    index = folder / "index.html"
    index.write_text(
        f"<!doctype html><html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(graph.journey)}</title><style>{_STYLE}</style><main>{''.join(parts)}</main></html>",
        encoding="utf-8",
    )
    return index


def _stop(folder: Path, stop: Stop, number: int) -> str:
    mine = " mine" if stop.on_their_way else ""
    by = f"<div class=by>{escape(stop.by)}</div>" if stop.by else ""
    shown = _shown(folder, stop.shown, number) if stop.shown else ""
    return (
        f"<div class='stop{mine}' style='margin-left:{stop.depth * 1.6}rem'><span class=place>{escape(stop.place)}</span>{by}"
        f"<b>{escape(stop.step)}</b> · {escape(stop.local)}<div class=why>{escape(stop.sentence)}</div>{shown}</div>"
    )


def _shown(folder: Path, shown: Shown, number: int) -> str:
    content: Mapping[str, Any] = shown.content
    match shown.channel:
        case "email":
            name = f"{number:04d}-{shown.message}.{shown.locale}.html"
            (folder / name).write_text(str(content["html"]), encoding="utf-8")
            subject = escape(str(content["subject"]))
            return f"<div>{subject}</div><iframe sandbox loading=lazy src='{escape(name)}' title='{subject}'></iframe>"
        case "sms":
            return f"<div class=sms>{escape(str(content['text']))}</div>"
        case "push":
            return f"<div class=push><b>{escape(str(content['title']))}</b>{escape(str(content['text']))}</div>"
    values = "\n".join(f"{name}: {value}" for name, value in content.get("values", ()))
    return f"<div class=wechat>{escape(values)}</div>"
