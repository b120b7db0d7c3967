internal import Linux

/// The rule for leases of pods that the last reboot ended, which no runtime will release.
///
/// A lease is left over if it is older than this boot and its owner is not known to be alive. If the clock was set,
/// leases of this boot can seem older than the boot. So the rule applies only to the first use of a directory after a
/// boot. It also needs a use in an earlier boot: leases that another plugin made before Causeway was installed wait for
/// the next reboot.
struct LeftOverRule {
  /// The time of this boot since the epoch; `nil` if the rule does not apply.
  private let boot: Duration?
  private let isAlive: @Sendable (LeaseOwner) -> Bool

  init(_ files: LeaseFiles, isAlive: @escaping @Sendable (LeaseOwner) -> Bool) {
    boot = files.isFirstUseOfBoot ? MonotonicTime.bootSinceEpoch : nil
    self.isAlive = isAlive
  }

  /// Whether any lease can be left over.
  var mayApply: Bool { boot != nil }

  /// Whether the lease in this file is left over.
  func applies(to file: FileIdentity, of owner: @autoclosure () -> LeaseOwner?) -> Bool {
    guard let boot, file.modified < boot, let owner = owner() else { return false }
    return !isAlive(owner)
  }
}
