"""The figures that the command line draws, with matplotlib (the extra `figures`).

Each function takes numbers, writes a picture and returns its path: nothing is trained,
measured or read from files here. A figure of your own begins with `blank` and ends with
`save`, as those of the scripts do.
"""

from jaxnet.figures.canvas import blank as blank
from jaxnet.figures.canvas import check_can_save as check_can_save
from jaxnet.figures.canvas import images as images
from jaxnet.figures.canvas import save as save
from jaxnet.figures.comparison import gradient_comparison as gradient_comparison
from jaxnet.figures.network import confusion as confusion
from jaxnet.figures.network import digits as digits
from jaxnet.figures.network import weights as weights
from jaxnet.figures.pictures import pieces as pieces
from jaxnet.figures.pictures import stages as stages
from jaxnet.figures.training import curves as curves
from jaxnet.figures.training import learning as learning
from jaxnet.figures.training import sweep as sweep
