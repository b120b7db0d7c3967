internal import Addresses
internal import Netlink
internal import Nodes

/// Plain routes: each node is the gateway to its own pods, for its neighbours on the same layer-2 network.
struct HostGatewayBackend: Backend {
  private let adjacency: Adjacency
  let mtuBytes: Int

  init(_ basis: BackendBasis) {
    adjacency = basis.adjacency
    mtuBytes = basis.linkMTUBytes
  }

  var devices: [TunnelDevice] { [] }
  var makesRoutes: Bool { true }

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
