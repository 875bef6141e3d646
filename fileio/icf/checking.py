"""Every object of a container file against its checksum."""

from __future__ import annotations

from sapwood.fileio.formats import CHUNK_BYTES, CLEAN, LOSS, UNREADABLE, Report
from sapwood.fileio.icf.errors import DamagedFile
from sapwood.fileio.icf.source import Source

__all__ = ["check"]


def check(source: Source) -> Report:
    """Check every object of `source` against its checksum."""
    report = Report(torn_bytes=source.index.torn, problems=list(source.index.problems))
    done = 0  # runs before this one are no longer in memory
    for run, block in source.blocks(range(len(source.index.runs))):
        place = source.index.runs[run]
        if isinstance(block, DamagedFile):
            report.lost += place.objects
            report.problems.append(
                f"{source.path}, offset {place.begin}: {place.objects} objects are lost: {block.text}"
            )
        elif isinstance(block, Exception):
            raise block
        else:
            bad = len(block.bad)
            report.good += len(block) - bad
            report.lost += bad
            if bad:
                first = source.index.first[run] + int(block.bad[0])
                report.problems.append(
                    f"{source.path}, offset {place.begin}: {bad} damaged objects, the first is {first}"
                )
        if place.end - source.index.runs[done].begin >= CHUNK_BYTES:
            source.release(done, run)
            done = run + 1
    if source.index.tail is not None and bool(source.map.data[source.index.end :].any()):
        report.lost += 1
    if report.problems:
        report.status = LOSS if report.good else UNREADABLE
    else:
        report.status = CLEAN
    return report
