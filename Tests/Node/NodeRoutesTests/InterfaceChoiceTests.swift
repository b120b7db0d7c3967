import Addresses
import Netlink
import OwnNode
import Testing

@Suite struct InterfaceChoiceTests {
  /// IFA_F_*.
  private static let temporary: UInt32 = 0x01
  private static let secondary: UInt32 = 0x01
  private static let duplicate: UInt32 = 0x08
  private static let deprecated: UInt32 = 0x20
  private static let tentative: UInt32 = 0x40
  private static let permanent: UInt32 = 0x80

  /// A node with `lo`, `eth0` and `eth1` (indexes 1 to 3) and these addresses; the IPv4 default route uses `eth0`.
  private func state(
    _ addresses: [(link: Int32, text: String, flags: UInt32)], _ change: (inout NetworkState) -> Void = { _ in }
  ) -> NetworkState {
    var state = NetworkState(
      links: [Scenario.loopback, Scenario.link(2, "eth0"), Scenario.link(3, "eth1")],
      addresses: [LinkAddress(prefix("127.0.0.1/8"), linkIndex: 1, scope: 254)]
        + addresses.map { LinkAddress(prefix($0.text), linkIndex: $0.link, flags: $0.flags) })
    state.defaultRoutes = [DefaultRoute(.v4, linkIndexes: [2])]
    change(&state)
    return state
  }

  private func choose(
    _ state: NetworkState, _ families: [IPFamily] = [.v4], _ selection: InterfaceSelection = InterfaceSelection(),
    present: [String] = []
  ) -> InterfaceChoice {
    InterfaceChoice(
      families, selection, state: state, clusterNetworks: [prefix("10.244.0.0/16"), prefix("fd00:10::/48")],
      present: present.map(address))
  }

  /// "192.0.2.1 eth0" for each family found.
  private func words(_ choice: InterfaceChoice) -> [String] {
    choice.interfaces.map { "\($0.address) \($0.link.name)" }
  }

  private static let permanent1 = (link: Int32(2), text: "192.0.2.1/24", flags: permanent)
  private static let permanent2 = (link: Int32(3), text: "198.51.100.1/24", flags: permanent)

  // MARK: Which address

  /// Checks that the better of two addresses on one link is chosen, in either order.
  @Test(
    arguments: [
      ("192.0.2.9/24", permanent, "192.0.2.1/24", 0),  // permanent over dynamic
      ("192.0.2.9/24", permanent, "169.254.7.7/16", permanent),
      ("192.0.2.9/24", 0, "169.254.7.7/16", permanent),
      ("192.0.2.9/24", permanent, "192.0.2.1/24", permanent | deprecated),
      ("192.0.2.9/24", 0, "192.0.2.1/32", permanent),  // no network, no neighbours
      ("192.0.2.9/24", permanent, "192.0.2.1/24", permanent | secondary),
      ("192.0.2.1/24", permanent, "192.0.2.9/24", permanent),  // the lowest
      ("192.0.2.9/24", permanent, "10.244.0.1/24", permanent),  // inside the cluster network
      ("2001:db8::9/64", permanent, "2001:db8::1/64", 0),
      ("2001:db8::9/64", 0, "2001:db8::1/64", temporary),
      ("2001:db8::9/64", 0, "2001:db8::1/64", permanent | tentative),
      ("2001:db8::9/64", 0, "2001:db8::1/64", permanent | duplicate),
      ("2001:db8::9/64", 0, "fe80::1/64", permanent), ("2001:db8::9/64", 0, "fd00:10:0:1::1/64", permanent),
      ("2001:db8::1/64", 0, "fd12::1/64", 0), ("192.0.2.1/24", 0, "127.0.0.2/8", permanent),
    ] as [(String, UInt32, String, UInt32)])
  func betterAddressIsChosenInEitherOrder(better: String, betterFlags: UInt32, worse: String, worseFlags: UInt32) {
    let family = prefix(better).family
    let addresses = [
      (link: Int32(2), text: better, flags: betterFlags), (link: Int32(2), text: worse, flags: worseFlags),
    ]
    for addresses in [addresses, addresses.reversed()] {
      let choice = choose(state(addresses), [family], InterfaceSelection(names: ["eth0"]))
      #expect(words(choice) == ["\(prefix(better).address) eth0"])
    }
  }

