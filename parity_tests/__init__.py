"""The comparison with torch, in layers: `bridge` converts between the libraries, only `adapter` uses torch's private tables,
`compare` explains why two results differ, `judging` runs a check and decides; `ops`, `modules` and `optimizers` run their tables,
and `sweep` is the command. `twin` runs one program under both libraries.

Programs outside use `adapter.entries` and `adapter.chosen`, `ops.run_entry` and `ops.Trial`, `bridge.tensors` and `bridge.array`.
"""
