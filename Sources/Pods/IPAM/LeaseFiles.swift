internal import Addresses
internal import Linux

/// An address that a network holds, as its file tells.
struct HeldLease: Hashable, Sendable {
  let address: IPAddress
  /// The address as the file spells it.
  let name: String
  /// `nil` where the file cannot be read or names nobody: the address is held all the same.
  let owner: LeaseOwner?
}

/// A network's directory in host-local's layout: for each lease a file that has the address as its name and the owner
/// as its content, and for each range set the address that was given last.
///
/// host-local works on the same directory, takes every file below it for a lease, and removes those that name the owner.
struct LeaseFiles: Sendable {
  let path: String
  /// Where a lease is written on file systems without nameless files: beside the directory, because whatever lies in it
  /// is a lease to host-local, and hidden, because a network's name never begins with a dot.
  private let scratch: String

  init(dataDirectory: String, network: String) {
    path = "\(dataDirectory)/\(network)"
    scratch = "\(dataDirectory)/.\(network).new"
  }

  /// Held while anything in the directory is read or changed, by host-local too.
  var lockPath: String { "\(path)/lock" }

  /// Which boot's first look is over: the lock's own content, since it outlives the reboot, and host-local never reads it.
  private static let bootIDLimitBytes = 64

  /// Whether the last look at the directory was in an earlier boot; false also where nobody has looked yet.
  var awaitsFirstLookOfBoot: Bool {
    guard let last = try? Files.read(lockPath, limit: LeaseFiles.bootIDLimitBytes), !last.isEmpty,
      let boot = LeaseFiles.bootID
    else { return false }
    return last != Array(boot.utf8)
  }

  /// Whether anybody but host-local, which keeps nothing in its lock, has ever looked.
  var hasBeenLookedAt: Bool {
    let last = try? Files.read(lockPath, limit: LeaseFiles.bootIDLimitBytes)
    return last.map { !$0.isEmpty } ?? false
  }

  /// Notes that this boot's first look is over; the lock must be held.
  func endFirstLookOfBoot() throws(SystemError) {
    guard let boot = LeaseFiles.bootID.map({ Array($0.utf8) }),
      try Files.read(lockPath, limit: LeaseFiles.bootIDLimitBytes) != boot
    else { return }
    try Files.write(lockPath, boot)
  }

  private static var bootID: String? { try? Sysctl.read("kernel/random/boot_id") }

  func path(of name: String) -> String { "\(path)/\(name)" }

  /// The names in the directory that are addresses.
  func names() throws(SystemError) -> [(name: String, address: IPAddress)] {
    try Files.names(in: path).compactMap { name in IPAddress(name).map { (name, $0) } }
  }

  /// Container IDs have no limit of their own, but come through an environment variable of at most 128 KiB.
  private static let contentLimitBytes = 256 << 10

  /// The content of a lease; `nil` where there is none or it cannot be read.
  func content(of name: String) -> [UInt8]? {
    try? Files.read(path(of: name), limit: LeaseFiles.contentLimitBytes)
  }

  /// The lease as it is now, `nil` where it is gone or names nobody.
  func lease(_ name: String) -> HeldLease? {
    guard let address = IPAddress(name), let content = content(of: name), let owner = LeaseOwner(content: content)
    else { return nil }
    return HeldLease(address: address, name: name, owner: owner)
  }

  /// Makes the lease, whole or not at all; `nil` where the address is held.
  func create(_ address: IPAddress, _ owner: LeaseOwner) throws(SystemError) -> HeldLease? {
    let name = address.description
    guard try Files.create(path(of: name), owner.content, scratch: scratch) else { return nil }
    return HeldLease(address: address, name: name, owner: owner)
  }

  /// Absence is success.
  func remove(_ lease: HeldLease) throws(SystemError) {
    try Files.remove(path(of: lease.name))
  }

  private func lastReservedPath(_ rangeSet: Int) -> String { path(of: "last_reserved_ip.\(rangeSet)") }

  /// The address that was given last of a range set; `nil` also where the file makes no sense: only the order is lost.
  func lastReserved(_ rangeSet: Int) -> IPAddress? {
    guard let content = (try? Files.read(lastReservedPath(rangeSet), limit: 256)) else { return nil }
    return IPAddress(String(decoding: content.filter { $0 > 0x20 }, as: UTF8.self))
  }

  func setLastReserved(_ address: IPAddress, _ rangeSet: Int) throws(SystemError) {
    try Files.write(lastReservedPath(rangeSet), Array(address.description.utf8), mode: 0o644)
  }
}
