import Glibc
import Linux
import Netlink
import Testing
import TestSupport

/// Programs and maps that are pinned in a node's own BPF file system.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct BPFObjectsTests {
  private let node: TestNode

  init() throws {
    node = try TestNode()
    try node.sh("mount -t bpf bpf /sys/fs/bpf")
  }

  private func path(_ name: String) -> String { node.path("/sys/fs/bpf/\(name)") }

  private func makeMap(_ type: String = "hash", key: Int = 4, value: Int = 8, entries: Int = 4) throws {
    try node.sh(
      "bpftool map create /sys/fs/bpf/map type \(type) key \(key) value \(value) entries \(entries) name map flags 0")
  }

  private func map(key: Int = 4, value: Int = 8, processors: Int = 1) throws(SystemError) -> BPFMap? {
    try BPFMap(pinned: path("map"), keySize: key, valueSize: value, processors: processors)
  }

  @Test func theFileSystemIsRecognised() throws {
    #expect(BPFFileSystem.isMounted(at: path("")))
    #expect(!BPFFileSystem.isMounted(at: node.path("/sys/fs")))
    #expect(!BPFFileSystem.isMounted(at: "/no/such/directory"))
  }

  @Test func missingPinsAreNil() throws {
    #expect(try map() == nil)
    #expect(try BPFProgram(pinned: path("program")) == nil)
  }

  @Test func entriesAreSetReadAndRemoved() throws {
    try makeMap()
    let map = try map()
    #expect(try map?.keys() == [])
    #expect(try map?.value(of: [1, 0, 0, 0]) == .some(nil))
    try map?.set([1, 0, 0, 0], to: [1, 2, 3, 4, 5, 6, 7, 8])
    try map?.set([2, 0, 0, 0], to: [8, 7, 6, 5, 4, 3, 2, 1])
    #expect(try map?.value(of: [1, 0, 0, 0]) == [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(
      try node.sh("bpftool map lookup pinned /sys/fs/bpf/map key 2 0 0 0").contains("08 07 06 05 04 03 02 01"))
    try map?.set([1, 0, 0, 0], to: [0, 0, 0, 0, 0, 0, 0, 9])
    #expect(try map?.value(of: [1, 0, 0, 0]) == [0, 0, 0, 0, 0, 0, 0, 9])
    #expect(try Set(map?.keys() ?? []) == [[1, 0, 0, 0], [2, 0, 0, 0]])
    try map?.remove([1, 0, 0, 0])
    try map?.remove([1, 0, 0, 0])
    #expect(try map?.keys() == [[2, 0, 0, 0]])
  }

  @Test func aFullMapRefusesNewKeys() throws {
    try makeMap(entries: 2)
    let map = try map()
    for number in UInt8(1)...2 { try map?.set([number, 0, 0, 0], to: [UInt8](repeating: number, count: 8)) }
    let refusal = #expect(throws: SystemError.self) {
      try map?.set([3, 0, 0, 0], to: [UInt8](repeating: 3, count: 8))
    }
    #expect(refusal?.errno == E2BIG)
    #expect(refusal?.subject == path("map"))
    #expect(try map?.keys().count == 2)
  }

  /// The kernel reads and writes as many bytes as the map's own sizes say, which may be more than the caller has room for.
  @Test(arguments: [(4, 4), (4, 16), (4, 4096), (8, 8), (16, 8)]) func aMapOfOtherSizesIsRefused(
    _ key: Int, _ value: Int
  ) throws {
    try makeMap(key: key, value: value)
    let refusal = #expect(throws: SystemError.self) { _ = try map() }
    #expect(refusal?.errno == EINVAL)
    #expect(
      "\(refusal ?? .init("", "", errno: 0))".hasPrefix("find keys of 4 and values of 8 bytes in \(path("map")): "))
  }

  @Test func aPerCPUMapHasAValueForEachProcessor() throws {
    try makeMap("percpu_array", value: 16, entries: 2)
    let processors = try #require(
      Int(node.sh("cat /sys/devices/system/cpu/possible").split(whereSeparator: { "-\n".contains($0) }).last ?? ""))
    let map = try map(value: 16, processors: processors + 1)
    #expect(try map?.keys() == [[0, 0, 0, 0], [1, 0, 0, 0]])
    let value = (0...processors).flatMap { [UInt8](repeating: UInt8($0 + 1), count: 16) }
    try map?.set([1, 0, 0, 0], to: value)
    #expect(try map?.value(of: [1, 0, 0, 0]) == value)
    #expect(try map?.value(of: [0, 0, 0, 0]) == [UInt8](repeating: 0, count: value.count))
  }

  /// Another process changes the map while its keys are listed.
  @Test func listingAChangingMapEnds() throws {
    try makeMap(entries: 64)
    let map = try map()
    let other = try node.start([
      "/bin/sh", "-c",
      """
      while :; do for n in $(seq 1 60); do echo "map update pinned /sys/fs/bpf/map key $n 0 0 0 value 1 0 0 0 0 0 0 0"
      echo "map delete pinned /sys/fs/bpf/map key $n 0 0 0"; done | bpftool batch file - >/dev/null; done
      """,
    ])
    defer { other.stop() }
    #expect(try eventually { try map?.keys().isEmpty == false }, "\(other.output)")
    for _ in 0..<2000 { #expect(try (map?.keys().count ?? 0) <= 128) }
  }

  @Test func aProgramHasItsID() throws {
    try node.loadPrograms()
    let numbers = try ["from_pod", "to_pod"].map { name in
      try #require(try BPFProgram(pinned: path("programs/\(name)"))?.id())
    }
    #expect(numbers[0] != numbers[1])
    #expect(try node.sh("bpftool prog show pinned /sys/fs/bpf/programs/from_pod").hasPrefix("\(numbers[0]): "))
  }

  /// A pin of another kind can be opened by its name; the next call fails.
  @Test func otherObjectsAreRefused() throws {
    try node.loadPrograms()
    #expect(throws: SystemError.self) {
      _ = try BPFMap(pinned: path("programs/from_pod"), keySize: 16, valueSize: 16)
    }
    try node.sh("ip link add x type bridge && tc qdisc add dev x clsact")
    let link = try node.index(of: "x")
    var socket = try node.routeSocket()
    try node.sh("bpftool map create /sys/fs/bpf/programs/map type hash key 4 value 4 entries 1 name map")
    let map = try node.program("map")
    #expect(
      refusal { try socket.perform(.setFilter("map", map, at: .ingress, of: link)) }?.errno == EINVAL)
    // A file that is no BPF object.
    #expect(throws: SystemError.self) { _ = try BPFProgram(pinned: node.path("/etc/hostname")) }
  }
}
