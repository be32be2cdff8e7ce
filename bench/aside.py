"""A server for the time of a block, in a process of its own: how one is started, and what it does in there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def started(module: str, *options: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The port on which this module of ours listens, and its process."""
    root = Path(__file__).resolve().parents[1]
    process = subprocess.Popen([sys.executable, "-m", module, *options], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), process
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def serve(protocol: Callable[[], asyncio.Protocol], port: int) -> None:
    """Listen, and say where."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
