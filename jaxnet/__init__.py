"""Neural Networks and Deep Learning, the book, as pure functions in JAX."""

__version__ = "0.1.0"

import pkgutil
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

# `python -m jaxnet` imports this first. An interrupt ends it without a traceback.
if sys.argv[:1] == ["-m"]:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

from jaxnet import fast as fast
from jaxnet.activations import Activation as Activation
from jaxnet.activations import linear as linear
from jaxnet.activations import relu as relu
from jaxnet.activations import sigmoid as sigmoid
from jaxnet.activations import softmax as softmax
from jaxnet.activations import tanh as tanh
from jaxnet.costs import Cost as Cost
from jaxnet.costs import cross_entropy as cross_entropy
from jaxnet.costs import linear_quadratic as linear_quadratic
from jaxnet.costs import log_likelihood as log_likelihood
from jaxnet.costs import quadratic as quadratic
from jaxnet.datasets import DataError as DataError
from jaxnet.datasets import Split as Split
from jaxnet.datasets import load_mnist as load_mnist
from jaxnet.descent import descend as descend
from jaxnet.gradients import autodiff as autodiff
from jaxnet.gradients import backprop as backprop
from jaxnet.gradients import errors as errors
from jaxnet.gradients import loss as loss
from jaxnet.layers import Convolution as Convolution
from jaxnet.layers import Dataset as Dataset
from jaxnet.layers import Layer as Layer
from jaxnet.layers import MaxPool as MaxPool
from jaxnet.layers import Params as Params
from jaxnet.metrics import accuracy as accuracy
from jaxnet.metrics import confusion_matrix as confusion_matrix
from jaxnet.metrics import layer_speeds as layer_speeds
from jaxnet.metrics import monitor as monitor
from jaxnet.metrics import total_cost as total_cost
from jaxnet.network import Image as Image
from jaxnet.network import convolution as convolution
from jaxnet.network import forward as forward
from jaxnet.network import init as init
from jaxnet.network import large_layer as large_layer
from jaxnet.network import max_pool as max_pool
from jaxnet.network import predict as predict
from jaxnet.network import scaled_layer as scaled_layer
from jaxnet.regularization import without_dropout as without_dropout
from jaxnet.sgd import State as State
from jaxnet.sgd import epoch as epoch
from jaxnet.sgd import start as start
from jaxnet.sgd import step as step
from jaxnet.sgd import train as train
from jaxnet.static import name_defaults

if TYPE_CHECKING:
    from jaxnet import compare as compare
    from jaxnet.compare import compare_gradients as compare_gradients
    from jaxnet.compare import diagnose as diagnose
    from jaxnet.runs import load as load
    from jaxnet.runs import load_book_network as load_book_network
    from jaxnet.runs import save as save
    from jaxnet.runs import save_book_network as save_book_network

_LAZY = {
    "compare_gradients": "jaxnet.compare",
    "diagnose": "jaxnet.compare",
    "load": "jaxnet.runs",
    "load_book_network": "jaxnet.runs",
    "save": "jaxnet.runs",
    "save_book_network": "jaxnet.runs",
}

for _function in (Activation, init, start, step):
    name_defaults(_function)


def __getattr__(name: str) -> Any:
    """Import a subpackage, or one of its functions, at its first use."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in _submodules():
        return import_module(f"jaxnet.{name}")
    raise AttributeError(f"module 'jaxnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, including those that are not imported yet."""
    return sorted({*globals(), *_LAZY, *_submodules()})


def _submodules() -> list[str]:
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return [name for name in names if not name.startswith("_")]
