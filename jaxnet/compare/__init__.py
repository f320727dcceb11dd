"""Tells whether a gradient is correct, and if not, which equation it breaks and where.

`compare_gradients` measures how far any two functions' gradients are apart, `diagnose`
names the equations of chapter 2 that the gradient of a network breaks, and
`check_gradient` does all that `python -m jaxnet compare` reports. Gradients under
examination, called candidates, may be written in JAX or NumPy.
"""

from jaxnet.compare.candidate import CandidateError as CandidateError
from jaxnet.compare.candidate import Prepared as Prepared
from jaxnet.compare.check import GradCheck as GradCheck
from jaxnet.compare.check import check_gradient as check_gradient
from jaxnet.compare.comparison import Comparison as Comparison
from jaxnet.compare.comparison import Leaf as Leaf
from jaxnet.compare.comparison import ShapeError as ShapeError
from jaxnet.compare.comparison import compare_gradients as compare_gradients
from jaxnet.compare.comparison import tolerance_for as tolerance_for
from jaxnet.compare.diagnosis import Equation as Equation
from jaxnet.compare.diagnosis import diagnose as diagnose
from jaxnet.compare.edge_points import probe as probe
