import Linux
import Netlink
import Testing
import TestSupport

extension TestNode {
  /// Mounts a BPF file system and pins the programs of the fast path in its directory `programs`.
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

  /// Attaches a program at a hook and returns its ID.
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
