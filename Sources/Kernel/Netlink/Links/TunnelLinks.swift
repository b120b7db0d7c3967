package import Addresses

/// Kind of a tunnel device, with the settings that cannot change while the device exists. Each kind has a file of its
/// own with its attributes and its request.
package enum TunnelKind: Sendable, Equatable {
  case vxlan(VXLANSettings)

  /// Reads a link's kind; `nil` for a link that is no tunnel device of these kinds.
  ///
  /// - Parameter info: IFLA_LINKINFO.
  init?(_ kind: String?, _ info: Attributes?) throws(NetlinkError) {
    switch kind {
    case "vxlan":
      guard let settings = try info?.nest(LinkAttribute.infoData).flatMap(VXLANSettings.init) else { return nil }
      self = .vxlan(settings)
    default: return nil
    }
  }

  /// Name of the kind in messages.
  package var name: String {
    switch self {
    case .vxlan: "VXLAN"
    }
  }

  /// Source address of outer packets; `nil` if the kernel chooses.
  package var local: IPAddress? {
    switch self {
    case .vxlan(let settings): settings.local
    }
  }
}

extension NetlinkRequest {
  /// Makes a tunnel device and sets it up; errors are those of the kind's own request. The alias is set by `changeLink`.
  package static func addTunnel(
    _ kind: TunnelKind, name: String, mac: MACAddress?, mtuBytes: Int
  ) -> NetlinkRequest {
    switch kind {
    case .vxlan(let settings): addVXLAN(name: name, mac: mac, mtuBytes: mtuBytes, settings)
    }
  }
}
