package import Testing

internal import Foundation

/// Why a test that needs root cannot run.
package struct RootRequired: Error, CustomStringConvertible {
  package var description: String {
    "CAUSEWAY_REQUIRE_ROOT=1 asks for the tests that need root, but this is user \(getuid()): run hack/test as root"
  }
}

extension RootRequired {
  /// hack/test, run by root, asks for every test: what cannot run then is a failure.
  static var isAskedFor: Bool { ProcessInfo.processInfo.environment["CAUSEWAY_REQUIRE_ROOT"] == "1" }
}

/// Tests that take minutes and gigabytes.
enum ScaleTests {
  static var areAskedFor: Bool { ProcessInfo.processInfo.environment["CAUSEWAY_SCALE_TESTS"] == "1" }
}

extension Trait where Self == ConditionTrait {
  /// Skips a test or suite unless CAUSEWAY_SCALE_TESTS is 1.
  package static var requiresTimeAndMemory: Self {
    .enabled("takes minutes and gigabytes: CAUSEWAY_SCALE_TESTS=1 asks for it") { ScaleTests.areAskedFor }
  }

  /// Skips a test or suite without root; where CAUSEWAY_REQUIRE_ROOT is 1, as hack/test sets it, that is a failure.
  package static var requiresRoot: Self {
    .enabled("needs root, for network namespaces") {
      if getuid() == 0 { return true }
      if RootRequired.isAskedFor { throw RootRequired() }
      return false
    }
  }
}
