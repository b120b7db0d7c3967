package import Addresses

extension IPPrefix {
  /// Reason why no node can have this subnet; `nil` if one can.
  package var problemAsSubnet: String? {
    if !isNetwork { return "\(self) has host bits: \(network) would be right" }
    if length > family.bitCount - 2 { return "\(self) is too small for a gateway and a pod" }
    return nil
  }
}
