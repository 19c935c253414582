"""Calls with bad arguments, each with what its one error must say.

Run as a program it makes every call as a person would, without the type checks of the test suite, and prints what was
raised: a JSON object of [type, message] by name.
"""

import functools
import json
import sys

import jax.numpy as jnp
import numpy as np
from bad_input_beyond import BEYOND

import sde_sgd as ss

L1 = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
L2 = ss.landscapes.Landscape(lambda x: jnp.sum(x**2), dim=2)
ONE = ss.noise.Isotropic(1.0)
WARM = ss.LangevinSGD.at_temperature(L1, 0.1)
CHAIN = ss.EulerMaruyama(WARM, 0.01)
LEFT = ss.regions.HalfSpace([1.0], 0.0)
NEAR = ~ss.regions.HalfSpace([1.0], -0.9)
NAN_AT_START = ss.landscapes.Landscape(lambda x: jnp.log(x[0]), dim=1)
KINK = ss.landscapes.Landscape(lambda x: jnp.sqrt(x[0]), dim=1)


def sgd(**changes):
    return ss.LangevinSGD(**{"landscape": L1, "noise": ONE, "learning_rate": 0.1, "batch_size": 10, **changes})


def momentum(**changes):
    options = {"landscape": L1, "noise": ONE, "learning_rate": 0.1, "batch_size": 10, "momentum": 0.9}
    return ss.diffusions.LangevinMomentumSGD(**(options | changes))


def escape(chain=CHAIN, start=(-1.0,), region=LEFT, horizon=1.0, trajectories=64, **options):
    return ss.escape(chain, list(start), region, horizon, trajectories=trajectories, **options)


@functools.cache
def escaped():
    """A result, which is asked more than one thing."""
    return escape()


def simulate(**changes):
    return ss.simulate(**{"chain": CHAIN, "start": [-1.0], "steps": 4, "trajectories": 8, **changes})


def solver():
    return ss.reference.FokkerPlanck(WARM, (-2, 2, 50))


def on(landscape):
    return ss.EulerMaruyama(ss.LangevinSGD.at_temperature(landscape, 0.1), 0.01)


def occupancy(**changes):
    options = {"regions": {"left": LEFT}, "times": [1.0], "trajectories": 8}
    return ss.occupancy(CHAIN, [-1.0], **(options | changes))


