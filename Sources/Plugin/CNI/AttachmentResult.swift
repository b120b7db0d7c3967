package import Addresses
package import JSON

/// The result of ADD, with the fields of the newest version (SPEC, "Section 5").
package struct AttachmentResult: Sendable, Equatable {
  /// A link that the attachment created or uses.
  package struct Interface: Sendable, Equatable {
    /// The link's name.
    package var name: String
    /// The hardware address; empty if unknown.
    package var mac: String
    /// The MTU in bytes, from version 1.1.0 on.
    package var mtuBytes: Int?
    /// The path of the pod's namespace, as in CNI_NETNS; empty for a link on the node.
    package var sandbox: String

    /// An interface from its fields.
    package init(name: String, mac: String, mtuBytes: Int? = nil, sandbox: String = "") {
      self.name = name
      self.mac = mac
      self.mtuBytes = mtuBytes
      self.sandbox = sandbox
    }
  }

  /// An address of the pod.
  package struct IP: Sendable, Equatable {
    /// The address with the prefix length of its subnet.
    package var address: IPPrefix
    /// The gateway of the subnet.
    package var gateway: IPAddress?
    /// The index of the link that has the address, in `interfaces`.
    package var interface: Int?

    /// An address from its fields.
    package init(address: IPPrefix, gateway: IPAddress? = nil, interface: Int? = nil) {
      self.address = address
      self.gateway = gateway
      self.interface = interface
    }
  }

  /// The links that the attachment created or uses.
  package var interfaces: [Interface]
  /// The pod's addresses.
  package var ips: [IP]
  /// The pod's routes.
  package var routes: [PodRoute]
  /// The pod's DNS settings.
  package var dns: DNS

  /// A result from its fields.
  package init(interfaces: [Interface] = [], ips: [IP] = [], routes: [PodRoute] = [], dns: DNS = DNS()) {
    self.interfaces = interfaces
    self.ips = ips
    self.routes = routes
    self.dns = dns
  }
}

/// A route of the pod, as it is in results and IPAM sections (SPEC, "Section 5").
package struct PodRoute: Sendable, Equatable {
  /// The destination (`dst`).
  package var destination: IPPrefix
  /// The gateway (`gw`).
  package var gateway: IPAddress?
  /// The path MTU in bytes (`mtu`).
  package var mtuBytes: UInt32?
  /// The TCP MSS to announce, in bytes (`advmss`).
  package var advertisedMSSBytes: UInt32?
  /// The metric (`priority`).
  package var priority: UInt32?
  /// The routing table (`table`); `nil` for the main table, because 0 is a table too.
  package var table: UInt32?
  /// The scope (`scope`): 0 global, 253 link, 254 host (RT_SCOPE_* in linux/rtnetlink.h).
  package var scope: UInt8?

  /// A route to a destination with a gateway, without other settings.
  package init(_ destination: IPPrefix, via gateway: IPAddress? = nil) {
    self.destination = destination
    self.gateway = gateway
  }

  /// Reads a route; host bits of the destination are cleared.
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

  /// Whether the route is a default route.
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

/// The DNS settings of a pod (SPEC, "Section 5").
package struct DNS: Sendable, Equatable {
  /// The addresses of name servers, in order of priority.
  package var nameservers: [String] = []
  /// The local domain for short names; empty if there is none.
  package var domain = ""
  /// The search domains, in order of priority.
  package var search: [String] = []
  /// The options of the resolver (resolv.conf(5)).
  package var options: [String] = []

  /// No settings.
  package init() {}

  /// Reads the settings.
  package init(_ fields: JSONFields) throws(JSONError) {
    nameservers = try fields.strings("nameservers") ?? []
    domain = try fields.string("domain") ?? ""
    search = try fields.strings("search") ?? []
    options = try fields.strings("options") ?? []
  }

  /// Whether there are no settings.
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
