"""One chunk, one file: a block of one array. zarr writes it; it is read here, so that every error names the file.

    file = zstd(little-endian rows) + crc32c of those bytes       (Zarr v3 codecs: bytes, zstd, crc32c)

Reading 10^4 small chunks takes 0.4 s so, and 5 s through zarr. Any other reader of Zarr v3 reads the same files.
"""

import json
import os
from pathlib import Path

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import Crc32cCodec, ZstdCodec

from superpose.labels import Variable, fill_value
from superpose.store.errors import damaged, explained
from superpose.store.files import Folder
from superpose.store.schema import encode

WRITE_EMPTY = {"array.write_empty_chunks": True}
CHECKSUM_BYTES = 4
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def chunk_path(array: Path, block: int, dims: int) -> Path:
    """The file of a block: c.<block>.0.0 for two dimensions of its own."""
    return array / ".".join(["c", str(block), *["0"] * dims])


def read(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """The rows in a chunk file.

    Raises:
        DamageError: the file is missing, its checksum is wrong, or it holds another number of values.
    """
    with explained(path):
        try:
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | NO_LINK)) as file:
                data = file.read()
        except FileNotFoundError as error:
            raise damaged(path, "is missing") from error
    body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    if len(checksum) < CHECKSUM_BYTES or google_crc32c.value(body) != int.from_bytes(checksum, "little"):
        raise damaged(path, "is cut short or altered (its CRC32C differs)")
    values = np.frombuffer(Zstd().decode(body), np.dtype(dtype).newbyteorder("<"))
    if values.size != np.prod(shape, dtype=int):
        raise damaged(path, f"holds {values.size} values, not the {np.prod(shape, dtype=int)} of {shape}")
    return values.astype(dtype, copy=False).reshape(shape)


def fits(array: Path, variable: Variable, block_rows: int, rows: int) -> bool:
    """Whether the array's zarr.json is there, can be read, and describes this variable with at least `rows` rows."""
    try:
        found = json.loads((array / "zarr.json").read_bytes())
        same_type = found["data_type"] == np.dtype(variable.dtype).name
        same_chunks = found["chunk_grid"]["configuration"]["chunk_shape"] == [block_rows, *variable.shape]
        return same_type and same_chunks and found["shape"][1:] == list(variable.shape) and found["shape"][0] >= rows
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError):
        return False


def reach(group: Path, name: str, variable: Variable, block_rows: int, rows: int) -> None:
    """Make an array at least `rows` rows long, creating or mending its zarr.json where need be. No chunk is touched."""
    if fits(group / name, variable, block_rows, rows):
        return
    shape = (rows, *variable.shape)
    if fits(group / name, variable, block_rows, 0):
        zarr.open_array(Folder(group), path=name, mode="r+").resize(shape)
    else:
        (group / name / "zarr.json").unlink(missing_ok=True)
        create(group, name, ("model", *variable.dims), shape, (block_rows, *variable.shape), variable)


def create(
    group: Path, name: str, dims: tuple[str, ...], shape: tuple[int, ...], chunks: tuple[int, ...], variable: Variable
) -> zarr.Array:
    """A new array in a Zarr group, of the type and with the attributes of `variable`."""
    return zarr.create_array(
        Folder(group),
        name=name,
        shape=shape,
        chunks=chunks,
        dtype=variable.dtype,
        fill_value=fill_value(variable.dtype),
        compressors=(ZstdCodec(), Crc32cCodec()),
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=dims,
        attributes=encode(variable.attributes),
    )


def write(group: Path, name: str, variable: Variable, block_rows: int, block: int, values: np.ndarray) -> None:
    """Write the chunks from `block` on: `values` (row, *own), filled up to whole chunks with the fill value.

    Raises:
        DamageError: the array's zarr.json is missing or unreadable.
    """
    rows = max(-(-len(values) // block_rows), 1) * block_rows
    first = block * block_rows
    if not fits(group / name, variable, block_rows, first + rows):
        raise damaged(group / name / "zarr.json", "is missing or altered")
    filled = np.full((rows, *variable.shape), fill_value(variable.dtype), variable.dtype)
    filled[: len(values)] = values
    with zarr.config.set(WRITE_EMPTY):
        zarr.open_array(Folder(group), path=name, mode="r+")[first : first + rows] = filled
