package import Testing

/// What not every kernel has.
package enum KernelFeature: String, Sendable {
  case vxlan

  /// Whether this machine's has it, tried in a namespace that goes with the trial.
  fileprivate var isThere: Bool {
    let script = "ip link add x type \(rawValue) id 1 dstport 8472"
    return (try? run(["unshare", "--net", "/bin/sh", "-ec", script]).status) == 0
  }
}

extension Trait where Self == ConditionTrait {
  /// Skips a test or suite where the kernel lacks something; as another user than root, too.
  package static func requires(_ feature: KernelFeature) -> Self {
    .enabled("needs a kernel with \(feature.rawValue)") { feature.isThere }
  }
}
