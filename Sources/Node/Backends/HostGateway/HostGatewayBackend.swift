package import Addresses
package import JSON
internal import Netlink
internal import Nodes

/// Configuration of the backend `host-gw`, which has no settings.
package struct HostGateway: BackendType {
  package static let name = "host-gw"

  package init() {}
  package init(_ fields: JSONFields, families: [IPFamily]) { self.init() }

  package var hasIndependentRoutes: Bool { true }
  package func backend(_ basis: BackendBasis) -> any Backend { HostGatewayBackend(basis) }
}

/// Plain routes: each node is the gateway to its own pods, for its neighbours on the same layer-2 network.
struct HostGatewayBackend: Backend {
  private let adjacency: Adjacency
  let mtuBytes: Int

  init(_ basis: BackendBasis) {
    adjacency = basis.adjacency
    mtuBytes = basis.linkMTUBytes
  }

  func path(to node: Node, in subnet: IPPrefix, at address: IPAddress) -> PeerPath {
    switch adjacency.link(to: address) {
    case .success(let link): return .neighbour(link: link.name, index: link.index)
    case .failure(let offLink):
      let remedy =
        "; host-gw reaches only nodes of the same layer-2 network, the backend vxlan with DirectRouting reaches all"
      return .none(.offLink(offLink.reason + (offLink.kind == .elsewhere ? remedy : "")))
    }
  }
}
