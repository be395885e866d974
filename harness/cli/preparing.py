"""harness prepare folder | taco | synthetic."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.project import counting, new_data_folder

if TYPE_CHECKING:
    from harness.data.store import Manifest

app = typer.Typer(no_args_is_help=True, help="Make a data set in data/ from photos.")
_Exact = Annotated[
    bool,
    typer.Option(
        "--exact-duplicates",
        help="Keep only photos of the same bytes in one split, not those that look alike: for a fixed camera.",
    ),
]
_SHOWN = 5  # photos named for each reason in the summary; the manifest has all


@app.command("folder")
def folder(
    source: Annotated[Path, typer.Argument(help="A folder with one folder of photos a class.")],
    name: Annotated[str, typer.Option(help="The data set's name; its folder in data/.")],
    seed: Annotated[int, typer.Option(help="Of the split.", min=0)] = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave corrupt photos out.")] = False,
    exact_duplicates: _Exact = False,
) -> None:
    """Photos in one folder a class, near-duplicates kept in one split."""
    from harness.data.folder import prepare_folder
    from harness.data.preparation import PrepareSettings
    from harness.paths import project_root

    target = new_data_folder(project_root(), name)
    settings = PrepareSettings(seed=seed, skip_bad=skip_bad, exact_duplicates=exact_duplicates)
    with counting("photos") as progress:
        manifest = prepare_folder(source, target, name, settings, progress)
    print(summary(manifest))


@app.command("taco")
def taco(
    annotations: Annotated[Path, typer.Option(help="The COCO file: images, annotations, categories.")],
    images: Annotated[Path, typer.Option(help="The folder that its file names are below.")],
    classes: Annotated[
        Path | None,
        typer.Option(help="A TOML file whose table classes has lines like Metal = ['Drink can']; TACO's by default."),
    ] = None,
    name: Annotated[str, typer.Option(help="The data set's name; its folder in data/.")] = "taco",
    seed: Annotated[int, typer.Option(help="Of the split.", min=0)] = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave corrupt and missing photos out.")] = False,
    exact_duplicates: _Exact = False,
) -> None:
    """Boxes cut from photos: TACO, or any COCO detection file; the crops of a photo kept in one split.

    Where images have the key split (train, val, test-public, test-private) that is kept. Of two boxes that overlap
    (IoU .4) the larger is left out; so are boxes longer than 1:6 or under 8 pixels. Longer side at most 512.
    """
    from harness.data.annotations import TACO_CLASSES, read_classes
    from harness.data.coco import prepare_coco
    from harness.data.preparation import PrepareSettings
    from harness.paths import project_root

    target = new_data_folder(project_root(), name)
    mapping = read_classes(classes or TACO_CLASSES)
    settings = PrepareSettings(seed=seed, skip_bad=skip_bad, exact_duplicates=exact_duplicates)
    with counting("photos") as progress:
        manifest = prepare_coco(annotations, images, target, name, mapping, settings, progress)
    print(summary(manifest))


@app.command("synthetic")
def synthetic(
    name: Annotated[str | None, typer.Option(help="The data set's name. Default: embedded.")] = None,
    judged_only: Annotated[bool, typer.Option("--judged-only", help="Leave the training scenes out: quick.")] = False,
    scenes: Annotated[int | None, typer.Option(help="Render a set of so many other scenes instead.", min=30)] = None,
    seed: Annotated[int, typer.Option(help="Of those scenes and of their split.", min=0)] = 0,
    difficulty: Annotated[float | None, typer.Option(help="Of those scenes.", min=0, max=1)] = None,
) -> None:
    """The embedded data set of rendered scenes: no photo is needed, and its scores say nothing about real trash."""
    from harness.data import synthetic as rendered
    from harness.data.scenes import DEFAULT
    from harness.errors import UsageError
    from harness.paths import project_root

    if scenes is None and (seed or difficulty is not None):
        raise UsageError("--seed and --difficulty are of other scenes than the embedded ones; add --scenes N")
    if scenes is not None and (judged_only or name is None):
        raise UsageError("--scenes: expected a --name of its own and no --judged-only: it is another data set")
    chosen = name or rendered.NAME
    target = new_data_folder(project_root(), chosen)
    with counting("scenes") as progress:
        if scenes is None:
            manifest = rendered.prepare_embedded(target, chosen, not judged_only, progress)
        else:
            level = DEFAULT if difficulty is None else difficulty
            manifest = rendered.prepare_rendered(target, chosen, scenes, seed, level, progress)
    print(summary(manifest))


def summary(manifest: "Manifest") -> str:
    """Crops of each class and split, photos, and what was left out and why."""
    from tabulate import tabulate

    classes = zip(manifest.classes, *manifest.class_crops.values(), strict=True)
    rows = [(name, *crops, sum(crops)) for name, *crops in classes]
    rows += [
        (name, *counts.values(), sum(counts.values()))
        for name, counts in (("all crops", manifest.crops), ("photos", manifest.photos))
    ]
    lines = [
        f"{manifest.name}: {len(manifest.classes)} classes",
        tabulate(rows, headers=("crops", *manifest.crops, "all"), tablefmt="simple"),
        _near_duplicates(manifest),
    ]
    for label, photos in manifest.few_photos.items():
        lines.append(f"few photos: {label} has {photos}" + ("" if manifest.shares is None else "; one test split"))
    if manifest.unmapped:
        named = ", ".join(f"{category} {boxes}" for category, boxes in manifest.unmapped.items())
        lines.append(f"left out: {sum(manifest.unmapped.values())}, boxes of a category in no class: {named}")
    if manifest.absent:
        lines.append(f"no category of that name in the annotations: {', '.join(manifest.absent)}")
    for left in manifest.left_out:
        named = ", ".join(left.photos[:_SHOWN]) + (", ..." if len(left.photos) > _SHOWN else "")
        lines.append(f"left out: {len(left.photos)}, {left.reason}: {named}")
    return "\n".join(lines)


def _near_duplicates(manifest: "Manifest") -> str:
    if manifest.shares is None:
        warning = "; scores may be too good" if manifest.across_splits else ""
        across = f"{manifest.across_splits} across the given splits{warning}"
        return f"near-duplicates: {manifest.near_duplicates} photos, {across}"
    return f"near-duplicates kept in one split: {manifest.near_duplicates} photos"
