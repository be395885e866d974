"""harness leaderboard --watch: the page of all records here, served on this machine alone."""

import http.server
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.cli.project import BOARDS, LOCAL, PROFILES, PUBLISHED, note, profiled

if TYPE_CHECKING:
    from harness.rules import Rules

_HOST = "127.0.0.1"
_EVERY_S = 1.0  # between two looks at the folders


class Served(NamedTuple):
    """The page, and a text that is another for another page."""

    page: bytes
    stamp: str


def serve(root: Path, rules: "Rules", port: int) -> int:
    """Serves until it is stopped."""
    stamp, seen = 0, _seen(root)
    served = [Served(_page(root, rules), str(stamp))]
    server = server_of(lambda: served[0], port)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://{_HOST}:{server.server_port}/", flush=True)
        note("Ctrl-C stops it; a new record appears by itself")
        try:
            while not threading.Event().wait(_EVERY_S):
                if (now := _seen(root)) != seen:
                    stamp, seen = stamp + 1, now
                    served[0] = Served(_page(root, rules), str(stamp))
        finally:
            server.shutdown()
    return 0


def server_of(served: Callable[[], Served], port: int) -> http.server.ThreadingHTTPServer:
    """A server of two paths on loopback. Raises UsageError where the port is taken."""
    from harness.errors import UsageError

    class Handler(http.server.BaseHTTPRequestHandler):
        server: http.server.ThreadingHTTPServer

        def do_GET(self) -> None:
            """The page, or its stamp; nothing for a name that is not this machine's (DNS rebinding)."""
            own = {f"{name}:{self.server.server_port}" for name in (_HOST, "localhost")}
            now = served()
            found = {"/": (now.page, "text/html; charset=utf-8"), "/stamp": (now.stamp.encode(), "text/plain")}
            if self.headers.get("Host") not in own or self.path not in found:
                self.send_error(404)
                return
            body, kind = found[self.path]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing: a page asks once a second."""

    try:
        return http.server.ThreadingHTTPServer((_HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise UsageError(f"--port: expected a free one, got {port}: {error}") from error


def _seen(root: Path) -> tuple[tuple[str, int], ...]:
    """What the page is made of: names and times of change. Records are added whole, under a name that is new."""
    folders = [root / folder for folder in (PUBLISHED, LOCAL, BOARDS, PROFILES)]
    paths = sorted(path for folder in folders if folder.is_dir() for path in folder.glob("*.json"))
    return tuple((str(path), path.stat().st_mtime_ns) for path in paths if path.exists())


def _page(root: Path, rules: "Rules") -> bytes:
    from harness import records
    from harness.cli.pages import traces
    from harness.decisions import standing
    from harness.report import rank
    from harness.report.page.html import library, page
    from harness.report.page.view import view

    published, _ = records.read_paths(root / PUBLISHED)
    local, _ = records.read_paths(root / LOCAL)
    read = published | local
    decided = standing(records.read_decisions(root / BOARDS))
    boards = profiled(root, rank.boards(read.values(), rules, {record.digest for record in local.values()}, decided))
    shown = view(boards, read.values(), rules, traces(read, boards, rules))
    return page(shown, library(), watched=True).encode()
