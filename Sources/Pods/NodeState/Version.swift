/// The version of Causeway, of both programs.
package enum Version {
  /// Version of this release.
  package static let current = "0.1.0"
}