  @Test(
    arguments: [
      ("2001:db8::1/64", temporary, "2001:db8::1 is temporary"),
      ("2001:db8::1/64", deprecated, "2001:db8::1 is deprecated"),
      ("2001:db8::1/64", tentative, "2001:db8::1 waits for duplicate address detection"),
      ("2001:db8::1/64", tentative | duplicate, "2001:db8::1 is in use by another machine too"),
      ("fe80::1/64", permanent, "fe80::1 is link-local"),
      ("fd00:10::1/64", permanent, "fd00:10::1 lies inside the cluster's own network fd00:10::/48"),
    ] as [(String, UInt32, String)])
  func unsuitableAddressIsNotChosenAndTheReasonNamesIt(text: String, flags: UInt32, words: String) throws {
    let choice = choose(state([(2, text, flags)]), [.v6], InterfaceSelection(names: ["eth0"]))
    let problem = try #require(choice.problems.first)
    #expect(choice.interfaces.isEmpty)
    #expect("\(problem)".contains("eth0 has no IPv6 address that serves (\(words)"), "\(problem)")
  }

  // MARK: Keeping the present address

  @Test(
    arguments: [
      // Equally good: the present address is kept.
      ("192.0.2.9/24", permanent, "192.0.2.1/24", permanent, "192.0.2.9"),
      ("192.0.2.9/24", permanent | secondary, "192.0.2.1/24", permanent, "192.0.2.9"),
      ("192.0.2.9/24", 0, "192.0.2.1/24", permanent, "192.0.2.1"),
      ("192.0.2.9/24", permanent, "192.0.2.1/24", 0, "192.0.2.9"),
      ("192.0.2.9/24", permanent | deprecated, "192.0.2.1/24", 0, "192.0.2.1"),
      // A deprecated address still works; a worse one does not replace it.
      ("2001:db8::9/64", permanent | deprecated, "2001:db8::1/64", temporary, "2001:db8::9"),
      ("2001:db8::9/64", permanent | duplicate, "2001:db8::1/64", 0, "2001:db8::1"),
    ] as [(String, UInt32, String, UInt32, String)])
  func presentAddressIsReplacedOnlyByABetterOne(
    present: String, presentFlags: UInt32, other: String, otherFlags: UInt32, expected: String
  ) {
    let family = prefix(present).family
    let state = state([(2, present, presentFlags), (2, other, otherFlags)]) {
      $0.defaultRoutes.append(DefaultRoute(.v6, linkIndexes: [2]))
    }
    let choice = choose(state, [family], present: ["\(prefix(present).address)"])
    #expect(words(choice) == ["\(expected) eth0"])
  }

  /// A link without carrier loses its default route; the address that other nodes know stays this node's address.
  @Test func presentAddressIsKeptWithoutItsDefaultRoute() {
    let both = [InterfaceChoiceTests.permanent1, InterfaceChoiceTests.permanent2]
    let elsewhere = state(both) { $0.defaultRoutes = [DefaultRoute(.v4, linkIndexes: [3])] }
    let nowhere = state(both) { $0.defaultRoutes = [] }
    for state in [elsewhere, nowhere] {
      #expect(words(choose(state, present: ["192.0.2.1"])) == ["192.0.2.1 eth0"])
    }
    #expect(words(choose(elsewhere)) == ["198.51.100.1 eth1"])
  }

  @Test func presentAddressIsFollowedToAnotherLink() {
    let state = state([(3, "192.0.2.1/24", InterfaceChoiceTests.permanent)])
    #expect(words(choose(state, present: ["192.0.2.1"])) == ["192.0.2.1 eth1"])
  }

  @Test func removedAddressIsReplacedByAnotherOfTheDefaultRoutesLink() {
    let state = state([(2, "192.0.2.7/24", 0), InterfaceChoiceTests.permanent2])
    #expect(words(choose(state, present: ["192.0.2.1"])) == ["192.0.2.7 eth0"])
  }

  // MARK: The default route

