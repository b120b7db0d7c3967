internal import Addresses
internal import Linux

/// A lease of one address, as its file describes it.
struct AddressLease: Hashable, Sendable {
  let address: IPAddress
  /// The file's name: the address in the file's own spelling.
  let name: String
  /// `nil` if the file cannot be read or has no owner; the address is held nevertheless.
  let owner: LeaseOwner?
}

/// A network's directory in host-local's layout.
///
/// Each lease is a file whose name is the address and whose content is the owner. For each range set a file holds the
/// address that was leased last. host-local uses the same directory, takes every file in it for a lease, and removes
/// those of an owner.
struct LeaseFiles: Sendable {
  let path: String
  /// The path of a lease while it is written, on file systems without O_TMPFILE. The file is beside the directory, because host-local
  /// takes any file in it for a lease. A network's name never begins with a dot, so the name cannot be a network's.
  private let scratch: String

  init(dataDirectory: String, network: String) {
    path = "\(dataDirectory)/\(network)"
    scratch = "\(dataDirectory)/.\(network).new"
  }

  /// The lock file, held while the directory is read or changed, by host-local too.
  ///
  /// The content is the ID of the last boot in which Causeway used the directory; host-local never reads it.
  var lockPath: String { "\(path)/lock" }

  private static let bootIDLimitBytes = 64

  /// Whether Causeway last used the directory in an earlier boot; false if it never did.
  var isFirstUseOfBoot: Bool {
    guard let last = try? Files.read(lockPath, limit: LeaseFiles.bootIDLimitBytes), !last.isEmpty,
      let boot = LeaseFiles.bootID
    else { return false }
    return last != Array(boot.utf8)
  }

  /// Whether Causeway has ever used the directory; host-local leaves the lock file empty.
  var hasRecordedBoot: Bool {
    let last = try? Files.read(lockPath, limit: LeaseFiles.bootIDLimitBytes)
    return last.map { !$0.isEmpty } ?? false
  }

  /// Records that the directory was used in this boot; the lock must be held.
  func recordBoot() throws(SystemError) {
    guard let boot = LeaseFiles.bootID.map({ Array($0.utf8) }),
      try Files.read(lockPath, limit: LeaseFiles.bootIDLimitBytes) != boot
    else { return }
    try Files.write(lockPath, boot)
  }

  private static var bootID: String? { try? Sysctl.read("kernel/random/boot_id") }

  func path(of name: String) -> String { "\(path)/\(name)" }

  /// The files of the directory whose names are addresses.
  func names() throws(SystemError) -> [(name: String, address: IPAddress)] {
    try Files.names(in: path).compactMap { name in IPAddress(name).map { (name, $0) } }
  }

  /// A limit for lease files: an environment variable of at most 128 KiB limits the container ID.
  private static let contentLimitBytes = 256 << 10

  /// The content of a lease file; `nil` if it does not exist or cannot be read.
  func content(of name: String) -> [UInt8]? {
    try? Files.read(path(of: name), limit: LeaseFiles.contentLimitBytes)
  }

  /// Reads a lease; `nil` if it does not exist or has no owner.
  func lease(_ name: String) -> AddressLease? {
    guard let address = IPAddress(name), let content = content(of: name), let owner = LeaseOwner(content: content)
    else { return nil }
    return AddressLease(address: address, name: name, owner: owner)
  }

  /// Creates the lease file with its whole content, or not at all; `nil` if the address is held.
  func create(_ address: IPAddress, _ owner: LeaseOwner) throws(SystemError) -> AddressLease? {
    let name = address.description
    guard try Files.create(path(of: name), owner.content, scratch: scratch) else { return nil }
    return AddressLease(address: address, name: name, owner: owner)
  }

  /// Removes the lease file; absence is success.
  func remove(_ lease: AddressLease) throws(SystemError) {
    try Files.remove(path(of: lease.name))
  }

  private func lastReservedPath(_ rangeSet: Int) -> String { path(of: "last_reserved_ip.\(rangeSet)") }

  /// The address of a range set that was leased last; `nil` if there is none or the file is invalid. It only decides
  /// the order in which addresses are leased.
  func lastReserved(_ rangeSet: Int) -> IPAddress? {
    guard let content = (try? Files.read(lastReservedPath(rangeSet), limit: 256)) else { return nil }
    return IPAddress(String(decoding: content.filter { $0 > 0x20 }, as: UTF8.self))
  }

  func setLastReserved(_ address: IPAddress, _ rangeSet: Int) throws(SystemError) {
    try Files.write(lastReservedPath(rangeSet), Array(address.description.utf8), mode: 0o644)
  }
}
