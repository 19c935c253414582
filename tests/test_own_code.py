"""A person's own modules: what of their text decides numbers, which one differs, where they have moved to."""

import sys
import textwrap
from pathlib import Path

import cheap_study
import pytest
from typer.testing import CliRunner

from sde_sgd.cli import app
from sde_sgd.study import StudyError, _kind, parse, redraw, resume, run, status
from sde_sgd.study._build import code_named, import_named
from sde_sgd.study._fingerprint import difference, fingerprint
from sde_sgd.study._own_code import code_with, digests, imported
from sde_sgd.study.running._task import code_of_study

LOSS = '''
"""A double well."""
from helper_of_loss import depth  # beside this file


def loss(x):
    """Its loss."""
    return depth(x) * (x[0] ** 2 - 1) ** 2
'''
STUDY = """
kind = "escape"
horizon = 1.0
trajectories = 50
sweep = {learning_rate = [0.04], batch_size = [8]}
[landscape]
function = "loss_of_mine:loss"
dim = 1
[noise]
kind = "Isotropic"
beta = 32.0
[[start]]
name = "left"
point = [-1.0]
saddle = [0.0]
"""
HELPER = "import numpy\n\n\ndef depth(x):\n    return 0.5\n"


@pytest.fixture
def beside(tmp_path):
    """A folder with a person's two modules."""
    return written(tmp_path / "mine", loss_of_mine=LOSS, helper_of_loss=HELPER)


def written(folder, **modules):
    folder.mkdir(exist_ok=True)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return folder


def code(folder):
    return code_named("loss_of_mine:loss", folder)


class TestWhatDecides:
    @pytest.mark.parametrize(
        "change",
        [
            ("# beside this file", "# where it is\n# on two lines"),
            ('"""A double well."""', ""),
            ('"""Its loss."""', '"""The loss of which\n\n    this is about."""'),
            ("x[0] ** 2 - 1", "(x[0]**2\n        - 1)"),
            ("\n\n\ndef", "\n\ndef"),
        ],
        ids=["comment", "docstring", "another docstring", "formatting", "blank lines"],
    )
    def test_words_and_formatting_do_not(self, beside, change):
        before = code(beside)
        assert change[0] in LOSS
        written(beside, loss_of_mine=LOSS.replace(*change))
        assert code(beside) == before

    @pytest.mark.parametrize(
        "change",
        [("- 1)", "- 2)"), ("** 2", "** 4"), ("return depth(x) * ", "return "), ("import depth", "import depth as d")],
    )
    def test_what_is_computed_does(self, beside, change):
        before = digests(code(beside))
        assert change[0] in LOSS
        written(beside, loss_of_mine=LOSS.replace(*change))
        after = digests(code(beside))
        assert after["loss_of_mine.py"] != before["loss_of_mine.py"]
        assert after["helper_of_loss.py"] == before["helper_of_loss.py"]

    def test_a_text_that_is_no_docstring_does(self, beside):
        before = code(beside)
        written(beside, helper_of_loss=HELPER.replace("return 0.5", "name = 'b'\n    return 0.5"))
        other = code(beside)
        written(beside, helper_of_loss=HELPER.replace("return 0.5", "name = 'c'\n    return 0.5"))
        assert len({before, other, code(beside)}) == 3

    def test_one_digest_for_each_file_that_imports_lead_to(self, beside):
        """Also within functions and packages, and relative ones; no others, nor what is installed."""
        written(
            beside,
            unused="x = 1",
            late_module="y = 1",
            helper_of_loss=HELPER + "\n\ndef f():\n    import late_module\n",
        )
        assert set(digests(code(beside))) == {"loss_of_mine.py", "helper_of_loss.py", "late_module.py"}
        package = written(beside / "package_of_mine", __init__="", one="from . import two\nfrom .three import z\n")
        written(package, two="from package_of_mine import one", three="z = 1", four="")
        found = digests(code_named("package_of_mine.one:z", beside))
        assert set(found) == {f"package_of_mine/{name}.py" for name in ("__init__", "one", "two", "three")}
        assert digests(code_named("math:sqrt", beside)) == {} == digests(code_named("no_such_module:f", beside))
        # of an installed module, what is of its own package
        assert {name.split("/")[0] for name in digests(code_named("lazy_loader:attach", beside))} == {"lazy_loader"}

    def test_of_a_function_made_of_another(self, beside):
        import functools

        import jax

        function = import_named("function", "loss_of_mine:loss", beside)
        for made in (function, jax.jit(function), functools.partial(function)):
            assert code_with(made) == code(beside)

    def test_a_module_that_is_not_python(self, beside):
        written(beside, helper_of_loss="def f(:\n")
        with pytest.raises(StudyError, match=r"helper_of_loss\.py is not Python"):
            code(beside)

    def test_the_fingerprint_is_of_file_and_modules(self, beside):
        text = 'kind = "cheap"\nrows = 2\n'
        study = parse(text, "x")
        first = fingerprint(study, code(beside))
        assert fingerprint(parse('description = "words"\nname = "other"\n' + text, "x"), code(beside)) == first
        assert fingerprint(parse("seed = 1\n" + text, "x"), code(beside)) != first
        assert fingerprint(parse("confidence = 0.9\n" + text, "x"), code(beside)) != first
        assert fingerprint(study) != first
        written(beside, helper_of_loss=HELPER.replace("0.5", "0.6"))
        assert fingerprint(study, code(beside)) != first

    def test_what_differs_is_named(self, beside):
        one, files = parse('kind = "cheap"\nrows = 2\n', "x"), digests(code(beside))
        assert difference(one, parse('kind = "cheap"\nrows = 3\n', "y"), files, files) == "key rows was 2 and is 3"
        assert difference(one, one, files, files) == ""
        assert difference(one, one, files, files | {"a.py": "0"}) == "the module a.py is new"
        assert difference(one, one, files, files | {"loss_of_mine.py": "0"}) == "its module loss_of_mine.py has changed"
        assert difference(one, one, files, {"loss_of_mine.py": files["loss_of_mine.py"]}) == (
            "its module helper_of_loss.py is not there"
        )

    def test_of_a_function_that_is_swept(self, beside):
        """All of them decide, not the first one alone."""
        written(beside, another_loss="def loss(x):\n    return x[0] ** 2\n")
        text = STUDY.replace('"loss_of_mine:loss"', '{each = ["loss_of_mine:loss", "another_loss:loss"]}')
        assert set(digests(code_of_study(parse(STUDY, "x"), beside))) == {"loss_of_mine.py", "helper_of_loss.py"}
        found = digests(code_of_study(parse(text, "x"), beside))
        assert set(found) == {"loss_of_mine.py", "helper_of_loss.py", "another_loss.py"}


