package import Addresses
internal import CLinux
internal import Glibc

/// A next-hop object (`struct nhmsg`, linux/nexthop.h): a gateway and its link under one number, that routes name.
package struct NextHop: Sendable, Equatable, Hashable {
  package var id: UInt32
  package var gateway: IPAddress
  package var linkIndex: Int32
  /// `nh_protocol`, as of routes.
  package var owner: UInt8

  package init(id: UInt32, gateway: IPAddress, linkIndex: Int32, owner: UInt8) {
    self.id = id
    self.gateway = gateway
    self.linkIndex = linkIndex
    self.owner = owner
  }
}

extension NetlinkRequest {
  /// Makes a next hop. EEXIST where the number is taken; EHOSTUNREACH or EINVAL where the gateway is not on the link.
  package static func addNextHop(_ hop: NextHop) -> NetlinkRequest {
    nextHop("add the next hop", hop, NetlinkFlag.create | NetlinkFlag.exclusive)
  }

  /// Changes the next hop of that number in place; the routes that name it follow.
  package static func replaceNextHop(_ hop: NextHop) -> NetlinkRequest {
    nextHop("replace the next hop", hop, NetlinkFlag.create | NetlinkFlag.replace)
  }

  private static func nextHop(_ operation: String, _ hop: NextHop, _ flags: UInt16) -> NetlinkRequest {
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

  /// Removes a next hop, and with it every route that names it. ENOENT where it is gone.
  package static func removeNextHop(_ hop: NextHop) -> NetlinkRequest {
    var request = NetlinkRequest("remove the next hop", "\(hop.gateway)", type: RouteMessage.deleteNextHop)
    request.append(nhmsg())
    request.put(NextHopAttribute.id, hop.id)
    return request
  }
}

/// The next hops of a namespace.
package struct NextHopTable: Sendable, Equatable {
  /// Those of the owner that was asked for.
  package var owned: [NextHop]
  /// The numbers that anybody uses.
  package var takenIDs: Set<UInt32>

  package init(owned: [NextHop], takenIDs: Set<UInt32>) {
    self.owned = owned
    self.takenIDs = takenIDs
  }
}

extension RouteSocket {
  /// The next hops that `owner` made and the numbers that are taken; `nil` where the kernel has none (before 5.3).
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
