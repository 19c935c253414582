"""The claims of the paper's abstract, one study and more for each, judged by computed verdicts, as one HTML report."""

from .._exports import names_in as _names_in
from . import claims as claims
from ._backwards import sensible_processes as sensible_processes
from ._cells import Cells as Cells
from ._claim import AbstractClaim as AbstractClaim
from ._claim import Size as Size
from ._claim import all_claims as all_claims
from ._claim import register as register
from ._judgement import Answer as Answer
from ._judgement import Finding as Finding
from ._judgement import Verdict as Verdict
from ._judgement import judge as judge
from ._judgement import together as together
from ._run import Judged as Judged
from ._run import Reproduction as Reproduction
from ._run import judged_by as judged_by
from ._run import reproduce as reproduce

__all__ = _names_in(vars())
