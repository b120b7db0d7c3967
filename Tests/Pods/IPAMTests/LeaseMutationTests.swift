import Addresses
import IPAM
import Linux
import Testing
import TestSupport

/// A network's directory in which anything may stand: no address is given twice, and nobody's lease goes with another's.
@Suite(.timeLimit(.minutes(1))) struct LeaseMutationTests {
  private let fixture: LeaseFixture
  private let sets: [RangeSet]

  init() throws {
    fixture = try LeaseFixture()
    sets = [try rangeSet("10.0.0.0/27")]
  }

  private func allocate(_ id: String) throws -> [String] {
    texts(try fixture.network().allocate(owner(id), from: sets, requested: []))
  }

  @Test(arguments: 0..<2 as Range<UInt64>) func damagedLeasesAreNobodysOrTheirOwners(seed: UInt64) throws {
    var mutations = Mutations(of: ["victim\r\neth0", "other\r\neth1", "old", "10.0.0.9"], seed: seed)
    for round in 0..<40 {
      try fixture.write("10.0.0.2", "victim\r\neth0")
      for last in 3...6 {
        // Never empty, as what host-local leaves when it dies.
        try Files.write("\(fixture.path)/10.0.0.\(last)", mutations.next() + [0x78])
      }
      try Files.write("\(fixture.path)/last_reserved_ip.0", mutations.next())
      try Files.write("\(fixture.path)/lock", Array(mutations.next().prefix(64)))
      let before = try fixture.leases()
      let given = try allocate("pod\(round)")
      #expect(given.count == 1 && before[given[0]] == nil, "\(given) of \(before)")
      #expect(texts(try fixture.network().release(owner("pod\(round)"))) == given)
      _ = try fixture.network().release(owner("nobody-that-is-there"))
      #expect(try fixture.leases() == before)
      for name in before.keys { try fixture.remove(name) }
    }
  }

  /// The index is a shortcut: whatever stands in it, the files have the last word on what is held.
  @Test(arguments: 0..<2 as Range<UInt64>) func aLyingIndexGivesNoAddressTwice(seed: UInt64) throws {
    var held: [String: String] = [:]
    for number in 0..<12 { held[try #require(allocate("pod\(number)").first)] = "pod\(number)\r\neth0" }
    let index = try #require(try Files.names(in: "\(fixture.stateDirectory)/ipam").first)
    let parts = try ["owners", "held"].flatMap { part in
      let path = "\(fixture.stateDirectory)/ipam/\(index)/\(part)"
      return try Files.names(in: path).map { "\(path)/\($0)" }
    }
    var mutations = Mutations(of: try parts.map { try #require(try Files.read($0, limit: 1 << 20)) }, seed: seed)
    for round in 0..<30 {
      // Written in place: the directory and the stamp stay as they are, so the index is believed.
      for path in parts { try Files.write(path, mutations.next()) }
      guard let given = try? allocate("new\(round)") else { continue }
      #expect(given.count == 1 && held[given[0]] == nil, "\(given)")
      try fixture.remove(given[0])
      #expect(try fixture.leases() == held)
    }
  }

  /// What is none of a lease's files is not followed, not waited for, and not written through.
  @Test func whatIsNoFileHoldsNobodyUp() throws {
    #expect(try allocate("a") == ["10.0.0.2"])
    let outside = "\(fixture.dataDirectory)/outside"
    try Files.write(outside, Array("victim\r\neth0".utf8))
    func sh(_ script: String) throws { try run(["/bin/sh", "-ec", "cd \(fixture.path); \(script)"]).succeeded() }
    try sh(
      "mkfifo 10.0.0.3; mkdir 10.0.0.4; ln -s ../outside 10.0.0.5; truncate -s 1G 10.0.0.6; ln -s /dev/zero 10.0.0.7")
    #expect(try allocate("b") == ["10.0.0.8"])
    // The link goes, what it leads to stays.
    #expect(texts(try fixture.network().release(owner("victim"))) == ["10.0.0.5"])
    #expect(try Files.read(outside, limit: 100) == Array("victim\r\neth0".utf8))
    #expect(texts(try fixture.network().collect(keeping: []).map(\.address)) == ["10.0.0.2", "10.0.0.8"])
    #expect(try fixture.leases().keys.sorted() == ["10.0.0.3", "10.0.0.4", "10.0.0.6", "10.0.0.7"])
  }

  @Test(arguments: ["lock", "last_reserved_ip.0"]) func nothingIsWrittenThroughALink(_ name: String) throws {
    _ = try allocate("a")
    let outside = "\(fixture.dataDirectory)/outside"
    try Files.write(outside, Array("precious".utf8))
    try run(["ln", "-sf", "../outside", "\(fixture.path)/\(name)"]).succeeded()
    let words = errorText { _ = try allocate("b") }
    #expect(words?.contains(name) == true, "\(words ?? "no error")")
    #expect(try Files.read(outside, limit: 100) == Array("precious".utf8))
    // Nothing was given without being told.
    #expect(try fixture.leases().values.allSatisfy { $0.hasPrefix("a") })
  }

  @Test(arguments: ["lock", "last_reserved_ip.0"]) func aFIFOHoldsNobodyUp(_ name: String) throws {
    _ = try allocate("a")
    try fixture.remove(name)
    try run(["mkfifo", "\(fixture.path)/\(name)"]).succeeded()
    // Done or refused by name, and not waited for.
    if let words = errorText({ _ = try allocate("b") }) { #expect(words.contains(name), "\(words)") }
    _ = try? fixture.network().release(owner("a"))
  }
}
