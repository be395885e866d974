"""What a package says of itself: submission.toml, strictly read. Pure: bytes in, values out."""

from collections.abc import Iterable
from importlib import metadata

import msgspec
from packaging.requirements import Requirement

from harness.errors import MachineError, SubmissionError, misread
from harness.formats import CHOICES, FORMATS, FormatName, Input, Model, problem
from harness.wire import MOST_CROPS

MANIFEST = "submission.toml"
PREDICT = "predict.py"
TEXT_LIMIT = 200  # characters of a name, of authors, of a description


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of submission.toml."""

    name: str
    authors: str = ""
    description: str = ""
    requires: tuple[str, ...] = ()  # PEP 508, checked before anything runs; nothing is ever installed
    classes: tuple[str, ...] | None = None  # the ordered class names of a package with one fixed model
    batch: int = 1  # crops a request in the batch scenario
    recipe: str | None = None  # the file with the settings of `harness train`
    model: Model | None = None  # a package without Python
    input: Input | None = None  # of that model; beside a predict.py what `harness export` is to know


def parse(text: bytes, source: str) -> Manifest:
    """The manifest in the bytes of the file `source`. Raises SubmissionError (kind "manifest") naming the wrong key.

    >>> parse(b'name = "mine"', "submission.toml").batch
    1
    """
    try:
        manifest = msgspec.toml.decode(text, type=Manifest)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # also of Python's own TOML reader
        raise _malformed(source, _with_choices(misread(error, "the keys of a package"))) from error
    if not manifest.name.strip() or not manifest.name.isprintable():
        raise _malformed(source, f"name: expected printable characters, got {manifest.name!r}")
    for key in ("name", "authors", "description"):
        if len(getattr(manifest, key)) > TEXT_LIMIT:
            raise _malformed(
                source, f"{key}: expected at most {TEXT_LIMIT} characters, got {len(getattr(manifest, key))}"
            )
    if not 1 <= manifest.batch <= MOST_CROPS:
        raise _malformed(source, f"batch: expected 1 to {MOST_CROPS}, got {manifest.batch}")
    if manifest.model is not None and (wrong := problem(manifest.model, manifest.input)) is not None:
        raise _malformed(source, wrong)
    for requirement in manifest.requires:
        _check_requirement(requirement, source)
    return manifest


def _with_choices(said: str) -> str:
    """A complaint about a key that has few values, with those.

    >>> _with_choices("input.type: Invalid enum value 'int8'")
    "input.type: expected float32 or uint8, got 'int8'"
    """
    key, _, value = said.partition(": Invalid enum value ")
    if key not in CHOICES or not value:
        return said
    *most, last = CHOICES[key]
    return f"{key}: expected {', '.join(most)} or {last}, got {value}"


def _check_requirement(requirement: str, source: str) -> None:
    if len(requirement) > TEXT_LIMIT:
        raise _malformed(source, f"requires: expected at most {TEXT_LIMIT} characters, got {len(requirement)}")
    try:
        marker = Requirement(requirement).marker
        if marker is not None:
            marker.evaluate()
    except (ValueError, KeyError, RecursionError) as error:  # of an unknown name or comparison, too
        raise _malformed(source, f"requires: expected one like torch>=2.9, got {requirement!r}") from error


def check_requirements(manifest: Manifest) -> None:
    """Raises SubmissionError (kind "requires") naming every requirement that this environment does not meet."""
    unmet = unmet_of(manifest.requires)
    if unmet:
        raise SubmissionError(f"{manifest.name}: expected {', '.join(unmet)}; {_install(unmet)}", kind="requires")
    if manifest.model is not None and (missing := missing_for(manifest.model.format)):
        raise SubmissionError(f"{manifest.name}: format {manifest.model.format}: {missing}", kind="requires")


def check_writer(name: FormatName, what: str, quantising: bool = False) -> None:
    """Raises MachineError, beginning with `what`, where files of the format cannot be written or run here."""
    if missing := missing_for(name, writing=True, quantising=quantising):
        raise MachineError(f"{what}: {missing}", kind="requires")


def check_installed(requires: Iterable[str], what: str) -> None:
    """Raises MachineError, beginning with `what`, where a requirement is not met."""
    if unmet := unmet_of(requires):
        raise MachineError(f"{what}: expected {', '.join(unmet)}; {_install(unmet)}", kind="requires")


def missing_for(name: FormatName, writing: bool = False, quantising: bool = False) -> str | None:
    """What is not installed for a format's runtime, to write it and for its int8, with the command; None: nothing.

    >>> missing_for("torchscript", writing=True) is None
    True
    """
    form = FORMATS[name]
    requires = () if any(unmet_of([other]) == [] for other in form.instead) else form.requires
    unmet = unmet_of((*requires, *form.written_by * writing, *form.quantised_by * quantising))
    return f"expected {', '.join(unmet)}; {_install(unmet)}" if unmet else None


def unmet_of(requires: Iterable[str]) -> list[str]:
    """Each requirement that this environment does not meet, with what is there instead.

    >>> unmet_of(["numpy>=1"]), unmet_of(["no-such-thing>=2"])
    ([], ['no-such-thing>=2 (not installed)'])
    """
    unmet = []
    for text in requires:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            installed = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            unmet.append(f"{text} (not installed)")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            unmet.append(f"{text} (installed: {installed})")
    return unmet


def _install(unmet: Iterable[str]) -> str:
    return "pip install " + " ".join(f"'{text.split(' (')[0]}'" for text in unmet)


def check_classes(name: str, theirs: tuple[str, ...], data: str, ours: tuple[str, ...]) -> None:
    """Raises SubmissionError (kind "classes") with both lists unless the ordered names are equal."""
    if theirs == ours:
        return
    hint = "the same names in another order" if sorted(theirs) == sorted(ours) else "other names"
    raise SubmissionError(
        f"{name}: expected the classes of {data}: {', '.join(ours)}; got {', '.join(theirs)} ({hint})",
        kind="classes",
    )


def _malformed(source: str, message: str) -> SubmissionError:
    return SubmissionError(f"{source}: {message}", kind="manifest")
