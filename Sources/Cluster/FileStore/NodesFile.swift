internal import Addresses
internal import JSON
package import Nodes

/// Content of a `nodes.json`: `{"network": {…net-conf.json…}, "nodes": [{"name": …, "publicIP": …, …}]}`.
package enum NodesFile {
  /// Reads the text and checks all that needs no knowledge of this machine; `file` is for messages.
  package static func parse(
    _ text: [UInt8], file: String, _ backends: BackendReader
  ) throws(NodesFileError) -> NodeSnapshot {
    let fields: JSONFields
    let network: JSONFields?
    let list: [JSONFields]?
    do throws(JSONError) {
      fields = try JSONFields(document: JSONValue(parsing: text), name: "the nodes file")
      network = try fields.fields("network")
      list = try fields.list("nodes")
    } catch {
      throw .json(file: file, error)
    }
    guard let network else {
      throw .missing(file: file, field: "network", remedy: "give the cluster's net-conf.json there")
    }
    guard let list else { throw .missing(file: file, field: "nodes", remedy: "give the list of the nodes") }
    let netConf: NetConf
    do throws(NetConfError) { netConf = try NetConf(network, backends) } catch { throw .netConf(file: file, error) }
    let reader = NodeReader(file: file, netConf: netConf)
    var nodes: [Node] = []
    nodes.reserveCapacity(list.count)
    for fields in list { nodes.append(try reader.node(fields)) }
    try NodesFile.checkUniqueness(nodes, file: file)
    return NodeSnapshot(netConf: netConf, nodes: nodes)
  }
}

/// Reader of one entry of `nodes`.
private struct NodeReader {
  let file: String
  let netConf: NetConf

  func node(_ fields: JSONFields) throws(NodesFileError) -> Node {
    var node = Node(
      name: try name(fields),
      addresses: PerFamily(v4: try address(fields, "publicIP", .v4), v6: try address(fields, "publicIPv6", .v6)),
      subnets: PerFamily(v4: try subnet(fields, "subnet", .v4), v6: try subnet(fields, "ipv6Subnet", .v6)))
    // Nodes of a file publish nothing: what each would publish follows from its name.
    for family in netConf.families { node.backendData[family] = netConf.backend.data(ofNode: node.name, family) }
    return node
  }

  private func name(_ fields: JSONFields) throws(NodesFileError) -> String {
    guard let name = try string(fields, "name") else {
      throw .missing(file: file, field: fields.path(of: "name"), remedy: "give the node's host name")
    }
    guard Node.isName(name) else {
      throw invalid(fields, "name", name, "1 to 253 letters, digits, dots, hyphens or underscores")
    }
    return name
  }

  private func address(
    _ fields: JSONFields, _ field: String, _ family: IPFamily
  ) throws(NodesFileError) -> IPAddress? {
    guard let text = try string(fields, field) else { return nil }
    let other = family == .v4 ? "publicIPv6" : "publicIP"
    guard let address = IPAddress(text) else {
      throw invalid(fields, field, text, "an \(family) address without prefix length")
    }
    guard address.family == family else {
      throw invalid(
        fields, field, text, "an \(family) address; an \(address.family) address belongs in \(other)")
    }
    guard address.isNodeAddress else {
      throw invalid(fields, field, text, "the node's own address on the network that joins the nodes")
    }
    return address
  }

  private func subnet(
    _ fields: JSONFields, _ field: String, _ family: IPFamily
  ) throws(NodesFileError) -> IPPrefix? {
    guard let text = try string(fields, field) else { return nil }
    let other = family == .v4 ? "ipv6Subnet" : "subnet"
    guard let subnet = IPPrefix(text) else {
      throw invalid(fields, field, text, "an \(family) network with its prefix length")
    }
    guard subnet.family == family else {
      throw invalid(fields, field, text, "an \(family) network; an \(subnet.family) network belongs in \(other)")
    }
    guard subnet.isNetwork else {
      throw invalid(fields, field, text, "a network without host bits: \"\(subnet.network)\"")
    }
    guard subnet.length <= family.bitCount - 2 else {
      throw invalid(fields, field, text, "/\(family.bitCount - 2) or wider, to hold a gateway and a pod")
    }
    guard let network = netConf.network(family) else {
      throw invalid(
        fields, field, text,
        "absent while the cluster has no \(family): set network.Enable\(family) to true, or remove it")
    }
    guard network.contains(subnet) else {
      throw invalid(fields, field, text, "inside the cluster's network \(network)")
    }
    return subnet
  }

  private func string(_ fields: JSONFields, _ name: String) throws(NodesFileError) -> String? {
    do throws(JSONError) { return try fields.string(name) } catch { throw .json(file: file, error) }
  }

  private func invalid(_ fields: JSONFields, _ name: String, _ value: String, _ expected: String)
    -> NodesFileError
  {
    .invalid(file: file, field: fields.path(of: name), value: value, expected: expected)
  }
}
