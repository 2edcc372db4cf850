"""torch.distributed under both libraries: one text, run by as many processes, and every rank's results compared."""
