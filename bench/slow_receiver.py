"""A receiver of webhooks that answers every request after a while: `python -m bench.slow_receiver SECONDS`.

It prints its port once it takes connections, and ends when its standard input is closed. Each request is read to its
end; nothing of it is kept.
"""

import sys
from functools import partial

import h11
import trio

__all__ = ["main"]


async def _answer(stream: trio.abc.Stream, seconds: float) -> None:
    http = h11.Connection(h11.SERVER)
    try:
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(65536)))
            elif isinstance(event, h11.EndOfMessage):
                await trio.sleep(seconds)
                response = h11.Response(status_code=200, headers=[("Content-Length", "0")])
                await stream.send_all((http.send(response) or b"") + (http.send(h11.EndOfMessage()) or b""))
                if http.our_state is not h11.DONE:
                    return
                http.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed):
                return
    except (trio.BrokenResourceError, h11.ProtocolError):
        return  # the other side has had enough


async def _serve(seconds: float) -> None:
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
        print(listeners[0].socket.getsockname()[1], flush=True)
        nursery.start_soon(partial(trio.serve_listeners, partial(_answer, seconds=seconds), listeners))
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


def main(arguments: list[str]) -> int:
    """Until standard input is closed."""
    trio.run(_serve, float(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
