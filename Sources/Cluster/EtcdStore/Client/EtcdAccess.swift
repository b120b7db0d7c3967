package import StoreTransport

/// How etcd is reached and where in it the cluster lies.
package struct EtcdAccess: Sendable {
  /// `http://192.0.2.1:2379`, at least one.
  package var endpoints: [String]
  /// Above `config` and `subnets/`; begins with a slash and does not end with one.
  package var prefix: String
  /// Files in PEM.
  package var caFile: String?
  package var certificateFile: String?
  package var keyFile: String?
  package var username: String?
  package var password: Secret?

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

  /// The parts of a comma list, without slashes at their ends; `nil` where one of them is no `http://host:port`.
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

/// The keys of flannel's layout.
struct EtcdLayout: Sendable {
  let prefix: String

  var config: String { "\(prefix)/config" }
  var subnets: String { "\(prefix)/subnets/" }
  /// Everything of the cluster: the prefix with its slash up to what comes behind it.
  var all: EtcdRange { EtcdRange(prefix: "\(prefix)/") }

  func key(_ name: String) -> String { subnets + name }

  /// The name of a key under `subnets/`; `nil` for others.
  func name(_ key: String) -> String? {
    key.hasPrefix(subnets) ? String(key.dropFirst(subnets.count)) : nil
  }
}

/// A range of keys, the end not included.
struct EtcdRange: Sendable, Equatable {
  let start: [UInt8]
  let end: [UInt8]

  /// All keys that begin with this text, whose last byte is not 0xFF.
  init(prefix: String) {
    start = Array(prefix.utf8)
    var end = start
    if let last = end.popLast() { end.append(last + 1) }
    self.end = end
  }

  /// One key.
  init(single key: String) {
    start = Array(key.utf8)
    end = start + [0]
  }

  init(start: [UInt8], end: [UInt8]) {
    self.start = start
    self.end = end
  }
}
