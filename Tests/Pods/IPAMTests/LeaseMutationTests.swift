import Addresses
import IPAM
import Linux
import Testing
import TestSupport

/// A network's directory with damaged files: no address is leased twice, and no lease is removed with another one.
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

  @Test(arguments: 0..<2 as Range<UInt64>) func damagedLeasesKeepTheirOwnerOrHaveNone(seed: UInt64) throws {
    var mutations = Mutations(of: ["victim\r\neth0", "other\r\neth1", "old", "10.0.0.9"], seed: seed)
    for round in 0..<40 {
      try fixture.write("10.0.0.2", "victim\r\neth0")
      for last in 3...6 {
        // Never empty: an empty file means a crash of host-local.
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

  /// The files, not the index, decide which addresses are held.
  @Test(arguments: 0..<2 as Range<UInt64>) func aWrongIndexLeasesNoAddressTwice(seed: UInt64) throws {
    var held: [String: String] = [:]
    for number in 0..<12 { held[try #require(allocate("pod\(number)").first)] = "pod\(number)\r\neth0" }
    let index = try #require(try Files.names(in: "\(fixture.stateDirectory)/ipam").first)
    let parts = try ["owners", "held"].flatMap { part in
      let path = "\(fixture.stateDirectory)/ipam/\(index)/\(part)"
      return try Files.names(in: path).map { "\(path)/\($0)" }
    }
    var mutations = Mutations(of: try parts.map { try #require(try Files.read($0, limit: 1 << 20)) }, seed: seed)
    for round in 0..<30 {
      // Written in place: the directory and the stamp do not change, so the index is used.
      for path in parts { try Files.write(path, mutations.next()) }
      guard let given = try? allocate("new\(round)") else { continue }
      #expect(given.count == 1 && held[given[0]] == nil, "\(given)")
      try fixture.remove(given[0])
      #expect(try fixture.leases() == held)
    }
  }

  /// Links are not followed and not written through; FIFOs are not waited for.
  @Test func linksAndFIFOsDoNotBlockAnOperation() throws {
    #expect(try allocate("a") == ["10.0.0.2"])
    let outside = "\(fixture.dataDirectory)/outside"
    try Files.write(outside, Array("victim\r\neth0".utf8))
    func sh(_ script: String) throws { try run(["/bin/sh", "-ec", "cd \(fixture.path); \(script)"]).succeeded() }
    try sh(
      "mkfifo 10.0.0.3; mkdir 10.0.0.4; ln -s ../outside 10.0.0.5; truncate -s 1G 10.0.0.6; ln -s /dev/zero 10.0.0.7")
    #expect(try allocate("b") == ["10.0.0.8"])
    // The link is removed, its target is kept.
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
    // No address was leased without being returned.
    #expect(try fixture.leases().values.allSatisfy { $0.hasPrefix("a") })
  }

  @Test(arguments: ["lock", "last_reserved_ip.0"]) func aFIFODoesNotBlockAnOperation(_ name: String) throws {
    _ = try allocate("a")
    try fixture.remove(name)
    try run(["mkfifo", "\(fixture.path)/\(name)"]).succeeded()
    // The operation succeeds or names the file, and does not block.
    if let words = errorText({ _ = try allocate("b") }) { #expect(words.contains(name), "\(words)") }
    _ = try? fixture.network().release(owner("a"))
  }
}
