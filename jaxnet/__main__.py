"""`python -m jaxnet`."""

import os
import signal
import sys

from jaxnet.cli import main


def run() -> None:
    """Run the command line and end the process with its exit code."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:  # from jaxnet/__init__
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = main()
    except KeyboardInterrupt:
        print("jaxnet: interrupted before anything was done", file=sys.stderr)
        code = 130
    if code == 130:  # XLA's threads may be compiling, and would crash at exit
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    run()
