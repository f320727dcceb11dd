"""The book's experiments: its claims as data, and the code to run them.

An `Experiment` determines a run, except for its seed and data, and a `Runner` trains
many networks of it at once; `sweep` and `reproduce` are built on them. The
files that they write survive a process that is killed.
"""

from jaxnet.experiments.claims import CLAIMS as CLAIMS
from jaxnet.experiments.claims import Claim as Claim
from jaxnet.experiments.claims import Measure as Measure
from jaxnet.experiments.claims import Statistic as Statistic
from jaxnet.experiments.claims import claim_of as claim_of
from jaxnet.experiments.claims import recorded as recorded
from jaxnet.experiments.experiment import Experiment as Experiment
from jaxnet.experiments.experiment import OptionError as OptionError
from jaxnet.experiments.files import StorageError as StorageError
from jaxnet.experiments.reproduce import Result as Result
from jaxnet.experiments.reproduce import reproduce as reproduce
from jaxnet.experiments.reproduce import result as result
from jaxnet.experiments.runner import Epoch as Epoch
from jaxnet.experiments.runner import Network as Network
from jaxnet.experiments.runner import Record as Record
from jaxnet.experiments.runner import Runner as Runner
from jaxnet.experiments.runner import failed_classes as failed_classes
from jaxnet.experiments.runner import over_rows as over_rows
from jaxnet.experiments.runner import run as run
from jaxnet.experiments.sweep import RATES as RATES
from jaxnet.experiments.sweep import Trained as Trained
from jaxnet.experiments.sweep import curves as curves
from jaxnet.experiments.sweep import sweep as sweep
