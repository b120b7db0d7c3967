internal import Attachments
internal import CNI
internal import JSON
internal import Linux
internal import NodeState

/// Keys by which DEL and GC find what ADD made. A key that cannot be read has its default: an error would keep a pod
/// for ever.
struct LenientConfiguration {
  let network: NetworkConfiguration
  let gatewayLink: GatewayLinkSpec
  /// Data directory of the built-in IPAM.
  let dataDirectory: String
  let leaseSource: LeaseSource
  let state: StateDirectory
  /// Whether the pods live on the node's lease.
  let usesLease: Bool
  /// Another plugin that gave the addresses.
  let delegate: IPAMDelegate?
  /// Directory in which flannel's own plugin keeps a file for each container; `nil` for other plugins.
  let flannelDirectory: String?

  init(_ network: NetworkConfiguration, as type: PluginType) {
    let fields = (try? type.fields(of: network)) ?? network.fields
    let ipam = try? fields.fields("ipam")
    self.network = network
    let bridgeName = (try? fields.text("bridge")) ?? AttachmentConfiguration.defaultBridgeName
    let vlans = try? VLANs(fields)
    dataDirectory = AddressConfiguration.dataDirectory(ipam)
    gatewayLink = GatewayLinkSpec(
      name: (try? vlans?.gatewayLinkName(bridge: bridgeName)) ?? bridgeName, dataDirectory: dataDirectory)
    flannelDirectory =
      type == .flannel ? (try? network.fields.text("dataDir")) ?? "/var/lib/cni/flannel" : nil
    leaseSource = LeaseSource(lenient: fields, for: type)
    state = StateDirectory(lenient: fields, for: type)
    switch try? IPAMChoice(fields, type) {
    case .delegate(let name):
      usesLease = false
      delegate = try? IPAMDelegate(type: name, network)
    case .nobody:
      usesLease = false
      delegate = nil
    case .builtIn, nil:
      // An empty list is none; one that cannot be read may name ranges.
      let isEmptyList = (try? ipam?.lists("ranges"))?.isEmpty == true
      let hasRanges = (ipam?.value("ranges") != nil && !isEmptyList) || ipam?.value("subnet") != nil
      usesLease = !leaseSource.subnetFiles.isEmpty && !hasRanges
      delegate = nil
    }
  }

  /// Removes the file of flannel's plugin for the container. No verb depends on it.
  func removeFlannelFile(of attachment: Attachment) {
    // GC takes the ID from a lease's content, which may be anything.
    guard let flannelDirectory, Name.isValid(attachment.containerID) else { return }
    do throws(SystemError) {
      try Files.remove("\(flannelDirectory)/\(attachment.containerID)")
    } catch {
      StandardError.write("a file of flannel's plugin stays: \(error)")
    }
  }
}
