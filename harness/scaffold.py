"""Makes a new submission from the template."""

import re
import shutil
from pathlib import Path

from harness.errors import MachineError, UsageError
from harness.submission import MANIFEST, parse

TEMPLATE = "template"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME_LINE = re.compile(r'^name\s*=\s*".*"$', re.MULTILINE)


def new_submission(root: Path, name: str) -> Path:
    """Copies submissions/template to submissions/<name>, under its own name and without weights; its folder.

    Raises UsageError on a name that no folder should have or that is taken, MachineError where it cannot write.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"expected a name of letters, digits, '.', '_' and '-', got {name!r}")
    folder = root / "submissions" / name
    if folder.exists():
        raise UsageError(f"submissions/{name}: expected a new name, it is there already")
    try:
        shutil.copytree(
            root / "submissions" / TEMPLATE,
            folder,
            ignore=shutil.ignore_patterns("weights", "__pycache__", ".*"),
        )
        manifest = folder / MANIFEST
        text = _NAME_LINE.sub(f'name = "{name}"', manifest.read_text(), count=1)
        parse(text.encode(), str(manifest))
        manifest.write_text(text)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise MachineError(f"submissions/{name}: cannot write it: {error.strerror}", kind="disk") from error
    return folder
