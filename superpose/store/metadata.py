"""zarr.json of a table's groups and arrays. JSON has no checksum, so that each holds a seal, of all else that it says:

    attributes.superpose_sha256 = sha256(canonical JSON of the document without it)

Arrays written before there were seals have none. Zarr keeps what it does not know among the attributes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superpose.store.errors import damaged, explained
from superpose.store.files import write
from superpose.store.identity import digest

FILE = "zarr.json"
SEAL = "superpose_sha256"


def group(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The zarr.json of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}


def with_seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its seal."""
    plain = {key: value for key, value in document["attributes"].items() if key != SEAL}
    content = {**document, "attributes": plain}
    return {**content, "attributes": {**plain, SEAL: digest(content)}}


def encoded(document: Mapping[str, Any]) -> bytes:
    """The document with its seal, as it is written."""
    return json.dumps(with_seal(document), indent=2).encode()


def put(path: Path, document: Mapping[str, Any]) -> None:
    """Write a zarr.json with its seal."""
    write(path, encoded(document))


def get(path: Path, *, sealed: bool) -> dict[str, Any]:
    """What a zarr.json says.

    Args:
        sealed: whether it must have a seal, as all have in a table of this format.

    Raises:
        DamageError: it is missing, no JSON, differs from its seal, or lacks it.
    """
    with explained(path):
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise damaged(path, "is missing") from error
        except IsADirectoryError as error:
            raise damaged(path, "is a folder") from error
    try:
        document = json.loads(text)
        seals = SEAL in document["attributes"]
        intact = not seals or document == with_seal(document)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, "is cut short or altered (it cannot be read)") from error
    if not intact:
        raise damaged(path, "is altered (its sha256 differs)")
    if sealed and not seals:
        raise damaged(path, "is altered (it has lost its sha256)")
    return document
