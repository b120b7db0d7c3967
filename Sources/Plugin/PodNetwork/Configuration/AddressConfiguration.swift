internal import Addresses
internal import CNI
internal import IPAM
internal import JSON
internal import Linux
internal import NodeState

/// The IPAM section: which addresses a pod may get, with routes and name servers.
struct AddressConfiguration: Sendable {
  /// Ranges of the configuration; empty means the lease's subnets.
  let rangeSets: [RangeSet]
  /// Addresses that the pod must get, from CNI_ARGS, `args.cni.ips` and the capability `ips`.
  let requested: [IPAddress]
  let routes: [PodRoute]
  let dataDirectory: String
  /// From the file that `resolvConf` names.
  let dns: DNS

  /// Reads the section from the keys of the network or, for flannel's plugin, from those that replace them.
  init(_ network: NetworkConfiguration, _ fields: JSONFields, arguments: Arguments) throws(PodNetworkError) {
    let ipam = try fromJSON(fields.fields("ipam")) ?? JSONFields([:], path: "ipam")
    let runtime = try fromJSON(fields.fields("runtimeConfig"))
    rangeSets = try AddressConfiguration.rangeSets(ipam, runtime)
    try AddressConfiguration.checkCount(rangeSets, network.version)
    requested = try AddressConfiguration.requested(fields, runtime, arguments)
    routes = try (fromJSON(ipam.list("routes")) ?? []).map { fields throws(PodNetworkError) in
      try fromJSON(PodRoute(fields))
    }
    if let path = try fromJSON(ipam.text("dataDir")) { try checkAbsolute(path, ipam.path(of: "dataDir")) }
    dataDirectory = try fromJSON(ipam.text("dataDir")) ?? DefaultPaths.dataDirectory
    dns =
      try fromJSON(ipam.text("resolvConf")).map { path throws(PodNetworkError) in try DNS(resolvConf: path) } ?? DNS()
  }

  /// Data directory, also where the rest of the section cannot be used.
  static func dataDirectory(_ ipam: JSONFields?) -> String {
    (try? ipam?.text("dataDir")) ?? DefaultPaths.dataDirectory
  }

  /// Ranges of the capability `ipRanges`, then the single old-style range, then the list.
  private static func rangeSets(_ ipam: JSONFields, _ runtime: JSONFields?) throws(PodNetworkError) -> [RangeSet] {
    var sets = try fromJSON(runtime?.lists("ipRanges")) ?? []
    if ipam.value("subnet") != nil { sets.append([ipam]) }
    sets += try fromJSON(ipam.lists("ranges")) ?? []
    var rangeSets: [RangeSet] = []
    for (index, set) in sets.enumerated() {
      do throws(PodNetworkError) {
        let ranges = try set.map { fields throws(PodNetworkError) in try range(fields) }
        let rangeSet = try fromIPAM(RangeSet(ranges))
        if let other = rangeSets.firstIndex(where: { $0.overlaps(rangeSet) }) {
          throw PodNetworkError(
            .invalidConfiguration, "range set \(index) overlaps with \(other)",
            details: "give each set addresses of its own")
        }
        rangeSets.append(rangeSet)
      } catch {
        guard case .ipam(let refusal) = error else { throw error }
        throw PodNetworkError(.invalidConfiguration, "invalid range set \(index): \(refusal)")
      }
    }
    return rangeSets
  }

  private static func range(_ fields: JSONFields) throws(PodNetworkError) -> AddressRange {
    guard let subnet = try fromJSON(fields.prefix("subnet")) else {
      throw PodNetworkError(
        .invalidConfiguration, "\(fields.path(of: "subnet")) is missing",
        details: "give each range a subnet such as \"10.1.0.0/16\"")
    }
    let (start, end) = (try fromJSON(fields.address("rangeStart")), try fromJSON(fields.address("rangeEnd")))
    let gateway = try fromJSON(fields.address("gateway"))
    return try fromIPAM(AddressRange(subnet: subnet, start: start, end: end, gateway: gateway))
  }

  /// Refuses more than one address of a family before 0.3.0, whose results hold only one.
  private static func checkCount(_ sets: [RangeSet], _ version: SpecVersion) throws(PodNetworkError) {
    guard version < SpecVersion(0, 3, 0) else { return }
    for family in IPFamily.allCases where sets.count(where: { $0.family == family }) > 1 {
      throw PodNetworkError(
        .invalidConfiguration, "CNI version \(version) does not support more than 1 address per family",
        details: "use cniVersion 0.3.0 or later, or one range set for \(family)")
    }
  }

  private static func requested(
    _ fields: JSONFields, _ runtime: JSONFields?, _ arguments: Arguments
  ) throws(PodNetworkError) -> [IPAddress] {
    var texts: [(source: String, text: String)] = []
    if let text = arguments["IP"], !text.isEmpty { texts.append(("IP in CNI_ARGS", text)) }
    for text in try fromJSON(fields.fields("args")?.fields("cni")?.strings("ips")) ?? [] {
      texts.append(("args.cni.ips", text))
    }
    for text in try fromJSON(runtime?.strings("ips")) ?? [] { texts.append(("runtimeConfig.ips", text)) }
    return try texts.map { source, text throws(PodNetworkError) in
      guard let address = IPPrefix(text)?.address ?? IPAddress(text) else {
        throw PodNetworkError(.invalidConfiguration, "\(source) must be an IP address, but is \"\(text)\"")
      }
      return address
    }
  }
}

extension AddressConfiguration {
  /// Checks that leases can be written.
  ///
  /// - Throws: code 50, for STATUS.
  func checkWritable() throws(PodNetworkError) {
    do throws(SystemError) {
      try Files.makeDirectory(dataDirectory)
      try Files.checkWritable(dataDirectory)
    } catch {
      throw PodNetworkError(
        .unavailable, "no address can be given to a pod", details: "ipam.dataDir cannot be written: \(error)")
    }
  }

  /// Ranges of the configuration or, where it names none, the lease's subnets.
  ///
  /// - Throws: code 7 where the plugin's pods live on no lease, 11 where there is no lease.
  func rangeSets(orOf lease: SubnetLease?, _ source: LeaseSource) throws(PodNetworkError) -> [RangeSet] {
    guard rangeSets.isEmpty else { return rangeSets }
    guard !source.subnetFiles.isEmpty else {
      throw PodNetworkError(
        .invalidConfiguration, "no IP ranges specified", details: "give ipam.ranges or ipam.subnet")
    }
    guard let lease else { throw PodNetworkError(.tryAgainLater, source.remedy) }
    return try lease.subnets.map { subnet throws(PodNetworkError) in
      try fromIPAM(RangeSet([AddressRange(subnet: subnet.network, gateway: subnet.address)]))
    }
  }
}

/// The giver of addresses: `ipam.type`.
enum IPAMChoice {
  case nobody
  case builtIn
  case delegate(String)

  init(_ fields: JSONFields, _ plugin: PluginType) throws(PodNetworkError) {
    let type = try fromJSON(fields.fields("ipam")?.string("type")) ?? ""
    switch type {
    case "none": self = .nobody
    // The reference bridge without IPAM is on layer 2, and so is a link that stays down.
    case "":
      let isLeftDown = try fromJSON(fields.bool("disableContainerInterface")) ?? false
      self = plugin == .bridge || isLeftDown ? .nobody : .builtIn
    case "causeway", "host-local": self = .builtIn
    default: self = .delegate(type)
    }
  }
}
