internal import Addresses
internal import Netlink
package import Nodes
package import OwnNode

/// Finds the link on which another node is a neighbour, by our own addresses and links, and by routes without gateway
/// if an address has no network. The kernel would also accept a gateway behind a router or a point-to-point link, where
/// packets would be lost.
package struct Adjacency: Sendable {
  private let own: Set<IPAddress>
  private let clusterNetworks: [IPPrefix]
  /// Networks of this node, the best first.
  private let candidates: [(network: IPPrefix, link: Link)]
  /// Whether a link without carrier cannot be used.
  private let needsCarrier: Bool
  /// Routes of others to a part of one of these networks.
  private let detours: [Route]
  /// Networks of each family, for messages.
  private let lookedAt: [IPFamily: String]

  /// - Parameter preferred: links that hold our public addresses.
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

  /// Takes the networks of this node in its cluster.
  package init(_ snapshot: NodeSnapshot, _ own: LocalNode, _ state: NetworkState) {
    self.init(state, clusterNetworks: snapshot.netConf.networks, preferred: own.links.map(\.index))
  }

  /// Returns the link to `gateway`, or why there is none.
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

/// Reason why a node is no neighbour.
struct OffLink: Error {
  enum Kind {
    /// No other node can have the address.
    case impossible
    /// The link to it is down or unusable.
    case linkTrouble
    /// The address is reached through a router, if at all.
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
  /// Whether this route sends packets to an address of a link's network by another path.
  fileprivate func leadsAway(_ address: IPAddress, from network: IPPrefix, _ link: Link) -> Bool {
    destination.length > network.length && destination.contains(address)
      && (gateway != nil || linkIndex != link.index)
  }
}
