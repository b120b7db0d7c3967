package import Addresses
package import JSON
package import Nodes

/// Configuration of the backend `alloc`, which has no settings.
package struct Alloc: BackendType {
  package static let name = "alloc"

  package init() {}
  package init(_ fields: JSONFields, families: [IPFamily]) { self.init() }

  package var routesAreMadeBy: RouteOwner { .others }
  package func backend(_ basis: BackendBasis) -> any Backend { AllocBackend(basis) }
}

/// Subnets only: packets between nodes are forwarded by others, such as a cloud's route table.
struct AllocBackend: Backend {
  let mtuBytes: Int

  init(_ basis: BackendBasis) { mtuBytes = basis.linkMTUBytes }

  func path(to node: Node, in subnet: IPPrefix, at address: IPAddress) -> PeerPath { .none(.unrouted) }
}
