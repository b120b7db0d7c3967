package import Addresses
package import JSON

/// What ADD made, in the newest version's terms (SPEC, "Section 5").
package struct AttachmentResult: Sendable, Equatable {
  /// A link that the attachment made or uses.
  package struct Interface: Sendable, Equatable {
    package var name: String
    /// Empty where unknown.
    package var mac: String
    /// From 1.1.0 on.
    package var mtuBytes: Int?
    /// The pod's namespace as the runtime called it; empty for a link on the node.
    package var sandbox: String

    package init(name: String, mac: String, mtuBytes: Int? = nil, sandbox: String = "") {
      self.name = name
      self.mac = mac
      self.mtuBytes = mtuBytes
      self.sandbox = sandbox
    }
  }

  /// An address of the pod.
  package struct IP: Sendable, Equatable {
    package var address: IPPrefix
    package var gateway: IPAddress?
    /// Index into `interfaces`.
    package var interface: Int?

    package init(address: IPPrefix, gateway: IPAddress? = nil, interface: Int? = nil) {
      self.address = address
      self.gateway = gateway
      self.interface = interface
    }
  }

  package var interfaces: [Interface]
  package var ips: [IP]
  package var routes: [PodRoute]
  package var dns: DNS

  package init(interfaces: [Interface] = [], ips: [IP] = [], routes: [PodRoute] = [], dns: DNS = DNS()) {
    self.interfaces = interfaces
    self.ips = ips
    self.routes = routes
    self.dns = dns
  }
}

/// A route of the pod, as results and IPAM sections write it.
package struct PodRoute: Sendable, Equatable {
  package var destination: IPPrefix
  package var gateway: IPAddress?
  package var mtuBytes: UInt32?
  package var advertisedMSSBytes: UInt32?
  package var priority: UInt32?
  /// 0 is a table like any other: `nil` means main.
  package var table: UInt32?
  /// 0 global, 253 link, 254 host.
  package var scope: UInt8?

  package init(_ destination: IPPrefix, via gateway: IPAddress? = nil) {
    self.destination = destination
    self.gateway = gateway
  }

  package init(_ fields: JSONFields) throws(JSONError) {
    guard let destination = try fields.prefix("dst") else { throw .missing(field: fields.path(of: "dst")) }
    self.destination = destination.network
    gateway = try fields.address("gw")
    mtuBytes = try fields.number("mtu", UInt32.self)
    advertisedMSSBytes = try fields.number("advmss", UInt32.self)
    priority = try fields.number("priority", UInt32.self)
    table = try fields.number("table", UInt32.self)
    scope = try fields.number("scope", UInt8.self)
  }

  package var isDefault: Bool { destination.length == 0 }

  func json(extended: Bool) -> JSONValue {
    var object: JSONObject = ["dst": .string(destination.description)]
    if let gateway { object["gw"] = .string(gateway.description) }
    guard extended else { return .object(object) }
    for (name, value) in [("mtu", mtuBytes), ("advmss", advertisedMSSBytes), ("priority", priority)] {
      if let value, value != 0 { object[name] = .integer(Int64(value)) }
    }
    if let table { object["table"] = .integer(Int64(table)) }
    if let scope { object["scope"] = .integer(Int64(scope)) }
    return .object(object)
  }
}

/// How the pod shall resolve names.
package struct DNS: Sendable, Equatable {
  package var nameservers: [String] = []
  package var domain = ""
  package var search: [String] = []
  package var options: [String] = []

  package init() {}

  package init(_ fields: JSONFields) throws(JSONError) {
    nameservers = try fields.strings("nameservers") ?? []
    domain = try fields.string("domain") ?? ""
    search = try fields.strings("search") ?? []
    options = try fields.strings("options") ?? []
  }

  package var isEmpty: Bool { self == DNS() }

  var json: JSONValue {
    var object: JSONObject = [:]
    if !nameservers.isEmpty { object["nameservers"] = .array(nameservers.map { .string($0) }) }
    if !domain.isEmpty { object["domain"] = .string(domain) }
    if !search.isEmpty { object["search"] = .array(search.map { .string($0) }) }
    if !options.isEmpty { object["options"] = .array(options.map { .string($0) }) }
    return .object(object)
  }
}
