internal import Linux

/// Failures of steps that do not depend on each other: all steps are done, whichever fails.
struct Failures {
  private var first: PodNetworkError?

  /// Takes a step. A failure after the first is reported on standard error.
  ///
  /// - Returns: the step's value, or `nil` where it failed.
  @discardableResult
  mutating func attempt<Value>(_ step: @autoclosure () throws(PodNetworkError) -> Value) -> Value? {
    do throws(PodNetworkError) {
      return try step()
    } catch {
      if first == nil { first = error } else { StandardError.write("\(error)") }
      return nil
    }
  }

  /// Throws the first failure, if there was one.
  func throwFirst() throws(PodNetworkError) {
    if let first { throw first }
  }
}
