"""Path-steps per second on the 1-D double well, ours beside its rivals, interleaved in one process.

    python benchmarks/throughput.py [--trajectories 65536] [--steps 512] [--rounds 7]

V(x) = (x² − 1)², dX = −V' dt + √(2T) dW, float32, Euler–Maruyama, final states only. The median over rounds is
compared; the result is written to benchmarks/results/ with device, versions and date. A rival that is not installed is
named as missing.
"""

import argparse
import datetime
import importlib.metadata
import json
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import sde_sgd as ss

DT, TEMPERATURE = 1e-3, 0.1
AMPLITUDE = float(np.sqrt(2 * TEMPERATURE * DT))


def loss(x):
    return (x[0] ** 2 - 1) ** 2


def ours(trajectories: int, steps: int, increments: str = "gaussian"):
    landscape = ss.landscapes.Landscape(loss, dim=1)
    chain = ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, TEMPERATURE), DT, increments)
    start = np.array([-1.0], np.float32)
    return lambda: ss.simulate(chain, start, steps=steps, trajectories=trajectories, seed=0)


def batched_scan(trajectories: int, steps: int):
    """One scan over steps, `jax.random.normal` for all trajectories at once: what a knowing user writes."""

    @jax.jit
    def run(key):
        def body(x, step_key):
            noise = jax.random.normal(step_key, x.shape)
            return x - 4 * x * (x * x - 1) * DT + AMPLITUDE * noise, None

        return jax.lax.scan(body, -jnp.ones(trajectories), jax.random.split(key, steps))[0]

    return lambda: run(jax.random.key(0)).block_until_ready()


def trajectory_scan(trajectories: int, steps: int):
    """A scan per trajectory under vmap, keys by `fold_in`."""

    def one(key):
        def body(x, k):
            noise = jax.random.normal(jax.random.fold_in(key, k))
            return x - 4 * x * (x * x - 1) * DT + AMPLITUDE * noise, None

        return jax.lax.scan(body, -jnp.ones(()), jnp.arange(steps))[0]

    run = jax.jit(lambda key: jax.vmap(one)(jax.random.split(key, trajectories)))
    return lambda: run(jax.random.key(0)).block_until_ready()


def numpy_vectorised(trajectories: int, steps: int):
    """NumPy with its float32 ziggurat, updating in place."""

    def run():
        generator = np.random.default_rng(0)
        x = np.full(trajectories, -1.0, np.float32)
        noise = np.empty(trajectories, np.float32)
        for _ in range(steps):
            generator.standard_normal(dtype=np.float32, out=noise)
            noise *= np.float32(AMPLITUDE)
            x -= np.float32(4 * DT) * x * (x * x - 1)
            x += noise
        return x

    return run


def numba_loop(trajectories: int, steps: int):
    """Compiled scalar loop, parallel over trajectories; None where numba is not installed."""
    try:
        import numba
    except ImportError:
        return None

    @numba.njit(parallel=True, fastmath=True)
    def run():
        out = np.empty(trajectories, np.float32)
        for i in numba.prange(trajectories):
            x = np.float32(-1.0)
            for _ in range(steps):
                noise = np.float32(np.random.normal())
                x += np.float32(-4 * DT) * x * (x * x - np.float32(1)) + np.float32(AMPLITUDE) * noise
            out[i] = x
        return out

    return run


RUNNERS = {
    "sde_sgd.simulate": ours,
    "sde_sgd.simulate, Rademacher": lambda n, k: ours(n, k, "rademacher"),
    "batched lax.scan, jax.random.normal": batched_scan,
    "vmap of lax.scan, fold_in": trajectory_scan,
    "NumPy, float32": numpy_vectorised,
    "numba, prange": numba_loop,
}


def measure(trajectories: int, steps: int, rounds: int) -> dict:
    built = {name: make(trajectories, steps) for name, make in RUNNERS.items()}
    missing = [name for name, run in built.items() if run is None]
    ready = {name: run for name, run in built.items() if run is not None}
    for run in ready.values():
        run()
    seconds = {name: [] for name in ready}
    for _ in range(rounds):
        for name, run in ready.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "work": {"trajectories": trajectories, "steps": steps, "dtype": "float32", "rounds": rounds},
        "million_path_steps_per_second": {
            name: round(trajectories * steps / value / 1e6, 1) for name, value in medians.items()
        },
        "times_slower_than_ours": {
            name: round(value / medians["sde_sgd.simulate"], 2) for name, value in medians.items()
        },
        "missing": missing,
        "device": f"{jax.device_count()} × {jax.devices()[0].device_kind}",
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy")},
        "date": datetime.date.today().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=65_536)
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    result = measure(options.trajectories, options.steps, options.rounds)
    for name, rate in result["million_path_steps_per_second"].items():
        print(f"{name:40s} {rate:9.1f} M path-steps/s   {result['times_slower_than_ours'][name]:6.2f} × our time")
    for name in result["missing"]:
        print(f"{name:40s}   missing: not installed")
    folder = Path(__file__).with_name("results")
    folder.mkdir(exist_ok=True)
    path = folder / f"throughput-{jax.default_backend()}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(f"written: benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
