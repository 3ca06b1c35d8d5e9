"""How long tests wait for what must come."""

PATIENCE = 180.0
"""Seconds after which a wait has failed, however slow and busy the machine is. Who passes never waits so long."""

BUSY = 60.0
"""Seconds a server's writers wait for each other: the most there may be, since tests share two cores."""
