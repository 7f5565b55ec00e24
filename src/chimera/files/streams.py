"""A file for libraries that do not survive a failing write, such as HDF5's on a full disk."""

import io
from pathlib import Path
from typing import Any


class Stream(io.FileIO):
    """A new file whose first failing write is raised by `close`; later ones do nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.fault: OSError | None = None

    def write(self, content: Any) -> int:
        """Write everything."""
        rest = memoryview(content)
        try:
            while rest and self.fault is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.fault = error
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        """Give the file a size."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.fault = self.fault or error
            return size or 0

    def close(self) -> None:
        """Close the file; raise the OSError of the first write that failed."""
        super().close()
        if self.fault is not None:
            raise self.fault
