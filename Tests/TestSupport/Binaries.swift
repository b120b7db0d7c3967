internal import Foundation

/// The release programs, which the end-to-end tests run.
package enum Binaries {
  /// The CNI plugin.
  package static var causeway: String { path(of: "causeway") }
  /// The helper.
  package static var hostgw: String { path(of: "causeway-hostgw") }

  /// The directory where `swift build -c release` puts the programs.
  package static var directory: String { "\(packageRoot)/.build/release" }

  /// The repository. hack/test names it in CAUSEWAY_ROOT, by a path that no mount of a test hides.
  package static var packageRoot: String {
    ProcessInfo.processInfo.environment["CAUSEWAY_ROOT"]
      ?? URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .path
  }

  private static func path(of name: String) -> String { "\(directory)/\(name)" }
}
