import JSON
import Testing
import TestSupport

/// A case of the reference tests of `bridge`: a pod on a bridge with VLANs.
struct VLANCase: Sendable, CustomTestStringConvertible {
  let name: String
  /// The configuration's keys.
  let keys: JSONObject
  /// The VLANs of the pod's port in `bridge -compressvlans vlan show`.
  let port: [String]
  /// The pod's addresses; none for layer 2.
  var addresses: [String] = []
  var gateways: [String] = []
  var versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]

  var testDescription: String { name }
  var isLayer2: Bool { addresses.isEmpty }
  var filters: Bool { !keys.members.isEmpty }
  /// Whether results before 0.3.0 can hold this case: they have one address of each family and no interfaces.
  var fitsFirstVersions: Bool { !isLayer2 && addresses.count <= 2 }

  private static let trunk: JSONValue = [["id": 101], ["minID": 200, "maxID": 210]]
  private static let v4: JSONValue = [["subnet": "10.1.2.0/24"]]
  private static let v6: JSONValue = [["subnet": "2001:db8:42::/64"]]
  private static let other: JSONValue = [["subnet": "2001:db8:43::/64"]]

  /// The cases with and without the bridge's default VLAN.
  private static func both(
    _ name: String, _ ranges: [JSONValue], addresses: [String], gateways: [String]
  ) -> [VLANCase] {
    [true, false].map { keepsDefault in
      VLANCase(
        name: "\(name) in VLAN 100" + (keepsDefault ? " and the default" : ""),
        keys: ["vlan": 100, "preserveDefaultVlan": .bool(keepsDefault), "ipam": ["ranges": .array(ranges)]],
        port: (keepsDefault ? ["1 untagged"] : []) + ["100 native untagged"], addresses: addresses, gateways: gateways)
    }
  }

  static let all: [VLANCase] =
    [
      VLANCase(name: "layer 2", keys: [:], port: ["1 native untagged"]),
      VLANCase(
        name: "layer 2 with an empty trunk", keys: ["vlanTrunk": []], port: ["1 native untagged"], versions: ["1.1.0"]),
      VLANCase(
        name: "layer 2 in VLAN 100 and the default", keys: ["vlan": 100, "preserveDefaultVlan": true],
        port: ["1 untagged", "100 native untagged"]),
      VLANCase(name: "layer 2 in VLAN 100", keys: ["vlan": 100], port: ["100 native untagged"]),
      VLANCase(
        name: "layer 2 with a trunk", keys: ["vlanTrunk": trunk], port: ["1 native untagged", "101", "200-210"]),
      VLANCase(
        name: "layer 2 in VLAN 100 with a trunk", keys: ["vlan": 100, "vlanTrunk": trunk],
        port: ["100 native untagged", "101", "200-210"]),
      VLANCase(
        name: "layer 2 in VLAN 205 with a trunk around it", keys: ["vlan": 205, "vlanTrunk": trunk],
        port: ["101", "200-204", "205 native untagged", "206-210"], versions: ["1.1.0"]),
    ]
    + both("IPv4", [v4], addresses: ["10.1.2.2/24"], gateways: ["10.1.2.1/24"])
    + both("IPv6", [v6], addresses: ["2001:db8:42::2/64"], gateways: ["2001:db8:42::1/64"])
    + both(
      "both families", [v4, v6], addresses: ["10.1.2.2/24", "2001:db8:42::2/64"],
      gateways: ["10.1.2.1/24", "2001:db8:42::1/64"])
    + both(
      "three subnets", [v4, v6, other], addresses: ["10.1.2.2/24", "2001:db8:42::2/64", "2001:db8:43::2/64"],
      gateways: ["10.1.2.1/24", "2001:db8:42::1/64", "2001:db8:43::1/64"])
}

/// The plugin's answers and the kernel's state during the life of one pod.
struct VLANLife {
  let answer: JSONObject
  /// The kernel's state while the pod exists.
  let links: [JSONObject]
  let addresses: [JSONObject]
  let vlans: [JSONObject]
  let podLinks: [JSONObject]
  let podRoutes: [JSONObject]
  /// The output of DEL, and the links after it.
  let deleteOutput: String
  let linksAfter: [JSONObject]

  /// Runs all configurations in one session of the virtual machine. New namespaces hold them, and each bridge is
  /// removed at the end.
  static func all(_ configurations: [JSONObject]) throws -> [VLANLife] {
    let script = """
      set -f
      mount -t tmpfs tmpfs /run
      mount -t tmpfs tmpfs /var/lib
      ip netns add a
      # Starting these three programs takes long there, so they stay. Each answers a line with a line.
      mkfifo /run/node /run/node-answers /run/bridge /run/bridge-answers /run/pod /run/pod-answers
      ip -json -details -batch - </run/node >/run/node-answers &
      exec 3>/run/node 4</run/node-answers
      bridge -json -compressvlans -batch - </run/bridge >/run/bridge-answers &
      exec 5>/run/bridge 6</run/bridge-answers
      ip -netns a -json -batch - </run/pod >/run/pod-answers &
      exec 7>/run/pod 8</run/pod-answers
      plugin() {
        echo "$configuration" | CNI_COMMAND=$1 CNI_CONTAINERID=a CNI_NETNS=/run/netns/a CNI_IFNAME=eth0 CNI_PATH=/bin \
          \(Binaries.causeway)
      }
      while read -r configuration; do
        # Without quotes the output becomes one line.
        echo $(plugin ADD)
        echo link show >&3; head -n 1 <&4
        echo address show >&3; head -n 1 <&4
        echo vlan show >&5; head -n 1 <&6
        echo address show >&7; head -n 1 <&8
        echo route show table all default >&7; head -n 1 <&8
        echo $(plugin DEL)
        echo link show >&3; head -n 1 <&4
        for link in cni0.100 cni0; do busybox ip link delete $link 2>/dev/null || true; done
      done
      """
    let input = try configurations.map { try JSONValue.object($0).text() + "\n" }.joined()
    let output = try VirtualMachine.shared.get().run(
      ["unshare", "--net", "--mount", "--propagation", "private", "/bin/sh", "-ec", script], input: input,
      limit: .seconds(120)
    ).succeeded().output
    var lines = output.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }[...]
    return try configurations.map { _ in try VLANLife(&lines) }
  }

  private init(_ lines: inout ArraySlice<String>) throws {
    func next() throws -> JSONValue { try JSONValue(parsing: Array((lines.popFirst() ?? "").utf8)) }
    func objects() throws -> [JSONObject] {
      // `ip` pads some of its lists with empty objects.
      try next().array?.compactMap(\.object).filter { !$0.members.isEmpty } ?? []
    }
    answer = try next().object ?? [:]
    links = try objects()
    addresses = try objects()
    vlans = try objects()
    podLinks = try objects()
    podRoutes = try objects()
    deleteOutput = lines.popFirst() ?? ""
    linksAfter = try objects()
  }
}

extension VLANLife {
  /// An entry of `bridge -json -compressvlans vlan show`, such as "200-210" or "100 native untagged".
  static func text(_ entry: JSONObject) -> String? {
    guard case .integer(let first) = entry["vlan"] else { return nil }
    let flags = entry["flags"]?.array?.compactMap(\.string) ?? []
    var text = String(first)
    if case .integer(let last) = entry["vlanEnd"] { text += "-\(last)" }
    if flags.contains("PVID") { text += " native" }
    if flags.contains("Egress Untagged") { text += " untagged" }
    return text
  }
}
