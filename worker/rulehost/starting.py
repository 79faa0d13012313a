"""Starting: a process behind walls that has loaded a folder of rules, whatever their files do meanwhile."""

import asyncio
import sys
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from msgspec.msgpack import Decoder, encode
from msgspec.structs import replace

from worker.errors import SettingsError
from worker.language.rules import RuleInfo
from worker.rulehost.loader import Sources, read
from worker.rulehost.process import Child, Patience, Stopped
from worker.rulehost.protocol import Loaded, Parsed, Ready
from worker.rulehost.validation import Problem
from worker.rulehost.verdicts import Untrue, list_places, read_loaded
from worker.walls import SANDBOXES, Sandbox, Standing, Wall, explain_missing, is_hidden

BOOT = Patience(10.0, 60.0)
"""Until a child has begun: it runs nothing of a stranger yet, and the machine may be busy."""
INTERFERES = "it is not the same when the files are run in another order, so one of them interferes with others"
_READY, _PARSED = Decoder(Ready), Decoder(Parsed)


class Launch(NamedTuple):
    """How a child is started: by which interpreter, seconds for loading one file, and behind which walls."""

    python: str = sys.executable
    deadline: float = 10.0
    sandbox: Sandbox = SANDBOXES["best-effort"]


class Started(NamedTuple):
    """A child, what it has loaded, and which walls stood around it before it was given any rule."""

    child: Child
    loaded: Loaded
    standing: Standing


async def examine(folder: Path, launch: Launch = Launch()) -> Loaded:  # noqa: B008 (frozen)
    """Load a folder in a child; return its rules, what came of their examples, and all problems.

    Raises RuleError when the folder cannot be read.
    """
    started = await start(read(folder), launch)
    await started.child.end()
    return started.loaded


async def start_twice(sources: Sources, launch: Launch) -> Started:
    """Start a child to judge, whose rules another one confirms, which tries their examples.

    The two run the files in opposite orders: a file can say anything of those that run after it in its process, but
    what was run before has been told. So of any two files, each is told of without the other's doing by one child.
    """
    judging = asyncio.create_task(start(replace(sources, judging=True), launch))
    trying = asyncio.create_task(start(sources, launch))
    try:
        tried, started = await trying, await judging
    except BaseException:
        await _end(judging)
        raise
    finally:
        await _end(trying)
    return started._replace(loaded=_confirm(started.loaded, tried.loaded))


async def _end(starting: asyncio.Task[Started]) -> None:
    """End a child that is still starting, or has started."""
    starting.cancel()
    await asyncio.wait({starting})
    if not starting.cancelled() and not starting.exception():
        await starting.result().child.end()


def _confirm(loaded: Loaded, tried: Loaded) -> Loaded:
    """Add what is wrong with the rules, and where the other child came to other rules."""
    confirmed = set(map(_freeze, tried.rules))
    wrong = [rule for rule in loaded.rules if _freeze(rule) not in confirmed]
    told = tuple(Problem(f"{rule.name}: {INTERFERES}", rule.file, rule.line) for rule in wrong)
    return replace(loaded, problems=tried.problems or loaded.problems or told)


def _freeze(rule: RuleInfo) -> bytes:
    return encode(rule)


async def start(sources: Sources, launch: Launch) -> Started:
    """Start a child that loads the sources, without the files that stop it, which are problems.

    Raises SettingsError when a wall is required that does not stand.
    """
    stops: list[Problem] = []
    while True:
        child = await Child.start(launch.python, launch.sandbox.walls)
        try:
            started = await _load(child, sources, launch)
        except Stopped as stop:
            await child.end()
            cause = _find_cause(stop, sources)
            if cause in stops:  # even without that file
                return Started(child, Loaded(problems=tuple(stops)), {})
            stops.append(cause)
            sources = replace(sources, deadly=sources.deadly | {Path(cause.file).name})
        except BaseException:
            await child.end()
            raise
        else:
            loaded = started.loaded
            return started._replace(loaded=replace(loaded, problems=(*stops, *loaded.problems)))


async def _load(child: Child, sources: Sources, launch: Launch) -> Started:
    """Let a child load the sources; raise Stopped when it does not come to an end of that."""
    (frame,) = await child.hear(BOOT)
    standing = _READY.decode(frame).standing
    _require(launch.sandbox.required, standing)
    patience = Patience(launch.deadline, launch.deadline * max(10, len(sources.files) + 1))
    (frame,) = await child.ask(sources, patience)
    parsed = _PARSED.decode(frame)  # no rule has run yet
    frames = await child.hear(patience, len(sources.files) + 1)
    try:
        return Started(child, read_loaded(frames, sources, parsed.fingerprints), standing)
    except Untrue as problem:
        raise child.blame(str(problem)) from problem


def _require(walls: Collection[Wall], standing: Standing) -> None:
    """Raise SettingsError unless these walls stand."""
    missing = explain_missing(standing, walls)
    if walls and not is_hidden():
        missing = "; ".join(filter(None, ["the worker itself can be read by other processes of its user", missing]))
    if missing:
        raise SettingsError(
            f"WORKER_RULES_SANDBOX is require, and this machine has not all walls around the rules ({missing}): run "
            "the worker on Linux 5.13 or newer with Landlock and seccomp, or set WORKER_RULES_SANDBOX to best-effort"
        )


def _find_cause(stop: Stopped, sources: Sources) -> Problem:
    """Return which file stopped a child while it was loaded, as a problem."""
    names = list(sources.files)
    noted = names[stop.event] if stop.event < len(names) else names[0]
    place = stop.locate(sources.folder)
    file, line = place if place and place[0] in list_places(sources) else (f"{sources.folder}/{noted}", 0)
    return Problem(f"it cannot be loaded: {stop.why}", file, line)
