"""Run one shell line and write `status wall user system memory` to a descriptor.  Started by `command.measure`.

A process inherits the memory mark of the one that starts it.  What makes data and reports weighs more than some of
what is measured; this weighs little, and so imports little.
"""

import os
import sys
import time

descriptor, line = int(sys.argv[1]), sys.argv[2]
began = time.monotonic()
process = os.posix_spawnp("bash", ["bash", "-o", "pipefail", "-c", line], os.environ)
_, status, usage = os.wait4(process, 0)
wall = time.monotonic() - began
told = [os.waitstatus_to_exitcode(status), wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024]
os.write(descriptor, " ".join(map(str, told)).encode())
