"""The shell command `sde-sgd`. Nothing heavy is imported until a command needs it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="How likely is SGD to leave a minimum, when, and where does it go?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The output folder of a study.")]


@app.command()
def run(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study file (TOML), or the name of a packaged study; see `list`.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Output folder; ./<name of the study> if left out.", show_default=False),
    ] = None,
) -> None:
    """Run a study, or what is missing of it: table, dataset and figures."""
    _guard(lambda studies: _ran(studies.run(study, out)))


@app.command()
def resume(folder: Folder) -> None:
    """Run what is missing of the study in DIR."""
    _guard(lambda studies: _ran(studies.resume(folder)))


@app.command()
def status(folder: Folder) -> None:
    """Say how far the study in DIR is."""

    def show(studies):
        found = studies.status(folder)
        state = "complete" if found.finished >= found.cells else f"to finish it: sde-sgd resume {folder}"
        print(f"{found.name} ({found.kind}): {found.finished} of {found.cells} cells finished; {state}")

    _guard(show)


@app.command()
def plot(folder: Folder) -> None:
    """Draw the figures of the study in DIR again, from what is stored."""

    def show(studies):
        for figure in studies.redraw(folder).figures:
            print(f"figure   {figure}")

    _guard(show)


@app.command("list")
def list_studies() -> None:
    """List the studies that are shipped with the package."""

    def show(studies):
        names = studies.packaged()
        width = max(map(len, names))
        for name, description in names.items():
            print(f"{name:<{width}}  {description}")

    _guard(show)


def _ran(outcome: Any) -> None:
    if not outcome.computed and outcome.complete:
        print(f"{outcome.folder} already holds this study, complete; nothing was run\n")
    print(outcome.report)
    print(f"\ndataset  {outcome.folder / 'dataset.zarr'}")
    for figure in outcome.figures:
        print(f"figure   {figure}")


def _guard(action: Callable[[Any], None]) -> None:
    """Run `action`; a person's mistake, or a folder that fails, becomes one line on stderr and exit status 2."""
    try:
        import sde_sgd.study as studies

        action(studies)
    except KeyboardInterrupt:
        print("\nstopped; finished cells are kept, run the same command again to go on", file=sys.stderr)
        raise typer.Exit(130) from None
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        raise typer.Exit(2) from None


def main() -> None:
    """Entry point of the `sde-sgd` command."""
    app()


if __name__ == "__main__":
    main()
