"""Small data sets for experiments: three of scikit-learn's, MNIST-1D, three that are made; nothing is downloaded."""

from .._exports import names_in as _names_in
from ._examples import Examples as Examples
from ._made import chebyshev as chebyshev
from ._made import gaussian as gaussian
from ._made import gaussian_moments as gaussian_moments
from ._mnist1d import mnist1d as mnist1d
from ._scikit_learn import breast_cancer as breast_cancer
from ._scikit_learn import diabetes as diabetes
from ._scikit_learn import digits as digits

__all__ = _names_in(vars())
