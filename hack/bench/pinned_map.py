"""Reads the pinned maps of the fast path with bpf(2), without a library.

    pinned_map.py pods|peers        prints the keys, one a line
"""

import ctypes
import errno
import os
import struct
import sys

FAST = "/sys/fs/bpf/causeway"
# bpf(2), and its commands (linux/bpf.h).
CALL = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
LOOKUP, DELETE, NEXT, OPEN = 1, 3, 4, 7


def call(command, attributes):
    """The result of bpf(2); `None` if the key or the file does not exist."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(CALL, command, ctypes.create_string_buffer(attributes, 128), 128)
    if result < 0 and ctypes.get_errno() != errno.ENOENT:
        raise OSError(ctypes.get_errno(), "bpf(2)")
    return result if result >= 0 else None


class PinnedMap:
    """A pinned map. It is empty if the node has no fast path."""

    # Sizes of keys and values, from layout.h of the fast path's programs.
    SIZES = {"pods": (16, 16), "peers": (20, 20)}

    def __init__(self, name):
        self.key_size, self.value_size = PinnedMap.SIZES[name]
        path = ctypes.create_string_buffer(f"{FAST}/{name}".encode())
        self.descriptor = call(OPEN, struct.pack("QII", ctypes.addressof(path), 0, 0))

    def __del__(self):
        if self.descriptor is not None:
            os.close(self.descriptor)

    def at(self, command, key, size):
        key = ctypes.create_string_buffer(key, self.key_size) if key else None
        value = ctypes.create_string_buffer(size) if size else None
        done = call(command, struct.pack(
            "IxxxxQQQ", self.descriptor, ctypes.addressof(key) if key else 0, ctypes.addressof(value) if value else 0, 0))
        return value.raw if value and done is not None else None

    def entries(self):
        found, key = {}, None
        while self.descriptor is not None:
            key = self.at(NEXT, key, self.key_size)
            if key is None:
                break
            found[key] = self.at(LOOKUP, key, self.value_size)
        return found

    def clear(self):
        for key in self.entries():
            self.at(DELETE, key, 0)


if __name__ == "__main__":
    for key in PinnedMap(sys.argv[1]).entries():
        print(key.hex())
