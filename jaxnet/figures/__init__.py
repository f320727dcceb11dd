"""Figures from numbers, with matplotlib (the extra `figures`)."""

from jaxnet.figures.book import cost_of_gradients as cost_of_gradients
from jaxnet.figures.book import images as images
from jaxnet.figures.book import insights as insights
from jaxnet.figures.book import toy_neuron as toy_neuron
from jaxnet.figures.book import valley as valley
from jaxnet.figures.book import weights as weights
from jaxnet.figures.canvas import check_can_save as check_can_save
from jaxnet.figures.comparison import gradient_comparison as gradient_comparison
from jaxnet.figures.network import HARD_DIGITS as HARD_DIGITS
from jaxnet.figures.network import confusion as confusion
from jaxnet.figures.network import digits as digits
from jaxnet.figures.network import hidden_weights as hidden_weights
from jaxnet.figures.results import best_epochs as best_epochs
from jaxnet.figures.results import learning_curves as learning_curves
from jaxnet.figures.results import training_sizes as training_sizes
from jaxnet.figures.runs import curves as curves
from jaxnet.figures.sweeps import benchmark as benchmark
from jaxnet.figures.sweeps import sweep as sweep
