internal import ArgumentParser
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
  /// What is put in place for the runtime, where that was asked for.
  let networkConfiguration: NetworkConfigurationFile?

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
    networkConfiguration = try NodeAgent.networkConfiguration(options)
    reconciler = Reconciler(selection: selection, files: files, masquerades: options.ipMasq)
    log = PassLog(
      logger: Logger(label: "causeway-hostgw") { _ in
        LineLogHandler(options.logFormat, level: options.logLevel)
      })
  }

  private static func networkConfiguration(_ options: Options) throws -> NetworkConfigurationFile? {
    switch (given(options.cniConfSource), given(options.cniConfFile)) {
    case (let source?, let file?): return NetworkConfigurationFile(source: source, destination: file)
    case (nil, nil): return nil
    case (_?, nil): throw ValidationError("--cni-conf-source needs --cni-conf-file, the place to put it.")
    case (nil, _?): throw ValidationError("--cni-conf-file needs --cni-conf-source, the file to put there.")
    }
  }

  /// An empty value, such as a variable of a script that is not set, counts as none.
  private static func given(_ text: String?) -> String? {
    text.flatMap { $0.isEmpty ? nil : $0 }
  }
}
