import JSON
import Linux
import Synchronization
import Testing
import TestSupport

/// A Kubernetes API that stores Nodes, with faults that a test asks for (`kubeapi/server.py`). It runs on a node of its
/// own on the segment, 192.0.2.201.
final class KubeServer: Sendable {
  static let address = "192.0.2.201"
  static let url = "https://192.0.2.201:6443"
  static let prefix = "flannel.alpha.coreos.com/"
  /// The requests that the agent makes and its role allows.
  static let role: Set = ["list nodes", "watch nodes", "patch nodes/status"]

  let machine: TestNode
  private let program = Mutex<RunningProgram?>(nil)

  init(_ segment: TestSegment) throws {
    machine = try TestNode()
    try segment.connect(machine, addresses: ["\(KubeServer.address)/24"])
    try machine.sh(KubeServer.certificates)
    try start()
  }

  /// Makes an authority and certificates of a server and a client.
  private static let certificates = """
    mkdir /run/kube && cd /run/kube
    openssl ecparam -name prime256v1 -genkey -noout -out ca.key
    openssl req -x509 -new -key ca.key -subj /CN=authority -days 2 -out ca.crt
    for name in server client; do
      openssl ecparam -name prime256v1 -genkey -noout -out $name.key
      openssl req -new -key $name.key -subj /CN=$name -out $name.csr
      echo "subjectAltName=IP:192.0.2.201,DNS:kubernetes.example" >$name.ext
      openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.crt
    done
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout other.key -subj /CN=other -days 2 -out other.crt
    """

  /// Starts the API with its state from before `stop`.
  func start() throws {
    let script = "\(Binaries.packageRoot)/Tests/EndToEndTests/Rigs/kubeapi/server.py"
    let started = try machine.start(["python3", script, "/run/kube", KubeServer.address, "6443"])
    program.withLock { $0 = started }
    let answers = eventually { (try? command(["do": "records"])) != nil }
    try #require(answers, "\(started.output)")
  }

  func stop() { program.withLock { $0.take() }?.stop() }

  /// Stops the process, so that only its kernel answers, or continues it.
  func halt(_ isHalted: Bool) { program.withLock { $0 }?.signal(isHalted ? 19 : 18) }

  func file(_ name: String) throws -> String { try machine.sh("cat /run/kube/\(name)") }

  /// Sends a command to `server.py`, and returns its answer.
  @discardableResult
  func command(_ command: JSONValue) throws -> JSONValue {
    let result = try machine.run(
      ["curl", "-sS", "--fail", "--max-time", "20", "--data-binary", "@-", "http://127.0.0.1:9000/"],
      input: try command.text()
    ).succeeded()
    return try JSONValue(parsing: Array(result.output.utf8))
  }

  func put(_ nodes: JSONValue...) throws { try command(["do": "put", "nodes": .array(nodes)]) }

  /// Changes a node as its kubelet or a controller does.
  func merge(_ name: String, _ patch: JSONValue) throws {
    try command(["do": "merge", "name": .string(name), "patch": patch])
  }

  func delete(_ name: String) throws { try command(["do": "delete", "name": .string(name)]) }

  /// Makes the next requests of a verb fail with one of the faults that `server.py` knows.
  func fail(_ verb: String, _ how: String, times: Int64 = 1) throws {
    try command(["do": "fail", "at": .string(verb), "how": .string(how), "times": .integer(times)])
  }

  /// A request that the API received.
  struct Record {
    let verb: String
    let resource: String
    let query: JSONObject
  }

  func records() throws -> [Record] {
    try (command(["do": "records"]).array ?? []).compactMap(\.array).map { entry in
      Record(verb: entry[0].string ?? "", resource: entry[1].string ?? "", query: entry[2].object ?? [:])
    }
  }

  func count(_ verb: String) throws -> Int { try records().count { $0.verb == verb } }

  func node(_ name: String) throws -> JSONObject? { try command(["do": "get", "name": .string(name)]).object }

  /// Flannel's annotations of a node, without their prefix.
  func annotations(_ name: String) throws -> [String: String] {
    var found: [String: String] = [:]
    for member in try node(name)?["metadata"]?.object?["annotations"]?.object?.members ?? []
    where member.name.hasPrefix(KubeServer.prefix) {
      found[String(member.name.dropFirst(KubeServer.prefix.count))] = member.value.string
    }
    return found
  }

  /// The condition NetworkUnavailable of a node: status, reason, message.
  func condition(_ name: String) throws -> [String]? {
    let conditions = try node(name)?["status"]?.object?["conditions"]?.array?.compactMap(\.object) ?? []
    guard let condition = conditions.first(where: { $0["type"]?.string == "NetworkUnavailable" }) else { return nil }
    return ["status", "reason", "message"].map { condition[$0]?.string ?? "" }
  }
}

