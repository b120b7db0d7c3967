package import Addresses
internal import Glibc
internal import JSON
package import Linux
internal import NodeState

/// Facts about an attachment for DEL, CHECK, GC and the helper, in a file under the state directory.
///
/// The file lies on a tmpfs and is gone after a reboot, as the pod is; DEL and GC work without it.
package struct AttachmentRecord: Equatable, Sendable {
  /// Attachment that the record is of.
  package let attachment: Attachment
  /// Identity of the pod's network namespace.
  package let namespace: NetworkNamespace.Identity
  let namespacePath: String
  /// Name of the host's end of the veth pair.
  package var hostLink: String
  /// MAC of the pod's end; `nil` in a record of an earlier version.
  package let mac: MACAddress?
  /// Addresses of the pod.
  package var addresses: [IPAddress]
  /// Data directory of the built-in IPAM; empty where it gave the pod no address.
  package let dataDirectory: String
  /// Whether ADD masquerades the pod's addresses.
  package var masquerades: Bool
  /// Whether ADD holds the pod to its MAC.
  package let checksMAC: Bool
  /// Whether the pod has mode `routed`, without a bridge; false in a record of an earlier version.
  package let isRouted: Bool
  /// Whether the pod's packets may bypass the node's rules on the fast path; false in a record of an earlier version.
  package let mayUseFastPath: Bool

  /// The record as JSON; `nil` for a text that JSON cannot hold, which no environment variable can have.
  fileprivate var text: [UInt8]? {
    let json: JSONValue = [
      "network": .string(attachment.network), "containerID": .string(attachment.containerID),
      "ifname": .string(attachment.interfaceName), "netns": .string(namespacePath),
      "device": .integer(Int64(bitPattern: namespace.device)),
      "inode": .integer(Int64(bitPattern: namespace.inode)),
      "hostLink": .string(hostLink), "mac": .string(mac?.description ?? ""),
      "addresses": .array(addresses.map { .string($0.description) }),
      "dataDir": .string(dataDirectory), "ipMasq": .bool(masquerades), "macspoofchk": .bool(checksMAC),
      "mode": isRouted ? "routed" : "bridge", "fastPath": .bool(mayUseFastPath),
    ]
    return (try? json.text()).map { Array($0.utf8) }
  }

  init?(_ text: [UInt8]) {
    guard let object = try? JSONValue(parsing: text).object,
      let network = object["network"]?.string, let id = object["containerID"]?.string,
      let ifname = object["ifname"]?.string, let path = object["netns"]?.string,
      case .integer(let device) = object["device"], case .integer(let inode) = object["inode"],
      let hostLink = object["hostLink"]?.string, let dataDirectory = object["dataDir"]?.string
    else { return nil }
    attachment = Attachment(network: network, containerID: id, interfaceName: ifname)
    namespace = NetworkNamespace.Identity(
      device: UInt64(bitPattern: device), inode: UInt64(bitPattern: inode))
    namespacePath = path
    self.hostLink = hostLink
    mac = object["mac"]?.string.flatMap { MACAddress($0) }
    self.dataDirectory = dataDirectory
    masquerades = object["ipMasq"] == true
    checksMAC = object["macspoofchk"] == true
    isRouted = object["mode"] == "routed"
    mayUseFastPath = object["fastPath"] == true
    addresses = (object["addresses"]?.array ?? []).compactMap { $0.string.flatMap { IPAddress($0) } }
  }

  package init(
    attachment: Attachment, namespace: NetworkNamespace.Identity, namespacePath: String, hostLink: String,
    mac: MACAddress?, addresses: [IPAddress], dataDirectory: String, masquerades: Bool, checksMAC: Bool,
    isRouted: Bool = false, mayUseFastPath: Bool = false
  ) {
    self.attachment = attachment
    self.namespace = namespace
    self.namespacePath = namespacePath
    self.hostLink = hostLink
    self.mac = mac
    self.addresses = addresses
    self.dataDirectory = dataDirectory
    self.masquerades = masquerades
    self.checksMAC = checksMAC
    self.isRouted = isRouted
    self.mayUseFastPath = mayUseFastPath
  }
}

/// Records of all attachments of this node.
package struct RecordDirectory: Sendable {
  /// Path of the directory.
  package let path: String

  init(stateDirectory: String) {
    path = "\(stateDirectory)/attachments"
  }

  /// Largest record that is read, in bytes: it holds the longest container ID of an environment variable, 128 KiB.
  private static let limitBytes = 256 << 10

  private func path(_ key: String) -> String { "\(path)/\(key)" }

  /// Writes a record or replaces it.
  package func store(_ record: AttachmentRecord) throws(SystemError) {
    guard let text = record.text else { throw SystemError("write", path(record.attachment.key), errno: EINVAL) }
    do throws(SystemError) {
      try Files.write(path(record.attachment.key), text)
    } catch {
      // Only the first ADD after a boot must make the directory; the others save the system call.
      try Files.makeDirectory(path, mode: 0o700)
      try Files.write(path(record.attachment.key), text)
    }
  }

  /// An attachment's record; `nil` also where it cannot be read, since no verb depends on it.
  package func find(_ attachment: Attachment) -> AttachmentRecord? { find(key: attachment.key) }

  /// Record of the attachment with this key; `nil` also where it cannot be read.
  package func find(key: String) -> AttachmentRecord? {
    // A record whose content names another attachment than its file is ignored: its names could be anything.
    guard let text = try? Files.read(path(key), limit: RecordDirectory.limitBytes),
      let record = AttachmentRecord(text), record.attachment.key == key
    else { return nil }
    return record
  }

  /// Time since the epoch at which a record was written; `nil` without a record.
  package func written(_ key: String) -> Duration? {
    (try? Files.identity(path(key)))?.modified
  }

  func contains(_ attachment: Attachment) -> Bool {
    (try? Files.identity(path(attachment.key)))?.isRegularFile ?? false
  }

  /// Removes a record; absence is success, and a directory is no record.
  package func remove(_ key: String) throws(SystemError) {
    do throws(SystemError) {
      try Files.remove(path(key))
    } catch {
      guard error.errno == EISDIR else { throw error }
    }
  }

  /// All records that can be read.
  package func all() throws(SystemError) -> [AttachmentRecord] {
    try Files.names(in: path).compactMap { find(key: $0) }
  }

  /// Keys of the network's attachments that have a record.
  package func keys(network: String) throws(SystemError) -> [String] {
    try Files.names(in: path).filter { $0.hasPrefix(Attachment.keyPrefix(network: network)) }
  }
}

extension StateDirectory {
  /// The records of this node's attachments.
  package var records: RecordDirectory { RecordDirectory(stateDirectory: path) }
}
