internal import NIOSSL

/// A PEM text, in a file or in memory.
package enum PEMSource: Sendable, Equatable {
  /// A file.
  case file(String)
  /// A text, with its name for messages.
  case text(Secret, name: String)

  fileprivate var name: String {
    switch self {
    case .file(let name), .text(_, let name): name
    }
  }
}

/// Certificates and key of a client's TLS connections. The server is always verified.
package struct TLSMaterial: Sendable, Equatable {
  /// Certificate authorities of the server; `nil` for those of the system.
  package var authorities: PEMSource?
  /// Certificate chain of the client.
  package var certificate: PEMSource?
  /// Private key of the client.
  package var key: PEMSource?

  /// Makes the material.
  package init(authorities: PEMSource? = nil, certificate: PEMSource? = nil, key: PEMSource? = nil) {
    self.authorities = authorities
    self.certificate = certificate
    self.key = key
  }

  /// Files that a connection is made with.
  var files: [String] {
    [authorities, certificate, key].compactMap { source in
      if case .file(let path)? = source { path } else { nil }
    }
  }

  func configuration() throws(TLSMaterialError) -> TLSConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    if let authorities { tls.trustRoots = .certificates(try TLSMaterial.certificates(authorities)) }
    if let certificate {
      tls.certificateChain = try TLSMaterial.certificates(certificate).map { .certificate($0) }
    }
    if let key {
      tls.privateKey = .privateKey(
        try TLSMaterial.using(key) { key in
          switch key {
          case .file(let path): try NIOSSLPrivateKey(file: path, format: .pem)
          case .text(let text, _): try NIOSSLPrivateKey(bytes: Array(text.text.utf8), format: .pem)
          }
        })
    }
    return tls
  }

  private static func certificates(_ source: PEMSource) throws(TLSMaterialError) -> [NIOSSLCertificate] {
    try using(source) { source in
      switch source {
      case .file(let path): try NIOSSLCertificate.fromPEMFile(path)
      case .text(let text, _): try NIOSSLCertificate.fromPEMBytes(Array(text.text.utf8))
      }
    }
  }

  private static func using<Value>(
    _ source: PEMSource, _ body: (PEMSource) throws -> Value
  ) throws(TLSMaterialError) -> Value {
    do { return try body(source) } catch { throw TLSMaterialError(name: source.name, reason: "\(error)") }
  }
}

/// An unusable certificate or key.
package struct TLSMaterialError: Error {
  /// Path of the file, or name of the text.
  package let name: String
  /// Reason of the TLS library.
  package let reason: String
}
