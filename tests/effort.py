"""How much the tests of faults try: FAULTS=quick takes minutes; without it, or with FAULTS=full, all is tried."""

import os

EFFORT = os.environ.get("FAULTS", "full")
if EFFORT not in ("full", "quick"):
    raise ValueError(f"FAULTS must be full or quick, got {EFFORT!r}.")


def tries(full: int, quick: int) -> int:
    return quick if EFFORT == "quick" else full
