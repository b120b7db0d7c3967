import Addresses
import Backends
import CNI
import JSON
import YAML

@testable import Attachments
@testable import EtcdStore
@testable import FileStore
@testable import IPAM
@testable import KubernetesStore
@testable import Netfilter
@testable import Netlink
@testable import NodeState
@testable import Nodes
@testable import PodNetwork
@testable import StoreTransport

/// The parsers of texts and bytes from outside. Each target parses its input and traps if the result is impossible.
enum Targets {
  typealias Target = (name: String, run: @Sendable ([UInt8]) -> Void)

  static let all: [Target] = [
    ("json", json), ("yaml", yaml), ("addresses", addresses), ("netlink", netlink), ("nftables", nftables),
    ("environment", environment), ("configuration", configuration), ("lease", lease), ("record", record),
    ("subnet-env", subnetEnv), ("net-conf", netConf), ("nodes-file", nodesFile), ("etcd", etcd),
    ("kubernetes", kubernetes), ("kubeconfig", kubeconfig),
  ]

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  static func json(_ bytes: [UInt8]) {
    guard let value = try? JSONValue(parsing: bytes) else { return }
    guard let text = try? value.text() else { fatalError("\(value) cannot be written") }
    precondition((try? JSONValue(parsing: Array(text.utf8))) == value)
  }

  static func yaml(_ bytes: [UInt8]) { _ = try? JSONValue(parsingYAML: bytes) }

  static func addresses(_ bytes: [UInt8]) {
    let text = text(bytes)
    if let address = IPAddress(text) { precondition(IPAddress(address.description) == address) }
    if let prefix = IPPrefix(text) {
      precondition(prefix.length <= prefix.family.bitCount && prefix.contains(prefix.address))
      precondition(IPPrefix(prefix.description) == prefix && prefix.network.isNetwork)
    }
    if let mac = MACAddress(text) { precondition(mac.bytes.count == 6 && MACAddress(mac.description) == mac) }
  }

  static func netlink(_ bytes: [UInt8]) {
    for reply in (try? NetlinkReply.split(bytes[...])) ?? [] {
      _ = try? Link(reply)
      _ = try? LinkAddress(reply)
      _ = try? Route(reply)
      _ = try? BridgeMember(reply)
      for family in IPFamily.allCases { _ = try? DefaultRoute(reply, family) }
      _ = try? NetlinkSocket.failure(reply, NetlinkRequest("read", "a reply", type: 0))
    }
  }

  static func nftables(_ bytes: [UInt8]) {
    let table = TableName(.inet, "t")
    guard let attributes = try? Attributes(bytes[...]) else { return }
    _ = try? NetfilterRule(attributes, in: table)
    _ = try? FilterRule(attributes, in: table)
    _ = try? SetElement(attributes)
    _ = ForwardChain.hookNumber(attributes)
    _ = UserDataComment.read(bytes[...])
  }

