import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import StreamError
from sapwood.fileio import FileLayer
from sapwood.fileio.rogue.encode import RogueEncoder
from sapwood.streams import Frame, FrameBatch


def reference(frames, channel=0, raw=False) -> bytes:
    """The format's description, word by word."""
    out = bytearray()
    for frame in frames:
        if not raw:
            out += (frame.size + 4).to_bytes(4, "little") + frame.flags.to_bytes(2, "little")
            out += bytes([frame.error, channel or frame.channel])
        out += bytes(frame.buffer)
    return bytes(out)


def encoded(batch: FrameBatch, channel: int, raw: bool, step: int) -> bytes:
    records = RogueEncoder(raw=raw).records(batch, channel)
    out, first = b"", 0
    while first < records.count:
        last = min(first + step, records.count)
        data = b"".join(records.pieces(first, last))
        assert len(data) == records.span(first, last) == records.sizes(first, last).sum()
        out += data
        first = last
    return out


def test_the_example_of_the_format():
    head, body = RogueEncoder().record(Frame(b"abcd", channel=3, flags=0xBEEF, error=0x12), 0)
    assert (head + body).hex() == "08000000efbe120361626364"


def test_channel_255_and_error_255_stay_in_their_bytes():
    head, _ = RogueEncoder().record(Frame(b"x", channel=255, error=255, flags=0), 0)
    assert head.hex() == "050000000000ffff"


@pytest.mark.parametrize("forced", [0, 1, 42, 255])
def test_forced_channel(forced):
    frame = Frame(b"x", channel=7)
    head, _ = RogueEncoder().record(frame, forced)
    assert head[7] == (forced or 7)
    assert frame.channel == 7
    batch = FrameBatch.gather([frame, Frame(b"yz", channel=9)])
    assert encoded(batch, forced, False, 2) == reference(batch.frames(), forced)


@pytest.mark.parametrize("metadata", [{"flags": 1 << 16}, {"error": 256}, {"channel": -1}])
def test_metadata_out_of_range_is_refused(metadata):
    frame = Frame(b"x")
    for name, value in metadata.items():
        setattr(frame, name, value)
    with pytest.raises(StreamError, match="does not fit a Rogue record"):
        RogueEncoder().record(frame, 0)


def test_payload_beyond_the_length_word_is_refused():
    payload = np.broadcast_to(np.uint8(0), (8,))
    batch = FrameBatch(np.ascontiguousarray(payload), [0], [8])
    batch.size = np.array([0xFFFF_FFFC], np.int64)  # the size alone decides: no 4 GiB are needed
    with pytest.raises(StreamError, match="does not fit a Rogue record"):
        RogueEncoder().records(batch, 0)
    assert RogueEncoder(raw=True).records(batch, 0).count == 1


def test_small_views_are_copied_so_that_large_buffers_are_let_go():
    batch = FrameBatch(bytes(1 << 20), [5], [10])
    _, body = RogueEncoder().record(batch[0], 0)
    assert type(body) is bytes


LAYOUTS = {
    "one size, dense": lambda r: FrameBatch.from_rows(r.integers(0, 256, (300, 100), np.uint8)),
    "one size, with bytes between": lambda r: FrameBatch(
        r.integers(0, 256, 300 * 130, np.uint8), np.arange(300) * 130 + 7, 100, channel=3
    ),
    "one size, backwards": lambda r: FrameBatch(
        r.integers(0, 256, 30000, np.uint8), np.arange(300)[::-1] * 100, 100
    ),
    "one size, anywhere": lambda r: FrameBatch(
        r.integers(0, 256, 30000, np.uint8), r.integers(0, 29900, 300), 100
    ),
    "one size, own metadata": lambda r: FrameBatch(
        r.integers(0, 256, 30000, np.uint8),
        np.arange(300) * 100,
        100,
        channel=r.integers(0, 256, 300, np.uint8),
        flags=r.integers(0, 65536, 300, np.uint16),
        error=r.integers(0, 256, 300, np.uint8),
    ),
    "large": lambda r: FrameBatch.from_rows(r.integers(0, 256, (20, 10000), np.uint8), flags=7),
    "large, own metadata": lambda r: FrameBatch(
        r.integers(0, 256, 200_000, np.uint8), np.arange(20) * 10_000, 9_999, channel=np.arange(20)
    ),
    "few sizes": lambda r: _sized(r, r.choice([12, 60, 100], 300)),
    "all sizes differ": lambda r: _sized(r, r.permutation(300) + 1),
    "large and different": lambda r: _sized(r, r.integers(4000, 9000, 30)),
    "beyond 16 bits": lambda r: _sized(r, np.array([70_000] + [10] * 300)),
    "with empty ones": lambda r: _sized(r, r.choice([0, 5, 9], 300)),
    "only empty ones": lambda r: _sized(r, np.zeros(5, np.int64)),
    "one frame": lambda r: _sized(r, np.array([33])),
    "filtered": lambda r: _sized(r, r.integers(1, 50, 600))[::3],
}


