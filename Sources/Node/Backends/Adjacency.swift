internal import Addresses
internal import Netlink
package import Nodes
package import OwnNode

/// Which of our links another node is a neighbour on, judged from our own addresses and links, and where an address
/// tells of no network, from the routes without gateway beside it: the kernel would also take a gateway that it reaches
/// through a router or a point-to-point link, and packets would vanish there.
package struct Adjacency: Sendable {
  private let own: Set<IPAddress>
  private let clusterNetworks: [IPPrefix]
  /// The networks that we are in, the best first.
  private let candidates: [(network: IPPrefix, link: Link)]
  /// Whether a link without carrier can't be used.
  private let needsCarrier: Bool
  /// Routes of others that lead to a part of one of these networks.
  private let detours: [Route]
  /// For each family what a reason says was looked at.
  private let lookedAt: [IPFamily: String]

  /// - Parameter preferred: the links that hold our public addresses.
  init(_ state: NetworkState, clusterNetworks: [IPPrefix], preferred: [Int32]) {
    own = Set(state.addresses.map(\.prefix.address))
    self.clusterNetworks = clusterNetworks
    needsCarrier = state.nextHops != nil
    detours = state.detours
    let links = Dictionary(state.links.map { ($0.index, $0) }) { first, _ in first }
    let networks =
      state.addresses.filter(\.isUsable).map { (network: $0.prefix, linkIndex: $0.linkIndex) } + state.onLinkNetworks
    let usable = networks.compactMap { network, linkIndex -> (network: IPPrefix, link: Link)? in
      let isPods = clusterNetworks.contains { $0.contains(network.address) }
      guard !isPods, let link = links[linkIndex], !link.isLoopback else { return nil }
      return (network, link)
    }
    candidates = usable.sorted { left, right in
      let ranks = [left, right].map {
        (preferred.contains($0.link.index) ? 0 : 1, -$0.network.length, $0.link.index)
      }
      return ranks[0] < ranks[1]
    }
    lookedAt = Dictionary(
      uniqueKeysWithValues: IPFamily.allCases.map { family in
        let own = usable.filter { $0.network.family == family && !$0.network.address.isLinkLocal }
        let texts = own.prefix(4).map { "\($0.network) on \($0.link.name)" } + (own.count > 4 ? ["…"] : [])
        return (family, texts.isEmpty ? "this node has no \(family) address" : texts.joined(separator: ", "))
      })
  }

  /// Of this node in its cluster.
  package init(_ snapshot: NodeSnapshot, _ own: LocalNode, _ state: NetworkState) {
    self.init(state, clusterNetworks: snapshot.netConf.networks, preferred: own.links.map(\.index))
  }

  /// The link to send to `gateway` on, or why there is none.
  func link(to gateway: IPAddress) -> Result<Link, OffLink> {
    if own.contains(gateway) { return .failure(OffLink(.impossible, "\(gateway) is this node's own address")) }
    if let network = clusterNetworks.first(where: { $0.contains(gateway) }) {
      return .failure(OffLink(.impossible, "\(gateway) lies inside the cluster's own network \(network)"))
    }
    var obstacle: String?
    var away: String?
    for (network, link) in candidates where network.contains(gateway) {
      if !link.isUp {
        obstacle = obstacle ?? "\(link.name), the link to \(network.network), is down"
      } else if needsCarrier && !link.hasCarrier {
        obstacle = obstacle ?? "\(link.name), the link to \(network.network), has no carrier"
      } else if !link.resolvesNeighbours {
        obstacle = obstacle ?? "\(link.name), the link to \(network.network), resolves no neighbours"
      } else if let detour = detours.first(where: { $0.leadsAway(gateway, from: network, link) }) {
        away = away ?? "a route to \(detour.destination) leads away from \(link.name), which has \(network.network)"
      } else {
        return .success(link)
      }
    }
    if let away { return .failure(OffLink(.elsewhere, away)) }
    if let obstacle { return .failure(OffLink(.linkTrouble, obstacle)) }
    return .failure(
      OffLink(.elsewhere, "no network of this node holds \(gateway) (\(lookedAt[gateway.family] ?? ""))"))
  }
}

/// Why a node is no neighbour.
struct OffLink: Error {
  enum Kind {
    /// No node but this one, or none at all, can have the address.
    case impossible
    /// It would be one if its link were as it should.
    case linkTrouble
    /// It is reached through a router, if at all.
    case elsewhere
  }

  let kind: Kind
  let reason: String

  init(_ kind: Kind, _ reason: String) {
    self.kind = kind
    self.reason = reason
  }
}

extension Route {
  /// Whether packets to an address of a link's network go another way by this route.
  fileprivate func leadsAway(_ address: IPAddress, from network: IPPrefix, _ link: Link) -> Bool {
    destination.length > network.length && destination.contains(address)
      && (gateway != nil || linkIndex != link.index)
  }
}
