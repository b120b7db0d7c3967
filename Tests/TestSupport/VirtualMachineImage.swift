/// The files from which the virtual machine starts: Debian's kernel, which hack/vm-kernel unpacked, and an archive that
/// is created for each test process.
enum VirtualMachineImage {
  private static let directory = "/var/cache/causeway/vm-kernel"
  static let kernel = "\(directory)/vmlinuz"

  /// Writes the archive (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).
  ///
  /// Our programs have the paths that they have on this machine, so that tests need not know where they run. These paths
  /// may be below /tmp, so that no file system is mounted there.
  static func write(to archive: String) throws {
    let scratch = try TemporaryDirectory()
    try run(
      [
        "/bin/bash", "-c", script, archive, scratch.path, directory, initialisation, Binaries.causeway, Binaries.hostgw,
      ],
      limit: .seconds(60)
    ).succeeded()
  }

  /// The archive is not compressed: expanding it takes the slow machine longer than reading it.
  private static let script = #"""
    set -euo pipefail
    root=$1 kernel=$2 initialisation=$3
    shift 3
    cd "$root"
    mkdir -p bin dev proc sys run tmp etc mnt opt root var/lib
    printf '%s\n' "$initialisation" >init
    chmod +x init

    # Programs with the libraries that they load. They go before those of busybox, which are in /bin and
    # start faster; but what starts another program must not be busybox, which takes its own for it.
    place() { mkdir -p ".${2%/*}" && cp -L "$1" ".$2"; }
    for name in bridge dash ip nft nsenter ping timeout unshare; do
      set -- "$@" "$(command -v "$name")"
    done
    for program in "$@"; do
      place "$program" "$program"
      { ldd "$program" 2>/dev/null || true; } | { grep -oE '/[^ ]+' || true; } | while read -r library; do
        place "$library" "$library"
      done
    done
    cp "$(command -v busybox)" bin/busybox
    ln -s "$(command -v dash)" bin/sh

    cp -r "$kernel/lib" .
    find . | cpio --quiet -o -H newc -R 0:0 >"$0"
    """#

  /// The first process, which runs the commands from the second serial line.
  private static let initialisation = #"""
    #!/bin/busybox sh
    # What is there already stays.
    /bin/busybox --install -s /bin 2>/dev/null
    unset HOME TERM
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs dev /dev
    mount -t tmpfs tmpfs /run
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    echo /bin/modprobe >/proc/sys/kernel/modprobe
    ip link set lo up
    stty raw -echo </dev/ttyS1
    exec 3</dev/ttyS1 4>/dev/ttyS1
    status=0
    : >/tmp/output >/tmp/errors
    while
      echo "{\"status\":$status,\"output\":\"$(base64 -w 0 /tmp/output)\",\"errors\":\"$(base64 -w 0 /tmp/errors)\"}" >&4
      read -r line <&3
    do
      echo "$line" | base64 -d >/tmp/script
      /bin/sh /tmp/script >/tmp/output 2>/tmp/errors
      status=$?
    done
    """#
}
