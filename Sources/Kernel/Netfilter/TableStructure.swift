internal import Addresses
internal import CLinux
internal import Glibc
package import Netlink

extension NetfilterSocket {
  /// A hash over a table's chains, rules and sets without the sets' elements; `nil` if there is no such table.
  ///
  /// Equal hashes mean equal effects on packets, so that two tables can be compared without interpreting rules. The
  /// hash is made of the attributes that the kernel reports, without handles and counters.
  package mutating func structure(of table: TableName) throws(NetlinkError) -> UInt64? {
    guard let found = try self.table(table) else { return nil }
    var content = found.content(of: [NFTAttribute.tableFlags])
    for (list, name, compared) in [
      (
        NFTMessage.getChain, NFTAttribute.chainTable,
        [
          NFTAttribute.chainName, NFTAttribute.chainHook, NFTAttribute.chainPolicy, NFTAttribute.chainType,
          NFTAttribute.chainFlags,
        ]
      ),
      (
        NFTMessage.getRule, NFTAttribute.ruleTable,
        [NFTAttribute.ruleChain, NFTAttribute.ruleExpressions, NFTAttribute.ruleUserData]
      ),
      (
        NFTMessage.getSet, NFTAttribute.setTable,
        [NFTAttribute.setName, NFTAttribute.setFlags, NFTAttribute.setKeyType, NFTAttribute.setKeyLength]
      ),
    ] {
      for reply in try netlink.dump(.list(list, in: table, tableAttribute: name)) {
        let (_, attributes) = try reply.body(nfgenmsg.self)
        if attributes.string(name) == table.name { content += attributes.content(of: compared) }
      }
    }
    return stableHash(content)
  }

  /// Whether the table exists.
  package mutating func contains(_ table: TableName) throws(NetlinkError) -> Bool {
    try self.table(table) != nil
  }

  private mutating func table(_ table: TableName) throws(NetlinkError) -> Attributes? {
    do throws(NetlinkError) {
      return try netlink.get(.getTable(table)).body(nfgenmsg.self).1
    } catch {
      if error.errno == ENOENT { return nil }
      throw error
    }
  }
}

extension NetlinkRequest {
  fileprivate static func getTable(_ table: TableName) -> NetlinkRequest {
    var request = nft("look up the table", table.name, table: table, type: NFTMessage.getTable)
    request.put(NFTAttribute.tableName, cString: table.name)
    return request
  }

  /// Lists chains, rules or sets. The kernel filters rules and sets by the table's name, but lists all tables' chains.
  fileprivate static func list(
    _ message: UInt16, in table: TableName, tableAttribute: UInt16
  ) -> NetlinkRequest {
    var request = nft("list the content of the table", table.name, table: table, type: message)
    request.put(tableAttribute, cString: table.name)
    return request
  }
}

extension Attributes {
  /// The bytes of these attributes, each with its type and length.
  fileprivate func content(of types: [UInt16]) -> [UInt8] {
    types.flatMap { type -> [UInt8] in
      guard let payload = self[type] else { return [UInt8(truncatingIfNeeded: type), 0xFF, 0xFF] }
      let length = UInt16(truncatingIfNeeded: payload.count)
      return [UInt8(truncatingIfNeeded: type), UInt8(length >> 8), UInt8(truncatingIfNeeded: length)] + payload
    }
  }
}
