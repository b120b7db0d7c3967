import JSON
import Linux
import Synchronization
import Testing
import TestSupport

/// A real etcd of one or more members. Each member is a node on the segment (192.0.2.201 and up) with its data on a
/// tmpfs.
final class EtcdServer: Sendable {
  /// How the members and their client are set up.
  struct Setup: Sendable {
    var members = 1
    var scheme = "http"
    /// Options of each member.
    var options: [String] = []
    /// Flags of `etcdctl`.
    var clientOptions: [String] = []
    /// A script for each member's node before etcd starts, which makes certificates, for example.
    var prepare = "true"
  }

  static let prefix = "/coreos.com/network"

  let members: [TestNode]
  private let setup: Setup
  private let programs: Mutex<[RunningProgram?]>

  init(_ segment: TestSegment, _ setup: Setup = Setup()) throws {
    self.setup = setup
    members = try (0..<setup.members).map { index in
      let member = try TestNode()
      try segment.connect(member, addresses: ["\(EtcdServer.address(index))/24"])
      return member
    }
    programs = Mutex(members.map { _ in nil })
    for member in members { try member.sh(setup.prepare) }
    for index in members.indices { try start(index) }
    try waitUntilHealthy()
  }

  static func address(_ index: Int) -> String { "192.0.2.\(201 + index)" }

  /// The value of `--etcd-endpoints`.
  var endpoints: String {
    members.indices.map { "\(setup.scheme)://\(EtcdServer.address($0)):2379" }.joined(separator: ",")
  }

  func start(_ index: Int) throws {
    let address = EtcdServer.address(index)
    let peers = members.indices.map { "m\($0)=http://\(EtcdServer.address($0)):2380" }.joined(separator: ",")
    let program = try members[index].start(
      [
        "etcd", "--name", "m\(index)", "--data-dir", "/run/etcd", "--listen-client-urls",
        "\(setup.scheme)://0.0.0.0:2379", "--advertise-client-urls", "\(setup.scheme)://\(address):2379",
        "--listen-peer-urls", "http://\(address):2380", "--initial-advertise-peer-urls", "http://\(address):2380",
        "--initial-cluster", peers, "--heartbeat-interval", "50", "--election-timeout", "500",
      ] + setup.options)
    programs.withLock { $0[index] = program }
  }

  /// Kills a member. Its data stays.
  func stop(_ index: Int) {
    programs.withLock { $0[index].take() }?.stop()
  }

  /// Stops a member's process, so that it does not answer, or continues it.
  func halt(_ index: Int, _ isHalted: Bool) {
    programs.withLock { $0[index] }?.signal(isHalted ? 19 : 18)
  }

  func wipe(_ index: Int) throws { try members[index].sh("rm -rf /run/etcd") }

  func output(_ index: Int) -> String { programs.withLock { $0[index]?.output ?? "" } }

  func waitUntilHealthy(_ index: Int = 0) throws {
    let isHealthy = try eventually(within: .seconds(30)) {
      // A healthy member also answers a user without rights.
      let health = try run(index, ["endpoint", "health"])
      return health.status == 0 || health.errors.contains("user name is empty")
    }
    guard isHealthy else { throw EtcdNotStarted(output: output(index)) }
  }

  /// Compacts the history before the present revision.
  func compact() throws {
    let status = try JSONValue(parsing: Array(ctl("endpoint", "status", "-w", "json").utf8))
    guard case .integer(let revision) = status.array?.first?.object?["Status"]?.object?["header"]?.object?["revision"]
    else { throw EtcdNotStarted(output: "\(status)") }
    try ctl("compact", "\(revision)")
  }

  /// How many calls of a method, such as "Txn", a member has answered since its start.
  func calls(_ method: String, at index: Int = 0) throws -> Int {
    let metrics = try members[index].sh("curl -sf http://127.0.0.1:2379/metrics")
    return metrics.split(separator: "\n").filter { line in
      line.hasPrefix("grpc_server_handled_total{") && line.contains("grpc_method=\"\(method)\"")
    }.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
  }