class TestImporting:
    def test_two_folders_with_modules_of_one_name(self, beside, tmp_path):
        """Each study gets its own, whichever came first, with what they import."""
        other = written(tmp_path / "other", loss_of_mine=LOSS, helper_of_loss=HELPER.replace("0.5", "7.0"))
        path = list(sys.path)
        for folder, depth in ((beside, 0.5), (other, 7.0), (beside, 0.5)):
            assert import_named("function", "loss_of_mine:loss", folder)([0.0]) == depth
        assert sys.path == path

    def test_a_module_that_was_edited_is_read_again(self, beside):
        assert imported("loss_of_mine", beside).loss([0.0]) == 0.5
        again = imported("loss_of_mine", beside)
        assert again is imported("loss_of_mine", beside)
        written(beside, helper_of_loss=HELPER.replace("0.5", "0.25"))
        assert imported("loss_of_mine", beside).loss([0.0]) == 0.25 and again.loss([0.0]) == 0.5

    @pytest.mark.parametrize(
        ("end", "said"), [("sys.exit()", "None"), ("sys.exit(7)", "7"), ("raise SystemExit('x')", "'x'")]
    )
    def test_a_module_that_ends_the_process(self, beside, end, said):
        """As a script may that is called as a module; Ctrl-C is not held up."""
        written(beside, helper_of_loss=f"import sys\n{end}\n")
        with pytest.raises(StudyError) as raised:
            import_named("landscape.function", "loss_of_mine:loss", beside)
        assert str(raised.value) == (
            "landscape.function 'loss_of_mine:loss': importing module 'loss_of_mine' must not end the process, "
            f"got SystemExit({said})"
        )
        written(beside, helper_of_loss="raise KeyboardInterrupt\n")
        with pytest.raises(KeyboardInterrupt):
            import_named("landscape.function", "loss_of_mine:loss", beside)


