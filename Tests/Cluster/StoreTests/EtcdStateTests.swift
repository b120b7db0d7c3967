import Addresses
import Backends
@testable import EtcdStore
import JSON
@testable import Nodes
@testable import StoreTransport
import Testing
import TestSupport

@Suite struct EtcdStateTests {
  private static let conf = #"{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/48"}"#

  private func keyValue(_ key: String, _ value: String, created: Int64 = 1) -> JSONValue {
    [
      "key": .string(Base64.encode(key)), "value": .string(Base64.encode(value)),
      "create_revision": .string("\(created)"), "mod_revision": .string("\(created)"), "lease": "7",
    ]
  }

  private func value(_ address: String) -> String { #"{"PublicIP":"\#(address)","BackendType":"host-gw"}"# }

  private func state(_ keyValues: [JSONValue], conf: String? = EtcdStateTests.conf) -> EtcdState {
    let header = EtcdHeader(["header": ["cluster_id": "12", "revision": "100"]])
    return EtcdState(
      EtcdList(
        header: header, config: conf.map { keyValue("/p/config", $0) }?.object.map(EtcdKeyValue.init),
        subnets: keyValues.compactMap(\.object).map(EtcdKeyValue.init)), EtcdLayout(prefix: "/p"), BackendList.reader)
  }

  private func answer(_ revision: Int64, _ events: [JSONValue]) -> EtcdClient.WatchAnswer {
    EtcdClient.WatchAnswer(
      header: EtcdHeader(["header": ["cluster_id": "12", "revision": .string("\(revision)")]]),
      events: events.compactMap(\.object).map(EtcdEvent.init))
  }

  private func nodes(_ state: EtcdState, own: Node? = nil) throws -> [Node] {
    state.snapshot(try state.config.get(), own: own).nodes
  }

  @Test func everyEventOfAnAnswerIsApplied() throws {
    var state = state([keyValue("/p/subnets/10.244.1.0-24", value("192.0.2.1"))])
    let puts = (2..<102).map { number -> JSONValue in
      ["kv": keyValue("/p/subnets/10.244.\(number).0-24", value("192.0.2.\(number)"), created: 101)]
    }
    state.apply(answer(101, puts))
    #expect(try nodes(state).count == 101 && state.revision == 101)
    let deletion: JSONValue = ["type": "DELETE", "kv": ["key": .string(Base64.encode("/p/subnets/10.244.7.0-24"))]]
    let change: JSONValue = ["kv": keyValue("/p/subnets/10.244.8.0-24", value("192.0.2.208"), created: 101)]
    state.apply(answer(102, [deletion, change]))
    let found = try nodes(state)
    #expect(found.count == 100 && !found.contains { $0.name == "192.0.2.7" })
    #expect(found.first { $0.subnets.v4 == IPPrefix("10.244.8.0/24") }?.addresses.v4 == IPAddress("192.0.2.208"))
    #expect(
      found.map(\.subnets.v4) == found.map(\.subnets.v4).sorted { ($0?.address.value ?? 0) < ($1?.address.value ?? 0) })
  }

  /// A watch that lags behind gets the changes in parts, each with the header of the present. A watch that resumed at
  /// the revision of that header would miss the rest.
  @Test func revisionIsThatOfTheAppliedChanges() throws {
    var state = state([])
    state.apply(answer(500, [["kv": keyValue("/p/subnets/10.244.2.0-24", value("192.0.2.2"), created: 101)]]))
    #expect(state.revision == 101)
    let old = answer(500, [["kv": keyValue("/p/subnets/10.244.2.0-24", value("192.0.2.2"), created: 101)]])
    #expect(!state.isBehind(old) && state.isBehind(answer(500, [])))
    state.apply(answer(500, []))
    #expect(state.revision == 500)
    func isOfAnother(_ header: JSONObject) -> Bool { state.isOfAnother(EtcdHeader(["header": .object(header)])) }
    #expect(!isOfAnother(["cluster_id": "12", "revision": "500"]))
    #expect(isOfAnother(["cluster_id": "12", "revision": "499"]))
    #expect(isOfAnother(["cluster_id": "13", "revision": "501"]))
    state.apply(
      EtcdClient.WatchAnswer(
        header: EtcdHeader(["header": ["cluster_id": "12", "revision": "501", "raft_term": "7"]]), events: []))
    #expect(isOfAnother(["cluster_id": "12", "revision": "502", "raft_term": "2"]))
  }

  /// Changes applied one by one give the same array as a new read.
  @Test func appliedChangesEqualANewRead() throws {
    var generator = Seeded(state: 3)
    var model: [String: String] = [:]
    var state = state([])
    for revision in 101..<600 {
      let third = Int.random(in: 0..<12, using: &generator)
      let name =
        ["10.244.\(third).0-24", "10.244.\(third).0-24&fd00:10:244:\(third)::-64", "bad\(third)", "10.244.0.0-20"]
        .randomElement(using: &generator) ?? ""
      if Bool.random(using: &generator) {
        let text = value("192.0.2.\(Int.random(in: 1..<200, using: &generator))")
        model[name] = text
        state.apply(answer(Int64(revision), [["kv": keyValue("/p/subnets/\(name)", text)]]))
      } else {
        model[name] = nil
        state.apply(
          answer(Int64(revision), [["type": "DELETE", "kv": ["key": .string(Base64.encode("/p/subnets/\(name)"))]]]))
      }
      let fresh = EtcdRecords(model.map { record($0.key, $0.value) })
      #expect(state.records.sorted == fresh.sorted)
      #expect(Set(state.records.unnamed.map(\.name)) == Set(fresh.unnamed.map(\.name)))
    }
  }

