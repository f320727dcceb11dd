"""`python -m jaxnet doctor`: whether all is well, and what to do if it is not."""

import argparse
import json
import sys
import time
import warnings

from jaxnet.commands.options import Options
from jaxnet.doctor import Finding, examine

HELP = "check the installation, the data and learning itself, in seconds"
DESCRIPTION = (
    "Check what is installed, the device and its precision, the data, and that "
    "learning does what it must: costs as theory says, gradients that agree, a few "
    "examples learnt by heart, the same bits from the same key. A line for each check "
    "says what was found, and what to do if it is wrong. Exit code 0 if all is well, 1 "
    "if not."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The data, and the output."""
    Options(parser).data()
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check, print, and return the exit code."""
    began = time.perf_counter()
    findings: list[Finding] = []
    try:
        with warnings.catch_warnings():
            for finding in examine(args.data):
                findings.append(finding)
                if finding.check == "cache" and not finding.well:  # once is enough
                    warnings.filterwarnings("ignore", "Error .* compilation cache")
                if not args.json:
                    print(_line(finding), flush=True)
    except KeyboardInterrupt:
        done = f"interrupted after {len(findings)} checks"
        print(f"jaxnet doctor: {done}", file=sys.stderr)
        return 130
    seconds = time.perf_counter() - began
    wrong = [finding.check for finding in findings if not finding.well]
    if args.json:
        checks = [finding._asdict() for finding in findings]
        print(json.dumps({"well": not wrong, "seconds": seconds, "checks": checks}))
    elif wrong:
        print(f"{len(wrong)} of {len(findings)} checks failed: {', '.join(wrong)}.")
    else:
        print(f"All is well: {len(findings)} checks in {seconds:.1f} s.")
    return 1 if wrong else 0


def _line(finding: Finding) -> str:
    word = "ok" if finding.well else "WRONG"
    stop = "" if finding.found.endswith("?") else "."
    advice = f"{stop} {finding.advice}" if finding.advice else ""
    return f"{word:<7}{finding.check:<14}{finding.found}{advice}"
