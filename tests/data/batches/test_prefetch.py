"""Batches come one ahead, in order, and a GPU's stream waits for its copy."""

import threading

import pytest
import torch

from chimera.data.batches import prefetch
from chimera.data.batches.prefetch import Prefetched
from chimera.data.batches.trajectories import Form, Windows


def test_batches_are_those_that_were_asked_for():
    frames = torch.arange(40.0).view(5, 8, 1, 1, 1)
    batches, ahead = (Windows(frames, Form(2, 6, (0,))) for _ in range(2))
    prefetched = Prefetched(ahead, torch.device("cpu"))
    for number in (0, 1, 2, 7, 8, 3):
        assert torch.equal(prefetched.batch(number), batches.batch(number))


class Source:
    """Batches that tell when they were made."""

    def __init__(self, make):
        self.make, self.made = make, []
        self.second = threading.Event()

    def batch(self, number):
        self.made.append(number)
        if number == 1:
            self.second.set()
        return self.make(number)


def test_the_next_batch_is_made_while_this_one_is_used():
    source = Source(lambda number: torch.tensor(float(number)))
    assert float(Prefetched(source, torch.device("cpu")).batch(0)) == 0.0
    assert source.second.wait(10), "nothing was made ahead"
    assert source.made == [0, 1]


def test_what_fails_on_the_way_fails_in_the_step_that_needs_it():
    def make(number):
        if number == 1:
            raise OSError("gone")
        return torch.tensor(0.0)

    prefetched = Prefetched(Source(make), torch.device("cpu"))
    prefetched.batch(0)
    with pytest.raises(OSError, match="gone"):
        prefetched.batch(1)


class Stream:
    """Stands for a CUDA stream: notes what is done in it and to it."""

    def __init__(self, log, name):
        self.log, self.name = log, name

    def wait_stream(self, other):
        self.log.append(f"{self.name} waits for {other.name}")

    def __enter__(self):
        self.log.append(f"in {self.name}")

    def __exit__(self, *_):
        self.log.append(f"out of {self.name}")


class Window:
    """Stands for a batch: notes how it is moved."""

    def __init__(self, log, number):
        self.log, self.number = log, number

    def pin_memory(self):
        self.log.append(f"pin {self.number}")
        return self

    def to(self, device, non_blocking):
        assert device.type == "cuda"
        assert non_blocking
        self.log.append(f"copy {self.number}")
        return self

    def record_stream(self, stream):
        self.log.append(f"{self.number} used in {stream.name}")


def test_a_gpu_gets_page_locked_copies_in_a_stream_of_their_own(monkeypatch):
    log = []
    side, main = Stream(log, "side"), Stream(log, "main")
    monkeypatch.setattr(prefetch.torch.cuda, "Stream", lambda _: side)
    monkeypatch.setattr(prefetch.torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(prefetch.torch.cuda, "current_stream", lambda _: main)
    prefetched = Prefetched(Source(lambda number: Window(log, number)), torch.device("cuda"))
    assert prefetched.batch(0).number == 0
    prefetched._next[1].result()
    copies = [f"{action} {{}}" for action in ("pin", "copy")]
    moved = [["in side", *(c.format(n) for c in copies), "out of side"] for n in (0, 1)]
    # The step's stream waits for copy 0 alone: copy 1 is asked for after that.
    assert log == [*moved[0], "main waits for side", "0 used in main", *moved[1]]
