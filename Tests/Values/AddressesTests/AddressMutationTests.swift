import Addresses
import Testing
import TestSupport

@Suite struct AddressMutationTests {
  private static let samples = [
    "10.244.1.7", "10.244.1.0/24", "0.0.0.0/0", "fd00:10:244:1::1/64", "::", "::ffff:10.1.2.3", "1:2:3:4:5:6:1.2.3.4",
    "2001:db8::8:800:200c:417a/128", "0a:58:0A:f4:01:07", "0a-58-0a-f4-01-07",
  ]

  @Test(arguments: 0..<2 as Range<UInt64>) func parsedValuesAreInRangeAndReadBackEqual(seed: UInt64) {
    var mutations = Mutations(of: AddressMutationTests.samples, seed: seed)
    var understood = 0
    for _ in 0..<4000 {
      let text = String(decoding: mutations.next(), as: UTF8.self)
      if let address = IPAddress(text) {
        understood += 1
        #expect(IPAddress(address.description) == address, "\(text)")
        #expect(address.advanced(by: 1)?.advanced(by: -1) ?? address == address)
      }
      if let prefix = IPPrefix(text) {
        understood += 1
        #expect((0...prefix.family.bitCount).contains(prefix.length), "\(text)")
        #expect(IPPrefix(prefix.description) == prefix, "\(text)")
        #expect(prefix.network.isNetwork && prefix.contains(prefix.first) && prefix.contains(prefix.last), "\(text)")
        #expect(prefix.first <= prefix.address && prefix.address <= prefix.last)
      }
      if let mac = MACAddress(text) {
        understood += 1
        #expect(mac.bytes.count == 6 && MACAddress(mac.description) == mac, "\(text)")
      }
    }
    #expect(understood > 100)
  }
}
