"""The ways in for a listen socket, and the one that the servers of the running test are to have."""

import os
from typing import Literal

import msgspec

from engine.config import Config

Lane = Literal["on", "off"]

SETTING = "LISTEN_LANE"
WAYS: dict[str, Lane] = {"lane": "on", "http": "off"}


def lane_setting() -> Lane:
    """`Config.lane` for this test: its mark's, or the default."""
    setting: Lane = msgspec.convert(os.environ.get(SETTING, Config().lane), Lane)
    return setting
