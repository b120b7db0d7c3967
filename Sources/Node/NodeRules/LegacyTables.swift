internal import Addresses
internal import Linux

/// Tables of the kernel's old packet filter, which `iptables-legacy` manages. Only their names can be read here.
enum LegacyTables {
  /// The program that manages the family's table of that name; `nil` if there is no such table.
  static func program(withTable table: String, _ family: IPFamily) -> String? {
    let number = family == .v4 ? "" : "6"
    let names = (try? Files.read("/proc/net/ip\(number)_tables_names", limit: 4096)) ?? []
    let isThere = String(decoding: names, as: UTF8.self).split(separator: "\n").contains { $0 == table }
    return isThere ? "ip\(number)tables-legacy" : nil
  }
}
