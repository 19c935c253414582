"""The shell command `sde-sgd`. Nothing heavy is imported until a command needs it."""

import codecs
import io
import os
import select
import signal
import sys
import textwrap
from collections.abc import Callable
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# exit statuses
MISTAKE, NO_NUMBER, INTERRUPTED = 2, 3, 130
# as of a process that SIGPIPE ends
READ_NO_MORE = 141
# commands whose compiled programs are kept for the next process
_COMPUTING = {"run", "resume", "worker", "reproduce"}
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


# paths stay text, in which "" is not the working folder
Folder = Annotated[str, typer.Argument(metavar="DIR", help="The output folder of a study.")]
Source = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Where a person's own modules are, if they have moved.", show_default=False),
]
Study = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file (TOML), or the name of a packaged study; see `list`.")
]
Out = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Output folder; ./<name of the study> if left out.", show_default=False),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another value for a key of the study file, such as sweep.batch_size=[8]; may be given several times.",
        show_default=False,
    ),
]
PerUnit = Annotated[
    int, typer.Option(metavar="N", help="Neighbouring cells that are computed and written together, if they are small.")
]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Compute in N processes, each with its share of the cores.", show_default=False),
]

Wide = Annotated[bool, typer.Option("--wide", help="Print a row of the table on one line, however long it is.")]


@app.command()
def run(
    study: Study,
    out: Out = None,
    settings: Settings = None,
    processes: Workers = None,
    cells_per_unit: PerUnit = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, try the smallest cell, and write nothing.")
    ] = False,
    wide: Wide = False,
) -> None:
    """Run a study, or what is missing of it: table, dataset and figures. The same as `init`, then `resume`.

    Two runs on one folder share the work. Exit status: 0; 2 for a mistake, told in one line, or where cells are left
    unfinished; 3 where a cell has no number, as all its trajectories diverged; 130 after Ctrl-C.
    """

    def start(studies):
        changes = _changes(studies, settings)
        if dry_run:
            from sde_sgd.study.running._executors import check_executor

            check_executor(processes)
            # it may take long until the smallest cell is computed
            print(studies.plan(study, changes=changes, cells_per_unit=cells_per_unit), flush=True)
            print(studies.plan(study, changes=changes, cells_per_unit=cells_per_unit, trial=True).cost)
            print("nothing was written")
        else:
            outcome = studies.run(study, out, executor=processes, changes=changes, cells_per_unit=cells_per_unit)
            _ran(outcome, wide)

    _guard(start)


@app.command()
def init(study: Study, out: Out = None, settings: Settings = None, cells_per_unit: PerUnit = 1) -> None:
    """Make the folder of a study and compute nothing yet: `worker` and `resume` do."""

    def make(studies):
        folder = studies.init(study, out, changes=_changes(studies, settings), cells_per_unit=cells_per_unit)
        print(f"folder   {folder}\nto run it: {_to_resume(folder)}")

    _guard(make)


@app.command()
def resume(folder: Folder, processes: Workers = None, source: Source = None, wide: Wide = False) -> None:
    """Run what is missing of the study in DIR; exit status as of `run`."""
    _guard(lambda studies: _ran(studies.resume(folder, executor=processes, source=source), wide))


@app.command()
def worker(
    folder: Folder,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Which share: 0 <= I < N. By default what SLURM, SGE or LSF say to a job of an array; PBS: /N.",
            show_default=False,
        ),
    ] = None,
    help_others: Annotated[
        bool, typer.Option("--help-others", help="Go on with what nobody computes of the other shares.")
    ] = False,
    source: Source = None,
) -> None:
    """Compute one share of the study in DIR, without a scheduler; when all have done theirs, `resume` makes the table.

    DIR is made by `init`. Exit status: 0; 2 for a mistake, or a cell that cannot be run; 3 where a finished cell of its
    share has no number; 130 after Ctrl-C.
    """

    def compute(studies):
        from sde_sgd.study.running._run import Share, shard_of, worked

        found = worked(folder, Share(*shard_of(shard), help_others), True, source)
        of_pilot = f", and {found.of_pilot} of its pilot" if found.of_pilot else ""
        computed = "1 cell" if found.computed == 1 else f"{found.computed} cells"
        print(f"{computed} computed{of_pilot}; table and figures: {_to_resume(folder)}")
        if found.numberless:
            from sde_sgd.study.running._numberless import in_words

            print(f"error: {in_words(found.numberless)}", file=sys.stderr)
            raise typer.Exit(NO_NUMBER)

    _guard(compute)


