package import Testing

/// A feature that not every kernel has.
package enum KernelFeature: String, Sendable {
  case vxlan

  /// Whether this machine's kernel has the feature, tried in a temporary namespace.
  fileprivate var isThere: Bool {
    let script = "ip link add x type \(rawValue) id 1 dstport 8472"
    return (try? run(["unshare", "--net", "/bin/sh", "-ec", script]).status) == 0
  }
}

extension Trait where Self == ConditionTrait {
  /// Skips a test or suite if the kernel lacks a feature, or if the user is not root.
  package static func requires(_ feature: KernelFeature) -> Self {
    .enabled("needs a kernel with \(feature.rawValue)") { feature.isThere }
  }
}
