"""Runs the studies of each claim, judges it, and writes one HTML report beside the stored datasets."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import study as studies
from ..study import StudyError
from ..study._errors import path_given
from ..study.running._look import write_page
from ._backwards import others_of, run_backwards
from ._claim import AbstractClaim, Size, all_claims, changes_of, study_file
from ._judgement import Finding, Verdict, judge, together

if TYPE_CHECKING:
    import xarray as xr


class Judged(NamedTuple):
    """A claim with what was found.

    claim: the claim. data: the datasets of its studies, by name. findings: each with the verdict on it.
    verdict: on the whole. remarks: sentences beside it.
    """

    claim: AbstractClaim
    data: "dict[str, xr.Dataset]"
    findings: list[tuple[Finding, Verdict]]
    verdict: Verdict
    remarks: list[str]


class Reproduction(NamedTuple):
    """What a run leaves behind.

    folder: of the studies. claims: those asked for, as they were judged. report: path of the HTML file.
    """

    folder: Path
    claims: list[Judged]
    report: Path

    def __str__(self) -> str:
        return "\n".join(f"{each.claim.number}  {each.claim.title}: {each.verdict}" for each in self.claims)


def reproduce(
    out: str | Path | None = None,
    *,
    size: str | Size = Size.NORMAL,
    only: int | Iterable[int] = (),
    executor: Any = None,
    progress: bool = True,
) -> Reproduction:
    """Measure every claim of the paper's abstract, or what is missing of it, and say whether the numbers support it.

    Source: Dai and Zhu 2018 (arXiv 1812.00542), the paper.

    out: a new folder, or one of an earlier run, of which only what is missing is then run; None takes ./reproduction,
        with the size behind it unless that is "normal". It has a folder for each study, `report.html` and the figures.
    size: "quick" takes minutes on two cores, "normal" some ten, "full" is for an accelerator.
    only: the number of a claim, or several; all by default.
    executor: None is this process; a number, so many processes of this machine: this one runs the studies from the
        first one on, the others from the last one back, and a script asks for them behind `if __name__ == "__main__":`;
        anything with submit(), as of `study.run`, computes cells.
    progress: print what it is at, what was found, and progress bars.
    The report is written anew after each claim, so that Ctrl-C loses none, and has what earlier runs of this size into
    the folder finished too.
    Raises StudyError, a ValueError, for a claim or size that there is not, and as `study.run`: of a folder that has
    been run at another size, say.
    """
    size, chosen, others = _size(size), _chosen(only), others_of(executor)
    default = "reproduction" if size is Size.NORMAL else f"reproduction-{size.value}"
    folder = Path(default) if out is None else path_given("out (--out)", out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"output folder {folder} cannot be made: {error.strerror}") from None
    # what an earlier run into the folder found stays in its report
    earlier = {claim.number: claim for claim in all_claims() if claim not in chosen}
    judged = {number: found for number, claim in earlier.items() if (found := _stored(claim, folder, size))}
    sections = {number: _drawn(found, folder) for number, found in judged.items()}
    report = folder / "report.html"
    # numbers of processes are of studies, not of a study's cells
    cells = None if isinstance(executor, int) else executor
    names = list(dict.fromkeys(name for claim in chosen for name in claim.studies))
    missing = [name for name in names if not _is_finished(folder / name)]
    with run_backwards(missing, folder, size, others) as take:
        for claim in chosen:
            if progress:
                print(f"\n{claim.number}  {claim.title}", flush=True)
            found = judged_by(claim, _datasets(claim, folder, size, cells, progress, take))
            if progress:
                print(found.verdict, flush=True)
            judged[claim.number], sections[claim.number] = found, _drawn(found, folder)
            _write(report, judged, sections, size)
    return Reproduction(folder, [judged[claim.number] for claim in chosen], report)


def judged_by(claim: AbstractClaim, data: "dict[str, xr.Dataset]") -> Judged:
    """The claim judged. claim: one of `all_claims()`. data: the datasets of its studies, by name."""
    found = [(finding, judge(finding)) for finding in claim.findings(data)]
    return Judged(claim, data, found, together([verdict for _, verdict in found]), claim.remarks(data))


def _datasets(
    claim: AbstractClaim,
    folder: Path,
    size: Size,
    executor: Any = None,
    progress: bool = False,
    take: Callable[[str], None] = lambda name: None,
) -> "dict[str, xr.Dataset]":
    found = {}
    for name in claim.studies:
        take(name)
        changes = changes_of(name, size)
        outcome = studies.run(study_file(name), folder / name, changes=changes, executor=executor, progress=progress)
        if outcome.unwritten and not outcome.complete:
            raise StudyError(f"{outcome.folder}: {outcome.unwritten}")
        found[name] = outcome.dataset
    return found


def _stored(claim: AbstractClaim, folder: Path, size: Size) -> Judged | None:
    """The claim judged by what an earlier run of this size finished; None where there is none."""
    if not all(_is_finished(folder / name) for name in claim.studies):
        return None
    try:
        return judged_by(claim, _datasets(claim, folder, size))
    except StudyError:
        return None


def _is_finished(folder: Path) -> bool:
    try:
        progress = studies.status(folder)
    except StudyError:
        return False
    return progress.finished == progress.cells


def _drawn(judged: Judged, folder: Path) -> Any:
    """The claim's section of the report; its figure is written beside it."""
    # it loads matplotlib
    from ._page import section

    figure = judged.claim.figure(judged.data)
    figure.savefig(folder / f"claim{judged.claim.number}.png", dpi=120)
    return section(judged, figure)


def _write(report: Path, judged: dict[int, Judged], sections: dict[int, Any], size: Size) -> None:
    from ._page import page

    numbers = sorted(judged)
    write_page(report, page([judged[number] for number in numbers], [sections[number] for number in numbers], size))


def _size(size: str | Size) -> Size:
    try:
        return Size(size)
    except ValueError:
        raise StudyError(f"size must be one of {', '.join(each.value for each in Size)}, got {size!r}") from None


def _chosen(only: int | Iterable[int]) -> list[AbstractClaim]:
    known = {claim.number: claim for claim in all_claims()}
    wanted = list(dict.fromkeys(only if isinstance(only, Iterable) else [only])) or list(known)
    unknown = [number for number in wanted if number not in known]
    if unknown:
        raise StudyError(f"only must be numbers of claims, {', '.join(map(str, known))}, got {unknown[0]}")
    return [known[number] for number in sorted(wanted)]
