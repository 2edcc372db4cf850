"""Rows of a table by index: embedding and embedding_bag."""
