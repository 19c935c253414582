"""Mistakes that the shell command refuses: one line, exit status 2, and nothing is written."""

import cheap_study
import pytest
from cli_cases import STUDY, assert_one_line, call

MISTAKES = {
    "not_toml": ('kind = "escape"', "kind = escape", ["is not TOML"]),
    "unknown_kind": ('kind = "escape"', 'kind = "escpe"', ["'escpe'", "did you mean 'escape'", "digits"]),
    "no_kind": ('kind = "escape"', "", ["has no kind", "escape"]),
    "unknown_key": ("horizon =", "horizn =", ["'horizn'", "did you mean 'horizon'"]),
    "unknown_section": ("[sweep]", "[swep]", ["'swep'", "did you mean 'sweep'"]),
    "unknown_nested_key": ("batch_size =", "batchsize =", ["in sweep", "'batchsize'", "did you mean 'batch_size'"]),
    "unknown_start_key": ("point =", "pont =", ["'pont'", "did you mean 'point'"]),
    "negative_horizon": ("horizon = 1.0", "horizon = -1.0", ["horizon", "greater than 0", "-1.0"]),
    "nan_horizon": ("horizon = 1.0", "horizon = nan", ["horizon", "finite", "nan"]),
    "text_horizon": ("horizon = 1.0", 'horizon = "long"', ["horizon", "number", "'long'"]),
    "zero_trajectories": ("trajectories = 50", "trajectories = 0", ["trajectories", "0"]),
    "half_trajectories": ("trajectories = 50", "trajectories = 50.5", ["trajectories", "integer", "50.5"]),
    "no_amount": ("trajectories = 50", "", ["trajectories or rtol"]),
    "both_amounts": ("trajectories = 50", "trajectories = 50\nrtol = 0.1", ["trajectories or rtol"]),
    "budget_alone": ("trajectories = 50", "trajectories = 50\nmax_trajectories = 9", ["max_trajectories", "rtol"]),
    "zero_batch": ("batch_size = [8]", "batch_size = [0]", ["batch_size", "greater than 0", "0"]),
    "no_rates": ("learning_rate = [0.04]", "learning_rate = []", ["learning_rate", "at least 1"]),
    "repeated_rate": ("learning_rate = [0.04]", "learning_rate = [0.04, 0.04]", ["repeat", "0.04"]),
    "negative_rate": ("learning_rate = [0.04]", "learning_rate = [-1.0]", ["learning_rate", "greater than 0", "-1.0"]),
    "zero_dt": ("horizon = 1.0", "horizon = 1.0\ndt = 0.0", ["dt", "greater than 0"]),
    "dt_twice": ("horizon = 1.0", "horizon = 1.0\ndt = 0.1\nsubsteps = 2", ["dt or substeps"]),
    "unknown_monitoring": ("horizon = 1.0", 'horizon = 1.0\nmonitoring = "cont"', ["'discrete'", "'cont'"]),
    "confidence": ("horizon = 1.0", "horizon = 1.0\nconfidence = 95", ["confidence", "less than 1", "95"]),
    "negative_seed": ("horizon = 1.0", "horizon = 1.0\nseed = -1", ["seed", "-1"]),
    "unknown_landscape": ('"TwoWells"', '"TwoWels"', ["kind of landscape", "'TwoWels'", "did you mean 'TwoWells'"]),
    "unknown_parameter": ('"TwoWells"', '"TwoWells"\nbarier = 1.0', ["'barier'", "did you mean 'barrier'"]),
    "text_parameter": ('"TwoWells"', '"TwoWells"\nbarrier = "high"', ["barrier", "above 0", "'high'"]),
    "bad_parameter": ('"TwoWells"', '"TwoWells"\nbarrier = -1.0', ["barrier", "above 0", "-1.0"]),
    "unknown_noise": ('"Isotropic"', '"Isotropc"', ["kind of noise", "did you mean 'Isotropic'"]),
    "noise_key": ("beta =", "bta =", ["'bta'", "did you mean 'beta'"]),
    "negative_noise": ("beta = 32.0", "beta = -32.0", ["beta", "above 0", "-32.0"]),
    "noise_misfit": (
        'kind = "Isotropic"\nbeta = 32.0', 'kind = "Diagonal"\nvariances = [1.0, 2.0]', ["variances", "(1,)", "(2,)"]
    ),
    "unknown_point": ('"sharp_minimum"', '"sharp_minmum"', ["'sharp_minmum'", "did you mean 'sharp_minimum'"]),
    "point_of_wrong_dim": ('"sharp_minimum"', "[0.0, 1.0]", ["1 numbers", "got 2"]),
    "start_outside": ('saddle = "saddle"', 'region = {kind = "Ball", center = [9.0], radius = 1.0}', ["start"]),
    "unknown_region": ('saddle = "saddle"', 'region = {kind = "Bal", radius = 1.0}', ["did you mean 'Ball'"]),
    "unbounded": ('saddle = "saddle"', "", ["'sharp'", "region or a saddle"]),
    "reference_of_two_axes": ("[[start]]", "[reference]\ngrid = [[-1, 1, 9], [-1, 1, 9]]\n[[start]]", ["1 axes"]),
    "reference_beside_the_start": ("[[start]]", "[reference]\ngrid = [4, 5, 9]\n[[start]]", ["grid", "start must lie"]),
    "name_with_a_space": ("horizon = 1.0", 'horizon = 1.0\nname = "my study"', ["name", "letters", "'my study'"]),
    "no_module": ('kind = "TwoWells"', 'function = "no_such_module:f"\ndim = 1', ["no_such_module"]),
    "function_without_dim": ('kind = "TwoWells"', 'function = "math:sqrt"', ["dim is missing"]),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake_in_a_study_file_is_one_line(case, tmp_path):
    old, new, parts = MISTAKES[case]
    assert old in STUDY
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace(old, new, 1))
    assert_one_line(call("run", path, "--out", tmp_path / "out"), *parts)
    left = {entry.name for entry in tmp_path.iterdir()}
    assert left == {"study.toml"}, left


