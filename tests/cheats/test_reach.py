"""What a submission reaches for outside of its cell. The plain process is the positive control: there it succeeds.

A level's exceptions are named with their reason; what succeeds in no level proves nothing and is not listed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.judge.isolation import guarded
from tests.cells import OPEN, Cell


@dataclass(frozen=True)
class Reach:
    """Lines that succeed where nothing defends. Names in {} are filled in."""

    code: str
    open_in: tuple[str, ...] = ("process",)  # levels in which it succeeds; the control among them
    same_uid: bool = False  # it works between processes of one user: root's workers have another uid


REACHES = {
    "read a file outside": Reach("open({secret!r}).read()"),
    "read the test labels that come with harness": Reach(
        "import pathlib, sys\nimport harness.wire\nhome = pathlib.Path(harness.wire.__file__).parent\n"
        "found = list(home.rglob('annotations*.json')) + list(home.rglob('labels*'))\n"
        "assert found\nfound[0].read_bytes()"
    ),
    "read a file outside by a link in the scratch": Reach(
        "import os\nos.symlink({secret!r}, os.environ['TMPDIR'] + '/x')\nopen(os.environ['TMPDIR'] + '/x').read()"
    ),
    "list the data folder": Reach("import os\nassert os.listdir({folder!r})"),
    "walk up from its own folder": Reach("open('../' * 40 + {secret!r}).read()"),
    "write a file outside": Reach("open({folder!r} + '/written', 'w').write('x')"),
    "forge a record": Reach("open({folder!r} + '/record.json', 'w').write('{{}}')"),
    "read the password file": Reach("open('/etc/passwd').read()"),
    "see the judge's command line": Reach("assert open('/proc/{judge}/cmdline', 'rb').read()"),
    "count the machine's processes": Reach(
        "import os\nassert sum(os.path.exists(f'/proc/{{name}}/cmdline') and b'pytest' in "
        "open(f'/proc/{{name}}/cmdline', 'rb').read() for name in os.listdir('/proc') if name.isdigit())",
    ),
    "signal the judge": Reach("import os\nos.kill({judge}, 0)", same_uid=True),
    "an internet socket": Reach("import socket\nsocket.socket(socket.AF_INET, socket.SOCK_STREAM)"),
    "a datagram socket": Reach("import socket\nsocket.socket(socket.AF_INET6, socket.SOCK_DGRAM)"),
    "a netlink socket": Reach("import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    "reach a local server": Reach(
        "import socket\nwith socket.socket() as there:\n    there.settimeout(2)\n"
        "    there.connect(('127.0.0.1', {port}))"
    ),
    "reach a daemon's abstract socket": Reach(
        "import socket\nwith socket.socket(socket.AF_UNIX) as there:\n    there.connect('\\0{abstract}')"
    ),
    "reach a daemon's socket file": Reach(
        "import socket\nwith socket.socket(socket.AF_UNIX) as there:\n    there.connect({socket!r})",
        open_in=("process", "landlock"),  # landlock has no right for connecting to a socket file before ABI 9
    ),
}


@pytest.fixture
def around(tmp_path: Path) -> Iterator[dict[str, object]]:
    """A world that is open to every user of the machine: what stops the worker is its cell alone."""
    import socket

    folder = tmp_path / "world"
    folder.mkdir()
    for parent in (folder, *tmp_path.parents[:3]):
        if parent != Path("/tmp") and parent.stat().st_uid == os.getuid():
            parent.chmod(0o755)
    tmp_path.chmod(0o755)
    folder.chmod(0o777)
    secret = folder / "labels.json"
    secret.write_text("[0, 1]")
    abstract, file = f"harness-test-{os.getpid()}", str(folder / "s")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as first,
        socket.socket(socket.AF_UNIX) as second,
    ):
        first.bind(f"\0{abstract}")
        second.bind(file)
        os.chmod(file, 0o777)
        first.listen()
        second.listen()
        yield {
            "secret": str(secret),
            "folder": str(folder),
            "judge": os.getpid(),
            "port": server.getsockname()[1],
            "abstract": abstract,
            "socket": file,
        }


@pytest.mark.parametrize("name", REACHES)
def test_a_cell_holds_and_a_plain_process_does_not(
    name: str, cell: Cell, around: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = REACHES[name]
    if reach.same_uid and cell.sandbox.level == "process":
        monkeypatch.setattr(guarded, "_reachable", lambda package: False)  # the one defence that a process has
    said = cell.tried(reach.code.format(**around))
    assert (OPEN in said) == (cell.sandbox.level in reach.open_in), said
