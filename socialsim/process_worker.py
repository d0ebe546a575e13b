"""The worker's side of `socialsim.processes`: answers many questions at once over a socket, each by its number.

Frames are pickles between processes of one run on one machine; nobody else has the socket.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import socket
import traceback
from contextlib import suppress
from typing import Any

from socialsim.crew_worker import Job, Worker
from socialsim.ledger import Ledger
from socialsim.schema import Usage


class Fault(Exception):
    """A worker's own error, with its traceback there."""


def main(channel: int, spent: int) -> None:
    """Work until the run's own process hangs up or is gone.

    Args:
        channel: descriptor of the socket.
        spent: descriptor of the ledger, negative for none.
    """
    logging.getLogger("dspy").setLevel(logging.ERROR)  # a line of its own would tear the progress bar
    asyncio.run(_answer_all(socket.socket(fileno=channel), spent))


async def _answer_all(channel: socket.socket, spent: int) -> None:
    reader, writer = await asyncio.open_connection(sock=channel)
    answering: set[asyncio.Task[None]] = set()
    if (told := await next_frame(reader)) is not None:
        worker = _worker(spent, *told)
        while (question := await next_frame(reader)) is not None:
            task = asyncio.create_task(_answer(worker, writer, *question))
            answering.add(task)
            task.add_done_callback(answering.discard)
    os._exit(0)  # nobody is left to tell; what is being answered is asked again


def _worker(spent: int, job: Job, place: int, earlier: Usage) -> Worker:
    return Worker(job, place, Ledger(spent, place, job.config.budget, earlier) if spent >= 0 else None)


async def _answer(worker: Worker, writer: asyncio.StreamWriter, number: int, what: str, *given: Any) -> None:
    try:
        write_frame(writer, (number, await (worker.make(*given) if what == "make" else worker.beat(*given))))
    except Exception:  # a bug, told with its traceback as in one process
        write_frame(writer, (number, Fault(traceback.format_exc())))


def write_frame(writer: asyncio.StreamWriter, frame: tuple[Any, ...]) -> None:
    """Send a frame."""
    data = pickle.dumps(frame)
    writer.write(len(data).to_bytes(8, "big") + data)


async def next_frame(reader: asyncio.StreamReader) -> tuple[Any, ...] | None:
    """The next frame; None where the other side is gone."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        size = int.from_bytes(await reader.readexactly(8), "big")
        frame: tuple[Any, ...] = pickle.loads(await reader.readexactly(size))
        return frame
    return None
