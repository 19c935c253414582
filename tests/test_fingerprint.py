"""The fingerprint of a study: keys that a later version adds, defaults that it changes, and folders of before it."""

import inspect
import json
import tomllib

import pydantic
import pytest
import xarray as xr
from store_cases import NumbersStudy, opened
from study_cases import COMPARE, OCCUPANCY, SMALL, TRANSITIONS

from sde_sgd.study import AbstractStudy, EscapeStudy, Store, StudyError, keys, parse, resume, run
from sde_sgd.study import _fingerprint as module
from sde_sgd.study._fingerprint import fingerprint, first_default
from sde_sgd.study._kind import _registry
from sde_sgd.study._published import PublishedSpec
from sde_sgd.study._sections import ChainSpec


@pytest.fixture
def later(monkeypatch):
    """A function that makes a section as a later version has it: with other fields, each (type, default)."""
    known = {name: dict(entries) for name, entries in module._first_defaults().items()}
    monkeypatch.setattr(module, "_first_defaults", lambda: known)

    def made(section, **fields):
        for key, (_, default) in fields.items():
            # a key that stands there keeps what it says
            if key not in known.setdefault(section.__name__, {}):
                known[section.__name__][key] = json.dumps(default)
        return pydantic.create_model(section.__name__, __base__=section, __module__="sde_sgd.study.later", **fields)

    return made


def of(text, kind=EscapeStudy):
    """Fingerprint of a study file, as a version reads it in which this is the kind."""
    return fingerprint(kind.model_validate({"name": "x"} | tomllib.loads(text)))


class TestKeys:
    def test_one_more_with_a_default_changes_nothing(self, later):
        wider = later(EscapeStudy, tilt=(float, 1.0))
        assert of(SMALL, wider) == of(SMALL) == of("tilt = 1.0\n" + SMALL, wider)
        assert of("tilt = 1\n" + SMALL, wider) == of(SMALL) != of("tilt = 2.0\n" + SMALL, wider)
        # one value is a dimension too, and so is the default among others
        assert len({of(text + SMALL, wider) for text in ("", "tilt = [1.0]\n", "tilt = [1.0, 2.0]\n")}) == 3

    def test_one_more_in_a_section(self, later):
        chain = later(ChainSpec, tilt=(float, 0.5))
        wider = pydantic.create_model("EscapeStudy", __base__=EscapeStudy, __module__="sde_sgd", chain=(chain, chain()))
        given = SMALL + "[chain]\nincrements = "
        for end in ('"gaussian"\n', '"rademacher"\n'):
            assert of(given + end, wider) == of(given + end) == of(given + end + "tilt = 0.5\n", wider)
            assert of(given + end, wider) != of(given + end + "tilt = 0.6\n", wider)
        assert of(given + '"gaussian"\n') != of(given + '"rademacher"\n') != of(SMALL)
        assert of(SMALL, wider) == of(SMALL) != of(SMALL + "[chain]\ntilt = [0.5]\n", wider)

    def test_a_sweep_is_told_whole(self, later):
        """Also one of whole sections, whose values are as the file gives them."""
        chain = later(ChainSpec, tilt=(float, 0.5))
        wider = pydantic.create_model("EscapeStudy", __base__=EscapeStudy, __module__="sde_sgd", chain=(chain, chain()))
        both = SMALL + '[chain]\neach = [{increments = "gaussian"}, {increments = "rademacher"}]\n'
        assert of(both, wider) == of(both) != of(both.replace('"rademacher"', '"rademacher", tilt = 0.6'), wider)
        # the first value of a sweep may be the default
        ours = SMALL + '[chain]\nincrements = {each = ["gaussian", "rademacher"]}\n'
        assert len({of(text) for text in (SMALL, both, ours, ours.replace('"gaussian", ', ""))}) == 4

    def test_given_at_its_default_or_left_out(self):
        first = of(SMALL)
        assert of('seed = 0\nconfidence = 0.95\nmethod = "auto"\nkind = "escape"\n' + SMALL.split("\n", 2)[2]) == first
        for same in ('[chain]\nkind = "EulerMaruyama"\n', "[chain]\n"):
            assert of(SMALL + same) == first
        assert of(SMALL.replace('monitoring = "continuous"\n', "")) != first

    def test_a_default_that_changes(self, later):
        """Left out it means something else, which is another study; the value that it had is the study that it was."""
        text = SMALL.replace('monitoring = "continuous"\n', "")
        changed = later(EscapeStudy, monitoring=(str, "continuous"))
        assert of(text, changed) == of(SMALL) == of(SMALL, changed) != of(text)
        assert of('monitoring = "discrete"\n' + text, changed) == of(text)
        assert of('monitoring = {each = ["discrete", "continuous"]}\n' + text, changed) == of(
            'monitoring = {each = ["discrete", "continuous"]}\n' + text
        )

    def test_a_kind_is_never_left_out(self, later):
        """Another kind with the same keys is another study, though each has a default for its name."""
        other = later(EscapeStudy, kind=(str, "other"))
        assert of(SMALL.replace('kind = "escape"', 'kind = "other"'), other) != of(SMALL)

    def test_a_persons_own_kind_has_all_its_keys_in_it(self):
        one = NumbersStudy(name="x")
        assert first_default(NumbersStudy, "rows") is None and first_default(NumbersStudy, "seed") == "0"
        wider = pydantic.create_model("NumbersStudy", __base__=NumbersStudy, tilt=(float, 1.0))
        assert fingerprint(wider(name="x")) != fingerprint(one)


