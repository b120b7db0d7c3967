import Addresses
import IPAM
import Linux
import Testing

/// The work of one operation must not grow with the number of leases: reads and writes are counted, not time.
@Suite struct WorkTests {
  private let fixture: LeaseFixture
  private let sets: [RangeSet]

  init() throws {
    fixture = try LeaseFixture()
    sets = [try rangeSet("10.0.0.0/16")]
  }

  /// read(2) and write(2) calls of this thread so far; a held address that is tried costs a write.
  private func calls() throws -> Int {
    let text = String(decoding: try Files.read("/proc/thread-self/io", limit: 4096) ?? [], as: UTF8.self)
    return text.split(separator: "\n").reduce(0) { sum, line in
      let parts = line.split(separator: " ")
      return parts[0] == "syscr:" || parts[0] == "syscw:" ? sum + (Int(parts[1]) ?? 0) : sum
    }
  }

  private func count(_ body: () throws -> Void) throws -> Int {
    let before = try calls()
    try body()
    return try calls() - before
  }

  private func cycle(_ id: String, shares: Bool) throws -> Int {
    let network = fixture.network(shares: shares)
    return try count {
      let addresses = try network.allocate(owner(id), from: sets, requested: [])
      #expect(try network.find(owner(id)).count == 1)
      #expect(try network.release(owner(id)) == addresses.map(\.address.address))
      #expect(try network.release(owner(id)).isEmpty)
    }
  }

  /// All leases are in one block, directly after the address that was leased last: the worst case.
  @Test(arguments: [false, true])
  func workDoesNotGrowWithLeases(inAnotherNetwork: Bool) throws {
    let holder = inAnotherNetwork ? "other" : "net"
    _ = try cycle("warm", shares: inAnotherNetwork)
    let empty = try cycle("a", shares: inAnotherNetwork)
    for number in 0..<500 {
      try fixture.write("10.0.\(number / 250).\(number % 250 + 5)", "held-\(number)\r\neth0", network: holder)
    }
    // The first operation after the change reads all leases.
    _ = try fixture.network(holder).find(owner("warm"))
    try fixture.write("last_reserved_ip.0", "10.0.0.4")
    let full = try cycle("b", shares: inAnotherNetwork)
    // More than one owner may share a file of the index.
    #expect(full <= empty + 12, "\(empty) calls without leases, \(full) with 500")
  }
}
