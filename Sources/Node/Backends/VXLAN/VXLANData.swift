internal import Addresses
internal import JSON
internal import Linux

/// Data that a node publishes of its VXLAN device (`BackendData`).
struct VXLANData {
  /// `nil` if it is not published, as in flannel before 0.13.
  private let vni: Int64?
  /// `VtepMAC` as published.
  private let macText: String

  /// `nil` for data that describes no such device.
  init?(_ object: JSONObject?) {
    guard let object, let mac = object["VtepMAC"]?.string else { return nil }
    if case .integer(let number)? = object["VNI"] { vni = number } else { vni = nil }
    macText = mac
  }

  init(vni: UInt32, _ mac: MACAddress) {
    self.vni = Int64(vni)
    macText = "\(mac)"
  }

  /// Address of the device; `nil` if the text is none.
  var mac: MACAddress? { MACAddress(macText) }

  var object: JSONObject { ["VNI": vni.map { .integer($0) } ?? .null, "VtepMAC": .string(macText)] }

  /// Reason why the device cannot be reached from a network with this number; `nil` if it can.
  func problem(_ family: IPFamily, inNetwork vni: UInt32) -> String? {
    guard let mac, mac.isUnicast else {
      return "its VtepMAC is \"\(macText.quotable)\", but must be the address of its \(family) tunnel device"
    }
    guard let given = self.vni, given != Int64(vni) else { return nil }
    return "its VNI is \(given), but must be \(vni)"
  }
}
