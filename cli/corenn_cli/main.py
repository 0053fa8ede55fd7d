"""The entry point ``corenn``: exit status and errors; the commands are in ``corenn_cli.app``.

Exit status: 0 done; 1 failed; 2 wrong usage; 130 and 143 stopped by SIGINT and SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line; errors of corenn are printed without a traceback."""
    # The threads of OpenBLAS wait in a loop: on a busy machine, or one with more cores than this process may use, a
    # step of a small network takes ten times as long with them as without.  Who has a large one can say otherwise.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from corenn_cli.app import run_app

        status = run_app(sys.argv[1:])
        if sys.__stdout__ is not None and not sys.__stdout__.closed:
            sys.__stdout__.flush()  # here, where it can be seen that the reader has gone; at exit it cannot
        sys.exit(status)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read our output has gone; closing it at exit must not complain a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)


if __name__ == "__main__":
    main()
