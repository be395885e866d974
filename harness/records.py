"""Record files and the leaderboard's generated files: the only module that reads or writes them.

A record is two files of one stem: NAME.json and NAME.raw.json.gz. They are only ever added: written to a temporary
file in the same folder, synced, then linked to a name that must not exist yet; the raw file first, so that a
record which can be seen is whole.
"""

import gzip
import hashlib
import io
import re
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import get_args

import msgspec

from harness.atomic import add, alone, machine, read_bytes, replace, sync, temporary
from harness.decisions import NOTHING, Decision, Standing, parse
from harness.errors import DataError
from harness.raw import Raw
from harness.record import Record, decode, encode, seal
from harness.report.board import Board
from harness.report.clean import slug
from harness.report.files import FORMS, MARKER, PICTURES, RESERVED, board_files
from harness.rules import Level, Rules

RAW = ".raw.json.gz"
DECISIONS = "decisions.json"
PRIVATE = "private"  # folder of the leaderboard; see .gitignore
NO_PAGES: Mapping[str, bytes] = MappingProxyType({})
_STRENGTH: tuple[Level, ...] = get_args(Level)  # the strongest first
_UTC = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|\+00:00)")
_RECORD_LIMIT = 16 << 20  # bytes; a record of 1,000 classes has 8 MB, most of it the confusion matrix
_RAW_LIMIT = 1 << 30  # bytes unpacked; 5,217 crops in 40 whole passes have 10 MB
_PROBE = bytes(1 << 20)  # what a folder must take before a long run; a raw file seldom has more


