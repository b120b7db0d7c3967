package import StoreTransport

/// Endpoints of etcd, the prefix of the cluster's keys, and credentials.
package struct EtcdAccess: Sendable {
  /// URLs such as `http://192.0.2.1:2379`; at least one.
  package var endpoints: [String]
  /// Prefix of the keys `config` and `subnets/`. It begins with a slash and does not end with one.
  package var prefix: String
  /// PEM file with the certificate authorities of the endpoints; `nil` for those of the system.
  package var caFile: String?
  /// PEM file with the client's certificate.
  package var certificateFile: String?
  /// PEM file with the client's key.
  package var keyFile: String?
  /// User name for etcd's authentication; `nil` for none.
  package var username: String?
  /// Password of the user.
  package var password: Secret?

  /// Makes an access.
  package init(
    endpoints: [String], prefix: String, caFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil,
    username: String? = nil, password: Secret? = nil
  ) {
    self.endpoints = endpoints
    self.prefix = prefix
    self.caFile = caFile
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    self.username = username
    self.password = password
  }

  /// Parses a comma-separated list of URLs and removes slashes at their ends; `nil` if an entry is not
  /// `http://host:port` or `https://host:port`.
  package static func endpoints(_ text: String) -> [String]? {
    let endpoints = text.split(separator: ",").map { part in
      var part = part.drop { $0 == " " }
      while let last = part.last, last == " " || last == "/" { part.removeLast() }
      return String(part)
    }
    let areGood = endpoints.allSatisfy { endpoint in
      guard let scheme = ["http://", "https://"].first(where: endpoint.hasPrefix) else { return false }
      let rest = endpoint.utf8.dropFirst(scheme.utf8.count)
      return !rest.isEmpty && !rest.contains(UInt8(ascii: "/")) && !rest.contains(UInt8(ascii: "@"))
        && rest.allSatisfy { (0x21...0x7E).contains($0) }
    }
    return areGood && !endpoints.isEmpty ? endpoints : nil
  }

  var tls: TLSMaterial {
    TLSMaterial(
      authorities: caFile.map { .file($0) }, certificate: certificateFile.map { .file($0) },
      key: keyFile.map { .file($0) })
  }
}

/// Keys of flannel's layout (pkg/subnet/etcd/registry.go).
struct EtcdLayout: Sendable {
  let prefix: String

  var config: String { "\(prefix)/config" }
  var subnets: String { "\(prefix)/subnets/" }
  /// Range of all keys of the cluster.
  var all: EtcdRange { EtcdRange(prefix: "\(prefix)/") }

  /// Key of a record.
  func key(_ name: String) -> String { subnets + name }

  /// Name of the record that a key belongs to; `nil` for a key outside `subnets/`.
  func name(_ key: String) -> String? {
    key.hasPrefix(subnets) ? String(key.dropFirst(subnets.count)) : nil
  }
}

/// A half-open range of keys.
struct EtcdRange: Sendable, Equatable {
  let start: [UInt8]
  let end: [UInt8]

  /// All keys with a prefix, whose last byte must not be 0xFF.
  init(prefix: String) {
    start = Array(prefix.utf8)
    var end = start
    if let last = end.popLast() { end.append(last + 1) }
    self.end = end
  }

  /// A single key.
  init(single key: String) {
    start = Array(key.utf8)
    end = start + [0]
  }

  init(start: [UInt8], end: [UInt8]) {
    self.start = start
    self.end = end
  }
}
