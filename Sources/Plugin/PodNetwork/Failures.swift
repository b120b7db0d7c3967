internal import Linux

/// Steps that do not depend on each other: all are done, whichever fails.
struct Failures {
  private var first: (any Error)?

  /// What the step yields, `nil` where it fails; what fails after the first failure is told on standard error.
  @discardableResult
  mutating func attempt<Value>(_ step: () throws -> Value) -> Value? {
    do {
      return try step()
    } catch {
      if first == nil { first = error } else { StandardError.write("\(error)") }
      return nil
    }
  }

  /// Throws the first failure, where there was one.
  func throwFirst() throws {
    if let first { throw first }
  }
}
