"""Tells whether a gradient is correct, and if not, which equation it breaks and where.

For any functions: `check_gradient`, `check_vjp` and `check_jvp` compare derivatives
with JAX's and with differences, `compare_gradients` two functions with one another.
For the gradient of a network, in any form of `jaxnet.forms`: `diagnose` names the
equations of chapter 2 that it breaks, `examine` does all that `python -m jaxnet
compare` reports. The result of each prints as a short table.
"""

from jaxnet.compare.candidate import Candidate as Candidate
from jaxnet.compare.candidate import CandidateError as CandidateError
from jaxnet.compare.comparison import Comparison as Comparison
from jaxnet.compare.comparison import Leaf as Leaf
from jaxnet.compare.comparison import compare_gradients as compare_gradients
from jaxnet.compare.comparison import tolerance_for as tolerance_for
from jaxnet.compare.diagnosis import Equation as Equation
from jaxnet.compare.diagnosis import diagnose as diagnose
from jaxnet.compare.edge_points import probe as probe
from jaxnet.compare.examination import Examination as Examination
from jaxnet.compare.examination import examine as examine
from jaxnet.compare.functions import Check as Check
from jaxnet.compare.functions import assert_gradients_match as assert_gradients_match
from jaxnet.compare.functions import check_gradient as check_gradient
from jaxnet.compare.functions import check_jvp as check_jvp
from jaxnet.compare.functions import check_vjp as check_vjp
from jaxnet.forms import ShapeError as ShapeError
