internal import Addresses
internal import Attachments
internal import CNI
internal import JSON
internal import Linux

/// What DEL and GC need of a configuration to find what ADD made: whatever cannot be read has its default, since an
/// error would keep a pod for ever.
struct Traces {
  let network: NetworkConfiguration
  let bridgeName: String
  /// Where the gateways' addresses are.
  let gatewayLinkName: String
  let dataDirectory: String
  let leaseSource: LeaseSource
  /// The pods live on the node's lease.
  let usesLease: Bool
  /// Another plugin that gave the addresses.
  let delegate: IPAMDelegate?
  /// Where flannel's own plugin keeps what it made of the configuration, for each container; `nil` for other plugins.
  let flannelDirectory: String?

  /// Nobody needs the file any more, and nothing depends on its going.
  func removeFlannelFile(of attachment: Attachment) {
    // GC has the ID from a lease's content, which may be anything.
    guard let flannelDirectory, Name.isValid(attachment.containerID) else { return }
    do throws(SystemError) {
      try Files.remove("\(flannelDirectory)/\(attachment.containerID)")
    } catch {
      StandardError.write("a file of flannel's plugin stays: \(error)")
    }
  }

  init(_ network: NetworkConfiguration, _ type: PluginType) {
    let fields = (try? type.fields(of: network)) ?? network.fields
    let ipam = try? fields.fields("ipam")
    self.network = network
    bridgeName = (try? fields.text("bridge")) ?? AttachmentConfiguration.defaultBridgeName
    let vlans = try? VLANs(fields)
    gatewayLinkName = (try? vlans?.gatewayLinkName(bridge: bridgeName)) ?? bridgeName
    flannelDirectory =
      type == .flannel ? (try? network.fields.text("dataDir")) ?? "/var/lib/cni/flannel" : nil
    dataDirectory = AddressConfiguration.dataDirectory(ipam)
    leaseSource = LeaseSource(lenient: fields, for: type)
    switch try? IPAMChoice(fields, type) {
    case .delegate(let name):
      usesLease = false
      delegate = try? IPAMDelegate(type: name, network)
    case .nobody:
      usesLease = false
      delegate = nil
    case .builtIn, nil:
      usesLease =
        !leaseSource.subnetFiles.isEmpty && ipam?.value("ranges") == nil && ipam?.value("subnet") == nil
      delegate = nil
    }
  }
}