BAD = {
    "a score that is no function": (
        lambda: escape(score=3.0),
        "score must be a function of θ, or of θ and t, 'level' or 'auto', got 3.0",
    ),
    "a score of several numbers": (
        lambda: escape(score=lambda x: jnp.ones(2)),
        r"score must return one number, got shape \(2,\)",
    ),
    "a score that is none somewhere": (
        lambda: escape(score=lambda x: jnp.sqrt(x[0] + 1.01), trajectories=512, method="splitting"),
        "score must be finite wherever trajectories come, got nan at θ = ",
    ),
    "a score that fails": (lambda: escape(score=lambda x: x["depth"]), "score cannot be evaluated"),
    "too few for splitting": (
        lambda: escape(trajectories=100, method=ss.passage.Splitting(repetitions=32)),
        "at least 8 for each of 32 repetitions",
    ),
    "a replay by splitting": (
        lambda: escape(trajectories=None, trajectory_ids=[3], method="splitting"),
        "no single trajectories to replay",
    ),
    "sets that overlap": (
        lambda: ss.first_passage(CHAIN, [-1.0], NEAR, NEAR, 1.0, trajectories=64),
        "target and avoid must not overlap",
    ),
    "sets that overlap, by splitting": (
        lambda: ss.first_passage(CHAIN, [-1.0], NEAR, NEAR, 1.0, trajectories=512, method="splitting"),
        "target and avoid must not overlap",
    ),
    "a landscape's fn is no function": (lambda: ss.landscapes.Landscape(3.0, 1), "fn must be a function"),
    "a vector-valued loss": (lambda: ss.landscapes.Landscape(lambda x: x, 2), r"fn must return a scalar.*\(2,\)"),
    "a loss of more components": (
        lambda: ss.landscapes.Landscape(lambda x: jnp.dot(x, jnp.ones(3)), 2),
        "fn, for dim = 2, cannot be evaluated",
    ),
    "a loss that fails": (lambda: ss.landscapes.Landscape(lambda x: {}["depth"], 1), "fn.* cannot be evaluated.*depth"),
    "a loss that is no real number": (
        lambda: ss.landscapes.Landscape(lambda x: 3, 1),
        "fn.* must return an array of real",
    ),
    "minima of no landscape": (lambda: ss.landscapes.find_minima(3.0, [0.0]), "landscape must be a landscape"),
    "dim zero": (lambda: ss.landscapes.Landscape(lambda x: 0.0, 0), "dim must be a whole number of at least 1, got 0"),
    "negative beta": (lambda: ss.noise.Isotropic(-1.0), r"beta must be a finite number above 0, got -1\.0"),
    "a vector for beta": (lambda: ss.noise.Isotropic(jnp.ones(2)), "beta must be a single number"),
    "beta a word": (lambda: ss.noise.Isotropic("loud"), "beta must be a finite number above 0, got 'loud'"),
    "beta nothing": (lambda: ss.noise.Isotropic(None), "beta must be a finite number above 0, got None"),
    "a matrix that is a word": (
        lambda: ss.noise.ConstantCovariance("C"),
        "matrix must be an array of numbers, got 'C'",
    ),
    "a sigma that is no function": (lambda: sgd(noise=ss.noise.FromFunction(1.0)), "sigma must be a function"),
    "a sigma that fails": (
        lambda: sgd(noise=ss.noise.FromFunction(lambda x: x @ jnp.ones(5))),
        r"sigma cannot be evaluated for shape \(1,\)",
    ),
    "negative variance": (lambda: ss.noise.Diagonal(jnp.array([1.0, -2.0])), "variances must be .* at least 0"),
    "variances of another dim": (
        lambda: sgd(noise=ss.noise.Diagonal(jnp.ones(3))),
        r"variances must have shape \(1,\)",
    ),
    "negative scale of a component": (
        lambda: ss.noise.ComponentProportional([1.0, -2.0]),
        "scale must be finite and at least 0",
    ),
    "scales of another dim": (
        lambda: sgd(noise=ss.noise.ComponentProportional(jnp.ones(3))),
        r"scale must be one number or of shape \(1,\)",
    ),
    "a matrix of scales": (
        lambda: ss.noise.ComponentProportional(jnp.ones((2, 2))),
        r"scale must be one number or of shape \(dim,\)",
    ),
    "indefinite covariance": (
        lambda: ss.noise.ConstantCovariance(jnp.array([[1.0, 2.0], [2.0, 1.0]])),
        "matrix must be positive semi-definite, got smallest eigenvalue -1",
    ),
    "asymmetric covariance": (
        lambda: ss.noise.ConstantCovariance(jnp.array([[1.0, 0.5], [0.0, 1.0]])),
        "matrix must be symmetric",
    ),
    "covariance of another dim": (
        lambda: sgd(noise=ss.noise.ConstantCovariance(jnp.eye(2))),
        r"matrix must have shape \(1, 1\)",
    ),
    "non-finite covariance": (lambda: ss.noise.ConstantCovariance(jnp.array([[jnp.nan]])), "matrix must be finite"),
    "an unknown word for negative": (lambda: ss.noise.HessianProportional(negative="warn"), "'stop' or 'clip'"),
    "a sigma of another shape": (
        lambda: ss.LangevinSGD(L2, ss.noise.FromFunction(lambda x: jnp.ones(3)), 0.1, 1),
        r"sigma must return shape \(2,\)",
    ),
    "learning rate zero": (lambda: sgd(learning_rate=0.0), r"learning_rate must be a finite number above 0, got 0\.0"),
    "learning rate a word": (lambda: sgd(learning_rate="fast"), "learning_rate must be a number above 0 or a schedule"),
    "several learning rates": (lambda: sgd(learning_rate=jnp.ones(2)), "learning_rate must be a single number"),
    "several batch sizes": (lambda: sgd(batch_size=[8, 16]), "batch_size must be a single number"),
    "learning rate true": (lambda: sgd(learning_rate=True), "learning_rate must be a finite number above 0, got True"),
    "a schedule that starts at zero": (lambda: sgd(learning_rate=lambda k: 0.0 * k), "learning_rate at iteration 0"),
    "batch size negative": (lambda: sgd(batch_size=-3), "batch_size must be a finite number above 0, got -3"),
    "order three": (lambda: sgd(order=3), "order must be 1 or 2, got 3"),
    "noise that is no model": (lambda: sgd(noise=1.0), "noise must be a model"),
    "a loss that is no landscape": (lambda: sgd(landscape=lambda x: x), "landscape must be a landscape"),
    "temperature zero": (lambda: ss.LangevinSGD.at_temperature(L1, 0.0), "temperature must be a finite number above 0"),
    "several temperatures": (lambda: ss.LangevinSGD.at_temperature(L1, [0.1, 0.2]), "temperature must be a single"),
    "temperature a word": (lambda: ss.LangevinSGD.at_temperature(L1, "hot"), "temperature must be .*, got 'hot'"),
    "a drift that is no function": (
        lambda: ss.diffusions.ItoDiffusion(3.0, lambda x, t: x, 1),
        "drift must be a function, got 3.0",
    ),
    "temperature of anisotropic noise": (
        lambda: ss.LangevinSGD(L2, ss.noise.Diagonal(jnp.ones(2)), 0.1, 1).temperature,
        "temperature is defined for Isotropic noise only, got Diagonal",
    ),
    "no dt and no learning rate": (lambda: ss.EulerMaruyama(WARM), "dt must be given for Langevin"),
    "dt zero": (lambda: ss.EulerMaruyama(WARM, 0.0), "dt must be a finite number above 0"),
    "dt negative": (lambda: ss.EulerMaruyama(WARM, -0.1), r"dt must be a finite number above 0, got -0\.1"),
    "dt a word": (lambda: ss.EulerMaruyama(WARM, "small"), "dt must be a finite number above 0, got 'small'"),
    "dt a vector": (lambda: ss.EulerMaruyama(WARM, jnp.ones(2)), "dt must be a single number"),
    "unknown increments": (
        lambda: ss.EulerMaruyama(WARM, 0.1, "cauchy"),
        "increments must be 'gaussian', 'rademacher' or a kind of increments of your own, got ",
    ),
    "a chain of no diffusion": (lambda: ss.EulerMaruyama(L1, 0.1), "diffusion must be a diffusion"),
    "radius zero": (lambda: ss.regions.Ball([0.0], 0.0), "radius must be a finite number above 0"),
    "radius a word": (lambda: ss.regions.Ball([0.0], "wide"), "radius must be a finite number above 0, got 'wide'"),
    "several radii": (lambda: ss.regions.Ball([0.0], [1.0, 2.0]), "radius must be a single number"),
    "a center that is a word": (lambda: ss.regions.Ball("here", 1.0), "center must be an array of numbers, got 'here'"),
    "an offset that is a word": (lambda: ss.regions.HalfSpace([1.0], "far"), "offset must be a finite number"),
    "a level that is a word": (lambda: ss.regions.Sublevel(L1, "low"), "value must be a finite number, got 'low'"),
    "a zero normal": (lambda: ss.regions.HalfSpace([0.0, 0.0], 1.0), "normal must not be zero"),
    "a region and a number": (lambda: LEFT & 3, "a region combines with another region"),
    "a region of another dim": (lambda: escape(region=ss.regions.Ball([0.0, 0.0], 1.0)), "region must live in dim = 1"),
    "a region that is none": (lambda: escape(region="left"), "region must be a region"),
    "a start of another shape": (lambda: escape(start=(0.0, 0.0)), r"start must have shape \(1,\) or \(64, 1\)"),
    "a start that is not finite": (lambda: escape(start=(np.nan,)), "start must be finite"),
    "a start that is no number": (lambda: simulate(start=["here"]), "start must be an array"),
    "a start outside the region": (lambda: escape(start=(0.5,)), "start must lie inside region"),
    "a start in the target": (
        lambda: ss.first_passage(CHAIN, [-1.0], target=LEFT, horizon=1.0, trajectories=8),
        "start must lie outside target",
    ),
    "a start in the avoided set": (
        lambda: ss.first_passage(CHAIN, [-1.0], target=~LEFT, avoid=LEFT, horizon=1.0, trajectories=8),
        "start must lie outside avoid",
    ),
    "a loss that is not finite": (lambda: escape(chain=on(NAN_AT_START)), "start must have a finite loss"),
    "a gradient that is not finite": (lambda: simulate(chain=on(KINK), start=[0.0]), "finite gradient"),
    "horizon negative": (lambda: escape(horizon=-1.0), r"horizon must be a positive number.*got -1\.0"),
    "horizon infinite": (lambda: escape(horizon=np.inf), "horizon must be a positive number"),
    "horizon a word": (lambda: escape(horizon="long"), "horizon must be a positive number"),
    "horizon below a step": (lambda: escape(horizon=1e-4), r"horizon must be at least one step dt = 0\.01"),
    "no trajectories": (lambda: escape(trajectories=0), "trajectories must be a whole number of at least 1, got 0"),
    "half a trajectory": (lambda: escape(trajectories=1.5), "trajectories must be a whole number"),
    "neither how many nor which": (lambda: escape(trajectories=None), "give either trajectories"),
    "precision and a number": (lambda: escape(rtol=0.1), "give either rtol or a number of trajectories"),
    "an option that moved": (lambda: escape(repetitions=32), r"passage\.Splitting\(repetitions=…\)"),
    "an option misspelt": (lambda: escape(trajectores=3), "unknown option 'trajectores'; did you mean 'trajectories'"),
    "a score given twice": (
        lambda: escape(score="auto", method=ss.passage.Splitting(score="auto")),
        "score must be given once",
    ),
    "rtol above one": (
        lambda: escape(rtol=10, trajectories=None),
        "rtol must be a finite number above 0 and below 1, got 10",
    ),
    "rtol zero": (lambda: escape(rtol=0.0, trajectories=None), "rtol must be a finite number above 0"),
    "confidence one": (lambda: escape(confidence=1.0), "confidence must lie strictly between 0 and 1"),
    "unknown monitoring": (lambda: escape(monitoring="often"), "monitoring must be 'discrete' or 'continuous'"),
    "a bridge over signs": (
        lambda: escape(chain=ss.EulerMaruyama(WARM, 0.01, "rademacher"), monitoring="continuous"),
        "monitoring='continuous' needs an EulerMaruyama chain with gaussian increments",
    ),
    "unknown method": (lambda: escape(method="magic"), "method must be 'auto', 'direct' or 'splitting', got 'magic'"),
    "a chain that is none": (lambda: ss.escape(WARM, [-1.0], LEFT, 1.0, trajectories=8), "chain must be a chain"),
    "a negative seed": (lambda: simulate(seed=-1), "seed must be a whole number from 0"),
    "complex states": (
        lambda: ss.integrate(CHAIN, jnp.array([[1 + 1j]]), 0, 1, 0, [0]),
        "^states must be real, got complex numbers",
    ),
    "a score that reads outside": (
        lambda: escape(score=lambda x: x[3]),
        "^score must not read outside its arrays, got index 3 on an axis of 1",
    ),
    "a misspelt method": (lambda: escape(method="spliting"), "got 'spliting'; did you mean 'splitting'"),
    "a method's score that is no function": (
        lambda: ss.passage.Automatic(score=3),
        "score must be a function of θ, or of θ and t, 'level' or 'auto', got 3",
    ),
    "all the state of no chain": (lambda: ss.chains.WholeState(3), "chain must be a chain, such as"),
    "a seed that is no integer": (lambda: simulate(seed=0.5), "seed must be a whole number"),
    "no steps": (lambda: simulate(steps=0), "steps must be a whole number of at least 1, got 0"),
    "too many steps": (lambda: simulate(steps=2**32 + 1), r"steps must be at most 2\*\*32"),
    "save_every that does not divide": (lambda: simulate(save_every=3), "save_every must divide steps = 4, got 3"),
    "a negative id": (lambda: simulate(trajectories=None, trajectory_ids=[-1]), "trajectory_ids must lie from 0"),
    "ids and a number": (lambda: simulate(trajectory_ids=[1]), "got both"),
    "states of another shape": (
        lambda: ss.integrate(CHAIN, jnp.zeros((3, 1)), 0, 2, 0, [0, 1]),
        r"states must have shape \(2, 1\)",
    ),
    "times beyond the horizon": (lambda: escaped().survival([2.0]), "times must lie from 0 to the horizon"),
    "survival at a word": (lambda: escaped().survival("all"), "times must be real numbers, got 'all'"),
    "a solver of a chain": (lambda: ss.reference.FokkerPlanck(CHAIN, (-2, 2, 50)), "diffusion must be a diffusion"),
    "a solver's region that is none": (lambda: solver().mean_exit_time(0.5), "region must be a region"),
    "a solver's region of another dim": (
        lambda: solver().mean_exit_time(ss.regions.Ball([0.0, 0.0], 1.0)),
        "region must live in dim = 1",
    ),
    "a solver's start that is a word": (lambda: solver().mean_exit_time(LEFT, "here"), "start must be real numbers"),
    "a curvature that is a word": (lambda: ss.landscapes.TwoWells("sharp"), "sharp_curvature must be .*, got 'sharp'"),
    "a Hessian that is a word": (lambda: ss.landscapes.Quadratic("I"), "hessian must be an array of numbers"),
    "a radius of the theory": (
        lambda: ss.theory.outside_probability(WARM, [-1.0], "small", 1.0),
        "radius must be a finite number above 0, got 'small'",
    ),
    "more successes than trials": (lambda: ss.statistics.clopper_pearson(5, 3), "successes must lie from 0 to trials"),
    "occupancy of nothing": (lambda: occupancy(regions=None), "give either regions or minima, got neither"),
    "regions and minima": (lambda: occupancy(minima=[[1.0]]), "give either regions or minima, got both"),
    "a rule for regions": (lambda: occupancy(basins="quench"), "basins and height choose a rule for minima"),
    "regions without names": (lambda: occupancy(regions=[LEFT]), "regions must be names with a region each"),
    "a region by name that is none": (lambda: occupancy(regions={"a": 1}), r"regions\['a'\] must be a region"),
    "an unknown rule": (
        lambda: occupancy(regions=None, minima=[[1.0]], basins="near"),
        r"basins must be 'quench', 'nearest' or 'sublevel', or an object such as SublevelBasins\(height\), got 'near'",
    ),
    "a misspelt rule": (
        lambda: occupancy(regions=None, minima=[[1.0]], basins="quensh"),
        "got 'quensh'; did you mean 'quench'",
    ),
    "a sublevel without height": (
        lambda: occupancy(regions=None, minima=[[1.0]], basins="sublevel"),
        "height is the loss above a minimum",
    ),
    "a maximum as minimum": (
        lambda: occupancy(regions=None, minima=[[1.0], [0.0]]),
        r"minima\[1\] must be a minimum, got a maximum at \[0\.\]",
    ),
    "a height beside an object": (
        lambda: occupancy(regions=None, minima=[[1.0]], basins=ss.stationary.SublevelBasins(0.5), height=0.5),
        "height goes with the name of a rule",
    ),
    "a height that is none": (lambda: ss.stationary.SublevelBasins(-1.0), "height must be a finite number above 0"),
    "a reduction that is none": (
        lambda: ss.reduce(CHAIN, [-1.0], max, times=[1.0], trajectories=8),
        "reduction must be an AbstractReduction",
    ),
    "neither times nor horizon": (lambda: occupancy(times=None), "give either times or a horizon, got neither"),
    "a burn-in with times": (lambda: occupancy(burn_in=1.0), "burn_in and every belong to a horizon"),
    "times that fall": (lambda: occupancy(times=[1.0, 0.5]), "times must be rising and at least 0"),
    "times that are words": (lambda: occupancy(times=["soon"]), "times must be finite SDE times"),
    "a burn-in past the horizon": (
        lambda: occupancy(times=None, horizon=1.0, burn_in=2.0),
        "horizon must leave at least 8 looks after burn_in",
    ),
    "a histogram without bins": (lambda: ss.histogram(CHAIN, [-1.0], horizon=2.0, trajectories=8), "bins must be"),
    "bins of the wrong order": (
        lambda: ss.histogram(CHAIN, [-1.0], bins=(1, 0, 5), horizon=2.0, trajectories=8),
        "bins must have low < high",
    ),
    "an observable of three values": (
        lambda: ss.histogram(CHAIN, [-1.0], lambda x: jnp.ones(3), (0, 1, 5), horizon=2.0, trajectories=8),
        r"observable must have one value or two, of shape \(2,\), got shape \(3,\)",
    ),
    "a histogram of one": (
        lambda: ss.histogram(CHAIN, [-1.0], bins=(0, 1, 5), horizon=2.0, trajectories=1),
        "trajectories must be at least 2",
    ),
    "a shape of no noise": (lambda: ss.noise.IsotropicOf(2.0), "noise must be a model of sde_sgd.noise, .* got 2.0"),
    "a direction of nothing": (
        lambda: ss.noise.LeadingOf(ONE, "loss"),
        "direction must be 'covariance' or 'hessian', got 'loss'",
    ),
    "momentum of one": (
        lambda: momentum(momentum=1.0),
        "momentum must be a single number of at least 0 and below 1, got 1.0",
    ),
    "a schedule with momentum": (
        lambda: momentum(learning_rate=lambda count: 0.1),
        "learning_rate must be a number above 0, got a schedule",
    ),
    "momentum without noise": (lambda: momentum(noise=None), "noise must be a model of sde_sgd.noise"),
    "no friction": (
        lambda: ss.diffusions.UnderdampedLangevin(L1, 0.1, 0.0),
        "friction must be a finite number above 0, got 0.0",
    ),
    "a velocity for an overdamped equation": (
        lambda: ss.chains.Underdamped(WARM, 0.01),
        "diffusion must be an underdamped one, such as LangevinMomentumSGD",
    ),
    "an overdamped chain of a velocity": (
        lambda: ss.EulerMaruyama(momentum()),
        "diffusion must be a diffusion, such as LangevinSGD",
    ),
    "a grid for a velocity": (
        lambda: ss.reference.FokkerPlanck(momentum(), (-2, 2, 50)),
        "diffusion must be a diffusion",
    ),
    "underdamped without dt": (
        lambda: ss.chains.Underdamped(ss.diffusions.UnderdampedLangevin(L1, 0.1, 1.0)),
        "dt must be given for UnderdampedLangevin",
    ),
    "alpha above two": (lambda: ss.chains.LevyEuler(WARM, 2.5, 0.1), "alpha must be a number from 0.5 to 2, got 2.5"),
    "alpha a word": (lambda: ss.random.Stable("steep"), "alpha must be a number from 0.5 to 2, got 'steep'"),
    "stable noise by its root of dt": (
        lambda: ss.EulerMaruyama(WARM, 0.1, ss.random.Stable(1.5)),
        "increments must have mean 0 and variance 1 .* chains.LevyEuler",
    ),
    "a bridge over jumps": (
        lambda: escape(chain=ss.chains.LevyEuler(WARM, 1.5, 0.1), monitoring="continuous"),
        "needs an EulerMaruyama chain with gaussian increments, .* got LevyEuler with Stable",
    ),
    "an unknown outcome": (lambda: escaped().count("lost"), "outcome must be one of running, diverged, target, avoid"),
}

BAD |= BEYOND


def raised(call) -> list[str]:
    try:
        call()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["nothing", ""]


if __name__ == "__main__":
    json.dump({name: raised(call) for name, (call, _) in BAD.items()}, sys.stdout)
