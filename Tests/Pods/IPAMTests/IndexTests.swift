import Addresses
import IPAM
import Linux
import Testing
import TestSupport

/// The index is used only while the directory is as we left it, and a crash at any point leaves whole leases.
@Suite struct IndexTests {
  private let fixture: LeaseFixture
  private let sets: [RangeSet]

  init() throws {
    fixture = try LeaseFixture()
    sets = [try rangeSet("10.0.0.0/28"), try rangeSet("fd00::/64")]
  }

  private func allocate(_ id: String) throws -> [String] {
    texts(try fixture.network().allocate(owner(id), from: sets, requested: []))
  }

  @Test func theIndexIsOutsideTheDataDirectory() throws {
    _ = try allocate("a")
    #expect(try Files.names(in: fixture.dataDirectory) == ["net"])
    #expect(try Files.names(in: fixture.stateDirectory) == ["ipam"])
    for name in try fixture.names() { #expect(IPAddress(name) != nil || name.hasPrefix("last_reserved_ip.")) }
  }

  @Test func aLeaseOfHostLocalIsRespected() throws {
    #expect(try allocate("a") == ["10.0.0.2", "fd00::2"])
    try fixture.write("10.0.0.3", "b\r\neth0")
    #expect(try allocate("c") == ["10.0.0.4", "fd00::3"])
    #expect(texts(try fixture.network().release(owner("b"))) == ["10.0.0.3"])
  }

  @Test func aLeaseThatHostLocalReleasedIsFree() throws {
    _ = try allocate("a")
    _ = try allocate("b")
    try fixture.remove("10.0.0.2")
    #expect(texts(try fixture.network().find(owner("a"))) == ["fd00::2"])
    #expect(texts(try fixture.network().release(owner("a"))) == ["fd00::2"])
    #expect(texts(try fixture.network().find(owner("b"))) == ["10.0.0.3", "fd00::3"])
  }

  /// host-local leases an address to another owner between two of our operations.
  @Test func anAddressWithANewOwnerIsKept() throws {
    _ = try allocate("a")
    try fixture.remove("10.0.0.2")
    try fixture.write("10.0.0.2", "b\r\neth0")
    #expect(texts(try fixture.network().find(owner("a"))) == ["fd00::2"])
    #expect(texts(try fixture.network().release(owner("a"))) == ["fd00::2"])
    #expect(try fixture.leases() == ["10.0.0.2": "b\r\neth0"])
    #expect(texts(try fixture.network().release(owner("b"))) == ["10.0.0.2"])
  }

  /// A file that is overwritten in place does not change the directory's time: the file itself decides.
  @Test func eachIndexEntryIsCheckedAgainstItsFile() throws {
    _ = try allocate("a")
    try Files.write("\(fixture.path)/10.0.0.2", Array("b\r\neth0".utf8))
    #expect(texts(try fixture.network().release(owner("a"))) == ["fd00::2"])
    #expect(try fixture.leases() == ["10.0.0.2": "b\r\neth0"])
  }

  @Test func anAddressThatHostLocalReleasedInAFullRangeIsLeased() throws {
    for number in 1...13 { _ = try allocate("id\(number)") }
    #expect(throws: IPAMError.self) { _ = try allocate("more") }
    try fixture.remove("10.0.0.7")
    #expect(try allocate("more").first == "10.0.0.7")
  }

  /// No request is refused by the index alone, without reading the files.
  @Test func aSetIsFullOnlyByItsFiles() throws {
    for number in 1...13 { _ = try allocate("id\(number)") }
    let time = try #require(try Files.identity(fixture.path)).modified
    try fixture.remove("10.0.0.7")
    try Files.setModified(fixture.path, sinceEpoch: time)
    #expect(try allocate("more").first == "10.0.0.7")
  }

  @Test func aHeldAddressThatTheIndexLacksIsNotLeased() throws {
    #expect(try allocate("a").first == "10.0.0.2")
    let time = try #require(try Files.identity(fixture.path)).modified
    try fixture.write("10.0.0.3", "b\r\neth0")
    try Files.setModified(fixture.path, sinceEpoch: time)
    #expect(try allocate("c").first == "10.0.0.4")
    #expect(try fixture.content("10.0.0.3") == "b\r\neth0")
  }

  @Test(arguments: ["rm -rf $0", "rm -rf $0/ipam/*/held", "rm -rf $0/ipam/*/owners", "rm $0/ipam/*/stamp"])
  func aLostIndexIsRebuilt(_ loss: String) throws {
    _ = try allocate("a")
    _ = try allocate("b")
    try run(["sh", "-c", loss, fixture.stateDirectory]).succeeded()
    // The parts that are checked later are missed only after another change.
    try fixture.write("10.0.0.9", "c\r\neth0")
    #expect(texts(try fixture.network().find(owner("a"))) == ["10.0.0.2", "fd00::2"])
    #expect(try allocate("d") == ["10.0.0.4", "fd00::4"])
    #expect(texts(try fixture.network().release(owner("b"))) == ["10.0.0.3", "fd00::3"])
    #expect(texts(try fixture.network().release(owner("c"))) == ["10.0.0.9"])
  }

  @Test func aBrokenIndexLosesNoLease() throws {
    _ = try allocate("a")
    let garbage = #"for f in "$0"/ipam/*/owners/* "$0"/ipam/*/held/*; do printf 'x\n\377 \0 \n1 2 3\n' >"$f"; done"#
    try run(["sh", "-c", garbage, fixture.stateDirectory]).succeeded()
    #expect(try allocate("b") == ["10.0.0.3", "fd00::3"])
    try fixture.remove("10.0.0.3")
    #expect(texts(try fixture.network().release(owner("a"))) == ["10.0.0.2", "fd00::2"])
  }

  /// A crash of ours between the creation of a lease and the update of the index.
  @Test func delReleasesTheLeaseOfACrashedAdd() throws {
    _ = try allocate("a")
    try fixture.write("10.0.0.3", "b\r\neth0")
    #expect(texts(try fixture.network().release(owner("b"))) == ["10.0.0.3"])
    #expect(try allocate("b") == ["10.0.0.3", "fd00::3"])
  }

  @Test func aSecondDelReleasesWhatACrashedOneLeft() throws {
    _ = try allocate("a")
    for half in ["10.0.0.2", "fd00::2"] {
      let other = half == "fd00::2" ? "10.0.0.2" : "fd00::2"
      try fixture.write("10.0.0.2", "a\r\neth0")
      try fixture.write("fd00::2", "a\r\neth0")
      try fixture.remove(half)
      #expect(texts(try fixture.network().release(owner("a"))) == [other])
      #expect(try fixture.leases().isEmpty)
    }
  }

  /// host-local creates the file first and writes it then.
  @Test func anEmptyLeaseOfACrashedHostLocalIsFree() throws {
    try fixture.write("10.0.0.2", "")
    #expect(try allocate("a").first == "10.0.0.2")
    #expect(try fixture.leases()["10.0.0.2"] == "a\r\neth0")
    try fixture.write("10.0.0.3", "")
    #expect(try allocate("b").first == "10.0.0.3")
  }

  @Test func otherFilesInTheDirectoryAreKept() throws {
    try fixture.write("10.0.0.300", "x\r\neth0")
    try fixture.write("README", "a\r\neth0")
    try fixture.write(".10.0.0.4.swp", "a\r\neth0")
    try Files.makeDirectory("\(fixture.path)/10.0.0.2")
    try Files.makeDirectory("\(fixture.path)/sub/10.0.0.3")
    try run(["mkfifo", "\(fixture.path)/10.0.0.3"]).succeeded()
    try run(["ln", "-s", "/nonexistent", "\(fixture.path)/10.0.0.4"]).succeeded()
    try run(["truncate", "-s", "1G", "\(fixture.path)/10.0.0.5"]).succeeded()
    try run(["ln", "-s", "10.0.0.6", "\(fixture.path)/10.0.0.6"]).succeeded()
    try fixture.write("last_reserved_ip.0", String(repeating: "9", count: 4096))
    #expect(try allocate("a").first == "10.0.0.7")
    #expect(texts(try fixture.network().release(owner("a"))) == ["10.0.0.7", "fd00::2"])
    #expect(try fixture.names().isSuperset(of: ["README", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]))
    #expect(try fixture.network().collect(keeping: []).isEmpty)
  }

  @Test func aFileInPlaceOfTheDirectoryIsAnError() throws {
    try Files.makeDirectory(fixture.dataDirectory)
    try Files.write(fixture.path, [])
    let error = try #require(errorText { _ = try allocate("a") })
    #expect(error.contains(fixture.path))
    #expect(try fixture.network().release(owner("a")).isEmpty)
  }
}
