internal import Addresses
internal import Nodes

/// Subnets only: how packets get from node to node is somebody else's business, as of a cloud's route table.
struct AllocBackend: Backend {
  let mtuBytes: Int

  init(_ basis: BackendBasis) { mtuBytes = basis.linkMTUBytes }

  var devices: [TunnelDevice] { [] }
  var makesRoutes: Bool { false }

  func path(to node: Node, in subnet: IPPrefix, at address: IPAddress) -> PeerPath { .none(.unrouted) }
}
