internal import Addresses
internal import CNI
internal import JSON

/// What DEL and GC need of a configuration to find what ADD made: whatever cannot be read has its default, since an
/// error would keep a pod for ever.
struct Traces {
  let network: NetworkConfiguration
  let bridgeName: String
  let dataDirectory: String
  let leaseSource: LeaseSource
  /// The pods live on the node's lease.
  let usesLease: Bool
  /// Another plugin that gave the addresses.
  let delegate: IPAMDelegate?

  init(_ network: NetworkConfiguration, _ type: PluginType) {
    let fields = (try? type.fields(of: network)) ?? network.fields
    let ipam = (try? fields.fields("ipam")) ?? nil
    self.network = network
    bridgeName = (try? fields.text("bridge")) ?? AttachmentConfiguration.defaultBridgeName
    dataDirectory = AddressConfiguration.dataDirectory(ipam)
    leaseSource = LeaseSource(lenient: fields, for: type)
    usesLease = type.knowsLease && ipam?.value("ranges") == nil && ipam?.value("subnet") == nil
    if case .delegate(let name)? = try? IPAMChoice(fields, type) {
      delegate = try? IPAMDelegate(type: name, network)
    } else {
      delegate = nil
    }
  }
}
