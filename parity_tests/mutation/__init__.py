"""How much of the code the tests guard: mutants of it, each run against the tests that execute its line. See ``__main__``.

This package must be importable without mini_dl: the server imports everything else once, and each mutant imports mini_dl anew.
"""
