"""Manual beside automatic gradients: the comparison, and what it says of one's own.

`compare_gradients` takes any two functions, `diagnose` a gradient of a network, and
`check_gradient` does all that `python -m jaxnet compare` reports.
"""

from jaxnet.compare.candidate import CandidateError as CandidateError
from jaxnet.compare.candidate import Prepared as Prepared
from jaxnet.compare.check import GradCheck as GradCheck
from jaxnet.compare.check import check_gradient as check_gradient
from jaxnet.compare.diagnosis import Equation as Equation
from jaxnet.compare.diagnosis import diagnose as diagnose
from jaxnet.compare.diagnosis import probe as probe
from jaxnet.compare.leaves import Comparison as Comparison
from jaxnet.compare.leaves import ShapeError as ShapeError
from jaxnet.compare.leaves import compare_gradients as compare_gradients
from jaxnet.compare.leaves import tolerance_for as tolerance_for