@app.command()
def reproduce(
    quick: Annotated[bool, typer.Option("--quick", help="A few minutes on two cores; intervals are wide.")] = False,
    full: Annotated[bool, typer.Option("--full", help="As much as an accelerator can.")] = False,
    only: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Only claim N; may be given several times.", show_default=False),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Output folder; ./reproduction[-quick|-full] if left out.", show_default=False
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Run studies in N processes; by default one a core, at most 4, and one alone on an accelerator.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure the claims of the paper's abstract and say of each whether the numbers support it: one HTML report.

    Goes on where an earlier run into the same folder stopped. Exit status: 0, whatever the verdicts; 2 for a mistake;
    130 after Ctrl-C.
    """

    def measure(_):
        if quick and full:
            raise ValueError("give either --quick or --full, not both")
        from sde_sgd import reproduction

        size = "quick" if quick else "full" if full else "normal"
        executor = reproduction.sensible_processes() if processes is None else processes
        found = reproduction.reproduce(out, size=size, only=only or (), executor=executor)
        print(f"\n{found}\n\nreport   {found.report}")

    _guard(measure)


@app.command()
def status(folder: Folder, source: Source = None) -> None:
    """Say how far the study in DIR is, also while it runs elsewhere.

    Exit status: 0, finished or not; 2 for a mistake; 3 where a finished cell has no number.
    """

    def tell(studies):
        found = studies.status(folder, source=source)
        print(found)
        if found.numberless:
            raise typer.Exit(NO_NUMBER)

    _guard(tell)


@app.command()
def plot(folder: Folder, source: Source = None) -> None:
    """Draw the figures of the study in DIR again, from what is stored."""

    def draw(studies):
        outcome = studies.redraw(folder, source=source)
        for figure in outcome.figures:
            print(f"figure   {figure}")
        _warn(outcome)

    _guard(draw)


@app.command()
def report(
    folder: Folder,
    to: Annotated[
        str | None, typer.Option(metavar="FILE", help="Another file than DIR/report.html.", show_default=False)
    ] = None,
    source: Source = None,
) -> None:
    """Write the study in DIR as one HTML file, DIR/report.html, which opens anywhere."""
    _guard(lambda studies: print(f"report   {studies.report_html(folder, to, source=source)}"))


@app.command()
def export(
    folder: Folder,
    to: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Another folder, or a file that ends with .nc or .csv.", show_default=False),
    ] = None,
    source: Source = None,
) -> None:
    """Write the study in DIR for other programs: dataset.nc, table.csv and long.csv, a line for each number."""

    def write(studies):
        for file in studies.export(folder, to, source=source):
            print(f"file     {file}")

    _guard(write)


@app.command("list")
def list_studies() -> None:
    """List the studies that are shipped with the package."""

    def show(studies):
        names = studies.packaged()
        width = max(map(len, names))
        for name, description in names.items():
            print(f"{name:<{width}}  {_under(description, width + 2)}")

    _guard(show)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A packaged study; see `list`.")],
) -> None:
    """Print the file of a packaged study, to be kept and changed: sde-sgd show escape > my_study.toml."""
    _guard(lambda studies: print(studies.packaged_text(name), end=""))


def _under(text: str, indent: int) -> str:
    """A text beside what is that wide already, folded at 100 columns."""
    return f"\n{' ' * indent}".join(textwrap.wrap(text, 100 - indent))


def _changes(studies: Any, settings: list[str] | None) -> dict[str, Any] | None:
    return studies.read_changes(settings) if settings else None


def _ran(outcome: Any, wide: bool) -> None:
    if not outcome.computed and outcome.complete:
        print(f"{outcome.folder} already holds this study, complete; nothing was run\n")
    print(outcome.wide_report if wide else outcome.report)
    print(f"\ndataset  {outcome.folder / 'dataset.zarr'}")
    for figure in outcome.figures:
        print(f"figure   {figure}")
    _warn(outcome)
    if not outcome.complete:
        if not outcome.unwritten:
            print(f"error: not finished; to finish it: {_to_resume(outcome.folder)}", file=sys.stderr)
        raise typer.Exit(MISTAKE)
    if outcome.all_diverged:
        print(
            f"error: every trajectory of {_cells(outcome.all_diverged)} diverged; the table names them", file=sys.stderr
        )
    elif outcome.unknown:
        print(f"error: there is no number of {_cells(outcome.unknown)}; the table names them", file=sys.stderr)
    if outcome.all_diverged or outcome.unknown:
        raise typer.Exit(NO_NUMBER)


def _to_resume(folder: Any) -> str:
    from sde_sgd.study._errors import to_resume

    return to_resume(folder)


def _cells(places: list[Any]) -> str:
    return "a cell" if len(places) == 1 else f"{len(places)} cells"


def _warn(outcome: Any) -> None:
    for sentence in filter(None, (outcome.unwritten, outcome.left_out)):
        print(f"warning: {outcome.folder}: {sentence}", file=sys.stderr)


def _guard(action: Callable[[Any], None]) -> None:
    """Run `action`; a person's mistake, or a folder that fails, becomes one line on stderr and exit status 2."""
    try:
        import sde_sgd.study as studies

        action(studies)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        # where a study was at work it says what is kept of it
        print("\n" + "; ".join(filter(None, ("stopped", str(stop)))), file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except (ValueError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError) and _reads_no_more():
            # nor shall the end of the process try to write there
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(READ_NO_MORE) from None
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        raise typer.Exit(MISTAKE) from None


def _reads_no_more() -> bool:
    """Whether it is the output whose pipe is broken: who reads it has seen enough, as `head` has."""
    if not hasattr(select, "poll"):
        return False
    watch = select.poll()
    watch.register(1, 0)
    return any(event & select.POLLERR for _, event in watch.poll(0))


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """Error handler of an encoding: Greek letters by name, signs in ASCII, any other character as "?"."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_SPELT.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


class _Interrupts:
    """What Ctrl-C does: the first one is KeyboardInterrupt, a second one ends the process at once."""

    def __init__(self):
        self._has_come = False

    def __call__(self, number: int, frame: Any) -> None:
        if self._has_come:
            # not through Python's own end, which waits for threads and tells of what it interrupts
            os.write(2, b"\nended at once; finished cells are kept\n")
            os._exit(INTERRUPTED)
        self._has_come = True
        raise KeyboardInterrupt


def main() -> None:
    """Entry point of the `sde-sgd` command. Output is never lost to a terminal whose encoding lacks a letter."""
    codecs.register_error("spelt", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelt")
    # a shell's background jobs ignore it, and go on doing so
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _Interrupts())
    if set(sys.argv[1:2]) & _COMPUTING:
        import sde_sgd

        # for the processes too that are started from here
        sde_sgd.keep_programs()
    app()


if __name__ == "__main__":
    main()
