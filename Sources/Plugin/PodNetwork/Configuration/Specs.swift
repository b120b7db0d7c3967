internal import Addresses
internal import Attachments
internal import NodeState

/// Connection of a pod to the node: the configuration's `mode`.
enum AttachmentMode: String, Sendable {
  /// The host's end of the veth pair is a port of a bridge.
  case bridge
  /// The node has a route to each pod, and there is no bridge.
  case routed
}

/// The bridge that pods are connected to.
struct BridgeSpec: Sendable {
  let name: String
  let isPromiscuous: Bool
}

/// A pod's port of the bridge.
struct PortSpec: Sendable {
  /// Whether the pod may reach itself through the bridge (`hairpinMode`).
  let hairpin: Bool
  let isIsolated: Bool
  /// VLANs of the port; `nil` leaves it in the bridge's default VLAN.
  let vlans: VLANs?
}

/// The gateways of a bridge's pods.
struct GatewaySpec: Sendable {
  /// Whether the bridge carries the gateways' addresses and the node forwards (`isGateway`).
  let isEnabled: Bool
  /// Whether a different address on the bridge is removed instead of failing ADD (`forceAddress`).
  let forcesAddress: Bool
  let link: GatewayLinkSpec
}

/// The link that carries gateways' addresses, and what is needed to see whether pods still use them.
struct GatewayLinkSpec: Sendable {
  /// The bridge, or the node's own port in a VLAN.
  let name: String
  /// Where pods of the link hold addresses beside those that records name.
  let dataDirectory: String
}

/// Everything about a pod on a bridge.
struct BridgedSpec: Sendable {
  let bridge: BridgeSpec
  let port: PortSpec
  let gateways: GatewaySpec
}

/// Everything about a pod without a bridge.
struct RoutedSpec: Sendable {
  /// The bridge whose pods must find the routed ones, where it is there.
  let bridgeName: String
}

/// The pod's interface.
struct InterfaceSpec: Sendable {
  /// `nil` for the lease's, or without a lease the kernel's.
  let mtuBytes: Int?
  /// MAC that the runtime asks for.
  let requestedMAC: MACAddress?
  /// Whether IPv6 addresses are used only after duplicate address detection (`enabledad`).
  let detectsDuplicates: Bool
  /// Whether the interface stays down, without address (`disableContainerInterface`).
  let isLeftDown: Bool
}

/// Routes of the pod besides those that IPAM gives.
struct RouteSpec: Sendable {
  /// Whether the pod gets a default route of each family (`isDefaultGateway`).
  let hasDefault: Bool
  /// Whether the pod gets a route to each of the cluster's networks, as flannel's plugin gives them.
  let reachesCluster: Bool
}

/// Rules of the pod on the node.
struct RuleSpec: Sendable {
  /// `nil`: as the lease says, and not without a lease (`ipMasq`).
  let masquerades: Bool?
  /// Whether the pod may send from its own MAC only (`macspoofchk`).
  let checksMAC: Bool
}

/// The pod's use of the fast path.
struct FastPathSpec: Sendable {
  /// Whether the runtime asks for a bandwidth limit on this pod (`runtimeConfig.bandwidth`).
  let isLimited: Bool
  /// Whether the configuration declares the capability `bandwidth`, so that the runtime passes limits to this plugin too.
  let announcesLimits: Bool
}
