internal import Addresses
internal import CLinux
internal import Glibc
package import Netlink

extension NetfilterSocket {
  /// A number for all that a table does: its chains, rules and sets, but not what the sets hold; `nil` where there is no
  /// such table.
  ///
  /// Made of the kernel's own words about each, as far as they say what happens to packets: who compares two of them need
  /// not understand a rule. Numbers that the kernel gives out, and counts, are left out.
  package mutating func structure(of table: TableName) throws(NetlinkError) -> UInt64? {
    guard let found = try self.table(table) else { return nil }
    var words = found.words(of: [NFTAttribute.tableFlags])
    for (list, name, told) in [
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
        if attributes.string(name) == table.name { words += attributes.words(of: told) }
      }
    }
    return stableHash(words)
  }

  /// Whether there is such a table.
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
    var request = nft("look for the table", table.name, table, NFTMessage.getTable)
    request.put(NFTAttribute.tableName, cString: table.name)
    return request
  }

  /// The kernel heeds the table's name where it lists rules and sets, and lists the chains of all tables.
  fileprivate static func list(
    _ message: UInt16, in table: TableName, tableAttribute: UInt16
  ) -> NetlinkRequest {
    var request = nft("list what is in the table", table.name, table, message)
    request.put(tableAttribute, cString: table.name)
    return request
  }
}

extension Attributes {
  /// These attributes, each with its type and length.
  fileprivate func words(of types: [UInt16]) -> [UInt8] {
    types.flatMap { type -> [UInt8] in
      guard let payload = self[type] else { return [UInt8(truncatingIfNeeded: type), 0xFF, 0xFF] }
      let length = UInt16(truncatingIfNeeded: payload.count)
      return [UInt8(truncatingIfNeeded: type), UInt8(length >> 8), UInt8(truncatingIfNeeded: length)] + payload
    }
  }
}