OWN = """
import numpy as np
import xarray as xr
from typing import Literal

from numbers_of_mine import size
from sde_sgd.study import AbstractStudy, Column, register


@register
class OwnStudy(AbstractStudy):
    kind: Literal["own_kind"]
    length: int = 3

    def axes(self):
        return {"place": self.length}

    def coordinates(self):
        return {"place": ("place", np.arange(self.length, dtype=float), {"units": "1", "long_name": "place"})}

    def run_cell(self, cell, shared):
        value = size * cell.index["place"]
        data = xr.Dataset({"value": ((), float(value), {"units": "1", "long_name": "value"})})
        data["status"] = ((), "complete", {"units": "", "long_name": "status"})
        return data

    def columns(self):
        return [Column("place", "place"), Column("value", "value")]
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A study of a person's own kind, whose module lies beside it; registered for one test."""
    from sde_sgd.study import _kind

    monkeypatch.setattr(_kind, "_registry", _kind.kinds())
    folder = written(tmp_path / "mine", own_kind_module=OWN, numbers_of_mine="size = 2\n")
    (folder / "own.toml").write_text('kind = "own_kind"\n')
    imported("own_kind_module", folder)
    yield folder
    for name in ("own_kind_module", "numbers_of_mine"):
        sys.modules.pop(name, None)


class TestMoved:
    def test_a_kind_of_ones_own_is_found_by_other_processes(self, own, tmp_path, monkeypatch):
        from sde_sgd.study import _kind

        run(own / "own.toml", tmp_path / "out", progress=False)
        # as a process that has not seen it
        monkeypatch.setattr(_kind, "_registry", {k: v for k, v in _kind.kinds().items() if k != "own_kind"})
        sys.modules.pop("own_kind_module")
        assert status(tmp_path / "out").finished == 3
        assert resume(tmp_path / "out", progress=False).dataset.value.values.tolist() == [0, 2, 4]

    def test_its_folder_moves(self, own, tmp_path, monkeypatch):
        """Without a word the study says what is missing; with one it goes on, and remembers."""
        from sde_sgd.study import _kind

        def forget():
            """As a process that has seen neither module."""
            monkeypatch.setattr(_kind, "_registry", {k: v for k, v in _kind.kinds().items() if k != "own_kind"})
            for name in ("own_kind_module", "numbers_of_mine"):
                sys.modules.pop(name, None)

        out = tmp_path / "out"
        run(own / "own.toml", out, progress=False)
        moved = own.rename(tmp_path / "elsewhere")
        forget()
        with pytest.raises(StudyError, match=r"'own_kind_module', which cannot be imported .*--source DIR"):
            resume(out, progress=False)
        assert status(out, source=moved).finished == 3
        assert redraw(out, source=moved).table["value"].tolist() == [0, 2, 4]
        assert resume(out, source=moved, progress=False).complete
        forget()
        assert resume(out, progress=False).complete
        with pytest.raises(StudyError, match="source must be the folder"):
            resume(out, source=tmp_path / "nowhere", progress=False)

    def test_a_changed_module_is_named(self, own, tmp_path):
        run(own / "own.toml", tmp_path / "out", progress=False)
        (own / "numbers_of_mine.py").write_text("# twice\nsize = 2\n")
        assert resume(tmp_path / "out", progress=False).complete
        (own / "numbers_of_mine.py").write_text("size = 3\n")
        with pytest.raises(StudyError, match=r"its module numbers_of_mine\.py has changed; nothing was changed"):
            resume(tmp_path / "out", progress=False)
        with pytest.raises(StudyError, match=r"different study, 'own': its module numbers_of_mine\.py has changed"):
            run(own / "own.toml", tmp_path / "out", progress=False)

    def test_a_changed_key_is_named(self, tmp_path):
        path = cheap_study.write(tmp_path / "study")
        run(path, tmp_path / "out", progress=False)
        path.write_text(path.read_text().replace("rows = 2", "rows = 3"))
        with pytest.raises(StudyError, match="different study, 'cheap': key rows was 2 and is 3; give another --out"):
            run(path, tmp_path / "out", progress=False)

    def test_a_study_without_a_finished_unit_gives_way_to_its_corrected_version(self, tmp_path):
        path = cheap_study.write(tmp_path / "study")
        (path.parent / "fail-000-000").touch()
        with pytest.raises(StudyError, match="cell 000-000"):
            run(path, tmp_path / "out", progress=False)
        (path.parent / "fail-000-000").unlink()
        path.write_text(path.read_text().replace("rows = 2", "rows = 1"))
        assert run(path, tmp_path / "out", progress=False).dataset.sizes["row"] == 1


