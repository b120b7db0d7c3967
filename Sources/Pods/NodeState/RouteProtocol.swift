/// The protocol numbers of routes and next hops that Causeway installs (`rtm_protocol`, `nh_protocol`).
///
/// The file `conf/causeway-protocols.conf` gives them names for iproute2.
package enum RouteProtocol {
  /// The protocol of the helper's routes and next hops: "causeway".
  package static let helper: UInt8 = 202
  /// The protocol of the plugin's routes to single pods: "causeway-pod".
  package static let plugin: UInt8 = 203
}
