internal import Addresses
internal import CNI
internal import IPAM
internal import JSON
internal import Lease

/// The IPAM section: which addresses a pod may get, and what goes with them.
struct AddressConfiguration: Sendable {
  /// Given in the configuration; empty: the lease's subnets.
  let rangeSets: [RangeSet]
  /// Addresses that the pod must get, from CNI_ARGS, `args.cni.ips` and the capability `ips`.
  let requested: [IPAddress]
  let routes: [PodRoute]
  let dataDirectory: String
  /// From the file that `resolvConf` names.
  let dns: DNS

  static let defaultDataDirectory = "/var/lib/cni/networks"

  /// `nil` where the pod gets no address: `ipam.type` is `none`, or `isLayer2`.
  init?(_ network: NetworkConfiguration, arguments: Arguments, isLayer2: Bool) throws {
    let ipam = try network.fields.fields("ipam") ?? JSONFields([:], path: "ipam")
    let type = try ipam.string("type") ?? ""
    if isLayer2 {
      guard type.isEmpty || type == "none" else {
        throw CNIError(
          .invalidConfiguration, "cannot use IPAM when DisableContainerInterface flag is set",
          details: "remove ipam.type \"\(type)\" or disableContainerInterface")
      }
      return nil
    }
    switch type {
    case "none": return nil
    case "", "causeway", "host-local": break
    default:
      throw CNIError(
        .unsupportedField, "ipam.type = \"\(type)\" is not supported",
        details: "leave it out, or use \"host-local\" or \"none\"")
    }
    let runtime = try network.fields.fields("runtimeConfig")
    rangeSets = try AddressConfiguration.rangeSets(ipam, runtime)
    try AddressConfiguration.checkCount(rangeSets, network.version)
    requested = try AddressConfiguration.requested(network.fields, runtime, arguments)
    routes = try (ipam.list("routes") ?? []).map { try PodRoute($0) }
    dataDirectory = try ipam.text("dataDir") ?? AddressConfiguration.defaultDataDirectory
    dns = try ipam.text("resolvConf").map { try DNS(resolvConf: $0) } ?? DNS()
  }

  /// The directory, also where the rest of the section is unusable.
  static func dataDirectory(_ ipam: JSONFields?) -> String {
    (try? ipam?.text("dataDir")) ?? defaultDataDirectory
  }

  /// The capability's ranges come first, then the single old-style range, then the list.
  private static func rangeSets(_ ipam: JSONFields, _ runtime: JSONFields?) throws -> [RangeSet] {
    var sets = try runtime?.lists("ipRanges") ?? []
    if ipam.value("subnet") != nil { sets.append([ipam]) }
    sets += try ipam.lists("ranges") ?? []
    var rangeSets: [RangeSet] = []
    for (index, set) in sets.enumerated() {
      do {
        let rangeSet = try RangeSet(try set.map { try range($0) })
        if let other = rangeSets.firstIndex(where: { $0.overlaps(rangeSet) }) {
          throw CNIError(
            .invalidConfiguration, "range set \(index) overlaps with \(other)",
            details: "give each set addresses of its own")
        }
        rangeSets.append(rangeSet)
      } catch let error as IPAMError {
        throw CNIError(.invalidConfiguration, "invalid range set \(index): \(error)")
      }
    }
    return rangeSets
  }

  private static func range(_ fields: JSONFields) throws -> AddressRange {
    guard let subnet = try fields.prefix("subnet") else {
      throw CNIError(
        .invalidConfiguration, "\(fields.path(of: "subnet")) is missing",
        details: "give each range a subnet such as \"10.1.0.0/16\"")
    }
    return try AddressRange(
      subnet: subnet, start: fields.address("rangeStart"), end: fields.address("rangeEnd"),
      gateway: fields.address("gateway"))
  }

  /// Before 0.3.0 a result holds one address of each family.
  private static func checkCount(_ sets: [RangeSet], _ version: SpecVersion) throws {
    guard version < SpecVersion(0, 3, 0) else { return }
    for family in IPFamily.allCases where sets.count(where: { $0.family == family }) > 1 {
      throw CNIError(
        .invalidConfiguration, "CNI version \(version) does not support more than 1 address per family",
        details: "use cniVersion 0.3.0 or later, or one range set for \(family)")
    }
  }

  private static func requested(
    _ fields: JSONFields, _ runtime: JSONFields?, _ arguments: Arguments
  ) throws -> [IPAddress] {
    var texts: [(source: String, text: String)] = []
    if let text = arguments["IP"], !text.isEmpty { texts.append(("IP in CNI_ARGS", text)) }
    for text in try fields.fields("args")?.fields("cni")?.strings("ips") ?? [] {
      texts.append(("args.cni.ips", text))
    }
    for text in try runtime?.strings("ips") ?? [] { texts.append(("runtimeConfig.ips", text)) }
    return try texts.map { source, text in
      guard let address = IPPrefix(text)?.address ?? IPAddress(text) else {
        throw CNIError(.invalidConfiguration, "\(source) must be an IP address, but is \"\(text)\"")
      }
      return address
    }
  }
}
