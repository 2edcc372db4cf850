"""Everything that uses only NumPy arrays: blocks, threads, BLAS, random draws, and the numerical kernels of the operations.

Nothing here may import tensors, autograd or operations (a contract of import-linter).
"""
