@testable import Attachments
import CNI
import IPAM
import JSON
@testable import NodeState
@testable import PodNetwork
import Testing

/// The attachment of this package, not the type of the testing library.
typealias Attachment = Attachments.Attachment

/// A network configuration with the required keys and these.
func network(_ keys: JSONObject = [:], version: String = "1.1.0", for verb: Verb = .add) throws -> NetworkConfiguration
{
  var object: JSONObject = ["cniVersion": .string(version), "name": "net", "type": "causeway"]
  for member in keys.members { object[member.name] = member.value }
  return try NetworkConfiguration(Array(JSONValue.object(object).text().utf8), for: verb)
}

func configuration(
  _ keys: JSONObject = [:], version: String = "1.1.0", arguments: String = "", as type: PluginType = .causeway
) throws -> AttachmentConfiguration {
  try AttachmentConfiguration(
    network(keys, version: version), arguments: Arguments(arguments, known: ["MAC", "IP"]), as: type)
}

/// The IPAM section of a configuration with these keys.
func addressing(
  _ ipam: JSONObject, version: String = "1.1.0", arguments: String = "", _ keys: JSONObject = [:]
) throws -> AddressConfiguration {
  var keys = keys
  keys["ipam"] = .object(ipam)
  return try #require(try configuration(keys, version: version, arguments: arguments).addressing)
}

/// A node's lease with these subnets.
func lease(_ subnets: String..., mtu: Int = 1450, masquerades: Bool = false) throws -> SubnetLease {
  try SubnetLease(
    parsing: "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_MTU=\(mtu)\nFLANNEL_IPMASQ=\(masquerades)\n"
      + subnets.map { ($0.contains(":") ? "FLANNEL_IPV6_SUBNET=" : "FLANNEL_SUBNET=") + $0 }.joined(separator: "\n"),
    file: "subnet.env")
}

/// The CNI error that the runtime receives for the error that `body` throws.
func answer(_ body: () throws -> Void) -> CNIError? {
  do {
    try body()
    return nil
  } catch let error as PodNetworkError {
    return CNIError(error)
  } catch let error as CNIError {
    return error
  } catch let error as LeaseError {
    return CNIError(.lease(error))
  } catch {
    Issue.record(error, "an error that the plugin's edge does not know")
    return nil
  }
}

/// Addresses, prefixes and sets of them as text.
func texts(_ values: [some CustomStringConvertible]) -> [String] { values.map(\.description) }
