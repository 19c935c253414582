"""What lies around a rare passage: the ways it takes, and the basins in which its time goes.

Draws `ways.png`, `ways_in_four_dimensions.png` and `hidden_basins.png` into the current folder; takes two minutes on
two cores. With `--quick` it runs with few trajectories and wide intervals.
"""

import sys

import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Polynomial

import sde_sgd as ss

QUICK = "--quick" in sys.argv
TRAJECTORIES, PRECISION = (1_024, 0.5) if QUICK else (16_384, 0.1)
LEFT, RIGHT = np.array([-1.048, -0.042]), np.array([1.048, -0.042])


class Seen(ss.regions.AbstractRegion):
    """The points whose first two turned components lie in a region of the plane."""

    region: ss.regions.AbstractRegion
    rows: np.ndarray

    def level(self, theta):
        return self.region.level(jnp.asarray(self.rows, theta.dtype) @ theta)


def draw(landscape, start, target, temperature: float, name: str) -> None:
    """Explore, ask which way passages take, and draw both."""
    exploration = ss.landscapes.explore(landscape, start, height=3.0)
    chain = ss.EulerMaruyama(ss.Langevin(landscape, temperature), dt=0.004)
    shares = ss.passage.way_shares(chain, start, target, exploration, trajectories=TRAJECTORIES)
    for way, share in zip(exploration.connections, shares, strict=True):
        print(f"{name}: over the saddle at loss {way.saddle.loss:.3f}, from {way.first} to {way.second}: {share}")
    exploration.plot(shares=shares).figure.savefig(f"{name}.png", dpi=120)


def ways() -> None:
    """Three holes: the direct way over a high saddle, and one round over two lower ones; in four dimensions too."""
    plane = ss.landscapes.ThreeHole()
    draw(plane, LEFT, ss.regions.Ball(RIGHT, 0.3), 0.15, "ways")
    turn = np.linalg.qr(np.random.default_rng(4).standard_normal((4, 4)))[0]

    def loss(x):
        seen = jnp.asarray(turn, x.dtype) @ x
        return plane.loss(seen[:2]) + jnp.sum(seen[2:] ** 2)

    target = Seen(ss.regions.Ball(RIGHT, 0.3), turn[:2])
    draw(ss.landscapes.Landscape(loss, 4), LEFT @ turn[:2], target, 0.15, "ways_in_four_dimensions")


def hidden_basins() -> None:
    """A shallow well that first falls into a deep one on the far side: nearly all of the mean time is spent there."""
    slope = 6 * Polynomial.fromroots([-1.4, 0, 1, 2.3])
    loss = slope.integ().coef.tolist()
    landscape = ss.landscapes.Landscape(lambda x: sum(c * x[0] ** n for n, c in enumerate(loss)), dim=1)
    chain = ss.EulerMaruyama(ss.Langevin(landscape, 1.0), dt=0.001)
    found = ss.first_passage(
        chain, np.array([0.0]), ss.regions.HalfSpace([1.0], -1.4), rtol=PRECISION, monitoring="continuous"
    )
    print(found)
    ss.plotting.time_in_basins(found.to_dataset()).savefig("hidden_basins.png", dpi=120)


if __name__ == "__main__":
    ways()
    hidden_basins()
