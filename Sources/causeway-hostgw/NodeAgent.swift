internal import Lease
internal import Linux
internal import Logging
internal import NodeRoutes
internal import NodeStores

/// What every command is made of: the store, the reconciler, the files and the log, as the options have them.
struct NodeAgent: Sendable {
  let options: Options
  let store: any NodeStore
  let reconciler: Reconciler
  let files: PublishedLease
  let log: PassLog

  init(_ options: Options) throws {
    self.options = options
    store =
      switch options.store {
      case .file: FileNodeStore(path: options.nodesFile)
      }
    files = PublishedLease(
      subnetFile: options.subnetFile, leaseCopy: options.leaseCopy, stateDirectory: options.stateDir)
    let selection = NodeSelection(
      name: NodeAgent.given(options.nodeName), hostName: try Sysctl.read("kernel/hostname") ?? "",
      publicAddresses: [options.publicIp, options.publicIPv6].compactMap { $0 },
      interface: NodeAgent.given(options.iface))
    reconciler = Reconciler(
      selection: selection, files: files, switches: options.rules.ruleSwitches,
      guardsSubnets: options.rules.blackholeRoute)
    log = PassLog(
      logger: Logger(label: "causeway-hostgw") { _ in
        LineLogHandler(options.logFormat, level: options.logLevel)
      })
  }

  /// An empty value, such as a variable of a script that is not set, counts as none.
  private static func given(_ text: String?) -> String? {
    text.flatMap { $0.isEmpty ? nil : $0 }
  }
}