/// A Kubernetes API and nodes on one segment. Node 0 is node-a with 192.0.2.11 and 2001:db8::11; the others count up.
struct KubeCluster {
  static let config: JSONValue = ["Network": "10.244.0.0/16", "Backend": ["Type": "host-gw"]]
  static let dualConfig: JSONValue = [
    "Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10:244::/48", "Backend": ["Type": "host-gw"],
  ]

  let segment: TestSegment
  let server: KubeServer
  let nodes: [TestNode]

  /// - Parameter isKnown: whether the API has the nodes, with their podCIDRs.
  init(_ count: Int, config: JSONValue = KubeCluster.config, isKnown: Bool = true) throws {
    let segment = try TestSegment()
    self.segment = segment
    let server = try KubeServer(segment)
    self.server = server
    nodes = try (0..<count).map { index in
      let node = try TestNode()
      try segment.connect(node, addresses: ["192.0.2.\(11 + index)/24", "2001:db8::\(11 + index)/64"])
      try KubeCluster.write(config, to: node)
      try KubeCluster.write(try KubeCluster.kubeconfig(server), to: node, path: "/etc/causeway/kubeconfig")
      if isKnown {
        let number = index + 1
        try server.put(
          KubeCluster.node(
            Cluster.name(index), podCIDRs: ["10.244.\(number).0/24", "fd00:10:244:\(number)::/64"],
            addresses: ["192.0.2.\(11 + index)", "2001:db8::\(11 + index)"]))
      }
      return node
    }
  }

  /// Writes the cluster's network configuration by rename, as an editor does.
  static func write(_ config: JSONValue, to node: TestNode) throws {
    try write(try config.text(), to: node, path: "/etc/kube-flannel/net-conf.json")
  }

  static func write(_ text: String, to node: TestNode, path: String) throws {
    try node.run(
      ["/bin/sh", "-ec", #"mkdir -p "$(dirname "$0")" && cat >"$0.new" && mv "$0.new" "$0""#, path], input: text
    ).succeeded()
  }

  /// A kubeconfig with inline certificates, as kubectl writes it.
  static func kubeconfig(_ server: KubeServer) throws -> String {
    let authority = try server.machine.sh("base64 -w 0 /run/kube/ca.crt")
    return """
      apiVersion: v1
      kind: Config
      current-context: causeway@test
      contexts:
      - name: causeway@test
        context: {cluster: test, user: causeway}
      clusters:
      - name: test
        cluster:
          server: \(KubeServer.url)
          certificate-authority-data: \(authority)
      users:
      - name: causeway
        user: {token: token-1}

      """
  }

  /// A node as the kubelet and controllers make it, with many fields that the helper does not read.
  static func node(
    _ name: String, podCIDRs: [String] = [], addresses: [String] = [], annotations: [String: String] = [:]
  ) -> JSONValue {
    var spec: JSONObject = ["providerID": .string("test://\(name)")]
    if let first = podCIDRs.first {
      spec["podCIDR"] = .string(first)
      spec["podCIDRs"] = .array(podCIDRs.map { .string($0) })
    }
    let members = annotations.map { JSONObject.Member(name: KubeServer.prefix + $0.key, value: .string($0.value)) }
    let internalIPs = addresses.map { address -> JSONValue in ["type": "InternalIP", "address": .string(address)] }
    return [
      "apiVersion": "v1", "kind": "Node",
      "metadata": [
        "name": .string(name), "creationTimestamp": "2026-01-02T03:04:05Z",
        "annotations": .object(JSONObject(members + [.init(name: "other.example/x", value: "\"}{][,")])),
        "managedFields": [["manager": "kubelet", "fieldsV1": ["f:metadata": ["f:annotations": [:]]]]],
      ],
      "spec": .object(spec),
      "status": [
        "addresses": .array([["type": "Hostname", "address": .string(name)]] + internalIPs),
        "conditions": [["type": "Ready", "status": "True", "reason": "KubeletReady", "message": "is \"ready\""]],
        "images": [["names": ["registry.example/pause@sha256:0"], "sizeBytes": 1]],
      ],
    ]
  }

  /// The helper's options for this API.
  func options(_ index: Int) -> [String] {
    ["--store", "kubernetes", "--kubeconfig-file", "/etc/causeway/kubeconfig", "--node-name", Cluster.name(index)]
  }

  /// Starts a node's agent.
  func agent(_ index: Int, _ more: String...) throws -> RunningProgram {
    try nodes[index].start([Binaries.hostgw, "run"] + options(index) + more)
  }

  /// The `status --json` of a node's agent.
  func status(_ index: Int) throws -> JSONObject {
    let result = try nodes[index].run([Binaries.hostgw, "status", "--json"] + options(index))
    return try JSONValue(parsing: Array(result.output.utf8)).object ?? [:]
  }
}
