"""Data for training: read from files, split in three parts, augmented, described.

`load_mnist` reads the MNIST that comes with jaxnet, and `load_data` your own data in
any of the formats; a file is read completely or rejected with its name. `expand`,
`rotations` and `elastic` make more training data from the same images.
"""

from jaxnet.datasets.arrays import Split as Split
from jaxnet.datasets.arrays import split_arrays as split_arrays
from jaxnet.datasets.augment import distort as distort
from jaxnet.datasets.augment import elastic as elastic
from jaxnet.datasets.augment import expand as expand
from jaxnet.datasets.augment import rotate as rotate
from jaxnet.datasets.augment import rotations as rotations
from jaxnet.datasets.augment import shift as shift
from jaxnet.datasets.csv import read_csv as read_csv
from jaxnet.datasets.files import DataError as DataError
from jaxnet.datasets.formats import Examples as Examples
from jaxnet.datasets.formats import Source as Source
from jaxnet.datasets.formats import load_data as load_data
from jaxnet.datasets.formats import load_mnist as load_mnist
from jaxnet.datasets.idx import MNIST_SHA256 as MNIST_SHA256
from jaxnet.datasets.idx import checksums as checksums
from jaxnet.datasets.idx import mnist_folder as mnist_folder
from jaxnet.datasets.idx import read_idx as read_idx
from jaxnet.datasets.inspection import as_text as as_text
from jaxnet.datasets.inspection import describe as describe
from jaxnet.datasets.inspection import oddities as oddities
from jaxnet.datasets.npz import read_npz as read_npz
from jaxnet.datasets.picture_folders import read_folder as read_folder
