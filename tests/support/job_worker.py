"""One worker of the queue: takes a job, works on it for a while, takes the next.

python job_worker.py PORT NAME SECONDS
"""

from __future__ import annotations

import http.client
import sys
import time

#: Seconds between two looks at an empty queue.
IDLE = 0.25


def main(port: int, name: str, seconds: float) -> None:
    queue = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    while True:
        try:
            queue.request("POST", f"/take?worker={name}")
            answer = queue.getresponse()
            answer.read()
            time.sleep(seconds if answer.status == 200 else IDLE)
        except (OSError, http.client.HTTPException):  # the queue is being started or stopped
            queue.close()
            time.sleep(IDLE)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
