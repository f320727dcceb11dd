"""Gradient functions in whatever form people write them, used as jaxnet's own.

They may take lists of pairs, a network with `weights` and `biases`, or a dictionary, in
JAX, NumPy or PyTorch, a mini-batch or one example, and return what suits them.
`gradient_of` calls any of them; `as_layers` reads any result.
"""

from jaxnet.forms.calls import Way as Way
from jaxnet.forms.calls import gradient_of as gradient_of
from jaxnet.forms.calls import ways as ways
from jaxnet.forms.results import ShapeError as ShapeError
from jaxnet.forms.results import as_layers as as_layers
from jaxnet.forms.results import name_of as name_of
from jaxnet.forms.results import read as read
