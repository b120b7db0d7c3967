internal import Foundation

/// The release programs, which the end-to-end tests run.
package enum Binaries {
  /// The CNI plugin.
  package static var causeway: String { path(of: "causeway") }
  /// The helper.
  package static var hostgw: String { path(of: "causeway-hostgw") }

  /// The directory of the release build, which hack/test sets in CAUSEWAY_BIN_DIR.
  package static var directory: String {
    ProcessInfo.processInfo.environment["CAUSEWAY_BIN_DIR"] ?? "\(packageRoot)/.build/release"
  }

  /// The repository, for tests that use files of `conf`.
  package static var packageRoot: String {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
  }

  private static func path(of name: String) -> String { "\(directory)/\(name)" }
}
