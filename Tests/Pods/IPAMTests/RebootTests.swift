import Addresses
import IPAM
import Linux
import Testing

/// The state directory of a rebooted node is empty, and no runtime releases the leases of its earlier pods.
@Suite struct RebootTests {
  private let fixture: LeaseFixture
  private let sets: [RangeSet]

  init() throws {
    fixture = try LeaseFixture()
    sets = [try rangeSet("10.0.0.0/29"), try rangeSet("fd00::/64")]
    for id in ["a", "b", "c"] { _ = try fixture.network().allocate(owner(id), from: sets, requested: []) }
    try fixture.reboot()
  }

  @Test func leasesOfThePreviousBootAreFree() throws {
    try fixture.write("10.0.0.6", "new\r\neth0")
    #expect(texts(try fixture.network().allocate(owner("d"), from: sets, requested: [])) == ["10.0.0.5", "fd00::5"])
    #expect(
      try fixture.leases() == [
        "10.0.0.5": "d\r\neth0", "fd00::5": "d\r\neth0", "10.0.0.6": "new\r\neth0",
      ])
  }

  @Test func theSameContainerMayStartAgain() throws {
    #expect(texts(try fixture.network().allocate(owner("a"), from: sets, requested: [])) == ["10.0.0.5", "fd00::5"])
  }

  @Test func aLivingOwnerKeepsItsLease() throws {
    let network = fixture.network(alive: [owner("b")])
    _ = try network.allocate(owner("d"), from: sets, requested: [])
    #expect(try fixture.leases().filter { $0.value == "b\r\neth0" }.keys.sorted() == ["10.0.0.3", "fd00::3"])
    #expect(texts(try network.find(owner("b"))) == ["10.0.0.3", "fd00::3"])
    #expect(try network.find(owner("a")).isEmpty)
  }

  @Test(arguments: [("dummy", false), ("\u{0}", false), ("", false)])
  func oldFormatsAndEmptyFilesAreRemovedToo(_ content: String, _ stays: Bool) throws {
    try fixture.write("10.0.0.6", content)
    try Files.setModified("\(fixture.path)/10.0.0.6", sinceEpoch: .seconds(86400))
    _ = try fixture.network().find(owner("x"))
    #expect(try fixture.names().contains("10.0.0.6") == stays)
  }

  /// The clock may be set after the first use: then leases of this boot seem older than the boot.
  @Test func onlyTheFirstUseInABootRemovesLeases() throws {
    #expect(try fixture.network().find(owner("a")).isEmpty)
    _ = try fixture.network().allocate(owner("d"), from: sets, requested: [])
    try fixture.write("10.0.0.6", "new\r\neth0")
    for name in ["10.0.0.5", "10.0.0.6"] {
      try Files.setModified("\(fixture.path)/\(name)", sinceEpoch: .seconds(86400))
    }
    try Files.setModified(fixture.path, sinceEpoch: .seconds(86400))
    #expect(texts(try fixture.network().find(owner("d"))) == ["10.0.0.5", "fd00::5"])
    #expect(texts(try fixture.network().find(owner("new"))) == ["10.0.0.6"])
  }

  /// In one boot the reference made a lease, the clock was set forward, and the node was switched to Causeway.
  @Test func withoutUseInAnEarlierBootNothingIsLeftOver() throws {
    for lock in [nil, ""] as [String?] {
      let fixture = try LeaseFixture()
      try fixture.write("10.0.0.2", "a\r\neth0")
      if let lock { try fixture.write("lock", lock) }
      try Files.setModified("\(fixture.path)/10.0.0.2", sinceEpoch: .seconds(86400))
      #expect(texts(try fixture.network().find(owner("a"))) == ["10.0.0.2"])
    }
  }

  /// A state directory that a reboot does not empty.
  @Test func anIndexOfThePreviousBootIsNotUsed() throws {
    _ = try fixture.network().allocate(owner("d"), from: sets, requested: [])
    for index in try Files.names(in: "\(fixture.stateDirectory)/ipam") {
      let index = "\(fixture.stateDirectory)/ipam/\(index)"
      try Files.setModified("\(index)/stamp", sinceEpoch: .seconds(86400))
    }
    try fixture.write("lock", "an earlier boot")
    for path in ["\(fixture.path)/10.0.0.5", "\(fixture.path)/fd00::5", fixture.path] {
      try Files.setModified(path, sinceEpoch: .seconds(86400))
    }
    #expect(try fixture.network().find(owner("d")).isEmpty)
    #expect(try fixture.leases().isEmpty)
  }
}
