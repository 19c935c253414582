"""The pilot of a study with one budget: a study of its own, in the folder `pilot` within, finished before it."""

from .._fingerprint import fingerprint
from .._own_code import digests
from ..store._store import Store
from ._task import PILOT, Opened, code_of_study, own_kind, remember_source


def pilot_of(there: Opened) -> Opened | None:
    """The pilot of a study that was opened, whose folder is made where it is not there yet; None where it has none."""
    study = there.study.pilot()
    if study is None:
        return None
    code = code_of_study(study, there.source)
    store = Store.create(
        there.store.folder / PILOT,
        study.text(),
        study.name,
        fingerprint(study, code),
        str(there.source),
        there.store.record["cells_per_unit"],
        more={"files": digests(code), **own_kind(study)},
    )
    # where the modules are is the study's to say
    remember_source(store, there.source)
    return Opened(store.bind(study), study, there.shared, there.source)
