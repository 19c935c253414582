"""The page of all keys of study files: up to date, with a meaning for each, and all that packaged studies say."""

import tomllib
from pathlib import Path

import pytest

from sde_sgd.study import keys, packaged, packaged_text
from sde_sgd.study._sections import Part


class TestPage:
    def test_it_is_up_to_date(self):
        page = (Path(__file__).parents[1] / "docs" / "study_files.md").read_text("utf-8")
        assert page == keys.keys_page(), "python -m sde_sgd.study.keys > docs/study_files.md"

    def test_every_key_has_a_meaning(self):
        assert not [(title, key) for title, rows in keys.chapters().items() for key in rows if not rows[key].meaning]

    @pytest.mark.parametrize("name", packaged())
    def test_every_key_of_a_packaged_study_is_on_it(self, name):
        known = keys.chapters()
        table = tomllib.loads(packaged_text(name))

        def check(title, value):
            for key, part in value.items():
                assert key in known[title], (title, key)
                below = known[title][key].type
                if "](#" in below:
                    section = below.split("[")[-1].split("]")[0]
                    parts = part if isinstance(part, list) else part.values() if "by name" in below else [part]
                    for each in parts:
                        if section in {part.__name__ for part in Part.__subclasses__()} and each["kind"] in known:
                            assert set(each) - set(known[section]) <= set(known[each["kind"]]), each
                        else:
                            check(section, each)

        check(table["kind"], table)

    def test_swept_is_said_as_it_is(self):
        rows = keys.chapters()
        assert rows["escape"]["horizon"].swept == "list" and rows["escape"]["seed"].swept == "no"
        assert rows["occupancy"]["times"].swept == "no" and rows["NetworkSpec"]["hidden"].swept == "each"
        assert rows["TwoWells"]["barrier"].swept == "list" and rows["Quadratic"]["hessian"].swept == "each"
