internal import Foundation

/// The programs as they are shipped: tests from end to end run these and no others.
package enum Binaries {
  /// The CNI plugin.
  package static var causeway: String { path(of: "causeway") }
  /// The helper.
  package static var hostgw: String { path(of: "causeway-hostgw") }

  /// Where `swift build -c release` puts them; hack/test says so in CAUSEWAY_BIN_DIR.
  package static var directory: String {
    ProcessInfo.processInfo.environment["CAUSEWAY_BIN_DIR"] ?? "\(packageRoot)/.build/release"
  }

  /// The repository, for tests that use what lies in `conf`.
  package static var packageRoot: String {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
  }

  private static func path(of name: String) -> String { "\(directory)/\(name)" }
}
