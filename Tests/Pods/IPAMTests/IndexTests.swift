import Addresses
import IPAM
import Linux
import Testing
import TestSupport

/// The index is believed only while the directory is as we left it, and a crash anywhere leaves whole leases.
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

  @Test func nothingOfTheIndexLiesInTheDataDirectory() throws {
    _ = try allocate("a")
    #expect(try Files.names(in: fixture.dataDirectory) == ["net"])
    #expect(try Files.names(in: fixture.stateDirectory) == ["ipam"])
    for name in try fixture.names() { #expect(IPAddress(name) != nil || name.hasPrefix("last_reserved_ip.")) }
  }

  @Test func aLeaseThatHostLocalMadeIsHonoured() throws {
    #expect(try allocate("a") == ["10.0.0.2", "fd00::2"])
    try fixture.write("10.0.0.3", "b\r\neth0")
    #expect(try allocate("c") == ["10.0.0.4", "fd00::3"])
    #expect(texts(try fixture.network().release(owner("b"))) == ["10.0.0.3"])
  }

  @Test func aLeaseThatHostLocalReleasedIsGone() throws {
    _ = try allocate("a")
    _ = try allocate("b")
    try fixture.remove("10.0.0.2")
    #expect(texts(try fixture.network().find(owner("a"))) == ["fd00::2"])
    #expect(texts(try fixture.network().release(owner("a"))) == ["fd00::2"])
    #expect(texts(try fixture.network().find(owner("b"))) == ["10.0.0.3", "fd00::3"])
  }

  /// host-local changes hands of an address between two of our verbs.
  @Test func anAddressThatChangedHandsIsItsNewOwners() throws {
    _ = try allocate("a")
    try fixture.remove("10.0.0.2")
    try fixture.write("10.0.0.2", "b\r\neth0")
    #expect(texts(try fixture.network().find(owner("a"))) == ["fd00::2"])
    #expect(texts(try fixture.network().release(owner("a"))) == ["fd00::2"])
    #expect(try fixture.leases() == ["10.0.0.2": "b\r\neth0"])
    #expect(texts(try fixture.network().release(owner("b"))) == ["10.0.0.2"])
  }

  /// Overwritten in place the directory keeps its time: the file itself has the last word.
  @Test func eachHitIsCheckedAgainstTheFile() throws {
    _ = try allocate("a")
    try Files.write("\(fixture.path)/10.0.0.2", Array("b\r\neth0".utf8))
    #expect(texts(try fixture.network().release(owner("a"))) == ["fd00::2"])
    #expect(try fixture.leases() == ["10.0.0.2": "b\r\neth0"])
  }

  @Test func aFullRangeThatHostLocalMadeRoomInIsNotFull() throws {
    for number in 1...13 { _ = try allocate("id\(number)") }
    #expect(throws: IPAMError.self) { _ = try allocate("more") }
    try fixture.remove("10.0.0.7")
    #expect(try allocate("more").first == "10.0.0.7")
  }

  /// Whatever the index says, nobody is turned away before the files were asked.
  @Test func fullIsSaidOnlyByTheFiles() throws {
    for number in 1...13 { _ = try allocate("id\(number)") }
    let time = try #require(try Files.identity(fixture.path)).modified
    try fixture.remove("10.0.0.7")
    try Files.setModified(fixture.path, sinceEpoch: time)
    #expect(try allocate("more").first == "10.0.0.7")
  }

  @Test func anAddressThatTheIndexCallsFreeIsNeverTakenFromItsOwner() throws {
    #expect(try allocate("a").first == "10.0.0.2")
    let time = try #require(try Files.identity(fixture.path)).modified
    try fixture.write("10.0.0.3", "b\r\neth0")
    try Files.setModified(fixture.path, sinceEpoch: time)
    #expect(try allocate("c").first == "10.0.0.4")
    #expect(try fixture.content("10.0.0.3") == "b\r\neth0")
  }

  @Test(arguments: ["rm -rf $0", "rm -rf $0/ipam/*/held", "rm -rf $0/ipam/*/owners", "rm $0/ipam/*/stamp"])
  func aLostIndexIsMadeAnew(_ loss: String) throws {
    _ = try allocate("a")
    _ = try allocate("b")
    try run(["sh", "-c", loss, fixture.stateDirectory]).succeeded()
    // Of the parts that are checked later something else must change before they are missed.
    try fixture.write("10.0.0.9", "c\r\neth0")
    #expect(texts(try fixture.network().find(owner("a"))) == ["10.0.0.2", "fd00::2"])
    #expect(try allocate("d") == ["10.0.0.4", "fd00::4"])
    #expect(texts(try fixture.network().release(owner("b"))) == ["10.0.0.3", "fd00::3"])
    #expect(texts(try fixture.network().release(owner("c"))) == ["10.0.0.9"])
  }

  @Test func aBrokenIndexHarmsNobody() throws {
    _ = try allocate("a")
    let garbage = #"for f in "$0"/ipam/*/owners/* "$0"/ipam/*/held/*; do printf 'x\n\377 \0 \n1 2 3\n' >"$f"; done"#
    try run(["sh", "-c", garbage, fixture.stateDirectory]).succeeded()
    #expect(try allocate("b") == ["10.0.0.3", "fd00::3"])
    try fixture.remove("10.0.0.3")
    #expect(texts(try fixture.network().release(owner("a"))) == ["10.0.0.2", "fd00::2"])
  }

  /// A crash of ours after a lease was made and before the index knew of it.
  @Test func aCrashedAddLeavesALeaseThatDelFrees() throws {
    _ = try allocate("a")
    try fixture.write("10.0.0.3", "b\r\neth0")
    #expect(texts(try fixture.network().release(owner("b"))) == ["10.0.0.3"])
    #expect(try allocate("b") == ["10.0.0.3", "fd00::3"])
  }

  @Test func aSecondDelFreesWhatACrashedOneLeft() throws {
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

  /// host-local makes the file first and writes it then.
  @Test func anEmptyLeaseOfACrashedHostLocalIsFree() throws {
    try fixture.write("10.0.0.2", "")
    #expect(try allocate("a").first == "10.0.0.2")
    #expect(try fixture.leases()["10.0.0.2"] == "a\r\neth0")
    try fixture.write("10.0.0.3", "")
    #expect(try allocate("b").first == "10.0.0.3")
  }

  @Test func oddThingsInTheDirectory() throws {
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

  @Test func aFileInTheDirectorysPlaceIsAnError() throws {
    try Files.makeDirectory(fixture.dataDirectory)
    try Files.write(fixture.path, [])
    let error = try #require(errorText { _ = try allocate("a") })
    #expect(error.contains(fixture.path))
    #expect(try fixture.network().release(owner("a")).isEmpty)
  }
}
