internal import Linux

/// Tells the leases of pods that the last reboot ended: nobody will ever release them.
///
/// A lease is such a one if it is older than this boot and its owner isn't known to be alive. Because the clock may be
/// set, leases of this boot can seem older than it; so the rule holds for the first look at a directory after a boot and
/// no longer, and only where an earlier boot has looked: what another plugin leased before the node was switched to us
/// waits for the next reboot.
struct LeftOverRule {
  /// `nil`: nothing is left over.
  private let boot: Duration?
  private let isAlive: @Sendable (LeaseOwner) -> Bool

  init(_ files: LeaseFiles, isAlive: @escaping @Sendable (LeaseOwner) -> Bool) {
    boot = files.awaitsFirstLookOfBoot ? MonotonicTime.bootSinceEpoch : nil
    self.isAlive = isAlive
  }

  /// Whether there may be any at all.
  var mayApply: Bool { boot != nil }

  func applies(to file: FileIdentity, of owner: @autoclosure () -> LeaseOwner?) -> Bool {
    guard let boot, file.modified < boot, let owner = owner() else { return false }
    return !isAlive(owner)
  }
}
