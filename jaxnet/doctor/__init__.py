"""Whether all is well: the machine, the data, and learning itself, in seconds.

`examine` asks everything that `python -m jaxnet doctor` reports.
"""

from jaxnet.doctor.examination import examine as examine
from jaxnet.doctor.finding import Finding as Finding
from jaxnet.doctor.finding import Trouble as Trouble
