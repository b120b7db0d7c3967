package import Addresses
internal import CLinux
internal import Glibc

/// A next-hop object: a gateway and its link under an ID that routes refer to (`struct nhmsg`, linux/nexthop.h).
package struct NextHop: Sendable, Equatable, Hashable {
  /// The ID, unique in the network namespace.
  package var id: UInt32
  /// The gateway's address.
  package var gateway: IPAddress
  /// The index of the link that reaches the gateway.
  package var linkIndex: Int32
  /// The protocol that added the next hop (`nh_protocol`).
  package var owner: UInt8

  /// A next hop from given values.
  package init(id: UInt32, gateway: IPAddress, linkIndex: Int32, owner: UInt8) {
    self.id = id
    self.gateway = gateway
    self.linkIndex = linkIndex
    self.owner = owner
  }
}

extension NetlinkRequest {
  /// Adds a next hop. EEXIST if the ID is taken; EHOSTUNREACH or EINVAL if the gateway is not on the link.
  package static func addNextHop(_ hop: NextHop) -> NetlinkRequest {
    nextHop("add the next hop", hop, flags: NetlinkFlag.create | NetlinkFlag.exclusive)
  }

  /// Replaces the next hop of the same ID, or adds it; routes that refer to the ID use the new one.
  package static func replaceNextHop(_ hop: NextHop) -> NetlinkRequest {
    nextHop("replace the next hop", hop, flags: NetlinkFlag.create | NetlinkFlag.replace)
  }

  private static func nextHop(_ operation: String, _ hop: NextHop, flags: UInt16) -> NetlinkRequest {
    var request = NetlinkRequest(
      operation, "\(hop.gateway)", type: RouteMessage.newNextHop, flags: flags)
    var header = nhmsg()
    header.nh_family = hop.gateway.family.kernelValue
    header.nh_protocol = hop.owner
    request.append(header)
    request.put(NextHopAttribute.id, hop.id)
    request.put(NextHopAttribute.gateway, bytes: hop.gateway.bytes)
    request.put(NextHopAttribute.outputLink, hop.linkIndex)
    return request
  }

  /// Removes a next hop and every route that refers to it. ENOENT if there is no such next hop.
  package static func removeNextHop(_ hop: NextHop) -> NetlinkRequest {
    var request = NetlinkRequest("remove the next hop", "\(hop.gateway)", type: RouteMessage.deleteNextHop)
    request.append(nhmsg())
    request.put(NextHopAttribute.id, hop.id)
    return request
  }
}

/// The next hops of a network namespace, seen by one protocol.
package struct NextHopTable: Sendable, Equatable {
  /// The next hops of this protocol.
  package var owned: [NextHop]
  /// The IDs in use by any protocol.
  package var takenIDs: Set<UInt32>

  /// A table from given values.
  package init(owned: [NextHop], takenIDs: Set<UInt32>) {
    self.owned = owned
    self.takenIDs = takenIDs
  }
}

extension RouteSocket {
  /// Lists the next hops of the protocol `owner` and all IDs in use; `nil` if the kernel has no next-hop objects
  /// (before Linux 5.3).
  package mutating func nextHops(owner: UInt8) throws(NetlinkError) -> NextHopTable? {
    var request = NetlinkRequest("list", "the next hops", type: RouteMessage.getNextHop)
    request.append(nhmsg())
    var table = NextHopTable(owned: [], takenIDs: [])
    do throws(NetlinkError) {
      for reply in try netlink.dump(request) {
        let (header, attributes) = try reply.body(nhmsg.self)
        guard let id = attributes.value(NextHopAttribute.id, as: UInt32.self) else { continue }
        table.takenIDs.insert(id)
        guard header.nh_protocol == owner,
          let gateway = attributes.address(NextHopAttribute.gateway),
          let linkIndex = attributes.value(NextHopAttribute.outputLink, as: Int32.self)
        else { continue }
        table.owned.append(NextHop(id: id, gateway: gateway, linkIndex: linkIndex, owner: owner))
      }
      return table
    } catch {
      if error.errno == EOPNOTSUPP { return nil }
      throw error
    }
  }
}
