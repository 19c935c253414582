"""Small runs of every chain, method and study, whose numbers must stay the same to the last bit for the same seed.

`python tests/bits_cases.py` prints what this version, compiler and processor make of them, as the record holds it.
"""

import json
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

import sde_sgd as ss

RECORD = Path(__file__).parent / "bits.json"
ONE = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
BOWL = ss.landscapes.Quadratic(np.eye(1))


def at(landscape, temperature, dt, **options):
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, temperature), dt=dt, **options)


def sgd(landscape, noise, dt=None, order=1):
    return ss.EulerMaruyama(ss.LangevinSGD(landscape, noise, 0.05, 4.0, order=order), dt=dt)


def coupled(dim):
    def loss(x):
        return jnp.sum((x**2 - 1) ** 2) + 0.5 * jnp.sum((x[1:] - x[:-1]) ** 2)

    return ss.landscapes.Landscape(loss, dim=dim)


def regression():
    generator = np.random.default_rng(7)
    inputs, targets = generator.normal(size=(24, 3)), generator.normal(size=24)
    model = jnp.zeros(3)
    data = (jnp.asarray(inputs, jnp.float32), jnp.asarray(targets, jnp.float32))
    return ss.EmpiricalRisk(model, lambda w, x, y: (w @ x - y) ** 2 / 2, *data)


def states(chain, start, steps=300, dtype=np.float32, **options):
    return ss.simulate(chain, np.asarray(start, dtype), steps, 5, seed=2**33 + 5, **options)


def exits(chain, start, region, horizon, **options):
    found = ss.escape(chain, np.asarray(start, np.float32), region, horizon, trajectories=64, seed=3, **options)
    return found.exit_times


def split(chain, start, region, horizon=None, **options):
    found = ss.escape(chain, np.asarray(start, np.float32), region, horizon, seed=4, method="splitting", **options)
    return numbers(found)


def numbers(found):
    estimates = (found.probability, found.mean_exit_time, found.exit_rate)
    return np.array([getattr(each, name) for each in estimates for name in ("value", "low", "high")])


def below(level, dim=1):
    return ss.regions.HalfSpace(np.eye(dim)[0], level)


def in_float64():
    with jax.enable_x64(True):
        return states(at(ONE, 0.1, 0.01), [-1.0], dtype=np.float64)


def occupancy_at_times():
    regions = {"left": below(-0.2), "right": ~below(0.2)}
    found = ss.occupancy(
        at(ONE, 0.4, 0.01), np.array([-1.0], np.float32), regions=regions, times=[0.5, 3.0], trajectories=300, seed=5
    )
    return np.stack([found.probability.value, found.probability.low, found.probability.high])


def occupancy_in_a_window():
    found = ss.occupancy(
        at(ONE, 0.4, 0.01), np.array([-1.0], np.float32), minima=[[-1.0], [1.0]], horizon=20.0, trajectories=100, seed=5
    )
    return np.stack([found.weight.value, found.weight.low, found.weight.high, found.r_hat])


def density():
    found = ss.histogram(
        at(ONE, 0.4, 0.01), np.array([-1.0], np.float32), bins=(-2, 2, 8), horizon=10.0, trajectories=100, seed=5
    )
    return np.concatenate([found.density.value, found.density.high, found.mean.value, found.covariance.value[0]])


def rates():
    found = ss.transitions(at(ONE, 0.08, 0.01), {"left": [-1.0], "right": [1.0]}, rtol=0.3, seed=6)
    return np.stack([found.rates.value, found.rates.low, found.rates.high, np.tile(found.stationary.value, (2, 1))])


STUDY = """
kind = "escape"
horizon = 5.0
trajectories = 256
substeps = 4
monitoring = "continuous"
[landscape]
kind = "TwoWells"
[noise]
kind = "Isotropic"
beta = 8.0
[sweep]
learning_rate = [0.1, 0.2]
batch_size = [1, 2]
[[start]]
name = "sharp"
point = "sharp_minimum"
saddle = "saddle"
[reference]
grid = [-3.0, 4.0, 200]
"""


def study():
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "small.toml"
        source.write_text(STUDY)
        data = ss.study.run(source, Path(folder) / "out", progress=False).dataset
        names = ("probability", "mean_exit_time", "exit_rate", "survival")
        parts = [np.ravel(data[name + end].values) for name in names for end in ("", "_low", "_high")]
        return np.concatenate([*parts, np.ravel(data["mean_exit_time_exact"].values)])


