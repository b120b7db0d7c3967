internal import Addresses
package import JSON

extension AttachmentResult {
  /// The result in the format of a version.
  ///
  /// - Throws: code 1 if the version is older than 0.3.0 and there is no address. Those versions contain one address of
  ///   each family and cannot describe a result without one.
  package func json(_ version: SpecVersion) throws(CNIError) -> JSONValue {
    if version < SpecVersion(0, 3, 0) { return try oldJSON(version) }
    var object: JSONObject = ["cniVersion": .string(version.description)]
    if !interfaces.isEmpty {
      object["interfaces"] = .array(interfaces.map { $0.json(withMTU: AttachmentResult.includesMTU(version)) })
    }
    if !ips.isEmpty {
      object["ips"] = .array(ips.map { $0.json(withVersion: version < SpecVersion(1, 0, 0)) })
    }
    if !routes.isEmpty { object["routes"] = .array(routes.map { $0.json(extended: true) }) }
    if version < SpecVersion(1, 0, 0) || !dns.isEmpty { object["dns"] = dns.json }
    return .object(object)
  }

  /// Whether results of the version include the MTU of interfaces.
  package static func includesMTU(_ version: SpecVersion) -> Bool { version >= SpecVersion(1, 1, 0) }

  private func oldJSON(_ version: SpecVersion) throws(CNIError) -> JSONValue {
    var object: JSONObject = ["cniVersion": .string(version.description)]
    for (family, key) in [(IPFamily.v4, "ip4"), (.v6, "ip6")] {
      guard let ip = ips.first(where: { $0.address.family == family }) else { continue }
      var part: JSONObject = ["ip": .string(ip.address.description)]
      if let gateway = ip.gateway { part["gateway"] = .string(gateway.description) }
      let routes = routes.filter { $0.destination.family == family }
      if !routes.isEmpty { part["routes"] = .array(routes.map { $0.json(extended: false) }) }
      object[key] = .object(part)
    }
    guard object["ip4"] != nil || object["ip6"] != nil else {
      throw CNIError(
        .incompatibleVersion, "cannot convert: no valid IP addresses",
        details: "cniVersion \(version) cannot describe an attachment without an address; use 0.3.0 or later")
    }
    object["dns"] = dns.json
    return .object(object)
  }

  /// Reads a result in the format of `version`, or of its own `cniVersion` if it has one.
  package init(_ fields: JSONFields, version: SpecVersion) throws(JSONError) {
    self.init()
    // A result may have another version than the configuration; older libraries omit it.
    let own = try fields.text("cniVersion").flatMap { SpecVersion($0) } ?? version
    dns = try fields.fields("dns").map { fields throws(JSONError) in try DNS(fields) } ?? DNS()
    if own < SpecVersion(0, 3, 0) {
      for key in ["ip4", "ip6"] {
        guard let part = try fields.fields(key), let address = try part.prefix("ip") else { continue }
        ips.append(IP(address: address, gateway: try part.address("gateway")))
        for route in try part.list("routes") ?? [] { routes.append(try PodRoute(route)) }
      }
      return
    }
    for interface in try fields.list("interfaces") ?? [] {
      interfaces.append(
        Interface(
          name: try interface.string("name") ?? "", mac: try interface.string("mac") ?? "",
          mtuBytes: try interface.number("mtu", Int.self), sandbox: try interface.string("sandbox") ?? ""))
    }
    for ip in try fields.list("ips") ?? [] {
      guard let address = try ip.prefix("address") else { throw .missing(field: ip.path(of: "address")) }
      ips.append(
        IP(
          address: address, gateway: try ip.address("gateway"),
          interface: try ip.number("interface", Int.self)))
    }
    for route in try fields.list("routes") ?? [] { routes.append(try PodRoute(route)) }
  }
}

extension AttachmentResult.Interface {
  fileprivate func json(withMTU: Bool) -> JSONValue {
    var object: JSONObject = ["name": .string(name)]
    if !mac.isEmpty { object["mac"] = .string(mac) }
    if withMTU, let mtuBytes { object["mtu"] = .integer(Int64(mtuBytes)) }
    if !sandbox.isEmpty { object["sandbox"] = .string(sandbox) }
    return .object(object)
  }
}

extension AttachmentResult.IP {
  fileprivate func json(withVersion: Bool) -> JSONValue {
    var object: JSONObject = [:]
    if withVersion { object["version"] = address.family == .v4 ? "4" : "6" }
    if let interface { object["interface"] = .integer(Int64(interface)) }
    object["address"] = .string(address.description)
    if let gateway { object["gateway"] = .string(gateway.description) }
    return .object(object)
  }
}
