import Addresses
import Backends
import JSON
@testable import KubernetesStore
@testable import Nodes
import Testing

private let resource = KubeNodes(
  KubeClient(KubeAccessSource(kubeconfig: nil, server: nil)), annotationPrefix: "flannel.alpha.coreos.com/",
  ownName: "own"
).resource

private func node(_ text: String) throws -> KubeNode {
  var sieve = JSONSieve(.members(resource.objectShape))
  let piece = try #require(try sieve.add(Array(text.utf8)).first)
  return try #require(try resource.object(piece.text))
}

private func text(
  _ name: String, _ podCIDRs: String, addresses: [String] = [], annotations: [String: String] = [:], more: String = ""
) -> String {
  let addresses = addresses.map { #"{"type":"InternalIP","address":"\#($0)"}"# }.joined(separator: ",")
  let annotations = annotations.map { #""flannel.alpha.coreos.com/\#($0.key)":"\#($0.value)""# }.joined(separator: ",")
  return #"{"metadata":{"name":"\#(name)","creationTimestamp":"2026-01-01T00:00:00Z","annotations":{\#(annotations)}},"#
    + #""spec":{\#(podCIDRs)},"status":{"addresses":[{"type":"Hostname","address":"10.0.0.9"},\#(addresses.isEmpty ? "{}" : addresses)]\#(more)}}"#
}

@Suite struct KubeNodeTests {
  @Test(arguments: [
    (#""podCIDR":"10.1.0.0/24""#, ["10.1.0.0/24"]),
    (#""podCIDR":"10.1.0.0/24","podCIDRs":["10.2.0.0/24"]"#, ["10.2.0.0/24"]),
    (#""podCIDRs":["fd00::/64","10.2.0.0/24","10.3.0.0/24"]"#, ["fd00::/64", "10.2.0.0/24"]), ("", []),
    (#""podCIDR":"","podCIDRs":[]"#, []), (#""podCIDRs":["what","10.2.0.0/24"]"#, ["10.2.0.0/24"]),
    (#""podCIDRs":[7,null,"10.2.0.0/24"]"#, ["10.2.0.0/24"]), (#""podCIDR":7"#, []),
  ])
  func subnetsAreThePodCIDRs(_ podCIDRs: String, _ expected: [String]) throws {
    let node = try node(text("a", podCIDRs, addresses: ["192.0.2.1"]))
    #expect(node.subnets.map { "\($0.prefix)" } == expected && node.subnets.allSatisfy { $0.problem == nil })
  }

  @Test(
    arguments: [
      (["public-ip": "192.0.2.7"], "192.0.2.7", nil), (["public-ip": ""], "192.0.2.1", nil),
      (["public-ip": "192.0.2.7", "public-ip-overwrite": "192.0.2.8"], "192.0.2.8", nil), ([:], "192.0.2.1", nil),
      (["public-ip": "127.0.0.1"], nil, "public-ip is \"127.0.0.1\", but must be a node's IPv4 address"),
      (["public-ip": "2001:db8::1"], nil, "IPv4"), (["backend-type": "host-gw"], "192.0.2.1", nil),
      (["backend-type": "vxlan"], "192.0.2.1", nil), (["node-public-ip": "192.0.2.9"], "192.0.2.1", nil),
    ] as [([String: String], String?, String?)])
  func nextHopIsAnnotatedOrInternalIP(_ annotations: [String: String], _ address: String?, _ problem: String?) throws {
    let node = try node(
      text(
        "a", #""podCIDRs":["10.2.0.0/24","fd00::/64"]"#, addresses: ["192.0.2.1", "2001:db8::1"],
        annotations: annotations))
    let found = node.subnet(.v4)?.problem
    #expect(found.map { $0.contains(problem ?? "nothing") } ?? (problem == nil), "\(found ?? "none")")
    if problem == nil { #expect(node.addresses.v4 == address.flatMap { IPAddress($0) }) }
    // The families are independent.
    #expect(node.addresses.v6 == IPAddress("2001:db8::1") && node.subnet(.v6)?.problem == nil)
  }

  /// Annotations in the form in which flannel writes them.
  @Test func backendIsReadFromAnnotations() throws {
    let told = try node(
      text(
        "a", "",
        annotations: [
          "backend-type": "vxlan", "backend-data": #"{\"VNI\":1,\"VtepMAC\":\"4e:6b:09:df:32:a1\"}"#,
          "backend-v6-data": "null",
        ])
    ).backend
    #expect(told?.data.v4.flatMap(vtepMAC) == MACAddress("4e:6b:09:df:32:a1") && told?.data.v6 == nil)
    #expect(try node(text("a", "")).backend == nil)
    let broken = try node(text("a", "", annotations: ["backend-type": "vxlan", "backend-data": "{"])).backend
    #expect(broken?.type == "vxlan" && broken?.data.v4 == nil)
  }

  @Test func conditionsAndAnnotationsAreKeptOnlyOfTheOwnNode() throws {
    let more =
      #","conditions":[{"type":"Ready","status":"True"},{"type":"NetworkUnavailable","status":"True","reason":"R","message":"m","lastHeartbeatTime":"t"}]"#
    let own = try #require(
      try node(
        text("own", "", addresses: ["192.0.2.1"], annotations: ["node-public-ip": "192.0.2.3", "x": "y"], more: more)
      ).own)
    #expect(own.condition == KubeCondition(status: "True", reason: "R", message: "m"))
    #expect(own.chosen == [IPAddress("192.0.2.3")] && own.annotations["x"] == "y")
    #expect(try node(text("other", "", more: more)).own == nil)
  }

  @Test(arguments: ["{}", #"{"metadata":{"name":""}}"#, #"{"metadata":[]}"#, #"{"metadata":{"name":7}}"#])
  func objectWithoutNameIsIgnored(_ text: String) throws {
    #expect(try resource.object(Array(text.utf8)) == nil)
  }

  @Test func watchEventsAreRead() throws {
    func event(_ text: String) throws -> KubeEvent<KubeNode>? {
      var sieve = JSONSieve(resource.eventShape)
      return try resource.event(try #require(try sieve.add(Array(text.utf8)).first).text)
    }
    let object = #"{"kind":"Node","metadata":{"name":"a","resourceVersion":"7","managedFields":[{}]}}"#
    guard case .present(let node, "7") = try event(#"{"type":"ADDED","object":\#(object)}"#) else {
      Issue.record("no node")
      return
    }
    #expect(node.name == "a")
    #expect(try event(#"{"type":"DELETED","object":\#(object)}"#) == .deleted(key: "a", resourceVersion: "7"))
    #expect(try event(#"{"type":"FUTURE","object":\#(object)}"#) == .bookmark(resourceVersion: "7"))
    #expect(
      try event(#"{"object":{"metadata":{"resourceVersion":"8","creationTimestamp":null}},"type":"BOOKMARK"}"#)
        == .bookmark(resourceVersion: "8"))
    #expect(
      try event(
        #"{"type":"ERROR","object":{"kind":"Status","metadata":{},"status":"Failure","code":410,"message":"old"}}"#)
        == .expired)
    #expect(
      try event(#"{"type":"ERROR","object":{"status":"Failure","code":500,"message":"why"}}"#)
        == .failure(status: 500, reason: "why"))
    #expect(try event(#"{"type":"ADDED","object":{"metadata":{"name":"a"}}}"#) == nil)
    #expect(try event(#"{"kind":"Status","code":403}"#) == nil)
  }
}

@Suite struct KubeStateTests {
  private let netConf = NetConf(
    networks: ["10.0.0.0/8", "fd00::/16"].compactMap { IPPrefix($0) }, backend: HostGateway())

  private func made(_ name: String, _ podCIDR: String, created: String = "2026-01-01T00:00:00Z") throws -> KubeNode {
    try node(
      text(name, #""podCIDR":"\#(podCIDR)""#, addresses: ["192.0.2.1"]).replacing("2026-01-01T00:00:00Z", with: created)
    )
  }

  @Test func onlyChangesOfKeptFieldsAreReported() throws {
    var state = KubeState([try made("a", "10.1.0.0/24")], resourceVersion: "5")
    #expect(try !state.apply(.present(made("a", "10.1.0.0/24"), resourceVersion: "6")))
    #expect(!state.apply(.bookmark(resourceVersion: "9")) && state.resourceVersion == "9")
    #expect(try state.apply(.present(made("b", "10.2.0.0/24"), resourceVersion: "10")))
    #expect(
      state.apply(.deleted(key: "a", resourceVersion: "11")) && !state.apply(.deleted(key: "a", resourceVersion: "12")))
    #expect(state.resourceVersion == "12" && state.nodes.keys.sorted() == ["b"])
  }

  @Test func thisNodeThenTheOlderNodeWinsAnOverlap() throws {
    let state = KubeState(
      [
        try made("young", "10.1.0.0/16", created: "2026-03-01T00:00:00Z"), try made("old", "10.1.2.0/24"),
        try made("alone", "10.9.0.0/24"), try made("like-own", "10.5.0.0/16", created: "2020-01-01T00:00:00Z"),
        try made("same-b", "10.7.0.0/24"), try made("same-a", "10.7.0.0/24"), try made("out", "172.16.0.0/24"),
      ], resourceVersion: "1")
    let own = Node(
      name: "own", addresses: PerFamily(v4: IPAddress("192.0.2.9")), subnets: PerFamily(v4: IPPrefix("10.5.1.0/24")))
    let nodes = state.snapshot(netConf, own: own).nodes
    func obstacle(_ name: String) -> String? { nodes.first { $0.name == name }?.obstacles.v4 }
    #expect(nodes.map(\.name) == ["alone", "like-own", "old", "out", "same-a", "same-b", "young"])
    #expect(obstacle("alone") == nil && obstacle("old") == nil && obstacle("same-a") == nil)
    #expect(obstacle("young") == "it overlaps 10.1.2.0/24 of old, which is older")
    #expect(obstacle("like-own") == "it overlaps 10.5.1.0/24 of own, which is this node")
    #expect(obstacle("same-b") == "it overlaps 10.7.0.0/24 of same-a, which is older")
    #expect(obstacle("out")?.contains("not in the cluster's network 10.0.0.0/8") == true)
  }

  @Test func nodesOfAnotherBackendGetNoRoute() throws {
    let data = #"{\"VNI\":1,\"VtepMAC\":\"4e:6b:09:df:32:a1\"}"#
    let told = [
      "silent": [:], "plain": ["backend-type": "Host-GW"], "udp": ["backend-type": ""],
      "tunnel": ["backend-type": "vxlan", "backend-data": data],
    ]
    let nodes = try told.enumerated().map { number, member in
      let (name, annotations) = member
      return try node(
        text(name, #""podCIDR":"10.\#(number + 1).0.0/24""#, addresses: ["192.0.2.1"], annotations: annotations))
    }
    let state = KubeState(nodes, resourceVersion: "1")
    func reached(_ backend: any ClusterBackend) -> [String] {
      var netConf = netConf
      netConf.backend = backend
      return state.snapshot(netConf, own: Node(name: "own")).nodes.filter { $0.obstacles.v4 == nil }.map(\.name)
    }
    #expect(reached(HostGateway()) == ["plain", "silent"])
    #expect(reached(VXLANConf()) == ["silent", "tunnel"])
    #expect(reached(Alloc()) == ["plain", "silent", "tunnel", "udp"])
    let tunnel = state.snapshot(netConf, own: Node(name: "own")).nodes.first { $0.name == "tunnel" }
    #expect(tunnel?.backendData.v4.flatMap(vtepMAC) == MACAddress("4e:6b:09:df:32:a1"))
  }

  @Test func viewWithoutThisNodeIsAnError() throws {
    let view = KubeView(ownName: "own")
    #expect(view.snapshot() == nil)
    view.update { content in
      content.state = KubeState([], resourceVersion: "1")
      content.config = .success(netConf)
      content.own = Node(name: "own")
    }
    #expect(throws: KubeError.noNode(name: "own")) { try view.snapshot()?.get() }
    let known = KubeState([try made("own", "10.1.0.0/24")], resourceVersion: "2")
    view.update { $0.state = known }
    #expect(try view.snapshot()?.get().nodes == [])
    view.update { $0.config = .failure(.noConfig(file: "/x")) }
    #expect(throws: KubeError.noConfig(file: "/x")) { try view.snapshot()?.get() }
  }
}

@Suite struct KubeNodePatchTests {
  private func own(_ annotations: [String: String], _ condition: KubeCondition? = nil) -> KubeNode.Own {
    KubeNode.Own(annotations: annotations, internalIPs: [], condition: condition, problem: nil)
  }

  private static let complete = [
    "kube-subnet-manager": "true", "backend-type": "host-gw", "backend-data": "null", "public-ip": "192.0.2.1",
  ]

  private func patch(
    _ annotations: [String: String], _ condition: KubeCondition? = nil, _ report: NetworkReport? = nil,
    families: [IPFamily] = [.v4], backend: any ClusterBackend = HostGateway()
  ) throws -> KubeNodePatch {
    let networks = families.compactMap { IPPrefix($0 == .v4 ? "10.244.0.0/16" : "fd00::/48") }
    return try KubeNodePatch(
      own(annotations, condition), node: "n", prefix: "p/",
      addresses: ["192.0.2.1", "2001:db8::1"].compactMap { IPAddress($0) },
      netConf: NetConf(networks: networks, backend: backend), network: report)
  }

  @Test func tunnelDevicesAreWrittenToAnnotations() throws {
    let node = Node(name: "n")
    let written = try patch([:], families: [.v4, .v6], backend: VXLANConf(vni: 3)).annotations
    #expect(written["p/backend-type"] == "vxlan")
    #expect(
      written["p/backend-data"] == #"{"VNI":3,"VtepMAC":"\#(VXLANConf(vni: 3).derivedMAC(ofNode: node.name, .v4))"}"#)
    #expect(
      written["p/backend-v6-data"] == #"{"VNI":3,"VtepMAC":"\#(VXLANConf(vni: 3).derivedMAC(ofNode: node.name, .v6))"}"#
    )
    let complete = Dictionary(uniqueKeysWithValues: written.map { (String($0.key.dropFirst(2)), $0.value) })
    #expect(try patch(complete, families: [.v4, .v6], backend: VXLANConf(vni: 3)).isEmpty)
    #expect(try patch(complete, families: [.v4, .v6]).annotations["p/backend-data"] == "null")
  }

  @Test func onlyChangedAnnotationsAreWritten() throws {
    let complete = KubeNodePatchTests.complete
    #expect(try patch(complete).isEmpty)
    #expect(
      try patch(complete.merging(["public-ip": "192.0.2.2", "backend-data": "{}"]) { $1 }).annotations == [
        "p/public-ip": "192.0.2.1", "p/backend-data": "null",
      ])
    #expect(
      try patch(complete.merging(["public-ip-overwrite": "192.0.2.5"]) { $1 }).annotations == [
        "p/public-ip": "192.0.2.5"
      ])
    #expect(
      try patch(complete, families: [.v4, .v6]).annotations == [
        "p/backend-v6-data": "null", "p/public-ipv6": "2001:db8::1",
      ])
    #expect(try patch([:]).annotations.count == 4)
  }

  @Test func transitionTimeChangesOnlyWithTheStatus() throws {
    let flannels = KubeCondition(status: "False", reason: "FlannelIsUp", message: "Flannel is running on this node")
    let up = try #require(NetworkReport.isUp.condition as KubeCondition?)
    #expect(try patch(KubeNodePatchTests.complete, up, .isUp).isEmpty)
    func condition(_ patch: KubeNodePatch) -> JSONObject? {
      patch.json(now: .seconds(0)).object?["status"]?.object?["conditions"]?.array?.first?.object
    }
    let taken = try #require(condition(try patch(KubeNodePatchTests.complete, flannels, .isUp)))
    #expect(taken["reason"]?.string == "CausewayIsUp" && taken["lastTransitionTime"] == nil)
    let down = try #require(condition(try patch(KubeNodePatchTests.complete, up, .isDown("why"))))
    #expect(down["status"]?.string == "True" && down["message"]?.string == "why")
    #expect(
      down["lastTransitionTime"]?.string == "1970-01-01T00:00:00.000Z" && down["type"]?.string == "NetworkUnavailable")
    #expect(try patch(KubeNodePatchTests.complete, up, .isDown("why")).json(now: .zero).object?["metadata"] == nil)
  }
}
