package import Testing

internal import Foundation

/// The reason why a test that needs root cannot run.
package struct RootRequired: Error, CustomStringConvertible {
  package var description: String {
    "CAUSEWAY_REQUIRE_ROOT=1 asks for the tests that need root, but this is user \(getuid()): run hack/test as root"
  }
}

extension RootRequired {
  /// Whether every test must run, as in hack/test as root: then a test that cannot run fails.
  static var isAskedFor: Bool { ProcessInfo.processInfo.environment["CAUSEWAY_REQUIRE_ROOT"] == "1" }
}

/// Whether tests that need minutes and gigabytes are switched on.
enum ScaleTests {
  static var areAskedFor: Bool { ProcessInfo.processInfo.environment["CAUSEWAY_SCALE_TESTS"] == "1" }
}

extension Trait where Self == ConditionTrait {
  /// Skips a test or suite unless CAUSEWAY_SCALE_TESTS is 1.
  package static var requiresTimeAndMemory: Self {
    .enabled("takes minutes and gigabytes: CAUSEWAY_SCALE_TESTS=1 asks for it") { ScaleTests.areAskedFor }
  }

  /// Skips a test or suite without root; if CAUSEWAY_REQUIRE_ROOT is 1, as hack/test sets it, it fails instead.
  package static var requiresRoot: Self {
    .enabled("needs root, for network namespaces") {
      if getuid() == 0 { return true }
      if RootRequired.isAskedFor { throw RootRequired() }
      return false
    }
  }
}
