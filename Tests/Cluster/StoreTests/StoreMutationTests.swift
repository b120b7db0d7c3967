import Addresses
import Backends
@testable import EtcdStore
@testable import FileStore
import JSON
@testable import KubernetesStore
@testable import Nodes
@testable import StoreTransport
import Testing
import TestSupport

/// Damaged answers of stores and damaged files are refused, or read as valid values.
@Suite struct StoreMutationTests {
  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  private static let nodesFile = #"""
    {"network":{"Network":"10.244.0.0/16","EnableIPv6":true,"IPv6Network":"fd00:10:244::/48"},"nodes":[
    {"name":"node-a","publicIP":"192.0.2.11","publicIPv6":"2001:db8::11","subnet":"10.244.1.0/24",
    "ipv6Subnet":"fd00:10:244:1::/64"},{"name":"node-b","publicIP":"192.0.2.12","subnet":"10.244.2.0/24"}]}
    """#

  @Test(arguments: 0..<2 as Range<UInt64>) func mutatedNodesFileIsRefusedOrValid(seed: UInt64) {
    var mutations = Mutations(of: [StoreMutationTests.nodesFile], seed: seed)
    var understood = 0
    for _ in 0..<1500 {
      guard let snapshot = try? NodesFile.parse(mutations.next(), file: "f", BackendList.reader) else { continue }
      understood += 1
      #expect(Set(snapshot.nodes.map(\.name)).count == snapshot.nodes.count)
      for family in IPFamily.allCases {
        let subnets = snapshot.nodes.compactMap { $0.subnets[family] }
        for (index, subnet) in subnets.enumerated() {
          #expect(subnet.isNetwork && snapshot.netConf.network(family)?.contains(subnet) == true)
          #expect(!subnets[..<index].contains { $0.overlaps(subnet) })
        }
      }
      for node in snapshot.nodes { #expect(Node.isName(node.name)) }
    }
    #expect(understood > 20)
  }

  // MARK: etcd

  private static func keyValue(_ key: String, _ value: String) -> String {
    #"{"key":"\#(Base64.encode(key))","value":"\#(Base64.encode(value))","create_revision":"5","mod_revision":"6","lease":"7"}"#
  }
  private static let host = #"{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"host-gw"}"#
  private static let watchLine =
    #"{"result":{"header":{"cluster_id":"12","revision":"100","raft_term":"2"},"events":[{"kv":"#
    + keyValue("/p/subnets/10.244.1.0-24", host) + #"},{"type":"DELETE","kv":"#
    + keyValue("/p/subnets/10.244.2.0-24&fd00:10:244:2::-64", host) + #"},{"kv":"#
    + keyValue("/p/config", #"{"Network":"10.244.0.0/16"}"#) + "}]}}"

  /// A line of a watch that arrives in parts.
  @Test(arguments: 0..<2 as Range<UInt64>) func mutatedEtcdWatchIsRefusedOrValid(seed: UInt64) throws {
    var mutations = Mutations(of: [StoreMutationTests.watchLine], seed: seed)
    var state = EtcdState(
      EtcdList(header: EtcdHeader([:]), config: nil, subnets: []), EtcdLayout(prefix: "/p"), BackendList.reader)
    var applied = 0
    for _ in 0..<1200 {
      let line = mutations.next()
      var splitter = LineSplitter(limit: 1 << 20)
      var lines: [[UInt8]] = []
      for part in mutations.parts(of: line + [0x0A]) { lines += try splitter.add(part) }
      #expect(lines == line.split(separator: 0x0A).map { Array($0) })
      for line in lines {
        guard let answer = (try? JSONValue(parsing: line))?.object?["result"]?.object else { continue }
        state.apply(
          EtcdClient.WatchAnswer(header: EtcdHeader(answer), events: answer.objects("events").map(EtcdEvent.init)))
        applied += 1
      }
      check(state)
    }
    #expect(applied > 100)
  }

  private func check(_ state: EtcdState) {
    let sorted = state.records.sorted
    #expect(zip(sorted, sorted.dropFirst()).allSatisfy { left, right in left.name != right.name })
    for record in sorted {
      #expect(record.key.flatMap { EtcdSubnetKey(parsing: $0.text) } == record.key)
      #expect(!record.nodeName.unicodeScalars.contains { $0.value < 0x20 })
    }
    for record in state.records.unnamed {
      #expect(record.problem != nil && record.nodeName.unicodeScalars.allSatisfy { $0.value >= 0x20 })
    }
    _ = state.records.overlaps()
  }

  @Test(arguments: 0..<2 as Range<UInt64>) func mutatedEtcdRecordIsRefusedOrValid(seed: UInt64) {
    var mutations = Mutations(of: [StoreMutationTests.host], seed: seed)
    for _ in 0..<1500 {
      let bytes = mutations.next()
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
      if let decoded = Base64.decode(StoreMutationTests.text(bytes)) { #expect(decoded.count <= bytes.count) }
      let record = EtcdRecord(
        EtcdKeyValue(["key": "L3A=", "value": .string(Base64.encode(bytes))]), name: "10.244.1.0-24")
      #expect(record.addresses.v4.map { $0.family == .v4 && !$0.isUnspecified && !$0.isMulticast } ?? true)
      #expect(record.problem?.unicodeScalars.allSatisfy { $0.value >= 0x20 } ?? true)
      #expect((record.problem?.count ?? 0) < 1000)
    }
  }

  /// A lease lasts no longer than etcd allows, whatever the answer contains.
  @Test func leaseTimeIsBounded() {
    #expect(EtcdClient.time(0) == nil && EtcdClient.time(.min) == nil && EtcdClient.time(60) == .seconds(60))
    #expect(EtcdClient.time(.max) == .seconds(9_000_000_000))
  }

  // MARK: Kubernetes

  private static let node =
    #"{"metadata":{"name":"node-b","resourceVersion":"7","creationTimestamp":"2026-01-01T00:00:00Z","annotations":"#
    + #"{"flannel.alpha.coreos.com/public-ip":"192.0.2.2","flannel.alpha.coreos.com/backend-type":"host-gw"},"labels":{}},"#
    + #""spec":{"podCIDR":"10.244.2.0/24","podCIDRs":["10.244.2.0/24","fd00:10:244:2::/64"]},"#
    + #""status":{"addresses":[{"type":"InternalIP","address":"192.0.2.2"}],"conditions":[{"type":"Ready"}]}}"#
  private static let list =
    #"{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"9","continue":"x"},"items":["# + node + ","
    + node + "]}"
  private static let event = #"{"type":"MODIFIED","object":"# + node + "}\n"

  /// An answer has the same pieces in whatever parts it arrives, and every node in them is valid.
  @Test(arguments: 0..<2 as Range<UInt64>) func mutatedKubernetesAnswerIsRefusedOrValid(seed: UInt64) {
    let resource = KubeNodes(
      KubeClient(KubeAccessSource(kubeconfig: nil, server: nil)), annotationPrefix: "flannel.alpha.coreos.com/",
      ownName: "node-b"
    ).resource
    var mutations = Mutations(of: [StoreMutationTests.list, StoreMutationTests.event], seed: seed)
    func pieces(_ shape: JSONSieve.Shape, _ parts: [[UInt8]]) -> Result<[JSONSieve.Piece], JSONSieveError> {
      var sieve = JSONSieve(shape)
      do throws(JSONSieveError) {
        var found: [JSONSieve.Piece] = []
        for part in parts { found += try sieve.add(part) }
        return .success(found)
      } catch {
        return .failure(error)
      }
    }
    var understood = 0
    for _ in 0..<800 {
      let text = mutations.next()
      for shape in [resource.listShape, resource.eventShape] {
        let whole = pieces(shape, [text])
        #expect(whole == pieces(shape, mutations.parts(of: text)), "\(StoreMutationTests.text(text))")
        for piece in (try? whole.get()) ?? [] {
          if let node = (try? resource.object(piece.text)) { check(node) }
          if case .present(let node, _) = (try? resource.event(piece.text)) {
            check(node)
            understood += 1
          }
          var page = KubePage<KubeNode>()
          _ = try? resource.finish(&page, piece.text)
        }
      }
    }
    #expect(understood > 40)
  }

  private func check(_ node: KubeNode) {
    #expect(Node.isName(node.name))
    #expect(node.subnets.count <= 2 && Set(node.subnets.map(\.prefix.family)).count == node.subnets.count)
    for subnet in node.subnets where subnet.problem == nil { #expect(subnet.prefix.isNetwork) }
    for subnet in node.subnets {
      #expect(subnet.problem?.unicodeScalars.allSatisfy { $0.value >= 0x20 } ?? true)
    }
  }

  /// An unlimited name would exhaust the memory.
  @Test(arguments: [#"{""#, #"{"items":[{"a":1,""#]) func endlessMemberNameIsRefused(_ start: String) {
    var sieve = JSONSieve(.members(["items": .elements(.members(["a": .all]))]))
    let more = [UInt8](repeating: UInt8(ascii: "n"), count: 1 << 12)
    #expect(throws: JSONSieveError.tooLong(limitBytes: 1 << 16)) {
      _ = try sieve.add(Array(start.utf8))
      for _ in 0...17 { _ = try sieve.add(more) }
    }
  }

  @Test(arguments: ["a\nb", "../x", "a b", "", "\u{1B}[2J", "é", String(repeating: "n", count: 254)])
  func invalidNodeNameIsRefused(_ name: String) throws {
    let object: JSONObject = ["metadata": ["name": .string(name), "resourceVersion": "1"]]
    #expect(KubeNode(object, prefix: "f/", ownName: "own") == nil)
    let file: JSONValue = ["network": ["Network": "10.244.0.0/16"], "nodes": [["name": .string(name)]]]
    #expect(throws: NodesFileError.self) { try NodesFile.parse(Array(file.text().utf8), file: "f", BackendList.reader) }
  }

  private static let kubeconfig = """
    current-context: x
    contexts: [{name: x, context: {cluster: c, user: u}}]
    clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443", certificate-authority-data: QUJD}}]
    users:
    - name: u
      user: {token: t}
    """

  @Test(arguments: 0..<2 as Range<UInt64>) func mutatedKubeconfigIsRefusedWithoutCredentials(seed: UInt64) {
    var mutations = Mutations(of: [StoreMutationTests.kubeconfig], seed: seed)
    var understood = 0
    for _ in 0..<1000 {
      do throws(KubeError) {
        let access = try KubeConfigFile.parse(mutations.next(), file: "/etc/kube/config")
        understood += 1
        #expect(access.server.hasPrefix("http"))
      } catch {
        // No message may contain credentials.
        #expect("\(error)".contains("/etc/kube/config"))
      }
    }
    #expect(understood > 30)
  }
}
