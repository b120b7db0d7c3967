import Addresses
import IPAM
import Linux
import Testing
import TestSupport

@Suite struct ReleaseTests {
  private let fixture: LeaseFixture

  init() throws { fixture = try LeaseFixture() }

  @Test func releasingNothingIsSuccess() throws {
    #expect(try fixture.network().release(owner("unknown")).isEmpty)
    #expect(try fixture.network().find(owner("unknown")).isEmpty)
    #expect(try fixture.network().collect(keeping: []).isEmpty)
    #expect(try fixture.network().addresses().isEmpty)
    // No directory was created for it.
    #expect(try Files.identity(fixture.dataDirectory) == nil)

    _ = try fixture.network().allocate(owner("known"), from: [rangeSet("10.0.0.0/24")], requested: [])
    #expect(try fixture.network().release(owner("unknown")).isEmpty)
    #expect(texts(try fixture.network().release(owner("known"))) == ["10.0.0.2"])
    #expect(try fixture.network().release(owner("known")).isEmpty)
  }

  struct Content: Sendable {
    let name: String
    let content: String
    let isOurs: Bool
  }

  @Test(arguments: [
    Content(name: "10.0.0.9", content: "dummy\r\neth0", isOurs: true),
    Content(name: "10.0.0.9", content: "dummy", isOurs: true),
    Content(name: "10.0.0.9", content: "  dummy\n", isOurs: true),
    Content(name: "fd00::9", content: "dummy\r\neth0\n", isOurs: true),
    Content(name: "fd00:0:0:0::9", content: "dummy\r\neth0", isOurs: true),
    Content(name: "FD00::a", content: "dummy\r\neth0", isOurs: true),
    Content(name: "10.0.0.9", content: "dummy\r\neth1", isOurs: false),
    Content(name: "10.0.0.9", content: "dummy\neth0", isOurs: false),
    Content(name: "10.0.0.9", content: "dummy2\r\neth0", isOurs: false),
    Content(name: "10.0.0.9", content: "dummy2", isOurs: false),
    Content(name: "10.0.0.9", content: "\u{0}\u{FFFD}dummy", isOurs: false),
    Content(name: "10.0.0.900", content: "dummy\r\neth0", isOurs: false),
    Content(name: "README", content: "dummy\r\neth0", isOurs: false),
  ])
  func leasesOfHostLocalAreFoundAndReleased(_ example: Content) throws {
    try fixture.write(example.name, example.content)
    let found = try fixture.network().find(owner("dummy"))
    #expect(found == (example.isOurs ? [try address(example.name)] : []))
    #expect(try fixture.network().release(owner("dummy")) == found)
    #expect(try fixture.names().contains(example.name) == !example.isOurs)
  }

  /// As in host-local, the old format counts only if there is no lease in the new one.
  @Test func theOldFormatCountsOnlyWithoutANewLease() throws {
    try fixture.write("10.0.0.8", "dummy")
    try fixture.write("10.0.0.9", "dummy\r\neth0")
    #expect(texts(try fixture.network().release(owner("dummy"))) == ["10.0.0.9"])
    #expect(texts(try fixture.network().release(owner("dummy"))) == ["10.0.0.8"])
  }

  /// The old format covers every interface, so it is not another interface's lease.
  @Test func addressesOfAContainersOtherInterfaces() throws {
    try fixture.write("10.0.0.7", "dummy")
    try fixture.write("10.0.0.8", "dummy\r\neth0")
    try fixture.write("10.0.0.9", "dummy\r\neth1")
    try fixture.write("10.0.0.10", "dummy2\r\neth1")
    for _ in 1...2 {
      #expect(texts(try fixture.network().addresses(besides: owner("dummy"))) == ["10.0.0.9"])
      #expect(texts(try fixture.network().addresses(besides: owner("dummy", "eth1"))) == ["10.0.0.8"])
      #expect(try fixture.network().addresses(besides: owner("none")).isEmpty)
    }
  }

  @Test func aReleasedSpellingOfAnAddressIsFreeAgain() throws {
    try fixture.write("fd00:0::2", "dummy\r\neth0")
    let sets = [try rangeSet("fd00::/126")]
    #expect(texts(try fixture.network().allocate(owner("a"), from: sets, requested: [])) == ["fd00::3"])
    #expect(throws: IPAMError.self) { _ = try fixture.network().allocate(owner("b"), from: sets, requested: []) }
    #expect(texts(try fixture.network().release(owner("dummy"))) == ["fd00::2"])
    #expect(texts(try fixture.network().allocate(owner("b"), from: sets, requested: [])) == ["fd00::2"])
  }

