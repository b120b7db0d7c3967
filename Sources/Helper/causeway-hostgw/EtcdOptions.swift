internal import ArgumentParser
internal import EtcdStore
internal import Linux
internal import StoreTransport

/// The options of `--store etcd`.
struct EtcdOptions: OptionNames {
  @Option(
    help: ArgumentHelp(
      "URLs of etcd's servers, separated by commas. (default: http://127.0.0.1:2379)", valueName: "URLs"),
    transform: { EtcdEndpoints($0) })
  var etcdEndpoints = EtcdEndpoints("http://127.0.0.1:2379")

  @Option(
    help: ArgumentHelp("Key prefix of config and subnets/ in etcd. (default: /coreos.com/network)", valueName: "key"),
    transform: EtcdOptions.prefix)
  var etcdPrefix = "/coreos.com/network"

  @Option(help: ArgumentHelp("Certificate authorities of etcd's servers, PEM.", valueName: "file"))
  var etcdCafile: String?

  @Option(help: ArgumentHelp("This node's certificate for etcd, PEM.", valueName: "file"))
  var etcdCertfile: String?

  @Option(help: ArgumentHelp("The key of that certificate, PEM.", valueName: "file"))
  var etcdKeyfile: String?

  @Option(help: ArgumentHelp("User name for etcd.", valueName: "name"))
  var etcdUsername: String?

  @Option(
    help: ArgumentHelp(
      "The user's password; an environment variable or a file hides it from ps.", valueName: "password"),
    transform: { Secret($0) })
  var etcdPassword: Secret?

  @Option(
    help: ArgumentHelp(
      "How long this node's subnet stays reserved without a renewal, such as 24h or 90m. (default: 24h)",
      valueName: "time"),
    transform: TimeText.duration)
  var subnetLeaseTTL = Duration.seconds(24 * 3600)

  @Option(
    help: ArgumentHelp(
      "How long before its end a lease is renewed at the latest; the agent tries after a third of its time.",
      valueName: "minutes"))
  var subnetLeaseRenewMargin = 60

  /// The long names.
  static let names = [
    "etcd-endpoints", "etcd-prefix", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "etcd-username", "etcd-password",
    "subnet-lease-ttl", "subnet-lease-renew-margin",
  ]

  /// Access to etcd.
  var access: EtcdAccess {
    EtcdAccess(
      endpoints: etcdEndpoints.list, prefix: etcdPrefix, caFile: etcdCafile?.given,
      certificateFile: etcdCertfile?.given, keyFile: etcdKeyfile?.given, username: etcdUsername?.given,
      password: etcdPassword.flatMap { $0.isEmpty ? nil : $0 })
  }

  /// Checks what concerns several options, which may come from different sources.
  func validateTogether() throws {
    let access = access
    guard (access.certificateFile == nil) == (access.keyFile == nil) else {
      throw ValidationError("--etcd-certfile and --etcd-keyfile go together: give both or none.")
    }
    guard (access.username == nil) == (access.password == nil) else {
      throw ValidationError("--etcd-username and --etcd-password go together: give both or none.")
    }
  }

  mutating func validate() throws {
    if let problem = etcdEndpoints.problem { throw ValidationError(problem) }
    guard subnetLeaseTTL >= .seconds(1), subnetLeaseTTL <= .seconds(365 * 86400) else {
      throw ValidationError("--subnet-lease-ttl must be from 1s to 8760h.")
    }
    guard (1...1439).contains(subnetLeaseRenewMargin) else {
      throw ValidationError(
        "--subnet-lease-renew-margin must be from 1 to 1439 minutes, not \(subnetLeaseRenewMargin).")
    }
  }

  private static func prefix(_ text: String) throws -> String {
    var prefix = text[...]
    while prefix.last == "/" { prefix.removeLast() }
    guard prefix.hasPrefix("/") else { throw ValidationError("'\(text)' is no key like /coreos.com/network.") }
    return String(prefix)
  }
}

/// The value of `--etcd-endpoints`, also an invalid one: the parser would show that as a whole, with a password that it
/// may contain.
struct EtcdEndpoints: Sendable {
  let list: [String]
  let problem: String?

  init(_ text: String) {
    list = EtcdAccess.endpoints(text) ?? []
    if !list.isEmpty {
      problem = nil
    } else if text.contains("@") {
      problem =
        "--etcd-endpoints must hold neither user nor password: give --etcd-username, and CAUSEWAY_ETCD_PASSWORD in the "
        + "environment."
    } else {
      problem = "--etcd-endpoints: '\(text)' is no list like http://192.0.2.1:2379,https://etcd.example:2379."
    }
  }
}
