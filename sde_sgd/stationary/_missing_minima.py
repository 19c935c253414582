"""Minima that were not given and hold trajectories back: what exploration finds around those that were."""

import numpy as np

from .._errors import show
from ..chains import AbstractChain
from ..landscapes import Exploration, explore
from ..landscapes._affordable import affordable_climbs
from ..results import Status
from ._minima_graph import MinimaGraph
from ._unvisited import slow_basins

# temperatures above the highest saddle between those given up to which all others are looked for, and up to which those
# count that climbs see by the way
_MARGIN, _FURTHER = 10.0, 40.0
# of the stationary law; less does not count as missing
_SHARE = 1e-3
# temperatures in the lowest barrier, where the noise has none of its own
_BARRIER = 8.0


def missing_minima(chain: AbstractChain, graph: MinimaGraph, seed: int) -> list[tuple[Status, str]]:
    """What is to be said of slow basins that hold none of the given minima and a thousandth of the law or more.

    They are looked for from the first minimum up to ten temperatures above the highest saddle between those given, and
    what climbs see up to forty above it counts. Where it cannot be explored that is said. seed: of the searches.
    """
    landscape, points = graph.landscape, graph.points
    known = chain.gibbs_temperature
    temperature = float(np.min(graph.barriers)) / _BARRIER if known is None else float(known)
    height, further = (graph.top - points[0].loss + each * temperature for each in (_MARGIN, _FURTHER))

    def up_to(height: float) -> Exploration:
        return explore(landscape, points[0].location, height=height, max_searches=climbs, seed=seed, progress=False)

    try:
        climbs = affordable_climbs(landscape, points[0].location)
        found = up_to(height)
        searches, searched_to = found.searches, found.searched_to
        if found.lowest_above - points[0].loss < further:
            found = up_to(further)
    except ValueError as error:
        return [(Status.INCOMPLETE, f"further minima were not looked for: {error}")]
    groups, shares = slow_basins(found, further, temperature, float(np.asarray(chain.time_step)))
    given = {found.number_of(point) for point in points}
    findings = []
    for group, share in zip(groups, shares, strict=True):
        if group.isdisjoint(given) and share >= _SHARE:
            number = min(group, key=lambda each: found.minima[each].loss)
            point = found.minima[number]
            words = (
                f"minima lack one at {show(point.location)}, with loss {point.loss:.4g} and reached over a saddle at "
                f"{found.passes[number]:.4g}: by the weights exp(−L/T)/√det ∇²L it holds {share:.2g} of the law"
            )
            findings.append((Status.INCOMPLETE, words))
    if searched_to < height:
        words = (
            f"{searches} climbs searched for further minima up to {searched_to:.4g} above "
            f"{graph.names[0]}, not to the {height:.4g} that matter"
        )
        findings.append((Status.INCOMPLETE, words))
    return findings
