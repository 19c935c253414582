"""Gradient-noise models: σ(θ)ξ and V(θ) = σσᵀ, the covariance of one example's gradient."""

from .._exports import names_in as _names_in
from ._base import AbstractNoise as AbstractNoise
from ._base import check_noise as check_noise
from ._component_proportional import ComponentProportional as ComponentProportional
from ._constant_covariance import ConstantCovariance as ConstantCovariance
from ._diagonal import Diagonal as Diagonal
from ._diagonal_of import DiagonalOf as DiagonalOf
from ._from_function import FromFunction as FromFunction
from ._hessian_of import HessianOf as HessianOf
from ._hessian_proportional import HessianProportional as HessianProportional
from ._isotropic import Isotropic as Isotropic
from ._isotropic_of import IsotropicOf as IsotropicOf
from ._leading_of import LeadingOf as LeadingOf
from ._loss_proportional import LossProportional as LossProportional
from ._per_example import PerExample as PerExample
from ._shaped import AbstractShapedNoise as AbstractShapedNoise

__all__ = _names_in(vars())