class TestKindByItsModule:
    """As a file names it: `kind = "module:Class"`, which no process has imported."""

    @pytest.fixture
    def fresh(self, tmp_path, monkeypatch):
        """A folder with a kind and its file, of which nothing is imported; and what forgets that it was."""

        def forget():
            monkeypatch.setattr(_kind, "_registry", {k: v for k, v in _kind.kinds().items() if k != "own_kind"})
            for name in ("own_kind_module", "numbers_of_mine"):
                sys.modules.pop(name, None)

        folder = written(tmp_path / "mine", own_kind_module=OWN, numbers_of_mine="size = 2\n")
        (folder / "own.toml").write_text('kind = "own_kind_module:OwnStudy"\nlength = 2\n')
        forget()
        yield folder, forget
        forget()

    def test_it_runs_goes_on_and_moves(self, fresh, tmp_path):
        folder, forget = fresh
        for out, changes, values in (("0", None, [0, 2]), ("1", {"length": 3}, [0, 2, 4])):
            found = run(folder / "own.toml", tmp_path / out, changes=changes, progress=False)
            assert found.dataset.value.values.tolist() == values
            forget()
            assert resume(tmp_path / out, progress=False).complete
        moved = folder.rename(tmp_path / "elsewhere")
        forget()
        with pytest.raises(StudyError, match=r"'own_kind_module', which cannot be imported .*--source DIR"):
            resume(tmp_path / "0", progress=False)
        assert resume(tmp_path / "0", source=moved, progress=False).complete
        assert status(tmp_path / "0").finished == 2

    def test_the_fingerprint_is_that_of_its_name(self, fresh, tmp_path):
        """Whichever way a file names it; and a changed module is a changed study."""
        folder, forget = fresh
        run(folder / "own.toml", tmp_path / "out", progress=False)
        (folder / "own.toml").write_text('kind = "own_kind"\nlength = 2\n')
        assert run(folder / "own.toml", tmp_path / "out", progress=False).computed == 0
        (folder / "own.toml").write_text('kind = "own_kind_module:OwnStudy"\nlength = 2\n')
        (folder / "numbers_of_mine.py").write_text("size = 3\n")
        forget()
        with pytest.raises(StudyError, match=r"its module numbers_of_mine\.py has changed"):
            run(folder / "own.toml", tmp_path / "out", progress=False)

    def test_from_the_command(self, fresh, tmp_path):
        folder, _ = fresh
        called = CliRunner().invoke(app, ["run", str(folder / "own.toml"), "--out", str(tmp_path / "out")])
        assert called.exit_code == 0 and "value" in called.stdout, called.output

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("own_kind_modul:OwnStudy", "kind 'own_kind_modul:OwnStudy': there is no module 'own_kind_modul' in"),
            ("own_kind_module:OwnStdy", "did you mean 'OwnStudy'"),
            ("own_kind_module:Literal", "kind 'own_kind_module:Literal' must be a class that `sde_sgd.study.register`"),
            ("own_kind", "unknown kind 'own_kind'; allowed: .*, or 'module:Class' for one of your own"),
        ],
    )
    def test_what_is_none_is_said(self, fresh, tmp_path, kind, said):
        folder, _ = fresh
        (folder / "own.toml").write_text(f'kind = "{kind}"\n')
        with pytest.raises(StudyError, match=said):
            run(folder / "own.toml", tmp_path / "out", progress=False)


def test_the_folder_of_a_study_is_found_from_anywhere(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(Path("mine/own.toml"), "out", progress=False)
    monkeypatch.chdir("/")
    assert resume(tmp_path / "out", progress=False).complete