class TestFolder:
    @pytest.fixture
    def half(self, tmp_path, monkeypatch):
        """A study of 2 × 3 cells, two of which are lost, and its dataset as it was."""
        monkeypatch.setitem(_registry, "numbers", NumbersStudy)
        monkeypatch.setattr(NumbersStudy, "__module__", "sde_sgd.study.numbers")
        whole = run(NumbersStudy(name="numbers"), tmp_path / "out", progress=False).dataset
        for key in ("000-001", "001-002"):
            (tmp_path / "out" / "units" / f"{key}.json").unlink()
        return tmp_path / "out", whole

    def test_a_version_with_one_more_key_resumes(self, half, later, monkeypatch):
        folder, whole = half
        monkeypatch.setitem(_registry, "numbers", later(NumbersStudy, tilt=(float, 1.0)))
        outcome = resume(folder, progress=False)
        assert outcome.computed == 2 and outcome.complete
        xr.testing.assert_identical(outcome.dataset, whole)
        xr.testing.assert_equal(opened(Store.open(folder)), whole)

    def test_another_value_does_not(self, half, later, monkeypatch):
        folder, _ = half
        wider = later(NumbersStudy, tilt=(float, 1.0))
        monkeypatch.setitem(_registry, "numbers", wider)
        with pytest.raises(StudyError, match=r"a different study, 'numbers': key tilt was 1\.0 and is 2\.0; give"):
            run(wider(name="numbers", tilt=2.0), folder, progress=False)

    def test_a_version_with_another_default_does_not(self, half, later, monkeypatch):
        folder, _ = half
        module._first_defaults().setdefault("NumbersStudy", {})["has_status"] = "true"
        monkeypatch.setitem(_registry, "numbers", later(NumbersStudy, has_status=(bool, False)))
        with pytest.raises(StudyError, match="cannot go on: it was made from other code or by another version"):
            resume(folder, progress=False)


class TestFirstDefaults:
    def test_every_key_with_a_default_has_one(self):
        """A new key is added to first_defaults.json; where a default changes, its entry stays."""
        sections = {*keys._kinds().values(), *keys._sections().values()} - {PublishedSpec}
        owners = {each for section in sections for each in section.__mro__ if each.__module__.startswith("sde_sgd.")}
        expected = {
            (owner.__name__, key): field
            for owner in owners
            for key, field in owner.model_fields.items()
            if key in inspect.get_annotations(owner) and not field.is_required()
        }
        never = {(each.__name__, "kind") for each in owners if issubclass(each, AbstractStudy)}
        never |= {("AbstractStudy", key) for key in module._WORDS}
        there = {(name, key) for name, entries in module._first_defaults().items() for key in entries}
        assert sorted(set(expected) - never - there) == [] and sorted(there - set(expected)) == []

    @pytest.mark.parametrize(
        ("text", "digest"),
        [
            (SMALL, "2bab09091376b394"),
            (OCCUPANCY, "e25ac0f50743cbfc"),
            (TRANSITIONS, "3bf3ee0e58359ab8"),
            (COMPARE, "dcca598b1dba991f"),
        ],
        ids=["escape", "occupancy", "transitions", "compare"],
    )
    def test_folders_that_are_there_keep_theirs(self, text, digest):
        assert fingerprint(parse(text, "x"))[:16] == digest
