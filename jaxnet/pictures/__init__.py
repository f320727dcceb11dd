"""Photographs of digits brought to MNIST's form: chapters 1.4 and 1.5.

`read_picture` finds the grey levels in a file, `prepare` makes MNIST's image of a
picture of one digit, and `segment` finds the digits of a line. They need Pillow (the
extra `images`).
"""

from jaxnet.pictures.preparing import Stages as Stages
from jaxnet.pictures.preparing import prepare as prepare
from jaxnet.pictures.reading import Grey as Grey
from jaxnet.pictures.reading import read_picture as read_picture
from jaxnet.pictures.segmentation import Classify as Classify
from jaxnet.pictures.segmentation import Piece as Piece
from jaxnet.pictures.segmentation import segment as segment
