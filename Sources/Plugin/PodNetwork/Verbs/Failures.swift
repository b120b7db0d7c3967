internal import Linux

/// Failures of steps that do not depend on each other: all steps are done, whichever fails.
struct Failures {
  private var first: (any Error)?

  /// Takes a step. A failure after the first is reported on standard error.
  ///
  /// - Returns: the step's value, or `nil` where it failed.
  @discardableResult
  mutating func attempt<Value>(_ step: () throws -> Value) -> Value? {
    do {
      return try step()
    } catch {
      if first == nil { first = error } else { StandardError.write("\(error)") }
      return nil
    }
  }

  /// Throws the first failure, if there was one.
  func throwFirst() throws {
    if let first { throw first }
  }
}
