internal import CNI
internal import JSON
internal import Linux
internal import NodeState

/// Where the node's lease is read, and the helper that may be run to write it.
struct LeaseSource: Sendable {
  /// Tried in order; none where the plugin knows no lease.
  let subnetFiles: [String]
  let stateDirectory: String
  let helper: Helper?

  /// The helper's options, as the configuration's `hostgw` object gives them.
  struct Helper: Sendable {
    let nodesFile: String
    let options: JSONObject

    init(_ hostgw: JSONFields, subnetFile: String?) throws {
      let store = try hostgw.text("store") ?? "file"
      guard store == "file" else {
        throw CNIError(
          .invalidConfiguration, "hostgw.store must be \"file\", but is \"\(store)\"",
          details: "a lease from \(store) needs an agent to renew it: run causeway-hostgw run and remove hostgw")
      }
      nodesFile = try hostgw.text("nodes-file") ?? DefaultPaths.nodesFile
      try checkAbsolute(nodesFile, "hostgw.nodes-file")
      // The plugin's keys fold case, and an empty text is none; the helper knows its own names and values only.
      var options = JSONObject(
        hostgw.object.members.filter { $0.value != "" }.map { .init(name: $0.name.lowercased(), value: $0.value) })
      // The helper must write the file that is read here.
      if let subnetFile { options["subnet-file"] = .string(subnetFile) }
      self.options = options
    }
  }

  /// The helper's defaults (`causeway-hostgw --help`).
  static func defaultSubnetFiles(for type: PluginType) -> [String] {
    let files = [DefaultPaths.subnetFile, DefaultPaths.flannelSubnetFile]
    return type == .flannel ? files.reversed() : files
  }

  init(_ fields: JSONFields, for type: PluginType) throws {
    guard type.knowsLease(fields) else {
      self.init(subnetFiles: [], nil)
      return
    }
    let hostgw = try fields.fields("hostgw")
    let subnetFile = try fields.text("subnetFile") ?? hostgw?.text("subnet-file")
    if let subnetFile { try checkAbsolute(subnetFile, "subnetFile") }
    if let path = try hostgw?.text("state-dir") { try checkAbsolute(path, "hostgw.state-dir") }
    let subnetFiles = subnetFile.map { [$0] } ?? LeaseSource.defaultSubnetFiles(for: type)
    let helper = try hostgw.map { try Helper($0, subnetFile: subnetFile) }
    self.init(subnetFiles: subnetFiles, helper, stateDirectory: try hostgw?.text("state-dir"))
  }

  /// For verbs that must not fail over their configuration: what can be read, defaults for the rest, no helper.
  init(lenient fields: JSONFields, for type: PluginType) {
    guard type.knowsLease(fields) else {
      self.init(subnetFiles: [], nil)
      return
    }
    let hostgw = try? fields.fields("hostgw")
    let subnetFile = (try? fields.text("subnetFile")) ?? (try? hostgw?.text("subnet-file"))
    let subnetFiles = subnetFile.map { [$0] } ?? LeaseSource.defaultSubnetFiles(for: type)
    self.init(subnetFiles: subnetFiles, nil, stateDirectory: try? hostgw?.text("state-dir"))
  }

  private init(subnetFiles: [String], _ helper: Helper?, stateDirectory: String? = nil) {
    self.subnetFiles = subnetFiles
    self.helper = helper
    self.stateDirectory = stateDirectory ?? DefaultPaths.stateDirectory
  }

  /// The lease as it lies on disk, `nil` where there is none.
  func read() throws(LeaseError) -> SubnetLease? {
    for path in subnetFiles {
      if let lease = try SubnetLease.read(path) { return lease }
    }
    return nil
  }

  /// Where an agent holds its lock for as long as it runs.
  var agentLock: String { StateDirectory(stateDirectory).agentLock }
}

/// A runtime's working directory is anybody's guess, so a path that depends on it is refused.
func checkAbsolute(_ path: String, _ field: String) throws(CNIError) {
  guard path.hasPrefix("/") else {
    throw CNIError(.invalidConfiguration, "\(field) must be an absolute path, but is \"\(path)\"")
  }
}
