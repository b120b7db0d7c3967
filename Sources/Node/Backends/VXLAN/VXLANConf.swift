package import Addresses
package import JSON
package import Nodes

/// Configuration of the backend `vxlan`, with flannel's members of `net-conf.json`.
package struct VXLANConf: Sendable, Equatable {
  /// Number of the tunnel's network (`VNI`), of 24 bits.
  package var vni: UInt32
  /// UDP port that every node of the cluster listens on.
  package var port: UInt16
  /// MTU of the networks between the nodes, in bytes; `nil` for that of the node's own link.
  package var mtuBytes: Int?
  /// Whether packets carry their group policy (`GBP`).
  package var carriesGroupPolicy: Bool
  /// Whether the device learns forwarding entries from packets (`Learning`).
  package var learns: Bool
  /// Whether nodes of the same layer-2 network are reached by plain routes (`DirectRouting`).
  package var routesDirectly: Bool

  package init(
    vni: UInt32 = 1, port: UInt16 = 8472, mtuBytes: Int? = nil, carriesGroupPolicy: Bool = false,
    learns: Bool = false, routesDirectly: Bool = false
  ) {
    self.vni = vni
    self.port = port
    self.mtuBytes = mtuBytes
    self.carriesGroupPolicy = carriesGroupPolicy
    self.learns = learns
    self.routesDirectly = routesDirectly
  }

  /// Name of a family's device, as in flannel.
  package func deviceName(_ family: IPFamily) -> String {
    switch family {
    case .v4: "flannel.\(vni)"
    case .v6: "flannel-v6.\(vni)"
    }
  }

  /// Bytes that the tunnel adds to a packet: the inner Ethernet header, and those of VXLAN, UDP and the outer IP.
  package static func overhead(_ family: IPFamily) -> Int {
    14 + 8 + 8 + (family == .v4 ? 20 : 40)
  }

  /// Smallest MTU of a network that can carry a tunnel, in bytes: pods must be left the minimum of the family (RFC 791,
  /// RFC 8200).
  package static func leastMTUBytes(_ family: IPFamily) -> Int {
    (family == .v4 ? 576 : 1280) + overhead(family)
  }

  /// Reads the members of `Backend`; 0 counts as absent, as in flannel.
  package init(_ fields: JSONFields, families: [IPFamily]) throws(NetConfError) {
    self.init()
    let usesIPv6 = families.contains(.v6)
    // Of 24 bits, but the device's name, which ends with it, has 15 characters at most (IFNAMSIZ).
    let name = usesIPv6 ? "flannel-v6." : "flannel."
    let words = ": the name of its device, \(name)VNI, has room for 15 characters"
    if let given = try VXLANConf.number(fields, "VNI", 1...(usesIPv6 ? 9999 : 9_999_999), words) { vni = UInt32(given) }
    if let given = try VXLANConf.number(fields, "Port", 1...0xFFFF) { port = UInt16(given) }
    let least = VXLANConf.leastMTUBytes(usesIPv6 ? .v6 : .v4)
    mtuBytes = try VXLANConf.number(fields, "MTU", Int64(least)...65535).map { Int($0) }
    carriesGroupPolicy = try VXLANConf.bool(fields, "GBP")
    learns = try VXLANConf.bool(fields, "Learning")
    routesDirectly = try VXLANConf.bool(fields, "DirectRouting")
  }

  private static func number(
    _ fields: JSONFields, _ name: String, _ range: ClosedRange<Int64>, _ words: String = ""
  ) throws(NetConfError) -> Int64? {
    guard let given = try NetConf.reading({ () throws(JSONError) in try fields.integer(name) }), given != 0 else {
      return nil
    }
    guard range.contains(given) else {
      throw .invalid(
        field: fields.path(of: name), value: "\(given)",
        expected: "from \(range.lowerBound) to \(range.upperBound), or 0 for the usual one\(words)")
    }
    return given
  }

  private static func bool(_ fields: JSONFields, _ name: String) throws(NetConfError) -> Bool {
    try NetConf.reading { () throws(JSONError) in try fields.bool(name) } ?? false
  }
}
