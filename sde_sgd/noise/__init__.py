"""Gradient-noise models: σ(θ)ξ and V(θ) = σσᵀ, the covariance of one example's gradient."""

from .._exports import names_in as _names_in
from ._models import AbstractNoise as AbstractNoise
from ._models import ConstantCovariance as ConstantCovariance
from ._models import Diagonal as Diagonal
from ._models import FromFunction as FromFunction
from ._models import HessianProportional as HessianProportional
from ._models import Isotropic as Isotropic
from ._models import LossProportional as LossProportional
from ._per_example import PerExample as PerExample

__all__ = _names_in(vars())
