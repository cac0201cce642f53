"""The table of models on disk: create, grow, write a block, find what is missing, lock, verify, load, merge.

    models.zarr/                        attributes: the identity of every variant and its hash
      <variant>/                        attributes: the record (axes, tile, parts ...), written last whenever it changes
        sparsity/  ...  seed/           columns (model,); an unused row has seed -1
          copies/                       in seed: what repair=true writes the metadata and coordinates from again
        W/  loss/  ...                  (model, *own)
        done/  <measure>_done/          (model,): what is written, part by part
    .locks/                             beside it: the table's lock, and one lock per shard
    .<name>.sha256                      beside it: checksums of config.yaml and of arrays.zarr

A block is a run of `block_rows` rows, one chunk (one file `c.<block>.0...`) of each array. A table grows by appending
blocks; what is written never moves. A block's files are on the disk before its `done` is, so a kill costs the blocks in
training: those of up to two tiles for each device.
"""

from superpose.store.copies import copy
from superpose.store.damage import Damage, verify
from superpose.store.drop import drop
from superpose.store.errors import Busy, DamageError, StoreError
from superpose.store.loading import load, load_rows, load_table, write_arrays
from superpose.store.merge import merge
from superpose.store.schema import MODELS, Schema
from superpose.store.store import Store

__all__ = [
    "MODELS",
    "Busy",
    "Damage",
    "DamageError",
    "Schema",
    "Store",
    "StoreError",
    "copy",
    "drop",
    "load",
    "load_rows",
    "load_table",
    "merge",
    "verify",
    "write_arrays",
]
