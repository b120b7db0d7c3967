internal import CNI
internal import JSON
internal import Netlink

/// VLANs of a pod's port, by the keys `vlan`, `vlanTrunk` and `preserveDefaultVlan` of the reference `bridge`
/// (IEEE 802.1Q; IDs are from 1 to 4094).
struct VLANs: Sendable, Equatable {
  /// VLAN of the frames that the pod sends and receives without a tag; `nil` where `vlan` is not given.
  let id: UInt16?
  /// VLANs whose frames pass with their tag: in order, without overlap, as few ranges as possible.
  let trunk: [ClosedRange<UInt16>]
  /// Whether the port stays in the VLAN that the bridge gives to every port too.
  let keepsDefault: Bool
  /// The key that asks for VLANs, with its value, for messages.
  let key: String

  /// Reads the keys; `nil` where neither `vlan` nor `vlanTrunk` is given. With an empty trunk the bridge filters, and the
  /// port is in its default VLAN.
  ///
  /// - Throws: code 7, with the reference's message, for a number that is no VLAN.
  init?(_ fields: JSONFields) throws(PodNetworkError) {
    let id = try VLANs.id(fields)
    let trunk = try fromJSON(fields.list("vlanTrunk"))
    keepsDefault = try fromJSON(fields.bool("preserveDefaultVlan")) ?? false
    guard id != 0 || trunk != nil else { return nil }
    self.id = id == 0 ? nil : id
    self.trunk = try VLANs.trunk(trunk ?? [])
    key = id == 0 ? "vlanTrunk = a list" : "vlan = \(id)"
  }

  /// A single VLAN, without a tag.
  init(only id: UInt16) {
    self.id = id
    trunk = []
    keepsDefault = false
    key = "vlan = \(id)"
  }

  private static let valid: ClosedRange<UInt16> = 1...4094

  private static func id(_ fields: JSONFields) throws(PodNetworkError) -> UInt16 {
    let id = try fromJSON(fields.number("vlan", Int.self)) ?? 0
    guard let id = UInt16(exactly: id), id == 0 || valid.contains(id) else {
      throw PodNetworkError(
        .invalidConfiguration, "invalid VLAN ID \(id) (must be between 0 and 4094)",
        details: "set vlan to the VLAN's number, or to 0 for none")
    }
    return id
  }

  private static func trunk(_ entries: [JSONFields]) throws(PodNetworkError) -> [ClosedRange<UInt16>] {
    var isMember = [Bool](repeating: false, count: Int(valid.upperBound) + 1)
    for entry in entries {
      let ranges = try [range(entry), single(entry)].compactMap { $0 }
      guard !ranges.isEmpty else {
        throw PodNetworkError(
          .invalidConfiguration, "\(entry.path) names no VLAN", details: "give it id, or minID and maxID")
      }
      for id in ranges.joined() { isMember[Int(id)] = true }
    }
    return ranges { isMember[Int($0)] }
  }

  private static func range(_ entry: JSONFields) throws(PodNetworkError) -> ClosedRange<UInt16>? {
    let ends = try (fromJSON(entry.number("minID", Int.self)), fromJSON(entry.number("maxID", Int.self)))
    switch ends {
    case (nil, nil): return nil
    case (.some, nil): throw unpaired("maxID", entry)
    case (nil, .some): throw unpaired("minID", entry)
    case (let first?, let last?):
      let first = try member(first, "minID", entry)
      let last = try member(last, "maxID", entry)
      guard first <= last else {
        throw PodNetworkError(
          .invalidConfiguration, "minID is greater than maxID in trunk parameter",
          details: "\(entry.path) has minID \(first) and maxID \(last): exchange them")
      }
      return first...last
    }
  }

  private static func single(_ entry: JSONFields) throws(PodNetworkError) -> ClosedRange<UInt16>? {
    guard let id = try fromJSON(entry.number("id", Int.self)) else { return nil }
    let member = try member(id, "id", entry)
    return member...member
  }

  private static func member(_ id: Int, _ key: String, _ entry: JSONFields) throws(PodNetworkError) -> UInt16 {
    guard let id = UInt16(exactly: id), valid.contains(id) else {
      throw PodNetworkError(
        .invalidConfiguration, "incorrect trunk \(key) parameter",
        details: "\(entry.path(of: key)) must be from 1 to 4094, but is \(id)")
    }
    return id
  }

  private static func unpaired(_ missing: String, _ entry: JSONFields) -> PodNetworkError {
    PodNetworkError(
      .invalidConfiguration, "minID and maxID should be configured simultaneously, \(missing) is missing",
      details: "give \(entry.path) both, or id for a single VLAN")
  }

  /// All IDs that meet the condition, in as few ranges as possible.
  private static func ranges(where isMember: (UInt16) -> Bool) -> [ClosedRange<UInt16>] {
    var ranges: [ClosedRange<UInt16>] = []
    for id in valid where isMember(id) {
      if let last = ranges.last, last.upperBound == id - 1 {
        ranges[ranges.count - 1] = last.lowerBound...id
      } else {
        ranges.append(id...id)
      }
    }
    return ranges
  }
}

extension VLANs {
  /// VLAN of the frames that the pod sends without a tag: VLAN 1 for a trunk alone without the bridge's default. `nil`
  /// leaves the port where the bridge put it.
  private var nativeID: UInt16? { id ?? (trunk.isEmpty || keepsDefault ? nil : 1) }

  /// VLAN that a new port has to leave.
  ///
  /// - Parameter defaultID: the VLAN that the bridge put the port into, 0 for none.
  func left(defaultID: UInt16) -> UInt16? {
    guard let nativeID, !keepsDefault, defaultID != 0, defaultID != nativeID else { return nil }
    return defaultID
  }

  /// VLANs that a port is put into, in order of their IDs. The VLAN without a tag stays without one if the trunk names it
  /// too: a port has one setting for each VLAN.
  func joined(defaultID: UInt16) -> [PortVLANs] {
    let untaggedID = nativeID ?? (keepsDefault ? defaultID : 0)
    let tagged = VLANs.ranges { id in id != untaggedID && trunk.contains { $0.contains(id) } }.map { PortVLANs($0) }
    return (tagged + (nativeID.map { [.native($0)] } ?? [])).sorted { $0.ids.lowerBound < $1.ids.lowerBound }
  }
}

extension VLANs {
  /// Name of the link that carries the gateways' addresses: the bridge itself is in its default VLAN only.
  ///
  /// - Throws: code 7 where the kernel accepts no such name.
  func gatewayLinkName(bridge: String) throws(PodNetworkError) -> String {
    guard let id else { return bridge }
    let name = "\(bridge).\(id)"
    do throws(CNIError) {
      try Name.checkInterface(name)
    } catch {
      throw PodNetworkError(
        .invalidConfiguration,
        "the gateway of vlan \(id) on bridge \"\(bridge)\" needs an interface \"\(name)\": "
          + error.message, details: "give the bridge a shorter name, or set isGateway and isDefaultGateway to false")
    }
    return name
  }
}
