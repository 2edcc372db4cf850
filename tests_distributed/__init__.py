"""torch.distributed under both libraries: the same program, with the same number of processes, and every rank's results
compared.
"""