  @Test func invalidRecordAffectsOnlyItself() throws {
    let found = try nodes(
      state([
        keyValue("/p/subnets/rubbish", "x"), keyValue("/p/subnets/10.244.1.0-24", "x"),
        keyValue("/p/subnets/10.244.2.0-24", value("192.0.2.2")),
        keyValue("/p/subnets/10.9.0.0-24", value("192.0.2.3")),
        keyValue("/p/subnets/0.0.0.0-0", value("192.0.2.4"), created: 99),
        keyValue("/p/subnets/10.244.5.0-24&fd99::-64", value("192.0.2.5")),
      ]))
    let reasons = Dictionary(uniqueKeysWithValues: found.map { ($0.name, $0.obstacles.v4) })
    #expect(reasons["192.0.2.2"] == .some(nil))
    for name in ["rubbish", "10.244.1.0-24", "192.0.2.3", "192.0.2.4"] {
      #expect(reasons[name].flatMap { $0 } != nil, "\(name)")
    }
    let five = try #require(found.first { $0.name == "192.0.2.5" })
    #expect(five.obstacles.v4 == nil && five.obstacles.v6?.contains("fd00:10:244::/48") == true)
  }

  @Test func olderOfTwoOverlappingRecordsIsUsed() throws {
    let found = try nodes(
      state([
        keyValue("/p/subnets/10.244.0.0-20", value("192.0.2.1"), created: 5),
        keyValue("/p/subnets/10.244.3.0-24", value("192.0.2.2"), created: 3),
        keyValue("/p/subnets/10.244.4.0-24", value("192.0.2.3"), created: 9),
        keyValue("/p/subnets/10.244.16.0-24", value("192.0.2.4"), created: 9),
        keyValue("/p/subnets/10.244.16.0-24&fd00:10:244:1::-64", value("192.0.2.5"), created: 8),
        keyValue("/p/subnets/10.244.17.0-24&fd00:10:244:1::-64", value("192.0.2.6"), created: 7),
      ]))
    let names = found.filter { $0.obstacles.v4 == nil }.map(\.name)
    #expect(Set(names) == ["192.0.2.2", "192.0.2.3", "192.0.2.5", "192.0.2.6"])
    #expect(found.filter { $0.subnets.v6 != nil && $0.obstacles.v6 == nil }.map(\.name) == ["192.0.2.6"])
  }

  @Test func recordsWithOurAddressOrSubnetAreNotPeers() throws {
    let own = Node(
      name: "192.0.2.1", addresses: PerFamily(v4: IPAddress("192.0.2.1")),
      subnets: PerFamily(v4: IPPrefix("10.244.2.0/24")))
    let found = try nodes(
      state([
        keyValue("/p/subnets/10.244.1.0-24", value("192.0.2.1")),
        keyValue("/p/subnets/10.244.2.0-24", value("192.0.2.77")),
        keyValue("/p/subnets/10.244.3.0-24", value("192.0.2.3")),
      ]), own: own)
    #expect(found.map(\.name) == ["192.0.2.3"])
  }

  @Test func retiringRecordsOfThisNodeAreNotPeers() throws {
    let own = Node(
      name: "192.0.2.1", addresses: PerFamily(v4: IPAddress("192.0.2.1")),
      subnets: PerFamily(v4: IPPrefix("10.244.2.0/24")))
    // The first record contains the node's former address.
    let state = state([
      keyValue("/p/subnets/10.244.1.0-24", value("192.0.2.77")),
      keyValue("/p/subnets/10.244.2.0-24", value("192.0.2.1")),
    ])
    let config = try state.config.get()
    #expect(state.snapshot(config, own: own, retiring: ["10.244.1.0-24": 7]).nodes.isEmpty)
    // Another node has claimed it meanwhile.
    #expect(state.snapshot(config, own: own, retiring: ["10.244.1.0-24": 8]).nodes.map(\.name) == ["192.0.2.77"])
  }

  /// A read that was in progress during our write may lack the write although it ends later.
  @Test func readThatBeganBeforeAWriteIsOutdated() throws {
    var content = EtcdContent()
    (content.readsBegun, content.read, content.state) = (1, 1, state([]))
    // The second read has begun when we write at revision 101.
    content.readsBegun = 2
    let writing = EtcdWrite(revision: 101, readsBegun: content.readsBegun)
    #expect(content.isBefore(writing))
    content.read = 2
    #expect(content.isBefore(writing))
    var later = content
    later.state?.apply(answer(101, []))
    #expect(!later.isBefore(writing))
    // A read that began after the write is current: the store was restored from a backup.
    (content.readsBegun, content.read) = (3, 3)
    #expect(!content.isBefore(writing))
  }

  @Test func missingConfigIsAnError() throws {
    var state = state([keyValue("/p/subnets/10.244.1.0-24", value("192.0.2.1"))], conf: nil)
    #expect(throws: EtcdError.noConfig(key: "/p/config")) { try state.config.get() }
    state.apply(answer(101, [["kv": keyValue("/p/config", #"{"Network": "10.244.0.0/16", "SubnetLen": 99}"#)]]))
    let error = #expect(throws: EtcdError.self) { try state.config.get() }
    #expect(error.map { "\($0)".contains("SubnetLen") } == true)
    state.apply(answer(102, [["kv": keyValue("/p/config", EtcdStateTests.conf)]]))
    #expect(try nodes(state).count == 1)
    state.apply(answer(103, [["type": "DELETE", "kv": ["key": .string(Base64.encode("/p/config"))]]]))
    #expect(throws: EtcdError.noConfig(key: "/p/config")) { try state.config.get() }
  }
}
