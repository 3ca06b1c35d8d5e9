"""A worker without a server, for tests of the supervisor: it says what it is told to, and waits for its end.

The environment names what it does when it has its assignment: LIGHT_FAILS says that it cannot start, LIGHT_CRASHES that
it ends by itself once all are ready, LIGHT_DEAF that it does not end when told.
"""

import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
import trio

from engine.server.workers.calls import Frames, answering, call
from engine.server.workers.messages import (
    SUPERVISOR,
    Assignment,
    Failed,
    Family,
    Go,
    Measure,
    Measured,
    Question,
    Recover,
    Reported,
    Series,
    decode_assignment,
    socket_of,
)
from engine.server.workers.process import LENGTH

TIMEOUT = 30.0


class Light:
    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment

    def say(self, *words: object) -> None:
        with Path(os.environ["LIGHT_LOG"]).open("a") as log:
            print(self.assignment.number, os.getpid(), *words, file=log)

    async def report(self, question: Reported | Failed) -> None:
        await call(socket_of(self.assignment.folder, SUPERVISOR), question, bool, timeout=TIMEOUT)

    async def answer(self, data: bytes, frames: Frames) -> None:
        question = msgspec.msgpack.decode(data, type=Question)
        match question:
            case Recover():
                self.say("recover", "all" if question.owners is None else len(question.owners))
                await frames.answer(True)
            case Go():
                self.say("go", question.ready, question.workers)
                await frames.answer(True)
                if os.environ.get("LIGHT_CRASHES"):
                    os.kill(os.getpid(), signal.SIGKILL)
            case Measure():
                series = (Series("light_total", {}, 1.0),)
                await frames.answer(Measured((Family("light", "Workers.", "counter", series),)))

    async def run(self, lifeline: socket.socket) -> None:
        owner = self.assignment.owner
        if os.environ.get("LIGHT_FAILS"):
            await self.report(Failed(owner, "no model"))
            sys.exit(1)
        async with trio.open_nursery() as nursery:
            await nursery.start(answering, socket_of(self.assignment.folder, owner), self.answer)
            self.say("late" if self.assignment.late else "early", self.assignment.config.limits.sessions)
            await self.report(Reported(owner, "up"))
            await self.report(Reported(owner, "warm"))
            end = trio.socket.from_stdlib_socket(lifeline)
            while await end.recv(1):
                pass
            self.say("told to end")
            if os.environ.get("LIGHT_DEAF"):
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()


def main() -> None:
    lifeline = socket.socket(fileno=sys.stdin.fileno())
    (length,) = LENGTH.unpack(lifeline.recv(LENGTH.size, socket.MSG_WAITALL))
    trio.run(Light(decode_assignment(lifeline.recv(length, socket.MSG_WAITALL))).run, lifeline)


if __name__ == "__main__":
    main()
