"""Networks that approximate any function, built by hand, not trained: web chapter 4.

Step neurons make bumps, bumps of several inputs make towers, and a weighted sum of
bumps or towers is any continuous function, as closely as one likes.
"""

from jaxnet.universality.approximation import approximate as approximate
from jaxnet.universality.approximation import error_bound as error_bound
from jaxnet.universality.pieces import bump as bump
from jaxnet.universality.pieces import stacked as stacked
from jaxnet.universality.pieces import steps as steps
from jaxnet.universality.pieces import tower as tower
from jaxnet.universality.pieces import weighted as weighted
