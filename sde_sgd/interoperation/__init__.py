"""Interoperation: diffusions as terms of diffrax, saved paths as the samples that arviz takes."""

from .._exports import names_in as _names_in
from ._diffrax import to_diffrax as to_diffrax
from ._samples import to_samples as to_samples

__all__ = _names_in(vars())
