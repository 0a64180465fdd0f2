"""Mutation score of `rating/`: `python -m tests.mutation [--module tiers] [--sample 200] [--minutes 30]`.

The tests are collected once. Then each mutant gets a fork in which the code of one function is exchanged, and runs the
tests that come by this function, the quickest first, until one fails. A mutant that no test notices has survived: a
test is missing, or the mistake makes no difference.
"""

import argparse
import os
import sys

import pytest

from tests.mutation.runner import Options, Runner

SLOW = ("tests/rating/test_properties_reference.py",)


def main() -> int:
    """Run all mutants and write what survived and the score; 1 if it is below the minimum."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--module", action="append", default=[], help="files of rating/ by name; all unless given")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants at random; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--minutes", type=int, default=60, help="no new mutant after so long")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="forks at once")
    parser.add_argument("--score-min", type=int, default=85, help="per cent")
    parser.add_argument("--tests", nargs="*", default=["tests/rating"], help="files or folders")
    given = parser.parse_args()
    options = Options(tuple(given.module), given.sample, given.seed, given.minutes * 60, given.jobs)
    runner = Runner(options)
    left_out = [f"--ignore={path}" for path in SLOW]
    code = pytest.main(["-q", "--timeout=0", *left_out, *given.tests], [runner])
    if runner.score is None:
        return int(code) or 1
    return int(runner.score * 100 < given.score_min)


if __name__ == "__main__":
    sys.exit(main())
