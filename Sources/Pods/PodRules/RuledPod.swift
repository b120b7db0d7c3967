package import Addresses
package import Attachments

/// A pod as the per-pod rules know it.
package struct RuledPod: Sendable {
  /// The key of the pod's attachment, which every element of the pod carries as its comment.
  package let owner: String
  /// Name of the network.
  package let network: String
  /// The host's end of the veth pair.
  package var link: String
  /// `nil` where a record of an earlier version does not name it.
  package var mac: MACAddress?
  /// Addresses of the pod.
  package var addresses: [IPAddress]
  /// Networks that the pod reaches under its own address, also where it is masqueraded.
  package let unmasqueradedNetworks: [IPPrefix]

  package init(
    _ attachment: Attachment, link: String, mac: MACAddress?, addresses: [IPAddress],
    unmasqueradedNetworks: [IPPrefix] = []
  ) {
    owner = attachment.key
    network = attachment.network
    self.link = link
    self.mac = mac
    self.addresses = addresses
    self.unmasqueradedNetworks = unmasqueradedNetworks
  }
}
