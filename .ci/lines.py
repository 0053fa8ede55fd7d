"""A report, not a limit: lines of code by room, and the files that have grown to the size at which to divide."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

LONG = 500


def main() -> None:
    """Print lines by room and the longest files."""
    listed = subprocess.run(["git", "ls-files", "*.py"], capture_output=True, text=True, check=True).stdout.split()
    rooms: Counter[str] = Counter()
    long: list[tuple[int, str]] = []
    for name in listed:
        lines = len(Path(name).read_text(encoding="utf-8").splitlines())
        parts = Path(name).parts
        tests = "tests" in parts
        rooms["tests" if tests else "/".join(parts[:2]) if len(parts) > 2 else parts[0]] += lines
        if lines > LONG and not tests:
            long.append((lines, name))
    for room, lines in sorted(rooms.items(), key=lambda item: -item[1]):
        print(f"{lines:7d} {room}")
    for lines, name in sorted(long, reverse=True):
        print(f"longer than {LONG} lines: {name} ({lines})")


if __name__ == "__main__":
    main()
