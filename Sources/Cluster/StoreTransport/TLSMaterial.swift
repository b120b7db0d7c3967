internal import NIOSSL

/// A text in PEM, in a file or at hand.
package enum PEMSource: Sendable, Equatable {
  case file(String)
  /// The name is for people.
  case text(Secret, name: String)

  fileprivate var name: String {
    switch self {
    case .file(let name), .text(_, let name): name
    }
  }
}

/// What a client's TLS connections are made with; other ends are always verified.
package struct TLSMaterial: Sendable, Equatable {
  /// Who may vouch for the other end; `nil` for whom the system trusts.
  package var authorities: PEMSource?
  package var certificate: PEMSource?
  package var key: PEMSource?

  package init(authorities: PEMSource? = nil, certificate: PEMSource? = nil, key: PEMSource? = nil) {
    self.authorities = authorities
    self.certificate = certificate
    self.key = key
  }

  /// All files that a connection is made with.
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

/// A certificate or key that can't be used: which, and why.
package struct TLSMaterialError: Error {
  package let name: String
  package let reason: String
}
