"""The log as anyone may follow it who is given a token for that: checkpoints and tiles as C2SP has them, hashes only, no entry."""

from __future__ import annotations

import re
from typing import Final

from stopwork.kernel.errors import NotFound
from stopwork.operations import sealing
from stopwork.server.api.endpoint import Access, Endpoint, Given, Read, Rendered
from stopwork.storage.view import View
from stopwork.worker.anchoring import LogStanding
from stopwork.worker.crew import Crew

#: There are no more levels than a log of 2**62 entries has.
_LEVELS: Final = frozenset("01234567")
#: A tile's number in groups of three digits, all but the last with an x; behind it how much of a part of one is asked for.
_TILE: Final = re.compile(r"((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


def endpoints(crew: Crew) -> tuple[Endpoint, ...]:
    """Answer the rows of the log of one installation."""

    return (
        Endpoint(
            method="GET",
            path="/v1/log",
            name="look_at_log",
            summary="How far the journal is sealed, and which places keep checkpoints of it",
            does=Read(lambda view, _given: crew.anchoring.log(view)),
            answer=LogStanding,
            access=Access.MONITOR,
            tag="log",
        ),
        Endpoint(
            method="GET",
            path="/v1/log/checkpoint",
            name="newest_checkpoint",
            summary="The newest checkpoint, as C2SP tlog-checkpoint has it",
            does=Read(_checkpoint),
            answer=None,
            access=Access.MONITOR,
            also=("text/plain",),
            tag="log",
        ),
        Endpoint(
            method="GET",
            path="/v1/log/tile/{level}/{tile:path}",
            name="log_tile",
            summary="Hashes of the log, 256 at a time, as C2SP tlog-tiles has them; there are no tiles of entries",
            does=Read(_tile),
            answer=None,
            access=Access.MONITOR,
            also=("application/octet-stream",),
            tag="log",
        ),
    )


def _checkpoint(view: View, _given: Given) -> Rendered:
    newest = view.checkpoint()
    if newest is None:
        raise NotFound("nothing is sealed yet", hint="Try again in some seconds.")
    return Rendered(content=newest[1], media_type="text/plain; charset=utf-8")


def _tile(view: View, given: Given) -> Rendered:
    level, asked = given.path["level"], _TILE.fullmatch(given.path["tile"])
    width = int(asked[2] or sealing.TILE_WIDTH) if asked else 0
    if asked is None or level not in _LEVELS or width > sealing.TILE_WIDTH:
        raise NotFound(
            f"there is no tile {level[:8]}/{given.path['tile'][:40]}",
            hint="Tiles are /v1/log/tile/LEVEL/x001/234, or with .p/WIDTH behind it. Entries are not given out.",
        )
    index = int(re.sub(r"\D", "", asked[1]))
    content = sealing.tile(view, int(level), index, width)
    return Rendered(content=content, media_type="application/octet-stream")
