package import CNI
internal import JSON

/// The plugin that this execution acts as: one executable replaces several (`hack/install --drop-in`).
package enum PluginType: String, Sendable {
  case causeway
  /// The reference `bridge`, with its defaults; its pods live on no lease.
  case bridge
  /// flannel's plugin: its configuration becomes one of `bridge` on the node's lease.
  case flannel
  /// An IPAM delegate: the reference `host-local`, or our own IPAM on behalf of another plugin.
  case ipam = "host-local"

  /// Chooses the type by the program's name and, for `causeway`, by the configuration, where another plugin names it as
  /// its IPAM.
  package init(programPath: String, _ network: NetworkConfiguration) {
    let name = programPath.split(separator: "/").last.map { String($0) } ?? ""
    let started = PluginType(rawValue: name) ?? .causeway
    let ipam = try? network.fields.fields("ipam")
    let isDelegate = network.type != PluginType.causeway.rawValue && (try? ipam?.string("type")) == "causeway"
    self = started == .causeway && isDelegate ? .ipam : started
  }

  /// Whether pods of this configuration may live on the node's lease. Pods of the reference plugins do so only if their
  /// configuration names causeway's IPAM.
  func knowsLease(_ fields: JSONFields) -> Bool {
    if self == .causeway || self == .flannel { return true }
    let ipam = try? fields.fields("ipam")
    return (try? ipam?.string("type")) == PluginType.causeway.rawValue
  }

  /// Keys of an attachment's configuration; flannel keeps most of them in `delegate`.
  ///
  /// - Throws: `CNIError` where `delegate` holds what flannel sets itself.
  func fields(of network: NetworkConfiguration) throws(PodNetworkError) -> JSONFields {
    guard self == .flannel else { return network.fields }
    let outer = network.fields
    var merged = try fromJSON(outer.fields("delegate"))?.object ?? [:]
    for key in ["name", "ipam"] where merged[key] != nil {
      throw PodNetworkError(
        .invalidConfiguration, "'delegate' dictionary must not have '\(key)' field, it'll be set by flannel",
        details: key == "ipam" ? "put ipam beside delegate" : "remove it")
    }
    if let type = merged["type"], type != "bridge" {
      throw PodNetworkError(
        .unsupportedField, "delegate.type = \(type.excerpt) is not supported", details: "only \"bridge\" is")
    }
    for key in ["ipam", "capabilities", "runtimeConfig", "args", "subnetFile", "hostgw", "dns"] {
      if let value = outer.object[key] { merged[key] = value }
    }
    if let ipam = try fromJSON(outer.fields("ipam")) {
      // flannel puts the lease's ranges in their place.
      merged["ipam"] = .object(
        JSONObject(ipam.object.members.filter { !["ranges", "subnet"].contains($0.name.lowercased()) }))
    }
    return JSONFields(merged)
  }
}
