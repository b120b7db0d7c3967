/// The kernel's protocol numbers (`rtm_protocol`, `nh_protocol`) of what Causeway installs. The file
/// `conf/causeway-protocols.conf` gives them names for iproute2.
package enum RouteProtocol {
  /// Routes and next hops of the helper: "causeway".
  package static let helper: UInt8 = 202
  /// Routes of the plugin to single pods: "causeway-pod".
  package static let plugin: UInt8 = 203
}
