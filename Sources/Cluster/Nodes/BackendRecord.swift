package import Addresses
package import JSON
internal import Linux

/// Type and data of its backend that a node publishes in its record or its annotations, in flannel's layout.
package struct BackendRecord: Sendable, Equatable {
  /// `BackendType` as published; "" if there is none.
  package let type: String
  /// `BackendData` and `BackendV6Data`, which the backend alone reads. Data that is no object counts as absent.
  package let data: PerFamily<JSONObject>

  /// Record of another node.
  package init(type: String, data: JSONValue?, ipv6Data: JSONValue?) {
    self.type = type.quotable
    self.data = PerFamily(v4: data?.object, v6: ipv6Data?.object)
  }

  /// Record of this node.
  ///
  /// - Parameter node: the node's name in the snapshots of its store.
  package init(_ backend: any ClusterBackend, node: String, families: [IPFamily]) {
    type = Swift.type(of: backend).name
    var data = PerFamily<JSONObject>()
    for family in families { data[family] = backend.data(ofNode: node, family) }
    self.data = data
  }
}
