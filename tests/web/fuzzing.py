"""schemathesis against a running server, in a process of its own.

This file is also its hooks: half of the ids it makes up become those of things that are there, which the environment
names, so that not every request ends with 404.
"""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import schemathesis
import trio

__all__ = ["CHECKS", "FAREWELL", "fuzz"]

FAREWELL = "/v1/users/delete-account"
"""A path that leaves nothing for the others: put before it by itself."""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
KNOWN = "FUZZING_KNOWN"
REQUEST_TIMEOUT = 60
"""Seconds; some routes wait for news as long as they are asked to."""
ROOT = Path(__file__).parents[2]


async def fuzz(
    port: int,
    folder: Path,
    *options: str,
    known: Mapping[str, Sequence[str]],
    examples: int,
    token: str = "dev:alice",
) -> tuple[int, str]:
    """Its exit status, 0 when every answer was as the OpenAPI document says, and what it printed.

    It works in `folder`. `known`: ids by the name of the parameter, in path or query. `examples`: requests for each
    operation in each phase, at most.
    """
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json"]
    command += ["--header", "Authorization: Bearer dev:alice", "--checks", ",".join(CHECKS)]
    command += ["--max-examples", str(examples), "--seed", "1", "--generation-database", "none"]
    command += ["--no-color", "--no-shrink", "--continue-on-failure", "--warnings", "off"]
    command += ["--suppress-health-check", "all", *options]  # a slow machine is no finding
    command += ["--request-timeout", str(REQUEST_TIMEOUT)]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": __name__, KNOWN: json.dumps(known), "COLUMNS": "200"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = await trio.run_process(
        command, check=False, env=environment, cwd=folder, capture_stdout=True, stderr=subprocess.STDOUT
    )
    return done.returncode, done.stdout.decode(errors="replace")


_known: dict[str, list[str]] = json.loads(os.environ.get(KNOWN, "{}"))


@schemathesis.hook
def map_path_parameters(
    context: schemathesis.HookContext, path_parameters: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Every other id is that of something that is there."""
    return _named(path_parameters)


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """The same."""
    return _named(query)


def _named(parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    if not isinstance(parameters, dict):
        return parameters
    drawn = {name: zlib.crc32(repr(value).encode()) for name, value in parameters.items()}
    return {
        name: _known[name][drawn[name] // 2 % len(_known[name])]
        if name in _known and drawn[name] % 2
        else value
        for name, value in parameters.items()
    }