def _sized(r: np.random.Generator, sizes) -> FrameBatch:
    return FrameBatch(
        r.integers(0, 256, int(sizes.sum()), np.uint8),
        np.cumsum(sizes) - sizes,
        sizes,
        channel=r.integers(0, 256, len(sizes), np.uint8),
        flags=r.integers(0, 65536, len(sizes), np.uint16),
    )


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_of_every_layout(layout, raw):
    batch = LAYOUTS[layout](np.random.default_rng(3))
    for channel in (0, 9):
        for step in (len(batch), 7):
            assert encoded(batch, channel, raw, step) == reference(batch.frames(), channel, raw)


def test_one_encoder_for_batches_of_every_layout(tmp_path):
    """What is kept from call to call does not show; pieces go to the system as they would to a file."""
    random, files = np.random.default_rng(5), FileLayer()
    encoder, expected = RogueEncoder(), b""
    alike = [
        FrameBatch.from_rows(random.integers(0, 256, (count, size), np.uint8), flags=flags)
        for count, size, flags in [(3, 5000, 1), (9, 5000, 1), (2, 5000, 2), (2, 6000, 2), (700, 5000, 2)]
    ]
    batches = [make(random) for make in LAYOUTS.values()]
    fd = files.open(str(tmp_path / "f"), exclusive=True)
    for batch in [alike[0], *(item for pair in zip(batches, alike * 3, strict=False) for item in pair)]:
        for channel in (0, 7, 7):
            records = encoder.records(batch, channel)
            middle = (records.count + 1) // 3
            runs = [(0, middle), (middle, records.count)]
            for first, last in [run for run in runs if run[0] < run[1]]:
                pieces = records.pieces(first, last)
                for group in [pieces] if len(pieces) <= 1024 else [pieces[:1024], pieces[1024:]]:
                    files.writev(fd, group)
            expected += reference(batch.frames(), channel)
    files.close(fd)
    assert (tmp_path / "f").read_bytes() == expected


@pytest.mark.parametrize("layout", ["one size, dense", "few sizes", "all sizes differ"])
def test_fit_counts_whole_records(layout):
    records = RogueEncoder().records(LAYOUTS[layout](np.random.default_rng(3)), 0)
    for first in (0, 1, 299):
        for room in (-5, 0, 7, 8, 107, 108, 109, 5000, 1 << 40):
            fit = records.fit(first, room)
            assert 0 <= fit <= records.count - first
            assert fit == 0 or records.span(first, first + fit) <= room
            assert first + fit == records.count or records.span(first, first + fit + 1) > room


FRAMES = st.lists(
    st.builds(
        Frame,
        st.binary(min_size=1, max_size=40),
        channel=st.integers(0, 255),
        flags=st.integers(0, 65535),
        error=st.integers(0, 255),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(FRAMES, st.integers(0, 255), st.booleans(), st.integers(1, 50))
def test_any_frames_one_by_one_and_as_a_batch(frames, channel, raw, step):
    encoder = RogueEncoder(raw=raw)
    single = b"".join(b"".join(encoder.record(frame, channel)) for frame in frames)
    assert single == reference(frames, channel, raw)
    assert encoded(FrameBatch.gather(frames), channel, raw, step) == single
