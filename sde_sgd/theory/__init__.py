"""What theory predicts: closed forms and short quadratures in float64, to lay beside a simulation."""

from .._exports import names_in as _names_in
from ._exit_exponent import exit_exponent as exit_exponent
from ._gibbs import gibbs_weights as gibbs_weights
from ._kramers import eyring_kramers as eyring_kramers
from ._kramers import spectral_gap as spectral_gap
from ._linearised import covariance_at as covariance_at
from ._linearised import outside_probability as outside_probability
from ._linearised import stationary_covariance as stationary_covariance
from ._minimum_action import MinimumAction as MinimumAction
from ._minimum_action import minimum_action as minimum_action
from ._ornstein_uhlenbeck import exit_probability as exit_probability
from ._poincare import poincare_bound as poincare_bound
from ._rate_equation import rate_equation as rate_equation
from ._rate_matrix import rate_matrix as rate_matrix
from ._risk import excess_risk as excess_risk
from ._weighted_chi2 import weighted_chi2_tail as weighted_chi2_tail

__all__ = _names_in(vars())
