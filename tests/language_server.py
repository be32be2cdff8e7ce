"""yaml-language-server as an editor speaks to it: one process, JSON-RPC over its standard streams (LSP 3.17)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

BROUGHT = Path(__file__).parents[1] / ".venv" / "editor"  # by npm
SERVER = BROUGHT / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
SETTINGS = {"yaml": {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}}


class LanguageServer:
    """What an editor asks of it. Lines and columns count from 0, as in the protocol."""

    def __init__(self, process: subprocess.Popen[bytes], root: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in: IO[bytes] = process.stdin
        self._out: IO[bytes] = process.stdout
        self._number = 0
        self._opened: dict[str, int] = {}
        self._ask("initialize", {"processId": None, "rootUri": root.as_uri(), "capabilities": _ABILITIES})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": SETTINGS})

    def findings(self, path: Path, text: str | None = None) -> list[dict[str, Any]]:
        """What it marks in a file; `text` is what the editor shows and has not saved yet."""
        self._open(path, path.read_text(encoding="utf-8") if text is None else text)
        version = self._opened[path.as_uri()]
        while True:
            told = self._next()
            params = told.get("params", {})
            about = (params.get("uri"), params.get("version", version))
            if told.get("method") == "textDocument/publishDiagnostics" and about == (path.as_uri(), version):
                return list(params["diagnostics"])

    def completions(self, path: Path, text: str, line: int, column: int) -> list[str]:
        """What it offers at a place."""
        self._open(path, text)
        told = self._ask("textDocument/completion", _at(path, line, column))
        items = told["items"] if isinstance(told, dict) else told or []
        return [one["label"] for one in items]

    def help(self, path: Path, line: int, column: int) -> str:
        """What it says about the word at a place."""
        told = self._ask("textDocument/hover", _at(path, line, column))
        return str(told["contents"]["value"]) if told else ""

    def _open(self, path: Path, text: str) -> None:
        uri = path.as_uri()
        version = self._opened[uri] = self._opened.get(uri, 0) + 1
        if version == 1:
            document = {"uri": uri, "languageId": "yaml", "version": version, "text": text}
            self._tell("textDocument/didOpen", {"textDocument": document})
        else:
            changed = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text}]}
            self._tell("textDocument/didChange", changed)

    def _tell(self, method: str, params: Mapping[str, Any]) -> None:
        self._write({"method": method, "params": params})

    def _ask(self, method: str, params: Mapping[str, Any]) -> Any:
        self._number += 1
        self._write({"id": self._number, "method": method, "params": params})
        while True:
            told = self._next()
            if told.get("id") == self._number and "method" not in told:
                assert "error" not in told, told["error"]
                return told["result"]

    def _next(self) -> dict[str, Any]:
        """The next thing it says; its questions about settings are answered on the way."""
        length = 0
        while line := self._out.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the server has ended"
        told: dict[str, Any] = json.loads(self._out.read(length))
        if "method" in told and "id" in told:
            asked = told.get("params", {}).get("items", []) if told["method"] == "workspace/configuration" else None
            answer = None if asked is None else [SETTINGS.get(one.get("section", "")) for one in asked]
            self._write({"id": told["id"], "result": answer})
        return told

    def _write(self, said: Mapping[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **said}).encode()
        self._in.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._in.flush()


_ABILITIES = {
    "workspace": {"configuration": True},
    "textDocument": {"publishDiagnostics": {"versionSupport": True}, "hover": {"contentFormat": ["markdown"]}},
}


def _at(path: Path, line: int, column: int) -> dict[str, Any]:
    return {"textDocument": {"uri": path.as_uri()}, "position": {"line": line, "character": column}}


@contextmanager
def language_server(root: Path) -> Iterator[LanguageServer]:
    """A server for the time of a test."""
    command = ["node", str(SERVER), "--stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield LanguageServer(process, root)
        finally:
            process.kill()
