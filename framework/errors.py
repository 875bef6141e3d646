"""Every error Sapwood raises, in one tree.

::

    SapwoodError                    path, expected, seen, waited_s, hint, problems
      NodeError(ValueError)           UnknownNode(LookupError) .near
                                      DeviceError; VariableError; CommandError; ConfigError
      BusError(OSError)               .address .id  BusTimeout(TimeoutError); VerifyError
      StreamError(RuntimeError)       LinkError(TypeError); ProtocolError(ValueError)
      FileError(OSError)              .file .offset  FormatError(ValueError)
                                      RecordingExists(FileExistsError); RecorderFault
      RemoteError(ConnectionError)    RemoteTimeout(TimeoutError); AccessDenied(PermissionError)
                                      Busy; ServerFailure
      MissingExtra(ImportError)

Each class also derives from the builtin a caller would think of first. An error keeps its
facts as fields and builds its text from them; several failures at once are one error whose
``problems`` lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = [
    "AccessDenied",
    "BusError",
    "BusTimeout",
    "Busy",
    "CommandError",
    "ConfigError",
    "DeviceError",
    "FileError",
    "FormatError",
    "LinkError",
    "MissingExtra",
    "NodeError",
    "ProtocolError",
    "RecorderFault",
    "RecordingExists",
    "RemoteError",
    "RemoteTimeout",
    "SapwoodError",
    "ServerFailure",
    "StreamError",
    "UnknownNode",
    "VariableError",
    "VerifyError",
    "combine",
    "nearest",
]


class SapwoodError(Exception):
    """Base of every error raised by Sapwood.

    Parameters
    ----------
    text
        What went wrong, one sentence.
    path
        Dotted path of the node or name of the object concerned.
    expected, seen
        What was wanted and what was found.
    waited_s
        Seconds waited before giving up.
    hint
        What to do next.
    problems
        The single failures, when one error stands for several.
    """

    def __init__(
        self,
        text: str = "",
        *,
        path: str | None = None,
        expected: object = None,
        seen: object = None,
        waited_s: float | None = None,
        hint: str | None = None,
        problems: Iterable[BaseException | str] = (),
    ) -> None:
        super().__init__(text)
        self.text = text
        self.path = path
        self.expected = expected
        self.seen = seen
        self.waited_s = waited_s
        self.hint = hint
        self.problems = list(problems)

    def _facts(self) -> list[str]:
        facts: list[str] = []
        if self.path is not None and self.path not in self.text:
            facts.append(f"path {self.path}")
        if self.expected is not None:
            facts.append(f"expected {self.expected}")
        if self.seen is not None:
            facts.append(f"seen {self.seen}")
        if self.waited_s is not None:
            facts.append(f"waited {self.waited_s:.3g} s")
        return facts

    def __str__(self) -> str:
        facts = self._facts()
        text = f"{self.text} ({', '.join(facts)})" if facts else self.text
        if self.hint:
            text = f"{text}. {self.hint}" if not text.endswith((".", "?", "!")) else f"{text} {self.hint}"
        lines = [text] + [f"  {problem}".replace("\n", "\n  ") for problem in self.problems]
        return "\n".join(lines)


class NodeError(SapwoodError, ValueError):
    """A node of the tree was built or used wrongly."""


class UnknownNode(NodeError, LookupError):
    """No node has this path; ``near`` lists the closest ones."""

    def __init__(self, text: str = "", *, near: Sequence[str] = (), **facts: object) -> None:
        self.near = list(near)
        if self.near:
            facts.setdefault("hint", "Did you mean: " + ", ".join(self.near) + "?")
        super().__init__(text, **facts)  # type: ignore[arg-type]  # facts are passed through unchanged


class DeviceError(NodeError):
    """A device cannot be built or started."""


class VariableError(NodeError):
    """A variable refuses its definition or a value."""


class CommandError(NodeError):
    """A command failed or was called wrongly."""


class ConfigError(NodeError):
    """A configuration cannot be loaded; ``problems`` lists each entry at fault."""


class BusError(SapwoodError, OSError):
    """A register access failed on the bus.

    ``address`` is the absolute byte address, ``id`` the transaction's number.
    """

    def __init__(
        self, text: str = "", *, address: int | None = None, id: int | None = None, **facts: object
    ) -> None:
        self.address = address
        self.id = id
        super().__init__(text, **facts)  # type: ignore[arg-type]  # facts are passed through unchanged


class BusTimeout(BusError, TimeoutError):
    """No answer came for a transaction within its time."""


class VerifyError(BusError):
    """What was read back differs from what was written."""


class StreamError(SapwoodError, RuntimeError):
    """A frame could not be delivered or processed."""


class LinkError(StreamError, TypeError):
    """Two objects cannot be joined as stream ends."""


class ProtocolError(StreamError, ValueError):
    """Bytes from a peer do not follow the protocol."""


class FileError(SapwoodError, OSError):
    """A file cannot be read or written; ``file`` names it, ``offset`` says where (bytes)."""

    def __init__(
        self, text: str = "", *, file: object = None, offset: int | None = None, **facts: object
    ) -> None:
        self.file = None if file is None else str(file)
        self.offset = offset
        super().__init__(text, **facts)  # type: ignore[arg-type]  # facts are passed through unchanged

    def _facts(self) -> list[str]:
        facts = super()._facts()
        if self.offset is not None:
            facts.insert(0, f"offset {self.offset}")
        if self.file is not None and self.file not in self.text:
            facts.insert(0, f"file {self.file}")
        return facts


class FormatError(FileError, ValueError):
    """The bytes of a file do not follow its format."""


class RecordingExists(FileError, FileExistsError):
    """A recording would overwrite an existing file."""


class RecorderFault(FileError):
    """A recorder lost its disk; it stays in Fault until it is opened anew or closed."""


class RemoteError(SapwoodError, ConnectionError):
    """A remote call failed."""


class RemoteTimeout(RemoteError, TimeoutError):
    """No answer came from the server within the deadline; the outcome is unknown."""


class AccessDenied(RemoteError, PermissionError):
    """The server refuses this operation to this client."""


class Busy(RemoteError):
    """The server has no room for another request; nothing was executed."""


class ServerFailure(RemoteError):
    """The server met an error of its own while executing the request."""


class MissingExtra(SapwoodError, ImportError):
    """An optional package is not installed; the hint holds the pip line."""


def nearest(name: str, candidates: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of `candidates` that look most like `name`, best first."""
    import difflib  # costs more than all the rest of this module, and few programs get here

    pool = list(candidates)
    by_fold: dict[str, list[str]] = {}
    for candidate in pool:
        by_fold.setdefault(candidate.casefold(), []).append(candidate)
    found = difflib.get_close_matches(name.casefold(), by_fold, n=count, cutoff=0.5)
    return [candidate for fold in found for candidate in by_fold[fold]][:count]


def combine(text: str, problems: Sequence[Exception], kind: type[SapwoodError] = SapwoodError) -> Exception:
    """Return the only problem itself, or one error of class `kind` that lists them all."""
    if len(problems) == 1:
        return problems[0]
    return kind(text, problems=problems)
