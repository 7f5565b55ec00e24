"""Long work shows itself: a bar on a terminal, a plain line a minute anywhere else."""

import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

_SECONDS_BETWEEN_LINES = 60.0


class Progress:
    """Reports steps out of a total, with rate and time left, on stderr.

    Args:
        label: What runs.
        total: Steps in all.
        completed: Steps that a run before this one has done.
        samples: Samples of one step, for the rate.
        shown: False keeps silent, for all processes of a group but one.
    """

    def __init__(
        self, label: str, total: int, completed: int, samples: int, *, shown: bool = True
    ) -> None:
        self._terminal, self._shown = sys.stderr.isatty(), shown
        self._bar = tqdm(
            total=total,
            initial=completed,
            desc=label,
            unit="step",
            disable=not (self._terminal and shown),
        )
        self._label, self._total, self._samples = label, total, samples
        self._first, self._start = completed, time.monotonic()
        self._next_line = self._start + _SECONDS_BETWEEN_LINES

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()
        if not self._terminal and kind is None:
            self._line(self._total, "")

    def show(self, completed: int, note: str) -> None:
        """Report the number of steps done, with a note such as the last error."""
        if self._terminal:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(completed - self._bar.n)
        elif (now := time.monotonic()) >= self._next_line:
            self._next_line = now + _SECONDS_BETWEEN_LINES
            self._line(completed, note)

    def say(self, sentence: str) -> None:
        """Print a line of its own, above the bar on a terminal."""
        if self._shown:
            tqdm.write(f"{self._label}: {sentence}", file=sys.stderr)

    def _line(self, completed: int, note: str) -> None:
        if not self._shown:
            return
        seconds = time.monotonic() - self._start
        rate = (completed - self._first) / seconds if seconds > 0 else 0.0
        left = (self._total - completed) / rate if rate > 0 else 0.0
        done = f"{completed}/{self._total} steps, {rate * self._samples:.0f} samples/s"
        line = f"{self._label}: {done}, {seconds:.0f} s, {left:.0f} s left {note}".rstrip()
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def track(label: str, items: Sequence[Item]) -> Iterator[Item]:
    """Yield the items, reporting how many are done."""
    with Progress(label, len(items), 0, 1) as progress:
        for done, item in enumerate(items):
            progress.show(done, "")
            yield item
        progress.show(len(items), "")