  @Test func lowestMetricThenLowestLinkIndexSelectsTheDefaultRoute() {
    let both = [InterfaceChoiceTests.permanent1, InterfaceChoiceTests.permanent2]
    let byMetric = state(both) {
      $0.defaultRoutes = [
        DefaultRoute(.v4, priority: 100, linkIndexes: [2]), DefaultRoute(.v4, priority: 50, linkIndexes: [3]),
      ]
    }
    let severalHops = state(both) { $0.defaultRoutes = [DefaultRoute(.v4, linkIndexes: [3, 2])] }
    #expect(words(choose(byMetric)) == ["198.51.100.1 eth1"])
    #expect(words(choose(severalHops)) == ["192.0.2.1 eth0"])
  }

  @Test func defaultRouteOnALinkWithoutAddressIsIgnored() {
    let state = state([InterfaceChoiceTests.permanent2]) {
      $0.defaultRoutes.append(DefaultRoute(.v4, priority: 10, linkIndexes: [3]))
    }
    #expect(words(choose(state)) == ["198.51.100.1 eth1"])
  }

  @Test func familiesMayUseDifferentLinks() {
    let state = state([InterfaceChoiceTests.permanent1, (2, "2001:db8::1/64", 0), (3, "2001:db8:1::1/64", 0)]) {
      $0.defaultRoutes.append(DefaultRoute(.v6, priority: 1024, linkIndexes: [3]))
    }
    #expect(words(choose(state, [.v4, .v6])) == ["192.0.2.1 eth0", "2001:db8:1::1 eth1"])
  }

  @Test(arguments: [IPFamily.v4, .v6]) func familyWithoutDefaultRouteUsesTheOtherFamilysLink(lacking: IPFamily) {
    let state = state([
      InterfaceChoiceTests.permanent1, (2, "2001:db8::1/64", 0), InterfaceChoiceTests.permanent2,
      (3, "2001:db8:1::1/64", 0),
    ]) { $0.defaultRoutes = [DefaultRoute(lacking == .v4 ? .v6 : .v4, linkIndexes: [2])] }
    #expect(words(choose(state, [.v4, .v6])) == ["192.0.2.1 eth0", "2001:db8::1 eth0"])
  }

