"""A tile that does not fit in a device's memory is halved, as long as no model of its table is done.

Another tile rounds differently, so a table keeps the one that its first block was trained with. Until then the table
may be laid out anew, by a shard that is alone with it: another would go on with blocks that are no more.
"""

import jax

from superpose.arguments import InputError
from superpose.config import Run
from superpose.console import Bar
from superpose.planning import Job, new_schema
from superpose.store import Busy, Store


def halve(run: Run, table: Store, job: Job, devices: list[jax.Device], bar: Bar, told: str) -> None:
    """Lay out the table of a job anew, for tiles of half as many models, and say so.

    Args:
        told: what did not fit, in words.

    Raises:
        InputError: it cannot be, or must not; the message says what to type.
    """
    models, told = table.schema(job.label).tile.models, f"{job.label}: {told}"
    if models == 1:
        raise InputError(f"{told} Type a smaller objective.batch, and name=ANOTHER.")
    schema, shard = new_schema(run, job.label, devices, models // 2), (run.compute.shard, run.compute.shards)
    try:
        done = job.earlier is not None or not table.lay_out(job.label, schema.tile, schema.block_rows, *shard)
    except Busy as error:
        raise InputError(
            f"{told} The tile is halved by a shard that is alone with the table, and this one is not: {error} Start one"
            " task alone (compute.shard=0) until its first block is written, then all; or begin another table:"
            f" compute.tile={models // 2} name=ANOTHER."
        ) from error
    if done:
        raise InputError(
            f"{told} Models of this table are done, and it keeps its tile: another rounds differently. Free memory of"
            f" the device and give the same command, or begin another table: compute.tile={models // 2} name=ANOTHER."
        )
    for program in ("program", "resumed"):
        job.compiled.pop(program, None)
    bar.drop()
    bar.say(f"{told} Nothing is done yet: the table is laid out anew in tiles of {schema.tile.models}.")
