import Testing
import TestSupport

/// The restrictions of `conf/causeway-hostgw.service` that can be applied without systemd: mounts, capabilities, system
/// call filter and environment. All are read from the file.
struct ServiceUnit {
  private let lines: [(name: String, value: String)]

  /// - Parameter dropIns: files in `conf` whose settings follow the unit's own.
  init(dropIns: String...) throws {
    let files = (["causeway-hostgw.service"] + dropIns).map { "\(Binaries.packageRoot)/conf/\($0)" }
    let text = try run(["cat"] + files).succeeded().output
    lines = text.split(separator: "\n").compactMap { line in
      guard !line.hasPrefix("#"), let equal = line.firstIndex(of: "=") else { return nil }
      return (String(line[..<equal]), String(line[line.index(after: equal)...]))
    }
  }

  /// All values of a setting, split into words.
  func words(_ name: String) -> [String] {
    lines.filter { $0.name == name }.flatMap { $0.value.split(separator: " ").map { String($0) } }
  }

  func isOn(_ name: String) -> Bool { words(name) == ["yes"] }

  /// The command prefix that applies the restrictions.
  var enter: [String] {
    get throws {
      let capabilities = words("CapabilityBoundingSet").map { "+\($0.dropFirst("CAP_".count).lowercased())" }
      let set = (["-all"] + capabilities).joined(separator: ",")
      let writable =
        words("ReadWritePaths").map { $0.drop { $0 == "-" } } + words("RuntimeDirectory").map { "/run/\($0)" }
        + words("StateDirectory").map { "/var/lib/\($0)" }
      try #require(isOn("NoNewPrivileges") && words("ProtectSystem") == ["strict"] && isOn("PrivateMounts"))
      try #require(isOn("ProtectHome") && isOn("PrivateTmp") && isOn("ProtectKernelTunables"))
      return [
        "unshare", "--mount", "--propagation", "slave", "/bin/sh", "-ec", ServiceUnit.mounts,
        writable.joined(separator: " "),
        "setpriv", "--bounding-set", set, "--inh-caps", set, "--no-new-privs",
        "python3", "-c", ServiceUnit.filter, try calls().joined(separator: ","),
        words("RestrictAddressFamilies").joined(separator: ","), "/usr/bin/env",
      ] + words("Environment")
    }
  }

  /// Applies ProtectSystem=strict with the writable paths, and hides homes, temporary files and the kernel's settings.
  private static let mounts = """
    for path in $0; do mkdir -p $path; mount --bind $path $path; done
    kept=" $0 "
    for path in $(cut -d' ' -f5 /proc/self/mountinfo | sort -u); do
      case "$kept" in *" $path "*) continue ;; esac
      case $path in /proc* | /sys* | /dev*) continue ;; esac
      mount -o remount,bind,ro $path 2>/dev/null || [ ! -e $path ]
    done
    for path in /root /home /run/user /tmp /var/tmp; do
      [ ! -d $path ] || mount -t tmpfs -o ro,mode=0 tmpfs $path
    done
    mount --rbind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys
    exec "$@"
    """

  /// The system calls that SystemCallFilter= allows, by the groups of this machine's systemd.
  private func calls() throws -> [String] {
    var allowed: Set<String> = []
    for (name, value) in lines where name == "SystemCallFilter" {
      let names = Set(try value.split(separator: " ").flatMap { try members(of: $0.drop { $0 == "~" }) })
      if value.hasPrefix("~") { allowed.subtract(names) } else { allowed.formUnion(names) }
    }
    try #require(allowed.count > 100 && words("SystemCallErrorNumber") == ["EPERM"])
    return allowed.sorted()
  }

  private func members(of name: some StringProtocol) throws -> [String] {
    guard name.hasPrefix("@") else { return [String(name)] }
    let list = try run(["systemd-analyze", "syscall-filter", String(name)]).succeeded().output
    return try list.split(separator: "\n").dropFirst().map { $0.drop { $0 == " " } }.filter { !$0.hasPrefix("#") }
      .flatMap { try members(of: $0) }
  }

  /// Starts a command under a libseccomp filter that kills the process at any other system call, so that none is
  /// overlooked (systemd.exec(5)). RestrictAddressFamilies=, MemoryDenyWriteExecute= and RestrictNamespaces= become
  /// conditions of calls.
  private static let filter = """
    ctypes, os, socket, sys = map(__import__, ("ctypes", "os", "socket", "sys"))
    lib = ctypes.CDLL("libseccomp.so.2")
    class Condition(ctypes.Structure):
        _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64)]
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Condition)]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    KILL, ALLOW, EQUAL, MASKED = 0x80000000, 0x7FFF0000, 4, 7
    refuse = lambda errno: 0x00050000 | errno
    context = lib.seccomp_init(KILL)
    def rule(action, name, *conditions):
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            assert lib.seccomp_rule_add_array(
                context, action, number, len(conditions), (Condition * len(conditions))(*conditions)) == 0, name
    special = {"socket", "mmap", "mprotect", "pkey_mprotect", "clone", "clone3", "setns", "unshare"}
    for name in set(sys.argv[1].split(",")) - special: rule(ALLOW, name)
    for family in sys.argv[2].split(","): rule(ALLOW, "socket", Condition(0, EQUAL, getattr(socket, family)))
    rule(ALLOW, "mmap", Condition(2, MASKED, 4, 0))
    rule(ALLOW, "mmap", Condition(2, MASKED, 6, 4))
    for name in ("mprotect", "pkey_mprotect"): rule(ALLOW, name, Condition(2, MASKED, 4, 0))
    rule(ALLOW, "clone", Condition(0, MASKED, 0x7E020000, 0))
    rule(refuse(38), "clone3")
    # Swift's runtime calls it and handles a refusal.
    rule(refuse(1), "setpriority")
    assert lib.seccomp_load(context) == 0
    os.execv(sys.argv[3], sys.argv[3:])
    """
}
