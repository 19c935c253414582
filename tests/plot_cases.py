"""What tests of figures share: two losses, a result's provenance, and how lines, bands and words are read off axes."""

import numpy as np
from matplotlib.figure import Figure

import sde_sgd as ss
from sde_sgd.results import Provenance

WELLS = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2, dim=1)
PLANE = ss.landscapes.Landscape(lambda x: (x[0] ** 2 - 1) ** 2 + 2 * x[1] ** 2 + 0.2 * x[0], dim=2)
BY = Provenance.of(3, "made", 10, 0.0)


def axes():
    return Figure().subplots()


def lines_of(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def band_of(ax, number=0):
    """x, low and high of a band."""
    points = ax.collections[number].get_paths()[0].vertices
    x = np.unique(points[:, 0])
    ends = [[points[points[:, 0] == each, 1].min(), points[points[:, 0] == each, 1].max()] for each in x]
    return x, *np.array(ends).T


def words_of(ax):
    return [text.get_text() for text in ax.texts]