  static func environment(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: 0, omittingEmptySubsequences: false).map { text(Array($0)) }
    let names = ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"]
    let values = Dictionary(zip(names, parts)) { $1 }
    guard let invocation = try? Invocation(environment: { values[$0] }) else { return }
    if [.add, .check, .delete].contains(invocation.verb) {
      precondition(!invocation.containerID.utf8.contains { $0 == 0x2F || $0 <= 0x20 })
      precondition(
        !invocation.interfaceName.utf8.contains(0x2F) && (1...15).contains(invocation.interfaceName.utf8.count))
    }
    _ = try? Arguments(invocation.arguments, known: ["MAC", "IP"])
  }

  static func configuration(_ bytes: [UInt8]) {
    for verb in [Verb.add, .delete, .collect] {
      guard let network = try? NetworkConfiguration(bytes, for: verb) else { continue }
      precondition(Name.isValid(network.name) && network.name.utf8.count <= 200)
      _ = try? validAttachments(network)
      for type in [PluginType.causeway, .bridge, .flannel] {
        _ = LenientConfiguration(network, as: type)
        guard let arguments = try? Arguments("", known: []),
          let configuration = try? AttachmentConfiguration(network, arguments: arguments, as: type)
        else { continue }
        _ = try? AddressPlan(configuration, nil)
      }
      guard let result = network.previousResult else { continue }
      for version in SpecVersion.supported { _ = try? result.json(version).text() }
    }
  }

  static func lease(_ bytes: [UInt8]) {
    guard let owner = LeaseOwner(content: bytes) else { return }
    let again = LeaseOwner(content: owner.content)
    precondition(owner.containerID.isEmpty || again?.containerID == owner.containerID)
  }

  static func record(_ bytes: [UInt8]) {
    guard let record = AttachmentRecord(bytes) else { return }
    _ = record.attachment.key
    _ = record.attachment.hostLinkName(attempt: 0)
  }

  static func subnetEnv(_ bytes: [UInt8]) {
    guard let lease = try? SubnetLease(parsing: text(bytes), file: "f") else { return }
    precondition(!lease.subnets.isEmpty && (68...65535).contains(lease.mtuBytes))
    guard let again = try? SubnetLease(parsing: lease.text, file: "f") else { return }
    precondition(again.subnets == lease.subnets && again.mtuBytes == lease.mtuBytes)
  }

  static func netConf(_ bytes: [UInt8]) {
    guard let fields = try? JSONFields(document: JSONValue(parsing: bytes), name: "f"),
      let conf = try? NetConf(fields, BackendList.reader)
    else { return }
    precondition(conf.networks.allSatisfy { $0.isNetwork })
    guard let allocation = try? SubnetAllocation(fields, conf) else { return }
    for family in IPFamily.allCases {
      guard let range = allocation.range(family), let network = conf.network(family) else { continue }
      precondition(network.contains(range.first) && network.contains(range.last) && range.count > 0)
      precondition(range.subnet(0) == range.first && range.subnet(range.count) == nil)
    }
  }

  static func nodesFile(_ bytes: [UInt8]) {
    guard let snapshot = try? NodesFile.parse(bytes, file: "f", BackendList.reader) else { return }
    for node in snapshot.nodes {
      precondition(Node.isName(node.name))
      for family in IPFamily.allCases {
        guard let subnet = node.subnets[family] else { continue }
        precondition(subnet.isNetwork && snapshot.netConf.network(family)?.contains(subnet) == true)
      }
    }
  }

  /// The first byte selects the parser of the other bytes.
  static func etcd(_ bytes: [UInt8]) {
    let rest = Array(bytes.dropFirst())
    switch bytes.first.map({ $0 % 4 }) {
    case 0:
      guard let decoded = Base64.decode(text(rest)) else { return }
      precondition(Base64.decode(Base64.encode(decoded)) == decoded)
    case 1:
      if let key = EtcdSubnetKey(parsing: text(rest)) { precondition(EtcdSubnetKey(parsing: key.text) == key) }
    case 2:
      let keyValue = EtcdKeyValue(["key": "L3A=", "value": .string(Base64.encode(rest))])
      _ = EtcdRecord(keyValue, name: "10.1.0.0-24")
      _ = try? EtcdConfig.read(keyValue, key: "f", BackendList.reader).get()
    default:
      guard let answer = (try? JSONValue(parsing: rest))?.object else { return }
      var state = EtcdState(
        EtcdList(header: EtcdHeader(answer), config: nil, subnets: answer.objects("kvs").map(EtcdKeyValue.init)),
        EtcdLayout(prefix: "/p"), BackendList.reader)
      state.apply(.init(header: EtcdHeader(answer), events: answer.objects("events").map(EtcdEvent.init)))
      precondition(state.records.sorted.allSatisfy { $0.key != nil })
      _ = state.records.overlaps()
    }
  }

  /// The first byte gives the size of the parts in which the other bytes are fed.
  static func kubernetes(_ bytes: [UInt8]) {
    let access = KubeAccessSource(kubeconfig: nil, server: nil)
    let resource = KubeNodes(KubeClient(access), annotationPrefix: "f/", ownName: "own").resource
    let rest = Array(bytes.dropFirst())
    let size = Int(bytes.first ?? 0) + 1
    for shape in [resource.listShape, resource.eventShape] {
      let whole = pieces(shape, rest, parts: max(rest.count, 1))
      precondition(whole == pieces(shape, rest, parts: size))
      for piece in whole ?? [] {
        if let node = try? resource.object(piece.text) { precondition(Node.isName(node.name)) }
        _ = try? resource.event(piece.text)
        var page = KubePage<KubeNode>()
        _ = try? resource.finish(&page, piece.text)
      }
    }
  }

  private static func pieces(_ shape: JSONSieve.Shape, _ bytes: [UInt8], parts size: Int) -> [JSONSieve.Piece]? {
    var sieve = JSONSieve(shape)
    var found: [JSONSieve.Piece] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      guard let more = try? sieve.add(Array(bytes[start..<min(start + size, bytes.count)])) else { return nil }
      found += more
    }
    return found
  }

  static func kubeconfig(_ bytes: [UInt8]) { _ = try? KubeConfigFile.parse(bytes, file: "/f/config") }
}
