import Linux
import Netlink
import Testing
import TestSupport

extension TestNode {
  /// Mounts a file system for BPF objects, and pins the programs of the fast path under `programs` in it.
  func loadPrograms() throws {
    try sh(
      """
      [ $(stat -f -c %T /sys/fs/bpf) = bpf_fs ] || mount -t bpf bpf /sys/fs/bpf
      bpftool prog loadall \(Binaries.packageRoot)/Sources/Node/CFastPath/objects/by_sight.o /sys/fs/bpf/programs
      """)
  }

  func program(_ name: String) throws -> BPFProgram {
    let program = try BPFProgram(pinned: path("/sys/fs/bpf/programs/\(name)"))
    guard let program else { throw NoSuchProgram(name: name) }
    return program
  }

  /// Puts one of them at a hook; says the kernel's number of it.
  func attach(
    _ name: String, at hook: FilterHook, of link: Int32, _ socket: inout RouteSocket
  ) throws -> UInt32 {
    let program = try program(name)
    try socket.perform(.setFilter(name, program, at: hook, of: link))
    return try program.id()
  }
}

struct NoSuchProgram: Error {
  let name: String
}