def test_a_start_where_the_loss_is_not_finite(tmp_path):
    (tmp_path / "rough.py").write_text("import jax.numpy as jnp\n\n\ndef loss(x):\n    return jnp.log(x[0])\n")
    text = STUDY.replace('kind = "TwoWells"', 'function = "rough:loss"\ndim = 1')
    text = text.replace('"sharp_minimum"', "[-1.0]").replace('"saddle"', "[0.0]")
    (tmp_path / "study.toml").write_text(text)
    assert_one_line(
        call("run", tmp_path / "study.toml", "--out", tmp_path / "out"), "'sharp'", "finite loss and gradient"
    )
    assert not (tmp_path / "out").exists()


def test_digits_without_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert_one_line(call("run", "digits", "--out", tmp_path / "out"), "pip install scikit-learn")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    study = cheap_study.write(tmp_path / "study")
    monkeypatch.setattr("sde_sgd.study.store._accounts.Account.to_bytes", full)
    result = call("run", study, "--out", tmp_path / "out")
    assert result.exit_code == 2 and "Traceback" not in result.output
    # after the progress bar
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: folder") and last.endswith("No space left on device; what is finished is kept")


def test_unknown_packaged_study():
    assert_one_line(call("run", "escap"), "'escap'", "did you mean 'escape'")


def test_missing_study_file():
    assert_one_line(call("run", "nowhere/study.toml"), "there is no study file")


def test_folder_as_study_file(tmp_path):
    assert_one_line(call("run", tmp_path), "resume")


@pytest.mark.parametrize("command", ["status", "plot", "resume"])
def test_folder_without_study(command, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    assert_one_line(call(command, tmp_path), "holds no study")
    assert_one_line(call(command, tmp_path / "absent"), "there is no folder")
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_output_is_a_file(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "out").write_text("mine")
    assert_one_line(call("run", tmp_path / "study.toml", "--out", tmp_path / "out"), "is a file")
    assert (tmp_path / "out").read_text() == "mine"


def test_output_holds_other_files(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    assert_one_line(call("run", tmp_path / "study.toml", "--out", out), "holds no study")
    assert [path.name for path in out.iterdir()] == ["precious.txt"]
