"""The stub by hand: `python -m tests.engines.stub [PORT]`, then point a CLI at the printed address."""

from __future__ import annotations

import sys
import threading

from tests.engines.stub.server import stub_server

if __name__ == "__main__":
    with stub_server(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as stub:
        sys.stdout.write(f"{stub.url}\n")
        sys.stdout.flush()
        threading.Event().wait()
