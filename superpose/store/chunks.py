"""One chunk, one file: a block of one array. zarr writes it; it is read here, so that every error names the file.

    file = zstd(little-endian rows) + crc32c of those bytes       (Zarr v3 codecs: bytes, zstd, crc32c)

Reading 10^4 small chunks takes 0.4 s so, and 5 s through zarr. Any other reader of Zarr v3 reads the same files.
"""

from pathlib import Path

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from superpose.labels import Variable, fill_value
from superpose.store import metadata
from superpose.store.errors import DamageError, damaged, explained
from superpose.store.files import Folder, opener
from superpose.store.files import write as write_file
from superpose.store.schema import encode

WRITE_EMPTY = {"array.write_empty_chunks": True}
CHECKSUM_BYTES = 4


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
            with open(path, "rb", opener=opener) as file:
                data = file.read()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise damaged(path, "is missing") from error
        except IsADirectoryError as error:
            raise damaged(path, "is a folder") from error
    body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    if not body or google_crc32c.value(body) != int.from_bytes(checksum, "little"):
        raise damaged(path, "is cut short or altered (its CRC32C differs)")
    try:
        values = np.frombuffer(Zstd().decode(body), np.dtype(dtype).newbyteorder("<"))
    except (RuntimeError, ValueError, MemoryError) as error:
        raise damaged(path, "is no chunk of Zstandard") from error
    if values.size != np.prod(shape, dtype=int):
        raise damaged(path, f"holds {values.size} values, not the {np.prod(shape, dtype=int)} of {shape}")
    return values.astype(dtype, copy=False).reshape(shape)


def put(path: Path, values: np.ndarray) -> None:
    """Write a whole array as one chunk file, as `read` and any reader of Zarr read it."""
    body = Zstd().encode(np.ascontiguousarray(values, values.dtype.newbyteorder("<")))
    write_file(path, bytes(body) + google_crc32c.value(bytes(body)).to_bytes(CHECKSUM_BYTES, "little"))


def fits(array: Path, variable: Variable, chunk: tuple[int, ...], rows: int, *, sealed: bool = True) -> bool:
    """Whether the array's zarr.json is as it was written, and describes these chunks and at least `rows` rows.

    `sealed`: whether one without a seal, as arrays of the format before this one have, is none of these.
    """
    try:
        found = metadata.get(array / metadata.FILE, sealed=sealed)
        same_type = found["data_type"] == np.dtype(variable.dtype).name
        same_chunks = found["chunk_grid"]["configuration"]["chunk_shape"] == list(chunk)
        return same_type and same_chunks and found["shape"][1:] == list(chunk[1:]) and found["shape"][0] >= rows
    except (DamageError, ValueError, LookupError, TypeError):
        return False


def reach(group: Path, name: str, variable: Variable, block_rows: int, rows: int) -> None:
    """Make an array at least `rows` rows long, creating or mending its zarr.json where need be. No chunk is touched."""
    file, chunk = group / name / metadata.FILE, (block_rows, *variable.shape)
    if fits(group / name, variable, chunk, rows):
        return
    if fits(group / name, variable, chunk, 0):
        metadata.put(file, metadata.get(file, sealed=True) | {"shape": [rows, *variable.shape]})
    else:
        create(group, name, ("model", *variable.dims), (rows, *variable.shape), chunk, variable)


def create(
    group: Path, name: str, dims: tuple[str, ...], shape: tuple[int, ...], chunks: tuple[int, ...], variable: Variable
) -> None:
    """The zarr.json of an array in a Zarr group, of the type and with the attributes of `variable`."""
    made = zarr.create_array(
        MemoryStore(),
        shape=shape,
        chunks=chunks,
        dtype=variable.dtype,
        fill_value=fill_value(variable.dtype),
        compressors=(ZstdCodec(), Crc32cCodec()),
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=dims,
        attributes=encode(variable.attributes),
    )
    metadata.put(group / name / metadata.FILE, made.metadata.to_dict())


def write(group: Path, name: str, variable: Variable, block_rows: int, block: int, values: np.ndarray) -> None:
    """Write the chunks from `block` on: `values` (row, *own), filled up to whole chunks with the fill value.

    Raises:
        DamageError: the array's zarr.json is missing or unreadable.
    """
    rows = max(-(-len(values) // block_rows), 1) * block_rows
    first = block * block_rows
    if not fits(group / name, variable, (block_rows, *variable.shape), first + rows, sealed=False):
        raise damaged(group / name / metadata.FILE, "is missing or altered")
    filled = np.full((rows, *variable.shape), fill_value(variable.dtype), variable.dtype)
    filled[: len(values)] = values
    with zarr.config.set(WRITE_EMPTY):
        zarr.open_array(Folder(group), path=name, mode="r+")[first : first + rows] = filled