  @Test func missingAddressOfOneFamilyDoesNotAffectTheOther() throws {
    let choice = choose(state([InterfaceChoiceTests.permanent1]), [.v4, .v6])
    #expect(words(choice) == ["192.0.2.1 eth0"])
    #expect(
      try #require(choice.problems.first).reason
        == "eth0 has no IPv6 address: add one, or name another link with --iface")
    #expect(choice.interface(.v6) == nil)
  }

  @Test func errorWithoutDefaultRouteSuggestsIface() throws {
    let choice = choose(state([InterfaceChoiceTests.permanent1]) { $0.defaultRoutes = [] })
    #expect(
      try #require(choice.problems.first).description
        == "no IPv4 address by which other nodes reach this one: there is no IPv4 default route that tells the link: "
        + "name it with --iface")
  }

  // MARK: Selectors

  private func selected(_ selection: InterfaceSelection, _ families: [IPFamily] = [.v4, .v6]) -> [String] {
    let state = state([
      InterfaceChoiceTests.permanent1, (2, "192.0.2.5/24", InterfaceChoiceTests.permanent),
      InterfaceChoiceTests.permanent2, (3, "2001:db8::1/64", 0), (3, "2001:db8::5/64", 0),
    ]) { $0.linksToReach = [address("203.0.113.1"): 3, address("2001:db8:9::1"): 2, address("192.0.2.5"): 1] }
    let choice = choose(state, families, selection)
    return words(choice) + choice.problems.map(\.reason)
  }

  @Test func firstSelectorWithAnAddressIsUsedForEachFamily() {
    #expect(selected(InterfaceSelection(names: ["eth7", "eth0", "eth1"])) == ["192.0.2.1 eth0", "2001:db8::1 eth1"])
    #expect(selected(InterfaceSelection(names: ["eth1", "eth0"])) == ["198.51.100.1 eth1", "2001:db8::1 eth1"])
    #expect(
      selected(InterfaceSelection(names: ["eth0"], patterns: ["1$"])) == ["192.0.2.1 eth0", "2001:db8::1 eth1"])
  }

  @Test func addressAsSelectorSelectsItsLinkAndItself() {
    #expect(selected(InterfaceSelection(names: ["2001:db8::5"])) == ["198.51.100.1 eth1", "2001:db8::5 eth1"])
    #expect(selected(InterfaceSelection(names: ["192.0.2.5"]), [.v4]) == ["192.0.2.5 eth0"])
  }

  @Test func patternMatchesNamesAndAddresses() {
    #expect(selected(InterfaceSelection(patterns: ["^eth"])) == ["192.0.2.1 eth0", "2001:db8::1 eth1"])
    #expect(selected(InterfaceSelection(patterns: ["^eth[1-9]$"])) == ["198.51.100.1 eth1", "2001:db8::1 eth1"])
    #expect(selected(InterfaceSelection(patterns: [#"\.5$"#]), [.v4]) == ["192.0.2.5 eth0"])
    // Never the loopback.
    #expect(
      selected(InterfaceSelection(patterns: ["^lo$|^127"]), [.v4]) == [
        "no link's name or address matches ^lo$|^127 (there are lo, eth0, eth1): correct --iface-regex"
      ])
  }

  @Test func reachableAddressSelectsTheLinkOfItsRoute() {
    #expect(
      selected(InterfaceSelection(reachable: [address("203.0.113.1")])) == ["198.51.100.1 eth1", "2001:db8::1 eth1"])
    // Each family uses the address of its own family, if one is given.
    let each = InterfaceSelection(reachable: [address("203.0.113.1"), address("2001:db8:9::1")])
    #expect(selected(each) == ["198.51.100.1 eth1", "2001:db8::1 eth1"])
    #expect(selected(InterfaceSelection(reachable: [address("2001:db8:9::1")]), [.v4]) == ["192.0.2.1 eth0"])
    // The kernel routes our own addresses over the loopback.
    #expect(selected(InterfaceSelection(reachable: [address("192.0.2.5")]), [.v4]) == ["192.0.2.1 eth0"])
    #expect(
      selected(InterfaceSelection(reachable: [address("203.0.113.9")]), [.v4]) == [
        "this node has no route to 203.0.113.9: add one, or correct --iface-can-reach"
      ])
  }

  @Test func earlierSelectorWinsOverThePresentAddress() {
    let selection = InterfaceSelection(names: ["eth0", "eth1"])
    let both = state([InterfaceChoiceTests.permanent1, InterfaceChoiceTests.permanent2])
    #expect(words(choose(both, [.v4], selection, present: ["198.51.100.1"])) == ["192.0.2.1 eth0"])
  }

  @Test func givenPublicAddressIsUsedOrRefused() {
    #expect(selected(InterfaceSelection(publicAddresses: [address("192.0.2.5")]), [.v4]) == ["192.0.2.5 eth0"])
    #expect(
      selected(InterfaceSelection(publicAddresses: [address("192.0.2.9")]), [.v4]) == [
        "no link has 192.0.2.9 (this node has 127.0.0.1 on lo, 192.0.2.1 on eth0, 192.0.2.5 on eth0, "
          + "198.51.100.1 on eth1): correct --public-ip, or add the address"
      ])
    #expect(
      selected(InterfaceSelection(names: ["eth1"], publicAddresses: [address("192.0.2.5")]), [.v4]) == [
        "192.0.2.5 is on eth0, which is not the link of --iface eth1: correct one of them"
      ])
    #expect(
      selected(InterfaceSelection(publicAddresses: [address("2001:db8::5")]), [.v6]) == ["2001:db8::5 eth1"])
  }

  @Test func tentativePublicAddressIsNotUsed() throws {
    let state = state([(2, "2001:db8::1/64", InterfaceChoiceTests.tentative)])
    let choice = choose(state, [.v6], InterfaceSelection(publicAddresses: [address("2001:db8::1")]))
    #expect(try #require(choice.problems.first).reason.contains("on eth0 waits for duplicate address detection"))
  }

  /// A temporary or deprecated address is used if a selector gives it literally.
  @Test(arguments: [deprecated, temporary]) func literalAddressIsUsedEvenIfTemporaryOrDeprecated(flags: UInt32) {
    let state = state([(2, "2001:db8::1/64", flags), (2, "2001:db8::5/64", 0)])
    for selection in [
      InterfaceSelection(names: ["2001:db8::1"]), InterfaceSelection(publicAddresses: [address("2001:db8::1")]),
    ] { #expect(words(choose(state, [.v6], selection)) == ["2001:db8::1 eth0"]) }
  }
}
