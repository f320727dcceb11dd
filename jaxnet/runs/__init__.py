"""Trained networks on the disk.

A run is a folder that `begin` and `resume` write, from which `networks` and
`load_network` read; however the process ends, `resume` continues to the same bits. A
network is also a file of the book's second program, a function for other programs, or a
page to draw digits on.
"""

from jaxnet.experiments.files import StorageError as StorageError
from jaxnet.experiments.runner import Record as Record
from jaxnet.runs.arrays import load as load
from jaxnet.runs.arrays import save as save
from jaxnet.runs.book import BookNetwork as BookNetwork
from jaxnet.runs.book import load_book_network as load_book_network
from jaxnet.runs.book import save_book_network as save_book_network
from jaxnet.runs.export import load_function as load_function
from jaxnet.runs.export import save_function as save_function
from jaxnet.runs.export import save_onnx as save_onnx
from jaxnet.runs.export import save_page as save_page
from jaxnet.runs.run import METRICS as METRICS
from jaxnet.runs.run import Run as Run
from jaxnet.runs.run import TrainedNetwork as TrainedNetwork
from jaxnet.runs.run import Writer as Writer
from jaxnet.runs.run import begin as begin
from jaxnet.runs.run import checksum as checksum
from jaxnet.runs.run import history as history
from jaxnet.runs.run import is_run as is_run
from jaxnet.runs.run import load_network as load_network
from jaxnet.runs.run import networks as networks
from jaxnet.runs.run import read as read
from jaxnet.runs.run import resume as resume
