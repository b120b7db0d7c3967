internal import Linux

/// Tells the leases of pods that the last reboot ended: nobody will ever release them.
///
/// A lease is such a one if it is older than this boot and its owner isn't known to be alive. The rule holds for the first
/// look at a directory after a boot and no longer, because the clock may be set: then leases of this boot would seem
/// older than it.
struct LeftOverRule {
  /// `nil`: nothing is left over.
  private let boot: Duration?
  private let isAlive: @Sendable (LeaseOwner) -> Bool

  init(_ index: LeaseIndex, isAlive: @escaping @Sendable (LeaseOwner) -> Bool) {
    boot = index.isOfThisBoot ? nil : MonotonicTime.bootSinceEpoch
    self.isAlive = isAlive
  }

  /// Whether there may be any at all.
  var mayApply: Bool { boot != nil }

  func applies(to file: FileIdentity, of owner: @autoclosure () -> LeaseOwner?) -> Bool {
    guard let boot, file.modified < boot, let owner = owner() else { return false }
    return !isAlive(owner)
  }
}
