"""Plants a mutant in a process that a test has started: Python imports this module before anything else."""

import os

if "MUTANT" in os.environ:
    from parity_tests.mutation import server
    from parity_tests.mutation.mutants import code_of, mutants_of

    file, _, number = os.environ["MUTANT"].rpartition(":")
    server.plant(file, code_of(mutants_of(file)[int(number)]))
