"""Progress reports: a bar on a terminal, otherwise one line per minute."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

_Item = TypeVar("_Item")

_SECONDS_BETWEEN_LINES = 60.0


class Progress:
    """Reports completed units of work on stderr, with rate and remaining time.

    An earlier run has `completed` some of the `total` units; with `samples` of each, the rate is in
    samples. Of the processes of a group only one has it `shown`.
    """

    def __init__(
        self,
        label: str,
        total: int,
        completed: int = 0,
        *,
        unit: str = "step",
        samples: int = 0,
        shown: bool = True,
    ) -> None:
        self._label, self._total, self._unit, self._samples = label, total, unit, samples
        self._shown, self._terminal = shown, shown and sys.stderr.isatty()
        hidden = not self._terminal
        self._bar = tqdm(total=total, initial=completed, desc=label, unit=unit, disable=hidden)
        self._first = self._completed = completed
        self._start = time.monotonic()
        self._next_line = self._start + _SECONDS_BETWEEN_LINES

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.close()
        if self._shown and not self._terminal and kind is None:
            self._line("")

    def show(self, completed: int, note: str = "") -> None:
        """Report the number of completed units, with a note such as the last error."""
        added, self._completed = completed - self._completed, completed
        if self._terminal:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(added)
        elif self._shown and (now := time.monotonic()) >= self._next_line:
            self._next_line = now + _SECONDS_BETWEEN_LINES
            self._line(note)

    def add(self, number: int) -> None:
        """Report a number of further completed units."""
        self.show(self._completed + number)

    def say(self, sentence: str) -> None:
        """Print a separate line, above the bar on a terminal."""
        if self._shown:
            announce(f"{self._label}: {sentence}")

    def _line(self, note: str) -> None:
        seconds = time.monotonic() - self._start
        rate = (self._completed - self._first) / seconds if seconds > 0 else 0.0
        left = (self._total - self._completed) / rate if rate > 0 else 0.0
        samples, unit = self._samples, self._unit
        speed = f"{rate * samples:.0f} samples/s" if samples else f"{rate:.3g} {unit}s/s"
        done = f"{self._completed}/{self._total} {unit}s, {speed}"
        line = f"{self._label}: {done}, {seconds:.0f} s, {left:.0f} s left {note}".rstrip()
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def announce(sentence: str) -> None:
    """Print a line on stderr, above a bar."""
    tqdm.write(sentence, file=sys.stderr)


def track(label: str, items: Sequence[_Item]) -> Iterator[_Item]:
    """Yield the items and report how many are completed."""
    with Progress(label, len(items), unit="part") as progress:
        for item in items:
            yield item
            progress.add(1)