  @Test func collectKeepsExactlyTheValidLeases() throws {
    let network = fixture.network()
    let sets = [try rangeSet("10.0.0.0/24"), try rangeSet("fd00::/64")]
    for id in ["a", "b", "c"] { _ = try network.allocate(owner(id), from: sets, requested: []) }
    _ = try network.allocate(owner("a", "eth1"), from: sets, requested: [])
    try fixture.write("10.0.0.50", "a")
    try fixture.write("10.0.0.51", "gone")
    try fixture.write("10.0.0.52", "foreign\r\neth0")
    try Files.makeDirectory("\(fixture.path)/10.0.0.53")
    try fixture.write("notes.txt", "b\r\neth0")

    let freed = try network.collect(keeping: [owner("a"), owner("c")])
    #expect(
      Set(freed.map { "\($0.address) \($0.owner)" }) == [
        "10.0.0.3 b (eth0)", "fd00::3 b (eth0)", "10.0.0.5 a (eth1)", "fd00::5 a (eth1)", "10.0.0.51 gone",
        "10.0.0.52 foreign (eth0)",
      ])
    #expect(
      try fixture.leases().keys.sorted() == ["10.0.0.2", "10.0.0.4", "10.0.0.50", "10.0.0.53", "fd00::2", "fd00::4"])
    #expect(try fixture.names().contains("notes.txt"))
    #expect(texts(try network.find(owner("c"))) == ["10.0.0.4", "fd00::4"])
    #expect(try network.find(owner("b")).isEmpty)
    #expect(try network.collect(keeping: [owner("a"), owner("c")]).isEmpty)
    #expect(try network.collect(keeping: []).count == 5)
    #expect(try fixture.leases().keys.sorted() == ["10.0.0.53"])
  }

  @Test func addressesAndSubnets() throws {
    let network = fixture.network()
    _ = try network.allocate(
      owner("a"), from: [rangeSet("10.0.0.0/24"), rangeSet("fd00::/64")], requested: [])
    #expect(texts(try network.addresses()) == ["10.0.0.2", "fd00::2"])
    for (subnet, expected) in [
      ("10.0.0.0/24", true), ("10.0.0.2/32", true), ("10.0.0.0/31", false), ("10.0.1.0/24", false),
      ("fd00::/64", true), ("fd00:0:0:1::/64", false), ("::/0", true),
    ] {
      #expect(try network.hasLease(in: #require(IPPrefix(subnet))) == expected, "\(subnet)")
    }
  }

  @Test func aHeldLockIsWaitedForAndNamed() throws {
    let sets = [try rangeSet("10.0.0.0/24")]
    _ = try fixture.network().allocate(owner("a"), from: sets, requested: [])
    // Not at once: a program that another test starts holds copies of our locks until exec(2).
    let lock = try FileLock("\(fixture.path)/lock", waitingAtMost: .seconds(5))
    let network = fixture.network(limit: .milliseconds(20))
    let expected = IPAMError.locked(path: "\(fixture.path)/lock", waited: .milliseconds(20))
    #expect(throws: expected) { _ = try network.allocate(owner("b"), from: sets, requested: []) }
    #expect(throws: expected) { _ = try network.release(owner("a")) }
    #expect(throws: expected) { _ = try network.find(owner("a")) }
    #expect(throws: expected) { _ = try network.collect(keeping: []) }
    _ = consume lock
    #expect(texts(try fixture.network().release(owner("a"))) == ["10.0.0.2"])
  }

  /// A DEL must release the address even if the state directory cannot be written.
  @Test func releaseWorksWithoutAnIndex() throws {
    let sets = [try rangeSet("10.0.0.0/24")]
    try fixture.write("10.0.0.2", "a\r\neth0")
    try Files.write(fixture.stateDirectory, Array("a file in the way".utf8))
    #expect(throws: IPAMError.self) { _ = try fixture.network().allocate(owner("b"), from: sets, requested: []) }
    #expect(texts(try fixture.network().find(owner("a"))) == ["10.0.0.2"])
    #expect(texts(try fixture.network().release(owner("a"))) == ["10.0.0.2"])
    #expect(try fixture.leases().isEmpty)
  }
}