def auto_score():
    landscape = ss.landscapes.MullerBrown()
    minimum = ss.landscapes.find_minima(landscape, [[-0.5, 1.4]])[0].location
    target = ss.regions.Ball([0.6, 0.0], 0.2)
    found = ss.first_passage(
        at(landscape, 15.0, 1e-4), np.asarray(minimum, np.float32), target, horizon=0.2, trajectories=2048, seed=4,
        method="splitting", score="auto",
    )  # fmt: skip
    return numbers(found)


CASES = {
    "double well": lambda: states(at(ONE, 0.1, 0.01), [-1.0]),
    "double well, float64": in_float64,
    "signs": lambda: states(at(ONE, 0.1, 0.01, increments="rademacher"), [-1.0]),
    "Müller–Brown": lambda: states(at(ss.landscapes.MullerBrown(), 10.0, 1e-4), [-0.5, 1.4], 200),
    "coupled, dim 4, paths": lambda: states(at(coupled(4), 0.3, 0.01), np.ones(4), 96, save_every=32),
    "coupled, dim 16": lambda: states(at(coupled(16), 0.3, 0.01), np.ones(16), 65),
    "mapped, dim 40": lambda: states(at(coupled(40), 0.3, 0.01), np.ones(40), 65),
    "noise along the Hessian": lambda: states(sgd(coupled(3), ss.noise.HessianProportional(0.5)), np.ones(3), 65),
    "noise with the loss": lambda: states(sgd(ONE, ss.noise.LossProportional(0.5)), [-0.9], 65),
    "order 2": lambda: states(sgd(coupled(2), ss.noise.Isotropic(1.0), order=2), [0.5, 0.8], 65),
    "one example's noise": lambda: states(sgd(regression(), ss.noise.PerExample()), np.zeros(3), 65),
    "minibatches": lambda: states(ss.MinibatchSGD(regression(), 0.05, 4), np.zeros(3), 65),
    "minibatches, as large as the data": lambda: states(ss.MinibatchSGD(regression(), 0.05, 24), np.zeros(3), 65),
    "exits": lambda: exits(at(ONE, 0.3, 0.01), [-1.0], below(0.0), 10.0),
    "exits, dim 2": lambda: exits(at(coupled(2), 0.6, 0.01), [-1.0, -1.0], below(0.0, 2), 10.0),
    "exits between steps": lambda: exits(at(ONE, 0.3, 0.05), [-1.0], below(0.0), 10.0, monitoring="continuous"),
    "splitting": lambda: split(at(BOWL, 0.5, 0.02), [0.0], below(3.3), 3.0, trajectories=2048),
    "splitting in parts": lambda: split(at(BOWL, 0.5, 0.25), [0.0], below(4.0), 3.0, trajectories=2048),
    "splitting to a precision": lambda: split(at(BOWL, 0.5, 0.02), [0.0], below(3.0), 3.0, rtol=0.3),
    "splitting of minibatches": lambda: split(
        ss.MinibatchSGD(regression(), 0.05, 4), np.zeros(3), ss.regions.Ball(np.zeros(3), 0.6), 1.0, trajectories=1024
    ),
    "mean time": lambda: split(at(BOWL, 0.5, 0.02), [0.0], below(2.8), trajectories=2048),
    "automatic score": auto_score,
    "occupancy at times": occupancy_at_times,
    "occupancy in a window": occupancy_in_a_window,
    "density": density,
    "rates": rates,
    "study": study,
}


def environment() -> str:
    """What the last bit may depend on: the compiler, and the widest vectors and the fused products of the processor."""
    flags = Path("/proc/cpuinfo")
    known = flags.read_text() if flags.exists() else ""
    return f"jaxlib {jaxlib.__version__}, " + "+".join(
        name for name in ("avx2", "fma", "avx512f") if f" {name}" in known
    )


if __name__ == "__main__":
    made = {name: np.ravel(case()).astype(np.float64).tolist() for name, case in CASES.items()}
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    json.dump(record | {environment(): made}, sys.stdout, separators=(",", ":"), ensure_ascii=False)
