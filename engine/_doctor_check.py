"""What `listen doctor` says of one thing it looked at."""

from typing import Literal

import msgspec

__all__ = ["FAIL", "OK", "WARN", "Check"]

Status = Literal["ok", "warn", "fail"]
OK: Status = "ok"
WARN: Status = "warn"
FAIL: Status = "fail"


class Check(msgspec.Struct, frozen=True):
    """One thing looked at. `advice` is what to do, empty when there is nothing to do."""

    name: str
    status: Status
    detail: str
    advice: str = ""
