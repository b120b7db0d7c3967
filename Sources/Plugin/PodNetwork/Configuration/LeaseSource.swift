internal import CNI
internal import JSON
internal import Linux
internal import NodeState

/// Files with the node's lease, and the helper that may be run to write them.
struct LeaseSource: Sendable {
  /// Files that are tried in order; empty where the plugin's pods live on no lease.
  let subnetFiles: [String]
  /// `nil` where an agent writes the lease, or nothing does.
  let helper: Helper?

  /// Options of the helper, as the configuration's `hostgw` object gives them.
  struct Helper: Sendable {
    let nodesFile: String
    let options: JSONObject

    init(_ hostgw: JSONFields, subnetFile: String?) throws(PodNetworkError) {
      let store = try fromJSON(hostgw.text("store")) ?? "file"
      guard store == "file" else {
        throw PodNetworkError(
          .invalidConfiguration, "hostgw.store must be \"file\", but is \"\(store)\"",
          details: "a lease from \(store) needs an agent to renew it: run causeway-hostgw run and remove hostgw")
      }
      nodesFile = try fromJSON(hostgw.text("nodes-file")) ?? DefaultPaths.nodesFile
      try checkAbsolute(nodesFile, "hostgw.nodes-file")
      // The plugin's keys fold case, and an empty text counts as absent; the helper accepts neither.
      var options = JSONObject(
        hostgw.object.members.filter { $0.value != "" }.map { .init(name: $0.name.lowercased(), value: $0.value) })
      // The helper must write the file that is read here.
      if let subnetFile { options["subnet-file"] = .string(subnetFile) }
      self.options = options
    }
  }

  /// Files that are read where the configuration names none; the first is the helper's default.
  static func defaultSubnetFiles(for type: PluginType) -> [String] {
    let files = [DefaultPaths.subnetFile, DefaultPaths.flannelSubnetFile]
    return type == .flannel ? files.reversed() : files
  }

  init(_ fields: JSONFields, for type: PluginType) throws(PodNetworkError) {
    guard type.knowsLease(fields) else {
      self.init(subnetFiles: [], helper: nil)
      return
    }
    let hostgw = try fromJSON(fields.fields("hostgw"))
    var subnetFile = try fromJSON(fields.text("subnetFile"))
    if subnetFile == nil { subnetFile = try fromJSON(hostgw?.text("subnet-file")) }
    if let subnetFile { try checkAbsolute(subnetFile, "subnetFile") }
    var helper: Helper?
    if let hostgw { helper = try Helper(hostgw, subnetFile: subnetFile) }
    self.init(subnetFiles: subnetFile.map { [$0] } ?? LeaseSource.defaultSubnetFiles(for: type), helper: helper)
  }

  /// Reads what can be read, with defaults for the rest and without helper, for verbs that must not fail because of their
  /// configuration.
  init(lenient fields: JSONFields, for type: PluginType) {
    guard type.knowsLease(fields) else {
      self.init(subnetFiles: [], helper: nil)
      return
    }
    let hostgw = try? fields.fields("hostgw")
    let subnetFile = (try? fields.text("subnetFile")) ?? (try? hostgw?.text("subnet-file"))
    self.init(subnetFiles: subnetFile.map { [$0] } ?? LeaseSource.defaultSubnetFiles(for: type), helper: nil)
  }

  private init(subnetFiles: [String], helper: Helper?) {
    self.subnetFiles = subnetFiles
    self.helper = helper
  }

  /// The lease on disk; `nil` where there is none.
  func read() throws(LeaseError) -> SubnetLease? {
    for path in subnetFiles {
      if let lease = try SubnetLease.read(path) { return lease }
    }
    return nil
  }

  /// Remedy for a missing lease, for the errors of ADD and STATUS.
  var remedy: String {
    let places = subnetFiles.joined(separator: " or ")
    guard let helper else {
      return
        "there is no lease in \(places) and ipam names no ranges: start causeway-hostgw run on this node, "
        + "or add \"hostgw\" or ipam.ranges to the configuration"
    }
    return
      "there is no lease in \(places): see what causeway-hostgw sync --nodes-file \(helper.nodesFile) says"
  }
}

extension StateDirectory {
  /// The directory that the `hostgw` object names, or the default.
  init(_ fields: JSONFields, for type: PluginType) throws(PodNetworkError) {
    let path = type.knowsLease(fields) ? try fromJSON(fields.fields("hostgw")?.text("state-dir")) : nil
    if let path { try checkAbsolute(path, "hostgw.state-dir") }
    self.init(path ?? DefaultPaths.stateDirectory)
  }

  /// The directory that the `hostgw` object names, or the default where it cannot be read.
  init(lenient fields: JSONFields, for type: PluginType) {
    let hostgw = type.knowsLease(fields) ? try? fields.fields("hostgw") : nil
    self.init((try? hostgw?.text("state-dir")) ?? DefaultPaths.stateDirectory)
  }
}

/// Refuses a relative path: a runtime's working directory is unknown.
func checkAbsolute(_ path: String, _ field: String) throws(PodNetworkError) {
  guard path.hasPrefix("/") else {
    throw PodNetworkError(.invalidConfiguration, "\(field) must be an absolute path, but is \"\(path)\"")
  }
}