  /// The index of the leader.
  func leader() throws -> Int {
    var found: Int?
    _ = try eventually(within: .seconds(20)) {
      found = try members.indices.first { index in
        try run(index, ["endpoint", "status"]).output.split(separator: ", ").dropFirst(4).first == "true"
      }
      return found != nil
    }
    return try #require(found)
  }

  /// Runs etcdctl against a member; it must succeed.
  @discardableResult
  func ctl(_ arguments: String..., at index: Int = 0, input: String = "") throws -> String {
    try run(index, arguments, input: input, patience: 15).succeeded().output
  }

  /// - Parameter patience: seconds to wait; with a user they include the check of the password (clientv3, `getToken`).
  private func run(
    _ index: Int, _ arguments: [String], input: String = "", patience: Int = 1
  ) throws -> CommandResult {
    let limits = ["--dial-timeout", "\(patience)s", "--command-timeout", "\(5 + patience)s"]
    return try members[index].run(
      ["etcdctl", "--endpoints", "\(setup.scheme)://\(EtcdServer.address(index)):2379"] + limits
        + setup.clientOptions + arguments, environment: ["ETCDCTL_API": "3"], input: input)
  }
}

/// A member that did not start.
struct EtcdNotStarted: Error {
  let output: String
}

/// A lease as it is stored in etcd.
struct StoredLease: Equatable {
  let key: String
  let value: String
  let leaseID: String
  let createRevision: String
}

extension EtcdServer {
  /// The network's configuration. Agents choose no subnet below 10.244.50.0, where tests write records themselves.
  static let config =
    #"{"Network": "10.244.0.0/16", "SubnetMin": "10.244.50.0", "Backend": {"Type": "host-gw"}}"#
  static let dualConfig =
    #"{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/48", "Backend": {"Type": "host-gw"}}"#

  func putConfig(_ text: String = config) throws { try ctl("put", "\(EtcdServer.prefix)/config", text) }

  /// Writes a node's record without a lease.
  func putRecord(_ name: String, _ value: String) throws {
    try ctl("put", "\(EtcdServer.prefix)/subnets/\(name)", value)
  }

  func putRecord(_ name: String, of address: String) throws {
    try putRecord(name, EtcdServer.value(address))
  }

  static func value(_ address: String) -> String {
    #"{"PublicIP":"\#(address)","PublicIPv6":null,"BackendType":"host-gw"}"#
  }

  /// Writes records of host-gw nodes in one transaction.
  func putRecords(_ records: [(name: String, address: String)]) throws {
    // Nothing to compare, then these puts, and nothing otherwise.
    let puts = records.map { record in
      let value = EtcdServer.value(record.address).replacing("\"", with: "\\\"")
      return "put \(EtcdServer.prefix)/subnets/\(record.name) \"\(value)\"\n"
    }
    try ctl("txn", input: "\n" + puts.joined() + "\n\n")
  }

  func deleteRecord(_ name: String) throws { try ctl("del", "\(EtcdServer.prefix)/subnets/\(name)") }

  /// All records under `subnets/`, in the order of their keys.
  func leases(at index: Int = 0) throws -> [StoredLease] {
    let prefix = "\(EtcdServer.prefix)/subnets/"
    let answer = try JSONValue(parsing: Array(ctl("get", "--prefix", prefix, "-w", "json", at: index).utf8)).object
    // etcdctl writes 64-bit numbers as numbers, and omits 0.
    func number(_ value: JSONValue?) -> String { if case .integer(let number) = value { "\(number)" } else { "0" } }
    return (answer?["kvs"]?.array ?? []).compactMap(\.object).map { object in
      let key = EtcdServer.decoded(object["key"]?.string ?? "")
      return StoredLease(
        key: String(key.dropFirst(prefix.count)), value: EtcdServer.decoded(object["value"]?.string ?? ""),
        leaseID: number(object["lease"]), createRevision: number(object["create_revision"]))
    }
  }

  /// The number of records under `subnets/`.
  func leaseCount() throws -> Int {
    let keys = try ctl("get", "--prefix", "--keys-only", "--command-timeout", "60s", "\(EtcdServer.prefix)/subnets/")
    return keys.split(separator: "\n").count
  }

  private static func decoded(_ text: String) -> String {
    let result = try? TestSupport.run(["base64", "-d"], input: text)
    return result?.output ?? ""
  }
}
