"""The shell command `sde-sgd`. Nothing heavy is imported until a command needs it."""

import codecs
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# exit statuses, beside 2 for a mistake and 130 after Ctrl-C
ALL_DIVERGED = 3
# how letters are written where a terminal's encoding lacks them
_SPELT = {"γ": "gamma", "β": "beta", "θ": "theta", "τ": "tau", "σ": "sigma", "∇": "grad ", "–": "-", "—": "-", "‖": "|"}
_SPELT |= {"×": "x", "·": "*", "…": "...", "≥": ">=", "≤": "<=", "±": "+-", "→": "->", "−": "-", "²": "^2", "∞": "inf"}


def _version(wanted: bool) -> bool:
    if wanted:
        import sde_sgd

        print(f"sde-sgd {sde_sgd.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    """How likely is SGD to leave a minimum, when, and where does it go?"""


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
    """Run a study, or what is missing of it: table, dataset and figures.

    Exit status: 0; 2 for a mistake, told in one line; 3 where every trajectory of a cell diverged; 130 after Ctrl-C.
    """
    _guard(lambda studies: _ran(studies.run(study, out)))


@app.command()
def resume(folder: Folder) -> None:
    """Run what is missing of the study in DIR; exit status as of `run`."""
    _guard(lambda studies: _ran(studies.resume(folder)))


@app.command()
def status(folder: Folder) -> None:
    """Say how far the study in DIR is."""

    def show(studies):
        study = studies.status(folder)
        state = "complete" if study.finished >= study.cells else f"to finish it: sde-sgd resume {folder}"
        print(f"{study.name} ({study.kind}): {study.finished} of {study.cells} cells finished; {state}")

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


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A packaged study; see `list`.")],
) -> None:
    """Print the file of a packaged study, to be kept and changed: sde-sgd show escape > my_study.toml."""
    _guard(lambda studies: print(studies.packaged_text(name), end=""))


def _ran(outcome: Any) -> None:
    if not outcome.computed and outcome.complete:
        print(f"{outcome.folder} already holds this study, complete; nothing was run\n")
    print(outcome.report)
    print(f"\ndataset  {outcome.folder / 'dataset.zarr'}")
    for figure in outcome.figures:
        print(f"figure   {figure}")
    if outcome.all_diverged:
        cells = "a cell" if len(outcome.all_diverged) == 1 else f"{len(outcome.all_diverged)} cells"
        print(f"error: every trajectory of {cells} diverged; the table names them", file=sys.stderr)
        raise typer.Exit(ALL_DIVERGED)


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


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """Error handler of an encoding: Greek letters by name, signs in ASCII, any other character as "?"."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_SPELT.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


def main() -> None:
    """Entry point of the `sde-sgd` command. Output is never lost to a terminal whose encoding lacks a letter."""
    codecs.register_error("spelt", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelt")
    app()


if __name__ == "__main__":
    main()
