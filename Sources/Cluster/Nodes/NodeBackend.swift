package import Addresses
package import JSON
internal import Linux

/// What a node says of the way in which it is reached, in its record or its annotations, as flannel has it.
package struct NodeBackend: Sendable, Equatable {
  /// As it stands there, "" for none.
  package let type: String
  /// The node's tunnel devices, where it tells of any.
  private let devices: [IPFamily: Device]

  /// `BackendData` of the vxlan backend.
  private struct Device: Sendable, Equatable {
    /// `nil` where it is not told, as flannel before 0.13 has it.
    let vni: Int64?
    let mac: String

    /// `nil` where the value tells of no such device.
    init?(_ value: JSONValue?) {
      guard let object = value?.object, let mac = object["VtepMAC"]?.string else { return nil }
      if case .integer(let number)? = object["VNI"] { vni = number } else { vni = nil }
      self.mac = mac.quotable
    }

    init(vni: UInt32, _ mac: MACAddress) {
      self.vni = Int64(vni)
      self.mac = "\(mac)"
    }

    var value: JSONValue { ["VNI": vni.map { .integer($0) } ?? .null, "VtepMAC": .string(mac)] }
  }

  /// As another node says.
  package init(type: String, data: JSONValue?, ipv6Data: JSONValue?) {
    self.type = type.quotable
    var devices: [IPFamily: Device] = [:]
    devices[.v4] = Device(data)
    devices[.v6] = Device(ipv6Data)
    self.devices = devices
  }

  /// What this node says.
  ///
  /// - Parameter node: what this node is called in the snapshots of its store.
  package init(_ backend: BackendConf, node: String, families: [IPFamily]) {
    type = backend.type
    guard case .vxlan(let conf) = backend else {
      devices = [:]
      return
    }
    let node = Node(name: node)
    devices = Dictionary(
      families.map { ($0, Device(vni: conf.vni, node.derivedVTEPMAC($0, vni: conf.vni))) },
      uniquingKeysWith: { first, _ in first })
  }

  /// `BackendData` or `BackendV6Data`; `nil` where there is nothing to tell.
  package func data(_ family: IPFamily) -> JSONValue? { devices[family]?.value }

  /// The address of its tunnel device.
  package func vtepMAC(_ family: IPFamily) -> MACAddress? { devices[family].flatMap { MACAddress($0.mac) } }

  /// Why a node that says so gets no route in a cluster with this backend, `nil` where it does.
  package func problem(_ family: IPFamily, in backend: BackendConf) -> String? {
    switch (backend, type.lowercased()) {
    // There are no routes to get.
    case (.alloc, _): return nil
    case (_, backend.type): break
    case (_, ""):
      return "its record names no backend, as flannel's udp backend has it; only \(backend.type) can be reached"
    case (_, let other): return "its backend is \(other), only \(backend.type) can be reached"
    }
    guard case .vxlan(let conf) = backend, let device = devices[family] else { return nil }
    guard let mac = MACAddress(device.mac), mac.isUnicast else {
      return "its VtepMAC is \"\(device.mac)\", but must be the address of its \(family) tunnel device"
    }
    guard let vni = device.vni, vni != Int64(conf.vni) else { return nil }
    return "its VNI is \(vni), but must be \(conf.vni)"
  }
}
