"""Published values beside a study's own: the three outcomes of a value and a range, ratios, exponents, and mistakes."""

import numpy as np
import pytest
import xarray as xr
from study_cases import SMALL

from sde_sgd.study import StudyError, parse
from sde_sgd.study._fingerprint import fingerprint
from sde_sgd.study._published import PublishedSpec, found, judged, sentence

RATES = np.array([0.1, 0.2, 0.4])


def dataset(half=0.02):
    """P over γ and basin: γ² and γ³, each with an interval of ± `half` of itself in logarithms; q without one."""
    value = np.stack([RATES**2, RATES**3], axis=1)
    data = {"p": value, "p_low": value * np.exp(-half), "p_high": value * np.exp(half), "q": value}
    dims = ("learning_rate", "basin")
    return xr.Dataset(
        {name: (dims, each) for name, each in data.items()}, {"learning_rate": RATES, "basin": ["sharp", "flat"]}
    )


def spec(**keys):
    return PublishedSpec(**({"variable": "p", "source": "somebody"} | keys))


def test_a_value_at_a_place():
    """The nearest number, a word, and the last place of what is not named."""
    ours = found(spec(value=1.0, at={"learning_rate": 0.19, "basin": "sharp"}), dataset(), 0.95)
    np.testing.assert_allclose([ours.value, ours.low, ours.high], 0.04 * np.exp([0, -0.02, 0.02]))
    assert float(found(spec(value=1.0), dataset(), 0.95).value) == pytest.approx(0.4**3)
    assert float(found(spec(value=1.0, at={"basin": "sharp"}), dataset(), 0.95).value) == pytest.approx(0.4**2)


@pytest.mark.parametrize(
    ("keys", "half", "said"),
    [
        ({"value": 0.041}, 0.1, "agrees: ours is 0.04"),
        ({"value": 0.050}, 0.1, "differs: ours is 0.0400 [0.0362, 0.0442], 0.2 times it below"),
        ({"value": 0.030}, 0.1, "differs: ours is 0.0400 [0.0362, 0.0442], 0.33 times it above"),
        ({"value": 0.041}, 1.0, "undecided, because our interval is wider than its value"),
        ({"low": 0.03, "high": 0.05}, 0.1, "agrees"),
        ({"low": 0.039}, 0.1, "undecided, because our interval reaches beyond the range"),
        ({"low": 0.05}, 0.1, "differs"),
        ({"high": 0.03}, 0.1, "differs"),
        ({"high": 0.05}, 0.1, "agrees"),
    ],
)
def test_the_outcomes(keys, half, said):
    one = spec(**keys, at={"learning_rate": 0.2, "basin": "sharp"})
    assert judged(found(one, dataset(half), 0.95), one).startswith(said)


def test_without_a_number_it_is_undecided():
    data = dataset()
    data["p"] = data.p * np.nan
    assert "undecided, because there is no number of ours" in sentence(spec(value=1.0), data, 0.95)


def test_a_power_law_has_its_exponent():
    """Exact values of γ³; the interval by hand: least squares of equal errors. Twin: the other basin's exponent."""
    one = spec(value=3.0, along="learning_rate", at={"basin": "flat"})
    ours = found(one, dataset(), 0.95)
    away = np.log(RATES) - np.log(RATES).mean()
    np.testing.assert_allclose([ours.value, ours.high - ours.value], [3, 0.02 / np.sqrt(away @ away)], rtol=1e-9)
    assert sentence(one, dataset(), 0.95).startswith(
        "published exponent of p along learning_rate, at basin flat: 3 (somebody): agrees: ours is 3.000"
    )
    assert judged(
        found(spec(value=3.0, along="learning_rate", at={"basin": "sharp"}), dataset(), 0.95), one
    ).startswith("differs")


def test_a_ratio_of_two_places():
    """γ²/γ³ = 1/γ, whose logarithm has √2 of the error; another place of the same basin."""
    one = spec(low=1.0, at={"learning_rate": 0.2, "basin": "sharp"}, over={"basin": "flat"})
    ours = found(one, dataset(), 0.95)
    half = 0.02 * np.sqrt(2)
    np.testing.assert_allclose([ours.value, ours.low, ours.high], 5 * np.exp([0, -half, half]), rtol=1e-9)
    assert "over that at basin flat" in sentence(one, dataset(), 0.95)
    assert ": above 1 (somebody): agrees" in sentence(one, dataset(), 0.95)
    zero = dataset()
    zero["p"] = zero.p * 0
    assert "undecided" in sentence(one, zero, 0.95)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"variable": "pp"}, "unknown variable 'pp'; did you mean 'p'"),
        ({"at": {"basinn": "flat"}}, "did you mean 'basin'"),
        ({"at": {"basin": "flatt"}}, "did you mean 'flat'"),
        ({"at": {"learning_rate": "big"}}, "learning_rate must be a number, got 'big'"),
    ],
)
def test_what_the_dataset_has_not_is_said(keys, said):
    told = sentence(spec(**({"value": 1.0} | keys)), dataset(), 0.95)
    assert ": not known: " in told and said in told


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("value = 1.0\nlow = 0.5", "published takes either a value, or low and high"),
        ("", "published takes either a value, or low and high"),
        ("low = 1.0\nhigh = 0.5", "published must have low below high, got 1 and 0.5"),
        ('value = 1.0\nalong = "time"\nover = {start = "sharp"}', "either over another place or along a dimension"),
    ],
)
def test_mistakes_are_sentences(keys, said):
    with pytest.raises(StudyError, match=said):
        parse(f'{SMALL}\n[[published]]\nvariable = "probability"\nsource = "s"\n{keys}\n', "x")


def test_it_is_no_sweep_and_changes_no_study():
    """Its numbers are no dimension, not even keys called from and to; the fingerprint is that of the study without."""
    text = (
        f'{SMALL}\n[[published]]\nvariable = "rate"\nvalue = 1\nsource = "s"\nat = {{from = 1, to = 2, number = 3}}\n'
    )
    study, without = parse(text, "x"), parse(SMALL, "x")
    assert study.axes() == without.axes() and fingerprint(study) == fingerprint(without)
    assert parse(study.text(), "x") == study and study.published[0].at == {"from": 1, "to": 2, "number": 3}
    assert study.at(study.cells()[0].index).published == study.published
