"""Files of published profiles: leaderboard/profiles/<package digest>.json, one each. Reads and writes them."""

from pathlib import Path

import msgspec

from harness.atomic import machine, read_bytes, replace
from harness.errors import DataError
from harness.profile import Published, decode

_LIMIT = 1 << 20  # bytes; one has 600


def read_all(folder: Path) -> tuple[dict[str, Published], tuple[str, ...]]:
    """Profiles by their package's digest, and a line on each file that is none; of no folder there are none.

    Raises MachineError where the folder cannot be listed.
    """
    found: dict[str, Published] = {}
    problems = []
    with machine(folder, "read"):
        paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    for path in paths:
        try:
            profile = decode(read_bytes(path, _LIMIT), str(path))
            if profile.digest != path.stem:
                raise DataError(f"{path}: expected the profile of {path.stem[:12]}, got that of {profile.digest[:12]}")
            found[profile.digest] = profile
        except DataError as error:
            problems.append(error.message)
    return found, tuple(problems)


def write(folder: Path, profile: Published) -> Path:
    """Writes a profile, whole or not at all, over a former one of the same package; its path. Raises MachineError."""
    path = folder / f"{profile.digest}.json"
    with machine(folder):
        folder.mkdir(parents=True, exist_ok=True)
        replace(path, msgspec.json.format(msgspec.json.encode(profile), indent=1) + b"\n")
    return path
