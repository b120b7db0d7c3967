package import Addresses
internal import CLinux
internal import Glibc

/// An IP address on a link (`struct ifaddrmsg` and IFA_* attributes).
package struct LinkAddress: Sendable, Equatable {
  /// The link's own address with the length of its network.
  package let prefix: IPPrefix
  /// The index of the link that has the address.
  package let linkIndex: Int32
  /// The address flags, IFA_F_* bits.
  package let flags: UInt32
  /// The scope, an RT_SCOPE_* number: 0 is global.
  package let scope: UInt8
  /// The protocol that added the address (IFA_PROTO); 0 if none was given or the kernel is older than 5.18.
  package let owner: UInt8

  /// Whether the address has no lifetime (`valid_lft forever`).
  package var isPermanent: Bool { flags & UInt32(IFA_F_PERMANENT) != 0 }
  /// Whether the address is a temporary IPv6 address of the privacy extensions (RFC 8981).
  package var isTemporary: Bool { prefix.family == .v6 && flags & UInt32(IFA_F_TEMPORARY) != 0 }
  /// Whether the address is a secondary IPv4 address of its network. The kernel removes it together with the primary
  /// one unless `promote_secondaries` is set. In IPv6 the bit means a temporary address.
  package var isSecondary: Bool { prefix.family == .v4 && flags & UInt32(IFA_F_SECONDARY) != 0 }
  /// Whether the preferred lifetime is over: the address works, but new connections should not use it.
  package var isDeprecated: Bool { flags & UInt32(IFA_F_DEPRECATED) != 0 }
  /// Whether another host has the address (IFA_F_DADFAILED).
  package var isDuplicate: Bool { flags & UInt32(IFA_F_DADFAILED) != 0 }
  /// Whether the address is usable: duplicate address detection is neither pending nor failed.
  package var isUsable: Bool { flags & UInt32(IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0 }

  /// An address from given values, for code that plans with addresses without a kernel.
  package init(_ prefix: IPPrefix, linkIndex: Int32, flags: UInt32 = 0, scope: UInt8 = 0, owner: UInt8 = 0) {
    self.prefix = prefix
    self.linkIndex = linkIndex
    self.flags = flags
    self.scope = scope
    self.owner = owner
  }

  init?(_ reply: NetlinkReply) throws(NetlinkError) {
    let (header, attributes) = try reply.body(ifaddrmsg.self)
    // On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL, if given, is always the link's own.
    guard
      let address = attributes.address(AddressAttribute.local) ?? attributes.address(AddressAttribute.address),
      let prefix = IPPrefix(address, length: Int(header.ifa_prefixlen))
    else { return nil }
    self.prefix = prefix
    linkIndex = Int32(bitPattern: header.ifa_index)
    flags = attributes.value(AddressAttribute.flags) ?? UInt32(header.ifa_flags)
    scope = header.ifa_scope
    owner = attributes.value(AddressAttribute.protocol) ?? 0
  }
}

extension NetlinkRequest {
  /// Adds an address to a link. EEXIST if the link has it already; EACCES if IPv6 is switched off on the link.
  ///
  /// - Parameters:
  ///   - owner: the protocol number to store with the address (IFA_PROTO).
  ///   - detectsDuplicates: whether an IPv6 address waits for duplicate address detection; otherwise it is usable at
  ///     once.
  package static func addAddress(
    _ prefix: IPPrefix, to linkIndex: Int32, owner: UInt8? = nil, detectsDuplicates: Bool = false
  ) -> NetlinkRequest {
    var request = address(
      "add the address", prefix, linkIndex: linkIndex, type: RouteMessage.newAddress,
      flags: NetlinkFlag.create | NetlinkFlag.exclusive)
    // A /31 or /32 has no broadcast address (RFC 3021).
    if prefix.family == .v4, prefix.length < 31 {
      request.put(AddressAttribute.broadcast, bytes: prefix.last.bytes)
    }
    if prefix.family == .v6, !detectsDuplicates { request.put(AddressAttribute.flags, UInt32(IFA_F_NODAD)) }
    if let owner { request.put(AddressAttribute.protocol, owner) }
    return request
  }

  /// Removes an address from a link. EADDRNOTAVAIL if the link does not have it.
  package static func removeAddress(_ prefix: IPPrefix, from linkIndex: Int32) -> NetlinkRequest {
    address("remove the address", prefix, linkIndex: linkIndex, type: RouteMessage.deleteAddress, flags: 0)
  }

  private static func address(
    _ operation: String, _ prefix: IPPrefix, linkIndex: Int32, type: UInt16, flags: UInt16
  ) -> NetlinkRequest {
    var request = NetlinkRequest(operation, prefix.description, type: type, flags: flags)
    var header = ifaddrmsg()
    header.ifa_family = prefix.family.kernelValue
    header.ifa_prefixlen = UInt8(clamping: prefix.length)
    header.ifa_index = UInt32(bitPattern: linkIndex)
    request.append(header)
    request.put(AddressAttribute.local, bytes: prefix.address.bytes)
    request.put(AddressAttribute.address, bytes: prefix.address.bytes)
    return request
  }
}

extension RouteSocket {
  /// The addresses of one link, or of all.
  package mutating func addresses(on linkIndex: Int32? = nil) throws(NetlinkError) -> [LinkAddress] {
    var request = NetlinkRequest("list", "the addresses", type: RouteMessage.getAddress)
    var header = ifaddrmsg()
    header.ifa_index = UInt32(bitPattern: linkIndex ?? 0)
    request.append(header)
    var addresses: [LinkAddress] = []
    for reply in try netlink.dump(request) {
      // A kernel without strict checking (before 4.20) sends the addresses of all links.
      if let address = try LinkAddress(reply), linkIndex == nil || address.linkIndex == linkIndex {
        addresses.append(address)
      }
    }
    return addresses
  }
}

extension IPFamily {
  /// The kernel's number of the family: AF_INET or AF_INET6.
  package var kernelValue: UInt8 {
    switch self {
    case .v4: UInt8(AF_INET)
    case .v6: UInt8(AF_INET6)
    }
  }
}
