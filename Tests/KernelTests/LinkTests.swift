import Addresses
import Glibc
import JSON
import Linux
import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot) struct LinkTests {
  private let node: TestNode

  init() throws { node = try TestNode() }

  @Test func aBridgeKeepsTheMACOfItsCreation() throws {
    var socket = try node.routeSocket()
    try socket.perform(.addBridge(name: "cni0", mac: mac("02:aa:00:00:00:01")))
    // A bridge without a MAC of its own uses the lowest one of its ports.
    try node.sh("ip link add p0 address 02:00:00:00:00:01 type veth peer name p1 && ip link set p0 master cni0 up")
    let seen = try node.link("cni0")
    #expect(seen["address"] == "02:aa:00:00:00:01")
    #expect(seen["linkinfo"]?.object?["info_kind"] == "bridge")

    let link = try #require(try socket.link(named: "cni0"))
    #expect(link.mac?.description == "02:aa:00:00:00:01")
    #expect(link.kind == "bridge")
    #expect(link.isUp && !link.isLoopback && link.resolvesNeighbours)
    #expect(link.hardwareType == 1)
    #expect(link.mtuBytes == 1500)
    #expect(try socket.link(index: link.index) == link)
  }

  @Test func aTakenNameIsEEXIST() throws {
    var socket = try node.routeSocket()
    let request = try NetlinkRequest.addBridge(name: "cni0", mac: mac("02:aa:00:00:00:01"))
    try socket.perform(request)
    #expect(refusal { try socket.perform(request) }?.errno == EEXIST)
    #expect(try !socket.perform(request, accepting: EEXIST))
    let error = refusal { try socket.perform(request, accepting: ENODEV) }
    #expect(error?.text == "make the bridge cni0: File exists")
  }

  @Test func bothEndsOfAPairAreInTheirNamespaces() throws {
    try node.addPod("a")
    let pod = try NetworkNamespace(node.path("/run/netns/a"))
    var socket = try node.routeSocket()
    try socket.perform(.addBridge(name: "cni0", mac: mac("02:aa:00:00:00:01")))
    let bridge = try node.index(of: "cni0")
    try socket.perform(
      .addVethPair(
        host: VethEnd(
          name: "veth0", mac: mac("02:aa:00:00:00:02"), mtuBytes: 1400, masterIndex: bridge, isUp: true),
        pod: VethEnd(name: "eth0", mac: mac("02:aa:00:00:00:03"), mtuBytes: 1300), in: pod))

    let host = try node.link("veth0")
    #expect(host["address"] == "02:aa:00:00:00:02")
    #expect(host["mtu"] == 1400)
    #expect(host["master"] == "cni0")
    #expect(host["flags"]?.array?.contains("UP") == true)
    let inside = try node.link("eth0", inPod: "a")
    #expect(inside["address"] == "02:aa:00:00:00:03")
    #expect(inside["mtu"] == 1300)
    #expect(inside["flags"]?.array?.contains("UP") == false)

    var podSocket = try node.routeSocket(inPod: "a")
    let links = try (
      host: #require(try socket.link(named: "veth0")), pod: #require(try podSocket.link(named: "eth0"))
    )
    #expect(links.host.kind == "veth")
    #expect(links.host.masterIndex == bridge)
    #expect(links.host.peerIndex == links.pod.index)
    #expect(links.pod.peerIndex == links.host.index)
    #expect(links.pod.masterIndex == nil && links.pod.port == nil)
    #expect(!links.host.isOperational)

    try podSocket.perform(.changeLink(links.pod.index, name: "eth0", LinkChange(isUp: true)))
    #expect(try eventually { try socket.link(named: "veth0")?.isOperational == true })
    #expect(try socket.link(named: "veth0")?.port?.state == 3)
  }

  @Test(arguments: ["veth0", "eth0"]) func aPairWithATakenNameLeavesNoLink(_ taken: String) throws {
    try node.addPod("a")
    let place = taken == "eth0" ? "-netns a" : ""
    try node.sh("ip \(place) link add \(taken) type bridge")
    let pod = try NetworkNamespace(node.path("/run/netns/a"))
    var socket = try node.routeSocket()
    let error = refusal {
      try socket.perform(
        .addVethPair(
          host: VethEnd(name: "veth0", mac: mac("02:aa:00:00:00:02")),
          pod: VethEnd(name: "eth0", mac: mac("02:aa:00:00:00:03")), in: pod))
    }
    #expect(error?.errno == EEXIST)
    #expect(try node.ip(json: "link").count + node.ip(json: "link", inPod: "a").count == 3)
  }

  @Test func changesOnlyTheGivenSettings() throws {
    try node.sh(
      "ip link add cni0 type bridge && ip link add p0 type veth peer name p1 && ip link set p0 master cni0 up")
    let index = try node.index(of: "p0")
    var socket = try node.routeSocket()
    func change(_ change: LinkChange) throws -> Link {
      try socket.perform(.changeLink(index, name: "p0", change))
      return try #require(try socket.link(index: index))
    }

    var link = try change(LinkChange(alias: "pod/α", hairpin: true, isolated: true))
    #expect(link.alias == "pod/α")
    #expect(link.port?.hairpin == true && link.port?.isolated == true)
    #expect(link.isUp)
    let seen = try node.link("p0")
    #expect(seen["ifalias"] == "pod/α")
    #expect(seen["linkinfo"]?.object?["info_slave_data"]?.object?["hairpin"] == true)
    #expect(seen["linkinfo"]?.object?["info_slave_data"]?.object?["isolated"] == true)

    link = try change(LinkChange(mac: mac("02:aa:00:00:00:09"), mtuBytes: 1280, hairpin: false))
    #expect(link.port?.hairpin == false && link.port?.isolated == true)
    #expect(link.mac?.description == "02:aa:00:00:00:09" && link.mtuBytes == 1280 && link.alias == "pod/α")

    // One for the bridge, which listens on all its ports.
    #expect(link.promiscuity == 1)
    link = try change(LinkChange(isPromiscuous: true))
    #expect(link.promiscuity == 2)
    link = try change(LinkChange(isUp: false, isPromiscuous: false))
    #expect(!link.isUp && link.promiscuity == 1)
  }

  @Test func addsALinkToABridge() throws {
    try node.sh("ip link add cni0 type bridge && ip link add p0 type veth peer name p1")
    let (bridge, port) = try (node.index(of: "cni0"), node.index(of: "p0"))
    var socket = try node.routeSocket()
    // Adding it twice succeeds.
    for _ in 1...2 { try socket.perform(.changeLink(port, name: "p0", LinkChange(masterIndex: bridge))) }
    #expect(try socket.link(index: port)?.masterIndex == bridge)
    #expect(try socket.bridgeMembers().contains { $0.linkIndex == port && $0.bridgeIndex == bridge })
  }

  @Test func findsTheLinkToChangeByName() throws {
    var socket = try node.routeSocket()
    try socket.perform(.changeLink(name: "lo", LinkChange(isUp: false)))
    #expect(try socket.link(named: "lo")?.isUp == false)
    let error = refusal { try socket.perform(.changeLink(name: "none", LinkChange(isUp: true))) }
    #expect(error?.errno == ENODEV)
  }

  @Test func errorsHaveTheKernelsText() throws {
    try node.sh("ip link add p0 type veth peer name p1")
    let error = refusal {
      var socket = try node.routeSocket()
      try socket.perform(.changeLink(name: "p0", LinkChange(mtuBytes: 100_000)))
    }
    #expect(error?.errno == EINVAL)
    #expect(error?.text == "set up the link p0: Invalid argument (mtu greater than device maximum)")
  }

  @Test func missingLinksAreNil() throws {
    var socket = try node.routeSocket()
    #expect(try socket.link(named: "none") == nil)
    #expect(try socket.link(index: 4711) == nil)
  }

  /// A name from a configuration must not damage the message.
  @Test(arguments: [16, 300, 70_000]) func overlongNamesAreRefused(_ length: Int) throws {
    let name = String(repeating: "x", count: length)
    var socket = try node.routeSocket()
    _ = refusal { _ = try socket.link(named: name) }
    _ = refusal { try socket.perform(.addBridge(name: name, mac: mac("02:aa:00:00:00:01"))) }
    _ = refusal { try socket.perform(.changeLink(name: name, LinkChange(isUp: true))) }
    #expect(try socket.links().map(\.name) == ["lo"])
  }

  @Test func removesBothEnds() throws {
    try node.sh("ip link add p0 type veth peer name p1")
    var socket = try node.routeSocket()
    let index = try node.index(of: "p0")
    try socket.perform(.removeLink(index, name: "p0"))
    #expect(try socket.links().map(\.name) == ["lo"])
    #expect(refusal { try socket.perform(.removeLink(index, name: "p0")) }?.errno == ENODEV)
  }

  /// More links than fit one datagram of the list.
  @Test func listsManyLinks() throws {
    try node.sh(
      """
      for n in $(seq 200); do echo "link add v$n type veth peer name w$n"; done | ip -batch -
      """)
    var socket = try node.routeSocket()
    let links = try socket.links()
    #expect(links.count == 401)
    #expect(Set(links.map(\.index)).count == 401)
    #expect(links.filter { $0.kind == "veth" }.count == 400)
  }
}