def check_writable(folder: Path) -> None:
    """Makes the folder and tries to write into it, before a long run. Raises MachineError."""
    with machine(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with temporary(folder, _PROBE, 0o600):
            pass


def write(folder: Path, record: Record, raw: Raw | None) -> Path:
    """Seals the record and writes it and its raw file; the record's path. Nothing is left where that fails.

    Raises MachineError (disk, rights), and DataError for a record that would not read back (a NaN in it).
    """
    packed = None if raw is None else gzip.compress(msgspec.json.encode(raw), mtime=0)
    digest = None if packed is None else hashlib.sha256(packed).hexdigest()
    record = seal(msgspec.structs.replace(record, raw_sha256=digest))
    path = folder / f"{_stem(record)}-{record.digest[:8]}.json"
    body = encode(record)
    decode(body, str(path))
    with machine(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _add_both(path, body, packed)
    return path


def with_log(folder: Path, record: Record, log: str) -> Record:
    """Writes a submission's output beside the records; the record, whose failure, if there is one, names that file.

    Its name says nothing of its content: an official run's author may see the one and not the other.
    """
    body = log.encode(errors="replace")
    path = folder / f"{_stem(record)}-{secrets.token_hex(4)}.log"
    with machine(folder):
        folder.mkdir(parents=True, exist_ok=True)
        add(path, body, 0o600)
    if record.official or record.failure is None:
        return record
    return msgspec.structs.replace(record, failure=msgspec.structs.replace(record.failure, log=path.name))


def read(path: Path) -> Record:
    """The record in a file. Raises DataError where it is none, is torn, or was changed."""
    return decode(read_bytes(path, _RECORD_LIMIT), str(path))


def read_raw(path: Path, record: Record) -> Raw:
    """The raw file of the record at `path`. Raises DataError where there is none or it is not the one of the run."""
    if record.raw_sha256 is None:
        raise DataError(f"{path}: expected a record with a raw file, got one without")
    beside = raw_path(path)
    if not beside.exists() and _organisers(path).exists():
        beside = _organisers(path)
    packed = read_bytes(beside, _RAW_LIMIT)
    if hashlib.sha256(packed).hexdigest() != record.raw_sha256:
        raise DataError(f"{beside}: expected the sha256 that its record names; it was changed after the run")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            text = file.read(_RAW_LIMIT + 1)
        if len(text) > _RAW_LIMIT:
            raise DataError(f"{beside}: expected at most {_RAW_LIMIT >> 20} MiB unpacked")
        return msgspec.json.decode(text, type=Raw)
    except (OSError, EOFError, zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{beside}: expected a raw file, got {error}") from error


def raw_path(path: Path) -> Path:
    """Where the raw file of the record at `path` is."""
    return path.with_name(path.name.removesuffix(".json") + RAW)


def _organisers(path: Path) -> Path:
    """Where the raw file of a published official record is: out of what is committed."""
    return path.parent.parent / PRIVATE / raw_path(path).name


def read_all(folder: Path) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """The records of a folder, and a line on each file that is none; see `read_paths`."""
    found, problems = read_paths(folder)
    return tuple(found.values()), problems


def read_paths(folder: Path) -> tuple[dict[Path, Record], tuple[str, ...]]:
    """Every record of a folder by its path, in the order of their names, and a line on each file that is none.

    A folder that is not there has no records. Raises MachineError where it cannot be listed.
    """
    records: dict[Path, Record] = {}
    problems = []
    with machine(folder, "read"):
        paths = sorted(p for p in folder.iterdir() if p.suffix == ".json") if folder.exists() else []
    for path in paths:
        try:
            records[path] = read(path)
        except DataError as error:
            problems.append(error.message)
    return records, tuple(problems)


def publish(path: Path, records_folder: Path, rules: Rules, decided: Standing = NOTHING) -> Path:
    """Moves a record and its raw file to the published ones; its new path. Cut off half-way, it can be repeated.

    An official run's raw file has both halves' labels and answers: it goes to a folder that is the organiser's.

    Raises DataError for a record that failed, ran under less isolation than the rules demand, is flagged
    dirty, is not whole, or that organisers do not rank, and MachineError.
    """
    record = read(path)
    official = record.half != "all"
    if (why := decided.why_not(record.submission.digest, record.data.digest, record.created_utc)) is not None:
        raise DataError(f"{path}: expected an entry that is ranked, got one that is not: {why}")
    _check_publishable(path, record, rules)
    read_raw(path, record)  # whole and the one of the run
    target = records_folder / path.name
    with machine(records_folder):
        records_folder.mkdir(parents=True, exist_ok=True)
        if target.resolve() != path.resolve():
            _add_both(target, path.read_bytes(), raw_path(path).read_bytes(), _organisers(target) if official else None)
            path.unlink()
            raw_path(path).unlink()
            sync(path.parent)
    return target


def read_decisions(folder: Path) -> tuple[Decision, ...]:
    """The organisers' decisions of a leaderboard's folder, oldest first. Raises DataError."""
    path = folder / DECISIONS
    return parse(read_bytes(path, _RECORD_LIMIT), str(path)) if path.exists() else ()


def decide(folder: Path, decision: Decision) -> Path:
    """Adds a decision to those of a leaderboard's folder; its file. Raises DataError, MachineError."""
    path = folder / DECISIONS
    with machine(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):  # two organisers at once: neither's decision is lost
            all_of_them = (*read_decisions(folder), decision)
            replace(path, msgspec.json.format(msgspec.json.encode(all_of_them), indent=1) + b"\n")
    return path


def write_boards(folder: Path, boards: Sequence[Board], pages: Mapping[str, bytes] = NO_PAGES) -> list[Path]:
    """Writes the generated files and removes those of boards that are gone; the paths that were written.

    `pages`: pictures and the page, by their paths; without them those that lie there are left as they are.
    Raises DataError rather than overwrite a file of another's without the generated marker, and MachineError.
    """
    files = _files(folder, boards, pages)
    with machine(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            if path.suffix in (".md", ".html") and path.exists() and not _generated(path):
                raise DataError(f"{path}: expected a generated file, got one without its marker; move it away")
        changed = [path for path, body in files.items() if not (path.is_file() and path.read_bytes() == body)]
        for path in changed:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, files[path])
        for stale in _generated_boards(folder):
            if stale not in files:
                for form in (*FORMS, *PICTURES):
                    stale.with_suffix(f".{form}").unlink(missing_ok=True)
    return changed


def write_page(path: Path, text: str) -> None:
    """Writes a report, whole or not at all, over a former one. Raises MachineError."""
    with machine(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path.resolve(), text.encode())


def differing(
    folder: Path, boards: Sequence[Board], pages: Mapping[str, bytes], same: Callable[[str, bytes, bytes], bool]
) -> list[Path]:
    """The generated files that are missing, that `write_boards` would remove, or that are not the `same` as theirs.

    `same` gets a file's name, what it should be and what it is. Raises MachineError.
    """
    files = _files(folder, boards, pages)
    with machine(folder, "read"):
        found = [
            path for path, body in files.items() if not (path.is_file() and same(path.name, body, path.read_bytes()))
        ]
        return [*found, *(path for path in _generated_boards(folder) if path not in files)]


def _files(folder: Path, boards: Sequence[Board], pages: Mapping[str, bytes]) -> dict[Path, bytes]:
    texts = {folder / name: text.encode() for name, text in board_files(boards).items()}
    return texts | {folder / name: body for name, body in pages.items()}


def _generated_boards(folder: Path) -> list[Path]:
    boards = sorted(path for path in folder.glob("*/*.md") if path.parent.name not in RESERVED)
    return [path for path in boards if _generated(path)]


def _generated(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline().strip() == MARKER.encode()


def _check_publishable(path: Path, record: Record, rules: Rules) -> None:
    if record.status != "ok" or record.result is None:
        raise DataError(f"{path}: expected a record with a result to publish, got a run that {record.status}")
    level = None if record.isolation is None else record.isolation.level
    if level is None or _STRENGTH.index(level) > _STRENGTH.index(rules.isolation):
        raise DataError(
            f"{path}: expected isolation {rules.isolation} to publish, got {level or 'none'}; "
            f"evaluate with --isolation {rules.isolation}"
        )
    if any(flag.startswith("dirty") for flag in record.result.flags):
        raise DataError(f"{path}: expected a run of committed code to publish, got a dirty one; commit and run again")


def _stem(record: Record) -> str:
    found = _UTC.fullmatch(record.created_utc)
    if not found:
        raise DataError(f"created_utc: expected a time like 2026-11-24T08:45:32Z, got {record.created_utc!r}")
    year, month, day, hour, minute, second = found.groups()[:6]
    return f"{year}{month}{day}T{hour}{minute}{second}Z-{slug(record.submission.name)}"


def _add_both(path: Path, body: bytes, packed: bytes | None, raw: Path | None = None) -> None:
    """Adds the raw file (beside it unless named), then the record; takes it back where the record cannot be added."""
    raw = raw or raw_path(path)
    raw.parent.mkdir(parents=True, exist_ok=True)
    added = packed is not None and add(raw, packed, 0o600)
    try:
        add(path, body, 0o644)
    except BaseException:
        if added:
            raw.unlink()
        raise
