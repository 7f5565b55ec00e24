"""A file for libraries that do not survive a failing write, such as HDF5's on a full disk."""

from pathlib import Path


class Stream:
    """A new file, read and written as a stream, whose first failing write is raised by `close`."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("w+b", buffering=0)
        self._fault: OSError | None = None
        self.read, self.readinto = self._raw.read, self._raw.readinto
        self.seek, self.tell = self._raw.seek, self._raw.tell

    def write(self, content: bytes) -> int:
        """Write everything, or nothing more after a write that failed."""
        rest = memoryview(content)
        try:
            while rest and self._fault is None:
                rest = rest[self._raw.write(rest) :]
        except OSError as error:
            self._fault = error
        return len(content)

    def truncate(self, size: int) -> int:
        """Give the file a size."""
        try:
            return self._raw.truncate(size)
        except OSError as error:
            self._fault = self._fault or error
            return size

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        """Close the file.

        Raises:
            OSError: Of the first write that failed.
        """
        self._raw.close()
        if self._fault is not None:
            raise self._fault
