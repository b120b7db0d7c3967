/// Turn of a part: a part waits until all parts of earlier stages have ended a pass.
///
/// Readiness reports the first finding in this order that keeps pods from being served. Stages without a part keep the
/// order for parts to come.
package enum Stage: Int, Comparable, Sendable, CaseIterable {
  case rules
  case policy
  case devices
  case routes
  case health
  case cloud
  case lease
  case bgp
  case conflist
  /// Pods are served without these parts.
  case extras

  package static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
}
