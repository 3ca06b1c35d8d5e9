"""Start-up: what earlier processes left in their journals goes to the database."""

from pathlib import Path

import msgspec

from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.store.applier import Applier
from engine.store.replay import Ending, replay

log = get_logger(__name__)


class Recovery(msgspec.Struct, frozen=True):
    """What was found. `torn` journals lacked the end of their last record; `kept` ones were not removed."""

    journals: int
    records: int
    torn: int
    kept: int


async def recover(folder: Path, applier: Applier, off_loop: OffLoop) -> Recovery:
    """Write every dead journal in `folder` to the database and remove it. Raises `OSError`.

    Cancellation leaves the journals that were not finished, to be replayed again.
    """
    journals = records = torn = kept = 0
    dead = replay(folder)
    try:
        while (found := await off_loop(next, dead, None)) is not None:
            path, reader = found
            accepted = await applier.apply_journal(reader, off_loop, died=True)
            journals += 1
            records += reader.records
            torn += reader.ending is Ending.TORN
            kept += await off_loop(_settle, path, reader.ending, accepted)
    finally:
        dead.close()
    if journals:
        log.info("journal.recovered", journals=journals, records=records, torn=torn, kept=kept)
    return Recovery(journals, records, torn, kept)


def _settle(path: Path, ending: Ending, accepted: bool) -> bool:
    """Remove a journal that was replayed; True when there was a reason to keep it."""
    if ending is Ending.NEWER:
        log.warning("journal.newer", path=str(path))
    elif ending is Ending.CORRUPT or not accepted:
        aside = path.with_name(path.name + (".corrupt" if accepted else ".rejected"))
        path.rename(aside)
        log.error("journal.kept_aside", path=str(aside))
    else:
        path.unlink(missing_ok=True)
        return False
    return True
