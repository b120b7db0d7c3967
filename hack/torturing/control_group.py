"""A control group with a limit of memory, in either version of control groups."""

import contextlib
import os
import time

ROOT = "/sys/fs/cgroup"


class ControlGroup:
    def __init__(self, path, limit_file):
        self.path, self.limit_file = path, limit_file
        os.mkdir(path)

    def limit(self, size_bytes):
        with open(f"{self.path}/{self.limit_file}", "w") as file:
            file.write(str(size_bytes))

    def join(self):
        """Moves the calling process into the group."""
        with open(f"{self.path}/cgroup.procs", "w") as file:
            file.write("0")

    def remove(self):
        # Processes that were killed are in the group for some time.
        for _ in range(100):
            try:
                os.rmdir(self.path)
                break
            except OSError:
                time.sleep(0.1)


def new():
    """A group, or None with a line that says why this machine allows none."""
    # Control groups belong to the machine, so that a process number of this namespace would not be a unique name.
    name = f"causeway-torture-{os.urandom(8).hex()}"
    try:
        if os.path.exists(f"{ROOT}/memory/memory.limit_in_bytes"):
            return ControlGroup(f"{ROOT}/memory/{name}", "memory.limit_in_bytes")
        if os.path.exists(f"{ROOT}/cgroup.controllers") and "memory" in open(f"{ROOT}/cgroup.subtree_control").read():
            return ControlGroup(f"{ROOT}/{name}", "memory.max")
    except OSError as error:
        print(f"starved: no control group can be made here: {error}")
        return None
    print("starved: control groups of this machine have no limit of memory")
    return None


@contextlib.contextmanager
def limited():
    group = new()
    try:
        yield group
    finally:
        if group:
            group.remove()
